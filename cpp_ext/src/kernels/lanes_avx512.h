// lanes.h with AVX-512.
#pragma once

// GCC 12 takes its own "undefined" operands for mistakes (https://gcc.gnu.org/PR105593); CMakeLists.txt turns
// off the other warning of it, and a mask of all lanes avoids both at no cost.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop

#include <cstdint>

#include "ev/arith.h"

#define EV_WIDE_LANES 1

namespace ev {
inline namespace EV_ISA {

constexpr std::int32_t kFloatLanes = 16;

struct Floats {
    __m512 raw;

    Floats() = default;
    // NOLINTBEGIN(google-explicit-constructor): a register, or a number in all lanes
    Floats(__m512 value) : raw(value) {}
    Floats(float value) : raw(_mm512_set1_ps(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

struct Ints {
    __m512i raw;

    Ints() = default;
    // NOLINTBEGIN(google-explicit-constructor)
    Ints(__m512i value) : raw(value) {}
    Ints(std::int32_t value) : raw(_mm512_set1_epi32(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

using Mask = __mmask16;

constexpr Mask kAllLanes = 0xffff;

EV_INLINE Mask first_lanes(std::int32_t n) {
    return static_cast<Mask>((1U << n) - 1U);
}

EV_INLINE Floats operator+(Floats a, Floats b) {
    return _mm512_add_ps(a.raw, b.raw);
}
EV_INLINE Floats operator-(Floats a, Floats b) {
    return _mm512_sub_ps(a.raw, b.raw);
}
EV_INLINE Floats operator*(Floats a, Floats b) {
    return _mm512_mul_ps(a.raw, b.raw);
}
EV_INLINE Floats operator/(Floats a, Floats b) {
    return _mm512_div_ps(a.raw, b.raw);
}

EV_INLINE Floats load(const float* from) {
    return _mm512_loadu_ps(from);
}
EV_INLINE Floats load(const Half* from) {
    return _mm512_maskz_cvtph_ps(kAllLanes, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
}
EV_INLINE Ints load(const std::int32_t* from) {
    return _mm512_loadu_si512(from);
}
EV_INLINE Floats load_n(const float* from, std::int32_t n) {
    return _mm512_maskz_loadu_ps(first_lanes(n), from);
}
EV_INLINE Floats load_n(const Half* from, std::int32_t n) {
    return _mm512_maskz_cvtph_ps(kAllLanes, _mm256_maskz_loadu_epi16(first_lanes(n), from));
}
template <class T>
EV_INLINE Floats load_n_or(const T* from, std::int32_t n, float rest) {
    return _mm512_mask_mov_ps(_mm512_set1_ps(rest), first_lanes(n), load_n(from, n).raw);
}

EV_INLINE void store(float* to, Floats values) {
    _mm512_storeu_ps(to, values.raw);
}
EV_INLINE void store(std::int32_t* to, Ints values) {
    _mm512_storeu_si512(to, values.raw);
}
EV_INLINE void store_n(float* to, std::int32_t n, Floats values) {
    _mm512_mask_storeu_ps(to, first_lanes(n), values.raw);
}
/// To an address that is a multiple of a register's size; finish_streaming before anybody else looks. Without
/// it a large result's memory is read before it is written.
EV_INLINE void stream(float* to, Floats values) {
    _mm512_stream_ps(to, values.raw);
}
EV_INLINE void finish_streaming() {
    _mm_sfence();
}

EV_INLINE Floats min(Floats a, Floats b) {
    return _mm512_maskz_min_ps(kAllLanes, a.raw, b.raw);
}
EV_INLINE Floats max(Floats a, Floats b) {
    return _mm512_maskz_max_ps(kAllLanes, a.raw, b.raw);
}
EV_INLINE Floats greater_of(Floats a, Floats b) {
    return max(a, b);
}
EV_INLINE Floats negative_magnitude(Floats x) {
    return _mm512_or_ps(x.raw, _mm512_set1_ps(-0.0F));
}
EV_INLINE Floats scaled_by_power(Floats value, Floats shifted, float to_nearest) {
    return _mm512_maskz_scalef_ps(kAllLanes, value.raw, (shifted - to_nearest).raw);
}

EV_INLINE Mask greater(Floats a, Floats b) {
    return _mm512_cmp_ps_mask(a.raw, b.raw, _CMP_GT_OQ);
}
EV_INLINE Mask equal(Ints a, Ints b) {
    return _mm512_cmpeq_epi32_mask(a.raw, b.raw);
}
EV_INLINE Mask finite_lanes(Floats a) {
    constexpr int classes = 0x99;  // quiet and signalling NaN, infinities
    return static_cast<Mask>(~_mm512_fpclass_ps_mask(a.raw, classes));
}
EV_INLINE Floats if_then_else(Mask mask, Floats a, Floats b) {
    return _mm512_mask_blend_ps(mask, b.raw, a.raw);
}
EV_INLINE Ints if_then_else(Mask mask, Ints a, Ints b) {
    return _mm512_mask_blend_epi32(mask, b.raw, a.raw);
}
EV_INLINE bool any(Mask mask) {
    return mask != 0;
}

EV_INLINE std::int32_t table_index(std::int32_t lane) {
    return lane;
}
EV_INLINE Floats table_lookup(Floats table, Ints lanes) {
    return _mm512_maskz_permutexvar_ps(kAllLanes, lanes.raw, table.raw);
}
EV_INLINE Floats table_lookup(Floats table, const std::int32_t* at) {
    return table_lookup(table, load(at));
}
EV_INLINE Ints table_lookup(Ints table, const std::int32_t* at) {
    return _mm512_maskz_permutexvar_epi32(kAllLanes, load(at).raw, table.raw);
}
EV_INLINE Ints operator-(Ints a, Ints b) {
    return _mm512_sub_epi32(a.raw, b.raw);
}

/// Of each lane the number at its index, and the one after that.
EV_INLINE void load_pairs(const float* from, const std::int32_t* at, Floats* first, Floats* second) {
    const auto four = [&](int i) {
        const __m128i low = _mm_loadl_epi64(reinterpret_cast<const __m128i*>(from + at[i]));
        return _mm_loadh_pi(_mm_castsi128_ps(low), reinterpret_cast<const __m64*>(from + at[i + 1]));
    };
    const auto sixteen = [&](int i) {
        __m512 found = _mm512_castps128_ps512(four(i));
        found = _mm512_insertf32x4(found, four(i + 4), 1);
        found = _mm512_insertf32x4(found, four(i + 8), 2);
        return _mm512_insertf32x4(found, four(i + 12), 3);
    };
    const __m512 a = sixteen(0);
    const __m512 b = sixteen(2);
    *first = _mm512_maskz_shuffle_ps(kAllLanes, a, b, 0x88);
    *second = _mm512_maskz_shuffle_ps(kAllLanes, a, b, 0xdd);
}

EV_INLINE std::uint32_t bits_from_mask(Mask mask) {
    return mask;
}
/// 1 where a bit is set, else 0.
EV_INLINE Floats spread_bits(std::uint32_t bits) {
    return _mm512_maskz_mov_ps(static_cast<Mask>(bits), _mm512_set1_ps(1.0F));
}
/// The first n bits as bytes 0 and 1.
EV_INLINE void store_bits(std::uint8_t* to, std::uint32_t bits, std::int32_t n) {
    const __m128i bytes = _mm_maskz_set1_epi8(static_cast<Mask>(bits), 1);
    if (n == kFloatLanes) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    } else {
        _mm_mask_storeu_epi8(to, first_lanes(n), bytes);
    }
}
/// A register's lanes as bytes 0 and 1.
EV_INLINE void store_mask(std::uint8_t* to, Mask mask) {
    store_bits(to, mask, kFloatLanes);
}
/// Four registers' lanes as bytes 0 and 1.
EV_INLINE void store_masks(std::uint8_t* to, const Mask masks[4]) {
    const auto word = [&](int i) { return std::uint64_t{masks[i + 1]} << 16 | masks[i]; };
    _mm512_storeu_si512(to, _mm512_maskz_set1_epi8(word(2) << 32 | word(0), 1));
}

}  // namespace EV_ISA
}  // namespace ev
