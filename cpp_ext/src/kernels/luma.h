// The luma of rows of pixels.
#pragma once

#include <algorithm>
#include <cstdint>

#include "image_planes.h"

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if defined(__AVX2__)

struct LumaLanes {
    using Bytes = __m256i;
    static constexpr int kCount = 32;
    static Bytes load(const std::uint8_t* from) {
        return _mm256_loadu_si256(reinterpret_cast<const __m256i*>(from));
    }
    static void store(std::uint8_t* to, Bytes bytes) {
        _mm256_storeu_si256(reinterpret_cast<__m256i*>(to), bytes);
    }
    static Bytes fill(std::int8_t value) { return _mm256_set1_epi8(value); }
    static Bytes fill_pairs(std::int32_t pair) { return _mm256_set1_epi32(pair); }
    static Bytes low(Bytes a, Bytes b) { return _mm256_unpacklo_epi8(a, b); }
    static Bytes high(Bytes a, Bytes b) { return _mm256_unpackhi_epi8(a, b); }
    static Bytes add_products(Bytes a, Bytes b) { return _mm256_madd_epi16(a, b); }
    static Bytes add(Bytes a, Bytes b) { return _mm256_add_epi32(a, b); }
    static Bytes shift(Bytes a) { return _mm256_srli_epi32(a, 15); }
    static Bytes halve(Bytes a, Bytes b) { return _mm256_packs_epi32(a, b); }
    static Bytes halve_again(Bytes a, Bytes b) { return _mm256_packus_epi16(a, b); }
};

#elif defined(__SSE2__) || defined(_M_X64)

struct LumaLanes {
    using Bytes = __m128i;
    static constexpr int kCount = 16;
    static Bytes load(const std::uint8_t* from) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    }
    static void store(std::uint8_t* to, Bytes bytes) {
        _mm_storeu_si128(reinterpret_cast<__m128i*>(to), bytes);
    }
    static Bytes fill(std::int8_t value) { return _mm_set1_epi8(value); }
    static Bytes fill_pairs(std::int32_t pair) { return _mm_set1_epi32(pair); }
    static Bytes low(Bytes a, Bytes b) { return _mm_unpacklo_epi8(a, b); }
    static Bytes high(Bytes a, Bytes b) { return _mm_unpackhi_epi8(a, b); }
    static Bytes add_products(Bytes a, Bytes b) { return _mm_madd_epi16(a, b); }
    static Bytes add(Bytes a, Bytes b) { return _mm_add_epi32(a, b); }
    static Bytes shift(Bytes a) { return _mm_srli_epi32(a, 15); }
    static Bytes halve(Bytes a, Bytes b) { return _mm_packs_epi32(a, b); }
    static Bytes halve_again(Bytes a, Bytes b) { return _mm_packus_epi16(a, b); }
};

#endif

/// luma_bt601 of `count` pixels.
inline void luma_of_planes(const std::uint8_t* blue, const std::uint8_t* green, const std::uint8_t* red,
                           int count, std::uint8_t* luma) {
    int i = 0;
#if defined(__SSE2__) || defined(_M_X64)
    // Products of 16 bits are added in pairs: blue's and green's, and red's and that of one half.
    using L = LumaLanes;
    const L::Bytes zero = L::fill(0);
    const L::Bytes one = L::fill(1);
    const L::Bytes blue_green = L::fill_pairs(19235 << 16 | 3735);
    const L::Bytes red_half = L::fill_pairs(1 << 14 << 16 | 9798);
    for (; i + L::kCount <= count; i += L::kCount) {
        const L::Bytes b = L::load(blue + i);
        const L::Bytes g = L::load(green + i);
        const L::Bytes r = L::load(red + i);
        const auto four = [&](L::Bytes bg, L::Bytes r1) {
            return L::shift(L::add(L::add_products(bg, blue_green), L::add_products(r1, red_half)));
        };
        const auto eight = [&](L::Bytes bg, L::Bytes r1) {
            return L::halve(four(L::low(bg, zero), L::low(r1, zero)),
                            four(L::high(bg, zero), L::high(r1, zero)));
        };
        L::store(luma + i,
                 L::halve_again(eight(L::low(b, g), L::low(r, one)), eight(L::high(b, g), L::high(r, one))));
    }
#endif
    for (; i < count; ++i) luma[i] = luma_bt601(blue[i], green[i], red[i]);
}

/// Luma of pixels [first, first + count) of a row whose channels are blue, green and red.
inline void write_luma(const SourceRow& row, int first, int count, std::uint8_t* luma) {
    constexpr int together = 256;  // whose planes stay in the first-level cache
    std::uint8_t planes[3][together];
    for (int i = 0; i < count; i += together) {
        const int size = std::min(together, count - i);
        split_row(row, 3, first + i, size, planes[0], together);
        luma_of_planes(planes[0], planes[1], planes[2], size, luma + i);
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
