// The horizontal pass of write_dots: blocks of columns from four source rows at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "antialias_dots.h"

#if EV_ANTIALIAS_DOTS

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// One step of a block: the next four taps of each lane.
struct DotStep {
    std::uint32_t order[kDotLanes];  // in its bytes, where the four taps' pixels are among those read
    std::int32_t digits[kDigits][kDotLanes];
};

/// What the sums of all blocks need.
struct DotBlocks {
    int count;
    int steps;                    // of each block
    int bytes;                    // of a row, from one block's first pixel to the next's
    const DotStep* table;         // count x steps
    const std::int32_t* offsets;  // count x steps: where in a row each reads
};

/// Writes the pixels of every block in kDotRows rows: 64 / Parts bytes, each lane's four rows side by side.
/// ahead: from these rows to those that are to be fetched meanwhile. Steps: of a block; 0: any number.
template <int Reach, int Parts, int Steps>
void sum_blocks(const DotBlocks& blocks, const std::uint8_t* const rows[kDotRows], std::ptrdiff_t ahead,
                std::uint8_t* out) {
    const int steps = Steps != 0 ? Steps : blocks.steps;
    const DotStep* step = blocks.table;
    const std::int32_t* offset = blocks.offsets;
    for (int block = 0; block < blocks.count; ++block, out += 64 / Parts) {
        for (int at = 0; at < blocks.bytes; at += 64) {
            for (int i = 0; i < kDotRows; ++i)
                _mm_prefetch(reinterpret_cast<const char*>(rows[i] + ahead + *offset + at), _MM_HINT_T0);
        }
        const DotSums begin(kAntialiasHalf / Parts);
        DotSums sums[kDotRows] = {begin, begin, begin, begin};
        for (int k = 0; k < steps; ++k, ++step, ++offset) {
            const __m512i order = _mm512_load_si512(step->order);
            __m512i digits[kDigits];
            for (int d = 0; d < kDigits; ++d) digits[d] = _mm512_load_si512(step->digits[d]);
            for (int i = 0; i < kDotRows; ++i) {
                const std::uint8_t* bytes = rows[i] + *offset;
                __m512i pixels = _mm512_loadu_si512(bytes);
                if constexpr (Reach == 64) {
                    pixels = _mm512_permutexvar_epi8(order, pixels);
                } else {
                    pixels = _mm512_permutex2var_epi8(pixels, order, _mm512_loadu_si512(bytes + 64));
                }
                sums[i].add(pixels, digits);
            }
        }
        if constexpr (Parts == 1) {
            _mm512_store_si512(out, pack_quad(sums));
        } else {
            _mm_store_si128(reinterpret_cast<__m128i*>(out), pack_parts(sums));
        }
    }
}

/// Called by pointer: were they inlined into one caller, they would take each other's registers.
using SumBlocks = void (*)(const DotBlocks&, const std::uint8_t* const[kDotRows], std::ptrdiff_t,
                           std::uint8_t*);

/// Few steps are unrolled.
template <int Reach>
SumBlocks choose_steps(int steps) {
    switch (steps) {
        case 1:
            return &sum_blocks<Reach, 1, 1>;
        case 2:
            return &sum_blocks<Reach, 1, 2>;
        case 3:
            return &sum_blocks<Reach, 1, 3>;
        default:
            return &sum_blocks<Reach, 1, 0>;
    }
}

inline SumBlocks choose_sums(int reach, int parts, int steps) {
    if (parts == 1) return reach == 64 ? choose_steps<64>(steps) : choose_steps<128>(steps);
    return reach == 64 ? &sum_blocks<64, kParts, 0> : &sum_blocks<128, kParts, 0>;
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev

#endif
