// Source rows of a label map: brought to float32 side by side, and the best class of each of their pixels.
#pragma once

#include <algorithm>
#include <limits>

#include "ev/masks.h"
#include "lanes.h"

namespace ev {
inline namespace EV_ISA {

// Vectors of source columns whose running maxima are held in registers.
constexpr int kRowVectors = 4;
constexpr std::int32_t kRowStep = kRowVectors * kFloatLanes;

/// The columns that are read of one source row, all classes.
struct SourceRow {
    float* values;         // (classes, pitch)
    std::int32_t* labels;  // (pitch), the best class of each column, and the last column's once more
    std::int32_t index;    // which row; -1: none yet
};

/// From class to class of a SourceRow: room for a window that begins at the last column and for a whole step,
/// in whole cache lines. An odd number of them, so that a pixel's classes lie in different sets of the cache.
EV_INLINE std::size_t row_pitch(std::size_t columns) {
    constexpr std::size_t line = 16;
    return ((columns + std::max(kRowStep, kFloatLanes + 1) + line - 1) / line | 1) * line;
}

/// The best class of kRowStep pixels, which are copied to `to`. `ahead` is the distance to what is read next.
template <class T>
EV_INLINE void argmax_step(const T* from, std::ptrdiff_t from_stride, std::ptrdiff_t ahead,
                           std::int32_t classes, float* to, std::ptrdiff_t to_stride, std::int32_t* labels) {
    constexpr std::ptrdiff_t lanes = kFloatLanes;
    Floats best[kRowVectors];
    Ints winner[kRowVectors];
    for (int k = 0; k < kRowVectors; ++k) {
        best[k] = classes == 1 ? 0.0F : -std::numeric_limits<float>::infinity();
        winner[k] = 0;
    }
    for (std::int32_t id = 0; id < classes; ++id, from += from_stride, to += to_stride) {
        const Ints label = classes == 1 ? 1 : id;
        for (int k = 0; k < kRowVectors; ++k) {
            const Floats value = load(from + k * lanes);
            prefetch_later(from + ahead + k * lanes);
            store(to + k * lanes, value);
            const Mask wins = greater(value, best[k]);
            best[k] = if_then_else(wins, value, best[k]);
            winner[k] = if_then_else(wins, label, winner[k]);
        }
    }
    for (int k = 0; k < kRowVectors; ++k) store(labels + k * lanes, winner[k]);
}

/// Fills `row` with `count` columns from `left` on of row `index`.
template <class T>
EV_INLINE void load_row(const LogitsView<T>& logits, std::int32_t index, std::int32_t left,
                        std::int32_t count, std::ptrdiff_t pitch, SourceRow* row) {
    const T* from = logits.data + index * logits.row_stride + left;
    const std::ptrdiff_t ahead = index + 1 < logits.height ? logits.row_stride : 0;
    std::int32_t x = 0;
    for (; x + kRowStep <= count; x += kRowStep) {
        argmax_step(from + x, logits.class_stride, ahead, logits.classes, row->values + x, pitch,
                    row->labels + x);
    }
    if (x < count) {
        for (std::int32_t id = 0; id < logits.classes; ++id) {
            const T* source = from + id * logits.class_stride;
            float* to = row->values + id * pitch;
            for (std::int32_t i = x; i < count; ++i) to[i] = to_float(source[i]);
        }
        float* rest = row->values + x;
        argmax_step(rest, pitch, 0, logits.classes, rest, pitch, row->labels + x);
    }
    row->labels[count] = row->labels[count - 1];
    row->index = index;
}

}  // namespace EV_ISA
}  // namespace ev
