#include <algorithm>
#include <limits>

#include "ev/boxes_steps.h"
#include "nms_order.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// Kept boxes are compared in blocks of this many, without a branch inside, so that the loop vectorises.
constexpr std::size_t kLanes = 16;

/// Kept boxes of one class, coordinate by coordinate, padded to whole blocks with boxes that meet nothing.
struct KeptBoxes {
    float* x1;
    float* y1;
    float* x2;
    float* y2;
    float* area;
    std::size_t count;

    void clear() {
        count = 0;
        pad_block();
    }

    void add(const Box& box, float box_area) {
        x1[count] = box.x1;
        y1[count] = box.y1;
        x2[count] = box.x2;
        y2[count] = box.y2;
        area[count] = box_area;
        if (++count % kLanes == 0) pad_block();
    }

    Box at(std::size_t i) const { return {x1[i], y1[i], x2[i], y2[i]}; }

  private:
    void pad_block() const {
        const float infinity = std::numeric_limits<float>::infinity();
        std::fill_n(x1 + count, kLanes, infinity);
        std::fill_n(y1 + count, kLanes, infinity);
        std::fill_n(x2 + count, kLanes, -infinity);
        std::fill_n(y2 + count, kLanes, -infinity);
        std::fill_n(area + count, kLanes, 0.0F);
    }
};

std::size_t kept_capacity(std::size_t count, std::size_t max_detections) {
    return std::min(count, max_detections) + 2 * kLanes;
}

/// Whether any kept box overlaps `box` by more than `limit`.
///
/// A division per pair would cost more than all the rest. `intersection >= almost * union`, with `almost` a
/// little below the limit, holds for every pair that suppresses, whatever the roundings are (with >=, down to
/// subnormal areas), and for few others; only blocks where it holds are divided exactly.
bool is_suppressed(const KeptBoxes& kept, const Box& box, float area, float limit) {
    const float almost = limit * (1.0F - 1e-6F);
    for (std::size_t start = 0; start < kept.count; start += kLanes) {
        int near = 0;
        for (std::size_t i = start; i < start + kLanes; ++i) {
            const float intersection = box_intersection(kept.at(i), box);
            near |= intersection >= almost * (kept.area[i] + area - intersection) ? 1 : 0;
        }
        if (near == 0) continue;
        const std::size_t end = std::min(start + kLanes, kept.count);
        for (std::size_t i = start; i < end; ++i) {
            if (box_iou(box_intersection(kept.at(i), box), kept.area[i], area) > limit) return true;
        }
    }
    return false;
}

Box box_at(const NmsJob& job, std::size_t index) {
    const float* box = job.boxes + 4 * index;
    return {box[0], box[1], box[2], box[3]};
}

Box shifted_box(const NmsJob& job, std::size_t index) {
    return shift_box(box_at(job, index), class_shift(job.class_ids[index], job.class_offset));
}

/// Whether offsets keep the classes so far apart that boxes of two classes cannot touch, however the shifted
/// coordinates are rounded: all coordinates lie within half an offset of each other, and there are at most
/// 2^20 classes, so that a shift is off by no more than c / 16.
bool classes_are_disjoint(const NmsJob& job, const std::uint32_t* by_rank, std::size_t count) {
    float low = std::numeric_limits<float>::infinity();
    float high = -low;
    std::int64_t highest_class = 0;
    for (std::size_t rank = 0; rank < count; ++rank) {
        const std::size_t index = by_rank[rank];
        for (std::size_t side = 0; side < 4; ++side) {
            low = std::min(low, job.boxes[4 * index + side]);
            high = std::max(high, job.boxes[4 * index + side]);
        }
        highest_class = std::max(highest_class, job.class_ids[index]);
    }
    return high - low <= 0.5F * job.class_offset && highest_class < (1 << 20);
}

}  // namespace

std::size_t nms_scratch_size(std::size_t count, std::size_t max_detections) {
    const std::size_t capacity = kept_capacity(count, max_detections);
    const std::size_t axis_aligned = 5 * ScratchArena::size_of<float>(capacity);
    // Rotated boxes that are not greedy compare with every better box, so all of them are stored.
    const std::size_t rotated = ScratchArena::size_of<Gaussian>(count);
    return 2 * ScratchArena::size_of<std::uint64_t>(count) + ScratchArena::size_of<std::uint32_t>(count) +
           ScratchArena::size_of<std::uint8_t>(count) + std::max(axis_aligned, rotated);
}

std::ptrdiff_t nms(const NmsJob& job, std::byte* scratch, std::int64_t* kept) {
    ScratchArena arena(scratch);
    auto* keys = arena.take<std::uint64_t>(job.count);
    auto* spare = arena.take<std::uint64_t>(job.count);
    auto* by_rank = arena.take<std::uint32_t>(job.count);
    auto* survives = arena.take<std::uint8_t>(job.count);
    const std::size_t capacity = kept_capacity(job.count, job.max_detections);
    KeptBoxes group{arena.take<float>(capacity), arena.take<float>(capacity), arena.take<float>(capacity),
                    arena.take<float>(capacity), arena.take<float>(capacity), 0};

    const std::ptrdiff_t ranked = rank_boxes(job, 4, keys, spare, by_rank);
    if (ranked < 0) return ranked;
    const auto count = static_cast<std::size_t>(ranked);
    const bool with_offset = job.class_ids != nullptr && job.class_offset > 0.0F;
    const bool by_class =
        job.class_ids != nullptr && (!with_offset || classes_are_disjoint(job, by_rank, count));
    const float limit = float_below(job.iou);
    const auto suppress = [&](const std::uint64_t* order, std::size_t ranks) {
        group.clear();
        for (std::size_t i = 0; i < ranks; ++i) {
            if (i > 0 && (order[i] >> 32) != (order[i - 1] >> 32)) group.clear();
            const auto rank = static_cast<std::uint32_t>(order[i]);
            survives[rank] = 0;
            // No class can have more in the result than the whole result holds.
            if (group.count >= job.max_detections) continue;
            const std::uint32_t index = by_rank[rank];
            const Box box = with_offset ? shifted_box(job, index) : box_at(job, index);
            const float area = box_area(box);
            if (is_suppressed(group, box, area, limit)) continue;
            group.add(box, area);
            survives[rank] = 1;
        }
    };
    return suppress_prefixes(job, by_class, count, keys, spare, by_rank, survives, kept, suppress);
}

}  // namespace EV_ISA
}  // namespace ev
