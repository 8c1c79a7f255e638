// A camera frame's planes as a kernel takes them; color and image both read them.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>

#include "ev/color.h"

namespace ev::bind {

using Plane = nanobind::ndarray<const std::uint8_t, nanobind::ndim<2>, nanobind::device::cpu>;

inline PlaneView view_plane(const Plane& plane) {
    constexpr std::size_t max_side = std::size_t{1} << 24;
    if (plane.shape(0) < 1 || plane.shape(0) > max_side || plane.shape(1) < 1 || plane.shape(1) > max_side) {
        throw nanobind::value_error("plane size out of range");
    }
    return {plane.data(), static_cast<int>(plane.shape(0)), static_cast<int>(plane.shape(1)),
            static_cast<std::ptrdiff_t>(plane.stride(0)), static_cast<std::ptrdiff_t>(plane.stride(1))};
}

inline YuvFrame view_frame(const Plane& y, const Plane& u, const Plane& v, int luma_offset, int luma,
                           int red_v, int green_u, int green_v, int blue_u) {
    YuvFrame frame{view_plane(y), view_plane(u), view_plane(v), {}};
    const bool halved = frame.u.width * 2 == frame.y.width &&
                        (frame.u.height == frame.y.height || frame.u.height * 2 == frame.y.height);
    if (!halved || frame.v.width != frame.u.width || frame.v.height != frame.u.height) {
        throw nanobind::value_error(
            "chroma planes must have half the luma's width and its height or half of it");
    }
    // (255 + 2 * 128) * 3 * 2^20 < 2^31: no sum of terms overflows.
    const int coefficients[] = {luma, red_v, green_u, green_v, blue_u};
    for (const int coefficient : coefficients) {
        if (coefficient < -(3 << 20) || coefficient > (3 << 20))
            throw nanobind::value_error("coefficient out of range");
    }
    if (luma_offset < 0 || luma_offset > 255) throw nanobind::value_error("luma_offset out of range");
    frame.coefficients = {luma_offset, luma, red_v, green_u, green_v, blue_u};
    return frame;
}

}  // namespace ev::bind
