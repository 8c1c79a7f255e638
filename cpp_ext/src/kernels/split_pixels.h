// Pixels of three bytes to a register a channel.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/isa.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#define EV_SPLIT_PIXELS 1
#else
#define EV_SPLIT_PIXELS 0
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if defined(__AVX2__)

/// The same byte of kSplitPixels pixels. Not a register of 64 bytes: VBMI splits one with six shuffles, but
/// no faster than this, and slower where its loads cross cache lines.
using PlaneBytes = __m256i;
constexpr int kSplitPixels = 32;

/// Of the bytes of each 16, every third belongs to a channel, and in three neighbouring registers on
/// different places: two blends gather a channel, one shuffle puts it in order.
inline void split_pixels_at(const std::uint8_t* pixels, PlaneBytes planes[3]) {
    const auto load = [pixels](int at) {
        const auto* low = reinterpret_cast<const __m128i*>(pixels + at);
        const auto* high = reinterpret_cast<const __m128i*>(pixels + at + 48);
        return _mm256_inserti128_si256(_mm256_castsi128_si256(_mm_loadu_si128(low)), _mm_loadu_si128(high),
                                       1);
    };
    const auto in_order = [](__m256i bytes, __m128i order) {
        return _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(order));
    };
    const __m256i a = load(0);
    const __m256i b = load(16);
    const __m256i c = load(32);
    // Bytes 1, 4, 7 ... and 2, 5, 8 ... of each 16.
    const __m256i one =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0));
    const __m256i two =
        _mm256_broadcastsi128_si256(_mm_setr_epi8(0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0, 0, -1, 0));
    const __m256i first = _mm256_blendv_epi8(_mm256_blendv_epi8(a, c, one), b, two);
    const __m256i second = _mm256_blendv_epi8(_mm256_blendv_epi8(b, a, one), c, two);
    const __m256i third = _mm256_blendv_epi8(_mm256_blendv_epi8(c, b, one), a, two);
    planes[0] = in_order(first, _mm_setr_epi8(0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14, 1, 4, 7, 10, 13));
    planes[1] = in_order(second, _mm_setr_epi8(1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15, 2, 5, 8, 11, 14));
    planes[2] = in_order(third, _mm_setr_epi8(2, 5, 8, 11, 14, 1, 4, 7, 10, 13, 0, 3, 6, 9, 12, 15));
}

inline void store_plane(std::uint8_t* plane, PlaneBytes bytes) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(plane), bytes);
}

#elif EV_SPLIT_PIXELS

using PlaneBytes = __m128i;
constexpr int kSplitPixels = 16;

/// Without shuffles of bytes: to interleave the two halves of 48 bytes takes byte p to place 2p mod 47, so
/// four times that takes byte 3i + c to 16c + i.
inline void split_pixels_at(const std::uint8_t* pixels, PlaneBytes planes[3]) {
    const auto load = [pixels](int at) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + at));
    };
    const auto upper = [](__m128i bytes) { return _mm_srli_si128(bytes, 8); };
    __m128i a = load(0);
    __m128i b = load(16);
    __m128i c = load(32);
    for (int i = 0; i < 4; ++i) {
        const __m128i first = _mm_unpacklo_epi8(a, upper(b));
        const __m128i second = _mm_unpacklo_epi8(upper(a), c);
        const __m128i third = _mm_unpacklo_epi8(b, upper(c));
        a = first;
        b = second;
        c = third;
    }
    planes[0] = a;
    planes[1] = b;
    planes[2] = c;
}

inline void store_plane(std::uint8_t* plane, PlaneBytes bytes) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(plane), bytes);
}

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
