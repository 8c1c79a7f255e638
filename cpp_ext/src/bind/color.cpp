#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include "bind.h"
#include "ev/kernels.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace ev::bind {
namespace {

using Plane = nb::ndarray<const std::uint8_t, nb::ndim<2>, nb::device::cpu>;
using Pixels = nb::ndarray<std::uint8_t, nb::shape<-1, -1, 3>, nb::device::cpu>;

constexpr std::size_t kMaxSide = std::size_t{1} << 24;

PlaneView view_plane(const Plane& plane) {
    if (plane.shape(0) < 1 || plane.shape(0) > kMaxSide || plane.shape(1) < 1 || plane.shape(1) > kMaxSide) {
        throw nb::value_error("plane size out of range");
    }
    return {plane.data(), static_cast<int>(plane.shape(0)), static_cast<int>(plane.shape(1)),
            static_cast<std::ptrdiff_t>(plane.stride(0)), static_cast<std::ptrdiff_t>(plane.stride(1))};
}

void convert(const Plane& y, const Plane& u, const Plane& v, const Pixels& out, int luma_offset, int luma,
             int red_v, int green_u, int green_v, int blue_u, bool rgb) {
    YuvJob job{};
    job.y = view_plane(y);
    job.u = view_plane(u);
    job.v = view_plane(v);
    const bool halved =
        job.u.width * 2 == job.y.width && (job.u.height == job.y.height || job.u.height * 2 == job.y.height);
    if (!halved || job.v.width != job.u.width || job.v.height != job.u.height) {
        throw nb::value_error("chroma planes must have half the luma's width and its height or half of it");
    }
    if (out.shape(0) != y.shape(0) || out.shape(1) != y.shape(1))
        throw nb::value_error("out must be (H, W, 3)");
    job.out = out.data();
    job.out_row_stride = static_cast<std::ptrdiff_t>(out.stride(0));
    job.out_pixel_stride = static_cast<std::ptrdiff_t>(out.stride(1));
    job.out_channel_stride = static_cast<std::ptrdiff_t>(out.stride(2));
    // (255 + 2 * 128) * 3 * 2^20 < 2^31: no sum of terms overflows.
    const int coefficients[] = {luma, red_v, green_u, green_v, blue_u};
    for (const int coefficient : coefficients) {
        if (coefficient < -(3 << 20) || coefficient > (3 << 20))
            throw nb::value_error("coefficient out of range");
    }
    if (luma_offset < 0 || luma_offset > 255) throw nb::value_error("luma_offset out of range");
    job.coefficients = {luma_offset, luma, red_v, green_u, green_v, blue_u};
    job.rgb = rgb;

    nb::gil_scoped_release release;
    kernels().convert_yuv(job);
}

}  // namespace

void bind_color(nb::module_& module) {
    module.def("convert_yuv", &convert, "y"_a.noconvert(), "u"_a.noconvert(), "v"_a.noconvert(),
               "out"_a.noconvert(), "luma_offset"_a, "luma"_a, "red_v"_a, "green_u"_a, "green_v"_a,
               "blue_u"_a, "rgb"_a,
               "Convert strided uint8 planes (4:2:0 or 4:2:2) to uint8 pixels in `out`.");
}

}  // namespace ev::bind
