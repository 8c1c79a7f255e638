// A row as bits, 64 to a word, the first the lowest: what is above a threshold, what is not 0.
#pragma once

#include <cstdint>
#include <cstring>

#include "lanes.h"

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__SSE2__)
#include <emmintrin.h>
#elif defined(__ARM_NEON)
#include <arm_neon.h>
#endif

namespace ev {
inline namespace EV_ISA {

constexpr std::int32_t kWordBits = 64;

EV_INLINE std::size_t count_words(std::int64_t bits) {
    return static_cast<std::size_t>((bits + kWordBits - 1) / kWordBits);
}

/// The place of the lowest bit that is set; there is one.
EV_INLINE int lowest_bit(std::uint64_t word) {
#if defined(__GNUC__)
    return __builtin_ctzll(word);
#else
    int place = 0;
    for (; (word & 1U) == 0; word >>= 1) ++place;
    return place;
#endif
}

/// The same of the highest.
EV_INLINE int highest_bit(std::uint64_t word) {
#if defined(__GNUC__)
    return kWordBits - 1 - __builtin_clzll(word);
#else
    int place = 0;
    while ((word >>= 1) != 0) ++place;
    return place;
#endif
}

EV_INLINE int count_bits(std::uint64_t word) {
#if defined(__POPCNT__) || (defined(__GNUC__) && defined(__aarch64__))
    return __builtin_popcountll(word);
#else  // compilers call a function of their library
    word -= (word >> 1) & 0x5555555555555555U;
    word = (word & 0x3333333333333333U) + ((word >> 2) & 0x3333333333333333U);
    word = (word + (word >> 4)) & 0x0f0f0f0f0f0f0f0fU;
    return static_cast<int>((word * 0x0101010101010101U) >> 56);
#endif
}

/// A bit for each of 64 bytes that is not 0.
EV_INLINE std::uint64_t nonzero_bits(const std::uint8_t* bytes) {
#if defined(__AVX512BW__)
    const __m512i all = _mm512_loadu_si512(bytes);
    return _mm512_test_epi8_mask(all, all);
#elif defined(__AVX2__)
    const __m256i zero = _mm256_setzero_si256();
    std::uint64_t zeros = 0;
    for (int i = 0; i < 2; ++i) {
        const __m256i part = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(bytes) + i);
        const int found = _mm256_movemask_epi8(_mm256_cmpeq_epi8(part, zero));
        zeros |= std::uint64_t{static_cast<std::uint32_t>(found)} << (32 * i);
    }
    return ~zeros;
#elif defined(__SSE2__)
    const __m128i zero = _mm_setzero_si128();
    std::uint64_t zeros = 0;
    for (int i = 0; i < 4; ++i) {
        const __m128i part = _mm_loadu_si128(reinterpret_cast<const __m128i*>(bytes) + i);
        const int found = _mm_movemask_epi8(_mm_cmpeq_epi8(part, zero));
        zeros |= std::uint64_t{static_cast<std::uint32_t>(found)} << (16 * i);
    }
    return ~zeros;
#elif defined(__ARM_NEON) && defined(__aarch64__)
    // Each byte keeps the bit of its place among eight; pairwise sums bring the eight together.
    const uint8x16_t place = vreinterpretq_u8_u64(vdupq_n_u64(0x8040201008040201U));
    uint8x16_t part[4];
    for (int i = 0; i < 4; ++i) {
        const uint8x16_t values = vld1q_u8(bytes + 16 * i);
        part[i] = vandq_u8(vtstq_u8(values, values), place);
    }
    const uint8x16_t sums = vpaddq_u8(vpaddq_u8(part[0], part[1]), vpaddq_u8(part[2], part[3]));
    return vgetq_lane_u64(vreinterpretq_u64_u8(vpaddq_u8(sums, sums)), 0);
#else
    std::uint64_t word = 0;
    for (int i = 0; i < kWordBits; ++i) word |= std::uint64_t{bytes[i] != 0} << i;
    return word;
#endif
}

/// The same for the last `count` bytes of a row of `width`, 1 to 63. Reads nothing outside the row.
EV_INLINE std::uint64_t last_nonzero_bits(const std::uint8_t* row, std::int64_t width, std::int64_t count) {
    if (width >= kWordBits) return nonzero_bits(row + width - kWordBits) >> (kWordBits - count);
    std::uint8_t bytes[kWordBits] = {};
    std::memcpy(bytes, row, static_cast<std::size_t>(count));
    return nonzero_bits(bytes);
}

/// A bit for each of `count` values above the threshold, 1 to 64; 0 after them.
template <class T>
EV_INLINE std::uint64_t above_bits(const T* values, std::int32_t count, float threshold) {
#if EV_WIDE_LANES
    const Floats limit = threshold;
    std::uint64_t word = 0;
    if (count == kWordBits) {
        for (int i = 0; i < kWordBits; i += kFloatLanes) {
            word |= std::uint64_t{bits_from_mask(greater(load(values + i), limit))} << i;
        }
        return word;
    }
    for (std::int32_t i = 0; i < count; i += kFloatLanes) {
        const std::int32_t some = count - i < kFloatLanes ? count - i : kFloatLanes;
        word |= std::uint64_t{bits_from_mask(greater(load_n(values + i, some), limit))} << i;
    }
    return word & ((std::uint64_t{1} << count) - 1);  // zeros after the end may be above a threshold below 0
#else
    std::uint8_t above[kWordBits] = {};
    for (std::int32_t i = 0; i < count; ++i) above[i] = to_float(values[i]) > threshold ? 1 : 0;
    return nonzero_bits(above);
#endif
}

}  // namespace EV_ISA
}  // namespace ev
