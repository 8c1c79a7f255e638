#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <limits>

#include "bind.h"
#include "color_job.h"
#include "ev/kernels.h"
#include "ev/pool.h"
#include "thread_scratch.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace ev::bind {
namespace {

using Image = nb::ndarray<const std::uint8_t, nb::device::cpu>;
using Out = nb::ndarray<nb::device::cpu>;
using Table = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

constexpr int kMaxSide = 1 << 24;

// Canvas pixels a thread writes at least: some 50 microseconds, a few times what handing out a part takes.
constexpr std::size_t kLeastPixels = std::size_t{1} << 16;

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

/// What the job writes and how; where it reads is left to the caller, but for the channels its image has.
ImageJob make_job(int channels, const Out& out, const Table& table, const Table& pad,
                  std::int64_t resized_height, std::int64_t resized_width, std::int64_t offset_y,
                  std::int64_t offset_x, int filter, int order_0, int order_1, int order_2, bool to_gray,
                  bool nhwc) {
    ImageJob job{};
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
        if (order[c] < 0 || order[c] >= channels) throw nb::value_error("order names a channel image lacks");
        job.order[c] = order[c];
    }
    if (to_gray && job.out.channels != 1) throw nb::value_error("gray output has 1 channel");
    job.to_gray = to_gray;
    const auto out_channels = static_cast<std::size_t>(job.out.channels);
    check_table(table, out, out_channels * 256);
    check_table(pad, out, out_channels);
    job.table = table.data();
    job.pad = pad.data();
    return job;
}

/// The part of a job that writes rows [begin, end) of the canvas.
ImageJob part_of(const ImageJob& job, int begin, int end) {
    const std::ptrdiff_t elements = begin * job.out.row_stride;
    const std::ptrdiff_t size =
        job.out.element == Element::u8 ? 1 : (job.out.element == Element::f16 ? 2 : 4);
    ImageJob part = job;
    part.out.data = static_cast<std::byte*>(job.out.data) + elements * size;
    part.out.height = end - begin;
    part.offset_y -= begin;
    return part;
}

void run(const ImageJob& job) {
    const auto pixels = static_cast<std::size_t>(job.out.height) * static_cast<std::size_t>(job.out.width);
    const int parts = std::min(job.out.height, count_parts(pixels, kLeastPixels));
    const auto row = [&](int at) { return static_cast<int>(std::int64_t{job.out.height} * at / parts); };
    const auto part = [&](int at) { return part_of(job, row(at), row(at + 1)); };
    const Kernels& table = kernels();  // one choice for all of the call
    std::size_t size = 0;
    for (int at = 0; at < parts; ++at) size = std::max(size, table.image_scratch_size(part(at)));
    size = (size + 63) / 64 * 64;

    thread_local Scratch scratch;
    std::byte* memory = scratch.reserve(size * static_cast<std::size_t>(parts));
    for_each_part(parts,
                  [&](int at) { table.write_image(part(at), memory + size * static_cast<std::size_t>(at)); });
    scratch.trim();
}

void write_image_into(const Image& image, const Out& out, const Table& table, const Table& pad,
                      std::int64_t resized_height, std::int64_t resized_width, std::int64_t offset_y,
                      std::int64_t offset_x, int filter, int order_0, int order_1, int order_2, bool to_gray,
                      bool nhwc) {
    const ImageView view = view_image(image);
    ImageJob job = make_job(view.channels, out, table, pad, resized_height, resized_width, offset_y, offset_x,
                            filter, order_0, order_1, order_2, to_gray, nhwc);
    job.image = view;
    nb::gil_scoped_release release;
    run(job);
}

void write_yuv_into(const Plane& y, const Plane& u, const Plane& v, int luma_offset, int luma, int red_v,
                    int green_u, int green_v, int blue_u, const Out& out, const Table& table,
                    const Table& pad, std::int64_t resized_height, std::int64_t resized_width,
                    std::int64_t offset_y, std::int64_t offset_x, int filter, int order_0, int order_1,
                    int order_2, bool to_gray, bool nhwc) {
    const YuvFrame frame = view_frame(y, u, v, luma_offset, luma, red_v, green_u, green_v, blue_u);
    ImageJob job = make_job(3, out, table, pad, resized_height, resized_width, offset_y, offset_x, filter,
                            order_0, order_1, order_2, to_gray, nhwc);
    job.yuv = &frame;
    job.image = yuv_image(frame);
    nb::gil_scoped_release release;
    run(job);
}

}  // namespace

void bind_image(nb::module_& module) {
    module.def("write_image", &write_image_into, "image"_a.noconvert(), "out"_a.noconvert(),
               "table"_a.noconvert(), "pad"_a.noconvert(), "resized_height"_a, "resized_width"_a,
               "offset_y"_a, "offset_x"_a, "filter"_a, "order_0"_a, "order_1"_a, "order_2"_a, "to_gray"_a,
               "nhwc"_a, "Write a uint8 image (H, W) or (H, W, channels) through a placement into `out`.");
    module.def("write_yuv", &write_yuv_into, "y"_a.noconvert(), "u"_a.noconvert(), "v"_a.noconvert(),
               "luma_offset"_a, "luma"_a, "red_v"_a, "green_u"_a, "green_v"_a, "blue_u"_a,
               "out"_a.noconvert(), "table"_a.noconvert(), "pad"_a.noconvert(), "resized_height"_a,
               "resized_width"_a, "offset_y"_a, "offset_x"_a, "filter"_a, "order_0"_a, "order_1"_a,
               "order_2"_a, "to_gray"_a, "nhwc"_a,
               "Write strided uint8 planes (4:2:0 or 4:2:2) as a BGR image through a placement into `out`.");
}

}  // namespace ev::bind
