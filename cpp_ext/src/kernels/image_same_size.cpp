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

// Pixels made into elements at a time: they stay in the first-level cache.
constexpr int kMostConverted = 1024;

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

#if defined(__AVX2__)

/// Whether the result is one of three channels that is written past the caches.
bool is_large(const ImageJob& job, const Region& region) {
    const std::int64_t rows = region.y_end - region.y_begin;
    return !job.to_gray && job.out.channels == 3 && rows * region.width() * 3 >= kLargeResult;
}

bool streams_pixels(const ImageJob& job, const Region& region) {
    const PackedRow row = packed_row(source_layout(job));
    const bool reorders = row.stride == 4 || row.position[0] != 0 || row.position[1] != 1;
    return is_large(job, region) && job.out.pixel_stride == 3 && row.stride != 0 && reorders;
}

/// Packed pixels to pixels of three bytes in the order of the channels, past the caches: made a piece at a
/// time in the first of them.
void stream_pixels(const PackedRow& row, std::ptrdiff_t count, std::uint8_t* out) {
    constexpr std::ptrdiff_t piece = 1024;
    alignas(64) std::uint8_t made[3 * piece];
    const auto from = [&row](std::ptrdiff_t i) {
        PackedRow rest = row;
        rest.data += row.stride * i;
        return rest;
    };
    std::ptrdiff_t i = std::min(count, pixels_to_alignment(out, count));
    reorder_packed(row, i, out);
    for (; i + piece <= count; i += piece) {
        reorder_packed(from(i), piece, made);
        copy_registers<true>(made, sizeof made, out + 3 * i);
    }
    reorder_packed(from(i), count - i, out + 3 * i);
}

// Whole lines are written past the caches, or each would be written in two pieces.
constexpr std::ptrdiff_t kLine = std::ptrdiff_t{2} * kSplitPixels;

bool streams_planes(const ImageJob& job, const Region& region) {
    return is_large(job, region) && job.out.pixel_stride == 1 && job.out.channel_stride % kLine == 0 &&
           packed_row(source_layout(job)).stride == 3;
}

/// Packed pixels of three bytes to planes of `out`, past the caches.
void stream_planes(const PackedRow& row, int count, std::uint8_t* out, std::ptrdiff_t pitch) {
    const auto place = static_cast<std::ptrdiff_t>(reinterpret_cast<std::uintptr_t>(out) % kLine);
    std::ptrdiff_t i = std::min<std::ptrdiff_t>(count, (kLine - place) % kLine);
    split_packed(row, static_cast<int>(i), out, pitch);
    for (; i + kLine <= count; i += kLine) {
        PlaneBytes bytes[2][3];
        split_pixels_at(row.data + 3 * i, bytes[0]);
        split_pixels_at(row.data + 3 * (i + kSplitPixels), bytes[1]);
        for (int c = 0; c < 3; ++c) {
            auto* to = reinterpret_cast<__m256i*>(out + c * pitch + i);
            _mm256_stream_si256(to, bytes[0][row.position[c]]);
            _mm256_stream_si256(to + 1, bytes[1][row.position[c]]);
        }
    }
    PackedRow rest = row;
    rest.data += 3 * i;
    split_packed(rest, count - static_cast<int>(i), out + i, pitch);
}

#else

// To read a line first that is written whole takes time, but compilers here offer no other way of writing it,
// or what is to be written takes longer to make.
bool streams_pixels(const ImageJob&, const Region&) {
    return false;
}

bool streams_planes(const ImageJob&, const Region&) {
    return false;
}

void stream_pixels(const PackedRow&, std::ptrdiff_t, std::uint8_t*) {}

void stream_planes(const PackedRow&, int, std::uint8_t*, std::ptrdiff_t) {}

#endif

/// Pixels [first, first + count) of a row, as they are.
void copy_pixels(const ImageJob& job, const SourceRow& source, int first, int count, std::uint8_t* out) {
    if (job.to_gray) {
        write_luma(source, first, count, out);
    } else if (job.out.pixel_stride == 1) {
        split_row(source, job.out.channels, first, count, out, job.out.channel_stride);
    } else {
        reorder_packed(packed_from(source, first), count, out);
    }
}

/// The same, as the table's elements, from canvas pixel (y, x) on.
void convert_pixels(const ImageJob& job, const SourceRow& source, int first, int count, int y, int x,
                    std::uint8_t* planes) {
    constexpr std::ptrdiff_t pitch = kMostConverted;
    for (int i = 0; i < count; i += kMostConverted) {
        const int size = std::min(kMostConverted, count - i);
        if (job.to_gray) {
            write_luma(source, first + i, size, planes);
        } else {
            split_row<Planes::padded>(source, job.out.channels, first + i, size, planes, pitch);
        }
        store_row(job, y, x + i, size, planes, pitch);
    }
}

}  // namespace

std::size_t same_size_scratch_size(const ImageJob& job) {
    return static_cast<std::size_t>(kMostConverted) * static_cast<std::size_t>(job.out.channels) + kRowSlack;
}

void write_same_size(const ImageJob& job, const Region& region, std::byte* scratch) {
    auto* planes = reinterpret_cast<std::uint8_t*>(scratch);
    const int first = region.x_begin - job.offset_x;
    ImageJob as_it_is = job;
    as_it_is.to_gray = false;  // or source_row would convert whole rows
    const int step = rows_together(job, region);
    const bool copies = copies_rows(job);
    const bool as_planes = copies && streams_planes(job, region);
    const bool as_pixels = copies && streams_pixels(job, region);
    for (int y = region.y_begin; y < region.y_end; y += step) {
        const int count = std::min(step, region.y_end - y) * region.width();
        const SourceRow source = source_row(as_it_is, y - job.offset_y, nullptr);
        if (!copies) {
            convert_pixels(job, source, first, count, y, region.x_begin, planes);
            continue;
        }
        auto* out = static_cast<std::uint8_t*>(job.out.data) + y * job.out.row_stride +
                    region.x_begin * job.out.pixel_stride;
        if (as_planes) {
            stream_planes(packed_from(source, first), count, out, job.out.channel_stride);
        } else if (as_pixels) {
            stream_pixels(packed_from(source, first), count, out);
        } else {
            copy_pixels(job, source, first, count, out);
        }
    }
    if (as_planes || as_pixels) finish_streaming();
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
