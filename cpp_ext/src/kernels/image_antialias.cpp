// Pillow's antialiased resize: a horizontal pass rounded to uint8, then a vertical one. The horizontal rows
// live in a ring that holds the vertical kernel's height, over as many columns at a time as keep the ring in
// the cache.
//
// The horizontal pass always comes first, as in every Pillow before 13.0. Pillow 13.0 turns the order round
// for images more than about twice as tall as wide when it shrinks them (python-pillow/Pillow#9549); bilinear
// results then differ by at most 1, bicubic ones by more where they were clipped in between.
#include <algorithm>
#include <cstdint>

#include "image_rows.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

constexpr std::size_t kRingBytes = std::size_t{256} * 1024;

struct Taps {
    int first;
    int count;
};

struct AntialiasScratch {
    int tile;      // columns computed together
    int capacity;  // rows in the ring
    int taps_x;    // distance between the weights of two columns
    Taps* columns;
    std::int32_t* weights_x;
    std::int32_t* weights_y;
    std::int32_t* sums;
    std::uint8_t* ring;
    std::uint8_t* row;
    std::uint8_t* converted;

    AntialiasScratch(Arena& arena, const ImageJob& job, const Region& region, const AntialiasAxis& axis_x,
                     const AntialiasAxis& axis_y)
        : tile(0), capacity(antialias_max_taps(axis_y)), taps_x(antialias_max_taps(axis_x)) {
        const std::size_t channels = static_cast<std::size_t>(job.out.channels);
        const std::size_t column_bytes = static_cast<std::size_t>(capacity) * channels;
        tile = static_cast<int>(std::min(static_cast<std::size_t>(region.width()),
                                         std::max<std::size_t>(kRingBytes / column_bytes, 16)));
        const std::size_t size = static_cast<std::size_t>(tile) * channels;
        columns = arena.take<Taps>(static_cast<std::size_t>(tile));
        weights_x =
            arena.take<std::int32_t>(static_cast<std::size_t>(tile) * static_cast<std::size_t>(taps_x));
        weights_y = arena.take<std::int32_t>(static_cast<std::size_t>(capacity));
        sums = arena.take<std::int32_t>(size);
        ring = arena.take<std::uint8_t>(size * static_cast<std::size_t>(capacity));
        row = arena.take<std::uint8_t>(size);
        converted = arena.take<std::uint8_t>(converted_row_size(job));
    }
};

template <int Channels>
void pass_horizontal(const SourceRow& source, const AntialiasScratch& s, int width, std::uint8_t* row) {
    for (int i = 0; i < width; ++i) {
        const Taps taps = s.columns[i];
        const std::int32_t* weights = s.weights_x + std::ptrdiff_t{i} * s.taps_x;
        const std::uint8_t* pixel = source.data + taps.first * source.pixel_stride;
        std::int32_t sums[Channels];
        for (int c = 0; c < Channels; ++c) sums[c] = kAntialiasHalf;
        for (int tap = 0; tap < taps.count; ++tap, pixel += source.pixel_stride) {
            for (int c = 0; c < Channels; ++c) sums[c] += weights[tap] * pixel[source.channel_offset[c]];
        }
        for (int c = 0; c < Channels; ++c) row[std::ptrdiff_t{c} * width + i] = antialias_pixel(sums[c]);
    }
}

/// The vertical pass of `count` pixels: rows [first, first + taps) of the ring, weighted.
void pass_vertical(const AntialiasScratch& s, int first, int taps, int count, std::size_t row_size) {
    std::fill_n(s.sums, count, kAntialiasHalf);
    for (int tap = 0; tap < taps; ++tap) {
        const std::uint8_t* row = s.ring + static_cast<std::size_t>((first + tap) % s.capacity) * row_size;
        const std::int32_t weight = s.weights_y[tap];
        for (int i = 0; i < count; ++i) s.sums[i] += weight * row[i];
    }
    for (int i = 0; i < count; ++i) s.row[i] = antialias_pixel(s.sums[i]);
}

void write_tile(const ImageJob& job, const Region& region, const AntialiasAxis& axis_x,
                const AntialiasAxis& axis_y, const AntialiasScratch& s, int x, int width) {
    for (int i = 0; i < width; ++i) {
        antialias_weights(axis_x, x + i - job.offset_x, s.weights_x + std::ptrdiff_t{i} * s.taps_x,
                          &s.columns[i].first, &s.columns[i].count);
    }
    const int count = width * job.out.channels;
    const std::size_t row_size = static_cast<std::size_t>(count);
    int next = 0;  // the first source row not yet in the ring
    for (int y = region.y_begin; y < region.y_end; ++y) {
        Taps taps{};
        antialias_weights(axis_y, y - job.offset_y, s.weights_y, &taps.first, &taps.count);
        for (next = std::max(next, taps.first); next < taps.first + taps.count; ++next) {
            const SourceRow source = source_row(job, next, s.converted);
            std::uint8_t* row = s.ring + static_cast<std::size_t>(next % s.capacity) * row_size;
            if (job.out.channels == 1) {
                pass_horizontal<1>(source, s, width, row);
            } else {
                pass_horizontal<3>(source, s, width, row);
            }
        }
        pass_vertical(s, taps.first, taps.count, count, row_size);
        store_row(job, y, x, width, s.row);
    }
}

AntialiasAxis horizontal_axis(const ImageJob& job) {
    return antialias_axis(job.image.width, job.resized_width, job.filter == Filter::bicubic_antialias);
}

AntialiasAxis vertical_axis(const ImageJob& job) {
    return antialias_axis(job.image.height, job.resized_height, job.filter == Filter::bicubic_antialias);
}

}  // namespace

std::size_t antialias_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const AntialiasScratch scratch(arena, job, region, horizontal_axis(job), vertical_axis(job));
    return arena.used();
}

void write_antialias(const ImageJob& job, const Region& region, std::byte* scratch_bytes) {
    const AntialiasAxis axis_x = horizontal_axis(job);
    const AntialiasAxis axis_y = vertical_axis(job);
    Arena arena(scratch_bytes);
    const AntialiasScratch scratch(arena, job, region, axis_x, axis_y);
    for (int x = region.x_begin; x < region.x_end; x += scratch.tile) {
        write_tile(job, region, axis_x, axis_y, scratch, x, std::min(scratch.tile, region.x_end - x));
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
