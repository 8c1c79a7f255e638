// The masks family: class logits to a label map of the image's size, and label maps to the image's size.
//
// Nothing is ever full-size in float: a label map is decided row by row from the small logits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "ev/arith.h"

namespace ev {

/// Where the image lies in a map, in the map's pixels: the inverse of a letterbox, a crop or a stretch.
struct Roi {
    double y, x;
    double height, width;
};

/// Two neighbouring source indices and the weight of the second.
struct Tap {
    std::int32_t first;
    std::int32_t second;
    float weight;
};

/// The same before the weight is rounded.
struct ExactTap {
    std::int32_t first;
    std::int32_t second;
    double weight;
};

/// Bilinear with half-pixel centres (align_corners=False); positions outside the map take its border.
EV_INLINE ExactTap exact_tap(std::int32_t index, double origin, double extent, std::int32_t size,
                             std::int32_t source_size) {
    const double center = (static_cast<double>(index) + 0.5) * extent / static_cast<double>(size);
    const double position = origin + center - 0.5;
    const double last = static_cast<double>(source_size - 1);
    const double bounded = position > 0.0 ? (position < last ? position : last) : 0.0;
    const double base = std::floor(bounded);
    const auto first = static_cast<std::int32_t>(base);
    return {first, first < source_size - 1 ? first + 1 : first, bounded - base};
}

EV_INLINE Tap bilinear_tap(std::int32_t index, double origin, double extent, std::int32_t size,
                           std::int32_t source_size) {
    const ExactTap tap = exact_tap(index, origin, extent, size, source_size);
    return {tap.first, tap.second, static_cast<float>(tap.weight)};
}

/// The source pixel that holds the centre of destination pixel `index`; outside the map, its border.
EV_INLINE std::int32_t nearest_source(std::int32_t index, double origin, double extent, std::int32_t size,
                                      std::int32_t source_size) {
    const double position =
        std::floor(origin + (static_cast<double>(index) + 0.5) * extent / static_cast<double>(size));
    const double last = static_cast<double>(source_size - 1);
    return static_cast<std::int32_t>(position > 0.0 ? (position < last ? position : last) : 0.0);
}

EV_INLINE float blend(float first, float second, float weight) {
    return (1.0F - weight) * first + weight * second;
}

/// Class logits (classes, height, width), rows contiguous. Strides in elements, of either sign.
template <class T>
struct LogitsView {
    const T* data;
    std::int32_t classes, height, width;
    std::ptrdiff_t class_stride, row_stride;
};

/// A label map to write, rows contiguous.
template <class L>
struct LabelView {
    L* data;
    std::int32_t height, width;
    std::ptrdiff_t row_stride;
};

inline namespace EV_ISA {

/// Bytes of scratch, aligned to 64, for one call of upsample_argmax: two source rows of all classes, and some
/// numbers for each output column.
template <class T, class L>
std::size_t upsample_scratch_size(const LogitsView<T>& logits, const LabelView<L>& labels);

/// Label of each pixel: the class whose bilinearly interpolated logit is greatest, the first of equals; with
/// one class, 1 where the logit is above 0. A NaN never wins; where nothing wins the label is 0. Rows [begin,
/// end) of `labels` are written: bands may be written at the same time, each with scratch of its own.
///
/// Where the four neighbours have the same best class, that class wins: interpolation is a weighted mean with
/// weights of at least 0, and rounding is monotone, so no other class can end higher. Only pixels between
/// regions are interpolated.
template <class T, class L>
void upsample_argmax(const LogitsView<T>& logits, const Roi& roi, const LabelView<L>& labels,
                     std::int32_t begin, std::int32_t end, std::byte* scratch);

/// Bytes of scratch, aligned to 64, for resize_labels.
template <class L>
std::size_t resize_scratch_size(const LabelView<L>& labels);

/// Nearest-neighbour resize of a (height, width) map of labels, strides in elements.
template <class L>
void resize_labels(const L* map, std::int32_t height, std::int32_t width, std::ptrdiff_t row_stride,
                   std::ptrdiff_t column_stride, const Roi& roi, const LabelView<L>& labels,
                   std::byte* scratch);

}  // namespace EV_ISA

}  // namespace ev
