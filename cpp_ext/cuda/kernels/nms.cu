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

/// Of 64 boxes the ones before number `count`.
EV_BODY inline std::uint64_t first_bits(int count) {
    return count < kWord ? (std::uint64_t{1} << count) - 1 : ~std::uint64_t{0};
}

struct Suppress {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        std::uint64_t suppressed[kMaxCandidates / kWord];
        std::uint64_t diagonal[kWord];
        std::uint64_t suppressing;  // of the present 64 boxes
        std::uint64_t surviving;
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
        std::int32_t* const written = kept + static_cast<std::int64_t>(block.x) * max_detections;
        // A row of overlaps is read by several threads, which share the words of later boxes.
        const int row = block.thread % kWord;
        const int part = block.thread / kWord;
        const int parts = block.threads / kWord;
        for (int i = block.thread; i < used; i += block.threads) shared.suppressed[i] = 0;
        int kept_before = 0;
        for (int word = 0; word < used && kept_before < max_detections; ++word) {
            const std::uint64_t* own =
                overlaps + (image + static_cast<std::int64_t>(word) * kWord + row) * words;
            const int end = count - word * kWord < kWord ? count - word * kWord : kWord;
            if (block.thread < end) shared.diagonal[row] = own[word];
            block.barrier();
            if (block.thread == 0) decide(shared, word, end, max_detections - kept_before);
            block.barrier();
            const std::uint64_t surviving = shared.surviving;
            if (part == 0 && (surviving >> row & 1) != 0) {
                written[kept_before + count_bits(surviving & first_bits(row))] = word * kWord + row;
            }
            kept_before += count_bits(surviving);
            if ((shared.suppressing >> row & 1) == 0) continue;
            for (int other = word + 1 + part; other < used; other += parts) {
                const std::uint64_t bits = own[other];
                if (bits != 0) atomic_or(&shared.suppressed[other], bits);
            }
        }
        if (block.thread == 0) counts[block.x] = kept_before;
    }

    /// Which of boxes 64 word to 64 word + end - 1 survive, `room` at most, and which suppress others.
    EV_BODY void decide(Shared& shared, int word, int end, int room) const {
        std::uint64_t left = ~shared.suppressed[word] & first_bits(end);
        if (!greedy) {
            for (int i = 0; i < end; ++i) left &= ~shared.diagonal[i];
        }
        std::uint64_t surviving = 0;
        for (; left != 0 && room > 0; --room) {
            const int best = lowest_bit(left);
            surviving |= std::uint64_t{1} << best;
            left &= left - 1;
            if (greedy) left &= ~shared.diagonal[best];
        }
        shared.surviving = surviving;
        shared.suppressing = greedy ? surviving : first_bits(end);
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
