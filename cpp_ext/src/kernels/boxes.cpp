#include "ev/boxes.h"

#include <algorithm>

namespace ev {
namespace {

// Anchors per block: a block's running maxima stay in L1, and its scores (80 classes: 160 KiB) in L2 for the
// look-up of the winning classes.
constexpr std::int64_t kBlock = 512;

// Hits in a block above which one more pass over all its scores finds the classes faster than a search per
// hit.
constexpr std::int64_t kManyHits = 32;

template <class T>
using Key = typename Order<T>::Key;

/// best[i] = max(best[i], scores of every class), for `n` anchors that lie side by side.
template <class T>
void max_over_classes(const T* first_row, std::ptrdiff_t row_stride, std::int32_t rows, std::int64_t n,
                      Key<T>* best) {
    const auto better = [](Key<T> candidate, Key<T> current) {
        return candidate > current ? candidate : current;
    };
    std::int32_t row = 0;
    // Four rows at a time: the maxima are read and written once for four scores.
    for (; row + 4 <= rows; row += 4) {
        const T* a = first_row + row * row_stride;
        const T* b = a + row_stride;
        const T* c = b + row_stride;
        const T* d = c + row_stride;
        for (std::int64_t i = 0; i < n; ++i) {
            Key<T> value = better(Order<T>::key(a[i]), best[i]);
            value = better(Order<T>::key(b[i]), value);
            value = better(Order<T>::key(c[i]), value);
            best[i] = better(Order<T>::key(d[i]), value);
        }
    }
    for (; row < rows; ++row) {
        const T* a = first_row + row * row_stride;
        for (std::int64_t i = 0; i < n; ++i) best[i] = better(Order<T>::key(a[i]), best[i]);
    }
}

/// The first class whose key is `best`; one exists.
template <class T>
std::int32_t find_class(const T* scores, std::ptrdiff_t stride, std::int32_t classes, Key<T> best) {
    std::int32_t id = 0;
    while (id + 1 < classes && Order<T>::key(scores[id * stride]) != best) ++id;
    return id;
}

/// ids[i] = the first class whose key is best[i].
template <class T>
void find_all_classes(const T* first_row, std::ptrdiff_t row_stride, std::int32_t rows, std::int64_t n,
                      const Key<T>* best, std::int32_t* ids) {
    for (std::int32_t row = rows - 1; row >= 0; --row) {
        const T* scores = first_row + row * row_stride;
        for (std::int64_t i = 0; i < n; ++i) ids[i] = Order<T>::key(scores[i]) == best[i] ? row : ids[i];
    }
}

/// Collects hits, leaving out those with an infinite score or an unwanted class.
struct HitWriter {
    const ClassFilter& filter;
    Hit* hits;
    std::size_t count = 0;

    void add(std::int64_t anchor, std::int64_t id, float score) {
        if (!is_finite(score) || !filter.keeps(id)) return;
        hits[count++] = {static_cast<std::int32_t>(anchor), static_cast<std::int32_t>(id), score};
    }
};

template <class T>
void add_all_classes(const T* scores, std::ptrdiff_t stride, const DenseRule& rule, float objectness,
                     std::int64_t anchor, HitWriter* writer) {
    for (std::int32_t id = 0; id < rule.num_classes; ++id) {
        const float score = to_float(scores[id * stride]) * objectness;
        if (score > rule.confidence) writer->add(anchor, id, score);
    }
}

/// Anchors that lie side by side, as in (channels, anchors) outputs.
template <class T>
void scan_blocks(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin, std::int64_t end,
                 HitWriter* writer) {
    alignas(64) Key<T> best[kBlock];
    alignas(64) std::int32_t ids[kBlock];
    const Key<T> limit = Order<T>::limit(rule.confidence);
    const std::ptrdiff_t stride = output.channel_stride;
    for (std::int64_t start = begin; start < end; start += kBlock) {
        const std::int64_t n = std::min(kBlock, end - start);
        const T* scores = output.data + rule.first_class * stride + start;
        std::fill_n(best, n, limit);
        max_over_classes(scores, stride, rule.num_classes, n, best);
        std::int64_t above = 0;
        for (std::int64_t i = 0; i < n; ++i) above += best[i] > limit ? 1 : 0;
        if (above == 0) continue;
        const bool look_up_all = !rule.multi_label && above > kManyHits;
        if (look_up_all) find_all_classes(scores, stride, rule.num_classes, n, best, ids);
        for (std::int64_t i = 0; i < n; ++i) {
            if (!(best[i] > limit)) continue;
            if (rule.multi_label) {
                add_all_classes(scores + i, stride, rule, 1.0F, start + i, writer);
                continue;
            }
            const std::int32_t id =
                look_up_all ? ids[i] : find_class(scores + i, stride, rule.num_classes, best[i]);
            writer->add(start + i, id, to_float(scores[i + id * stride]));
        }
    }
}

/// The best key of one anchor's classes, at least `floor`. Eight running maxima, so that contiguous classes
/// vectorise.
template <class T>
Key<T> max_of_row(const T* scores, std::ptrdiff_t stride, std::int32_t classes, Key<T> floor) {
    Key<T> best = floor;
    std::int32_t id = 0;
    if (stride == 1 && classes >= 16) {
        Key<T> lanes[8];
        std::fill_n(lanes, 8, floor);
        for (; id + 8 <= classes; id += 8) {
            for (int lane = 0; lane < 8; ++lane) {
                const Key<T> key = Order<T>::key(scores[id + lane]);
                lanes[lane] = key > lanes[lane] ? key : lanes[lane];
            }
        }
        for (const Key<T> lane : lanes) best = lane > best ? lane : best;
    }
    for (; id < classes; ++id) {
        const Key<T> key = Order<T>::key(scores[id * stride]);
        best = key > best ? key : best;
    }
    return best;
}

template <class T>
void scan_anchors(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin, std::int64_t end,
                  HitWriter* writer) {
    const Key<T> limit = Order<T>::limit(rule.confidence);
    const std::ptrdiff_t stride = output.channel_stride;
    for (std::int64_t anchor = begin; anchor < end; ++anchor) {
        const T* scores = output.data + anchor * output.anchor_stride + rule.first_class * stride;
        if (rule.multi_label) {
            add_all_classes(scores, stride, rule, 1.0F, anchor, writer);
            continue;
        }
        const Key<T> best = max_of_row(scores, stride, rule.num_classes, limit);
        if (!(best > limit)) continue;
        const std::int32_t id = find_class(scores, stride, rule.num_classes, best);
        writer->add(anchor, id, to_float(scores[id * stride]));
    }
}

template <class T>
void scan_with_objectness(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin,
                          std::int64_t end, HitWriter* writer) {
    const std::ptrdiff_t stride = output.channel_stride;
    for (std::int64_t anchor = begin; anchor < end; ++anchor) {
        const float objectness = to_float(output.at(anchor, rule.objectness));
        if (!(objectness > rule.confidence)) continue;
        const T* scores = output.data + anchor * output.anchor_stride + rule.first_class * stride;
        if (rule.multi_label) {
            add_all_classes(scores, stride, rule, objectness, anchor, writer);
            continue;
        }
        // Equal products of different class scores are rare but real: rounding decides, so multiply before
        // comparing.
        float best = -std::numeric_limits<float>::infinity();
        std::int32_t best_id = -1;
        for (std::int32_t id = 0; id < rule.num_classes; ++id) {
            const float score = to_float(scores[id * stride]);
            const float deciding = rule.product_decides ? score * objectness : score;
            if (deciding > best) {
                best = deciding;
                best_id = id;
            }
        }
        const float score = rule.product_decides ? best : best * objectness;
        if (score > rule.confidence) writer->add(anchor, best_id, score);
    }
}

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

template <class T>
Box grid_box(const OutputView<T>& output, const AnchorGrid& grid, std::int64_t anchor) {
    std::int32_t level = grid.levels - 1;
    while (level > 0 && anchor < grid.first[level]) --level;
    const std::int64_t cell = anchor - grid.first[level];
    const float stride = static_cast<float>(grid.stride[level]);
    const std::int64_t row = cell / grid.width[level];
    const std::int64_t column = cell % grid.width[level];
    const float cx = (to_float(output.at(anchor, 0)) + static_cast<float>(column)) * stride;
    const float cy = (to_float(output.at(anchor, 1)) + static_cast<float>(row)) * stride;
    const float width = exp_f32(to_float(output.at(anchor, 2))) * stride;
    const float height = exp_f32(to_float(output.at(anchor, 3))) * stride;
    return box_from_center(cx, cy, width, height);
}

template <class T>
Box plain_box(const OutputView<T>& output, const BoxRule& rule, std::int64_t anchor) {
    const Box raw{to_float(output.at(anchor, 0)), to_float(output.at(anchor, 1)),
                  to_float(output.at(anchor, 2)), to_float(output.at(anchor, 3))};
    if (rule.coding != BoxCoding::center) return raw;
    const Box box = box_from_center(raw.x1, raw.y1, raw.x2, raw.y2);
    return {box.x1 * rule.scale_x, box.y1 * rule.scale_y, box.x2 * rule.scale_x, box.y2 * rule.scale_y};
}

}  // namespace

template <class T>
std::size_t scan_dense(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin,
                       std::int64_t end, Hit* hits) {
    HitWriter writer{rule.filter, hits};
    if (rule.objectness >= 0) {
        scan_with_objectness(output, rule, begin, end, &writer);
    } else if (output.anchor_stride == 1) {
        scan_blocks(output, rule, begin, end, &writer);
    } else {
        scan_anchors(output, rule, begin, end, &writer);
    }
    return writer.count;
}

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
    if (best < count) std::nth_element(keys, keys + best, keys + count);
    std::sort(keys, keys + best);
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

template <class T>
std::size_t gather_candidates(const OutputView<T>& output, const BoxRule& rule, Hit* hits, std::size_t count,
                              const CandidateArrays& out) {
    const std::size_t columns = rule.coding == BoxCoding::rotated ? 5 : 4;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t anchor = hits[i].anchor;
        const Box box = rule.coding == BoxCoding::grid ? grid_box(output, rule.grid, anchor)
                                                       : plain_box(output, rule, anchor);
        const float angle = columns == 5 ? to_float(output.at(anchor, rule.angle)) : 0.0F;
        if (!(is_finite(box.x1) && is_finite(box.y1) && is_finite(box.x2) && is_finite(box.y2) &&
              is_finite(angle))) {
            continue;
        }
        float* written = out.boxes + kept * columns;
        written[0] = box.x1;
        written[1] = box.y1;
        written[2] = box.x2;
        written[3] = box.y2;
        if (columns == 5) written[4] = angle;
        out.scores[kept] = hits[i].score;
        out.class_ids[kept] = hits[i].class_id;
        if (rule.num_extra > 0) {
            gather_extra(output, rule, anchor, out.extra + kept * static_cast<std::size_t>(rule.num_extra));
        }
        hits[kept++] = hits[i];
    }
    return kept;
}

#define EV_DECODERS(T)                                                                                  \
    template std::size_t scan_dense(const OutputView<T>&, const DenseRule&, std::int64_t, std::int64_t, \
                                    Hit*);                                                              \
    template std::size_t scan_rows(const OutputView<T>&, float, const ClassFilter&, Hit*);              \
    template std::size_t scan_softmax(const OutputView<T>&, float, const ClassFilter&, Hit*);           \
    template std::size_t scan_sigmoid(const OutputView<T>&, float, const ClassFilter&, std::int64_t,    \
                                      std::uint64_t*, Hit*);                                            \
    template std::size_t gather_candidates(const OutputView<T>&, const BoxRule&, Hit*, std::size_t,     \
                                           const CandidateArrays&);
EV_DECODERS(float)
EV_DECODERS(Half)
#undef EV_DECODERS

}  // namespace ev
