// Outputs that are a set of detections: end-to-end rows, and the class logits of a DETR's queries.
#include <algorithm>
#include <cmath>
#include <limits>

#include "best_keys.h"
#include "ev/boxes.h"
#include "hit_writer.h"
#include "lanes_sums.h"

namespace ev {
inline namespace EV_ISA {
namespace {

/// A query's classes side by side: where they are if they are so, else a piece of them in `copy`.
template <class T>
const T* classes_of(const OutputView<T>& logits, std::int64_t query, std::int64_t start, std::int64_t count,
                    T* copy) {
    const T* first = logits.data + query * logits.anchor_stride + start * logits.channel_stride;
    if (logits.channel_stride == 1) return first;
    for (std::int64_t i = 0; i < count; ++i) copy[i] = first[i * logits.channel_stride];
    return copy;
}

/// The sum of exp(logit - highest) over a query's classes, as a softmax adds them.
template <class T>
double sum_of_exponentials(const OutputView<T>& logits, std::int64_t query, float highest) {
    constexpr std::int64_t chunk = 128;  // whole rounds of the eight sums
    T copy[chunk];
    EightSums sums;
    for (std::int64_t start = 0; start < logits.channels; start += chunk) {
        const std::int64_t n = std::min(chunk, logits.channels - start);
        const T* row = classes_of(logits, query, start, n, copy);
        for (std::int64_t i = 0; i < n; i += kFloatLanes) {
            // Floats beyond the end add 0, or NaN to a sum that is NaN already.
            const Floats some = load_up_to(row + i, n - i, -std::numeric_limits<float>::infinity());
            sums.add(exp_below_89(some - highest), static_cast<int>(i % kSums));
        }
    }
    return sums.total();
}

/// Adds the logit of every query and class, with query * classes + class as its index.
template <class T>
void add_logits(const OutputView<T>& logits, BestKeys* best) {
    if (logits.channel_stride == 1 && logits.anchor_stride == logits.channels) {
        best->add_all(logits.data, logits.anchors * logits.channels, 0);
        return;
    }
    constexpr std::int64_t chunk = 128;
    T copy[chunk];
    for (std::int64_t query = 0; query < logits.anchors; ++query) {
        for (std::int64_t start = 0; start < logits.channels; start += chunk) {
            const std::int64_t n = std::min(chunk, logits.channels - start);
            const T* row = classes_of(logits, query, start, n, copy);
            best->add_all(row, n, static_cast<std::uint64_t>(query * logits.channels + start));
        }
    }
}

}  // namespace

template <class T>
std::size_t scan_rows(const OutputView<T>& output, float confidence, const ClassFilter& filter, Hit* hits) {
    HitWriter writer{filter, hits};
    for (std::int64_t row = 0; row < output.anchors; ++row) {
        const float score = to_float(output.at(row, 4));
        const float id = to_float(output.at(row, 5));
        // 2^31 is the first float that an int32 cannot hold; the comparison is false for NaN.
        if (score > confidence && id >= 0.0F && id < 2147483648.0F) {
            writer.add(row, static_cast<std::int64_t>(id), score);
        }
    }
    return writer.count;
}

template <class T>
std::size_t scan_softmax(const OutputView<T>& logits, float confidence, const ClassFilter& filter,
                         Hit* hits) {
    HitWriter writer{filter, hits};
    for (std::int64_t query = 0; query < logits.anchors; ++query) {
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
        // The sum below is at least 1, so this bounds the score: most queries of a DETR are "no object" and
        // end here.
        const float bound = exp_f32(best - highest);
        if (!(bound > confidence)) continue;
        const double total = sum_of_exponentials(logits, query, highest);
        const float score = static_cast<float>(static_cast<double>(bound) / total);
        if (score > confidence) writer.add(query, best_id, score);
    }
    return writer.count;
}

template <class T>
std::size_t scan_sigmoid(const OutputView<T>& logits, float confidence, const ClassFilter& filter,
                         std::int64_t top_k, std::uint64_t* keys, Hit* hits) {
    if (top_k == 0) return 0;  // BestKeys keeps one at least
    // Only logits near or above the confidence's own are worth a key. 1e-6 is 16 units in the last place of
    // 1: more than what sigmoid_f32 rounds.
    const double lowered = static_cast<double>(confidence) - 1e-6;
    const float floor = lowered > 0.0 ? static_cast<float>(std::log(lowered / (1.0 - lowered)) - 1e-5)
                                      : -std::numeric_limits<float>::infinity();
    const auto all = static_cast<std::size_t>(logits.anchors * logits.channels);
    BestKeys keys_of_best(keys, all, static_cast<std::size_t>(top_k), floor);
    add_logits(logits, &keys_of_best);
    const std::size_t best = keys_of_best.sort();
    HitWriter writer{filter, hits};
    for (std::size_t i = 0; i < best; ++i) {
        const auto flat = static_cast<std::int64_t>(keys[i] & 0xffffffffU);
        const std::int64_t query = flat / logits.channels;
        const std::int64_t id = flat % logits.channels;
        const float score = sigmoid_f32(to_float(logits.at(query, id)));
        if (score > confidence) writer.add(query, id, score);
    }
    return writer.count;
}

template std::size_t scan_rows(const OutputView<float>&, float, const ClassFilter&, Hit*);
template std::size_t scan_softmax(const OutputView<float>&, float, const ClassFilter&, Hit*);
template std::size_t scan_sigmoid(const OutputView<float>&, float, const ClassFilter&, std::int64_t,
                                  std::uint64_t*, Hit*);
template std::size_t scan_rows(const OutputView<Half>&, float, const ClassFilter&, Hit*);
template std::size_t scan_softmax(const OutputView<Half>&, float, const ClassFilter&, Hit*);
template std::size_t scan_sigmoid(const OutputView<Half>&, float, const ClassFilter&, std::int64_t,
                                  std::uint64_t*, Hit*);

}  // namespace EV_ISA
}  // namespace ev
