// Outputs that are a set of detections: end-to-end rows, and the class logits of a DETR's queries.
#include <algorithm>
#include <cmath>
#include <limits>

#include "ascending.h"
#include "ev/boxes.h"
#include "hit_writer.h"

namespace ev {
inline namespace EV_ISA {
namespace {

/// The sum of exp(logit - highest) over a query's classes, one by one in double. The exponentials of a chunk
/// are computed first, in a loop that vectorises.
template <class T>
double sum_of_exponentials(const OutputView<T>& logits, std::int64_t query, float highest) {
    constexpr std::int64_t chunk = 128;
    float exponentials[chunk];
    double total = 0.0;
    for (std::int64_t start = 0; start < logits.channels; start += chunk) {
        const std::int64_t n = std::min(chunk, logits.channels - start);
        const T* row = logits.data + query * logits.anchor_stride + start * logits.channel_stride;
        for (std::int64_t i = 0; i < n; ++i) {
            exponentials[i] = exp_f32(to_float(row[i * logits.channel_stride]) - highest);
        }
        for (std::int64_t i = 0; i < n; ++i) total += static_cast<double>(exponentials[i]);
    }
    return total;
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
    // Only logits near or above the confidence's own are worth a key. 1e-6 is 16 units in the last place of
    // 1: more than what sigmoid_f32 rounds.
    const double lowered = static_cast<double>(confidence) - 1e-6;
    const double floor =
        lowered > 0.0 ? std::log(lowered / (1.0 - lowered)) : -std::numeric_limits<double>::infinity();
    std::size_t count = 0;
    for (std::int64_t query = 0; query < logits.anchors; ++query) {
        for (std::int64_t id = 0; id < logits.channels; ++id) {
            const float logit = to_float(logits.at(query, id));
            if (!(static_cast<double>(logit) > floor)) continue;
            const auto flat = static_cast<std::uint64_t>(query * logits.channels + id);
            keys[count++] = (static_cast<std::uint64_t>(descending_key(logit)) << 32) | flat;
        }
    }
    const std::size_t best = std::min(count, static_cast<std::size_t>(top_k));
    if (best < count) std::nth_element(keys, keys + best, keys + count, Ascending());
    std::sort(keys, keys + best, Ascending());
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
