// What both passes of the antialiased resize do with 16 pixels at once: the vertical one with 16 columns, the
// horizontal one with 16 rows, which are turned into columns for it and back.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#if defined(__SSE2__)
#include <immintrin.h>
#endif

#include "ev/image.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

constexpr int kLanes = 16;

EV_INLINE std::size_t round_to_lanes(std::size_t count) {
    return (count + kLanes - 1) / kLanes * kLanes;
}

#if defined(__AVX512BW__)

/// Sums of weighted pixels in kLanes lanes: antialias_pixel in each.
class LaneSums {
  public:
    void add(const std::uint8_t* pixels, std::int32_t weight) {
        const __m512i wide = _mm512_cvtepu8_epi32(_mm_loadu_si128(reinterpret_cast<const __m128i*>(pixels)));
        sums_ = _mm512_add_epi32(sums_, _mm512_mullo_epi32(wide, _mm512_set1_epi32(weight)));
    }

    void store(std::uint8_t* out) const {
        const __m512i pixels =
            _mm512_max_epi32(_mm512_srai_epi32(sums_, kAntialiasBits), _mm512_setzero_si512());
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), _mm512_cvtusepi32_epi8(pixels));
    }

  private:
    __m512i sums_ = _mm512_set1_epi32(kAntialiasHalf);
};

#elif defined(__AVX2__)

class LaneSums {
  public:
    void add(const std::uint8_t* pixels, std::int32_t weight) {
        const __m256i factor = _mm256_set1_epi32(weight);
        low_ = _mm256_add_epi32(low_, _mm256_mullo_epi32(widen(pixels), factor));
        high_ = _mm256_add_epi32(high_, _mm256_mullo_epi32(widen(pixels + 8), factor));
    }

    void store(std::uint8_t* out) const {
        const __m256i words = _mm256_packs_epi32(_mm256_srai_epi32(low_, kAntialiasBits),
                                                 _mm256_srai_epi32(high_, kAntialiasBits));
        const __m256i ordered = _mm256_permute4x64_epi64(words, 0xd8);
        const __m128i bytes =
            _mm_packus_epi16(_mm256_castsi256_si128(ordered), _mm256_extracti128_si256(ordered, 1));
        _mm_storeu_si128(reinterpret_cast<__m128i*>(out), bytes);
    }

  private:
    static __m256i widen(const std::uint8_t* pixels) {
        return _mm256_cvtepu8_epi32(_mm_loadl_epi64(reinterpret_cast<const __m128i*>(pixels)));
    }

    __m256i low_ = _mm256_set1_epi32(kAntialiasHalf);
    __m256i high_ = _mm256_set1_epi32(kAntialiasHalf);
};

#else

class LaneSums {
  public:
    LaneSums() {
        for (std::int32_t& sum : sums_) sum = kAntialiasHalf;
    }

    void add(const std::uint8_t* pixels, std::int32_t weight) {
        for (int i = 0; i < kLanes; ++i) sums_[i] += weight * pixels[i];
    }

    void store(std::uint8_t* out) const {
        for (int i = 0; i < kLanes; ++i) out[i] = antialias_pixel(sums_[i]);
    }

  private:
    std::int32_t sums_[kLanes];
};

#endif

/// Writes column i of 16 x 16 bytes, whose rows lie `pitch` bytes apart, to out[i] for i < count.
EV_INLINE void transpose_lanes(const std::uint8_t* rows, std::ptrdiff_t pitch,
                               std::uint8_t* const out[kLanes], int count) {
    alignas(kLanes) std::uint8_t columns[kLanes][kLanes];
#if defined(__SSE2__)
    __m128i from[kLanes];
    __m128i to[kLanes];
    for (std::ptrdiff_t i = 0; i < kLanes; ++i)
        from[i] = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rows + i * pitch));
    // Row i and row i + 8, byte by byte: after four rounds the bytes of a column stand together.
    for (int round = 0; round < 4; ++round) {
        for (std::ptrdiff_t i = 0; i < kLanes / 2; ++i) {
            to[2 * i] = _mm_unpacklo_epi8(from[i], from[i + kLanes / 2]);
            to[2 * i + 1] = _mm_unpackhi_epi8(from[i], from[i + kLanes / 2]);
        }
        for (int i = 0; i < kLanes; ++i) from[i] = to[i];
    }
    for (int i = 0; i < kLanes; ++i) _mm_store_si128(reinterpret_cast<__m128i*>(columns[i]), from[i]);
#else
    for (int row = 0; row < kLanes; ++row) {
        for (int i = 0; i < kLanes; ++i) columns[i][row] = rows[row * pitch + i];
    }
#endif
    for (int i = 0; i < count; ++i) std::memcpy(out[i], columns[i], kLanes);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
