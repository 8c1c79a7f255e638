// Long stretches of bytes that are only copied.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ev/isa.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#define EV_COPY_REGISTERS 1
#else
#define EV_COPY_REGISTERS 0
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

// Bytes of a result that is written past the caches, which would not hold it and the image until it is read:
// to read its lines first takes half as long again.
constexpr std::int64_t kLargeResult = std::int64_t{12} << 20;

#if EV_COPY_REGISTERS

// Copies of fewer bytes are memcpy's, which takes registers too; of more it lets the processor move strings,
// and that is slower where addresses do not suit it.
constexpr std::size_t kLongCopy = std::size_t{1} << 13;

#if defined(__AVX2__)
using CopyRegister = __m256i;
inline CopyRegister load_register(const std::uint8_t* from) {
    return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
}
template <bool Streams>
inline void store_register(std::uint8_t* out, CopyRegister bytes) {
    auto* to = reinterpret_cast<__m256i*>(out);
    if (Streams) {
        _mm256_stream_si256(to, bytes);
    } else {
        _mm256_store_si256(to, bytes);
    }
}
#else
using CopyRegister = __m128i;
inline CopyRegister load_register(const std::uint8_t* from) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
}
template <bool Streams>
inline void store_register(std::uint8_t* out, CopyRegister bytes) {
    auto* to = reinterpret_cast<__m128i*>(out);
    if (Streams) {
        _mm_stream_si128(to, bytes);
    } else {
        _mm_store_si128(to, bytes);
    }
}
#endif

/// Four registers at a time, whole ones of `out`; returns how many bytes that were. Before anybody else looks
/// at what was streamed: finish_streaming.
template <bool Streams>
inline std::size_t copy_registers(const std::uint8_t* from, std::size_t count, std::uint8_t* out) {
    constexpr std::size_t size = sizeof(CopyRegister);
    std::size_t i = (0 - reinterpret_cast<std::uintptr_t>(out)) % size;
    std::memcpy(out, from, i);
    for (; i + 4 * size <= count; i += 4 * size) {
        CopyRegister bytes[4];
        for (std::size_t k = 0; k < 4; ++k) bytes[k] = load_register(from + i + k * size);
        for (std::size_t k = 0; k < 4; ++k) store_register<Streams>(out + i + k * size, bytes[k]);
    }
    return i;
}

inline void finish_streaming() {
    _mm_sfence();
}

#else

inline void finish_streaming() {}

#endif

/// Copies bytes that do not overlap.
inline void copy_bytes(const std::uint8_t* from, std::size_t count, std::uint8_t* out) {
    std::size_t i = 0;
#if EV_COPY_REGISTERS
    if (count >= static_cast<std::size_t>(kLargeResult)) {
        i = copy_registers<true>(from, count, out);
        finish_streaming();
    } else if (count >= kLongCopy) {
        i = copy_registers<false>(from, count, out);
    }
#endif
    std::memcpy(out + i, from + i, count - i);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
