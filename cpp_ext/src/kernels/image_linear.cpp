// cv2.INTER_LINEAR: horizontal passes into two rows of 16-bit sums that are kept while the vertical pass
// needs them.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "image_columns.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

struct LinearScratch {
    ColumnScratch columns;
    std::int16_t* sums[2];
    std::uint8_t* converted;
    std::uint8_t* row;

    LinearScratch(Arena& arena, const ImageJob& job, const Region& region)
        : columns(arena, job, region), sums{} {
        const auto channels = static_cast<std::size_t>(job.out.channels);
        for (std::int16_t*& sum : sums) {
            sum = arena.take<std::int16_t>(static_cast<std::size_t>(sum_pitch(columns.count)) * channels);
        }
        converted = arena.take<std::uint8_t>(converted_row_size(job));
        row = take_padded_row(arena, region.width(), job.out.channels);
    }
};

/// Whole steps: what lies beyond the last sum is a sum of nothing.
void pass_vertical(const std::int16_t* __restrict above, const std::int16_t* __restrict below,
                   std::int16_t weight_above, std::int16_t weight_below, int count,
                   std::uint8_t* __restrict row) {
    for (std::ptrdiff_t at = 0; at < count; at += kSumStep) {
        for (std::ptrdiff_t i = at; i < at + kSumStep; ++i) {
            row[i] = linear_vertical(above[i], below[i], weight_above, weight_below);
        }
    }
}

/// The two source rows whose horizontal sums are at hand.
class SumRows {
  public:
    SumRows(const ImageJob& job, const LinearScratch& scratch, const LinearColumns& columns)
        : job_(job),
          scratch_(scratch),
          columns_(columns),
          layout_(source_layout(job)),
          sums_{scratch.sums[0], scratch.sums[1]} {}

    /// The sums of row y, which stay valid until a row other than y and `keep` is asked for. The row `ahead`
    /// is fetched meanwhile: no processor foresees a jump over rows.
    const std::int16_t* get(int y, int keep, int ahead) {
        if (held_[0] == y) return sums_[0];
        if (held_[1] == y) return sums_[1];
        const int slot = held_[0] == keep ? 1 : 0;
        if (is_converted(job_)) {
            columns_.sum_row(convert_source_row(job_, y, scratch_.converted), 0, sums_[slot]);
        } else {
            const std::ptrdiff_t stride = job_.image.row_stride;
            layout_.data = job_.image.data + y * stride;
            columns_.sum_row(layout_, (ahead - y) * stride, sums_[slot]);
        }
        held_[slot] = y;
        return sums_[slot];
    }

    /// Fills both slots where neither holds one of two rows that need no conversion.
    void fill_both(int first, int second) {
        const bool held = held_[0] == first || held_[1] == first || held_[0] == second || held_[1] == second;
        if (held || first == second || is_converted(job_) || !columns_.reads_rows()) return;
        const std::ptrdiff_t stride = job_.image.row_stride;
        columns_.sum_two_rows(job_.image.data + first * stride, job_.image.data + second * stride, sums_);
        held_[0] = first;
        held_[1] = second;
    }

  private:
    const ImageJob& job_;
    const LinearScratch& scratch_;
    const LinearColumns& columns_;
    SourceRow layout_;  // of the row at hand: its offsets are not to be written again for each
    std::int16_t* sums_[2];
    int held_[2] = {-1, -1};
};

}  // namespace

std::size_t linear_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const LinearScratch scratch(arena, job, region);
    return arena.used();
}

void write_linear(const ImageJob& job, const Region& region, std::byte* scratch_bytes) {
    Arena arena(scratch_bytes);
    const LinearScratch scratch(arena, job, region);
    const LinearColumns columns(job, region, scratch.columns);
    const int width = region.width();
    const std::ptrdiff_t pitch = sum_pitch(scratch.columns.count);
    const double step = source_step(job.image.height, job.resized_height);
    SumRows rows(job, scratch, columns);
    LinearTap next_tap = linear_tap(region.y_begin - job.offset_y, step, job.image.height, false);
    for (int y = region.y_begin; y < region.y_end; ++y) {
        const LinearTap tap = next_tap;
        // A weight of zero adds zero: the row behind it need not be computed.
        const int above_y = tap.weight_first == 0 ? tap.second : tap.first;
        const int below_y = tap.weight_second == 0 ? above_y : tap.second;
        const int next = std::min(y + 1, region.y_end - 1) - job.offset_y;
        next_tap = linear_tap(next, step, job.image.height, false);
        rows.fill_both(above_y, below_y);
        const std::int16_t* above = rows.get(above_y, below_y, next_tap.first);
        const std::int16_t* below = rows.get(below_y, above_y, next_tap.second);
        if (scratch.columns.interleaved) {
            pass_vertical(above, below, tap.weight_first, tap.weight_second, scratch.columns.count,
                          scratch.row);
            store_pixels(job, y, region.x_begin, width, scratch.row);
            continue;
        }
        for (int c = 0; c < job.out.channels; ++c) {
            std::uint8_t* plane = scratch.row + c * padded_pitch(width);
            if (c < columns.planes()) {
                pass_vertical(above + c * pitch, below + c * pitch, tap.weight_first, tap.weight_second,
                              width, plane);
            } else {
                std::memcpy(plane, scratch.row, static_cast<std::size_t>(width));
            }
        }
        store_row(job, y, region.x_begin, width, scratch.row, padded_pitch(width));
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
