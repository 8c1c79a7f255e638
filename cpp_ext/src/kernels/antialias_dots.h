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
constexpr int kDotTaps = 4;      // of one dot product
constexpr int kDotColumns = 16;  // sums of a register

/// The digits of a weight, the least first.
EV_INLINE void split_weight(std::int32_t weight, std::int8_t digits[kDigits]) {
    for (int i = 0; i < kDigits; ++i) {
        const std::int32_t digit = ((weight & 0xff) ^ 0x80) - 0x80;
        digits[i] = static_cast<std::int8_t>(digit);
        weight = (weight - digit) / 256;
    }
}

#if EV_ANTIALIAS_DOTS

/// The sums of weighted pixels in 16 lanes, begun at kAntialiasHalf.
class DotSums {
  public:
    /// pixels: four unsigned bytes a lane; weights: kDigits registers of four signed bytes a lane.
    void add(__m512i pixels, const __m512i weights[kDigits]) {
        for (int i = 0; i < kDigits; ++i) sums_[i] = _mm512_dpbusd_epi32(sums_[i], pixels, weights[i]);
    }

    /// The sums without their fraction: pixels, but for clipping.
    __m512i whole() const {
        const __m512i high = _mm512_add_epi32(_mm512_slli_epi32(sums_[2], 8), sums_[1]);
        const __m512i sum = _mm512_add_epi32(_mm512_slli_epi32(high, 8), sums_[0]);
        return _mm512_maskz_srai_epi32(0xffff, sum, kAntialiasBits);
    }

  private:
    __m512i sums_[kDigits] = {_mm512_set1_epi32(kAntialiasHalf), _mm512_setzero_si512(),
                              _mm512_setzero_si512()};
};

/// The pixels of sixteen lanes.
inline __m128i pack_pixels(const DotSums& sums) {
    const __m512i positive = _mm512_max_epi32(sums.whole(), _mm512_setzero_si512());
    return _mm512_maskz_cvtusepi32_epi8(0xffff, positive);
}

/// The pixels of four rows of sixteen lanes: each lane's in the bytes of 32 bits.
inline __m512i pack_quad(const DotSums rows[kDotTaps]) {
    const __m512i front = _mm512_packs_epi32(rows[0].whole(), rows[1].whole());
    const __m512i back = _mm512_packs_epi32(rows[2].whole(), rows[3].whole());
    const __m512i by_rows = _mm512_packus_epi16(front, back);  // in each 128 bits, four lanes of each row
    const __m128i order = _mm_setr_epi8(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
    return _mm512_shuffle_epi8(by_rows, _mm512_broadcast_i32x4(order));
}

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
