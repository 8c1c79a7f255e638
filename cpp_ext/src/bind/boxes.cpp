// The decoders.
#include "bind.h"
#include "boxes_shared.h"
#include "thread_scratch.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

// The keys of a DETR's logits.
thread_local Scratch key_scratch;

/// The candidates of `count` hits, as a tuple (boxes, scores, class_ids, extra).
template <class T>
nb::tuple gather(const OutputView<T>& output, const BoxRule& rule, Hit* hits, std::size_t count) {
    std::optional<Candidates> candidates;
    std::size_t kept = 0;
    {
        nb::gil_scoped_release released;
        const std::size_t columns = rule.coding == BoxCoding::rotated ? 5 : 4;
        candidates.emplace(count, columns, static_cast<std::size_t>(rule.num_extra));
        kept = kernels().gather_candidates(output, rule, hits, count, candidates->arrays);
        hit_scratch.trim();
    }
    return candidates->to_python(kept);
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
        Hit* hits = reserve_hits(static_cast<std::size_t>(output.anchors) + 1);
        std::size_t count = 0;
        {
            nb::gil_scoped_release released;
            count = kernels().scan_rows(output, confidence, filter, hits);
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
        hits = reserve_hits(all + 1);
        if (top_k == 0) {
            count = kernels().scan_softmax(logits, confidence, filter, hits);
        } else {
            auto* keys =
                reinterpret_cast<std::uint64_t*>(key_scratch.reserve((all + 1) * sizeof(std::uint64_t)));
            count = kernels().scan_sigmoid(logits, confidence, filter, top_k, keys, hits);
            key_scratch.trim();
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
    bind_nms(module);
}

}  // namespace ev::bind
