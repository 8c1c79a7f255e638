// Three planes of bytes to pixels.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__) || defined(_M_X64)
#include <immintrin.h>
#endif

#include "ev/isa.h"
#include "first_bytes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Pixels that interleave() reads from the planes in one step; its caller pads them to whole steps.
constexpr int kInterleaveStep = 64;

#if defined(__AVX2__)

// Within 16 bytes, byte j of output register r holds channel (16 r + j) % 3. The bytes of one channel fall on
// other places in each of the three registers, so one shuffle a channel puts them all in place, and the
// registers are picked together from the three channels by masks.

EV_INLINE __m128i spread_first() {
    return _mm_setr_epi8(0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10, 5);
}
EV_INLINE __m128i spread_second() {
    return _mm_setr_epi8(5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15, 10);
}
EV_INLINE __m128i spread_third() {
    return _mm_setr_epi8(10, 5, 0, 11, 6, 1, 12, 7, 2, 13, 8, 3, 14, 9, 4, 15);
}

/// 32 pixels.
EV_INLINE void interleave_half(const std::uint8_t* first, const std::uint8_t* second,
                               const std::uint8_t* third, __m256i out[3]) {
    const auto load = [](const std::uint8_t* plane, __m128i order) {
        const __m256i bytes = _mm256_loadu_si256(reinterpret_cast<const __m256i*>(plane));
        return _mm256_shuffle_epi8(bytes, _mm256_broadcastsi128_si256(order));
    };
    const auto mask_of = [](int rest) {
        alignas(16) std::int8_t bytes[16];
        for (int j = 0; j < 16; ++j) bytes[j] = static_cast<std::int8_t>(j % 3 == rest ? -1 : 0);
        return _mm256_broadcastsi128_si256(_mm_load_si128(reinterpret_cast<const __m128i*>(bytes)));
    };
    const __m256i a = load(first, spread_first());
    const __m256i b = load(second, spread_second());
    const __m256i c = load(third, spread_third());
    const __m256i one = mask_of(1);
    const __m256i two = mask_of(2);
    const __m256i p = _mm256_blendv_epi8(_mm256_blendv_epi8(a, b, one), c, two);
    const __m256i q = _mm256_blendv_epi8(_mm256_blendv_epi8(b, c, one), a, two);
    const __m256i r = _mm256_blendv_epi8(_mm256_blendv_epi8(c, a, one), b, two);
    out[0] = _mm256_permute2x128_si256(p, q, 0x20);
    out[1] = _mm256_permute2x128_si256(r, p, 0x30);
    out[2] = _mm256_permute2x128_si256(q, r, 0x31);
}

#endif

#if defined(__AVX512BW__)

EV_INLINE void interleave_step(const std::uint8_t* first, const std::uint8_t* second,
                               const std::uint8_t* third, std::uint8_t* out) {
    const __m512i a = _mm512_shuffle_epi8(_mm512_loadu_si512(first), _mm512_broadcast_i32x4(spread_first()));
    const __m512i b =
        _mm512_shuffle_epi8(_mm512_loadu_si512(second), _mm512_broadcast_i32x4(spread_second()));
    const __m512i c = _mm512_shuffle_epi8(_mm512_loadu_si512(third), _mm512_broadcast_i32x4(spread_third()));
    // Bits j of each 16 with j % 3 == 0, 1, 2.
    constexpr __mmask64 zero = 0x9249924992499249;
    constexpr __mmask64 one = 0x2492249224922492;
    constexpr __mmask64 two = 0x4924492449244924;
    const __m512i p = _mm512_mask_mov_epi8(_mm512_mask_mov_epi8(a, one, b), two, c);
    const __m512i q = _mm512_mask_mov_epi8(_mm512_mask_mov_epi8(b, one, c), two, a);
    const __m512i r = _mm512_mask_mov_epi8(_mm512_mask_mov_epi8(c, one, a), two, b);
    static_assert((zero | one | two) == ~__mmask64{0}, "every byte comes from one channel");
    // Lane i of p, q, r holds bytes 0, 16, 32 of the i-th 16 pixels.
    const __m512i pq0 = _mm512_permutex2var_epi64(p, _mm512_setr_epi64(0, 1, 8, 9, 0, 1, 2, 3), q);
    const __m512i out0 = _mm512_permutex2var_epi64(pq0, _mm512_setr_epi64(0, 1, 2, 3, 8, 9, 6, 7), r);
    const __m512i pq1 = _mm512_permutex2var_epi64(p, _mm512_setr_epi64(10, 11, 0, 1, 4, 5, 12, 13), q);
    const __m512i out1 = _mm512_permutex2var_epi64(pq1, _mm512_setr_epi64(0, 1, 10, 11, 4, 5, 6, 7), r);
    const __m512i pq2 = _mm512_permutex2var_epi64(p, _mm512_setr_epi64(0, 1, 6, 7, 14, 15, 0, 1), q);
    const __m512i out2 = _mm512_permutex2var_epi64(pq2, _mm512_setr_epi64(12, 13, 2, 3, 4, 5, 14, 15), r);
    _mm512_storeu_si512(out, out0);
    _mm512_storeu_si512(out + 64, out1);
    _mm512_storeu_si512(out + 128, out2);
}

#elif defined(__AVX2__)

EV_INLINE void interleave_step(const std::uint8_t* first, const std::uint8_t* second,
                               const std::uint8_t* third, std::uint8_t* out) {
    for (std::ptrdiff_t i = 0; i < kInterleaveStep; i += 32) {
        __m256i bytes[3];
        interleave_half(first + i, second + i, third + i, bytes);
        for (std::ptrdiff_t k = 0; k < 3; ++k)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(out + 3 * i + 32 * k), bytes[k]);
    }
}

#elif defined(__SSE2__) || defined(_M_X64)

/// Writes twice two pixels, six bytes each, and two bytes more.
EV_INLINE void store_pairs(__m128i pairs, std::uint8_t* out) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), pairs);
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 6), _mm_unpackhi_epi64(pairs, pairs));
}

/// Writes the same, and nothing more.
EV_INLINE void store_last_pairs(__m128i pairs, std::uint8_t* out) {
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out), pairs);
    const __m128i second = _mm_unpackhi_epi64(pairs, pairs);
    const __m128i end = _mm_or_si128(_mm_slli_epi64(second, 16), _mm_srli_epi64(pairs, 32));
    _mm_storel_epi64(reinterpret_cast<__m128i*>(out + 4), end);
}

EV_INLINE void interleave_step(const std::uint8_t* first, const std::uint8_t* second,
                               const std::uint8_t* third, std::uint8_t* out) {
    const auto load = [](const std::uint8_t* at) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    };
    const __m128i even = _mm_set1_epi16(0xff);
    const __m128i zero = _mm_setzero_si128();
    for (std::ptrdiff_t i = 0; i < kInterleaveStep; i += 16, out += 48) {
        const __m128i a = load(first + i);
        const __m128i b = load(second + i);
        const __m128i c = load(third + i);
        // Two pixels are three words: a b, c and the next a, the next b c.
        const __m128i words[3] = {_mm_or_si128(_mm_and_si128(even, a), _mm_slli_epi16(b, 8)),
                                  _mm_or_si128(_mm_and_si128(even, c), _mm_andnot_si128(even, a)),
                                  _mm_or_si128(_mm_srli_epi16(b, 8), _mm_andnot_si128(even, c))};
        const __m128i low = _mm_unpacklo_epi16(words[0], words[1]);
        const __m128i high = _mm_unpackhi_epi16(words[0], words[1]);
        const __m128i low_end = _mm_unpacklo_epi16(words[2], zero);
        const __m128i high_end = _mm_unpackhi_epi16(words[2], zero);
        store_pairs(_mm_unpacklo_epi32(low, low_end), out);
        store_pairs(_mm_unpackhi_epi32(low, low_end), out + 12);
        store_pairs(_mm_unpacklo_epi32(high, high_end), out + 24);
        const __m128i last = _mm_unpackhi_epi32(high, high_end);
        if (i + 16 < kInterleaveStep) {
            store_pairs(last, out + 36);
        } else {
            store_last_pairs(last, out + 36);
        }
    }
}

#else

EV_INLINE void interleave_step(const std::uint8_t* first, const std::uint8_t* second,
                               const std::uint8_t* third, std::uint8_t* out) {
    for (std::ptrdiff_t i = 0; i < kInterleaveStep; ++i) {
        out[3 * i] = first[i];
        out[3 * i + 1] = second[i];
        out[3 * i + 2] = third[i];
    }
}

#endif

/// Fewer pixels than a step's.
EV_INLINE void interleave_few(const std::uint8_t* first, const std::uint8_t* second,
                              const std::uint8_t* third, int count, std::uint8_t* out) {
#if defined(__AVX512BW__)
    // Registers of 32 bytes, which find in one piece what was written so, and masks: nothing is copied.
    for (std::ptrdiff_t i = 0; i < count; i += 32) {
        __m256i bytes[3];
        interleave_half(first + i, second + i, third + i, bytes);
        for (std::ptrdiff_t k = 0; k < 3; ++k) {
            const std::ptrdiff_t left = std::ptrdiff_t{3} * count - (3 * i + 32 * k);
            const auto mask = static_cast<__mmask32>(first_bytes(left));
            _mm256_mask_storeu_epi8(out + 3 * i + 32 * k, mask, bytes[k]);
        }
    }
#else
    std::uint8_t few[3 * kInterleaveStep];
#if defined(__AVX2__)
    std::ptrdiff_t i = 0;
    do {
        __m256i bytes[3];
        interleave_half(first + i, second + i, third + i, bytes);
        for (std::ptrdiff_t k = 0; k < 3; ++k)
            _mm256_storeu_si256(reinterpret_cast<__m256i*>(few + 3 * i + 32 * k), bytes[k]);
        i += 32;
    } while (i < count);
#else
    interleave_step(first, second, third, few);
#endif
    std::memcpy(out, few, 3 * static_cast<std::size_t>(count));
#endif
}

/// Writes `count` pixels, 3 * count bytes, from three planes that are padded to whole steps.
EV_INLINE void interleave(const std::uint8_t* first, const std::uint8_t* second, const std::uint8_t* third,
                          int count, std::uint8_t* out) {
    int i = 0;
    for (; i + kInterleaveStep <= count; i += kInterleaveStep) {
        interleave_step(first + i, second + i, third + i, out + std::ptrdiff_t{3} * i);
    }
    if (i == count) return;
    if (i > 0) {  // the last step does some pixels again
        i = count - kInterleaveStep;
        interleave_step(first + i, second + i, third + i, out + std::ptrdiff_t{3} * i);
        return;
    }
    interleave_few(first, second, third, count, out);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
