// cv2.INTER_LINEAR: horizontal passes into two rows of 16-bit sums that are kept while the vertical pass
// needs them.
#include <cstdint>
#include <utility>

#include "image_rows.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

struct Column {
    std::ptrdiff_t first;   // offset of the left pixel in a source row
    std::ptrdiff_t second;  // of the right one
    std::int32_t weight_first;
    std::int32_t weight_second;
};

struct LinearScratch {
    Column* columns;
    std::int16_t* sums[2];  // planes of `width` sums
    std::uint8_t* converted;
    std::uint8_t* row;

    LinearScratch(Arena& arena, const ImageJob& job, const Region& region)
        : columns(arena.take<Column>(static_cast<std::size_t>(region.width()))), sums{} {
        const std::size_t size =
            static_cast<std::size_t>(region.width()) * static_cast<std::size_t>(job.out.channels);
        for (std::int16_t*& sum : sums) sum = arena.take<std::int16_t>(size);
        converted = arena.take<std::uint8_t>(converted_row_size(job));
        row = arena.take<std::uint8_t>(size);
    }
};

template <int Channels>
void pass_horizontal(const SourceRow& source, const Column* columns, int width, std::int16_t* sums) {
    const std::uint8_t* pixels[Channels];
    for (int c = 0; c < Channels; ++c) pixels[c] = source.data + source.channel_offset[c];
    for (int i = 0; i < width; ++i) {
        const Column column = columns[i];
        for (int c = 0; c < Channels; ++c) {
            sums[std::ptrdiff_t{c} * width + i] = linear_horizontal(
                pixels[c][column.first], pixels[c][column.second], column.weight_first, column.weight_second);
        }
    }
}

void pass_vertical(const std::int16_t* above, const std::int16_t* below, std::int16_t weight_above,
                   std::int16_t weight_below, int count, std::uint8_t* row) {
    for (int i = 0; i < count; ++i) row[i] = linear_vertical(above[i], below[i], weight_above, weight_below);
}

/// The two source rows whose horizontal sums are at hand.
class SumRows {
  public:
    SumRows(const ImageJob& job, const LinearScratch& scratch, int width)
        : job_(job), scratch_(scratch), width_(width), sums_{scratch.sums[0], scratch.sums[1]} {}

    /// The sums of row y, which stay valid until a row other than y and `keep` is asked for.
    const std::int16_t* get(int y, int keep) {
        if (held_[0] == y) return sums_[0];
        if (held_[1] == y) return sums_[1];
        const int slot = held_[0] == keep ? 1 : 0;
        const SourceRow source = source_row(job_, y, scratch_.converted);
        if (job_.out.channels == 1) {
            pass_horizontal<1>(source, scratch_.columns, width_, sums_[slot]);
        } else {
            pass_horizontal<3>(source, scratch_.columns, width_, sums_[slot]);
        }
        held_[slot] = y;
        return sums_[slot];
    }

  private:
    const ImageJob& job_;
    const LinearScratch& scratch_;
    int width_;
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
    const int width = region.width();
    const double step_x = source_step(job.image.width, job.resized_width);
    const double step_y = source_step(job.image.height, job.resized_height);
    const std::ptrdiff_t pixel_stride = source_pixel_stride(job);
    for (int i = 0; i < width; ++i) {
        const LinearTap tap = linear_tap(region.x_begin + i - job.offset_x, step_x, job.image.width, true);
        scratch.columns[i] = {tap.first * pixel_stride, tap.second * pixel_stride, tap.weight_first,
                              tap.weight_second};
    }
    SumRows rows(job, scratch, width);
    for (int y = region.y_begin; y < region.y_end; ++y) {
        const LinearTap tap = linear_tap(y - job.offset_y, step_y, job.image.height, false);
        // A weight of zero adds zero: the row behind it need not be computed.
        const int above_y = tap.weight_first == 0 ? tap.second : tap.first;
        const int below_y = tap.weight_second == 0 ? above_y : tap.second;
        const std::int16_t* above = rows.get(above_y, below_y);
        const std::int16_t* below = rows.get(below_y, above_y);
        pass_vertical(above, below, tap.weight_first, tap.weight_second, width * job.out.channels,
                      scratch.row);
        store_row(job, y, region.x_begin, width, scratch.row);
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
