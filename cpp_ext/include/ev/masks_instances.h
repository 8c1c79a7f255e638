// Instance masks from prototypes: an object's logits are a weighted sum of maps that all objects share.
//
// Each object costs its own window: sums only where a pixel of it reads, then one pass to the image's pixels.
#pragma once

#include "ev/masks_binary.h"

namespace ev {

/// Half-open pixel ranges; all 0 when empty.
struct Window {
    std::int32_t x1, y1, x2, y2;

    EV_HD std::int64_t area() const { return std::int64_t{x2 - x1} * (y2 - y1); }
};

struct Range {
    std::int32_t begin, end;
};

/// The pixels p of [0, size) with first <= p < last.
EV_INLINE Range pixels_between(float first, float last, std::int32_t size) {
    const float bound = static_cast<float>(size);
    const float low = std::ceil(first);
    const float high = std::ceil(last);
    const std::int32_t begin = low > 0.0F ? (low < bound ? static_cast<std::int32_t>(low) : size) : 0;
    const std::int32_t end = high > 0.0F ? (high < bound ? static_cast<std::int32_t>(high) : size) : 0;
    return begin < end ? Range{begin, end} : Range{0, 0};
}

/// Image pixels to prototype pixels on one axis, by way of the model's input, in the roundings of training
/// code that scales float32 boxes.
struct PrototypeAxis {
    double gain, offset;
    float scale;
};

EV_INLINE float to_prototype(float value, const PrototypeAxis& axis) {
    return static_cast<float>(static_cast<double>(value) * axis.gain + axis.offset) * axis.scale;
}

/// Prototypes (count, height, width), rows contiguous. Strides in elements, of either sign.
template <class T>
struct PrototypeView {
    const T* data;
    std::int32_t count, height, width;
    std::ptrdiff_t map_stride, row_stride;
};

/// Where boxes cut. With `in_prototypes`, which takes two taps an axis, logits outside are 0; else pixels of
/// the image outside are.
struct CropRule {
    bool in_prototypes;
    PrototypeAxis x, y;
};

/// The taps of every row and column of the image.
template <int K>
struct ImageTaps {
    const Taps<K>* rows;
    const Taps<K>* columns;
    std::int32_t height, width;
    ColumnPlan<K> plan;
};

/// The least and the greatest source with a weight above 0, as a range. A tap always has one.
template <int K>
EV_INLINE Range weighted_sources(const Taps<K>& taps) {
    Range range{taps.index[K - 1], taps.index[0] + 1};
    for (int k = 0; k < K; ++k) {
        if (!(taps.weight[k] > 0.0F)) continue;
        range.begin = taps.index[k] < range.begin ? taps.index[k] : range.begin;
        range.end = taps.index[k] + 1 > range.end ? taps.index[k] + 1 : range.end;
    }
    return range;
}

/// The range of pixels that read one of `sources` with a weight above 0.
template <int K>
EV_INLINE Range pixels_reading(const Taps<K>* taps, std::int32_t size, const Range& sources) {
    if (sources.begin == sources.end) return {0, 0};
    std::int32_t begin = 0;  // the first pixel that reads none before the sources, by bisection
    for (std::int32_t count = size; count > 0;) {
        const std::int32_t half = count / 2;
        const bool before = weighted_sources(taps[begin + half]).end <= sources.begin;
        begin = before ? begin + half + 1 : begin;
        count = before ? count - half - 1 : half;
    }
    std::int32_t end = begin;  // and the first that reads none but those behind them
    for (std::int32_t count = size - begin; count > 0;) {
        const std::int32_t half = count / 2;
        const bool reads = weighted_sources(taps[end + half]).begin < sources.end;
        end = reads ? end + half + 1 : end;
        count = reads ? count - half - 1 : half;
    }
    return begin == end ? Range{0, 0} : Range{begin, end};
}

/// What find_window finds, from the taps of the image's rows and columns.
template <int K>
EV_INLINE Window object_window(const float* box, const CropRule& rule, const Taps<K>* row_taps,
                               std::int32_t image_height, const Taps<K>* column_taps,
                               std::int32_t image_width, std::int32_t height, std::int32_t width,
                               Window* inside) {
    Range rows{0, height};
    Range columns{0, width};
    Range image_rows = pixels_between(box[1], box[3], image_height);
    Range image_columns = pixels_between(box[0], box[2], image_width);
    if (rule.in_prototypes) {
        rows = pixels_between(to_prototype(box[1], rule.y), to_prototype(box[3], rule.y), height);
        columns = pixels_between(to_prototype(box[0], rule.x), to_prototype(box[2], rule.x), width);
        image_rows = pixels_reading(row_taps, image_height, rows);
        image_columns = pixels_reading(column_taps, image_width, columns);
    }
    *inside = {columns.begin, rows.begin, columns.end, rows.end};
    if (image_rows.begin == image_rows.end || image_columns.begin == image_columns.end) return {0, 0, 0, 0};
    return {image_columns.begin, image_rows.begin, image_columns.end, image_rows.end};
}

/// The prototypes' pixels that a window which is not empty reads.
template <int K>
EV_INLINE Window read_window(const Window& window, const Taps<K>* row_taps, const Taps<K>* column_taps) {
    return {column_taps[window.x1].index[0], row_taps[window.y1].index[0],
            column_taps[window.x2 - 1].index[K - 1] + 1, row_taps[window.y2 - 1].index[K - 1] + 1};
}

inline namespace EV_ISA {

/// The image's pixels that an object's mask can have, from its box x1, y1, x2, y2 in image pixels; `inside`
/// is the part of the prototypes, of this size, that counts.
template <int K>
Window find_window(const float* box, const CropRule& rule, const ImageTaps<K>& taps, std::int32_t height,
                   std::int32_t width, Window* inside);

/// Bytes of scratch, aligned to 64, for assemble_mask.
template <class T>
std::size_t assemble_scratch_size(const PrototypeView<T>& prototypes, std::int32_t image_width);

/// Writes the mask of a window that is not empty, row by row. `coefficients`: one a prototype; sums are taken
/// in their order.
template <class T, int K>
void assemble_mask(const PrototypeView<T>& prototypes, const float* coefficients, const Window& inside,
                   const ImageTaps<K>& taps, const Window& window, std::uint8_t* mask, std::byte* scratch);

}  // namespace EV_ISA

}  // namespace ev
