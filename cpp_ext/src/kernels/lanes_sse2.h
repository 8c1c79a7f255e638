// lanes.h with SSE2.
#pragma once

#include <emmintrin.h>

#include <cstdint>

#include "ev/arith.h"

namespace ev {
inline namespace EV_ISA {

constexpr std::int32_t kFloatLanes = 4;

struct Floats {
    __m128 raw;

    Floats() = default;
    // NOLINTBEGIN(google-explicit-constructor): a register, or a number in all lanes
    Floats(__m128 value) : raw(value) {}
    Floats(float value) : raw(_mm_set1_ps(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

struct Ints {
    __m128i raw;

    Ints() = default;
    // NOLINTBEGIN(google-explicit-constructor)
    Ints(__m128i value) : raw(value) {}
    Ints(std::int32_t value) : raw(_mm_set1_epi32(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

/// All bits of a lane, or none.
struct Mask {
    __m128 raw;
};

EV_INLINE Floats operator+(Floats a, Floats b) {
    return _mm_add_ps(a.raw, b.raw);
}
EV_INLINE Floats operator-(Floats a, Floats b) {
    return _mm_sub_ps(a.raw, b.raw);
}
EV_INLINE Floats operator*(Floats a, Floats b) {
    return _mm_mul_ps(a.raw, b.raw);
}
EV_INLINE Floats operator/(Floats a, Floats b) {
    return _mm_div_ps(a.raw, b.raw);
}

EV_INLINE Floats load(const float* from) {
    return _mm_loadu_ps(from);
}
EV_INLINE Floats load(const Half* from) {
    return _mm_setr_ps(to_float(from[0]), to_float(from[1]), to_float(from[2]), to_float(from[3]));
}
EV_INLINE Ints load(const std::int32_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}

EV_INLINE void store(float* to, Floats values) {
    _mm_storeu_ps(to, values.raw);
}
EV_INLINE void store(std::int32_t* to, Ints values) {
    _mm_storeu_si128(reinterpret_cast<__m128i*>(to), values.raw);
}

EV_INLINE Floats min(Floats a, Floats b) {
    return _mm_min_ps(a.raw, b.raw);
}
EV_INLINE Floats max(Floats a, Floats b) {
    return _mm_max_ps(a.raw, b.raw);
}
EV_INLINE Floats greater_of(Floats a, Floats b) {
    return max(a, b);
}
EV_INLINE Floats negative_magnitude(Floats x) {
    return _mm_or_ps(x.raw, _mm_set1_ps(-0.0F));
}
EV_INLINE Floats scaled_by_power(Floats value, Floats shifted, float to_nearest) {
    const __m128i bias = _mm_set1_epi32(127);
    const __m128i whole =
        _mm_sub_epi32(_mm_castps_si128(shifted.raw), _mm_castps_si128(_mm_set1_ps(to_nearest)));
    const __m128i half =
        _mm_sub_epi32(_mm_srli_epi32(_mm_add_epi32(whole, _mm_set1_epi32(256)), 1), _mm_set1_epi32(128));
    const __m128i first = _mm_slli_epi32(_mm_add_epi32(half, bias), 23);
    const __m128i second = _mm_slli_epi32(_mm_add_epi32(_mm_sub_epi32(whole, half), bias), 23);
    return (value * _mm_castsi128_ps(first)) * _mm_castsi128_ps(second);
}

EV_INLINE Mask greater(Floats a, Floats b) {
    return {_mm_cmpgt_ps(a.raw, b.raw)};
}
EV_INLINE Mask equal(Ints a, Ints b) {
    return {_mm_castsi128_ps(_mm_cmpeq_epi32(a.raw, b.raw))};
}
EV_INLINE Mask finite_lanes(Floats a) {
    return {_mm_cmpeq_ps((a - a).raw, _mm_setzero_ps())};
}
EV_INLINE Floats if_then_else(Mask mask, Floats a, Floats b) {
    return _mm_or_ps(_mm_and_ps(mask.raw, a.raw), _mm_andnot_ps(mask.raw, b.raw));
}
EV_INLINE Ints if_then_else(Mask mask, Ints a, Ints b) {
    return _mm_castps_si128(
        if_then_else(mask, Floats(_mm_castsi128_ps(a.raw)), Floats(_mm_castsi128_ps(b.raw))).raw);
}
EV_INLINE bool any(Mask mask) {
    return _mm_movemask_ps(mask.raw) != 0;
}

EV_INLINE std::int32_t table_index(std::int32_t lane) {
    return lane;
}
EV_INLINE Floats table_lookup(Floats table, const std::int32_t* at) {
    float lanes[kFloatLanes];
    store(lanes, table);
    return _mm_setr_ps(lanes[at[0]], lanes[at[1]], lanes[at[2]], lanes[at[3]]);
}
EV_INLINE Ints table_lookup(Ints table, const std::int32_t* at) {
    return _mm_castps_si128(table_lookup(Floats(_mm_castsi128_ps(table.raw)), at).raw);
}

}  // namespace EV_ISA
}  // namespace ev

#include "lanes_four.h"
