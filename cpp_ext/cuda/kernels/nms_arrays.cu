// Suppression of boxes that something else found: ranked by score, suppressed as those of a detector are.
#include "boxes_parts.h"
#include "select.h"

namespace ev::cuda {
namespace {

/// A key for each box whose numbers are all finite, in no order.
struct CollectBoxes {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    BoxArrays arrays;
    int columns;
    std::int32_t* counts;
    std::uint64_t* keys;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const std::int64_t i = static_cast<std::int64_t>(block.x) * kThreads + block.thread;
        const std::int64_t count = arrays.counts == nullptr ? arrays.capacity : arrays.counts[block.y];
        if (i >= count || i >= arrays.capacity) return;
        const std::int64_t image = block.y * arrays.capacity;
        const float score = arrays.scores[image + i];
        bool finite = is_finite(score);
        const float* box = arrays.boxes + (image + i) * columns;
        for (int c = 0; c < columns; ++c) finite = finite && is_finite(box[c]);
        if (!finite) return;
        keys[image + atomic_add(&counts[block.y], 1)] =
            (static_cast<std::uint64_t>(descending_key(score)) << 32) | static_cast<std::uint64_t>(i);
    }
};

struct GatherBoxes {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    BoxArrays arrays;
    int columns;
    const std::uint64_t* best;
    std::int64_t best_pitch;
    Candidates out;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int rank = block.x * kThreads + block.thread;
        if (rank >= out.counts[block.y]) return;
        const auto index = static_cast<std::int32_t>(best[block.y * best_pitch + rank] & 0xffffffffU);
        const std::int64_t from = block.y * arrays.capacity + index;
        const std::int64_t to = static_cast<std::int64_t>(block.y) * out.pitch + rank;
        for (int c = 0; c < 5; ++c) {
            out.boxes[5 * to + c] = c < columns ? arrays.boxes[from * columns + c] : 0.0F;
        }
        out.class_ids[to] = arrays.class_ids == nullptr ? 0 : arrays.class_ids[from];
        out.anchors[to] = index;
    }
};

/// Ranks that survive to the boxes' own indices.
struct WriteKept {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    Candidates candidates;
    const std::int32_t* ranks;
    std::int32_t max_detections;
    const std::int32_t* counts;
    std::int32_t* kept;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int row = block.x * kThreads + block.thread;
        if (row >= max_detections) return;
        const std::int64_t at = static_cast<std::int64_t>(block.y) * max_detections + row;
        const std::int64_t image = static_cast<std::int64_t>(block.y) * candidates.pitch;
        kept[at] = row < counts[block.y] ? candidates.anchors[image + ranks[at]] : -1;
    }
};

BoxFinderRule finder_rule(const SuppressRule& rule, bool rotated) {
    BoxFinderRule same{};
    same.scan = BoxScan::rows;
    same.boxes.coding = rotated ? BoxCoding::rotated : BoxCoding::corners;
    same.suppress = true;
    same.nms = rule;
    return same;
}

BoxTensors tensors_of(std::int64_t capacity) {
    BoxTensors tensors{};
    tensors.scores.rows = capacity;
    return tensors;
}

GridSize grid_of(std::int64_t count, int threads, int batch) {
    return {static_cast<unsigned>(ceil_div(count, threads)), static_cast<unsigned>(batch), 1};
}

}  // namespace

std::size_t nms_workspace_size(const SuppressRule& rule, bool rotated, std::int64_t capacity, int batch) {
    return BoxWorkspace(finder_rule(rule, rotated), tensors_of(capacity), batch, nullptr).used;
}

void launch_nms(const SuppressRule& rule, const BoxArrays& arrays, int batch, void* memory,
                std::int32_t* kept, std::int32_t* num_kept, Stream stream) {
    if (batch == 0 || arrays.capacity == 0) return;
    BoxFinderRule same = finder_rule(rule, arrays.rotated);
    same.nms.class_agnostic = rule.class_agnostic || arrays.class_ids == nullptr;
    const BoxWorkspace workspace(same, tensors_of(arrays.capacity), batch, memory);
    const Candidates& candidates = workspace.candidates;
    const int columns = arrays.rotated ? 5 : 4;
    fill_async(workspace.hit_counts, 0, static_cast<std::size_t>(batch) * sizeof(std::int32_t), stream);
    launch(CollectBoxes{arrays, columns, workspace.hit_counts, workspace.hits},
           grid_of(arrays.capacity, CollectBoxes::kThreads, batch), stream, "collect_boxes");
    launch_sort_best({workspace.hits, workspace.capacity, workspace.hit_counts}, batch, candidates.pitch,
                     workspace.best, candidates.counts, stream);
    launch(GatherBoxes{arrays, columns, workspace.best, round_to_power(candidates.pitch), candidates},
           grid_of(candidates.pitch, GatherBoxes::kThreads, batch), stream, "gather_boxes");
    launch_suppress(same, batch, workspace, num_kept, stream);
    launch(WriteKept{candidates, workspace.kept, rule.max_detections, num_kept, kept},
           grid_of(rule.max_detections, WriteKept::kThreads, batch), stream, "write_kept");
}

}  // namespace ev::cuda
