// Rows of a mask whose pixels are all interpolated: their sources hardly ever agree, or are shrunk.
#pragma once

#include <algorithm>

#include "ev/masks_binary.h"
#include "lanes.h"
#include "scratch.h"

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

// Columns of a row that is shrunk far: they read from more sources than there are lanes.
constexpr std::int32_t kFarApart = kMaskLanes / 2;

/// Columns of an image that rows are interpolated for; sources are counted from `left`.
template <int K>
class RowColumns {
  public:
    RowColumns(const ColumnPlan<K>& columns, std::int32_t begin, std::int32_t end, std::int32_t left,
               ScratchArena* arena)
        : left_(left), size_(end - begin), steps_(arena->take<Step>(static_cast<std::size_t>(size_) + 1)) {
        for (int k = 0; k < K; ++k) {
            index_[k] = columns.index[k] + begin;
            weight_[k] = columns.weight[k] + begin;
        }
    }

    static std::size_t scratch_size(std::int32_t width) {
        return ScratchArena::size_of<Step>(static_cast<std::size_t>(width) + 1);
    }

    /// Whether a row is shrunk so much that a column has no source in common with its neighbours.
    bool are_far_apart() const {
        const std::int32_t middle = (size_ - kFarApart) / 2;
        return size_ >= kFarApart && index_[K - 1][middle + kFarApart - 1] - index_[0][middle] >= kMaskLanes;
    }

    /// 1 where the sum of blended sources is above 0. After plan().
    void interpolate(const float* blended, std::uint8_t* out) const {
#if EV_WIDE_LANES
        // Copies that nothing points to: the bytes that are written cannot be these.
        const RowColumns own(*this);
        std::int32_t x = 0;
        if (own.paired_) {
            for (; x < own.size_; x += kMaskLanes) {
                x = std::min(x, own.size_ - kMaskLanes);  // the last may repeat columns
                store_mask(out + x, own.above_zero_of_pairs(blended, x));
            }
            return;
        }
        for (; x < own.together_; x += 4 * kMaskLanes) {
            Mask above[4];
            for (int i = 0; i < 4; ++i) {
                const std::int32_t at = x + i * kMaskLanes;
                above[i] = own.above_zero<false>(blended, at, own.index_[0] + at);
            }
            store_masks(out + x, above);
        }
        for (std::int32_t i = 0; i < own.num_steps_; ++i) {
            const Step& step = own.steps_[i];
            x = step.begin;
            const Mask above = own.above_zero<true>(blended, x, step.first);
            if (x + kMaskLanes <=
                own.size_) {  // what is written for the columns of the next step it overwrites
                store_mask(out + x, above);
            } else {
                store_bits(out + x, bits_from_mask(above), own.steps_[i + 1].begin - x);
            }
        }
#else
        for (std::int32_t x = 0; x < size_; ++x) {
            float sum = weight_[0][x] * blended[index_[0][x] - left_];
            for (int k = 1; k < K; ++k) sum = sum + weight_[k][x] * blended[index_[k][x] - left_];
            out[x] = sum > 0.0F ? 1 : 0;
        }
#endif
    }

    /// Cuts the columns into steps, unless that is done.
    void plan() {
        if (num_steps_ >= 0) return;
        num_steps_ = 0;
#if EV_WIDE_LANES
        constexpr std::int32_t four = 4 * kMaskLanes;
        const auto fits_one = [&](std::int32_t x) {
            return index_[K - 1][x + kMaskLanes - 1] - index_[0][x] < kMaskLanes;
        };
        bool fit = true;
        while (fit && together_ + four <= size_) {
            for (std::int32_t i = 0; i < four; i += kMaskLanes) fit = fit && fits_one(together_ + i);
            together_ += fit ? four : 0;
        }
        for (std::int32_t x = together_; x < size_; ++num_steps_) {
            Step& step = steps_[num_steps_];
            step.begin = x;
            const std::int32_t end = std::min(x + kMaskLanes, size_);
            for (int k = 0; k < K; ++k) step.first[k] = index_[k][x];
            for (++x; x < end && reads_near(step, x); ++x) {
            }
        }
        steps_[num_steps_].begin = size_;
        // Steps of so few columns take longer than to load each column's two sources together.
        paired_ = K == 2 && size_ >= kMaskLanes && num_steps_ * kMaskLanes > size_ + size_ / 2;
        for (std::int32_t x = 0; x < size_; ++x) paired_ = paired_ && index_[K - 1][x] == index_[0][x] + 1;
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
    /// Columns from `begin` to the next step's whose sources lie in a register from each of `first` on.
    struct Step {
        std::int32_t begin;
        std::int32_t first[K];
    };

    const std::int32_t* index_[K];
    const float* weight_[K];
    std::int32_t left_;
    std::int32_t size_;
    std::int32_t together_ = 0;  // columns, a multiple of four registers', whose lanes read from one register
    std::int32_t num_steps_ = -1;  // of the columns behind them; -1: not planned
    bool paired_ = false;          // each column reads two neighbours, and columns are loaded by these
    Step* steps_;

#if EV_WIDE_LANES
    /// Whether column x reads what a step's registers hold.
    bool reads_near(const Step& step, std::int32_t x) const {
        bool near = true;
        for (int k = 0; k < K; ++k) near = near && index_[k][x] - step.first[k] < kMaskLanes;
        return near;
    }

    /// Of the columns from x on: their sources lie in one register from first[0] on, or Apart, what they read
    /// first, second and so on in one from each of `first`.
    template <bool Apart>
    [[gnu::always_inline]] Mask above_zero(const float* blended, std::int32_t x,
                                           const std::int32_t* first) const {
        const std::int32_t base = first[0];
        Floats window = load(blended + (base - left_));
        Floats sum = load(weight_[0] + x) * table_lookup(window, load(index_[0] + x) - base);
        for (int k = 1; k < K; ++k) {
            if constexpr (Apart) window = load(blended + (first[k] - left_));
            const Ints place = load(index_[k] + x) - (Apart ? first[k] : base);
            sum = sum + load(weight_[k] + x) * table_lookup(window, place);
        }
        return greater(sum, 0.0F);
    }

    [[gnu::always_inline]] Mask above_zero_of_pairs(const float* blended, std::int32_t x) const {
        Floats first;
        Floats second;
        load_pairs(blended - left_, index_[0] + x, &first, &second);
        return greater(load(weight_[0] + x) * first + load(weight_[K - 1] + x) * second, 0.0F);
    }
#endif
};

}  // namespace EV_ISA
}  // namespace ev
