// Hits: what is above the confidence, a key each.
#include "boxes_parts.h"
#include "ev/scores.h"
#include "select.h"

namespace ev::cuda {
namespace {

/// Where the hits of an image go.
template <class T>
struct HitSink {
    const BoxFinderRule& rule;
    OutputView<T> boxes;
    std::int32_t* count;
    std::uint64_t* hits;

    EV_BODY void add(std::int64_t anchor, std::int64_t class_id, float score, std::int64_t hit) const {
        if (!is_finite(score) || !rule.dense.filter.keeps(class_id)) return;
        if (!is_finite_box(decode_box(boxes, rule.boxes, anchor))) return;
        if (rule.boxes.coding == BoxCoding::rotated &&
            !is_finite(to_float(boxes.at(anchor, rule.boxes.angle)))) {
            return;
        }
        hits[atomic_add(count, 1)] =
            (static_cast<std::uint64_t>(descending_key(score)) << 32) | static_cast<std::uint64_t>(hit);
    }
};

template <class T>
struct ScanDense {
    /// Every class above the confidence.
    EV_BODY static void add_all(const DenseRule& dense, const OutputView<T>& output, std::int64_t anchor,
                                float objectness, const HitSink<T>& sink) {
        for (std::int32_t id = 0; id < dense.num_classes; ++id) {
            const float score = to_float(output.at(anchor, dense.first_class + id)) * objectness;
            if (score > dense.confidence) sink.add(anchor, id, score, anchor * dense.num_classes + id);
        }
    }

    /// The best class. Without an objectness it is 1, and a product with it the score itself.
    EV_BODY static void add_best(const DenseRule& dense, const OutputView<T>& output, std::int64_t anchor,
                                 float objectness, const HitSink<T>& sink) {
        const float weight = dense.product_decides ? objectness : 1.0F;
        float best = -std::numeric_limits<float>::infinity();
        std::int32_t best_id = 0;
        for (std::int32_t id = 0; id < dense.num_classes; ++id) {
            const float score = to_float(output.at(anchor, dense.first_class + id)) * weight;
            if (score > best) {
                best = score;
                best_id = id;
            }
        }
        const float score = dense.product_decides ? best : best * objectness;
        if (score > dense.confidence) sink.add(anchor, best_id, score, anchor * dense.num_classes + best_id);
    }

    EV_BODY static void scan(const BoxFinderRule& rule, const OutputView<T>& output, std::int64_t anchor,
                             const HitSink<T>& sink) {
        const DenseRule& dense = rule.dense;
        float objectness = 1.0F;
        if (dense.objectness >= 0) {
            objectness = to_float(output.at(anchor, dense.objectness));
            if (!(objectness > dense.confidence)) return;
        }
        if (dense.multi_label) {
            add_all(dense, output, anchor, objectness, sink);
        } else {
            add_best(dense, output, anchor, objectness, sink);
        }
    }
};

template <class T>
struct ScanRows {
    EV_BODY static void scan(const BoxFinderRule& rule, const OutputView<T>& output, std::int64_t row,
                             const HitSink<T>& sink) {
        const float score = to_float(output.at(row, 4));
        const float id = to_float(output.at(row, 5));
        // 2^31 is the first float that an int32 cannot hold; the comparison is false for NaN.
        if (score > rule.dense.confidence && id >= 0.0F && id < 2147483648.0F) {
            sink.add(row, static_cast<std::int64_t>(id), score, row);
        }
    }
};

template <class T>
struct ScanSoftmax {
    EV_BODY static void scan(const BoxFinderRule& rule, const OutputView<T>& logits, std::int64_t query,
                             const HitSink<T>& sink) {
        float highest = -std::numeric_limits<float>::infinity();
        float best = highest;
        std::int64_t best_id = 0;
        for (std::int64_t id = 0; id < logits.channels; ++id) {
            const float logit = to_float(logits.at(query, id));
            if (logit > best && id + 1 < logits.channels) {
                best = logit;
                best_id = id;
            }
            highest = logit > highest ? logit : highest;
        }
        // The sum below is at least 1, so this bounds the score.
        const float bound = exp_f32(best - highest);
        if (!(bound > rule.dense.confidence)) return;
        double sums[kSums] = {};
        for (std::int64_t start = 0; start < logits.channels; start += kSums) {
            for (int i = 0; i < kSums; ++i) {
                if (start + i >= logits.channels) continue;
                sums[i] += static_cast<double>(exp_below_89(to_float(logits.at(query, start + i)) - highest));
            }
        }
        const float score = static_cast<float>(static_cast<double>(bound) / total_of(sums));
        if (score > rule.dense.confidence) sink.add(query, best_id, score, query * logits.channels + best_id);
    }
};

/// A thread an anchor, row or query.
template <class T, class Scan>
struct ScanAll {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    BoxFinderRule rule;
    BoxTensors tensors;
    std::int64_t capacity;
    std::int32_t* counts;
    std::uint64_t* hits;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const std::int64_t row = static_cast<std::int64_t>(block.x) * kThreads + block.thread;
        if (row >= tensors.scores.rows) return;
        const HitSink<T> sink{rule, view_of<T>(tensors.boxes, block.y), counts + block.y,
                              hits + block.y * capacity};
        Scan::scan(rule, view_of<T>(tensors.scores, block.y), row, sink);
    }
};

/// A key for every logit.
template <class T>
struct LogitKeys {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    TensorBatch logits;
    std::int64_t capacity;
    std::uint64_t* keys;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const std::int64_t i = static_cast<std::int64_t>(block.x) * kThreads + block.thread;
        if (i >= capacity) return;
        const OutputView<T> view = view_of<T>(logits, block.y);
        const float logit = to_float(view.at(i / logits.channels, i % logits.channels));
        keys[block.y * capacity + i] =
            (static_cast<std::uint64_t>(descending_key(logit)) << 32) | static_cast<std::uint64_t>(i);
    }
};

/// The hits among the best logits; here a hit is its rank among them, so that equal scores stay in their
/// order.
template <class T>
struct ScanBestLogits {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    BoxFinderRule rule;
    BoxTensors tensors;
    std::int64_t capacity;
    std::int64_t pitch;
    const std::uint64_t* best;
    const std::int32_t* found;
    std::int32_t* counts;
    std::uint64_t* hits;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int rank = block.x * kThreads + block.thread;
        if (rank >= found[block.y]) return;
        const auto flat = static_cast<std::int64_t>(best[block.y * pitch + rank] & 0xffffffffU);
        const std::int64_t query = flat / tensors.scores.channels;
        const std::int64_t id = flat % tensors.scores.channels;
        const OutputView<T> logits = view_of<T>(tensors.scores, block.y);
        const float score = sigmoid_f32(to_float(logits.at(query, id)));
        const HitSink<T> sink{rule, view_of<T>(tensors.boxes, block.y), counts + block.y,
                              hits + block.y * capacity};
        if (score > rule.dense.confidence) sink.add(query, id, score, rank);
    }
};

template <class T, class Scan>
void scan_all(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, const BoxWorkspace& workspace,
              Stream stream) {
    using Body = ScanAll<T, Scan>;
    launch(Body{rule, tensors, workspace.capacity, workspace.hit_counts, workspace.hits},
           {static_cast<unsigned>(ceil_div(tensors.scores.rows, Body::kThreads)),
            static_cast<unsigned>(batch), 1},
           stream, "scan_boxes");
}

template <class T>
void scan_sigmoid(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                  const BoxWorkspace& workspace, Stream stream) {
    const auto images = static_cast<unsigned>(batch);
    launch(LogitKeys<T>{tensors.scores, workspace.capacity, workspace.hits},
           {static_cast<unsigned>(ceil_div(workspace.capacity, LogitKeys<T>::kThreads)), images, 1}, stream,
           "logit_keys");
    launch_sort_best({workspace.hits, workspace.capacity, nullptr}, batch, rule.top_k, workspace.best_logits,
                     workspace.logit_counts, stream);
    using Body = ScanBestLogits<T>;
    launch(Body{rule, tensors, workspace.capacity, round_to_power(rule.top_k), workspace.best_logits,
                workspace.logit_counts, workspace.hit_counts, workspace.hits},
           {static_cast<unsigned>(ceil_div(rule.top_k, Body::kThreads)), images, 1}, stream, "scan_logits");
}

template <class T>
void scan(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, const BoxWorkspace& workspace,
          Stream stream) {
    switch (rule.scan) {
        case BoxScan::dense:
            return scan_all<T, ScanDense<T>>(rule, tensors, batch, workspace, stream);
        case BoxScan::rows:
            return scan_all<T, ScanRows<T>>(rule, tensors, batch, workspace, stream);
        case BoxScan::softmax:
            return scan_all<T, ScanSoftmax<T>>(rule, tensors, batch, workspace, stream);
        case BoxScan::sigmoid:
            return scan_sigmoid<T>(rule, tensors, batch, workspace, stream);
    }
}

}  // namespace

void launch_scan(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                 const BoxWorkspace& workspace, Stream stream) {
    if (rule.half) {
        scan<Half>(rule, tensors, batch, workspace, stream);
    } else {
        scan<float>(rule, tensors, batch, workspace, stream);
    }
}

}  // namespace ev::cuda
