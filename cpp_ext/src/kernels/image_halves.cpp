#include "image_halves.h"

#include <cstdint>
#include <cstring>

#include "image_planes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

/// Bytes that copies of whole words may write beyond the last pair, and whole steps read.
constexpr std::size_t kSlack = kMeanBytes;

/// The even number of source pixels per resized pixel; 0: it is not one.
int even_step(int source_size, int resized_size) {
    const int step = source_size / resized_size;
    // Beyond 2^24 source_step's quotients and linear_tap's float32 are not exact any more; nor are sides
    // longer.
    const bool even = step % 2 == 0 && step * resized_size == source_size;
    return even && source_step(source_size, resized_size) == static_cast<double>(step) ? step : 0;
}

/// Two source rows and the pairs of their pixels that the canvas shows.
struct HalvesScratch {
    std::uint8_t* converted[2];
    std::uint8_t* pairs[2];  // packed, or planes one after the other
    std::uint8_t* row;

    HalvesScratch(Arena& arena, const ImageJob& job, const Region& region) : converted{}, pairs{} {
        const auto width = static_cast<std::size_t>(region.width());
        const auto channels = static_cast<std::size_t>(job.out.channels);
        for (int i = 0; i < 2; ++i) {
            converted[i] = arena.take<std::uint8_t>(converted_row_size(job));
            pairs[i] = arena.take<std::uint8_t>(2 * width * channels + kSlack);
        }
        row = take_padded_row(arena, region.width(), job.out.channels);
    }
};

/// Where the pairs of each channel lie side by side.
struct Pairs {
    const std::uint8_t* plane[3];
};

class Halves {
  public:
    Halves(const ImageJob& job, const Region& region, const HalvesScratch& scratch)
        : job_(job),
          scratch_(scratch),
          count_(region.width()),
          step_(even_step(job.image.width, job.resized_width)),
          first_((region.x_begin - job.offset_x) * step_ + step_ / 2 - 1) {}

    void write_row(int y_above) const {
        SourceRow rows[2];
        source_two_rows(job_, y_above, scratch_.converted, rows);
        const SourceRow& above = rows[0];
        const SourceRow& below = rows[1];
        const bool shows_one = above.channel_offset[0] == above.channel_offset[1] &&
                               above.channel_offset[0] == above.channel_offset[2];
        const int channels = shows_one ? 1 : job_.out.channels;
        const PackedRow packed = channels == 3 ? packed_row(above) : PackedRow{};
        if (packed.stride == 3) {
            std::uint8_t* planes[3] = {};
            for (int c = 0; c < 3; ++c) planes[packed.position[c]] = plane(c);
            mean_pixels(packed_pairs(packed.data, 0), packed_pairs(packed_row(below).data, 1), count_,
                        readable_pairs(y_above + 1), planes);
        } else {
            const Pairs high = plane_pairs(above, channels, 0);
            const Pairs low = plane_pairs(below, channels, 1);
            for (int c = 0; c < channels; ++c) {
                mean_planes(high.plane[c], low.plane[c], count_, plane(c));
            }
        }
        for (int c = channels; c < job_.out.channels; ++c) {
            std::memcpy(plane(c), scratch_.row, static_cast<std::size_t>(count_));
        }
    }

  private:
    /// Where the means of a channel go.
    std::uint8_t* plane(int channel) const { return scratch_.row + channel * padded_pitch(count_); }

    /// The pairs of three-byte pixels, side by side.
    const std::uint8_t* packed_pairs(const std::uint8_t* pixels, int slot) const {
        pixels += std::ptrdiff_t{3} * first_;
        if (step_ == 2) return pixels;
        // Eight bytes at a time: the last two are overwritten by the next pair. Every pair has a pixel after
        // it, since it is the middle one of at least two.
        std::uint8_t* pairs = scratch_.pairs[slot];
        const std::ptrdiff_t pitch = std::ptrdiff_t{3} * step_;
        for (std::ptrdiff_t i = 0; i < count_; ++i) std::memcpy(pairs + 6 * i, pixels + pitch * i, 8);
        return pairs;
    }

    /// Bytes of those of row y, and behind them, that may be read: the rows that follow are there.
    std::ptrdiff_t readable_pairs(int y) const {
        if (step_ != 2) return kMeanBytes;
        const ImageView& image = job_.image;
        const std::ptrdiff_t below = image.row_stride > 0 ? (image.height - 1 - y) * image.row_stride : 0;
        return below + (image.width - first_) * std::ptrdiff_t{3};
    }

    Pairs plane_pairs(const SourceRow& row, int channels, int slot) const {
        const std::ptrdiff_t stride = row.pixel_stride;
        std::uint8_t* memory = scratch_.pairs[slot];
        const std::ptrdiff_t pitch = std::ptrdiff_t{2} * count_;
        if (step_ == 2 && stride != 1) split_row(row, channels, first_, 2 * count_, memory, pitch);
        Pairs pairs{};
        for (int c = 0; c < channels; ++c) {
            const std::uint8_t* pixels = row.data + row.channel_offset[c] + first_ * stride;
            std::uint8_t* plane = memory + c * pitch;
            pairs.plane[c] = step_ == 2 && stride == 1 ? pixels : plane;
            for (std::ptrdiff_t i = 0; i < count_ && step_ != 2; ++i) {
                plane[2 * i] = pixels[i * step_ * stride];
                plane[2 * i + 1] = pixels[i * step_ * stride + stride];
            }
        }
        return pairs;
    }

    const ImageJob& job_;
    const HalvesScratch& scratch_;
    int count_;
    int step_;
    int first_;  // the left pixel of the first pair
};

}  // namespace

bool shows_halves(const ImageJob& job) {
    return job.filter == Filter::linear && even_step(job.image.width, job.resized_width) != 0 &&
           even_step(job.image.height, job.resized_height) != 0;
}

std::size_t halves_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const HalvesScratch scratch(arena, job, region);
    return arena.used();
}

void write_halves(const ImageJob& job, const Region& region, std::byte* scratch_bytes) {
    Arena arena(scratch_bytes);
    const HalvesScratch scratch(arena, job, region);
    const Halves halves(job, region, scratch);
    const int step = even_step(job.image.height, job.resized_height);
    for (int y = region.y_begin; y < region.y_end; ++y) {
        halves.write_row((y - job.offset_y) * step + step / 2 - 1);
        store_row(job, y, region.x_begin, region.width(), scratch.row, padded_pitch(region.width()));
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
