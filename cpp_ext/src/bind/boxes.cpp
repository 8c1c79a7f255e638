#include "ev/boxes.h"

#include <nanobind/stl/optional.h>

#include <limits>
#include <optional>

#include "arrays.h"
#include "bind.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();
constexpr const char* kOutputMessage = "output must be float32 or float16 (anchors, channels)";
constexpr const char* kBoxMessage = "boxes must be C-contiguous float32, one row a box";
constexpr const char* kScoreMessage = "scores must be C-contiguous float32, one a box";
constexpr const char* kClassMessage = "class_ids must be C-contiguous int64, one a box";
constexpr const char* kAllowedMessage = "allowed must be C-contiguous uint8 (classes,)";

thread_local Scratch nms_scratch;
thread_local Scratch box_scratch;

/// Hits of one call, kept by the thread for the next one.
class HitBuffer {
  public:
    /// Room for `count` hits, the first `used` of which are kept.
    Hit* reserve(std::size_t count, std::size_t used) {
        if (count <= size_) return data_.get();
        const std::size_t larger = std::max(count, 2 * used);
        std::unique_ptr<Hit[]> grown(new Hit[larger]);
        std::copy_n(data_.get(), used, grown.get());
        data_ = std::move(grown);
        size_ = larger;
        return data_.get();
    }

    void trim() {
        if (size_ <= kKept) return;
        data_.reset();
        size_ = 0;
    }

  private:
    static constexpr std::size_t kKept = std::size_t{1} << 18;
    std::unique_ptr<Hit[]> data_;
    std::size_t size_ = 0;
};

thread_local HitBuffer hit_buffer;

template <class T>
OutputView<T> view_output(const ReadArray& array) {
    require(array.ndim() == 2 && has_dtype<T>(array.dtype()), kOutputMessage);
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

ClassFilter view_filter(const Allowed& allowed) {
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

/// The candidates of `count` hits, as a tuple (boxes, scores, class_ids, extra).
template <class T>
nb::tuple gather(const OutputView<T>& output, const BoxRule& rule, Hit* hits, std::size_t count) {
    std::optional<Candidates> candidates;
    std::size_t kept = 0;
    {
        nb::gil_scoped_release released;
        const std::size_t columns = rule.coding == BoxCoding::rotated ? 5 : 4;
        candidates.emplace(count, columns, static_cast<std::size_t>(rule.num_extra));
        kept = gather_candidates(output, rule, hits, count, candidates->arrays);
        hit_buffer.trim();
    }
    return candidates->to_python(kept);
}

/// Where the scores of a dense output lie: 0 none, 1 the product with the objectness decides, 2 the class
/// score does.
enum class Objectness : std::uint8_t { none, product_decides, class_decides };

DenseRule dense_rule(std::int64_t channels, std::int64_t num_classes, int objectness, bool multi_label,
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
BoxRule dense_boxes(std::int64_t channels, const DenseRule& scores, BoxCoding coding) {
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

/// All hits of a dense output, in hit_buffer. With several labels an anchor, room is made as anchors come by.
template <class T>
Hit* scan_all(const OutputView<T>& output, const DenseRule& rule, std::size_t* count) {
    const std::int64_t chunk = rule.multi_label ? 512 : std::max<std::int64_t>(output.anchors, 1);
    const auto labels = static_cast<std::size_t>(rule.multi_label ? rule.num_classes : 1);
    Hit* hits = hit_buffer.reserve(1, 0);
    *count = 0;
    for (std::int64_t begin = 0; begin < output.anchors; begin += chunk) {
        const std::int64_t end = std::min(begin + chunk, output.anchors);
        hits = hit_buffer.reserve(*count + static_cast<std::size_t>(end - begin) * labels, *count);
        *count += scan_dense(output, rule, begin, end, hits + *count);
    }
    return hits;
}

template <class T>
nb::tuple decode_scanned(const OutputView<T>& output, const DenseRule& scores, const BoxRule& boxes) {
    Hit* hits = nullptr;
    std::size_t count = 0;
    {
        nb::gil_scoped_release released;
        hits = scan_all(output, scores, &count);
    }
    return gather(output, boxes, hits, count);
}

nb::tuple decode_dense(const ReadArray& array, std::int64_t num_classes, int objectness, bool multi_label,
                       float confidence, const Allowed& allowed, bool rotated, float scale_x, float scale_y) {
    nb::tuple result;
    with_float_type(array.dtype(), kOutputMessage, [&](auto* type) {
        const auto output = view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(array);
        const DenseRule scores =
            dense_rule(output.channels, num_classes, objectness, multi_label, confidence, allowed);
        BoxRule boxes =
            dense_boxes(output.channels, scores, rotated ? BoxCoding::rotated : BoxCoding::center);
        boxes.scale_x = scale_x;
        boxes.scale_y = scale_y;
        result = decode_scanned(output, scores, boxes);
    });
    return result;
}

AnchorGrid anchor_grid(const nb::tuple& strides, std::int64_t height, std::int64_t width,
                       std::int64_t anchors) {
    require(!strides.empty() && strides.size() <= static_cast<std::size_t>(kMaxGridLevels),
            "strides must be 1 to 8 numbers");
    AnchorGrid grid{};
    std::int64_t cells = 0;
    for (const nb::handle item : strides) {
        const auto stride = nb::cast<std::int32_t>(item);
        require(stride > 0 && height >= stride && width >= stride && height <= kMaxElements &&
                    width <= kMaxElements,
                "strides must be at least 1 and at most the input's size");
        grid.stride[grid.levels] = stride;
        grid.width[grid.levels] = static_cast<std::int32_t>(width / stride);
        grid.first[grid.levels] = cells;
        cells += (width / stride) * (height / stride);
        ++grid.levels;
    }
    require(cells == anchors, "the strides' cells are not as many as the output's anchors");
    return grid;
}

nb::tuple decode_grid(const ReadArray& array, std::int64_t num_classes, bool multi_label, float confidence,
                      const Allowed& allowed, const nb::tuple& strides, std::int64_t height,
                      std::int64_t width) {
    nb::tuple result;
    with_float_type(array.dtype(), kOutputMessage, [&](auto* type) {
        const auto output = view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(array);
        const DenseRule scores =
            dense_rule(output.channels, num_classes, static_cast<int>(Objectness::class_decides), multi_label,
                       confidence, allowed);
        BoxRule boxes = dense_boxes(output.channels, scores, BoxCoding::grid);
        boxes.grid = anchor_grid(strides, height, width, output.anchors);
        result = decode_scanned(output, scores, boxes);
    });
    return result;
}

nb::tuple decode_rows(const ReadArray& array, float confidence, const Allowed& allowed, bool rotated) {
    nb::tuple result;
    with_float_type(array.dtype(), kOutputMessage, [&](auto* type) {
        const auto output = view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(array);
        const std::int32_t known = rotated ? 7 : 6;
        require(output.channels >= known, "output has too few channels");
        const ClassFilter filter = view_filter(allowed);
        BoxRule boxes{};
        boxes.coding = rotated ? BoxCoding::rotated : BoxCoding::corners;
        boxes.angle = 6;
        boxes.first_extra = known;
        boxes.num_extra = static_cast<std::int32_t>(output.channels) - known;
        Hit* hits = hit_buffer.reserve(static_cast<std::size_t>(output.anchors) + 1, 0);
        std::size_t count = 0;
        {
            nb::gil_scoped_release released;
            count = scan_rows(output, confidence, filter, hits);
        }
        result = gather(output, boxes, hits, count);
    });
    return result;
}

/// `top_k` 0: softmax over the classes and "no object"; else sigmoids and the best top_k of queries x
/// classes.
nb::tuple decode_queries(const ReadArray& logits_array, const ReadArray& boxes_array, std::int64_t top_k,
                         float confidence, const Allowed& allowed, float scale_x, float scale_y) {
    Hit* hits = nullptr;
    std::size_t count = 0;
    std::int64_t queries = 0;
    with_float_type(logits_array.dtype(), kOutputMessage, [&](auto* type) {
        const auto logits =
            view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(logits_array);
        const ClassFilter filter = view_filter(allowed);
        queries = logits.anchors;
        require(top_k > 0 || logits.channels >= 2, "softmax needs a class and no object");
        nb::gil_scoped_release released;
        const auto all =
            static_cast<std::size_t>(top_k > 0 ? logits.anchors * logits.channels : logits.anchors);
        hits = hit_buffer.reserve(all + 1, 0);
        if (top_k == 0) {
            count = scan_softmax(logits, confidence, filter, hits);
        } else {
            auto* keys =
                reinterpret_cast<std::uint64_t*>(box_scratch.reserve((all + 1) * sizeof(std::uint64_t)));
            count = scan_sigmoid(logits, confidence, filter, top_k, keys, hits);
            box_scratch.trim();
        }
    });
    nb::tuple result;
    with_float_type(boxes_array.dtype(), kOutputMessage, [&](auto* type) {
        const auto output =
            view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(boxes_array);
        require(output.channels == 4 && output.anchors == queries, "boxes must be (queries, 4)");
        BoxRule boxes{};
        boxes.coding = BoxCoding::center;
        boxes.scale_x = scale_x;
        boxes.scale_y = scale_y;
        result = gather(output, boxes, hits, count);
    });
    return result;
}

NmsJob nms_job(const float* boxes, const float* scores, const std::int64_t* class_ids, std::size_t count,
               double iou, std::size_t max_detections, float class_offset, std::size_t max_candidates) {
    require(count <= static_cast<std::size_t>(kMaxElements), "too many boxes");
    return {boxes, scores, class_ids, count, iou, max_detections, max_candidates, class_offset, true};
}

nb::object nms_array(const ReadArray& boxes, const ReadArray& scores,
                     const std::optional<ReadArray>& class_ids, double iou, std::size_t max_detections,
                     float class_offset, std::size_t max_candidates, bool rotated, bool greedy) {
    const std::size_t columns = rotated ? 5 : 4;
    require(boxes.ndim() == 2 && boxes.shape(1) == columns, kBoxMessage);
    const std::size_t count = boxes.shape(0);
    require(scores.ndim() == 1 && scores.size() == count, kScoreMessage);
    const std::int64_t* ids = nullptr;
    if (class_ids) {
        require(class_ids->ndim() == 1 && class_ids->size() == count, kClassMessage);
        ids = elements<std::int64_t>(*class_ids, kClassMessage);
    }
    NmsJob job = nms_job(elements<float>(boxes, kBoxMessage), elements<float>(scores, kScoreMessage), ids,
                         count, iou, max_detections, class_offset, max_candidates);
    job.greedy = greedy;
    ResultBlock block(std::min(count, max_detections) * sizeof(std::int64_t));
    auto* kept = block.take<std::int64_t>(std::min(count, max_detections));
    std::ptrdiff_t found = 0;
    {
        nb::gil_scoped_release released;
        std::byte* scratch = nms_scratch.reserve(nms_scratch_size(count, max_detections));
        found = rotated ? nms_rotated(job, scratch, kept) : nms(job, scratch, kept);
        nms_scratch.trim();
    }
    require(found != kBadClassId, "class_ids must be 0 to 2147483647");
    return as_numpy(kept, static_cast<std::size_t>(found), block.release());
}

/// Decode, suppress, map to the image: only kept boxes are written, and extra channels are read for them
/// alone.
template <class T>
nb::tuple detect(const OutputView<T>& output, const DenseRule& scores, const BoxRule& rule, NmsJob job,
                 bool class_agnostic, const ImageMap& map) {
    std::optional<Candidates> result;
    std::size_t found = 0;
    {
        nb::gil_scoped_release released;
        std::size_t count = 0;
        Hit* hits = scan_all(output, scores, &count);
        const std::size_t kept_size = std::min(count, job.max_detections) * sizeof(std::int64_t);
        std::byte* memory =
            box_scratch.reserve(kept_size + count * (sizeof(std::int64_t) + 5 * sizeof(float)) + 64);
        auto* kept = reinterpret_cast<std::int64_t*>(memory);
        CandidateArrays arrays{};
        arrays.class_ids = reinterpret_cast<std::int64_t*>(memory + kept_size);
        arrays.boxes = reinterpret_cast<float*>(arrays.class_ids + count);
        arrays.scores = arrays.boxes + 4 * count;
        BoxRule without_extra = rule;
        without_extra.num_extra = 0;
        job.count = gather_candidates(output, without_extra, hits, count, arrays);
        job.boxes = arrays.boxes;
        job.scores = arrays.scores;
        job.class_ids = class_agnostic ? nullptr : arrays.class_ids;
        std::byte* scratch = nms_scratch.reserve(nms_scratch_size(job.count, job.max_detections));
        // Decoders give no class id out of range, so this is never kBadClassId.
        found = static_cast<std::size_t>(std::max<std::ptrdiff_t>(nms(job, scratch, kept), 0));
        const auto extras = static_cast<std::size_t>(rule.num_extra);
        result.emplace(found, 4, extras);
        for (std::size_t i = 0; i < found; ++i) {
            const float* from = arrays.boxes + 4 * kept[i];
            const Box box = to_image(Box{from[0], from[1], from[2], from[3]}, map);
            float* to = result->arrays.boxes + 4 * i;
            to[0] = box.x1;
            to[1] = box.y1;
            to[2] = box.x2;
            to[3] = box.y2;
            result->arrays.scores[i] = arrays.scores[kept[i]];
            result->arrays.class_ids[i] = arrays.class_ids[kept[i]];
            if (extras > 0)
                gather_extra(output, rule, hits[kept[i]].anchor, result->arrays.extra + i * extras);
        }
        nms_scratch.trim();
        box_scratch.trim();
        hit_buffer.trim();
    }
    return result->to_python(found);
}

nb::tuple detect_dense(const ReadArray& array, std::int64_t num_classes, bool multi_label, float confidence,
                       const Allowed& allowed, bool class_agnostic, double iou, std::size_t max_detections,
                       float class_offset, std::size_t max_candidates, float left, float top, float gain_x,
                       float gain_y, float width, float height) {
    nb::tuple result;
    with_float_type(array.dtype(), kOutputMessage, [&](auto* type) {
        const auto output = view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(array);
        const DenseRule scores =
            dense_rule(output.channels, num_classes, 0, multi_label, confidence, allowed);
        const BoxRule boxes = dense_boxes(output.channels, scores, BoxCoding::center);
        const NmsJob job =
            nms_job(nullptr, nullptr, nullptr, 0, iou, max_detections, class_offset, max_candidates);
        result =
            detect(output, scores, boxes, job, class_agnostic, {left, top, gain_x, gain_y, width, height});
    });
    return result;
}

}  // namespace

void bind_boxes(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional_array = [](const char* name) { return nb::arg(name).noconvert().none(); };
    module.def("decode_dense", &decode_dense, array("output"), "num_classes"_a, "objectness"_a,
               "multi_label"_a, "confidence"_a, optional_array("allowed"), "rotated"_a, "scale_x"_a,
               "scale_y"_a);
    module.def("decode_grid", &decode_grid, array("output"), "num_classes"_a, "multi_label"_a, "confidence"_a,
               optional_array("allowed"), "strides"_a, "height"_a, "width"_a);
    module.def("decode_rows", &decode_rows, array("output"), "confidence"_a, optional_array("allowed"),
               "rotated"_a);
    module.def("decode_queries", &decode_queries, array("logits"), array("boxes"), "top_k"_a, "confidence"_a,
               optional_array("allowed"), "scale_x"_a, "scale_y"_a);
    module.def("nms", &nms_array, array("boxes"), array("scores"), optional_array("class_ids"), "iou"_a,
               "max_detections"_a, "class_offset"_a, "max_candidates"_a, "rotated"_a, "greedy"_a);
    module.def("detect_dense", &detect_dense, array("output"), "num_classes"_a, "multi_label"_a,
               "confidence"_a, optional_array("allowed"), "class_agnostic"_a, "iou"_a, "max_detections"_a,
               "class_offset"_a, "max_candidates"_a, "left"_a, "top"_a, "gain_x"_a, "gain_y"_a, "width"_a,
               "height"_a);
}

}  // namespace ev::bind
