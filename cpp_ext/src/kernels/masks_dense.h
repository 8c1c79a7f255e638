// Rows of a mask whose pixels are all interpolated: their sources hardly ever agree, or are shrunk.
#pragma once

#include <algorithm>

#include "ev/masks_binary.h"
#include "lanes.h"

namespace ev {
inline namespace EV_ISA {

// Columns that are interpolated together, from no more source columns.
#if EV_WIDE_LANES
constexpr std::int32_t kMaskLanes = kFloatLanes;
#else
constexpr std::int32_t kMaskLanes = 8;
#endif

/// Floats behind a blended row that RowColumns may load.
constexpr std::int32_t kBlendSlack = 16;

/// Source rows by their weights: the same sums, in the same order, as for each pixel.
template <int K>
EV_INLINE void blend_rows(const float* const* from, const float* weight, std::int32_t width,
                          float* __restrict blended) {
    for (std::int32_t x = 0; x < width; ++x) {
        float sum = weight[0] * from[0][x];
        for (int k = 1; k < K; ++k) sum = sum + weight[k] * from[k][x];
        blended[x] = sum;
    }
}

/// Columns of an image that rows are interpolated for; sources are counted from `left`.
template <int K>
class RowColumns {
  public:
    RowColumns(const ColumnPlan<K>& columns, std::int32_t begin, std::int32_t end, std::int32_t left)
        : left_(left), size_(end - begin) {
        for (int k = 0; k < K; ++k) {
            index_[k] = columns.index[k] + begin;
            weight_[k] = columns.weight[k] + begin;
        }
        // Of an enlarged row as many columns as lanes read from so many sources, else fewer do.
        while (step_ > kMaskLanes / 2 && size_ >= step_ && !fit((size_ - step_) / 2, step_)) --step_;
    }

    /// Whether a row is shrunk so much that a column has no source in common with its neighbours.
    bool are_far_apart() const { return size_ >= step_ && !fit((size_ - step_) / 2, step_); }

    /// Whether a row is shrunk by a half or more.
    bool are_shrunk() const { return step_ <= kMaskLanes / 2; }

    /// 1 where the sum of blended sources is above 0.
    void interpolate(const float* blended, std::uint8_t* out) const {
        std::int32_t x = 0;
#if EV_WIDE_LANES
        while (x < size_) {
            for (; x + step_ <= size_ && fit(x, step_); x += step_) interpolate_lanes(blended, x, step_, out);
            const std::int32_t count = std::min(step_ / 2, size_ - x);
            if (fit(x, count)) {
                interpolate_lanes(blended, x, count, out);
            } else {
                interpolate_plainly(blended, x, x + count, out);
            }
            x += count;
        }
#else
        interpolate_plainly(blended, x, size_, out);
#endif
    }

    /// The rule of masks_binary.h, pixel by pixel, from rows that nothing is known of.
    void decide(const float* const* from, const float* row_weight, float threshold,
                std::uint8_t* __restrict out) const {
        for (std::int32_t x = 0; x < size_; ++x) {
            std::int32_t all = 1;
            std::int32_t any = 0;
            float sum = 0.0F;
            for (int i = 0; i < K; ++i) {
                const std::int32_t place = index_[i][x] - left_;
                float blended = 0.0F;
                for (int k = 0; k < K; ++k) {
                    const float value = from[k][place];
                    const std::int32_t above = value > threshold ? 1 : 0;
                    all &= above;
                    any |= above;
                    blended = k == 0 ? row_weight[0] * value : blended + row_weight[k] * value;
                }
                sum = i == 0 ? weight_[0][x] * blended : sum + weight_[i][x] * blended;
            }
            out[x] = static_cast<std::uint8_t>(all | (any & (sum > threshold ? 1 : 0)));
        }
    }

  private:
    const std::int32_t* index_[K];
    const float* weight_[K];
    std::int32_t left_;
    std::int32_t size_;
    std::int32_t step_ = kMaskLanes;

    /// Whether `count` columns from `x` on read from no farther apart than a register is wide.
    bool fit(std::int32_t x, std::int32_t count) const {
        return count == 0 || index_[K - 1][x + count - 1] - index_[0][x] < kMaskLanes;
    }

    void interpolate_plainly(const float* blended, std::int32_t begin, std::int32_t end,
                             std::uint8_t* __restrict out) const {
        for (std::int32_t x = begin; x < end; ++x) {
            float sum = weight_[0][x] * blended[index_[0][x] - left_];
            for (int k = 1; k < K; ++k) sum = sum + weight_[k][x] * blended[index_[k][x] - left_];
            out[x] = sum > 0.0F ? 1 : 0;
        }
    }

#if EV_WIDE_LANES
    void interpolate_lanes(const float* blended, std::int32_t x, std::int32_t count,
                           std::uint8_t* out) const {
        const std::int32_t base = index_[0][x];
        const Floats window = load(blended + (base - left_));
        Floats sum = load(weight_[0] + x) * table_lookup(window, load(index_[0] + x) - base);
        for (int k = 1; k < K; ++k) {
            sum = sum + load(weight_[k] + x) * table_lookup(window, load(index_[k] + x) - base);
        }
        store_bits(out + x, bits_from_mask(greater(sum, 0.0F)), count);
    }
#endif
};

}  // namespace EV_ISA
}  // namespace ev
