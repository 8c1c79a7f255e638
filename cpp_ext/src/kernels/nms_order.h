// What both suppression kernels share: the order of the boxes and the split by class.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ev/boxes.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {

/// Sorts by the upper 32 bits, equal ones in their present order.
void sort_by_high_word(std::uint64_t* keys, std::uint64_t* spare, std::size_t count);

/// Writes the indices of the boxes whose score and `columns` coordinates are finite, best first, the lower
/// index first among equals, cut to the best max_candidates. `keys` and `spare` hold job.count each,
/// `by_rank` too. Returns how many there are, or kBadClassId.
std::ptrdiff_t rank_boxes(const NmsJob& job, std::size_t columns, std::uint64_t* keys, std::uint64_t* spare,
                          std::uint32_t* by_rank);

/// Calls `suppress(keys, n)` for growing prefixes of the ranking, until one has max_detections survivors or
/// all ranks took part; `suppress` gets (class << 32 | rank) ascending and marks the survivors. A box depends
/// on better boxes only, so what survives in a prefix survives for good; boxes far down cost nothing once
/// enough are found. Writes the kept indices, best first, and returns their number.
template <class Suppress>
std::ptrdiff_t suppress_prefixes(const NmsJob& job, bool by_class, std::size_t count, std::uint64_t* keys,
                                 std::uint64_t* spare, const std::uint32_t* by_rank,
                                 const std::uint8_t* survives, std::int64_t* kept, Suppress&& suppress) {
    std::size_t prefix = std::max<std::size_t>(1024, 4 * std::min(count, job.max_detections));
    for (;; prefix *= 4) {
        const std::size_t ranks = std::min(prefix, count);
        for (std::size_t rank = 0; rank < ranks; ++rank) {
            const std::uint64_t group =
                by_class ? static_cast<std::uint64_t>(job.class_ids[by_rank[rank]]) : 0U;
            keys[rank] = (group << 32) | rank;
        }
        if (by_class) sort_by_high_word(keys, spare, ranks);
        suppress(keys, ranks);
        std::size_t found = 0;
        for (std::size_t rank = 0; rank < ranks && found < job.max_detections; ++rank) {
            if (survives[rank] != 0) kept[found++] = by_rank[rank];
        }
        if (ranks == count || found == job.max_detections) return static_cast<std::ptrdiff_t>(found);
    }
}

}  // namespace EV_ISA
}  // namespace ev
