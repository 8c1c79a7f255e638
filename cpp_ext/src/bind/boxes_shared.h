// What the bindings of the boxes family share: views, rules, the hits of a call, candidates as NumPy arrays.
#pragma once

#include <nanobind/stl/optional.h>

#include <limits>
#include <optional>
#include <utility>

#include "arrays.h"
#include "ev/kernels.h"
#include "thread_scratch.h"

namespace ev::bind {

inline constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();
inline constexpr const char* kOutputMessage = "output must be float32 or float16 (anchors, channels)";
inline constexpr const char* kAllowedMessage = "allowed must be C-contiguous uint8 (classes,)";

inline thread_local Scratch hit_scratch;

/// Room for `count` hits of a call, the first `used` of which are kept.
inline Hit* reserve_hits(std::size_t count, std::size_t used = 0) {
    return reinterpret_cast<Hit*>(hit_scratch.extend(count * sizeof(Hit), used * sizeof(Hit)));
}

template <class T>
OutputView<T> view_output(const ReadArray& array) {
    require(array.ndim() == 2 && has_dtype<T>(array.dtype()), kOutputMessage);
    require_aligned(array);
    OutputView<T> view{};
    view.data = static_cast<const T*>(array.data());
    view.anchors = static_cast<std::int64_t>(array.shape(0));
    view.channels = static_cast<std::int64_t>(array.shape(1));
    view.anchor_stride = static_cast<std::ptrdiff_t>(array.stride(0));
    view.channel_stride = static_cast<std::ptrdiff_t>(array.stride(1));
    require(view.anchors <= kMaxElements && view.channels > 0 &&
                view.channels <= kMaxElements / (view.anchors + 1),
            "output has too many elements");
    return view;
}

using Allowed = std::optional<ReadArray>;

inline ClassFilter view_filter(const Allowed& allowed) {
    if (!allowed) return {nullptr, 0};
    return {elements<std::uint8_t>(*allowed, kAllowedMessage), static_cast<std::int64_t>(allowed->size())};
}

/// Candidates being made: arrays in one block.
struct Candidates {
    std::size_t columns;
    std::size_t extra_columns;
    ResultBlock block;
    CandidateArrays arrays;

    Candidates(std::size_t capacity, std::size_t box_columns, std::size_t extras)
        : columns(box_columns),
          extra_columns(extras),
          block(capacity * (sizeof(std::int64_t) + sizeof(float) * (1 + box_columns + extras))),
          arrays{} {
        arrays.class_ids = block.take<std::int64_t>(capacity);
        arrays.boxes = block.take<float>(capacity * columns);
        arrays.scores = block.take<float>(capacity);
        arrays.extra = block.take<float>(capacity * extra_columns);
    }

    nb::tuple to_python(std::size_t count) {
        const nb::capsule owner = block.release();
        return nb::make_tuple(as_numpy(arrays.boxes, count, columns, owner),
                              as_numpy(arrays.scores, count, owner), as_numpy(arrays.class_ids, count, owner),
                              as_numpy(arrays.extra, count, extra_columns, owner));
    }
};

/// Where the scores of a dense output lie: 0 none, 1 the product with the objectness decides, 2 the class
/// score does.
enum class Objectness : std::uint8_t { none, product_decides, class_decides };

inline DenseRule dense_rule(std::int64_t channels, std::int64_t num_classes, int objectness, bool multi_label,
                            float confidence, const Allowed& allowed) {
    require(objectness >= 0 && objectness <= 2, "objectness must be 0, 1 or 2");
    const auto kind = static_cast<Objectness>(objectness);
    DenseRule rule{};
    rule.first_class = kind == Objectness::none ? 4 : 5;
    require(num_classes > 0 && num_classes <= channels - rule.first_class,
            "num_classes does not fit the channels");
    rule.num_classes = static_cast<std::int32_t>(num_classes);
    rule.objectness = kind == Objectness::none ? -1 : 4;
    rule.product_decides = kind == Objectness::product_decides;
    rule.multi_label = multi_label;
    rule.confidence = confidence;
    rule.filter = view_filter(allowed);
    return rule;
}

/// The boxes that go with a dense rule: what follows the classes is extra, but for a rotated box's angle, the
/// last.
inline BoxRule dense_boxes(std::int64_t channels, const DenseRule& scores, BoxCoding coding) {
    BoxRule rule{};
    rule.coding = coding;
    rule.scale_x = rule.scale_y = 1.0F;
    rule.first_extra = scores.first_class + scores.num_classes;
    rule.num_extra = static_cast<std::int32_t>(channels) - rule.first_extra;
    if (coding == BoxCoding::rotated) {
        require(rule.num_extra > 0, "a rotated output needs a channel for the angle");
        rule.angle = static_cast<std::int32_t>(channels) - 1;
        --rule.num_extra;
    }
    return rule;
}

/// All hits of a dense output, in hit_scratch. With several labels an anchor, room is made as anchors come
/// by.
template <class T>
Hit* scan_all(const OutputView<T>& output, const DenseRule& rule, std::size_t* count) {
    const std::int64_t chunk = rule.multi_label ? 512 : std::max<std::int64_t>(output.anchors, 1);
    const auto labels = static_cast<std::size_t>(rule.multi_label ? rule.num_classes : 1);
    Hit* hits = reserve_hits(1);
    *count = 0;
    for (std::int64_t begin = 0; begin < output.anchors; begin += chunk) {
        const std::int64_t end = std::min(begin + chunk, output.anchors);
        hits = reserve_hits(*count + static_cast<std::size_t>(end - begin) * labels, *count);
        *count += kernels().scan_dense(output, rule, begin, end, hits + *count);
    }
    return hits;
}

/// nms, nms_rotated and detect_yolo, in boxes_nms.cpp.
void bind_nms(nb::module_& module);

}  // namespace ev::bind
