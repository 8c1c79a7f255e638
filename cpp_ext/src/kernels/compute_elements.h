// Elements of a tensor computed from pixels, as PixelScale says: fma(pixel, factor, pixel * rest).
#pragma once

#include <cstdint>
#include <cstring>

#include "ev/image.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Whether this instruction set has what elements of T take: a fused multiply-add, and a conversion to
/// halves.
template <class T>
inline constexpr bool kCanCompute = true;
#if !defined(__FMA__) && !defined(__ARM_FEATURE_FMA)
template <>
inline constexpr bool kCanCompute<float> = false;
#endif
#if !(defined(__AVX2__) && defined(__F16C__)) && !(defined(__ARM_NEON) && defined(__ARM_FP16_FORMAT_IEEE))
template <>
inline constexpr bool kCanCompute<std::uint16_t> = false;
#endif

inline void compute(const std::uint8_t* pixels, int count, const PixelScale& /*scale*/, std::uint8_t* out) {
    std::memcpy(out, pixels, static_cast<std::size_t>(count));
}

#if defined(__AVX512F__)

/// The elements of sixteen pixels.
inline __m512 compute_sixteen(__m128i bytes, const PixelScale& scale) {
    // With masks of all: GCC 12 warns of the value that it makes up for the plain form (GCC bug 105593).
    const __m512 pixel = _mm512_maskz_cvtepi32_ps(0xffff, _mm512_maskz_cvtepu8_epi32(0xffff, bytes));
    const __m512 low = _mm512_mul_ps(pixel, _mm512_set1_ps(scale.rest));
    return _mm512_fmadd_ps(pixel, _mm512_set1_ps(scale.factor), low);
}

#endif

#if defined(__AVX2__)

/// Eight elements of the eight pixels in the lower half of `bytes`.
inline __m256 compute_eight(__m128i bytes, __m256 factor, __m256 rest) {
    const __m256 pixel = _mm256_cvtepi32_ps(_mm256_cvtepu8_epi32(bytes));
    return _mm256_fmadd_ps(pixel, factor, _mm256_mul_ps(pixel, rest));
}

inline __m128i load_eight(const std::uint8_t* pixels) {
    return _mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels));
}

#endif

#if defined(__FMA__) || defined(__ARM_FEATURE_FMA)
// GCC 12 widens bytes to 32 bits by way of 16, in whole registers that it then takes apart.
inline void compute(const std::uint8_t* __restrict pixels, int count, const PixelScale& scale,
                    float* __restrict out) {
    int i = 0;
#if defined(__AVX512F__)
    for (; i + 16 <= count; i += 16) {
        const __m128i bytes = _mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels + i));
        _mm512_storeu_ps(out + i, compute_sixteen(bytes, scale));
    }
#elif defined(__AVX2__)
    const __m256 factor = _mm256_set1_ps(scale.factor);
    const __m256 rest = _mm256_set1_ps(scale.rest);
    for (; i + 8 <= count; i += 8)
        _mm256_storeu_ps(out + i, compute_eight(load_eight(pixels + i), factor, rest));
#endif
#if defined(__AVX512BW__)
    const auto rest = static_cast<__mmask16>((1U << (count - i)) - 1);
    _mm512_mask_storeu_ps(out + i, rest, compute_sixteen(_mm_maskz_loadu_epi8(rest, pixels + i), scale));
#else
    for (; i < count; ++i) {
        const auto pixel = static_cast<float>(static_cast<int>(pixels[i]));
        out[i] = __builtin_fmaf(pixel, scale.factor, pixel * scale.rest);
    }
#endif
}
#endif

#if defined(__AVX2__) && defined(__F16C__)
// Compilers do not turn a loop into vcvtps2ph. Eight at a time: sixteen take longer on Zen 4.
inline void compute(const std::uint8_t* pixels, int count, const PixelScale& scale, std::uint16_t* out) {
    const __m256 factor = _mm256_set1_ps(scale.factor);
    const __m256 rest = _mm256_set1_ps(scale.rest);
    const auto convert = [&](__m128i bytes) {
        return _mm256_cvtps_ph(compute_eight(bytes, factor, rest), _MM_FROUND_TO_NEAREST_INT);
    };
    int i = 0;
    for (; i + 8 <= count; i += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out + i), convert(load_eight(pixels + i)));
    if (i == count) return;
    alignas(16) std::uint8_t last[8] = {};
    alignas(16) std::uint16_t halves[8];
    std::memcpy(last, pixels + i, static_cast<std::size_t>(count - i));
    _mm_store_si128(reinterpret_cast<__m128i*>(halves), convert(load_eight(last)));
    std::memcpy(out + i, halves, static_cast<std::size_t>(count - i) * sizeof *out);
}
#elif defined(__ARM_NEON) && defined(__ARM_FP16_FORMAT_IEEE)
inline void compute(const std::uint8_t* pixels, int count, const PixelScale& scale, std::uint16_t* out) {
    for (int i = 0; i < count; ++i) {
        const auto pixel = static_cast<float>(static_cast<int>(pixels[i]));
        const auto half = static_cast<__fp16>(__builtin_fmaf(pixel, scale.factor, pixel * scale.rest));
        std::memcpy(out + i, &half, sizeof half);
    }
}
#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
