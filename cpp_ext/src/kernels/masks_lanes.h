// The vectors that label maps are computed in: one type an instruction set, with the same operations.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ev/arith.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ev {
inline namespace EV_ISA {

// Every type of lanes has:
//   kCount             lanes of a vector
//   load, store, fill  unaligned; float16 is widened
//   prefetch           of what is read soon
//   index(i)           how an index names lane i
//   pick(window, at)   lane at[i] of the window, for each i
//   lesser, larger     of two numbers; either where one is NaN
//   greater, equal     lane by lane; false for NaN
//   finite             neither infinite nor NaN
//   select, any        of such a comparison
// and add and multiply round once each, as a + b and a * b do.
#if defined(EV_PLAIN_LANES) || !(defined(__SSE2__) || defined(_M_X64) || defined(__aarch64__))

/// Loops over arrays, for a compiler to make vectors of.
struct Lanes {
    static constexpr std::int32_t kCount = 16;
    template <class T>
    struct Array {
        T lane[kCount];
    };
    using Floats = Array<float>;
    using Ints = Array<std::int32_t>;
    using Mask = Array<std::int32_t>;  // all bits or none

    template <class Result, class Function>
    static Result map(Function&& function) {
        Result result;
        for (std::int32_t i = 0; i < kCount; ++i) result.lane[i] = function(i);
        return result;
    }
    static std::int32_t all_if(bool condition) { return -static_cast<std::int32_t>(condition); }

    template <class T>
    static Floats load(const T* from) {
        return map<Floats>([&](std::int32_t i) { return to_float(from[i]); });
    }
    static Ints load(const std::int32_t* from) {
        return map<Ints>([&](std::int32_t i) { return from[i]; });
    }
    template <class T>
    static void store(T* to, const Array<T>& values) {
        std::copy_n(values.lane, kCount, to);
    }
    static Floats fill(float value) {
        return map<Floats>([&](std::int32_t) { return value; });
    }
    static Ints fill(std::int32_t value) {
        return map<Ints>([&](std::int32_t) { return value; });
    }
    static void prefetch(const void*) {}
    static std::int32_t index(std::int32_t lane) { return lane; }
    template <class T>
    static Array<T> pick(const Array<T>& window, const std::int32_t* at) {
        return map<Array<T>>([&](std::int32_t i) { return window.lane[at[i]]; });
    }
    static Floats add(const Floats& a, const Floats& b) {
        return map<Floats>([&](std::int32_t i) { return a.lane[i] + b.lane[i]; });
    }
    static Floats multiply(const Floats& a, const Floats& b) {
        return map<Floats>([&](std::int32_t i) { return a.lane[i] * b.lane[i]; });
    }
    static Floats lesser(const Floats& a, const Floats& b) {
        return map<Floats>([&](std::int32_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
    }
    static Floats larger(const Floats& a, const Floats& b) {
        return map<Floats>([&](std::int32_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
    }
    static Mask greater(const Floats& a, const Floats& b) {
        return map<Mask>([&](std::int32_t i) { return all_if(a.lane[i] > b.lane[i]); });
    }
    static Mask equal(const Ints& a, const Ints& b) {
        return map<Mask>([&](std::int32_t i) { return all_if(a.lane[i] == b.lane[i]); });
    }
    static Mask finite(const Floats& a) {
        return map<Mask>([&](std::int32_t i) { return all_if(is_finite(a.lane[i])); });
    }
    static Floats select(const Mask& mask, const Floats& a, const Floats& b) {
        return map<Floats>(
            [&](std::int32_t i) { return ev::select(mask.lane[i] != 0, a.lane[i], b.lane[i]); });
    }
    static Ints select(const Mask& mask, const Ints& a, const Ints& b) {
        return map<Ints>(
            [&](std::int32_t i) { return (a.lane[i] & mask.lane[i]) | (b.lane[i] & ~mask.lane[i]); });
    }
    static bool any(const Mask& mask) {
        std::int32_t bits = 0;
        for (const std::int32_t lane : mask.lane) bits |= lane;
        return bits != 0;
    }
};

#elif defined(__AVX512BW__)

// A mask of ones costs nothing: GCC 12 warns that the forms without one read an undefined vector.
struct Lanes {
    static constexpr std::int32_t kCount = 16;
    using Floats = __m512;
    using Ints = __m512i;
    using Mask = __mmask16;

    static Floats load(const float* from) { return _mm512_loadu_ps(from); }
    static Floats load(const Half* from) {
        return _mm512_maskz_cvtph_ps(0xffff, _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static Ints load(const std::int32_t* from) { return _mm512_loadu_si512(from); }
    static void store(float* to, Floats values) { _mm512_storeu_ps(to, values); }
    static void store(std::int32_t* to, Ints values) { _mm512_storeu_si512(to, values); }
    static Floats fill(float value) { return _mm512_set1_ps(value); }
    static Ints fill(std::int32_t value) { return _mm512_set1_epi32(value); }
    static void prefetch(const void* from) { _mm_prefetch(static_cast<const char*>(from), _MM_HINT_T1); }
    static std::int32_t index(std::int32_t lane) { return lane; }
    static Floats pick(Floats window, const std::int32_t* at) {
        return _mm512_maskz_permutexvar_ps(0xffff, load(at), window);
    }
    static Ints pick(Ints window, const std::int32_t* at) {
        return _mm512_maskz_permutexvar_epi32(0xffff, load(at), window);
    }
    static Floats add(Floats a, Floats b) { return _mm512_add_ps(a, b); }
    static Floats multiply(Floats a, Floats b) { return _mm512_mul_ps(a, b); }
    static Floats lesser(Floats a, Floats b) { return _mm512_maskz_min_ps(0xffff, a, b); }
    static Floats larger(Floats a, Floats b) { return _mm512_maskz_max_ps(0xffff, a, b); }
    static Mask greater(Floats a, Floats b) { return _mm512_cmp_ps_mask(a, b, _CMP_GT_OQ); }
    static Mask equal(Ints a, Ints b) { return _mm512_cmpeq_epi32_mask(a, b); }
    static Mask finite(Floats a) {
        return static_cast<Mask>(~_mm512_fpclass_ps_mask(a, 0x99));  // quiet and signalling NaN, infinities
    }
    static Floats select(Mask mask, Floats a, Floats b) { return _mm512_mask_blend_ps(mask, b, a); }
    static Ints select(Mask mask, Ints a, Ints b) { return _mm512_mask_blend_epi32(mask, b, a); }
    static bool any(Mask mask) { return mask != 0; }
};

#elif defined(__AVX2__)

struct Lanes {
    static constexpr std::int32_t kCount = 8;
    using Floats = __m256;
    using Ints = __m256i;
    using Mask = __m256;

    static Floats load(const float* from) { return _mm256_loadu_ps(from); }
    static Floats load(const Half* from) {
        return _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    static Ints load(const std::int32_t* from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    }
    static void store(float* to, Floats values) { _mm256_storeu_ps(to, values); }
    static void store(std::int32_t* to, Ints values) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), values);
    }
    static Floats fill(float value) { return _mm256_set1_ps(value); }
    static Ints fill(std::int32_t value) { return _mm256_set1_epi32(value); }
    static void prefetch(const void* from) { _mm_prefetch(static_cast<const char*>(from), _MM_HINT_T1); }
    static std::int32_t index(std::int32_t lane) { return lane; }
    static Floats pick(Floats window, const std::int32_t* at) {
        return _mm256_permutevar8x32_ps(window, load(at));
    }
    static Ints pick(Ints window, const std::int32_t* at) {
        return _mm256_permutevar8x32_epi32(window, load(at));
    }
    static Floats add(Floats a, Floats b) { return _mm256_add_ps(a, b); }
    static Floats multiply(Floats a, Floats b) { return _mm256_mul_ps(a, b); }
    static Floats lesser(Floats a, Floats b) { return _mm256_min_ps(a, b); }
    static Floats larger(Floats a, Floats b) { return _mm256_max_ps(a, b); }
    static Mask greater(Floats a, Floats b) { return _mm256_cmp_ps(a, b, _CMP_GT_OQ); }
    static Mask equal(Ints a, Ints b) { return _mm256_castsi256_ps(_mm256_cmpeq_epi32(a, b)); }
    static Mask finite(Floats a) {
        return _mm256_cmp_ps(_mm256_sub_ps(a, a), _mm256_setzero_ps(), _CMP_EQ_OQ);
    }
    static Floats select(Mask mask, Floats a, Floats b) { return _mm256_blendv_ps(b, a, mask); }
    static Ints select(Mask mask, Ints a, Ints b) {
        return _mm256_blendv_epi8(b, a, _mm256_castps_si256(mask));
    }
    static bool any(Mask mask) { return _mm256_movemask_ps(mask) != 0; }
};

#elif defined(__SSE2__) || defined(_M_X64)

struct Lanes {
    static constexpr std::int32_t kCount = 4;
    using Floats = __m128;
    using Ints = __m128i;
    using Mask = __m128;

    static Floats load(const float* from) { return _mm_loadu_ps(from); }
    static Floats load(const Half* from) {
        return _mm_setr_ps(to_float(from[0]), to_float(from[1]), to_float(from[2]), to_float(from[3]));
    }
    static Ints load(const std::int32_t* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    }
    static void store(float* to, Floats values) { _mm_storeu_ps(to, values); }
    static void store(std::int32_t* to, Ints values) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), values);
    }
    static Floats fill(float value) { return _mm_set1_ps(value); }
    static Ints fill(std::int32_t value) { return _mm_set1_epi32(value); }
    static void prefetch(const void* from) { _mm_prefetch(static_cast<const char*>(from), _MM_HINT_T1); }
    static std::int32_t index(std::int32_t lane) { return lane; }
    static Floats pick(Floats window, const std::int32_t* at) {
        float lane[kCount];
        store(lane, window);
        return _mm_setr_ps(lane[at[0]], lane[at[1]], lane[at[2]], lane[at[3]]);
    }
    static Ints pick(Ints window, const std::int32_t* at) {
        return _mm_castps_si128(pick(_mm_castsi128_ps(window), at));
    }
    static Floats add(Floats a, Floats b) { return _mm_add_ps(a, b); }
    static Floats multiply(Floats a, Floats b) { return _mm_mul_ps(a, b); }
    static Floats lesser(Floats a, Floats b) { return _mm_min_ps(a, b); }
    static Floats larger(Floats a, Floats b) { return _mm_max_ps(a, b); }
    static Mask greater(Floats a, Floats b) { return _mm_cmpgt_ps(a, b); }
    static Mask equal(Ints a, Ints b) { return _mm_castsi128_ps(_mm_cmpeq_epi32(a, b)); }
    static Mask finite(Floats a) { return _mm_cmpeq_ps(_mm_sub_ps(a, a), _mm_setzero_ps()); }
    static Floats select(Mask mask, Floats a, Floats b) {
        return _mm_or_ps(_mm_and_ps(mask, a), _mm_andnot_ps(mask, b));
    }
    static Ints select(Mask mask, Ints a, Ints b) {
        return _mm_castps_si128(select(mask, _mm_castsi128_ps(a), _mm_castsi128_ps(b)));
    }
    static bool any(Mask mask) { return _mm_movemask_ps(mask) != 0; }
};

#else

struct Lanes {
    static constexpr std::int32_t kCount = 4;
    using Floats = float32x4_t;
    using Ints = int32x4_t;
    using Mask = uint32x4_t;

    static Floats load(const float* from) { return vld1q_f32(from); }
    static Floats load(const Half* from) { return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits))); }
    static Ints load(const std::int32_t* from) { return vld1q_s32(from); }
    static void store(float* to, Floats values) { vst1q_f32(to, values); }
    static void store(std::int32_t* to, Ints values) { vst1q_s32(to, values); }
    static Floats fill(float value) { return vdupq_n_f32(value); }
    static Ints fill(std::int32_t value) { return vdupq_n_s32(value); }
    static void prefetch(const void* from) { __builtin_prefetch(from, 0, 2); }
    /// The four bytes of a lane, as the table instruction counts them.
    static std::int32_t index(std::int32_t lane) { return lane * 0x04040404 + 0x03020100; }
    static Floats pick(Floats window, const std::int32_t* at) {
        return vreinterpretq_f32_s32(pick(vreinterpretq_s32_f32(window), at));
    }
    static Ints pick(Ints window, const std::int32_t* at) {
        const uint8x16_t bytes = vreinterpretq_u8_s32(load(at));
        return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(window), bytes));
    }
    static Floats add(Floats a, Floats b) { return vaddq_f32(a, b); }
    static Floats multiply(Floats a, Floats b) { return vmulq_f32(a, b); }
    static Floats lesser(Floats a, Floats b) { return vminq_f32(a, b); }
    static Floats larger(Floats a, Floats b) { return vmaxq_f32(a, b); }
    static Mask greater(Floats a, Floats b) { return vcgtq_f32(a, b); }
    static Mask equal(Ints a, Ints b) { return vceqq_s32(a, b); }
    static Mask finite(Floats a) { return vceqq_f32(vsubq_f32(a, a), vdupq_n_f32(0.0F)); }
    static Floats select(Mask mask, Floats a, Floats b) { return vbslq_f32(mask, a, b); }
    static Ints select(Mask mask, Ints a, Ints b) { return vbslq_s32(mask, a, b); }
    static bool any(Mask mask) { return vmaxvq_u32(mask) != 0; }
};

#endif

}  // namespace EV_ISA
}  // namespace ev
