// Images that keep their size: cropped, padded, their channels reordered, but not resized.
#include <algorithm>
#include <cstdint>

#include "image_planes.h"
#include "luma.h"
#include "reorder_pixels.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

// Rows that follow one another in memory are worked on as one, up to so many pixels: their ends, which fill
// no vector, cost most of the time of a narrow image. A pixel's index fits in an int then.
constexpr int kMostTogether = 1 << 24;

struct SameSizeScratch {
    std::uint8_t* converted;
    std::uint8_t* row;

    SameSizeScratch(Arena& arena, const ImageJob& job, const Region& region)
        : converted(arena.take<std::uint8_t>(converted_row_size(job))),
          row(arena.take<std::uint8_t>(static_cast<std::size_t>(region.width()) *
                                       static_cast<std::size_t>(job.out.channels))) {}
};

/// How many rows of the image, and of the canvas, lie in memory as one row does.
int rows_together(const ImageJob& job, const Region& region) {
    const bool whole = region.width() == job.image.width && region.width() == job.out.width;
    const bool side_by_side = job.image.row_stride == job.image.width * job.image.pixel_stride &&
                              job.out.row_stride == job.out.width * job.out.pixel_stride;
    if (!whole || !side_by_side) return 1;
    return std::clamp(kMostTogether / region.width(), 1, region.y_end - region.y_begin);
}

/// Whether the tensor takes pixels as they are, in planes, as luma or in the order of another packed row.
bool copies_rows(const ImageJob& job) {
    if (!takes_pixels(job)) return false;
    if (job.out.pixel_stride == 1) return true;
    return is_interleaved(job.out) && packed_row(source_layout(job)).stride != 0;
}

PackedRow packed_from(const SourceRow& source, int first) {
    PackedRow packed = packed_row(source);
    packed.data += std::ptrdiff_t{first} * packed.stride;
    return packed;
}

/// Pixels [first, first + count) of a row.
void copy_pixels(const ImageJob& job, const SourceRow& source, int first, int count, std::uint8_t* out) {
    if (job.to_gray) {
        write_luma(source, first, count, out);
    } else if (job.out.pixel_stride == 1) {
        split_row(source, job.out.channels, first, count, out, job.out.channel_stride);
    } else {
        reorder_packed(packed_from(source, first), count, out);
    }
}

}  // namespace

std::size_t same_size_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const SameSizeScratch scratch(arena, job, region);
    return arena.used();
}

void write_same_size(const ImageJob& job, const Region& region, std::byte* scratch_bytes) {
    Arena arena(scratch_bytes);
    const SameSizeScratch scratch(arena, job, region);
    const int first = region.x_begin - job.offset_x;
    if (!copies_rows(job)) {
        for (int y = region.y_begin; y < region.y_end; ++y) {
            const SourceRow source = source_row(job, y - job.offset_y, scratch.converted);
            split_row(source, job.out.channels, first, region.width(), scratch.row, region.width());
            store_row(job, y, region.x_begin, region.width(), scratch.row);
        }
        return;
    }
    ImageJob as_it_is = job;
    as_it_is.to_gray = false;  // or source_row would convert whole rows
    const int step = rows_together(job, region);
    for (int y = region.y_begin; y < region.y_end; y += step) {
        const int count = std::min(step, region.y_end - y) * region.width();
        const SourceRow source = source_row(as_it_is, y - job.offset_y, nullptr);
        auto* out = static_cast<std::uint8_t*>(job.out.data) + y * job.out.row_stride +
                    region.x_begin * job.out.pixel_stride;
        copy_pixels(job, source, first, count, out);
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
