// The antialiased resize by dot products of four bytes: weights are split into signed digits of a byte each.
//
// A weight w is a 2^16 + b 2^8 + c with -128 <= b, c < 128; its magnitude is at most 1.5 * 2^22, so that a is
// a byte too. The three sums of products, put together modulo 2^32, are the sum of the weighted pixels: that
// lies within 32 bits (ev/image.h says why), whatever the digits' own sums do.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/image.h"

#if defined(__AVX512VBMI__) && defined(__AVX512VNNI__)
#include <immintrin.h>
#define EV_ANTIALIAS_DOTS 1
#else
#define EV_ANTIALIAS_DOTS 0
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

constexpr int kDigits = 3;
constexpr int kDotTaps = 4;                     // of one dot product
constexpr int kDotLanes = 16;                   // sums of a register
constexpr int kDotRows = 4;                     // source rows summed together
constexpr int kParts = 4;                       // lanes that may share a column's taps,
constexpr int kPartLanes = kDotLanes / kParts;  // so many lanes apart

/// Digit `at` of a weight, the least first: what the digits below leave, rounded down, is cut to a byte.
EV_INLINE std::int8_t weight_digit(std::int32_t weight, int at) {
    constexpr std::int32_t kHalves[kDigits] = {0, 0x80, 0x8080};  // so that bytes from 128 up carry one
    return static_cast<std::int8_t>((weight + kHalves[at]) >> (8 * at));
}

#if EV_ANTIALIAS_DOTS

/// The sums of weighted pixels in 16 lanes.
class DotSums {
  public:
    /// begin: what each lane's sum begins at.
    explicit DotSums(std::int32_t begin = kAntialiasHalf)
        : sums_{_mm512_set1_epi32(begin), _mm512_setzero_si512(), _mm512_setzero_si512()} {}

    /// pixels: four unsigned bytes a lane; digits: kDigits registers of four signed bytes a lane.
    void add(__m512i pixels, const __m512i digits[kDigits]) {
        for (int i = 0; i < kDigits; ++i) sums_[i] = _mm512_dpbusd_epi32(sums_[i], pixels, digits[i]);
    }

    __m512i total() const {
        const __m512i high = _mm512_add_epi32(_mm512_slli_epi32(sums_[2], 8), sums_[1]);
        return _mm512_add_epi32(_mm512_slli_epi32(high, 8), sums_[0]);
    }

    /// The sums without their fraction: pixels, but for clipping.
    __m512i whole() const { return _mm512_maskz_srai_epi32(0xffff, total(), kAntialiasBits); }

  private:
    __m512i sums_[kDigits];
};

/// The pixels of 4 x 16 lanes. Byte 16 i + 4 r + k is lane 4 i + k of sums[r].
inline __m512i pack_pixels(const DotSums sums[4]) {
    const __m512i front = _mm512_packs_epi32(sums[0].whole(), sums[1].whole());
    const __m512i back = _mm512_packs_epi32(sums[2].whole(), sums[3].whole());
    return _mm512_packus_epi16(front, back);
}

/// The pixels of kDotRows rows of sixteen lanes: each lane's in the bytes of 32 bits.
inline __m512i pack_quad(const DotSums rows[kDotRows]) {
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(pack_pixels(rows), _mm512_broadcast_i32x4(order));
}

/// The same where lanes i, i + 4, i + 8 and i + 12 of a row are parts of one sum: four pixels of four rows.
inline __m128i pack_parts(const DotSums rows[kDotRows]) {
    const auto add_halves = [](__m512i a, __m512i b) {
        return _mm512_add_epi32(_mm512_shuffle_i64x2(a, b, 0x44), _mm512_shuffle_i64x2(a, b, 0xee));
    };
    const __m512i front = add_halves(rows[0].total(), rows[1].total());
    const __m512i back = add_halves(rows[2].total(), rows[3].total());
    const __m512i sums =
        _mm512_add_epi32(_mm512_shuffle_i64x2(front, back, 0x88), _mm512_shuffle_i64x2(front, back, 0xdd));
    const __m512i whole = _mm512_maskz_srai_epi32(0xffff, sums, kAntialiasBits);
    const __m128i pixels =
        _mm512_maskz_cvtusepi32_epi8(0xffff, _mm512_max_epi32(whole, _mm512_setzero_si512()));
    return _mm_shuffle_epi8(pixels, _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15));
}

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
