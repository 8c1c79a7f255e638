#include "nms_order.h"

#include <algorithm>
#include <utility>

namespace ev {
inline namespace EV_ISA {
namespace {

constexpr int kDigitBits = 8;
constexpr std::size_t kDigits = std::size_t{1} << kDigitBits;

bool is_finite_box(const float* box, std::size_t columns) {
    bool finite = true;
    for (std::size_t i = 0; i < columns; ++i) finite = finite && is_finite(box[i]);
    return finite;
}

}  // namespace

void sort_by_high_word(std::uint64_t* keys, std::uint64_t* spare, std::size_t count) {
    // Least significant digit first. A digit that all keys share, as the high bytes of class ids do, costs no
    // move.
    std::uint64_t* from = keys;
    std::uint64_t* to = spare;
    for (int shift = 32; shift < 64; shift += kDigitBits) {
        std::uint32_t starts[kDigits] = {};
        for (std::size_t i = 0; i < count; ++i) ++starts[(from[i] >> shift) & (kDigits - 1)];
        if (count == 0 || starts[(from[0] >> shift) & (kDigits - 1)] == count) continue;
        std::uint32_t start = 0;
        for (std::uint32_t& entry : starts) start += std::exchange(entry, start);
        for (std::size_t i = 0; i < count; ++i) to[starts[(from[i] >> shift) & (kDigits - 1)]++] = from[i];
        std::swap(from, to);
    }
    if (from != keys) std::copy_n(from, count, keys);
}

std::ptrdiff_t rank_boxes(const NmsJob& job, std::size_t columns, std::uint64_t* keys, std::uint64_t* spare,
                          std::uint32_t* by_rank) {
    std::size_t count = 0;
    for (std::size_t i = 0; i < job.count; ++i) {
        if (job.class_ids != nullptr && (job.class_ids[i] < 0 || job.class_ids[i] > INT32_MAX))
            return kBadClassId;
        if (!is_finite(job.scores[i]) || !is_finite_box(job.boxes + i * columns, columns)) continue;
        keys[count++] = (static_cast<std::uint64_t>(descending_key(job.scores[i])) << 32) | i;
    }
    sort_by_high_word(keys, spare, count);
    count = std::min(count, job.max_candidates);
    for (std::size_t rank = 0; rank < count; ++rank) by_rank[rank] = static_cast<std::uint32_t>(keys[rank]);
    return static_cast<std::ptrdiff_t>(count);
}

}  // namespace EV_ISA
}  // namespace ev
