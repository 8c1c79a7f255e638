// Luma and the terms of chroma to colour, kYuvStep pixels at a time.
//
// Two pixels share a term of chroma, so the vectors keep the even pixels and the odd ones apart in 32-bit
// lanes: no term is doubled. The upper half of a sum is all that counts ((sum >> 16) >> 4 is sum >> 20), so
// that the even sums' upper halves, moved down, and the odd ones' where they are make sixteen bits a pixel in
// the pixels' own order; packing to unsigned bytes saturates as yuv_channel does.
#pragma once

#include <cstdint>

#if defined(__AVX2__)
#include <immintrin.h>
#endif

#include "color_rows.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if defined(__AVX512BW__)

class ColorStep {
  public:
    explicit ColorStep(const YuvCoefficients& k)
        : offset_(_mm512_set1_epi16(static_cast<std::int16_t>(k.luma_offset))),
          factor_(_mm512_set1_epi32(k.luma)) {}

    void convert(const std::uint8_t* y, const std::int32_t* blue, const std::int32_t* green,
                 const std::int32_t* red, std::uint8_t* out_blue, std::uint8_t* out_green,
                 std::uint8_t* out_red) const {
        const Luma low(*this, y);
        const Luma high(*this, y + 32);
        store(low.add(blue), high.add(blue + 16), out_blue);
        store(low.add(green), high.add(green + 16), out_green);
        store(low.add(red), high.add(red + 16), out_red);
    }

  private:
    struct Luma {
        __m512i even, odd;

        Luma(const ColorStep& step, const std::uint8_t* y) {
            const __m512i wide =
                _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(y)));
            const __m512i above = _mm512_subs_epu16(wide, step.offset_);
            even = _mm512_mullo_epi32(_mm512_and_si512(above, _mm512_set1_epi32(0xffff)), step.factor_);
            odd = _mm512_mullo_epi32(_mm512_srli_epi32(above, 16), step.factor_);
        }

        __m512i add(const std::int32_t* chroma) const {
            const __m512i terms = _mm512_loadu_si512(chroma);
            const __m512i low = _mm512_srli_epi32(_mm512_add_epi32(even, terms), 16);
            const __m512i both = _mm512_mask_mov_epi16(low, 0xaaaaaaaa, _mm512_add_epi32(odd, terms));
            return _mm512_srai_epi16(both, kYuvBits - 16);
        }
    };

    static void store(__m512i low, __m512i high, std::uint8_t* out) {
        const __m512i order = _mm512_setr_epi64(0, 2, 4, 6, 1, 3, 5, 7);
        _mm512_storeu_si512(out, _mm512_permutexvar_epi64(order, _mm512_packus_epi16(low, high)));
    }
    __m512i offset_, factor_;
};

#elif defined(__AVX2__)

class ColorStep {
  public:
    explicit ColorStep(const YuvCoefficients& k)
        : offset_(_mm256_set1_epi16(static_cast<std::int16_t>(k.luma_offset))),
          factor_(_mm256_set1_epi32(k.luma)) {}

    void convert(const std::uint8_t* y, const std::int32_t* blue, const std::int32_t* green,
                 const std::int32_t* red, std::uint8_t* out_blue, std::uint8_t* out_green,
                 std::uint8_t* out_red) const {
        for (int i = 0; i < kYuvStep; i += 32) {
            const Luma low(*this, y + i);
            const Luma high(*this, y + i + 16);
            const int at = i / 2;
            store(low.add(blue + at), high.add(blue + at + 8), out_blue + i);
            store(low.add(green + at), high.add(green + at + 8), out_green + i);
            store(low.add(red + at), high.add(red + at + 8), out_red + i);
        }
    }

  private:
    struct Luma {
        __m256i even, odd;

        Luma(const ColorStep& step, const std::uint8_t* y) {
            const __m256i wide = _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(y)));
            const __m256i above = _mm256_subs_epu16(wide, step.offset_);
            even = _mm256_mullo_epi32(_mm256_and_si256(above, _mm256_set1_epi32(0xffff)), step.factor_);
            odd = _mm256_mullo_epi32(_mm256_srli_epi32(above, 16), step.factor_);
        }

        __m256i add(const std::int32_t* chroma) const {
            const __m256i terms = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(chroma));
            const __m256i low = _mm256_srli_epi32(_mm256_add_epi32(even, terms), 16);
            const __m256i both = _mm256_blend_epi16(low, _mm256_add_epi32(odd, terms), 0xaa);
            return _mm256_srai_epi16(both, kYuvBits - 16);
        }
    };

    static void store(__m256i low, __m256i high, std::uint8_t* out) {
        const __m256i packed = _mm256_packus_epi16(low, high);
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(out), _mm256_permute4x64_epi64(packed, 0xd8));
    }

    __m256i offset_, factor_;
};

#else

class ColorStep {
  public:
    explicit ColorStep(const YuvCoefficients& k) : coefficients_(k) {}

    void convert(const std::uint8_t* y, const std::int32_t* blue, const std::int32_t* green,
                 const std::int32_t* red, std::uint8_t* out_blue, std::uint8_t* out_green,
                 std::uint8_t* out_red) const {
        std::int32_t even[kYuvStep / 2];
        std::int32_t odd[kYuvStep / 2];
        for (std::ptrdiff_t i = 0; i < kYuvStep / 2; ++i) {
            even[i] = luma_term(coefficients_, y[2 * i]);
            odd[i] = luma_term(coefficients_, y[2 * i + 1]);
        }
        add(even, odd, blue, out_blue);
        add(even, odd, green, out_green);
        add(even, odd, red, out_red);
    }

  private:
    static void add(const std::int32_t* even, const std::int32_t* odd, const std::int32_t* chroma,
                    std::uint8_t* out) {
        for (std::ptrdiff_t i = 0; i < kYuvStep / 2; ++i) {
            out[2 * i] = yuv_channel(even[i], chroma[i]);
            out[2 * i + 1] = yuv_channel(odd[i], chroma[i]);
        }
    }

    YuvCoefficients coefficients_;
};

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
