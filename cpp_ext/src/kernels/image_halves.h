// INTER_LINEAR shrinking by even whole numbers: each resized pixel is the mean of two by two neighbours.
//
// Every centre lies between two pixels, so that all weights are one half and the two passes' fixed point
// comes down to (a + b + c + d + 2) >> 2: the horizontal sums 64 (a + b) are exact, and the vertical pass's
// products cut nothing.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ev/isa.h"
#include "first_bytes.h"
#include "split_pixels.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

EV_INLINE std::uint8_t mean_of_four(int a, int b, int c, int d) {
    return static_cast<std::uint8_t>((a + b + c + d + 2) >> 2);
}

#if defined(__AVX2__)

/// The sums of a register's pairs of bytes and of those below them, as means in 16 bits.
inline __m256i mean_pairs(__m256i above, __m256i below) {
    const __m256i ones = _mm256_set1_epi8(1);
    const __m256i sums =
        _mm256_add_epi16(_mm256_maddubs_epi16(above, ones), _mm256_maddubs_epi16(below, ones));
    return _mm256_srli_epi16(_mm256_add_epi16(sums, _mm256_set1_epi16(2)), 2);
}

inline void store_means(std::uint8_t* out, __m256i first, __m256i second) {
    const __m256i packed = _mm256_packus_epi16(first, second);  // joins the halves of 128-bit lanes
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute4x64_epi64(packed, 0xd8));
}

#endif

constexpr int kMeanStep = 32;
constexpr int kMeanBytes = 6 * kMeanStep;  // that a step reads of a row of three-byte pixels

/// out[i] = the mean of pixels 2 i and 2 i + 1 of two rows of a plane. A whole step may be written last.
inline void mean_planes(const std::uint8_t* __restrict above, const std::uint8_t* __restrict below, int count,
                        std::uint8_t* __restrict out) {
    std::ptrdiff_t i = 0;
#if defined(__AVX2__)
    const auto step = [](const std::uint8_t* high, const std::uint8_t* low, std::uint8_t* to) {
        const auto means = [&](std::ptrdiff_t at) {
            return mean_pairs(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(high + at)),
                              _mm256_loadu_si256(reinterpret_cast<const __m256i*>(low + at)));
        };
        store_means(to, means(0), means(32));
    };
    for (; i + kMeanStep <= count; i += kMeanStep) step(above + 2 * i, below + 2 * i, out + i);
    if (i < count) {
        alignas(32) std::uint8_t last[2][2 * kMeanStep];
        const auto size = static_cast<std::size_t>(2 * (count - i));
        std::memcpy(last[0], above + 2 * i, size);
        std::memcpy(last[1], below + 2 * i, size);
        step(last[0], last[1], out + i);
        return;
    }
#endif
    for (; i < count; ++i)
        out[i] = mean_of_four(above[2 * i], above[2 * i + 1], below[2 * i], below[2 * i + 1]);
}

#if defined(__AVX512VBMI__)

/// Where byte 3 i + Position of three registers lies: i counts the bytes of a plane.
template <int Position>
struct SplitOrder {
    alignas(64) std::uint8_t first[64];   // among the first two registers
    alignas(64) std::uint8_t second[64];  // among what those give and the third

    constexpr SplitOrder() : first{}, second{} {
        for (int i = 0; i < 64; ++i) {
            const int at = 3 * i + Position;
            first[i] = static_cast<std::uint8_t>(at % 128);
            second[i] = static_cast<std::uint8_t>(at < 128 ? i : at - 64);
        }
    }
};

/// 64 pixels of three bytes.
struct PackedPixels {
    __m512i a, b, c;

    explicit PackedPixels(const std::uint8_t* pixels)
        : a(_mm512_loadu_si512(pixels)),
          b(_mm512_loadu_si512(pixels + 64)),
          c(_mm512_loadu_si512(pixels + 128)) {}

    /// As many whole bytes as are there; the others are zero.
    PackedPixels(const std::uint8_t* pixels, int bytes)
        : a(_mm512_maskz_loadu_epi8(first_bytes(bytes), pixels)),
          b(_mm512_maskz_loadu_epi8(first_bytes(bytes - 64), pixels + 64)),
          c(_mm512_maskz_loadu_epi8(first_bytes(bytes - 128), pixels + 128)) {}

    /// Byte Position of each two neighbours, added in 16 bits.
    template <int Position>
    __m512i sum_pairs() const {
        static constexpr SplitOrder<Position> order;
        const __m512i two = _mm512_permutex2var_epi8(a, _mm512_load_si512(order.first), b);
        const __m512i plane = _mm512_permutex2var_epi8(two, _mm512_load_si512(order.second), c);
        return _mm512_maddubs_epi16(plane, _mm512_set1_epi8(1));
    }
};

template <int Position>
inline __m256i mean_plane(const PackedPixels& above, const PackedPixels& below) {
    const __m512i sums = _mm512_add_epi16(above.sum_pairs<Position>(), below.sum_pairs<Position>());
    const __m512i means = _mm512_srli_epi16(_mm512_add_epi16(sums, _mm512_set1_epi16(2)), 2);
    // With a mask of all: GCC 12 warns of the value that it makes up for the plain form (GCC bug 105593).
    return _mm512_maskz_cvtepi16_epi8(0xffffffff, means);
}

[[gnu::always_inline]] inline void mean_planes_of(const PackedPixels& above, const PackedPixels& below,
                                                  __m256i means[3]) {
    means[0] = mean_plane<0>(above, below);
    means[1] = mean_plane<1>(above, below);
    means[2] = mean_plane<2>(above, below);
}

[[gnu::always_inline]] inline void mean_step(const std::uint8_t* above, const std::uint8_t* below,
                                             std::uint8_t* const planes[3], std::ptrdiff_t i) {
    __m256i means[3];
    mean_planes_of(PackedPixels(above + 6 * i), PackedPixels(below + 6 * i), means);
    for (int p = 0; p < 3; ++p) _mm256_storeu_si256(reinterpret_cast<__m256i*>(planes[p] + i), means[p]);
}

/// The same of fewer pairs.
inline void mean_few(const std::uint8_t* above, const std::uint8_t* below, int count,
                     std::ptrdiff_t /*readable*/, std::uint8_t* const planes[3]) {
    __m256i means[3];
    mean_planes_of(PackedPixels(above, 6 * count), PackedPixels(below, 6 * count), means);
    for (int p = 0; p < 3; ++p) _mm256_storeu_si256(reinterpret_cast<__m256i*>(planes[p]), means[p]);
}

/// The first pair whose pixels begin a cache line: reading whole lines is a third faster.
inline std::ptrdiff_t first_on_line(const std::uint8_t* pixels) {
    // 6 i + address is to be a multiple of 64, and 3 * 11 = 1 modulo 32. No pair of an odd address is.
    return static_cast<std::ptrdiff_t>((0 - reinterpret_cast<std::uintptr_t>(pixels) / 2) * 11 % 32);
}

#elif defined(__AVX2__)

[[gnu::always_inline]] inline void mean_step(const std::uint8_t* above, const std::uint8_t* below,
                                             std::uint8_t* const planes[3], std::ptrdiff_t i) {
    __m256i means[2][3];
    for (std::ptrdiff_t half = 0; half < 2; ++half) {
        PlaneBytes high[3];
        PlaneBytes low[3];
        split_pixels_at(above + 6 * i + std::ptrdiff_t{3} * kSplitPixels * half, high);
        split_pixels_at(below + 6 * i + std::ptrdiff_t{3} * kSplitPixels * half, low);
        for (int p = 0; p < 3; ++p) means[half][p] = mean_pairs(high[p], low[p]);
    }
    for (int p = 0; p < 3; ++p) store_means(planes[p] + i, means[0][p], means[1][p]);
}

inline void mean_few(const std::uint8_t* above, const std::uint8_t* below, int count, std::ptrdiff_t readable,
                     std::uint8_t* const planes[3]) {
    alignas(32) std::uint8_t few[2][kMeanBytes];
    if (readable < kMeanBytes) {
        const std::size_t size = std::size_t{6} * static_cast<std::size_t>(count);
        above = static_cast<const std::uint8_t*>(std::memcpy(few[0], above, size));
        below = static_cast<const std::uint8_t*>(std::memcpy(few[1], below, size));
    }
    if (2 * count > kSplitPixels) {
        mean_step(above, below, planes, 0);
        return;
    }
    PlaneBytes high[3];
    PlaneBytes low[3];
    split_pixels_at(above, high);
    split_pixels_at(below, low);
    for (int p = 0; p < 3; ++p) {
        const __m256i means = mean_pairs(high[p], low[p]);
        store_means(planes[p], means, means);
    }
}

inline std::ptrdiff_t first_on_line(const std::uint8_t* /*pixels*/) {
    return 0;
}

#endif

/// The same of rows of three-byte pixels, byte p of which goes to planes[p]. A whole step is written at
/// least. readable: bytes of either row, and of what lies behind it, that may be read.
inline void mean_pixels(const std::uint8_t* above, const std::uint8_t* below, int count,
                        [[maybe_unused]] std::ptrdiff_t readable, std::uint8_t* const planes[3]) {
#if defined(__AVX2__)
    if (count >= kMeanStep) {
        std::ptrdiff_t i = 0;
        // The second step and the last may do some pairs again. One loop, so that its tables stay in
        // registers.
        const std::ptrdiff_t last = count - kMeanStep;
        std::ptrdiff_t next = first_on_line(above);
        if (next == 0) next = kMeanStep;
        for (;;) {
            mean_step(above, below, planes, i);
            if (i == last) break;
            i = next < last ? next : last;
            next = i + kMeanStep;
        }
        return;
    }
    mean_few(above, below, count, readable, planes);
#else
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        for (int p = 0; p < 3; ++p) {
            const std::uint8_t* a = above + 6 * i + p;
            const std::uint8_t* b = below + 6 * i + p;
            planes[p][i] = mean_of_four(a[0], a[3], b[0], b[3]);
        }
    }
#endif
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
