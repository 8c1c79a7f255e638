// Label maps, masks and instances at the images' sizes.
#include "masks.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include <array>
#include <cmath>

#include "arena.h"
#include "staged.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

using Pair = std::array<std::int64_t, 2>;   // height, width
using RoiArgument = std::array<double, 4>;  // y, x, height, width

/// Images have at most this many rows: a row is a row of blocks.
constexpr std::int64_t kMaxSide = 65535;

std::int32_t side(std::int64_t value, std::int64_t most, const char* message) {
    require(value >= 1 && value <= most, message);
    return static_cast<std::int32_t>(value);
}

MapBatch contiguous(std::int64_t maps, const Pair& size) {
    require(maps >= 1 && maps <= 4096, "there must be 1 to 4096 maps an image");
    const std::int32_t height = side(size[0], kMaxSide, "map height out of range");
    const std::int32_t width = side(size[1], kMaxSide, "map width out of range");
    const std::ptrdiff_t map = std::ptrdiff_t{height} * width;
    return {nullptr, static_cast<std::int32_t>(maps), height, width, map, width, 1, map * maps};
}

void check_roi(const RoiArgument& roi) {
    for (const double number : roi) require(std::isfinite(number), "roi must be finite");
    require(roi[2] > 0.0 && roi[3] > 0.0, "roi must have a height and a width above 0");
}

/// The largest image and how many at a time.
struct Limits {
    std::size_t batch;
    std::int32_t height, width;

    Limits(std::int64_t images, const Pair& size)
        : batch(static_cast<std::size_t>(side(images, kMaxSide, "batch out of range"))),
          height(side(size[0], kMaxSide, "max_hw out of range")),
          width(side(size[1], kMaxSide, "max_hw out of range")) {}

    void check(std::size_t index, const Pair& image_hw) const {
        require(index < batch, "index is beyond the batch");
        require(image_hw[0] >= 1 && image_hw[0] <= height && image_hw[1] >= 1 && image_hw[1] <= width,
                "the image is larger than max_hw");
    }
};

class LabelWriter {
  public:
    LabelWriter(std::int64_t batch, std::int64_t classes, const Pair& map_hw, const std::string& source,
                const std::string& dtype, const Pair& max_hw)
        : limits_(batch, max_hw),
          maps_(contiguous(classes, map_hw)),
          places_(limits_.batch),
          half_(source == "float16"),
          from_logits_(source == "float32" || source == "float16") {
        require(dtype == "uint8" || dtype == "int32" || dtype == "int64",
                "dtype must be uint8, int32 or int64");
        type_ = dtype == "uint8" ? LabelType::u8 : (dtype == "int32" ? LabelType::i32 : LabelType::i64);
        require(from_logits_ || (source == dtype && classes == 1),
                "source must be float32 or float16 logits, or one map of labels of the result's dtype");
        require(!from_logits_ || type_ != LabelType::i64, "labels of logits are uint8 or int32");
        require(!from_logits_ || type_ != LabelType::u8 || classes <= 256, "uint8 holds 256 classes");
    }

    void place(std::size_t index, const RoiArgument& roi, const Pair& image_hw, std::int64_t offset) {
        limits_.check(index, image_hw);
        check_roi(roi);
        require(offset >= 0, "offset must be at least 0");
        places_[index] = {{roi[0], roi[1], roi[2], roi[3]},
                          static_cast<std::int32_t>(image_hw[0]),
                          static_cast<std::int32_t>(image_hw[1]),
                          offset};
    }

    void write(std::uint64_t maps, std::uint64_t out, std::size_t count, const StreamObject& stream) {
        require(count <= limits_.batch, "count is larger than the batch");
        for (std::size_t i = 0; i < count; ++i) require(places_[i].height > 0, "an image was not placed");
        maps_.data = as_pointer(maps);
        const LabelPlace* places = places_.send(count, stream.get());
        const int images = static_cast<int>(count);
        if (from_logits_) {
            launch_upsample_argmax(maps_, half_, places, images, limits_.height, limits_.width, type_,
                                   as_pointer(out), stream.get());
        } else {
            launch_resize_labels(maps_, places, images, limits_.height, limits_.width, type_, as_pointer(out),
                                 stream.get());
        }
    }

  private:
    Limits limits_;
    MapBatch maps_;
    Staged<LabelPlace> places_;
    bool half_, from_logits_;
    LabelType type_;
};

AxisMap axis_map(double origin, double extent, std::int64_t size, std::int64_t via, std::int32_t source) {
    AxisMap axis{origin, extent, static_cast<std::int32_t>(size), 0, source};
    if (via == 0) return axis;
    axis.via_size = side(via, 1 << 24, "via size out of range");
    require(origin >= 0.0 && extent >= 1.0 && origin + extent <= static_cast<double>(via) &&
                std::floor(origin) == origin && std::floor(extent) == extent,
            "roi must be whole pixels inside the via size");
    return axis;
}

MaskPlace mask_place(const RoiArgument& roi, const Pair& via_hw, const Pair& image_hw, const Pair& map_hw) {
    check_roi(roi);
    require((via_hw[0] == 0) == (via_hw[1] == 0), "via needs both its sizes");
    MaskPlace place{};
    place.rows = axis_map(roi[0], roi[2], image_hw[0], via_hw[0], static_cast<std::int32_t>(map_hw[0]));
    place.columns = axis_map(roi[1], roi[3], image_hw[1], via_hw[1], static_cast<std::int32_t>(map_hw[1]));
    return place;
}

class MaskWriter {
  public:
    MaskWriter(std::int64_t batch, std::int64_t masks, const Pair& map_hw, bool half, float threshold,
               const Pair& max_hw)
        : limits_(batch, max_hw),
          maps_(contiguous(masks, map_hw)),
          places_(limits_.batch),
          workspace_(taps_workspace_size(static_cast<int>(batch), limits_.height, limits_.width)),
          half_(half),
          threshold_(threshold) {
        require(batch * masks <= kMaxSide, "batch * masks out of range");
    }

    void place(std::size_t index, const RoiArgument& roi, const Pair& via_hw, const Pair& image_hw,
               std::int64_t offset) {
        limits_.check(index, image_hw);
        require(offset >= 0, "offset must be at least 0");
        MaskPlace place = mask_place(roi, via_hw, image_hw, {maps_.height, maps_.width});
        place.offset = offset;
        places_[index] = place;
    }

    void write(std::uint64_t logits, std::uint64_t out, std::size_t count, const StreamObject& stream) {
        require(count <= limits_.batch, "count is larger than the batch");
        for (std::size_t i = 0; i < count; ++i) require(places_[i].rows.size > 0, "an image was not placed");
        maps_.data = as_pointer(logits);
        launch_upsample_masks(maps_, half_, places_.send(count, stream.get()), static_cast<int>(count),
                              limits_.height, limits_.width, threshold_, workspace_.get(),
                              static_cast<std::uint8_t*>(as_pointer(out)), stream.get());
    }

  private:
    Limits limits_;
    MapBatch maps_;
    Staged<MaskPlace> places_;
    DeviceMemory workspace_;
    bool half_;
    float threshold_;
};

class InstanceMasks {
  public:
    InstanceMasks(std::int64_t batch, std::int64_t prototypes, const Pair& map_hw, bool half,
                  std::int64_t max_detections, const Pair& max_hw, std::int64_t capacity)
        : limits_(batch, max_hw),
          maps_(contiguous(prototypes, map_hw)),
          half_(half),
          rows_(side(max_detections, 65535, "max_detections out of range")),
          capacity_(side(capacity, 1 << 30, "capacity out of range")),
          places_(limits_.batch),
          workspace_(
              instance_workspace_size(maps_, static_cast<int>(batch), rows_, limits_.height, limits_.width)),
          size_(lay_out(nullptr).second),
          device_(size_),
          host_(size_, false, false) {
        std::memset(host_.get(), 0, size_);
    }

    void place(std::size_t index, bool crop_prototypes, const std::array<double, 2>& gain,
               const std::array<double, 2>& offset, const std::array<double, 2>& scale,
               const RoiArgument& roi, const Pair& via_hw, const Pair& image_hw, const Pair& first,
               const Pair& size) {
        limits_.check(index, image_hw);
        require(first[0] >= 0 && first[1] >= 0 && size[0] >= 1 && size[1] >= 1 &&
                    first[0] + size[0] <= maps_.height && first[1] + size[1] <= maps_.width,
                "the part does not lie inside the prototypes");
        require(!crop_prototypes || via_hw[0] == 0,
                "prototypes are cropped in one resize, without a via size");
        MaskPlace place = mask_place(roi, via_hw, image_hw, size);
        place.first = first[0] * maps_.row_stride + first[1];
        place.crop = {crop_prototypes,
                      {gain[1], offset[1], static_cast<float>(scale[1])},
                      {gain[0], offset[0], static_cast<float>(scale[0])}};
        places_[index] = place;
    }

    void assemble(std::uint64_t prototypes, std::uint64_t counts, std::uint64_t boxes,
                  std::uint64_t coefficients, std::int32_t stride, std::size_t count,
                  const StreamObject& stream) {
        require(count <= limits_.batch, "count is larger than the batch");
        require(stride >= maps_.classes, "stride must be at least the number of prototypes");
        for (std::size_t i = 0; i < count; ++i) require(places_[i].rows.size > 0, "an image was not placed");
        maps_.data = as_pointer(prototypes);
        const Instances instances{static_cast<const std::int32_t*>(as_pointer(counts)),
                                  static_cast<const float*>(as_pointer(boxes)),
                                  static_cast<const float*>(as_pointer(coefficients)), stride, rows_};
        launch_assemble_masks(maps_, half_, places_.send(count, stream.get()), static_cast<int>(count),
                              limits_.height, limits_.width, instances, workspace_.get(),
                              lay_out(device_.get()).first, stream.get());
        copy_async(host_.get(), device_.get(), size_, stream.get());
    }

    std::size_t batch() const { return limits_.batch; }
    std::size_t rows() const { return static_cast<std::size_t>(rows_); }
    std::size_t capacity() const { return static_cast<std::size_t>(capacity_); }
    MaskArrays on_host() const { return lay_out(host_.get()).first; }

  private:
    Limits limits_;
    MapBatch maps_;
    bool half_;
    std::int32_t rows_, capacity_;
    Staged<MaskPlace> places_;
    DeviceMemory workspace_;
    std::size_t size_;
    DeviceMemory device_;
    HostMemory host_;

    std::pair<MaskArrays, std::size_t> lay_out(void* memory) const {
        Arena arena(memory);
        MaskArrays arrays{};
        arrays.counts = arena.take<std::int32_t>(batch());
        arrays.windows = arena.take<Window>(batch() * rows());
        arrays.offsets = arena.take<std::int32_t>(batch() * (rows() + 1));
        arrays.data = arena.take<std::uint8_t>(batch() * capacity());
        arrays.capacity = capacity_;
        return {arrays, arena.used()};
    }
};

template <class T>
nb::object view(nb::handle self, T* data, std::initializer_list<std::size_t> shape) {
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape, self));
}

}  // namespace

void bind_masks(nb::module_& module) {
    nb::class_<LabelWriter>(
        module, "LabelWriter",
        "Label maps at the images' sizes, from class logits (batch, classes, h, w) or maps of labels, as "
        "edgevision.ops.masks writes them; a graph uses what is placed when it is launched. source: the "
        "maps' "
        "dtype. Labels of image i are written from `offset` elements on, row by row.")
        .def(nb::init<std::int64_t, std::int64_t, const Pair&, const std::string&, const std::string&,
                      const Pair&>(),
             nb::kw_only(), "batch"_a, "classes"_a, "map_hw"_a, "source"_a, "dtype"_a, "max_hw"_a)
        .def("place", &LabelWriter::place, "index"_a, "roi_yxhw"_a, "image_hw"_a, "offset"_a = 0)
        .def("write", &LabelWriter::write, NoGil(), "maps"_a, "out"_a, "count"_a, "stream"_a);
    nb::class_<MaskWriter>(
        module, "MaskWriter",
        "Masks at the images' sizes, 1 where a logit of (batch, masks, h, w) is above the threshold, as "
        "edgevision.ops.masks.upsample_masks gives them. via_hw: (0, 0), or the size that the logits are "
        "first "
        "resized to. uint8, whole masks one after another.")
        .def(nb::init<std::int64_t, std::int64_t, const Pair&, bool, float, const Pair&>(), nb::kw_only(),
             "batch"_a, "masks"_a, "map_hw"_a, "half"_a = false, "threshold"_a = 0.0F, "max_hw"_a)
        .def("place", &MaskWriter::place, "index"_a, "roi_yxhw"_a, "via_hw"_a, "image_hw"_a, "offset"_a = 0)
        .def("write", &MaskWriter::write, NoGil(), "logits"_a, "out"_a, "count"_a, "stream"_a);
    using Self = nb::handle_t<InstanceMasks>;
    const auto of = [](Self self) -> const InstanceMasks& { return *nb::inst_ptr<InstanceMasks>(self); };
    nb::class_<InstanceMasks>(
        module, "InstanceMasks",
        "Masks of detections from prototypes (batch, prototypes, h, w), each in its window, as "
        "edgevision.ops.instance_masks gives them. assemble() takes what BoxFinder leaves on the device and "
        "ends "
        "with a copy to pinned memory. capacity: bytes of masks of an image; counts says how many fit, the "
        "first.")
        .def(nb::init<std::int64_t, std::int64_t, const Pair&, bool, std::int64_t, const Pair&,
                      std::int64_t>(),
             nb::kw_only(), "batch"_a, "prototypes"_a, "map_hw"_a, "half"_a = false, "max_detections"_a,
             "max_hw"_a, "capacity"_a)
        .def(
            "place", &InstanceMasks::place, "index"_a, "crop_prototypes"_a, "gain_yx"_a, "offset_yx"_a,
            "scale_yx"_a, "roi_yxhw"_a, "via_hw"_a, "image_hw"_a, "first_yx"_a, "size_hw"_a,
            "first_yx, size_hw: the part of the prototypes that the roi counts in. gain, offset, scale: from "
            "image pixels to the model's input to the prototypes.")
        .def("assemble", &InstanceMasks::assemble, NoGil(), "prototypes"_a, "counts"_a, "boxes"_a,
             "coefficients"_a, "stride"_a, "count"_a, "stream"_a,
             "stride: floats from one detection's coefficients to the next.")
        .def_prop_ro(
            "counts", [of](Self self) { return view(self, of(self).on_host().counts, {of(self).batch()}); },
            nb::sig("def counts(self) -> numpy.ndarray"), "int32 (batch,): whose masks are there.")
        .def_prop_ro(
            "windows",
            [of](Self self) {
                auto* windows = reinterpret_cast<std::int32_t*>(of(self).on_host().windows);
                return view(self, windows, {of(self).batch(), of(self).rows(), 4});
            },
            nb::sig("def windows(self) -> numpy.ndarray"), "int32 (batch, max_detections, 4) x1, y1, x2, y2.")
        .def_prop_ro(
            "offsets",
            [of](Self self) {
                return view(self, of(self).on_host().offsets, {of(self).batch(), of(self).rows() + 1});
            },
            nb::sig("def offsets(self) -> numpy.ndarray"), "int32 (batch, max_detections + 1), into data.")
        .def_prop_ro(
            "data",
            [of](Self self) {
                return view(self, of(self).on_host().data, {of(self).batch(), of(self).capacity()});
            },
            nb::sig("def data(self) -> numpy.ndarray"), "uint8 (batch, capacity), 0 or 1.");
}

}  // namespace ev::cuda::bind
