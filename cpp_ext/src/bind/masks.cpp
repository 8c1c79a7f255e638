#include <algorithm>
#include <limits>

#include "bind.h"
#include "ev/kernels.h"
#include "ev/pool.h"
#include "masks_shared.h"
#include "thread_scratch.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

constexpr const char* kLogitsMessage =
    "logits must be float32 or float16 (classes, height, width) with contiguous rows";
constexpr const char* kMapMessage = "label_map must be uint8, int32 or int64 (height, width)";
constexpr const char* kLabelsMessage =
    "out must be (height, width) with contiguous rows, uint8 or int32 for logits";

// Class logits that a thread of its own interpolates: about 0.2 ms.
constexpr std::size_t kLeastWork = std::size_t{1} << 20;

thread_local Scratch mask_scratch;

template <class L>
LabelView<L> view_labels(const WriteArray& out) {
    require(out.ndim() == 2 && has_dtype<L>(out.dtype()) && (out.shape(1) == 1 || out.stride(1) == 1),
            kLabelsMessage);
    require_aligned(out);
    LabelView<L> view{};
    view.data = static_cast<L*>(out.data());
    view.height = side(out.shape(0), kLabelsMessage);
    view.width = side(out.shape(1), kLabelsMessage);
    view.row_stride = static_cast<std::ptrdiff_t>(out.stride(0));
    return view;
}

template <class T, class L>
void upsample(const LogitsView<T>& logits, const Roi& roi, const WriteArray& out) {
    const LabelView<L> labels = view_labels<L>(out);
    require(logits.classes - 1 <= static_cast<std::int64_t>(std::numeric_limits<L>::max()),
            "out's dtype cannot hold every class");
    nb::gil_scoped_release released;
    const std::size_t work = static_cast<std::size_t>(logits.classes) *
                             static_cast<std::size_t>(labels.height) * static_cast<std::size_t>(labels.width);
    const int parts = std::min(count_parts(work, kLeastWork), labels.height);
    const std::size_t size = kernels().upsample_scratch_size(logits, labels);
    std::byte* scratch = mask_scratch.reserve(static_cast<std::size_t>(parts) * size);
    for_each_part(parts, [&](int part) {
        const auto row = [&](int at) {
            return static_cast<std::int32_t>(part_begin(labels.height, at, parts));
        };
        kernels().upsample_argmax(logits, roi, labels, row(part), row(part + 1),
                                  scratch + static_cast<std::size_t>(part) * size);
    });
    mask_scratch.trim();
}

void upsample_argmax_array(const ReadArray& array, double roi_y, double roi_x, double roi_height,
                           double roi_width, const WriteArray& out) {
    const Roi roi = make_roi(roi_y, roi_x, roi_height, roi_width);
    with_float_type(array.dtype(), kLogitsMessage, [&](auto* type) {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(type)>>;
        require(array.ndim() == 3 && (array.shape(2) == 1 || array.stride(2) == 1), kLogitsMessage);
        require_aligned(array);
        require_apart(out, array);
        LogitsView<T> logits{};
        logits.data = static_cast<const T*>(array.data());
        logits.classes = side(array.shape(0), kLogitsMessage);
        logits.height = side(array.shape(1), kLogitsMessage);
        logits.width = side(array.shape(2), kLogitsMessage);
        logits.class_stride = static_cast<std::ptrdiff_t>(array.stride(0));
        logits.row_stride = static_cast<std::ptrdiff_t>(array.stride(1));
        if (has_dtype<std::uint8_t>(out.dtype())) {
            upsample<T, std::uint8_t>(logits, roi, out);
        } else {
            upsample<T, std::int32_t>(logits, roi, out);
        }
    });
}

template <class L>
void resize(const ReadArray& map, const Roi& roi, const WriteArray& out) {
    const LabelView<L> labels = view_labels<L>(out);
    const std::int32_t height = side(map.shape(0), kMapMessage);
    const std::int32_t width = side(map.shape(1), kMapMessage);
    const auto* from = static_cast<const L*>(map.data());
    const ReleaseIfLong released(map.size() + out.size());
    std::byte* scratch = mask_scratch.reserve(kernels().resize_scratch_size(labels));
    kernels().resize_labels(from, height, width, static_cast<std::ptrdiff_t>(map.stride(0)),
                            static_cast<std::ptrdiff_t>(map.stride(1)), roi, labels, scratch);
    mask_scratch.trim();
}

void resize_labels_array(const ReadArray& map, double roi_y, double roi_x, double roi_height,
                         double roi_width, const WriteArray& out) {
    const Roi roi = make_roi(roi_y, roi_x, roi_height, roi_width);
    require(map.ndim() == 2, kMapMessage);
    require_aligned(map);
    require_apart(out, map);
    if (has_dtype<std::uint8_t>(map.dtype())) {
        resize<std::uint8_t>(map, roi, out);
    } else if (has_dtype<std::int32_t>(map.dtype())) {
        resize<std::int32_t>(map, roi, out);
    } else {
        require(has_dtype<std::int64_t>(map.dtype()), kMapMessage);
        resize<std::int64_t>(map, roi, out);
    }
}

}  // namespace

void bind_masks(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    module.def("upsample_argmax", &upsample_argmax_array, array("logits"), "roi_y"_a, "roi_x"_a,
               "roi_height"_a, "roi_width"_a, array("out"));
    module.def("resize_labels", &resize_labels_array, array("label_map"), "roi_y"_a, "roi_x"_a,
               "roi_height"_a, "roi_width"_a, array("out"));
    bind_binary_masks(module);
    bind_rle(module);
}

}  // namespace ev::bind
