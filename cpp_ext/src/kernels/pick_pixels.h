// Single pixels of a packed row, side by side.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ev/isa.h"

#if defined(__AVX512VBMI__)
#include <immintrin.h>
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Bytes that picks of whole words may write beyond the last pixel.
constexpr std::size_t kPickSlack = 16;

#if defined(__AVX512VBMI__)

/// 64 of 192 pixels of three bytes, from pixel 1 on every third. A register of picked bytes comes from three.
class ThirdPixels {
  public:
    static constexpr int kPicked = 64;
    static constexpr std::ptrdiff_t kRead = std::ptrdiff_t{9} * 64;  // bytes

    static void pick(const std::uint8_t* pixels, std::uint8_t* out) {
        pick_register<0>(pixels, out);
        pick_register<1>(pixels, out);
        pick_register<2>(pixels, out);
    }

  private:
    /// Where picked byte `at` lies.
    static constexpr int source(int at) { return at / 3 * 9 + 3 + at % 3; }

    template <int Index>
    struct Order {
        alignas(64) std::uint8_t first[64];   // among the first two registers
        alignas(64) std::uint8_t second[64];  // among what those give and the third

        constexpr Order() : first{}, second{} {
            for (int i = 0; i < 64; ++i) {
                const int at = source(64 * Index + i) - source(64 * Index);
                first[i] = static_cast<std::uint8_t>(at % 128);
                second[i] = static_cast<std::uint8_t>(at < 128 ? i : at - 64);
            }
        }
    };

    template <int Index>
    static void pick_register(const std::uint8_t* pixels, std::uint8_t* out) {
        static constexpr Order<Index> order;
        const std::uint8_t* from = pixels + source(64 * Index);
        const __m512i two = _mm512_permutex2var_epi8(_mm512_loadu_si512(from), _mm512_load_si512(order.first),
                                                     _mm512_loadu_si512(from + 64));
        const __m512i picked =
            _mm512_permutex2var_epi8(two, _mm512_load_si512(order.second), _mm512_loadu_si512(from + 128));
        _mm512_storeu_si512(out + std::ptrdiff_t{64} * Index, picked);
    }
};

/// Picks pixels 1, 4, 7 ... of those at `pixels`, three bytes each, while `end` leaves whole registers to
/// read; returns how many of `count` it picked.
inline std::ptrdiff_t pick_thirds(const std::uint8_t* pixels, const std::uint8_t* end, std::ptrdiff_t count,
                                  std::uint8_t* out) {
    std::ptrdiff_t i = 0;
    for (; i + ThirdPixels::kPicked <= count && end - (pixels + 9 * i) >= ThirdPixels::kRead;
         i += ThirdPixels::kPicked)
        ThirdPixels::pick(pixels + 9 * i, out + 3 * i);
    return i;
}

#else

inline std::ptrdiff_t pick_thirds(const std::uint8_t* /*pixels*/, const std::uint8_t* /*end*/,
                                  std::ptrdiff_t /*count*/, std::uint8_t* /*out*/) {
    return 0;
}

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
