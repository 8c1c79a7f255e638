// Batches of frames into a network's input.
#include "image.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/array.h>
#include <nanobind/stl/string.h>

#include <array>

#include "staged.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

constexpr int kMaxSide = 1 << 24;
constexpr int kMaxRows = 65535 * 8;  // of a tensor: a launch has 65535 rows of blocks, of 8 rows each

using Table = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;
using Strides = std::array<std::int64_t, 3>;
using Order = std::array<int, 3>;
/// Pointer, bytes from row to row and from sample to sample.
using PlaneArguments = std::array<std::int64_t, 3>;

int side(std::int64_t value, const char* message) {
    require(value >= 1 && value <= kMaxSide, message);
    return static_cast<int>(value);
}

Element element_of(const nb::dlpack::dtype& type) {
    if (type == nb::dtype<std::uint8_t>()) return Element::u8;
    if (type == nb::dtype<float>()) return Element::f32;
    require(type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.bits == 16 &&
                type.lanes == 1,
            "table must be uint8, float16 or float32");
    return Element::f16;
}

class ImageWriter {
  public:
    ImageWriter(std::int64_t batch, std::int64_t height, std::int64_t width, const Table& table,
                const Table& pad, bool nhwc, int filter)
        : places_(static_cast<std::size_t>(side(batch, "batch out of range"))),
          constants_(table.nbytes() + pad.nbytes()) {
        require(table.ndim() == 2 && table.shape(1) == 256 && (table.shape(0) == 1 || table.shape(0) == 3) &&
                    pad.ndim() == 1 && pad.shape(0) == table.shape(0) && pad.dtype() == table.dtype(),
                "table must be (channels, 256) and pad (channels,) of one dtype, with 1 or 3 channels");
        require(filter >= 0 && filter <= 3, "filter must be 0 to 3");
        require(batch <= 65535, "batch out of range");
        const int channels = static_cast<int>(table.shape(0));
        rule_.filter = static_cast<Filter>(filter);
        rule_.out.element = element_of(table.dtype());
        rule_.out.channels = channels;
        require(height <= kMaxRows, "height out of range");
        rule_.out.height = side(height, "height out of range");
        rule_.out.width = side(width, "width out of range");
        rule_.out.channel_stride = nhwc ? 1 : static_cast<std::ptrdiff_t>(height * width);
        rule_.out.row_stride = static_cast<std::ptrdiff_t>(nhwc ? width * channels : width);
        rule_.out.pixel_stride = nhwc ? channels : 1;
        rule_.image_stride = static_cast<std::ptrdiff_t>(height * width * channels);
        upload(constants_, 0, table.data(), table.nbytes());
        upload(constants_, table.nbytes(), pad.data(), pad.nbytes());
        rule_.table = constants_.get();
        rule_.pad = static_cast<const std::byte*>(constants_.get()) + table.nbytes();
    }

    void place(std::size_t index, std::uint64_t pointer, std::int64_t height, std::int64_t width,
               int channels, const Strides& strides, const Order& order, bool to_gray,
               std::int64_t resized_height, std::int64_t resized_width, int offset_y, int offset_x) {
        for (const int channel : order) {
            require(channel >= 0 && channel < channels, "order names a channel that the image does not have");
        }
        ImagePlace place{};
        place.image = {static_cast<const std::uint8_t*>(as_pointer(pointer)),
                       side(height, "image height out of range"),
                       side(width, "image width out of range"),
                       channels,
                       static_cast<std::ptrdiff_t>(strides[0]),
                       static_cast<std::ptrdiff_t>(strides[1]),
                       static_cast<std::ptrdiff_t>(strides[2])};
        set(index, place, order, to_gray, resized_height, resized_width, offset_y, offset_x);
    }

    void place_yuv(std::size_t index, const PlaneArguments& y, const PlaneArguments& u,
                   const PlaneArguments& v, std::int64_t height, std::int64_t width, bool half_height,
                   const std::array<std::int32_t, 6>& coefficients, const Order& order, bool to_gray,
                   std::int64_t resized_height, std::int64_t resized_width, int offset_y, int offset_x) {
        require(width % 2 == 0 && (!half_height || height % 2 == 0), "a YUV frame's size must be even");
        for (const int channel : order)
            require(channel >= 0 && channel < 3, "order must name channels 0 to 2");
        // (255 + 2 * 128) * 3 * 2^20 < 2^31: no sum of terms overflows.
        for (std::size_t i = 1; i < 6; ++i) {
            require(coefficients[i] >= -(3 << 20) && coefficients[i] <= (3 << 20),
                    "coefficient out of range");
        }
        require(coefficients[0] >= 0 && coefficients[0] <= 255, "luma_offset out of range");
        const int rows = side(height, "image height out of range");
        const int columns = side(width, "image width out of range");
        const int chroma_rows = half_height ? rows / 2 : rows;
        ImagePlace place{};
        place.from_yuv = true;
        place.yuv = {plane(y, rows, columns),
                     plane(u, chroma_rows, columns / 2),
                     plane(v, chroma_rows, columns / 2),
                     {coefficients[0], coefficients[1], coefficients[2], coefficients[3], coefficients[4],
                      coefficients[5]}};
        place.image = yuv_image(place.yuv);
        set(index, place, order, to_gray, resized_height, resized_width, offset_y, offset_x);
    }

    void write(std::uint64_t out, std::size_t count, const StreamObject& stream) {
        require(count <= places_.size(), "count is larger than the batch");
        for (std::size_t i = 0; i < count; ++i) {
            require(places_[i].resized_height > 0, "an image was not placed");
        }
        rule_.out.data = as_pointer(out);
        const ImagePlace* places = places_.send(count, stream.get());
        launch_write_images(places, static_cast<int>(count), rule_, stream.get());
    }

  private:
    Staged<ImagePlace> places_;
    DeviceMemory constants_;
    ImageRule rule_{};

    static PlaneView plane(const PlaneArguments& arguments, int height, int width) {
        return {static_cast<const std::uint8_t*>(as_pointer(static_cast<std::uint64_t>(arguments[0]))),
                height, width, static_cast<std::ptrdiff_t>(arguments[1]),
                static_cast<std::ptrdiff_t>(arguments[2])};
    }

    void check_taps(int source, int resized) const {
        if (rule_.filter != Filter::bilinear_antialias && rule_.filter != Filter::bicubic_antialias) return;
        const AntialiasAxis axis = antialias_axis(source, resized, rule_.filter == Filter::bicubic_antialias);
        require(antialias_max_taps(axis) <= kMaxAntialiasTaps,
                "the image shrinks too much for the GPU's antialiased filters (31 times bicubic, 63 times "
                "bilinear); resize it in two steps or on the CPU");
    }

    void set(std::size_t index, ImagePlace& place, const Order& order, bool to_gray,
             std::int64_t resized_height, std::int64_t resized_width, int offset_y, int offset_x) {
        require(index < places_.size(), "index is beyond the batch");
        require(!to_gray || rule_.out.channels == 1, "to_gray needs a tensor of one channel");
        require(
            offset_y >= -kMaxSide && offset_y <= kMaxSide && offset_x >= -kMaxSide && offset_x <= kMaxSide,
            "offset out of range");
        place.to_gray = to_gray;
        place.resized_height = side(resized_height, "resized height out of range");
        place.resized_width = side(resized_width, "resized width out of range");
        place.offset_y = offset_y;
        place.offset_x = offset_x;
        for (std::size_t i = 0; i < 3; ++i) place.order[i] = order[i];
        check_taps(place.image.height, place.resized_height);
        check_taps(place.image.width, place.resized_width);
        places_[index] = place;
    }
};

}  // namespace

void bind_image(nb::module_& module) {
    nb::class_<ImageWriter>(
        module, "ImageWriter",
        "Writes up to `batch` uint8 images through a placement each into one tensor, bit for "
        "bit what edgevision.ops.image writes. Images are placed, then written; a graph that "
        "recorded write() uses what is placed when it is launched. Place no image before the "
        "last launch has begun its kernel. table (channels, 256), pad (channels,): "
        "edgevision.ops.pixel_map.pixel_table's; filter as there.")
        .def(nb::init<std::int64_t, std::int64_t, std::int64_t, const Table&, const Table&, bool, int>(),
             "batch"_a, "height"_a, "width"_a, "table"_a.noconvert(), "pad"_a.noconvert(), nb::kw_only(),
             "nhwc"_a, "filter"_a)
        .def("place", &ImageWriter::place, "index"_a, "pointer"_a, "height"_a, "width"_a, "channels"_a,
             "strides"_a, "order"_a, "to_gray"_a, "resized_height"_a, "resized_width"_a, "offset_y"_a,
             "offset_x"_a,
             "strides: bytes from row to row, pixel to pixel and channel to channel. order: the image's "
             "channel "
             "behind each of the tensor's; with to_gray where blue, green and red are.")
        .def("place_yuv", &ImageWriter::place_yuv, "index"_a, "y"_a, "u"_a, "v"_a, "height"_a, "width"_a,
             "half_height"_a, "coefficients"_a, "order"_a, "to_gray"_a, "resized_height"_a, "resized_width"_a,
             "offset_y"_a, "offset_x"_a,
             "Planes of a frame, chroma of half the width: pointer, bytes from row to row and from sample to "
             "sample. half_height: 4:2:0, else 4:2:2. order counts blue, green, red.")
        .def("write", &ImageWriter::write, NoGil(), "out"_a, "count"_a, "stream"_a,
             "Write the first `count` images into the tensor at `out`.");
}

}  // namespace ev::cuda::bind
