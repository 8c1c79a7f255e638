#include <algorithm>

#include "ev/boxes_steps.h"
#include "nms_order.h"

namespace ev {
inline namespace EV_ISA {
namespace {

Gaussian gaussian_at(const NmsJob& job, std::size_t index, bool with_offset) {
    float box[5];
    std::copy_n(job.boxes + 5 * index, 5, box);
    const float shift = with_offset ? class_shift(job.class_ids[index], job.class_offset) : 0.0F;
    box[0] += shift;
    box[1] += shift;
    return gaussian_of(box);
}

}  // namespace

std::ptrdiff_t nms_rotated(const NmsJob& job, std::byte* scratch, std::int64_t* kept) {
    ScratchArena arena(scratch);
    auto* keys = arena.take<std::uint64_t>(job.count);
    auto* spare = arena.take<std::uint64_t>(job.count);
    auto* by_rank = arena.take<std::uint32_t>(job.count);
    auto* survives = arena.take<std::uint8_t>(job.count);
    auto* group = arena.take<Gaussian>(job.count);

    const std::ptrdiff_t ranked = rank_boxes(job, 5, keys, spare, by_rank);
    if (ranked < 0) return ranked;
    const auto count = static_cast<std::size_t>(ranked);
    // With an offset classes stay together: the overlap of distant Gaussians is small but never exactly zero.
    const bool with_offset = job.class_ids != nullptr && job.class_offset > 0.0F;
    const bool by_class = job.class_ids != nullptr && !with_offset;
    const double farthest = farthest_center(job.iou);
    const auto suppress = [&](const std::uint64_t* order, std::size_t ranks) {
        std::size_t compared = 0;
        std::size_t surviving = 0;
        for (std::size_t i = 0; i < ranks; ++i) {
            if (i > 0 && (order[i] >> 32) != (order[i - 1] >> 32)) compared = surviving = 0;
            const auto rank = static_cast<std::uint32_t>(order[i]);
            survives[rank] = 0;
            if (surviving >= job.max_detections) continue;
            const Gaussian gaussian = gaussian_at(job, by_rank[rank], with_offset);
            bool suppressed = false;
            for (std::size_t j = 0; j < compared && !suppressed; ++j)
                suppressed = gaussians_overlap(group[j], gaussian, job.iou, farthest);
            if (!suppressed || !job.greedy) group[compared++] = gaussian;
            if (suppressed) continue;
            survives[rank] = 1;
            ++surviving;
        }
    };
    return suppress_prefixes(job, by_class, count, keys, spare, by_rank, survives, kept, suppress);
}

}  // namespace EV_ISA
}  // namespace ev
