// Masks from low-resolution logits: 1 where an interpolated logit is above a threshold.
//
// A mask is decided row by row from the small map, and only pixels between regions are interpolated.
#pragma once

#include "ev/masks.h"

namespace ev {

/// What a pixel reads on one axis: source indices, the least of them first and the greatest last, and their
/// weights. Neither end ever falls from one pixel to the next.
template <int K>
struct Taps {
    std::int32_t index[K];
    float weight[K];
};

/// How pixels of one axis lie in the source: a bilinear resize of `extent` source pixels from `origin` to
/// `size`; with `via_size` that of the source to via_size pixels first, whose pixels origin and extent then
/// are, whole.
struct AxisMap {
    double origin, extent;
    std::int32_t size;
    std::int32_t via_size;
    std::int32_t source_size;
};

/// One bilinear resize: two taps.
EV_INLINE void find_taps(const AxisMap& axis, std::int32_t index, Taps<2>* taps) {
    const Tap tap = bilinear_tap(index, axis.origin, axis.extent, axis.size, axis.source_size);
    taps->index[0] = tap.first;
    taps->index[1] = tap.second;
    taps->weight[0] = 1.0F - tap.weight;
    taps->weight[1] = tap.weight;
}

/// Two resizes one after another are linear too: the two taps of each of the second one's two taps.
EV_INLINE void find_taps(const AxisMap& axis, std::int32_t index, Taps<4>* taps) {
    const auto origin = static_cast<std::int32_t>(axis.origin);
    const auto extent = static_cast<std::int32_t>(axis.extent);
    const ExactTap outer = exact_tap(index, 0.0, axis.extent, axis.size, extent);
    const std::int32_t via[2] = {origin + outer.first, origin + outer.second};
    const double share[2] = {1.0 - outer.weight, outer.weight};
    int k = 0;
    for (int i = 0; i < 2; ++i) {
        const ExactTap inner =
            exact_tap(via[i], 0.0, static_cast<double>(axis.source_size), axis.via_size, axis.source_size);
        taps->index[k] = inner.first;
        taps->weight[k++] = static_cast<float>(share[i] * (1.0 - inner.weight));
        taps->index[k] = inner.second;
        taps->weight[k++] = static_cast<float>(share[i] * inner.weight);
    }
}

template <int K>
EV_INLINE bool same_sources(const Taps<K>& a, const Taps<K>& b) {
    bool same = true;
    for (int k = 0; k < K; ++k) same = same && a.index[k] == b.index[k];
    return same;
}

/// A pixel of a mask from the K x K logits that it reads: those of row k and column i are logits(k, i).
template <int K, class Logits>
EV_INLINE bool is_in_mask(const Taps<K>& rows, const Taps<K>& columns, float threshold,
                          const Logits& logits) {
    bool all = true;
    bool any = false;
    float sum = 0.0F;
    for (int i = 0; i < K; ++i) {
        float value = 0.0F;
        for (int k = 0; k < K; ++k) {
            const float logit = logits(k, i);
            all = all && logit > threshold;
            any = any || logit > threshold;
            value = k == 0 ? rows.weight[0] * logit : value + rows.weight[k] * logit;
        }
        sum = i == 0 ? columns.weight[0] * value : sum + columns.weight[i] * value;
    }
    return all == any ? all : sum > threshold;
}

/// A map of logits, or a part of one whose first pixel is (top, left); rows contiguous.
template <class T>
struct SourceView {
    const T* data;
    std::int32_t top, left;
    std::int32_t height, width;
    std::ptrdiff_t row_stride;
};

/// The columns of an image, prepared for write_mask: the same for every mask and every frame. A table a tap,
/// each a little longer than the image is wide, and where to go on from a column.
template <int K>
struct ColumnPlan {
    std::int32_t size, source_size;
    const std::int32_t* index[K];
    const float* weight[K];
    /// Of each column: the first after it that does not read the same sources.
    const std::int32_t* next;
    /// Of each source and the one after the last: the first column that reads none before it.
    const std::int32_t* starts;
    /// Of the same: the first column that reads it or one after it.
    const std::int32_t* ends;
};

/// A mask to write, `height` rows of `width`, one after another; its first column is the image's `left`.
struct MaskView {
    std::uint8_t* data;
    std::int32_t left;
    std::int32_t height, width;
};

inline namespace EV_ISA {

/// Bytes of memory, aligned to 64, that a plan of at most so many columns and sources lies in.
template <int K>
std::size_t column_plan_size(const Taps<K>* columns, std::int32_t size, std::int32_t source_size);

template <int K>
ColumnPlan<K> plan_columns(const Taps<K>* columns, std::int32_t size, std::int32_t source_size,
                           std::byte* memory);

/// Bytes of scratch, aligned to 64, for write_mask from a source of at most this size to a mask of at most
/// so many columns.
template <class T>
std::size_t mask_scratch_size(const SourceView<T>& source, std::int32_t width);

/// Writes 1 where the sum of a pixel's weighted logits is above the threshold, else 0; rows before columns,
/// each sum in the order of the taps. Where all logits that a pixel reads are above it, or none is, that
/// decides. `rows` are those of the mask's rows; the source holds all that the mask reads.
template <class T, int K>
void write_mask(const SourceView<T>& source, const Taps<K>* rows, const ColumnPlan<K>& columns,
                float threshold, const MaskView& mask, std::byte* scratch);

}  // namespace EV_ISA

}  // namespace ev
