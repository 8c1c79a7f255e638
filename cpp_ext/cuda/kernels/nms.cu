// Non-maximum suppression: which box overlaps which, a bit each, by all blocks; then who survives, by one
// block an image, 64 boxes at a time.
#include "boxes_parts.h"

namespace ev::cuda {
namespace {

constexpr int kWord = 64;

/// Overlap of upright boxes.
struct BoxTest {
    using Item = Box;

    float limit;
    float class_offset;  // 0: none

    EV_BODY Item load(const Candidates& candidates, const Gaussian* /*gaussians*/, std::int64_t at) const {
        const float* box = candidates.boxes + 5 * at;
        const Box plain{box[0], box[1], box[2], box[3]};
        if (!(class_offset > 0.0F)) return plain;
        return shift_box(plain, class_shift(candidates.class_ids[at], class_offset));
    }

    EV_BODY bool overlaps(const Item& better, const Item& worse) const {
        return box_iou(box_intersection(better, worse), box_area(better), box_area(worse)) > limit;
    }
};

/// Overlap of rotated boxes.
struct GaussianTest {
    using Item = Gaussian;

    double limit;
    double farthest;

    EV_BODY Item load(const Candidates& /*candidates*/, const Gaussian* gaussians, std::int64_t at) const {
        return gaussians[at];
    }

    EV_BODY bool overlaps(const Item& better, const Item& worse) const {
        return gaussians_overlap(better, worse, limit, farthest);
    }
};

struct MakeGaussians {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    Candidates candidates;
    float class_offset;
    Gaussian* gaussians;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int rank = block.x * kThreads + block.thread;
        if (rank >= candidates.counts[block.y]) return;
        const std::int64_t at = static_cast<std::int64_t>(block.y) * candidates.pitch + rank;
        const float shift = class_offset > 0.0F ? class_shift(candidates.class_ids[at], class_offset) : 0.0F;
        const float* box = candidates.boxes + 5 * at;
        const float moved[5] = {box[0] + shift, box[1] + shift, box[2], box[3], box[4]};
        gaussians[at] = gaussian_of(moved);
    }
};

/// Bit j of word x of row i: box i is better than box 64 x + j and overlaps it, their classes permitting.
template <class Test>
struct FindOverlaps {
    static constexpr int kThreads = kWord;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        typename Test::Item items[kWord];
        std::int32_t class_ids[kWord];
    };

    Test test;
    bool by_class;
    Candidates candidates;
    const Gaussian* gaussians;
    std::int32_t words;
    std::uint64_t* overlaps;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const int count = candidates.counts[block.z];
        const int first = block.x * kWord;
        const int row = block.y * kWord + block.thread;
        if (block.x < block.y || first >= count || static_cast<int>(block.y) * kWord >= count) return;
        const std::int64_t image = static_cast<std::int64_t>(block.z) * candidates.pitch;
        if (first + block.thread < count) {
            shared.items[block.thread] = test.load(candidates, gaussians, image + first + block.thread);
            shared.class_ids[block.thread] = candidates.class_ids[image + first + block.thread];
        }
        block.barrier();
        if (row >= count) return;
        const typename Test::Item own = test.load(candidates, gaussians, image + row);
        const std::int32_t class_id = candidates.class_ids[image + row];
        const int end = count - first < kWord ? count - first : kWord;
        std::uint64_t bits = 0;
        for (int j = row >= first ? row - first + 1 : 0; j < end; ++j) {
            if (by_class && shared.class_ids[j] != class_id) continue;
            if (test.overlaps(own, shared.items[j])) bits |= std::uint64_t{1} << j;
        }
        overlaps[(image + row) * words + block.x] = bits;
    }
};

struct Suppress {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        std::uint64_t suppressed[kMaxCandidates / kWord];
        std::uint64_t diagonal[kWord];
        std::uint64_t suppressing;  // of the present 64 boxes
        std::int32_t kept;
    };

    Candidates candidates;
    bool greedy;
    std::int32_t words;
    const std::uint64_t* overlaps;
    std::int32_t max_detections;
    std::int32_t* kept;
    std::int32_t* counts;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const int count = candidates.counts[block.x];
        const int used = ceil_div(count, kWord);
        const std::int64_t image = static_cast<std::int64_t>(block.x) * candidates.pitch;
        for (int i = block.thread; i < used; i += block.threads) shared.suppressed[i] = 0;
        if (block.thread == 0) shared.kept = 0;
        for (int word = 0; word < used; ++word) {
            const std::uint64_t* rows = overlaps + (image + static_cast<std::int64_t>(word) * kWord) * words;
            const int end = count - word * kWord < kWord ? count - word * kWord : kWord;
            if (block.thread < end) {
                shared.diagonal[block.thread] = rows[static_cast<std::int64_t>(block.thread) * words + word];
            }
            block.barrier();
            if (block.thread == 0) decide(shared, word, end, block.x);
            block.barrier();
            if (shared.kept >= max_detections) break;
            for (int other = word + 1 + block.thread; other < used; other += block.threads) {
                std::uint64_t bits = 0;
                for (int i = 0; i < end; ++i) {
                    if ((shared.suppressing >> i & 1) == 0) continue;
                    bits |= rows[static_cast<std::int64_t>(i) * words + other];
                }
                shared.suppressed[other] |= bits;
            }
        }
        if (block.thread == 0) counts[block.x] = shared.kept;
    }

    /// Boxes 64 word to 64 word + end - 1, one after another.
    EV_BODY void decide(Shared& shared, int word, int end, int image) const {
        std::uint64_t suppressed = shared.suppressed[word];
        std::uint64_t suppressing = 0;
        for (int i = 0; i < end && shared.kept < max_detections; ++i) {
            const bool survives = (suppressed >> i & 1) == 0;
            if (!survives && greedy) continue;
            suppressing |= std::uint64_t{1} << i;
            suppressed |= shared.diagonal[i];
            if (!survives) continue;
            kept[static_cast<std::int64_t>(image) * max_detections + shared.kept] = word * kWord + i;
            ++shared.kept;
        }
        shared.suppressing = suppressing;
    }
};

template <class Test>
void find_overlaps(const Test& test, const BoxFinderRule& rule, int batch, const BoxWorkspace& workspace,
                   Stream stream) {
    const bool by_class = !rule.nms.class_agnostic && !(rule.nms.class_offset > 0.0F);
    const auto words = static_cast<unsigned>(workspace.words);
    launch(FindOverlaps<Test>{test, by_class, workspace.candidates, workspace.gaussians, workspace.words,
                              workspace.overlaps},
           {words, words, static_cast<unsigned>(batch)}, stream, "find_overlaps");
}

}  // namespace

void launch_suppress(const BoxFinderRule& rule, int batch, const BoxWorkspace& workspace,
                     std::int32_t* counts, Stream stream) {
    const auto images = static_cast<unsigned>(batch);
    const float class_offset = rule.nms.class_agnostic ? 0.0F : rule.nms.class_offset;
    if (rule.boxes.coding == BoxCoding::rotated) {
        launch(
            MakeGaussians{workspace.candidates, class_offset, workspace.gaussians},
            {static_cast<unsigned>(ceil_div(workspace.candidates.pitch, MakeGaussians::kThreads)), images, 1},
            stream, "make_gaussians");
        find_overlaps(GaussianTest{rule.nms.iou, farthest_center(rule.nms.iou)}, rule, batch, workspace,
                      stream);
    } else {
        find_overlaps(BoxTest{float_below(rule.nms.iou), class_offset}, rule, batch, workspace, stream);
    }
    launch(Suppress{workspace.candidates, rule.nms.greedy || rule.boxes.coding != BoxCoding::rotated,
                    workspace.words, workspace.overlaps, rule.nms.max_detections, workspace.kept, counts},
           {images, 1, 1}, stream, "suppress");
}

}  // namespace ev::cuda
