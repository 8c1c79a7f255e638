#include <algorithm>
#include <cstdint>

#include "bind.h"
#include "color_job.h"
#include "ev/kernels.h"
#include "ev/pool.h"
#include "memory_checks.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace ev::bind {
namespace {

using Pixels = nb::ndarray<std::uint8_t, nb::shape<-1, -1, 3>, nb::device::cpu>;

// Pixels a thread converts at least: some 60 microseconds, a few times what handing out a part takes.
constexpr std::size_t kLeastPixels = std::size_t{1} << 18;

PlaneView rows_of(const PlaneView& plane, int begin, int end) {
    PlaneView rows = plane;
    rows.data += begin * plane.row_stride;
    rows.height = end - begin;
    return rows;
}

/// The part of a job that chroma rows [begin, end) serve.
YuvJob part_of(const YuvJob& job, int begin, int end) {
    const int rows = job.frame.y.height / job.frame.u.height;
    YuvJob part = job;
    part.frame.y = rows_of(job.frame.y, begin * rows, end * rows);
    part.frame.u = rows_of(job.frame.u, begin, end);
    part.frame.v = rows_of(job.frame.v, begin, end);
    part.out += static_cast<std::ptrdiff_t>(begin) * rows * job.out_row_stride;
    return part;
}

void convert(const Plane& y, const Plane& u, const Plane& v, const Pixels& out, int luma_offset, int luma,
             int red_v, int green_u, int green_v, int blue_u, bool rgb) {
    YuvJob job{};
    job.frame = view_frame(y, u, v, luma_offset, luma, red_v, green_u, green_v, blue_u);
    if (out.shape(0) != y.shape(0) || out.shape(1) != y.shape(1))
        throw nb::value_error("out must be (H, W, 3)");
    require_apart(out, y, u, v);
    job.out = out.data();
    job.out_row_stride = static_cast<std::ptrdiff_t>(out.stride(0));
    job.out_pixel_stride = static_cast<std::ptrdiff_t>(out.stride(1));
    job.out_channel_stride = static_cast<std::ptrdiff_t>(out.stride(2));
    job.rgb = rgb;

    nb::gil_scoped_release release;
    const int chroma_rows = job.frame.u.height;
    const int parts = std::min(chroma_rows, count_parts(y.shape(0) * y.shape(1), kLeastPixels));
    for_each_part(parts, [&](int part) {
        const auto row = [&](int at) { return static_cast<int>(part_begin(chroma_rows, at, parts)); };
        kernels().convert_yuv(part_of(job, row(part), row(part + 1)));
    });
}

}  // namespace

void bind_color(nb::module_& module) {
    module.def("convert_yuv", &convert, "y"_a.noconvert(), "u"_a.noconvert(), "v"_a.noconvert(),
               "out"_a.noconvert(), "luma_offset"_a, "luma"_a, "red_v"_a, "green_u"_a, "green_v"_a,
               "blue_u"_a, "rgb"_a,
               "Convert strided uint8 planes (4:2:0 or 4:2:2) to uint8 pixels in `out`.");
}

}  // namespace ev::bind
