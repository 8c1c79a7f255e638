// Pixels of three channels side by side, out of packed pixels whose channels have another order or a fourth
// byte behind them: BGR to RGB, BGRA to RGB and to BGR.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "image_planes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

template <int Stride, bool Turned>
inline void reorder_plainly(const std::uint8_t* __restrict pixels, std::ptrdiff_t count,
                            std::uint8_t* __restrict out) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        out[3 * i] = pixels[Stride * i + (Turned ? 2 : 0)];
        out[3 * i + 1] = pixels[Stride * i + 1];
        out[3 * i + 2] = pixels[Stride * i + (Turned ? 0 : 2)];
    }
}

/// Pixels of a long row that are written before one that begins a register of 32 bytes: from there on no
/// store crosses a cache line.
inline std::ptrdiff_t pixels_to_alignment(const std::uint8_t* out, std::ptrdiff_t count) {
    std::ptrdiff_t i = 0;
    if (count < 256) return i;
    while (reinterpret_cast<std::uintptr_t>(out + 3 * i) % 32 != 0) ++i;
    return i;
}

#if defined(__AVX2__)

/// Where the bytes of sixteen turned pixels, three times 16, lie among those of the pixels: for each of the
/// three a byte shuffle, or none, of each of the three.
struct TurnedBytes {
    alignas(16) std::int8_t index[3][3][16];
    bool uses[3][3];

    constexpr TurnedBytes() : index(), uses() {
        for (int r = 0; r < 3; ++r) {
            for (int k = 0; k < 3; ++k) {
                for (int j = 0; j < 16; ++j) {
                    const int at = 16 * r + j;
                    const int byte = at - at % 3 + 2 - at % 3 - 16 * k;
                    const bool found = byte >= 0 && byte < 16;
                    index[r][k][j] = static_cast<std::int8_t>(found ? byte : -1);
                    uses[r][k] = uses[r][k] || found;
                }
            }
        }
    }
};

/// 32 pixels, sixteen in each half of a register.
inline void turn_step(const std::uint8_t* pixels, std::uint8_t* out) {
    static constexpr TurnedBytes turned;
    const auto load = [](const void* from) { return _mm_loadu_si128(static_cast<const __m128i*>(from)); };
    __m256i bytes[3];
    for (std::ptrdiff_t k = 0; k < 3; ++k) {
        const __m256i low = _mm256_castsi128_si256(load(pixels + 16 * k));
        bytes[k] = _mm256_inserti128_si256(low, load(pixels + 16 * (3 + k)), 1);
    }
    __m256i found[3];
    for (int r = 0; r < 3; ++r) {
        found[r] = _mm256_setzero_si256();
        for (int k = 0; k < 3; ++k) {
            if (!turned.uses[r][k]) continue;
            const __m256i index = _mm256_broadcastsi128_si256(load(turned.index[r][k]));
            found[r] = _mm256_or_si256(found[r], _mm256_shuffle_epi8(bytes[k], index));
        }
    }
    auto* to = reinterpret_cast<__m256i*>(out);
    _mm256_storeu_si256(to, _mm256_permute2x128_si256(found[0], found[1], 0x20));
    _mm256_storeu_si256(to + 1, _mm256_permute2x128_si256(found[2], found[0], 0x30));
    _mm256_storeu_si256(to + 2, _mm256_permute2x128_si256(found[1], found[2], 0x31));
}

/// Turns the first pixels of a row in whole steps; returns how many.
inline std::ptrdiff_t turn_steps(const std::uint8_t* pixels, std::ptrdiff_t count, std::uint8_t* out) {
    std::ptrdiff_t i = pixels_to_alignment(out, count);
    reorder_plainly<3, true>(pixels, i, out);
    for (; i + 32 <= count; i += 32) turn_step(pixels + 3 * i, out + 3 * i);
    return i;
}

#elif defined(__SSE2__) || defined(_M_X64)

/// The same without shuffles of bytes: each is a sum of three, two of which count nothing. A plain loop, but
/// one that compilers make vectors of.
inline std::ptrdiff_t turn_steps(const std::uint8_t* __restrict pixels, std::ptrdiff_t count,
                                 std::uint8_t* __restrict out) {
    constexpr int step = 16;
    std::uint8_t same[3 * step];
    std::uint8_t later[3 * step];
    std::uint8_t sooner[3 * step];
    for (int j = 0; j < 3 * step; ++j) {
        same[j] = j % 3 == 1 ? 0xff : 0;
        later[j] = j % 3 == 0 ? 0xff : 0;
        sooner[j] = j % 3 == 2 ? 0xff : 0;
    }
    std::ptrdiff_t i = std::min<std::ptrdiff_t>(count, 1);  // nothing lies before the first pixel
    reorder_plainly<3, true>(pixels, i, out);
    for (; i + step < count; i += step) {
        const std::uint8_t* from = pixels + 3 * i;
        std::uint8_t* to = out + 3 * i;
        for (int j = 0; j < 3 * step; ++j) {
            to[j] = static_cast<std::uint8_t>((from[j] & same[j]) | (from[j + 2] & later[j]) |
                                              (from[j - 2] & sooner[j]));
        }
    }
    return i;
}

#else

inline std::ptrdiff_t turn_steps(const std::uint8_t*, std::ptrdiff_t, std::uint8_t*) {
    return 0;
}

#endif

inline void turn_pixels(const std::uint8_t* pixels, std::ptrdiff_t count, std::uint8_t* out) {
    const std::ptrdiff_t done = turn_steps(pixels, count, out);
    reorder_plainly<3, true>(pixels + 3 * done, count - done, out + 3 * done);
}

template <bool Turned>
inline void drop_fourth_bytes(const std::uint8_t* pixels, std::ptrdiff_t count, std::uint8_t* out) {
    std::ptrdiff_t i = 0;
#if (defined(__SSE2__) || defined(_M_X64)) && !defined(__AVX2__)
    // Four pixels at a time, their bytes moved together in each half; of what is written the next step
    // overwrites some. Of the last pixels nothing is read: a fourth byte may not be there.
    const __m128i outer = _mm_set1_epi32(0xff);
    for (; i + 6 <= count; i += 4) {
        __m128i four = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + 4 * i));
        if (Turned) {
            const __m128i middle = _mm_and_si128(four, _mm_slli_epi32(outer, 8));
            const __m128i ends = _mm_or_si128(_mm_slli_epi32(_mm_and_si128(four, outer), 16),
                                              _mm_and_si128(_mm_srli_epi32(four, 16), outer));
            four = _mm_or_si128(middle, ends);
        }
        const __m128i even = _mm_and_si128(four, _mm_set1_epi64x(0xffffff));
        const __m128i odd = _mm_and_si128(_mm_srli_epi64(four, 8), _mm_set1_epi64x(0xffffff000000));
        const __m128i pairs = _mm_or_si128(even, odd);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 3 * i), pairs);
        _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 3 * i + 6), _mm_srli_si128(pairs, 8));
    }
#else
    i = pixels_to_alignment(out, count);
    reorder_plainly<4, Turned>(pixels, i, out);
#endif
    reorder_plainly<4, Turned>(pixels + 4 * i, count - i, out + 3 * i);
}

/// Packed pixels to pixels of three neighbouring bytes in the order of the channels.
inline void reorder_packed(const PackedRow& row, std::ptrdiff_t count, std::uint8_t* out) {
    const int* position = row.position;
    const bool kept = position[0] == 0 && position[1] == 1;
    const bool turned = position[0] == 2 && position[1] == 1;
    if (row.stride == 3 && kept) {
        copy_bytes(row.data, static_cast<std::size_t>(count) * 3, out);
    } else if (row.stride == 3 && turned) {
        turn_pixels(row.data, count, out);
    } else if (row.stride == 4 && kept) {
        drop_fourth_bytes<false>(row.data, count, out);
    } else if (row.stride == 4 && turned) {
        drop_fourth_bytes<true>(row.data, count, out);
    } else {  // no order that images have
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            for (int c = 0; c < 3; ++c) out[3 * i + c] = row.data[i * row.stride + position[c]];
        }
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
