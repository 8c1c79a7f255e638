// Masks above a threshold, and instance masks.
#include <algorithm>
#include <optional>

#include "ev/kernels.h"
#include "ev/pool.h"
#include "masks_taps.h"
#include "thread_scratch.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

constexpr const char* kLogitsMessage =
    "logits must be float32 or float16 (masks, height, width) with contiguous rows";
constexpr const char* kOutMessage = "out must be C-contiguous bool or uint8 (masks, height, width)";
constexpr const char* kPrototypesMessage =
    "prototypes must be float32 or float16 (prototypes, height, width) with contiguous rows";
constexpr const char* kCoefficientsMessage =
    "coefficients must be C-contiguous float32 (objects, prototypes)";
constexpr const char* kBoxesMessage = "boxes must be C-contiguous float32 (objects, 4)";
constexpr const char* kImageMessage = "image height or width out of range";

// Fewer pixels are not worth another thread: 40 microseconds where masks are smooth.
constexpr std::size_t kLeastPixels = std::size_t{1} << 20;

thread_local Scratch mask_scratch;   // each part's, for the kernels
thread_local Scratch place_scratch;  // the objects' windows

/// Logits (masks, height, width), rows contiguous, strides in elements.
template <class T>
struct LogitMaps {
    const T* data;
    std::ptrdiff_t mask_stride, row_stride;
    std::int32_t height, width;
};

/// The image's rows `begin` to `end` of one mask, from the source rows that they read.
template <class T, int K>
void write_rows(const LogitMaps<T>& logits, std::size_t mask, const ImageTaps<K>& taps, std::int32_t begin,
                std::int32_t end, float threshold, std::uint8_t* masks, std::byte* scratch) {
    const std::int32_t top = taps.rows[begin].index[0];
    const std::int32_t bottom = taps.rows[end - 1].index[K - 1] + 1;
    const T* data = logits.data + static_cast<std::ptrdiff_t>(mask) * logits.mask_stride;
    const SourceView<T> source{
        data + top * logits.row_stride, top, 0, bottom - top, logits.width, logits.row_stride};
    const std::size_t before = mask * static_cast<std::size_t>(taps.height) + static_cast<std::size_t>(begin);
    std::uint8_t* out = masks + before * static_cast<std::size_t>(taps.width);
    kernels().write_mask(source, taps.rows + begin, taps.plan, threshold,
                         MaskView{out, 0, end - begin, taps.width}, scratch);
}

/// All masks, their rows counted on from mask to mask and cut into parts.
template <class T, int K>
void write_masks(const LogitMaps<T>& logits, std::size_t count, const ImageTaps<K>& taps, float threshold,
                 std::uint8_t* masks) {
    const auto height = static_cast<std::size_t>(taps.height);
    const std::size_t rows = count * height;
    const int parts = count_parts(rows * static_cast<std::size_t>(taps.width), kLeastPixels);
    const SourceView<T> largest{nullptr, 0, 0, logits.height, logits.width, logits.row_stride};
    const std::size_t size = kernels().mask_scratch_size(largest, taps.width);
    std::byte* scratch = mask_scratch.reserve(size * static_cast<std::size_t>(parts));
    for_each_part(parts, [&](int part) {
        const auto p = static_cast<std::size_t>(part);
        std::size_t row = rows * p / static_cast<std::size_t>(parts);
        const std::size_t last = rows * (p + 1) / static_cast<std::size_t>(parts);
        while (row < last) {
            const std::size_t mask = row / height;
            const std::size_t end = std::min(last, (mask + 1) * height);
            write_rows(logits, mask, taps, static_cast<std::int32_t>(row - mask * height),
                       static_cast<std::int32_t>(end - mask * height), threshold, masks, scratch + p * size);
            row = end;
        }
    });
    mask_scratch.trim();
}

template <class T>
void upsample(const ReadArray& logits, std::uint8_t* out, const AxisMap& rows, const AxisMap& columns,
              float threshold) {
    const LogitMaps<T> maps{
        static_cast<const T*>(logits.data()), static_cast<std::ptrdiff_t>(logits.stride(0)),
        static_cast<std::ptrdiff_t>(logits.stride(1)), rows.source_size, columns.source_size};
    const std::size_t count = logits.shape(0);
    const ReleaseIfLong released(logits.size() + count * static_cast<std::size_t>(rows.size) *
                                                     static_cast<std::size_t>(columns.size));
    with_taps(rows, columns, [&](const auto& taps) { write_masks(maps, count, taps, threshold, out); });
}

void upsample_masks(const ReadArray& logits, double roi_y, double roi_x, double roi_height, double roi_width,
                    std::int64_t via_height, std::int64_t via_width, float threshold, const WriteArray& out) {
    require(logits.ndim() == 3 && (logits.size() == 0 || logits.shape(2) == 1 || logits.stride(2) == 1),
            kLogitsMessage);
    require(out.ndim() == 3 && out.shape(0) == logits.shape(0), kOutMessage);
    // NumPy's bool is a byte, 0 or 1.
    require((has_dtype<std::uint8_t>(out.dtype()) || has_dtype<bool>(out.dtype())) && is_contiguous(out),
            kOutMessage);
    auto* masks = static_cast<std::uint8_t*>(out.data());
    require_aligned(logits);
    require_apart(out, logits);
    const Roi roi = make_roi(roi_y, roi_x, roi_height, roi_width);
    const AxisMap rows = axis_map(roi.y, roi.height, side(out.shape(1), kOutMessage), via_height,
                                  side(logits.shape(1), kLogitsMessage));
    const AxisMap columns = axis_map(roi.x, roi.width, side(out.shape(2), kOutMessage), via_width,
                                     side(logits.shape(2), kLogitsMessage));
    with_float_type(logits.dtype(), kLogitsMessage, [&](auto* type) {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(type)>>;
        upsample<T>(logits, masks, rows, columns, threshold);
    });
}

/// One mask an object, in one block: where each begins, its window, the pixels.
struct Crops {
    std::size_t count;
    ResultBlock block;
    std::int64_t* offsets;
    Window* windows;
    std::uint8_t* data;

    Crops(std::size_t objects, std::size_t pixels)
        : count(objects),
          block((objects + 1) * sizeof(std::int64_t) + objects * sizeof(Window) + pixels),
          offsets(block.take<std::int64_t>(objects + 1)),
          windows(block.take<Window>(objects)),
          data(block.take<std::uint8_t>(pixels)) {}

    nb::tuple to_python() {
        const nb::capsule owner = block.release();
        static_assert(sizeof(Window) == 4 * sizeof(std::int32_t));
        return nb::make_tuple(as_numpy(reinterpret_cast<std::int32_t*>(windows), count, 4, owner),
                              as_numpy(offsets, count + 1, owner),
                              as_numpy(data, static_cast<std::size_t>(offsets[count]), owner));
    }
};

/// What find_window says of an object.
struct Place {
    Window window;
    Window inside;
};

/// Where to cut objects into `parts` of about as many pixels: the first object of a part.
std::size_t first_object(const Crops& crops, int part, int parts) {
    const std::int64_t pixels = crops.offsets[crops.count] * part / parts;
    const std::int64_t* found = std::lower_bound(crops.offsets, crops.offsets + crops.count, pixels);
    return part == parts ? crops.count : static_cast<std::size_t>(found - crops.offsets);
}

template <class T, int K>
void assemble(const PrototypeView<T>& prototypes, const float* coefficients, const float* boxes,
              std::size_t count, const CropRule& rule, const ImageTaps<K>& taps,
              std::optional<Crops>* result) {
    const std::size_t places_size = (count * sizeof(Place) + 63) / 64 * 64;
    auto* places = reinterpret_cast<Place*>(place_scratch.reserve(places_size));
    std::int64_t pixels = 0;
    for (std::size_t i = 0; i < count; ++i) {
        places[i].window = kernels().find_window(boxes + 4 * i, rule, taps, prototypes.height,
                                                 prototypes.width, &places[i].inside);
        pixels += places[i].window.area();
    }
    result->emplace(count, static_cast<std::size_t>(pixels));
    Crops& crops = **result;
    crops.offsets[0] = 0;
    for (std::size_t i = 0; i < count; ++i) {
        crops.windows[i] = places[i].window;
        crops.offsets[i + 1] = crops.offsets[i] + places[i].window.area();
    }
    const int parts = count_parts(static_cast<std::size_t>(pixels), kLeastPixels);
    const std::size_t size = kernels().assemble_scratch_size(prototypes, taps.width);
    std::byte* scratch = mask_scratch.reserve(size * static_cast<std::size_t>(parts));
    for_each_part(parts, [&](int part) {
        const std::size_t end = first_object(crops, part + 1, parts);
        for (std::size_t i = first_object(crops, part, parts); i < end; ++i) {
            if (places[i].window.area() == 0) continue;
            kernels().assemble_mask(prototypes, coefficients + i * static_cast<std::size_t>(prototypes.count),
                                    places[i].inside, taps, places[i].window, crops.data + crops.offsets[i],
                                    scratch + static_cast<std::size_t>(part) * size);
        }
    });
    mask_scratch.trim();
    place_scratch.trim();
}

template <class T>
PrototypeView<T> view_prototypes(const ReadArray& array) {
    PrototypeView<T> view{};
    view.data = static_cast<const T*>(array.data());
    view.count = side(array.shape(0), kPrototypesMessage);
    view.height = side(array.shape(1), kPrototypesMessage);
    view.width = side(array.shape(2), kPrototypesMessage);
    view.map_stride = static_cast<std::ptrdiff_t>(array.stride(0));
    view.row_stride = static_cast<std::ptrdiff_t>(array.stride(1));
    return view;
}

nb::tuple assemble_masks(const ReadArray& coefficients, const ReadArray& prototypes, const ReadArray& boxes,
                         bool crop_prototypes, double gain_y, double gain_x, double offset_y, double offset_x,
                         double scale_y, double scale_x, double roi_y, double roi_x, double roi_height,
                         double roi_width, std::int64_t via_height, std::int64_t via_width,
                         std::int64_t image_height, std::int64_t image_width) {
    require(prototypes.ndim() == 3 && (prototypes.shape(2) == 1 || prototypes.stride(2) == 1),
            kPrototypesMessage);
    require_aligned(prototypes);
    require(coefficients.ndim() == 2 && coefficients.shape(1) == prototypes.shape(0), kCoefficientsMessage);
    const std::size_t count = coefficients.shape(0);
    // So many windows of the largest image are fewer pixels than 64 bits count.
    require(count < std::size_t{1} << 15, "too many objects");
    require(boxes.ndim() == 2 && boxes.shape(0) == count && boxes.shape(1) == 4, kBoxesMessage);
    const auto* weights = elements<float>(coefficients, kCoefficientsMessage);
    const auto* corners = elements<float>(boxes, kBoxesMessage);
    const Roi roi = make_roi(roi_y, roi_x, roi_height, roi_width);
    const AxisMap rows = axis_map(roi.y, roi.height, side(image_height, kImageMessage), via_height,
                                  side(prototypes.shape(1), kPrototypesMessage));
    const AxisMap columns = axis_map(roi.x, roi.width, side(image_width, kImageMessage), via_width,
                                     side(prototypes.shape(2), kPrototypesMessage));
    require(!crop_prototypes || rows.via_size == 0,
            "prototypes are cropped in one resize, without a via size");
    const CropRule rule{crop_prototypes,
                        {gain_x, offset_x, static_cast<float>(scale_x)},
                        {gain_y, offset_y, static_cast<float>(scale_y)}};
    std::optional<Crops> result;
    with_float_type(prototypes.dtype(), kPrototypesMessage, [&](auto* type) {
        using T = std::remove_const_t<std::remove_pointer_t<decltype(type)>>;
        const auto view = view_prototypes<T>(prototypes);
        nb::gil_scoped_release released;
        with_taps(rows, columns,
                  [&](const auto& taps) { assemble(view, weights, corners, count, rule, taps, &result); });
    });
    return result->to_python();
}

}  // namespace

void bind_binary_masks(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    module.def("upsample_masks", &upsample_masks, array("logits"), "roi_y"_a, "roi_x"_a, "roi_height"_a,
               "roi_width"_a, "via_height"_a, "via_width"_a, "threshold"_a, array("out"));
    module.def("assemble_masks", &assemble_masks, array("coefficients"), array("prototypes"), array("boxes"),
               "crop_prototypes"_a, "gain_y"_a, "gain_x"_a, "offset_y"_a, "offset_x"_a, "scale_y"_a,
               "scale_x"_a, "roi_y"_a, "roi_x"_a, "roi_height"_a, "roi_width"_a, "via_height"_a,
               "via_width"_a, "image_height"_a, "image_width"_a);
}

}  // namespace ev::bind
