// Filters that copy pixels: INTER_NEAREST, and every filter where each resized pixel falls on one of the
// image's.
#include <cstdint>
#include <cstring>

#include "byte_picker.h"
#include "image_planes.h"
#include "pick_pixels.h"
#include "reorder_pixels.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

struct NearestScratch {
    BytePicker columns;  // offset of each covered column in a source row
    std::uint8_t* converted;
    std::uint8_t* packed;  // the columns of a packed row
    std::uint8_t* row;

    NearestScratch(Arena& arena, const ImageJob& job, const Region& region)
        : columns(arena, region.width()),
          converted(arena.take<std::uint8_t>(converted_row_size(job))),
          packed(arena.take<std::uint8_t>(static_cast<std::size_t>(region.width()) * 3 + kPickSlack)),
          row(take_padded_row(arena, region.width(), job.out.channels)) {}
};

static_assert(kPickedPast <= kRowSlack, "padded planes leave room for what is picked beyond the last");

bool takes_one(const LinearTap& tap) {
    return (tap.weight_first == 2048 && tap.weight_second == 0) ||
           (tap.weight_first == 0 && tap.weight_second == 2048);
}

bool takes_one_along(int begin, int end, int source_size, int resized_size, bool exact_edge) {
    const double step = source_step(source_size, resized_size);
    // Odd whole numbers: centres fall on pixels. All is exact where linear_tap's float32 is.
    const int whole = source_size / resized_size;
    if (whole % 2 == 1 && step == static_cast<double>(whole) && source_size <= 1 << 24) return true;
    for (int i = begin; i < end; ++i) {
        if (!takes_one(linear_tap(i, step, source_size, exact_edge))) return false;
    }
    return true;
}

/// The pixels of one source row that the canvas shows.
class CopiedColumns {
  public:
    CopiedColumns(const ImageJob& job, const Region& region, NearestScratch& scratch)
        : scratch_(scratch), channels_(job.out.channels), width_(job.image.width), count_(region.width()) {
        const double step = source_step(job.image.width, job.resized_width);
        const std::ptrdiff_t pixel_stride = source_pixel_stride(job);
        for (int i = 0; i < count_; ++i) {
            const int index =
                copied_index(job, region.x_begin + i - job.offset_x, step, job.image.width, true);
            scratch.columns.offset(i) = index * pixel_stride;
            if (i == 0) first_ = index;
            if (index < job.image.width - 1) inner_ = i + 1;
            neighbours_ = neighbours_ && index == first_ + i;
            thirds_ = thirds_ && index == first_ + 3 * i;
        }
        const bool is_packed = channels_ == 3 && packed_row(source_layout(job)).stride != 0;
        if (!is_packed && !neighbours_) scratch.columns.plan();
    }

    /// The columns side by side, if the row is packed.
    PackedRow packed(const SourceRow& source) const {
        PackedRow row = packed_row(source);
        if (channels_ != 3 || row.stride == 0) return PackedRow{};
        if (neighbours_) {
            row.data += std::ptrdiff_t{first_} * row.stride;
            return row;
        }
        // Four bytes at a time: the fourth is overwritten by the next column. Only the last pixel of a row
        // need not have one.
        std::ptrdiff_t i = 0;
        if (thirds_ && row.stride == 3 && first_ > 0) {
            const std::uint8_t* pixels = row.data + std::ptrdiff_t{3} * (first_ - 1);
            i = pick_thirds(pixels, row.data + std::ptrdiff_t{3} * width_, count_, scratch_.packed);
        }
        // Bytes may be anything's: what they are written beside is read anew, but for what is at hand.
        const std::ptrdiff_t* const offsets = &scratch_.columns.offset(0);
        std::uint8_t* const pixels = scratch_.packed;
        for (const std::ptrdiff_t inner = inner_; i < inner; ++i)
            std::memcpy(pixels + 3 * i, row.data + offsets[i], 4);
        for (; i < count_; ++i) std::memcpy(pixels + 3 * i, row.data + offsets[i], 3);
        return PackedRow{pixels, 3, {row.position[0], row.position[1], row.position[2]}};
    }

    /// The columns in planes of the scratch's row.
    void split(const SourceRow& source) const {
        const std::ptrdiff_t pitch = padded_pitch(count_);
        if (const PackedRow row = packed(source); row.stride != 0) {
            split_packed<Planes::padded>(row, count_, scratch_.row, pitch);
        } else if (neighbours_) {
            split_row(source, channels_, first_, count_, scratch_.row, pitch);
        } else {
            for (int c = 0; c < channels_; ++c) {
                scratch_.columns.pick(source.data + source.channel_offset[c], scratch_.row + c * pitch);
            }
        }
    }

  private:
    const NearestScratch& scratch_;
    int channels_;
    int width_;
    int count_;
    int first_ = 0;
    int inner_ = 0;           // columns before those that show the last pixel of the row
    bool neighbours_ = true;  // the columns are neighbours in the image
    bool thirds_ = true;      // two columns lie between each two
};

}  // namespace

int copied_index(const ImageJob& job, int index, double step, int source_size, bool exact_edge) {
    if (job.filter != Filter::linear) return nearest_index(index, step, source_size);
    const LinearTap tap = linear_tap(index, step, source_size, exact_edge);
    return tap.weight_second == 0 ? tap.first : tap.second;
}

bool copies_pixels(const ImageJob& job, const Region& region) {
    if (job.filter == Filter::nearest) return true;
    if (job.resized_height == job.image.height && job.resized_width == job.image.width) return true;
    return job.filter == Filter::linear &&
           takes_one_along(region.x_begin - job.offset_x, region.x_end - job.offset_x, job.image.width,
                           job.resized_width, true) &&
           takes_one_along(region.y_begin - job.offset_y, region.y_end - job.offset_y, job.image.height,
                           job.resized_height, false);
}

std::size_t nearest_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const NearestScratch scratch(arena, job, region);
    return arena.used();
}

void write_nearest(const ImageJob& job, const Region& region, std::byte* scratch_bytes) {
    Arena arena(scratch_bytes);
    NearestScratch scratch(arena, job, region);
    const CopiedColumns columns(job, region, scratch);
    const double step = source_step(job.image.height, job.resized_height);
    const bool as_packed = takes_pixels(job) && is_interleaved(job.out);
    auto* out = static_cast<std::uint8_t*>(job.out.data) + std::ptrdiff_t{3} * region.x_begin;
    int held = -1;
    for (int y = region.y_begin; y < region.y_end; ++y) {
        const int source_y = copied_index(job, y - job.offset_y, step, job.image.height, false);
        const bool same = source_y == held;
        held = source_y;
        if (as_packed) {
            std::uint8_t* row = out + y * job.out.row_stride;
            if (same) {
                std::memcpy(row, row - job.out.row_stride, static_cast<std::size_t>(region.width()) * 3);
                continue;
            }
            const PackedRow packed = columns.packed(source_row(job, source_y, scratch.converted));
            if (packed.stride != 0) {
                reorder_packed(packed, region.width(), row);
                continue;
            }
        }
        if (!same) columns.split(source_row(job, source_y, scratch.converted));
        store_row(job, y, region.x_begin, region.width(), scratch.row, padded_pitch(region.width()));
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
