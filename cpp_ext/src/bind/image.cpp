#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <limits>

#include "bind.h"
#include "ev/kernels.h"
#include "thread_scratch.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace ev::bind {
namespace {

using Image = nb::ndarray<const std::uint8_t, nb::device::cpu>;
using Out = nb::ndarray<nb::device::cpu>;
using Table = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

constexpr int kMaxSide = 1 << 24;

int side(std::int64_t value, const char* what) {
    if (value < 1 || value > kMaxSide) throw nb::value_error(what);
    return static_cast<int>(value);
}

Element element_of(nb::dlpack::dtype type) {
    if (type == nb::dtype<std::uint8_t>()) return Element::u8;
    if (type == nb::dtype<float>()) return Element::f32;
    if (type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.bits == 16 &&
        type.lanes == 1) {
        return Element::f16;
    }
    throw nb::type_error("out must be uint8, float16 or float32");
}

ImageView view_image(const Image& image) {
    if (image.ndim() != 2 && image.ndim() != 3) throw nb::value_error("image must have 2 or 3 dimensions");
    const bool planar = image.ndim() == 2;
    ImageView view{};
    view.data = image.data();
    view.height = side(static_cast<std::int64_t>(image.shape(0)), "image height out of range");
    view.width = side(static_cast<std::int64_t>(image.shape(1)), "image width out of range");
    view.channels = planar ? 1 : static_cast<int>(image.shape(2));
    view.row_stride = static_cast<std::ptrdiff_t>(image.stride(0));
    view.pixel_stride = static_cast<std::ptrdiff_t>(image.stride(1));
    view.channel_stride = planar ? 0 : static_cast<std::ptrdiff_t>(image.stride(2));
    return view;
}

TensorView view_tensor(const Out& out, bool nhwc) {
    if (out.ndim() != 3) throw nb::value_error("out must have 3 dimensions");
    const std::size_t c = nhwc ? 2 : 0;
    const std::size_t y = nhwc ? 0 : 1;
    const std::size_t x = nhwc ? 1 : 2;
    TensorView view{};
    view.data = out.data();
    view.element = element_of(out.dtype());
    view.channels = static_cast<int>(out.shape(c));
    if (view.channels != 1 && view.channels != 3) throw nb::value_error("out must have 1 or 3 channels");
    view.height = side(static_cast<std::int64_t>(out.shape(y)), "out height out of range");
    view.width = side(static_cast<std::int64_t>(out.shape(x)), "out width out of range");
    view.channel_stride = static_cast<std::ptrdiff_t>(out.stride(c));
    view.row_stride = static_cast<std::ptrdiff_t>(out.stride(y));
    view.pixel_stride = static_cast<std::ptrdiff_t>(out.stride(x));
    return view;
}

void check_table(const Table& table, const Out& out, std::size_t elements) {
    if (table.dtype() != out.dtype() || table.size() != elements) {
        throw nb::value_error("table must be (channels, 256) and pad (channels), of out's dtype");
    }
}

void write_image_into(const Image& image, const Out& out, const Table& table, const Table& pad,
                      std::int64_t resized_height, std::int64_t resized_width, std::int64_t offset_y,
                      std::int64_t offset_x, int filter, int order_0, int order_1, int order_2, bool to_gray,
                      bool nhwc) {
    ImageJob job{};
    job.image = view_image(image);
    job.out = view_tensor(out, nhwc);
    job.resized_height = side(resized_height, "resized height out of range");
    job.resized_width = side(resized_width, "resized width out of range");
    if (offset_y < -kMaxSide || offset_y > kMaxSide || offset_x < -kMaxSide || offset_x > kMaxSide) {
        throw nb::value_error("offset out of range");
    }
    job.offset_y = static_cast<int>(offset_y);
    job.offset_x = static_cast<int>(offset_x);
    if (filter < 0 || filter > static_cast<int>(Filter::bicubic_antialias))
        throw nb::value_error("unknown filter");
    job.filter = static_cast<Filter>(filter);
    const int order[3] = {order_0, order_1, order_2};
    for (int c = 0; c < 3; ++c) {
        if (order[c] < 0 || order[c] >= job.image.channels)
            throw nb::value_error("order names a channel image lacks");
        job.order[c] = order[c];
    }
    if (to_gray && job.out.channels != 1) throw nb::value_error("gray output has 1 channel");
    job.to_gray = to_gray;
    const auto channels = static_cast<std::size_t>(job.out.channels);
    check_table(table, out, channels * 256);
    check_table(pad, out, channels);
    job.table = table.data();
    job.pad = pad.data();

    nb::gil_scoped_release release;
    thread_local Scratch scratch;
    kernels().write_image(job, scratch.reserve(kernels().image_scratch_size(job)));
    scratch.trim();
}

}  // namespace

void bind_image(nb::module_& module) {
    module.def("write_image", &write_image_into, "image"_a.noconvert(), "out"_a.noconvert(),
               "table"_a.noconvert(), "pad"_a.noconvert(), "resized_height"_a, "resized_width"_a,
               "offset_y"_a, "offset_x"_a, "filter"_a, "order_0"_a, "order_1"_a, "order_2"_a, "to_gray"_a,
               "nhwc"_a, "Write a uint8 image (H, W) or (H, W, channels) through a placement into `out`.");
}

}  // namespace ev::bind
