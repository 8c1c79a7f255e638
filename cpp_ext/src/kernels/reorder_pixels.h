// Pixels of three channels side by side, out of packed pixels whose channels have another order or a fourth
// byte behind them: BGR to RGB, BGRA to RGB and to BGR.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "image_planes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// The byte of the packed pixels that byte `at` of the result is. Turned: the channels in reverse order.
template <int Stride, bool Turned>
constexpr int reordered_byte(int at) {
    return at / 3 * Stride + (Turned ? 2 - at % 3 : at % 3);
}

template <int Stride, bool Turned>
inline void reorder_plainly(const std::uint8_t* __restrict pixels, std::ptrdiff_t count,
                            std::uint8_t* __restrict out) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        out[3 * i] = pixels[Stride * i + reordered_byte<Stride, Turned>(0)];
        out[3 * i + 1] = pixels[Stride * i + reordered_byte<Stride, Turned>(1)];
        out[3 * i + 2] = pixels[Stride * i + reordered_byte<Stride, Turned>(2)];
    }
}

// Below, reorder_steps writes the first pixels of a row in whole steps, and returns how many. Of the last
// pixel it reads nothing: its fourth byte may not be there.

#if defined(__AVX2__)

/// Of 16 bytes of packed pixels, whole pixels, for a byte shuffle. What is written behind them is overwritten
/// by the next step.
template <int Stride, bool Turned>
struct ShortOrder {
    static constexpr int kPixels = 16 / Stride;
    alignas(16) std::int8_t index[16];

    constexpr ShortOrder() : index() {
        for (int j = 0; j < 16; ++j) {
            index[j] = static_cast<std::int8_t>(j < 3 * kPixels ? reordered_byte<Stride, Turned>(j) : -1);
        }
    }
};

template <int Stride, bool Turned>
inline std::ptrdiff_t reorder_short_steps(const std::uint8_t* pixels, std::ptrdiff_t begin,
                                          std::ptrdiff_t count, std::uint8_t* out) {
    static constexpr ShortOrder<Stride, Turned> order;
    constexpr std::ptrdiff_t step = order.kPixels;
    constexpr std::ptrdiff_t behind = 6 - step;  // pixels that a step touches behind its own
    const __m128i index = _mm_load_si128(reinterpret_cast<const __m128i*>(order.index));
    const auto reorder = [&](std::ptrdiff_t at) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + Stride * at));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + 3 * at), _mm_shuffle_epi8(bytes, index));
    };
    std::ptrdiff_t i = begin;
    for (; i + 4 * step + behind <= count; i += 4 * step) {
        reorder(i);
        reorder(i + step);
        reorder(i + 2 * step);
        reorder(i + 3 * step);
    }
    for (; i + step + behind <= count; i += step) reorder(i);
    return i;
}

#endif

#if defined(__AVX512VBMI__)

/// Of 64 packed pixels, the bytes of three registers, each out of two neighbouring registers of the pixels.
/// One byte of the middle register may be of the register before those.
template <int Stride, bool Turned>
struct LongOrder {
    alignas(64) std::uint8_t index[3][64];
    std::uint64_t is_before = 0;
    std::uint8_t before = 0;

    /// The first of the two registers that register `r` comes out of.
    static constexpr int source(int r) { return Stride == 3 && r == 2 ? 1 : r; }

    constexpr LongOrder() : index() {
        for (int at = 0; at < 3 * 64; ++at) {
            const int r = at / 64;
            const int byte = reordered_byte<Stride, Turned>(at) - 64 * source(r);
            if (byte < 0) {
                is_before |= std::uint64_t{1} << at % 64;
                before = static_cast<std::uint8_t>(64 + byte);
            } else {
                index[r][at % 64] = static_cast<std::uint8_t>(byte);
            }
        }
    }
};

template <int Stride, bool Turned>
inline std::ptrdiff_t reorder_steps(const std::uint8_t* pixels, std::ptrdiff_t count, std::uint8_t* out) {
    static constexpr LongOrder<Stride, Turned> order;
    __m512i index[3];
    for (int r = 0; r < 3; ++r) index[r] = _mm512_load_si512(order.index[r]);
    const __m512i before = _mm512_set1_epi8(static_cast<char>(order.before));
    std::ptrdiff_t i = 0;
    for (; i + 64 < count; i += 64) {
        __m512i bytes[Stride];
        for (std::ptrdiff_t k = 0; k < Stride; ++k)
            bytes[k] = _mm512_loadu_si512(pixels + Stride * i + 64 * k);
        for (std::ptrdiff_t r = 0; r < 3; ++r) {
            const int k = order.source(static_cast<int>(r));
            __m512i found = _mm512_permutex2var_epi8(bytes[k], index[r], bytes[k + 1]);
            if (order.is_before != 0 && r == 1) {
                found = _mm512_mask_permutexvar_epi8(found, order.is_before, before, bytes[0]);
            }
            _mm512_storeu_si512(out + 3 * i + 64 * r, found);
        }
    }
    return reorder_short_steps<Stride, Turned>(pixels, i, count, out);
}

#elif defined(__AVX2__)

template <int Stride, bool Turned>
inline std::ptrdiff_t reorder_steps(const std::uint8_t* pixels, std::ptrdiff_t count, std::uint8_t* out) {
    return reorder_short_steps<Stride, Turned>(pixels, 0, count, out);
}

#elif defined(__SSE2__) || defined(_M_X64)

/// No shuffles of bytes, but plain loops that compilers make vectors of.
template <int Stride, bool Turned>
inline std::ptrdiff_t reorder_steps(const std::uint8_t* __restrict pixels, std::ptrdiff_t count,
                                    std::uint8_t* __restrict out) {
    std::ptrdiff_t i = 0;
    if constexpr (Stride == 3 && Turned) {
        // Every byte is a sum of three neighbours, two of which count nothing. The first pixel has none
        // before.
        constexpr int step = 16;
        std::uint8_t same[3 * step];
        std::uint8_t later[3 * step];
        std::uint8_t sooner[3 * step];
        for (int j = 0; j < 3 * step; ++j) {
            same[j] = j % 3 == 1 ? 0xff : 0;
            later[j] = j % 3 == 0 ? 0xff : 0;
            sooner[j] = j % 3 == 2 ? 0xff : 0;
        }
        i = std::min<std::ptrdiff_t>(count, 1);
        reorder_plainly<Stride, Turned>(pixels, i, out);
        for (; i + step < count; i += step) {
            const std::uint8_t* from = pixels + 3 * i;
            std::uint8_t* to = out + 3 * i;
            for (int j = 0; j < 3 * step; ++j) {
                to[j] = static_cast<std::uint8_t>((from[j] & same[j]) | (from[j + 2] & later[j]) |
                                                  (from[j - 2] & sooner[j]));
            }
        }
    } else {
        // Two pixels of four bytes at a time; of the eight bytes written the next step overwrites two.
        constexpr std::uint64_t lowest = 0x000000ff000000ff;
        for (; i + 3 <= count; i += 2) {
            std::uint64_t two = 0;
            std::memcpy(&two, pixels + Stride * i, sizeof two);
            if (Turned) two = (two & lowest) << 16 | (two & lowest << 8) | (two >> 16 & lowest);
            two = (two & 0xffffff) | (two >> 8 & 0xffffff000000);
            std::memcpy(out + 3 * i, &two, sizeof two);
        }
    }
    return i;
}

#else

template <int Stride, bool Turned>
inline std::ptrdiff_t reorder_steps(const std::uint8_t*, std::ptrdiff_t, std::uint8_t*) {
    return 0;
}

#endif

template <int Stride, bool Turned>
inline void reorder_pixels(const std::uint8_t* pixels, std::ptrdiff_t count, std::uint8_t* out) {
    const std::ptrdiff_t done = reorder_steps<Stride, Turned>(pixels, count, out);
    reorder_plainly<Stride, Turned>(pixels + Stride * done, count - done, out + 3 * done);
}

/// Packed pixels to pixels of three neighbouring bytes in the order of the channels.
inline void reorder_packed(const PackedRow& row, std::ptrdiff_t count, std::uint8_t* out) {
    const int* position = row.position;
    const bool kept = position[0] == 0 && position[1] == 1;
    const bool turned = position[0] == 2 && position[1] == 1;
    if (row.stride == 3 && kept) {
        std::memcpy(out, row.data, static_cast<std::size_t>(count) * 3);
    } else if (row.stride == 3 && turned) {
        reorder_pixels<3, true>(row.data, count, out);
    } else if (row.stride == 4 && kept) {
        reorder_pixels<4, false>(row.data, count, out);
    } else if (row.stride == 4 && turned) {
        reorder_pixels<4, true>(row.data, count, out);
    } else {  // no order that images have
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            for (int c = 0; c < 3; ++c) out[3 * i + c] = row.data[i * row.stride + position[c]];
        }
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
