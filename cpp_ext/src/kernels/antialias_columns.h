// The tables of write_dots' horizontal pass for some columns of the canvas.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "antialias_plan.h"

#if EV_ANTIALIAS_DOTS

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Canvas columns [x, x + width): where their pixels lie in a source row, and what they weigh.
class DotColumns {
  public:
    DotColumns(const ImageJob& job, const DotPlan& plan, const DotScratch& scratch, int x, int width)
        : form_(plan.form),
          axis_(plan.axis_x),
          s_(scratch),
          width_(width),
          index_(x - job.offset_x),
          steps_(plan.steps) {
        int taps = 0;
        antialias_range(axis_, index_, &first_, &taps);
        int last = 0;
        antialias_range(axis_, index_ + width - 1, &last, &taps);
        count_ = last + taps - first_;
        const int row_bytes = form_.split ? static_cast<int>(plan.pitch) : form_.row_bytes(job.image.width);
        last_offset_ = row_bytes - form_.reach;
        for (int block = 0; block < count(); ++block) set_block(block);
    }

    /// Source columns [first(), first() + source_count()) are read.
    int first() const { return first_; }
    int source_count() const { return count_; }

    DotBlocks blocks() const {
        // Split or converted rows come from the cache.
        const bool fetches = form_.in_memory && !form_.split;
        const double bytes = axis_.step * form_.block_columns() * form_.stride;
        return {count(), steps_, fetches ? static_cast<int>(bytes) : 0, s_.steps, s_.offsets};
    }

  private:
    int count() const { return count_pieces(width_, form_.block_columns()); }
    int padded_taps() const { return steps_ * form_.taps(); }

    void set_block(int block) const {
        const int columns = form_.block_columns();
        DotStep* steps = s_.steps + std::ptrdiff_t{block} * steps_;
        std::int32_t* offsets = s_.offsets + std::ptrdiff_t{block} * steps_;
        std::memset(static_cast<void*>(steps), 0, sizeof(DotStep) * static_cast<std::size_t>(steps_));
        for (int i = 0; i < columns && block * columns + i < width_; ++i) {
            int first = 0;
            int taps = 0;
            antialias_weights(axis_, index_ + block * columns + i, s_.weights, &first, &taps);
            const int begin = (form_.split ? first - first_ : first) * form_.stride;
            if (i == 0) {
                // Near its end a row is read from further left.
                for (int step = 0; step < steps_; ++step)
                    offsets[step] = std::min(begin + step * form_.taps() * form_.stride, last_offset_);
            }
            split_weights(taps);
            set_column(i, begin, steps, offsets);
        }
    }

    /// The digits of s_.weights, and zeros behind them.
    void split_weights(int taps) const {
        const int padded = padded_taps();
        std::fill(s_.weights + taps, s_.weights + padded, 0);
        for (int d = 0; d < kDigits; ++d) {
            std::int8_t* digits = s_.digits + std::ptrdiff_t{d} * padded;
            for (int tap = 0; tap < padded; ++tap) digits[tap] = weight_digit(s_.weights[tap], d);
        }
    }

    /// Column i of a block, whose digits are in s_.digits. begin: where its first tap lies in a row.
    void set_column(int i, int begin, DotStep* steps, const std::int32_t* offsets) const {
        const std::ptrdiff_t padded = padded_taps();
        // Four taps a stride apart.
        const std::uint32_t pattern = static_cast<std::uint32_t>(form_.stride) * 0x03020100U;
        const std::int8_t* digits = s_.digits;
        for (int step = 0; step < steps_; ++step) {
            for (int part = 0; part < form_.parts; ++part) {
                std::int32_t four[kDigits];
                for (int d = 0; d < kDigits; ++d) std::memcpy(&four[d], digits + d * padded, kDotTaps);
                for (int c = 0; c < form_.channels; ++c) {
                    // Of taps beyond the last, which have no weight, any number will do.
                    const auto at = static_cast<std::uint32_t>(begin + c - offsets[step]);
                    const int lane = part * kPartLanes + i * form_.pitch + c;
                    steps[step].order[lane] = at * 0x01010101U + pattern;
                    for (int d = 0; d < kDigits; ++d) steps[step].digits[d][lane] = four[d];
                }
                digits += kDotTaps;
                begin += kDotTaps * form_.stride;
            }
        }
    }

    const DotForm& form_;
    const AntialiasAxis& axis_;
    const DotScratch& s_;
    int width_;
    int index_;  // of the first column in the resized image
    int steps_;
    int first_ = 0;
    int count_ = 0;
    int last_offset_;  // at which a shuffle may read
};

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev

#endif
