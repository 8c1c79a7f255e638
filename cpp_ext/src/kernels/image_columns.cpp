#include "image_columns.h"

#include <algorithm>
#include <cstring>

#include "image_planes.h"
#include "lanes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

/// Whether channels are packed, or each is a plane.
bool has_planes(const ImageJob& job) {
    const SourceRow layout = source_layout(job);
    return layout.pixel_stride == 1 || (job.out.channels == 3 && packed_row(layout).stride != 0);
}

LinearTap column_tap(const ImageJob& job, const Region& region, int column) {
    const double step = source_step(job.image.width, job.resized_width);
    return linear_tap(region.x_begin + column - job.offset_x, step, job.image.width, true);
}

Reading choose_reading(const ImageJob& job) {
    if (EV_IMAGE_WINDOWS == 0 || !has_planes(job)) return Reading::directly;
    return fit_windows(source_step(job.image.width, job.resized_width)) ? Reading::planes : Reading::pairs;
}

template <int Channels>
void sum_directly(const SourceRow& source, const DirectColumn* columns, int width, std::ptrdiff_t pitch,
                  std::int16_t* sums) {
    const std::uint8_t* pixels[Channels];
    for (int c = 0; c < Channels; ++c) pixels[c] = source.data + source.channel_offset[c];
    for (int i = 0; i < width; ++i) {
        const DirectColumn column = columns[i];
        for (int c = 0; c < Channels; ++c) {
            sums[c * pitch + i] = linear_horizontal(pixels[c][column.first], pixels[c][column.second],
                                                    column.weight_first, column.weight_second);
        }
    }
}

}  // namespace

ColumnScratch::ColumnScratch(Arena& arena, const ImageJob& job, const Region& region)
    : reading(choose_reading(job)),
      begin(column_tap(job, region, 0).first),
      end(column_tap(job, region, region.width() - 1).second + 1),
      pitch(0),
      direct(nullptr),
      windows{},
      firsts(nullptr),
      packed(nullptr),
      planes(nullptr) {
    const auto width = static_cast<std::size_t>(region.width());
    if (reading == Reading::directly) {
        direct = arena.take<DirectColumn>(width);
        return;
    }
    windows = take_windows(arena, region.width());
    if (reading == Reading::pairs) {
        firsts = arena.take<std::int32_t>(width);
        packed = arena.take<std::uint8_t>(width * 8 + 8);
    }
    // A window may begin at the last pixel.
    pitch = (reading == Reading::pairs ? std::ptrdiff_t{2} * region.width() : end - begin) +
            std::max<std::ptrdiff_t>(kWindow, kRowSlack);
    planes = arena.take<std::uint8_t>(static_cast<std::size_t>(pitch) *
                                      static_cast<std::size_t>(job.out.channels));
}

LinearColumns::LinearColumns(const ImageJob& job, const Region& region, const ColumnScratch& scratch)
    : scratch_(scratch), width_(region.width()), image_width_(job.image.width), channels_(job.out.channels) {
    const SourceRow layout = source_layout(job);
    const std::ptrdiff_t* offset = layout.channel_offset;
    if (offset[0] == offset[1] && offset[0] == offset[2]) channels_ = 1;
    if (scratch.reading == Reading::directly) {
        set_direct(job, region);
    } else {
        set_windows(job, region);
    }
}

void LinearColumns::set_direct(const ImageJob& job, const Region& region) {
    const std::ptrdiff_t pixel_stride = source_pixel_stride(job);
    for (int i = 0; i < width_; ++i) {
        const LinearTap tap = column_tap(job, region, i);
        scratch_.direct[i] = {tap.first * pixel_stride, tap.second * pixel_stride, tap.weight_first,
                              tap.weight_second};
    }
}

void LinearColumns::set_windows(const ImageJob& job, const Region& region) {
    const int count = count_windows(width_);
    for (int index = 0; index < count; ++index) {
        LinearTap taps[kWindowColumns] = {};
        int first[kWindowColumns] = {};
        for (int i = 0; i < kWindowColumns; ++i) {
            // Columns beyond the last repeat it, without weight.
            const int column = std::min(index * kWindowColumns + i, width_ - 1);
            const LinearTap tap = column_tap(job, region, column);
            if (column == index * kWindowColumns + i) taps[i] = tap;
            first[i] = scratch_.reading == Reading::pairs ? 2 * column : tap.first - scratch_.begin;
            if (scratch_.reading == Reading::pairs) scratch_.firsts[column] = tap.first;
        }
        set_window(scratch_.windows, index, first, taps);
    }
}

void LinearColumns::sum_row(const SourceRow& source, std::ptrdiff_t ahead, std::int16_t* sums) const {
    const std::ptrdiff_t pitch = sum_pitch(width_);
    if (scratch_.reading == Reading::directly) {
        if (channels_ == 1) {
            sum_directly<1>(source, scratch_.direct, width_, pitch, sums);
        } else {
            sum_directly<3>(source, scratch_.direct, width_, pitch, sums);
        }
        return;
    }
    if (scratch_.reading == Reading::pairs) {
        read_pairs(source, ahead);
    } else {
        split_row<Planes::padded>(source, channels_, scratch_.begin, scratch_.end - scratch_.begin,
                                  scratch_.planes, scratch_.pitch);
    }
    for (int c = 0; c < channels_; ++c) {
        sum_plane(scratch_.planes + c * scratch_.pitch, scratch_.windows, count_windows(width_),
                  sums + c * pitch);
    }
}

void LinearColumns::read_pairs(const SourceRow& source, std::ptrdiff_t ahead) const {
    const int last = image_width_ - 1;
    const PackedRow row = channels_ == 3 ? packed_row(source) : PackedRow{};
    if (row.stride == 0) {
        for (int c = 0; c < channels_; ++c) {
            const std::uint8_t* pixels = source.data + source.channel_offset[c];
            std::uint8_t* plane = scratch_.planes + c * scratch_.pitch;
            for (std::ptrdiff_t i = 0; i < width_; ++i) {
                plane[2 * i] = pixels[scratch_.firsts[i]];
                plane[2 * i + 1] = pixels[std::min(scratch_.firsts[i] + 1, last)];
            }
        }
        return;
    }
    const std::ptrdiff_t stride = row.stride;
    // Bytes may be anything's: what they are written beside is read anew, but for what is at hand.
    const std::int32_t* const firsts = scratch_.firsts;
    std::uint8_t* pair = scratch_.packed;
    std::ptrdiff_t i = 0;
    // Eight bytes hold both pixels. Only the last two pixels of a row need not have as many; what is written
    // beyond a pair is overwritten by the next.
    for (const std::ptrdiff_t count = width_; i < count && firsts[i] < last - 1; ++i, pair += 2 * stride) {
        const std::uint8_t* pixels = row.data + firsts[i] * stride;
        prefetch(pixels + ahead);
        std::memcpy(pair, pixels, 8);
    }
    for (; i < width_; ++i, pair += 2 * stride) {
        const std::ptrdiff_t first = firsts[i];
        std::memcpy(pair, row.data + first * stride, 3);
        std::memcpy(pair + stride, row.data + std::min<std::ptrdiff_t>(first + 1, last) * stride, 3);
    }
    const PackedRow pairs{scratch_.packed, row.stride, {row.position[0], row.position[1], row.position[2]}};
    split_packed<Planes::padded>(pairs, 2 * width_, scratch_.planes, scratch_.pitch);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
