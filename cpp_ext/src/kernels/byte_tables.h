// Tables of 256 elements held in registers: each byte of an element is looked up by itself with VBMI's
// shuffles.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/isa.h"

#if defined(__AVX512VBMI__)
#include <immintrin.h>
#define EV_BYTE_TABLES 1
#else
#define EV_BYTE_TABLES 0
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Writes byte `at` of 256 elements of `size` bytes to bytes[256 * at], for every byte of an element.
inline void split_elements(const void* elements, std::ptrdiff_t size, std::uint8_t* bytes) {
    const auto* from = static_cast<const std::uint8_t*>(elements);
    for (std::ptrdiff_t at = 0; at < size; ++at) {
        for (std::ptrdiff_t i = 0; i < 256; ++i) bytes[256 * at + i] = from[size * i + at];
    }
}

#if EV_BYTE_TABLES

/// One byte of each of the 256 elements.
class ByteTable {
  public:
    ByteTable() = default;

    explicit ByteTable(const std::uint8_t* bytes) {
        for (int k = 0; k < 4; ++k) part_[k] = _mm512_load_si512(bytes + std::ptrdiff_t{64} * k);
    }

    __m512i look_up(__m512i pixels) const {
        // A shuffle of two registers takes seven bits of each index; the eighth chooses between two of them.
        const __m512i low = _mm512_permutex2var_epi8(part_[0], pixels, part_[1]);
        const __m512i high = _mm512_permutex2var_epi8(part_[2], pixels, part_[3]);
        return _mm512_mask_blend_epi8(_mm512_movepi8_mask(pixels), low, high);
    }

  private:
    __m512i part_[4];
};

/// A table of elements of Size bytes, 2 or 4.
template <int Size>
class ElementTable {
  public:
    static constexpr int kStep = 64;

    /// bytes: what split_elements wrote, aligned to 64.
    explicit ElementTable(const std::uint8_t* bytes) {
        for (int at = 0; at < Size; ++at) bytes_[at] = ByteTable(bytes + std::ptrdiff_t{256} * at);
    }

    /// Writes the elements of kStep pixels.
    void look_up(const std::uint8_t* pixels, void* out) const {
        const __m512i indices = _mm512_loadu_si512(pixels);
        auto* to = static_cast<std::byte*>(out);
        if constexpr (Size == 2) {
            // Interleaving bytes works within 128-bit lanes: the pixels are put where it leaves them in
            // order.
            const __m512i order = _mm512_setr_epi64(0, 4, 1, 5, 2, 6, 3, 7);
            const __m512i at = _mm512_permutexvar_epi64(order, indices);
            const __m512i low = bytes_[0].look_up(at);
            const __m512i high = bytes_[1].look_up(at);
            _mm512_storeu_si512(to, _mm512_unpacklo_epi8(low, high));
            _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi8(low, high));
        } else {
            const __m512i order = _mm512_setr_epi32(0, 4, 8, 12, 1, 5, 9, 13, 2, 6, 10, 14, 3, 7, 11, 15);
            const __m512i at = _mm512_permutexvar_epi32(order, indices);
            const __m512i first = bytes_[0].look_up(at);
            const __m512i second = bytes_[1].look_up(at);
            const __m512i third = bytes_[2].look_up(at);
            const __m512i fourth = bytes_[3].look_up(at);
            const __m512i low_front = _mm512_unpacklo_epi8(first, second);
            const __m512i low_back = _mm512_unpackhi_epi8(first, second);
            const __m512i high_front = _mm512_unpacklo_epi8(third, fourth);
            const __m512i high_back = _mm512_unpackhi_epi8(third, fourth);
            _mm512_storeu_si512(to, _mm512_unpacklo_epi16(low_front, high_front));
            _mm512_storeu_si512(to + 64, _mm512_unpackhi_epi16(low_front, high_front));
            _mm512_storeu_si512(to + 128, _mm512_unpacklo_epi16(low_back, high_back));
            _mm512_storeu_si512(to + 192, _mm512_unpackhi_epi16(low_back, high_back));
        }
    }

  private:
    ByteTable bytes_[Size];
};

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
