// Vectors of floats as the masks kernels use them: parts of rows read, a permutation, pixels above a
// threshold written. Only for instruction sets whose compilers do not find these themselves.
#pragma once

#include <cstdint>
#include <cstring>

#include "ev/arith.h"

#if defined(__AVX2__)
#include <immintrin.h>
#define EV_HAVE_LANES 1
#endif

namespace ev {
inline namespace EV_ISA {

#if defined(__AVX512BW__)

constexpr std::int32_t kFloatLanes = 16;
using FloatLanes = __m512;
using LaneMask = __mmask16;

// Where GCC 12's unmasked forms begin with a vector that it then says is not initialised.
constexpr LaneMask kAllLanes = 0xffff;

EV_INLINE LaneMask first_lanes(std::int32_t count) {
    return static_cast<LaneMask>((1U << count) - 1U);
}

EV_INLINE FloatLanes load_lanes(const float* from) {
    return _mm512_loadu_ps(from);
}

EV_INLINE FloatLanes load_lanes(const Half* from) {
    return _mm512_maskz_cvtph_ps(kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}

/// The first `count`, 0 to kFloatLanes; zeros after them.
EV_INLINE FloatLanes load_lanes(const float* from, std::int32_t count) {
    return _mm512_maskz_loadu_ps(first_lanes(count), from);
}

EV_INLINE FloatLanes load_lanes(const Half* from, std::int32_t count) {
    return _mm512_maskz_cvtph_ps(kAllLanes, _mm256_maskz_loadu_epi16(first_lanes(count), from));
}

EV_INLINE void store_lanes(float* to, FloatLanes values) {
    _mm512_storeu_ps(to, values);
}

EV_INLINE void store_lanes(float* to, FloatLanes values, std::int32_t count) {
    _mm512_mask_storeu_ps(to, first_lanes(count), values);
}

EV_INLINE FloatLanes fill_lanes(float value) {
    return _mm512_set1_ps(value);
}

/// values[index[i] - base] for each lane; the differences are 0 to kFloatLanes - 1 where the result is used.
EV_INLINE FloatLanes pick_lanes(FloatLanes values, const std::int32_t* index, std::int32_t base) {
    const __m512i lanes = _mm512_sub_epi32(_mm512_loadu_si512(index), _mm512_set1_epi32(base));
    return _mm512_maskz_permutexvar_ps(kAllLanes, lanes, values);
}

EV_INLINE FloatLanes least_lanes(FloatLanes a, FloatLanes b) {
    return _mm512_maskz_min_ps(kAllLanes, a, b);
}

EV_INLINE FloatLanes greatest_lanes(FloatLanes a, FloatLanes b) {
    return _mm512_maskz_max_ps(kAllLanes, a, b);
}

/// 1 where a bit is set, the first the lowest, else 0.
EV_INLINE FloatLanes spread_bits(std::uint32_t bits) {
    return _mm512_maskz_mov_ps(static_cast<LaneMask>(bits), _mm512_set1_ps(1.0F));
}

/// A bit for each lane above the threshold, the first the lowest.
EV_INLINE std::uint32_t lanes_above(FloatLanes values, FloatLanes threshold) {
    return _mm512_cmp_ps_mask(values, threshold, _CMP_GT_OQ);
}

/// The first `count` bits as bytes 0 and 1.
EV_INLINE void store_bits(std::uint8_t* to, std::uint32_t bits, std::int32_t count) {
    const __m128i bytes = _mm_maskz_set1_epi8(static_cast<LaneMask>(bits), 1);
    if (count == kFloatLanes) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    } else {
        _mm_mask_storeu_epi8(to, first_lanes(count), bytes);
    }
}

#elif defined(__AVX2__)

constexpr std::int32_t kFloatLanes = 8;
using FloatLanes = __m256;

EV_INLINE __m256i first_lanes(std::int32_t count) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(count), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

EV_INLINE FloatLanes load_lanes(const float* from) {
    return _mm256_loadu_ps(from);
}

EV_INLINE FloatLanes load_lanes(const Half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}

/// The first `count`, 0 to kFloatLanes; zeros after them.
EV_INLINE FloatLanes load_lanes(const float* from, std::int32_t count) {
    return _mm256_maskload_ps(from, first_lanes(count));
}

EV_INLINE FloatLanes load_lanes(const Half* from, std::int32_t count) {
    Half values[kFloatLanes] = {};
    std::memcpy(values, from, static_cast<std::size_t>(count) * sizeof(Half));
    return load_lanes(values);
}

EV_INLINE void store_lanes(float* to, FloatLanes values) {
    _mm256_storeu_ps(to, values);
}

EV_INLINE void store_lanes(float* to, FloatLanes values, std::int32_t count) {
    _mm256_maskstore_ps(to, first_lanes(count), values);
}

EV_INLINE FloatLanes fill_lanes(float value) {
    return _mm256_set1_ps(value);
}

/// values[index[i] - base] for each lane; the differences are 0 to kFloatLanes - 1 where the result is used.
EV_INLINE FloatLanes pick_lanes(FloatLanes values, const std::int32_t* index, std::int32_t base) {
    const __m256i from = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(index));
    return _mm256_permutevar8x32_ps(values, _mm256_sub_epi32(from, _mm256_set1_epi32(base)));
}

EV_INLINE FloatLanes least_lanes(FloatLanes a, FloatLanes b) {
    return _mm256_min_ps(a, b);
}

EV_INLINE FloatLanes greatest_lanes(FloatLanes a, FloatLanes b) {
    return _mm256_max_ps(a, b);
}

/// 1 where a bit is set, the first the lowest, else 0.
EV_INLINE FloatLanes spread_bits(std::uint32_t bits) {
    const __m256i own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i kept = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), own);
    const __m256 set = _mm256_castsi256_ps(_mm256_cmpeq_epi32(kept, own));
    return _mm256_and_ps(set, _mm256_set1_ps(1.0F));
}

/// A bit for each lane above the threshold, the first the lowest.
EV_INLINE std::uint32_t lanes_above(FloatLanes values, FloatLanes threshold) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(_mm256_cmp_ps(values, threshold, _CMP_GT_OQ)));
}

/// The first `count` bits as bytes 0 and 1.
EV_INLINE void store_bits(std::uint8_t* to, std::uint32_t bits, std::int32_t count) {
    // Each byte gets all bits, keeps its own, and is 1 if that is not 0.
    const __m128i own = _mm_set1_epi64x(static_cast<std::int64_t>(0x8040201008040201U));
    const __m128i kept = _mm_and_si128(_mm_set1_epi8(static_cast<char>(bits)), own);
    const __m128i bytes = _mm_min_epu8(kept, _mm_set1_epi8(1));
    if (count == kFloatLanes) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
        return;
    }
    auto left = static_cast<std::uint64_t>(_mm_cvtsi128_si64(bytes));
    if ((count & 4) != 0) {
        std::memcpy(to, &left, 4);
        to += 4;
        left >>= 32;
    }
    if ((count & 2) != 0) {
        std::memcpy(to, &left, 2);
        to += 2;
        left >>= 16;
    }
    if ((count & 1) != 0) *to = static_cast<std::uint8_t>(left);
}

#else

// Mask columns that are interpolated together, from no more source columns.
constexpr std::int32_t kFloatLanes = 8;

#endif

}  // namespace EV_ISA
}  // namespace ev
