// Dense outputs: the anchors whose best class, or every class, is above the confidence.
#include <algorithm>
#include <limits>

#include "ev/boxes.h"
#include "hit_writer.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// Anchors per block: a block's running maxima stay in L1, and its scores (80 classes: 160 KiB) in L2 for the
// look-up of the winning classes.
constexpr std::int64_t kBlock = 512;

// Hits in a block above which one more pass over all its scores finds the classes faster than a search per
// hit.
constexpr std::int64_t kManyHits = 32;

/// What the scan compares. Confidences are at least 0, so that the order of negative scores does not matter.
template <class T>
struct ScanOrder : Order<T> {};

/// One addition: it moves the NaN bits above infinity's 0x7c00 round to negative numbers, and those of
/// negative NaN to less than the key of 0.
template <>
struct ScanOrder<Half> {
    using Key = std::int16_t;
    static Key key(Half value) { return static_cast<Key>(value.bits + 0x3ff); }
    static Key limit(float limit) { return static_cast<Key>(Order<Half>::limit(limit) + 0x3ff); }
};

template <class T>
using Key = typename ScanOrder<T>::Key;

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
            Key<T> value = better(ScanOrder<T>::key(a[i]), best[i]);
            value = better(ScanOrder<T>::key(b[i]), value);
            value = better(ScanOrder<T>::key(c[i]), value);
            best[i] = better(ScanOrder<T>::key(d[i]), value);
        }
    }
    for (; row < rows; ++row) {
        const T* a = first_row + row * row_stride;
        for (std::int64_t i = 0; i < n; ++i) best[i] = better(ScanOrder<T>::key(a[i]), best[i]);
    }
}

/// The first class whose key is `best`; one exists.
template <class T>
std::int32_t find_class(const T* scores, std::ptrdiff_t stride, std::int32_t classes, Key<T> best) {
    std::int32_t id = 0;
    while (id + 1 < classes && ScanOrder<T>::key(scores[id * stride]) != best) ++id;
    return id;
}

/// ids[i] = the first class whose key is best[i].
template <class T>
void find_all_classes(const T* first_row, std::ptrdiff_t row_stride, std::int32_t rows, std::int64_t n,
                      const Key<T>* best, std::int32_t* ids) {
    for (std::int32_t row = rows - 1; row >= 0; --row) {
        const T* scores = first_row + row * row_stride;
        for (std::int64_t i = 0; i < n; ++i) ids[i] = ScanOrder<T>::key(scores[i]) == best[i] ? row : ids[i];
    }
}

template <class T>
void add_all_classes(const T* scores, std::ptrdiff_t stride, const DenseRule& rule, float objectness,
                     std::int64_t anchor, HitWriter* writer) {
    for (std::int32_t id = 0; id < rule.num_classes; ++id) {
        const float score = to_float(scores[id * stride]) * objectness;
        if (score > rule.confidence) writer->add(anchor, id, score);
    }
}

/// The same where there is no objectness: few scores are above the confidence, and only those are converted.
template <class T>
void add_classes_above(const T* scores, std::ptrdiff_t stride, const DenseRule& rule, Key<T> limit,
                       std::int64_t anchor, HitWriter* writer) {
    for (std::int32_t id = 0; id < rule.num_classes; ++id) {
        if (ScanOrder<T>::key(scores[id * stride]) > limit) {
            writer->add(anchor, id, to_float(scores[id * stride]));
        }
    }
}

/// Anchors that lie side by side, as in (channels, anchors) outputs.
template <class T>
void scan_blocks(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin, std::int64_t end,
                 HitWriter* writer) {
    alignas(64) Key<T> best[kBlock];
    alignas(64) std::int32_t ids[kBlock];
    const Key<T> limit = ScanOrder<T>::limit(rule.confidence);
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
                add_classes_above(scores + i, stride, rule, limit, start + i, writer);
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
                const Key<T> key = ScanOrder<T>::key(scores[id + lane]);
                lanes[lane] = key > lanes[lane] ? key : lanes[lane];
            }
        }
        for (const Key<T> lane : lanes) best = lane > best ? lane : best;
    }
    for (; id < classes; ++id) {
        const Key<T> key = ScanOrder<T>::key(scores[id * stride]);
        best = key > best ? key : best;
    }
    return best;
}

template <class T>
void scan_anchors(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin, std::int64_t end,
                  HitWriter* writer) {
    const Key<T> limit = ScanOrder<T>::limit(rule.confidence);
    const std::ptrdiff_t stride = output.channel_stride;
    for (std::int64_t anchor = begin; anchor < end; ++anchor) {
        const T* scores = output.data + anchor * output.anchor_stride + rule.first_class * stride;
        if (rule.multi_label) {
            add_classes_above(scores, stride, rule, limit, anchor, writer);
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

template std::size_t scan_dense(const OutputView<float>&, const DenseRule&, std::int64_t, std::int64_t, Hit*);
template std::size_t scan_dense(const OutputView<Half>&, const DenseRule&, std::int64_t, std::int64_t, Hit*);

}  // namespace EV_ISA
}  // namespace ev
