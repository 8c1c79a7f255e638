#include "best_keys.h"
#include "ev/scores.h"

namespace ev {
inline namespace EV_ISA {

void top_k(const float* scores, std::int64_t size, std::int64_t k, std::uint64_t* keys, float* values,
           std::int64_t* indices) {
    if (k == 0) return;
    constexpr float no_bar = std::numeric_limits<float>::quiet_NaN();
    BestKeys best(keys, static_cast<std::size_t>(size), static_cast<std::size_t>(k), no_bar);
    best.add_all(scores, size, 0);
    best.sort();
    for (std::int64_t i = 0; i < k; ++i) {
        indices[i] = static_cast<std::int64_t>(keys[i] & 0xffffffffU);
        values[i] = scores[indices[i]];
    }
}

}  // namespace EV_ISA
}  // namespace ev
