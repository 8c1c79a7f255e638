// What the filters of the image family share: scratch, the part of the canvas the image covers, rows in and
// rows out.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/image.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Hands out 64-byte aligned pieces of the scratch; without a base it only counts them.
class Arena {
  public:
    explicit Arena(std::byte* base) : base_(base) {}

    template <class T>
    T* take(std::size_t count) {
        used_ = (used_ + 63) / 64 * 64;
        T* piece = base_ == nullptr ? nullptr : reinterpret_cast<T*>(base_ + used_);
        used_ += count * sizeof(T);
        return piece;
    }

    std::size_t used() const { return used_; }

  private:
    std::byte* base_;
    std::size_t used_ = 0;
};

/// Canvas rows and columns that the resized image covers: [y_begin, y_end) x [x_begin, x_end), perhaps none.
struct Region {
    int y_begin, y_end, x_begin, x_end;

    explicit Region(const ImageJob& job);
    bool empty() const { return y_begin >= y_end || x_begin >= x_end; }
    int width() const { return x_end - x_begin; }
    bool covers(const TensorView& out) const {
        return y_begin == 0 && x_begin == 0 && y_end == out.height && x_end == out.width;
    }
};

/// One source row as the filters read it: channel c of pixel x is at data[c_offset[c] + x * pixel_stride].
struct SourceRow {
    const std::uint8_t* data;
    std::ptrdiff_t pixel_stride;
    std::ptrdiff_t channel_offset[3];
};

/// Whether source_row converts.
inline bool is_converted(const ImageJob& job) {
    return job.to_gray || job.yuv != nullptr;
}

/// The distance between pixels in what source_row returns.
inline std::ptrdiff_t source_pixel_stride(const ImageJob& job) {
    return job.to_gray ? 1 : job.image.pixel_stride;
}

/// How source_row's rows lie in memory; what `data` points to is not to be read.
inline SourceRow source_layout(const ImageJob& job) {
    SourceRow layout{job.image.data, source_pixel_stride(job), {}};
    for (int c = 0; c < 3 && !job.to_gray; ++c) {
        layout.channel_offset[c] = job.order[c] * job.image.channel_stride;
    }
    return layout;
}

/// Bytes of scratch that source_row needs.
std::size_t converted_row_size(const ImageJob& job);

/// Row y converted into `converted`, to gray or from YUV: only the columns that the filter reads are there.
SourceRow convert_source_row(const ImageJob& job, int y, std::uint8_t* converted);

/// Row y of the image as it lies there, or converted where the job asks for that.
inline SourceRow source_row(const ImageJob& job, int y, std::uint8_t* converted) {
    if (is_converted(job)) return convert_source_row(job, y, converted);
    SourceRow row = source_layout(job);
    row.data += y * job.image.row_stride;
    return row;
}

/// Rows y and y + 1, each with scratch of its own: YUV that shares its chroma is converted together.
void source_two_rows(const ImageJob& job, int y, std::uint8_t* const converted[2], SourceRow rows[2]);

/// Bytes of scratch that prepare_store needs.
std::size_t store_scratch_size(const ImageJob& job);

/// Finds the quickest way to the table's elements for store_row: `scale` where they can be computed (it holds
/// if all 256 results of every channel are the table's, bit for bit), else `table_bytes` in `scratch` where
/// that serves.
void prepare_store(ImageJob& job, std::byte* scratch);

/// Bytes that store_row may read beyond a plane's last pixel, and others write: planes are written in order.
constexpr int kRowSlack = 64;

/// Bytes from plane to plane of padded rows.
inline std::ptrdiff_t padded_pitch(int width) {
    return (std::ptrdiff_t{width} + kRowSlack - 1) / kRowSlack * kRowSlack;
}

/// A row of padded planes, and slack for what is written beyond the last.
inline std::uint8_t* take_padded_row(Arena& arena, int width, int channels) {
    return arena.take<std::uint8_t>(static_cast<std::size_t>(padded_pitch(width) * channels + kRowSlack));
}

/// Writes `count` pixels at canvas (y, x), as the table says, from planes of uint8 that lie `pitch` apart.
void store_row(const ImageJob& job, int y, int x, int count, const std::uint8_t* planes,
               std::ptrdiff_t pitch);

/// The same from pixels of three bytes, to a tensor of the same (is_interleaved).
void store_pixels(const ImageJob& job, int y, int x, int count, const std::uint8_t* pixels);

/// Writes the pad value to all of the canvas that the image does not cover.
void write_border(const ImageJob& job, const Region& region);

/// Whether the tensor's pixels are three neighbouring elements.
inline bool is_interleaved(const TensorView& out) {
    return out.channels == 3 && out.channel_stride == 1 && out.pixel_stride == 3;
}

/// Whether the tensor's elements are the pixels themselves.
inline bool takes_pixels(const ImageJob& job) {
    return job.out.element == Element::u8 && job.scale.holds;
}

/// Whether the image lies in memory and keeps its size.
inline bool keeps_size(const ImageJob& job) {
    return job.yuv == nullptr && job.resized_height == job.image.height &&
           job.resized_width == job.image.width;
}

std::size_t same_size_scratch_size(const ImageJob& job);
void write_same_size(const ImageJob& job, const Region& region, std::byte* scratch);

/// Whether each pixel shown is one of the image's: write_nearest writes it then, whatever the filter.
bool copies_pixels(const ImageJob& job, const Region& region);

/// The source index that resized index `index` copies then; `step`, `exact_edge`: as linear_tap takes them.
int copied_index(const ImageJob& job, int index, double step, int source_size, bool exact_edge);

std::size_t nearest_scratch_size(const ImageJob& job, const Region& region);
void write_nearest(const ImageJob& job, const Region& region, std::byte* scratch);

/// Whether the pixels come from YUV and are single ones: write_picked_yuv does what write_nearest would.
bool picks_yuv(const ImageJob& job, const Region& region);

std::size_t picked_yuv_scratch_size(const ImageJob& job, const Region& region);
void write_picked_yuv(const ImageJob& job, const Region& region, std::byte* scratch);

/// Whether each pixel shown is the mean of two by two of the image's: write_halves does what write_linear
/// would.
bool shows_halves(const ImageJob& job);

std::size_t halves_scratch_size(const ImageJob& job, const Region& region);
void write_halves(const ImageJob& job, const Region& region, std::byte* scratch);

std::size_t linear_scratch_size(const ImageJob& job, const Region& region);
void write_linear(const ImageJob& job, const Region& region, std::byte* scratch);

/// Whether write_dots does what write_antialias would, and sooner.
bool takes_dots(const ImageJob& job, const Region& region);

std::size_t dots_scratch_size(const ImageJob& job, const Region& region);
void write_dots(const ImageJob& job, const Region& region, std::byte* scratch);

std::size_t antialias_scratch_size(const ImageJob& job, const Region& region);
void write_antialias(const ImageJob& job, const Region& region, std::byte* scratch);

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
