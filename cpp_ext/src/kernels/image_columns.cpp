#include "image_columns.h"

#include <algorithm>
#include <cstring>
#include <limits>

#include "image_planes.h"
#include "lanes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

/// Channels of the source that are read: one if the tensor's all show the same.
int read_channels(const ImageJob& job, const SourceRow& layout) {
    const std::ptrdiff_t* offset = layout.channel_offset;
    return offset[0] == offset[1] && offset[0] == offset[2] ? 1 : job.out.channels;
}

PackedRow packed_channels(const SourceRow& row, int channels) {
    return channels == 3 ? packed_row(row) : PackedRow{row.data, 0, {}};
}

LinearTap column_tap(const ImageJob& job, const Region& region, int column) {
    const double step = source_step(job.image.width, job.resized_width);
    return linear_tap(region.x_begin + column - job.offset_x, step, job.image.width, true);
}

/// Bytes of a row from its first pixel on, `size` of the last one.
std::ptrdiff_t row_size(const ImageJob& job, std::ptrdiff_t stride, int size) {
    return (job.image.width - 1) * stride + size;
}

/// Whether windows of the row itself hold the columns, `channels` of a pixel side by side.
bool fit_row(const ImageJob& job, std::ptrdiff_t stride, int channels) {
    return stride > 0 && fit_windows(source_step(job.image.width, job.resized_width), stride, channels) &&
           reads_row(row_size(job, stride, channels));
}

/// Whether tables of all channels pay: not for a few rows, and those of a wide row that grows take more of
/// the first cache than splitting it takes time.
bool pays_interleaved(const ImageJob& job) {
    constexpr int fewest_rows = 8;
    constexpr int widest_grown = 340;
    return job.resized_height >= fewest_rows && job.resized_width <= std::max(job.image.width, widest_grown);
}

RowReading choose_reading(const ImageJob& job) {
    if (EV_IMAGE_WINDOWS == 0) return {Reading::directly, false};
    const SourceRow layout = source_layout(job);
    const int channels = read_channels(job, layout);
    const std::ptrdiff_t stride = layout.pixel_stride;
    const bool packed = packed_channels(layout, channels).stride != 0;
    if (stride != 1 && !packed) return {Reading::directly, false};
    const bool interleaved = packed && is_interleaved(job.out) && pays_interleaved(job);
    if (job.image.width > kWidestRow) return {Reading::pairs, interleaved};
    if (interleaved && fit_row(job, stride, 3)) return {Reading::row, true};
    if (!interleaved && fit_row(job, stride, 1)) return {Reading::row, false};
    // Planes of fewer columns than a step would be summed and interleaved with most of it empty.
    const bool few = interleaved && job.resized_width <= kSumStep;
    const bool fits = fit_windows(source_step(job.image.width, job.resized_width), 1, 1);
    if (fits && !few) return {Reading::planes, false};
    return {Reading::pairs, interleaved};
}

template <int Channels>
void sum_directly(const SourceRow& source, const LinearColumn* columns, int width, std::ptrdiff_t pitch,
                  std::int16_t* sums) {
    const std::uint8_t* pixels[Channels];
    for (int c = 0; c < Channels; ++c) pixels[c] = source.data + source.channel_offset[c];
    for (int i = 0; i < width; ++i) {
        const LinearColumn column = columns[i];
        for (int c = 0; c < Channels; ++c) {
            sums[c * pitch + i] = linear_horizontal(pixels[c][column.first], pixels[c][column.second],
                                                    column.weight_first, column.weight_second);
        }
    }
}

}  // namespace

ColumnScratch::ColumnScratch(Arena& arena, const ImageJob& job, const Region& region)
    : RowReading(choose_reading(job)),
      count(region.width() * (interleaved ? 3 : 1)),
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
        direct = arena.take<LinearColumn>(width);
        return;
    }
    windows = take_windows(arena, count);
    if (reading == Reading::row) return;
    if (reading == Reading::pairs) {
        firsts = arena.take<std::int32_t>(width);
        packed = arena.take<std::uint8_t>(width * 8 + kWindow);
        if (interleaved) {
            planes = packed;
            return;
        }
    }
    // A window may begin at the last pixel.
    pitch = (reading == Reading::pairs ? std::ptrdiff_t{2} * region.width() : end - begin) +
            std::max<std::ptrdiff_t>(kWindow, kRowSlack);
    planes = arena.take<std::uint8_t>(static_cast<std::size_t>(pitch) *
                                      static_cast<std::size_t>(job.out.channels));
}

LinearColumns::LinearColumns(const ImageJob& job, const Region& region, const ColumnScratch& scratch)
    : scratch_(scratch),
      width_(region.width()),
      image_width_(job.image.width),
      channels_(read_channels(job, source_layout(job))),
      windows_(count_windows(scratch.count)),
      pitch_(sum_pitch(scratch.count)),
      readable_(kWindow) {
    if (scratch.reading == Reading::directly) {
        set_direct(job, region);
    } else {
        set_windows(job, region);
    }
}

void LinearColumns::set_direct(const ImageJob& job, const Region& region) {
    const std::ptrdiff_t stride = source_pixel_stride(job);
    for (int i = 0; i < width_; ++i) {
        const LinearTap tap = column_tap(job, region, i);
        scratch_.direct[i] = {tap.first * stride, tap.second * stride, tap.weight_first, tap.weight_second};
    }
}

void LinearColumns::set_windows(const ImageJob& job, const Region& region) {
    const SourceRow layout = source_layout(job);
    const PackedRow packed = packed_channels(layout, channels_);
    for (int c = 0; c < 3; ++c) plane_offset_[c] = layout.channel_offset[c];
    // From pixel to pixel, and where the first one's channels lie.
    std::ptrdiff_t stride = 1;
    int channels = 1;
    const int* position = packed.position;
    static constexpr int kNone[3] = {};
    if (scratch_.interleaved) {
        channels = 3;
        stride = packed.stride;
        plane_offset_[0] -= packed.position[0];
    } else {
        position = kNone;
        if (scratch_.reading == Reading::row) stride = source_pixel_stride(job);
    }
    std::ptrdiff_t latest = std::numeric_limits<std::int32_t>::max();
    if (scratch_.reading == Reading::row) {
        readable_ = row_size(job, stride, channels);
        latest = std::max<std::ptrdiff_t>(readable_ - kWindow, 0);
    }
    LinearColumn pixel{};
    int x = -1;
    int channel = channels - 1;
    for (int index = 0; index < windows_; ++index) {
        LinearColumn columns[kWindowColumns];
        for (int i = 0; i < kWindowColumns; ++i) {
            if (index * kWindowColumns + i < scratch_.count) {
                channel = channel + 1 == channels ? 0 : channel + 1;
                if (channel == 0) pixel = place_column(job, region, ++x, stride);
            } else {  // columns beyond the last repeat it, without weight
                pixel.weight_first = 0;
                pixel.weight_second = 0;
            }
            columns[i] = pixel;
            columns[i].first += position[channel];
            columns[i].second += position[channel];
        }
        set_window(scratch_.windows, index, columns, latest);
    }
}

LinearColumn LinearColumns::place_column(const ImageJob& job, const Region& region, int x,
                                         std::ptrdiff_t stride) const {
    const LinearTap tap = column_tap(job, region, x);
    switch (scratch_.reading) {
        case Reading::pairs:
            scratch_.firsts[x] = tap.first;
            return {2 * stride * x, 2 * stride * x + stride, tap.weight_first, tap.weight_second};
        case Reading::planes:
            return {tap.first - scratch_.begin, tap.second - scratch_.begin, tap.weight_first,
                    tap.weight_second};
        default:
            return {tap.first * stride, tap.second * stride, tap.weight_first, tap.weight_second};
    }
}

void LinearColumns::sum_read(const SourceRow& source, std::ptrdiff_t ahead, std::int16_t* sums) const {
    if (scratch_.reading == Reading::directly) {
        if (channels_ == 1) {
            sum_directly<1>(source, scratch_.direct, width_, pitch_, sums);
        } else {
            sum_directly<3>(source, scratch_.direct, width_, pitch_, sums);
        }
        return;
    }
    if (scratch_.reading == Reading::pairs) {
        read_pairs(source, ahead);
    } else {
        split_row<Planes::padded>(source, channels_, scratch_.begin, scratch_.end - scratch_.begin,
                                  scratch_.planes, scratch_.pitch);
    }
    for (int c = 0; c < planes(); ++c) sum_plane(scratch_.planes + c * scratch_.pitch, sums + c * pitch_);
}

void LinearColumns::read_pairs(const SourceRow& source, std::ptrdiff_t ahead) const {
    const int last = image_width_ - 1;
    const PackedRow row = packed_channels(source, channels_);
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
    if (scratch_.interleaved) return;
    const PackedRow pairs{scratch_.packed, row.stride, {row.position[0], row.position[1], row.position[2]}};
    split_packed<Planes::padded>(pairs, 2 * width_, scratch_.planes, scratch_.pitch);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
