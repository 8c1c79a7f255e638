// lanes.h with AVX2.
#pragma once

#include <immintrin.h>

#include <cstdint>
#include <cstring>

#include "ev/arith.h"

#define EV_WIDE_LANES 1

namespace ev {
inline namespace EV_ISA {

constexpr std::int32_t kFloatLanes = 8;

struct Floats {
    __m256 raw;

    Floats() = default;
    // NOLINTBEGIN(google-explicit-constructor): a register, or a number in all lanes
    Floats(__m256 value) : raw(value) {}
    Floats(float value) : raw(_mm256_set1_ps(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

struct Ints {
    __m256i raw;

    Ints() = default;
    // NOLINTBEGIN(google-explicit-constructor)
    Ints(__m256i value) : raw(value) {}
    Ints(std::int32_t value) : raw(_mm256_set1_epi32(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

/// All bits of a lane, or none.
struct Mask {
    __m256 raw;
};

EV_INLINE __m256i first_lanes(std::int32_t n) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32(n), _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}

EV_INLINE Floats operator+(Floats a, Floats b) {
    return _mm256_add_ps(a.raw, b.raw);
}
EV_INLINE Floats operator-(Floats a, Floats b) {
    return _mm256_sub_ps(a.raw, b.raw);
}
EV_INLINE Floats operator*(Floats a, Floats b) {
    return _mm256_mul_ps(a.raw, b.raw);
}
EV_INLINE Floats operator/(Floats a, Floats b) {
    return _mm256_div_ps(a.raw, b.raw);
}

EV_INLINE Floats load(const float* from) {
    return _mm256_loadu_ps(from);
}
EV_INLINE Floats load(const Half* from) {
    return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
}
EV_INLINE Ints load(const std::int32_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
EV_INLINE Floats load_n(const float* from, std::int32_t n) {
    return _mm256_maskload_ps(from, first_lanes(n));
}
EV_INLINE Floats load_n(const Half* from, std::int32_t n) {
    Half values[kFloatLanes] = {};
    std::memcpy(values, from, static_cast<std::size_t>(n) * sizeof(Half));
    return load(values);
}
template <class T>
EV_INLINE Floats load_n_or(const T* from, std::int32_t n, float rest) {
    return _mm256_blendv_ps(_mm256_set1_ps(rest), load_n(from, n).raw, _mm256_castsi256_ps(first_lanes(n)));
}

EV_INLINE void store(float* to, Floats values) {
    _mm256_storeu_ps(to, values.raw);
}
EV_INLINE void store(std::int32_t* to, Ints values) {
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), values.raw);
}
EV_INLINE void store_n(float* to, std::int32_t n, Floats values) {
    _mm256_maskstore_ps(to, first_lanes(n), values.raw);
}
/// To an address that is a multiple of a register's size; finish_streaming before anybody else looks. Without
/// it a large result's memory is read before it is written.
EV_INLINE void stream(float* to, Floats values) {
    _mm256_stream_ps(to, values.raw);
}
EV_INLINE void finish_streaming() {
    _mm_sfence();
}

EV_INLINE Floats min(Floats a, Floats b) {
    return _mm256_min_ps(a.raw, b.raw);
}
EV_INLINE Floats max(Floats a, Floats b) {
    return _mm256_max_ps(a.raw, b.raw);
}
EV_INLINE Floats greater_of(Floats a, Floats b) {
    return max(a, b);
}
EV_INLINE Floats negative_magnitude(Floats x) {
    return _mm256_or_ps(x.raw, _mm256_set1_ps(-0.0F));
}
EV_INLINE Floats scaled_by_power(Floats value, Floats shifted, float to_nearest) {
    const __m256i bias = _mm256_set1_epi32(127);
    const __m256i whole =
        _mm256_sub_epi32(_mm256_castps_si256(shifted.raw), _mm256_castps_si256(_mm256_set1_ps(to_nearest)));
    const __m256i half = _mm256_sub_epi32(
        _mm256_srli_epi32(_mm256_add_epi32(whole, _mm256_set1_epi32(256)), 1), _mm256_set1_epi32(128));
    const __m256i first = _mm256_slli_epi32(_mm256_add_epi32(half, bias), 23);
    const __m256i second = _mm256_slli_epi32(_mm256_add_epi32(_mm256_sub_epi32(whole, half), bias), 23);
    return (value * _mm256_castsi256_ps(first)) * _mm256_castsi256_ps(second);
}

EV_INLINE Mask greater(Floats a, Floats b) {
    return {_mm256_cmp_ps(a.raw, b.raw, _CMP_GT_OQ)};
}
EV_INLINE Mask equal(Ints a, Ints b) {
    return {_mm256_castsi256_ps(_mm256_cmpeq_epi32(a.raw, b.raw))};
}
EV_INLINE Mask finite_lanes(Floats a) {
    return {_mm256_cmp_ps((a - a).raw, _mm256_setzero_ps(), _CMP_EQ_OQ)};
}
EV_INLINE Floats if_then_else(Mask mask, Floats a, Floats b) {
    return _mm256_blendv_ps(b.raw, a.raw, mask.raw);
}
EV_INLINE Ints if_then_else(Mask mask, Ints a, Ints b) {
    return _mm256_blendv_epi8(b.raw, a.raw, _mm256_castps_si256(mask.raw));
}
EV_INLINE bool any(Mask mask) {
    return _mm256_movemask_ps(mask.raw) != 0;
}

EV_INLINE std::int32_t table_index(std::int32_t lane) {
    return lane;
}
EV_INLINE Floats table_lookup(Floats table, Ints lanes) {
    return _mm256_permutevar8x32_ps(table.raw, lanes.raw);
}
EV_INLINE Floats table_lookup(Floats table, const std::int32_t* at) {
    return table_lookup(table, load(at));
}
EV_INLINE Ints table_lookup(Ints table, const std::int32_t* at) {
    return _mm256_permutevar8x32_epi32(table.raw, load(at).raw);
}
EV_INLINE Ints operator-(Ints a, Ints b) {
    return _mm256_sub_epi32(a.raw, b.raw);
}

/// Of each lane the number at its index, and the one after that.
EV_INLINE void load_pairs(const float* from, const std::int32_t* at, Floats* first, Floats* second) {
    const auto four = [&](int i) {
        const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + at[i]));
        return _mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(from + at[i + 1]));
    };
    const __m256 a = _mm256_insertf128_ps(_mm256_castps128_ps256(four(0)), four(4), 1);
    const __m256 b = _mm256_insertf128_ps(_mm256_castps128_ps256(four(2)), four(6), 1);
    *first = _mm256_shuffle_ps(a, b, 0x88);
    *second = _mm256_shuffle_ps(a, b, 0xdd);
}

EV_INLINE std::uint32_t bits_from_mask(Mask mask) {
    return static_cast<std::uint32_t>(_mm256_movemask_ps(mask.raw));
}
/// 1 where a bit is set, else 0.
EV_INLINE Floats spread_bits(std::uint32_t bits) {
    const __m256i own = _mm256_setr_epi32(1, 2, 4, 8, 16, 32, 64, 128);
    const __m256i kept = _mm256_and_si256(_mm256_set1_epi32(static_cast<int>(bits)), own);
    const __m256 set = _mm256_castsi256_ps(_mm256_cmpeq_epi32(kept, own));
    return _mm256_and_ps(set, _mm256_set1_ps(1.0F));
}
/// The first n bits as bytes 0 and 1.
EV_INLINE void store_bits(std::uint8_t* to, std::uint32_t bits, std::int32_t n) {
    // Each byte gets all bits, keeps its own, and is 1 if that is not 0.
    const __m128i own = _mm_set1_epi64x(static_cast<std::int64_t>(0x8040201008040201U));
    const __m128i kept = _mm_and_si128(_mm_set1_epi8(static_cast<char>(bits)), own);
    const __m128i bytes = _mm_min_epu8(kept, _mm_set1_epi8(1));
    if (n == kFloatLanes) {
        _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
        return;
    }
    auto left = static_cast<std::uint64_t>(_mm_cvtsi128_si64(bytes));
    if ((n & 4) != 0) {
        std::memcpy(to, &left, 4);
        to += 4;
        left >>= 32;
    }
    if ((n & 2) != 0) {
        std::memcpy(to, &left, 2);
        to += 2;
        left >>= 16;
    }
    if ((n & 1) != 0) *to = static_cast<std::uint8_t>(left);
}
/// A register's lanes as bytes 0 and 1.
EV_INLINE void store_mask(std::uint8_t* to, Mask mask) {
    const __m256i lanes = _mm256_castps_si256(mask.raw);
    const __m128i words = _mm_packs_epi32(_mm256_castsi256_si128(lanes), _mm256_extracti128_si256(lanes, 1));
    const __m128i bytes = _mm_and_si128(_mm_packs_epi16(words, words), _mm_set1_epi8(1));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(to), bytes);
}
/// Four registers' lanes as bytes 0 and 1.
EV_INLINE void store_masks(std::uint8_t* to, const Mask masks[4]) {
    const auto lanes = [&](int i) { return _mm256_castps_si256(masks[i].raw); };
    // Packing joins the halves of 128-bit lanes: the fours of lanes come out as 0, 2, 4, 6 and 1, 3, 5, 7.
    const __m256i packed =
        _mm256_packs_epi16(_mm256_packs_epi32(lanes(0), lanes(1)), _mm256_packs_epi32(lanes(2), lanes(3)));
    const __m256i fours = _mm256_setr_epi32(0, 4, 1, 5, 2, 6, 3, 7);
    const __m256i bytes = _mm256_and_si256(_mm256_permutevar8x32_epi32(packed, fours), _mm256_set1_epi8(1));
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
}

}  // namespace EV_ISA
}  // namespace ev
