// Registers of 32-bit lanes as values, for kernels whose plain loops compilers do not turn into good code:
// the same types and functions for each instruction set, with the same bits lane by lane.
//
// Floats, Ints               kFloatLanes numbers: 16 with AVX-512, 8 with AVX2, 4 with SSE2 and NEON; one
//                            number stands for all lanes
// + - * /                    of Floats, rounded once each
// load, store                unaligned; float16 is widened
// load_n_or, store_n         the first n lanes, 0 to all; the others are what is said, or stay as they are
// min, max                   either where one is NaN
// greater_of(a, b)           a where it is greater, else b, as where one is NaN
// greater, equal             lane by lane, a Mask; false for NaN
// finite_lanes               a Mask: neither infinite nor NaN
// if_then_else, any          of a Mask
// table_index, table_lookup  a lane's index as it is kept in memory; lanes of a register by such indices
// stream                     a store past the caches, where there is one
//
// With AVX2 and AVX-512, where EV_WIDE_LANES is 1, there are besides: load_n, whose other lanes are 0;
// table_lookup by a register of lanes' numbers; pairs of neighbours from indices (load_pairs); and lanes as
// bits, the first the lowest (bits_from_mask, spread_bits, store_bits), or as bytes (store_mask,
// store_masks).
#pragma once

#include <cstdint>

#include "ev/arith.h"

// Tests define EV_PLAIN_LANES to run what processors without a header of their own get.
#if defined(EV_PLAIN_LANES)
#include "lanes_plain.h"
#elif defined(__AVX512BW__)
#include "lanes_avx512.h"
#elif defined(__AVX2__)
#include "lanes_avx2.h"
#elif defined(__SSE2__) || defined(_M_X64)
#include "lanes_sse2.h"
#elif defined(__aarch64__)
#include "lanes_neon.h"
#else
#include "lanes_plain.h"
#endif

#if !defined(EV_WIDE_LANES)
#define EV_WIDE_LANES 0
#endif

namespace ev {
inline namespace EV_ISA {

/// As many lanes as there are, at most `n`; the others are `rest`.
template <class T>
EV_INLINE Floats load_up_to(const T* from, std::int64_t n, float rest) {
    return n >= kFloatLanes ? load(from) : load_n_or(from, static_cast<std::int32_t>(n), rest);
}

EV_INLINE void store_up_to(float* to, std::int64_t n, Floats values) {
    if (n >= kFloatLanes) {
        store(to, values);
    } else {
        store_n(to, static_cast<std::int32_t>(n), values);
    }
}

// What exp_of and sigmoid_of of ev/arith.h need.

EV_INLINE Floats at_least(float low, Floats x) {
    return greater_of(low, x);
}

EV_INLINE Floats one_unless_negative(Floats x, Floats otherwise) {
    return if_then_else(greater(0.0F, x), otherwise, Floats(1.0F));
}

/// Asks for memory that will be read soon, or a little later: into the first- or the second-level cache.
EV_INLINE void prefetch(const void* memory) {
#if defined(__GNUC__)
    __builtin_prefetch(memory, 0, 3);
#else
    (void)memory;
#endif
}

EV_INLINE void prefetch_later(const void* memory) {
#if defined(__GNUC__)
    __builtin_prefetch(memory, 0, 2);
#else
    (void)memory;
#endif
}

}  // namespace EV_ISA
}  // namespace ev
