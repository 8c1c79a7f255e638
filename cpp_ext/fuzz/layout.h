// Arrays of up to three axes as NumPy lays them out: any order of the axes, gaps, either sign of a stride.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "agree.h"
#include "bytes.h"
#include "memory.h"

namespace ev::fuzz {

struct Layout {
    std::array<int, 3> extent;
    std::array<std::ptrdiff_t, 3> stride;  // elements
    std::size_t first;                     // where element (0, 0, 0) lies
    std::size_t span;                      // elements from the lowest to the highest, both included

    std::ptrdiff_t at(int i, int j, int k) const {
        return static_cast<std::ptrdiff_t>(first) + i * stride[0] + j * stride[1] + k * stride[2];
    }
};

/// A layout of these extents; `innermost`, if not negative, names an axis whose elements lie side by side.
inline Layout choose_layout(Bytes& bytes, std::array<int, 3> extent, int innermost = -1) {
    std::array<int, 3> order = {2, 1, 0};  // C order, innermost first
    if (innermost >= 0) {
        std::swap(order[0], order[static_cast<std::size_t>(2 - innermost)]);
        if (bytes.flag()) std::swap(order[1], order[2]);
    } else if (bytes.flag()) {
        for (int i = 2; i > 0; --i) {
            std::swap(order[static_cast<std::size_t>(i)],
                      order[static_cast<std::size_t>(bytes.between(0, i))]);
        }
    }
    const int gaps = bytes.between(0, 2) == 0 ? 5 : 0;
    const int flips = bytes.between(0, 2) == 0 ? bytes.between(0, 7) : 0;
    Layout layout{extent, {}, 0, 1};
    bool empty = false;
    std::ptrdiff_t step = 1;
    for (int position = 0; position < 3; ++position) {
        const int axis = order[static_cast<std::size_t>(position)];
        const auto a = static_cast<std::size_t>(axis);
        if (axis != innermost && gaps > 0) step += bytes.between(0, gaps);
        const std::ptrdiff_t reach = step * (extent[a] > 0 ? extent[a] - 1 : 0);
        const bool flipped = axis != innermost && ((flips >> axis) & 1) != 0;
        layout.stride[a] = flipped ? -step : step;
        if (flipped) layout.first += static_cast<std::size_t>(reach);
        layout.span += static_cast<std::size_t>(reach);
        empty = empty || extent[a] == 0;
        step = step * (extent[a] > 0 ? extent[a] : 1);
    }
    if (empty) layout.first = layout.span = 0;
    return layout;
}

/// Rows, columns and channels, in that order, mostly as cameras and networks have them: pixels side by side,
/// or planes, in rows that may be longer than the image.
inline Layout choose_image_layout(Bytes& bytes, int height, int width, int channels) {
    const std::array<int, 3> extent{height, width, channels};
    const int kind = bytes.between(0, 3);
    if (kind == 0) return choose_layout(bytes, extent);
    const std::ptrdiff_t gap = bytes.between(0, 2) == 0 ? bytes.between(1, 70) : 0;
    const bool planes = kind == 1;
    const std::ptrdiff_t row = (planes ? width : std::ptrdiff_t{width} * channels) + gap;
    Layout layout{extent, {row, 1, row * height}, 0, 0};
    if (!planes) layout.stride = {row, channels, 1};
    layout.span = static_cast<std::size_t>(layout.at(height - 1, width - 1, channels - 1)) + 1;
    return layout;
}

/// Reports every element of an array, and fails if a byte between them is no longer what `memory` filled it
/// with.
template <class T>
void add_elements(Results& results, const Layout& layout, const T* array) {
    static std::vector<bool> covered;
    covered.assign(layout.span, false);
    for (int i = 0; i < layout.extent[0]; ++i) {
        for (int j = 0; j < layout.extent[1]; ++j) {
            for (int k = 0; k < layout.extent[2]; ++k) {
                const auto place = static_cast<std::size_t>(layout.at(i, j, k));
                covered[place] = true;
                results.add(array + place, 1);
            }
        }
    }
    for (std::size_t i = 0; i < layout.span; ++i) {
        if (covered[i]) continue;
        const auto* bytes = reinterpret_cast<const std::uint8_t*>(array + i);
        for (std::size_t b = 0; b < sizeof(T); ++b) {
            if (bytes[b] != memory.fill()) fail("a kernel wrote between the elements of an array");
        }
    }
}

}  // namespace ev::fuzz
