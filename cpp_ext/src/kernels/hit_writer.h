// How every scan collects its hits.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/boxes.h"

namespace ev {
inline namespace EV_ISA {

/// Collects hits, leaving out those with an infinite score or an unwanted class.
struct HitWriter {
    const ClassFilter& filter;
    Hit* hits;
    std::size_t count = 0;

    void add(std::int64_t anchor, std::int64_t id, float score) {
        if (!is_finite(score) || !filter.keeps(id)) return;
        hits[count++] = {static_cast<std::int32_t>(anchor), static_cast<std::int32_t>(id), score};
    }
};

}  // namespace EV_ISA
}  // namespace ev
