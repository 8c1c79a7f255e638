// Registers as luma and chroma are converted in them.
#pragma once

#include <immintrin.h>

#include <cstddef>
#include <cstdint>

#include "ev/color.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

// low and high: of the halves of each 128-bit lane, the lower or the upper; halve joins them again.
// multiply: samples of 8 bits in 32, by a factor of at most 22 and its sign that fill_factor filled.

#if defined(__AVX512BW__)

struct ColorLanes {
    using Bits = __m512i;
    static constexpr std::ptrdiff_t kBytes = 64;

    static Bits load(const std::uint8_t* from) { return _mm512_loadu_si512(from); }
    static void store(std::uint8_t* to, Bits bytes) { _mm512_storeu_si512(to, bytes); }
    /// Half a register's bytes as words.
    static Bits load_words(const std::uint8_t* from) {
        return _mm512_cvtepu8_epi16(_mm256_loadu_si256(reinterpret_cast<const __m256i*>(from)));
    }
    static Bits fill_bytes(int byte) { return _mm512_set1_epi8(static_cast<char>(byte)); }
    static Bits fill(std::int32_t value) { return _mm512_set1_epi32(value); }
    static Bits fill_factor(std::int32_t value) { return fill(value); }
    static Bits subtract_bytes(Bits a, Bits b) { return _mm512_subs_epu8(a, b); }
    static Bits low_bytes(Bits a) { return _mm512_unpacklo_epi8(a, _mm512_setzero_si512()); }
    static Bits high_bytes(Bits a) { return _mm512_unpackhi_epi8(a, _mm512_setzero_si512()); }
    static Bits low_words(Bits a) { return _mm512_unpacklo_epi16(a, _mm512_setzero_si512()); }
    static Bits high_words(Bits a) { return _mm512_unpackhi_epi16(a, _mm512_setzero_si512()); }
    static Bits even_words(Bits a) { return _mm512_and_si512(a, fill(0xffff)); }
    static Bits odd_words(Bits a) { return _mm512_srli_epi32(a, 16); }
    static Bits add(Bits a, Bits b) { return _mm512_add_epi32(a, b); }
    static Bits multiply(Bits a, Bits b) { return _mm512_mullo_epi32(a, b); }
    /// The upper words of even and odd, a 16th of each, side by side.
    static Bits join_words(Bits even, Bits odd) {
        return _mm512_srai_epi16(_mm512_mask_alignr_epi8(odd, 0x3333333333333333, even, even, 2), 4);
    }
    static Bits halve(Bits low, Bits high) { return _mm512_packus_epi16(low, high); }
};

#elif defined(__AVX2__)

struct ColorLanes {
    using Bits = __m256i;
    static constexpr std::ptrdiff_t kBytes = 32;

    static Bits load(const std::uint8_t* from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    }
    static void store(std::uint8_t* to, Bits bytes) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
    }
    static Bits load_words(const std::uint8_t* from) {
        return _mm256_cvtepu8_epi16(_mm_loadu_si128(reinterpret_cast<const __m128i*>(from)));
    }
    static Bits fill_bytes(int byte) { return _mm256_set1_epi8(static_cast<char>(byte)); }
    static Bits fill(std::int32_t value) { return _mm256_set1_epi32(value); }
    static Bits fill_factor(std::int32_t value) { return fill(value); }
    static Bits subtract_bytes(Bits a, Bits b) { return _mm256_subs_epu8(a, b); }
    static Bits low_bytes(Bits a) { return _mm256_unpacklo_epi8(a, _mm256_setzero_si256()); }
    static Bits high_bytes(Bits a) { return _mm256_unpackhi_epi8(a, _mm256_setzero_si256()); }
    static Bits low_words(Bits a) { return _mm256_unpacklo_epi16(a, _mm256_setzero_si256()); }
    static Bits high_words(Bits a) { return _mm256_unpackhi_epi16(a, _mm256_setzero_si256()); }
    static Bits even_words(Bits a) { return _mm256_and_si256(a, fill(0xffff)); }
    static Bits odd_words(Bits a) { return _mm256_srli_epi32(a, 16); }
    static Bits add(Bits a, Bits b) { return _mm256_add_epi32(a, b); }
    static Bits multiply(Bits a, Bits b) { return _mm256_mullo_epi32(a, b); }
    static Bits join_words(Bits even, Bits odd) {
        return _mm256_srai_epi16(_mm256_blend_epi16(_mm256_srli_epi32(even, 16), odd, 0xaa), 4);
    }
    static Bits halve(Bits low, Bits high) { return _mm256_packus_epi16(low, high); }
};

#else

struct ColorLanes {
    using Bits = __m128i;
    static constexpr std::ptrdiff_t kBytes = 16;

    static Bits load(const std::uint8_t* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    }
    static void store(std::uint8_t* to, Bits bytes) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    }
    static Bits load_words(const std::uint8_t* from) {
        return low_bytes(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(from)));
    }
    static Bits fill_bytes(int byte) { return _mm_set1_epi8(static_cast<char>(byte)); }
    static Bits fill(std::int32_t value) { return _mm_set1_epi32(value); }
    /// As two words, value % 128 and value / 128: there are no products of 32 bits.
    static Bits fill_factor(std::int32_t value) {
        const std::uint32_t high = static_cast<std::uint32_t>(value >> 7) << 16;
        return fill(static_cast<std::int32_t>(high) | (value & 127));
    }
    static Bits subtract_bytes(Bits a, Bits b) { return _mm_subs_epu8(a, b); }
    static Bits low_bytes(Bits a) { return _mm_unpacklo_epi8(a, _mm_setzero_si128()); }
    static Bits high_bytes(Bits a) { return _mm_unpackhi_epi8(a, _mm_setzero_si128()); }
    static Bits low_words(Bits a) { return _mm_unpacklo_epi16(a, _mm_setzero_si128()); }
    static Bits high_words(Bits a) { return _mm_unpackhi_epi16(a, _mm_setzero_si128()); }
    static Bits even_words(Bits a) { return _mm_and_si128(a, fill(0xffff)); }
    static Bits odd_words(Bits a) { return _mm_srli_epi32(a, 16); }
    static Bits add(Bits a, Bits b) { return _mm_add_epi32(a, b); }
    static Bits multiply(Bits samples, Bits factor) {
        return _mm_madd_epi16(_mm_or_si128(samples, _mm_slli_epi32(samples, 16 + 7)), factor);
    }
    static Bits join_words(Bits even, Bits odd) {
        const Bits upper = _mm_andnot_si128(fill(0xffff), odd);
        return _mm_srai_epi16(_mm_or_si128(_mm_srli_epi32(even, 16), upper), 4);
    }
    static Bits halve(Bits low, Bits high) { return _mm_packus_epi16(low, high); }
};

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
