// What the bindings of the masks family share: sizes and regions, checked.
#pragma once

#include <cmath>

#include "arrays.h"
#include "ev/masks.h"
#include "release.h"

namespace ev::bind {

inline constexpr std::int64_t kMaxSide = std::int64_t{1} << 24;

template <class Extent>
std::int32_t side(Extent extent, const char* message) {
    require(extent > 0 && static_cast<std::int64_t>(extent) <= kMaxSide, message);
    return static_cast<std::int32_t>(extent);
}

inline Roi make_roi(double y, double x, double height, double width) {
    require(std::isfinite(y) && std::isfinite(x) && std::isfinite(height) && std::isfinite(width) &&
                height > 0.0 && width > 0.0,
            "roi must be finite, its height and width above 0");
    return {y, x, height, width};
}

/// upsample_masks and assemble_masks, in masks_binary.cpp.
void bind_binary_masks(nb::module_& module);

/// Run lengths, in masks_rle.cpp.
void bind_rle(nb::module_& module);

}  // namespace ev::bind
