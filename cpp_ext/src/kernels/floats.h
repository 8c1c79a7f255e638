// A register of floats as a value, for kernels whose plain loops compilers do not turn into good code.
//
// The operations are those of ev/arith.h on a float, lane by lane and with the same bits, so that exp_of and
// sigmoid_of serve both. Sixteen lanes with AVX-512, eight with AVX2, the four of SSE2 and NEON, else one.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstring>

#if defined(__AVX2__)
// GCC 12 takes its own "undefined" operands for mistakes (https://gcc.gnu.org/PR105593); CMakeLists.txt turns
// off the other warning of it.
#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
#endif

#include "ev/arith.h"

namespace ev {
inline namespace EV_ISA {

#if defined(__GNUC__)

#if defined(__AVX512F__)
constexpr int kFloats = 16;
#elif defined(__AVX2__)
constexpr int kFloats = 8;
#else
constexpr int kFloats = 4;
#endif

struct Floats {
    typedef float Raw __attribute__((vector_size(4 * kFloats)));           // NOLINT(modernize-use-using)
    typedef std::uint32_t Bits __attribute__((vector_size(4 * kFloats)));  // NOLINT(modernize-use-using)

    Raw raw;

    Floats() : raw{} {}
    Floats(Raw value) : raw(value) {}  // NOLINT(google-explicit-constructor): it is a register
    Floats(float value)
        : raw(value - Raw{}) {}  // NOLINT(google-explicit-constructor): one value in all lanes
};

EV_INLINE Floats operator+(Floats a, Floats b) {
    return a.raw + b.raw;
}
EV_INLINE Floats operator-(Floats a, Floats b) {
    return a.raw - b.raw;
}
EV_INLINE Floats operator*(Floats a, Floats b) {
    return a.raw * b.raw;
}
EV_INLINE Floats operator/(Floats a, Floats b) {
    return a.raw / b.raw;
}

/// a where it is greater, else b: b where a is NaN.
EV_INLINE Floats greater_of(Floats a, Floats b) {
#if defined(__AVX512F__)
    return Floats(_mm512_max_ps(a.raw, b.raw));
#elif defined(__AVX2__)
    return Floats(_mm256_max_ps(a.raw, b.raw));
#else
    return Floats(a.raw > b.raw ? a.raw : b.raw);
#endif
}

EV_INLINE Floats at_least(float low, Floats x) {
    return greater_of(low, x);
}

EV_INLINE Floats scaled_by_power(Floats value, Floats shifted, float to_nearest) {
#if defined(__AVX512F__)
    return Floats(_mm512_scalef_ps(value.raw, (shifted - to_nearest).raw));
#else
    using Raw = Floats::Raw;
    using Bits = Floats::Bits;
    const Bits whole = reinterpret_cast<Bits>(shifted.raw) - bits_of(to_nearest);
    const Bits half = ((whole + 256U) >> 1) - 128U;
    const Bits first = (half + 127U) << 23;
    const Bits second = (whole - half + 127U) << 23;
    return (value * Floats(reinterpret_cast<Raw>(first))) * Floats(reinterpret_cast<Raw>(second));
#endif
}

EV_INLINE Floats negative_magnitude(Floats x) {
    return Floats(reinterpret_cast<Floats::Raw>(reinterpret_cast<Floats::Bits>(x.raw) | 0x80000000U));
}

EV_INLINE Floats one_unless_negative(Floats x, Floats otherwise) {
    return Floats(x.raw < Floats::Raw{} ? otherwise.raw : Floats(1.0F).raw);
}

EV_INLINE Floats load_floats(const float* from) {
    Floats floats;
    std::memcpy(&floats.raw, from, sizeof floats.raw);
    return floats;
}

EV_INLINE void store_floats(float* to, Floats floats) {
    std::memcpy(to, &floats.raw, sizeof floats.raw);
}

#else  // no vectors in this compiler's C++

constexpr int kFloats = 1;
using Floats = float;

EV_INLINE Floats greater_of(Floats a, Floats b) {
    return a > b ? a : b;
}
EV_INLINE Floats load_floats(const float* from) {
    return *from;
}
EV_INLINE void store_floats(float* to, Floats floats) {
    *to = floats;
}

#endif

EV_INLINE Floats load_floats(const Half* from) {
#if defined(__AVX512F__)
    return Floats(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from))));
#elif defined(__AVX2__)
    return Floats(_mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from))));
#else
    float values[kFloats];
    for (int i = 0; i < kFloats; ++i) values[i] = to_float(from[i]);
    return load_floats(values);
#endif
}

/// The first `count` lanes from memory, the others `rest`; a whole register of a count beyond it.
template <class T>
EV_INLINE Floats load_some(const T* from, std::int64_t count, float rest) {
    if (count >= kFloats) return load_floats(from);
    float values[kFloats];
    std::fill_n(values, kFloats, rest);
    for (std::int64_t i = 0; i < count; ++i) values[i] = to_float(from[i]);
    return load_floats(values);
}

EV_INLINE void store_some(float* to, std::int64_t count, Floats floats) {
    if (count >= kFloats) {
        store_floats(to, floats);
        return;
    }
    float values[kFloats];
    store_floats(values, floats);
    std::copy_n(values, count, to);
}

/// Stores past the caches to an address that is a multiple of a register's size; finish_streaming before
/// anybody else looks. Without it a large result's memory is read before it is written.
EV_INLINE void stream_floats(float* to, Floats floats) {
#if defined(__AVX512F__)
    _mm512_stream_ps(to, floats.raw);
#elif defined(__AVX2__)
    _mm256_stream_ps(to, floats.raw);
#else
    store_floats(to, floats);
#endif
}

EV_INLINE void finish_streaming() {
#if defined(__AVX2__)
    _mm_sfence();
#endif
}

/// Asks for memory that will be read soon.
EV_INLINE void prefetch(const void* memory) {
#if defined(__GNUC__)
    __builtin_prefetch(memory);
#else
    (void)memory;
#endif
}

}  // namespace EV_ISA
}  // namespace ev
