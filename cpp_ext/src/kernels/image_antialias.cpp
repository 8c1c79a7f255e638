// Pillow's antialiased resize: a horizontal pass rounded to uint8, then a vertical one. The horizontal pass
// takes 16 rows together, a row a lane, so that the taps of a column are whole vectors; its rows live in a
// ring that holds the vertical kernel's height, over as many columns at a time as keep the ring in the cache.
//
// The horizontal pass always comes first, as in every Pillow before 13.0. Pillow 13.0 turns the order round
// for images more than about twice as tall as wide when it shrinks them (python-pillow/Pillow#9549); bilinear
// results then differ by at most 1, bicubic ones by more where they were clipped in between.
#include <algorithm>
#include <cstdint>
#include <cstring>

#include "antialias_lanes.h"
#include "image_planes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

constexpr std::size_t kRingBytes = std::size_t{256} * 1024;

// Source columns of a tile at most, so that 16 rows of it stay in the second-level cache; a kernel that is
// wider than half of them goes through its taps a row at a time.
constexpr int kTileColumns = 4096;

struct Taps {
    int first;
    int count;
};

struct AntialiasScratch {
    int tile;             // columns computed together
    int capacity;         // rows in the ring
    int taps_x;           // distance between the weights of two columns
    bool by_lanes;        // 16 source rows at a time
    std::ptrdiff_t span;  // source columns that a tile has room for
    std::size_t pitch;    // bytes of a row in the ring
    Taps* columns;
    std::int32_t* weights_x;
    std::int32_t* weights_y;
    std::uint8_t* rows;    // 16 source rows, for each channel a plane of kLanes x span
    std::uint8_t* lanes;   // the same turned: a plane of span x kLanes
    std::uint8_t* pixels;  // the horizontal pass of them: row_size x kLanes
    std::uint8_t* ring;
    std::uint8_t* row;
    std::uint8_t* converted;

    AntialiasScratch(Arena& arena, const ImageJob& job, const Region& region, const AntialiasAxis& axis_x,
                     const AntialiasAxis& axis_y)
        : tile(region.width()),
          capacity(antialias_max_taps(axis_y) + kLanes - 1),
          taps_x(antialias_max_taps(axis_x)),
          by_lanes(taps_x <= kTileColumns / 2),
          span(0) {
        const std::size_t channels = static_cast<std::size_t>(job.out.channels);
        const std::size_t column_bytes = static_cast<std::size_t>(capacity) * channels;
        tile = static_cast<int>(std::min(static_cast<std::size_t>(tile),
                                         std::max<std::size_t>(kRingBytes / column_bytes, kLanes)));
        if (by_lanes) {
            // Neighbouring columns' taps begin at most ceil(step) apart.
            const double step = std::ceil(axis_x.step);
            tile = std::min(tile, 1 + static_cast<int>((kTileColumns - taps_x) / step));
            const double columns_read = static_cast<double>(tile - 1) * step + taps_x;
            span = static_cast<std::ptrdiff_t>(std::min(columns_read, static_cast<double>(job.image.width)));
            span = static_cast<std::ptrdiff_t>(round_to_lanes(static_cast<std::size_t>(span)));
        }
        const std::size_t size = static_cast<std::size_t>(tile) * channels;
        pitch = round_to_lanes(size);
        const std::size_t block = static_cast<std::size_t>(span) * channels * kLanes;
        columns = arena.take<Taps>(static_cast<std::size_t>(tile));
        weights_x =
            arena.take<std::int32_t>(static_cast<std::size_t>(tile) * static_cast<std::size_t>(taps_x));
        weights_y = arena.take<std::int32_t>(static_cast<std::size_t>(capacity));
        rows = arena.take<std::uint8_t>(block);
        lanes = arena.take<std::uint8_t>(block);
        pixels = arena.take<std::uint8_t>(by_lanes ? pitch * kLanes : 0);
        ring = arena.take<std::uint8_t>(pitch * static_cast<std::size_t>(capacity));
        row = arena.take<std::uint8_t>(pitch + kRowSlack);
        converted = arena.take<std::uint8_t>(converted_row_size(job));
    }

    std::uint8_t* ring_row(int y) const { return ring + static_cast<std::size_t>(y % capacity) * pitch; }
};

/// The horizontal pass of source row y, for kernels of any width.
void pass_row(const ImageJob& job, const AntialiasScratch& s, int width, int y) {
    const SourceRow source = source_row(job, y, s.converted);
    std::uint8_t* row = s.ring_row(y);
    for (int c = 0; c < job.out.channels; ++c) {
        for (int i = 0; i < width; ++i) {
            const Taps taps = s.columns[i];
            const std::int32_t* weights = s.weights_x + std::ptrdiff_t{i} * s.taps_x;
            const std::uint8_t* pixel =
                source.data + source.channel_offset[c] + taps.first * source.pixel_stride;
            std::int32_t sum = kAntialiasHalf;
            for (int tap = 0; tap < taps.count; ++tap) sum += weights[tap] * pixel[tap * source.pixel_stride];
            row[std::ptrdiff_t{c} * width + i] = antialias_pixel(sum);
        }
    }
}

/// Source rows [y, y + count), at most kLanes, as lanes: the columns that the tile reads, from `first` on.
void load_lanes(const ImageJob& job, const AntialiasScratch& s, int first, int columns, int y, int count) {
    const std::ptrdiff_t plane = s.span * kLanes;
    for (int i = 0; i < kLanes; ++i) {
        std::uint8_t* row = s.rows + i * s.span;
        if (i < count) {
            split_row(source_row(job, y + i, s.converted), job.out.channels, first, columns, row, plane);
        } else {
            for (int c = 0; c < job.out.channels; ++c) {
                std::memset(row + c * plane, 0, static_cast<std::size_t>(columns));
            }
        }
    }
    for (int c = 0; c < job.out.channels; ++c) {
        for (int x = 0; x < columns; x += kLanes) {
            std::uint8_t* out[kLanes];
            for (int i = 0; i < kLanes; ++i) out[i] = s.lanes + c * plane + std::ptrdiff_t{x + i} * kLanes;
            transpose_lanes(s.rows + c * plane + x, s.span, out, kLanes);
        }
    }
}

/// The horizontal pass of kLanes rows for all channels, so that each weight is loaded once.
template <int Channels>
void sum_columns(const AntialiasScratch& s, int width) {
    const std::ptrdiff_t plane = s.span * kLanes;
    for (int i = 0; i < width; ++i) {
        const Taps taps = s.columns[i];
        const std::int32_t* weights = s.weights_x + std::ptrdiff_t{i} * s.taps_x;
        const std::uint8_t* pixels = s.lanes + std::ptrdiff_t{taps.first - s.columns[0].first} * kLanes;
        LaneSums sums[Channels];
        for (std::ptrdiff_t tap = 0; tap < taps.count; ++tap, pixels += kLanes) {
            for (int c = 0; c < Channels; ++c) sums[c].add(pixels + c * plane, weights[tap]);
        }
        for (int c = 0; c < Channels; ++c) sums[c].store(s.pixels + (std::ptrdiff_t{c} * width + i) * kLanes);
    }
}

/// The horizontal pass of source rows [y, y + count), at most kLanes, into the ring.
void pass_lanes(const ImageJob& job, const AntialiasScratch& s, int width, int y, int count) {
    const int first = s.columns[0].first;
    const Taps last = s.columns[width - 1];
    load_lanes(job, s, first, last.first + last.count - first, y, count);
    if (job.out.channels == 1) {
        sum_columns<1>(s, width);
    } else {
        sum_columns<3>(s, width);
    }
    const std::ptrdiff_t size = std::ptrdiff_t{width} * job.out.channels;
    for (std::ptrdiff_t at = 0; at < size; at += kLanes) {
        std::uint8_t* rows[kLanes] = {};
        for (int i = 0; i < count; ++i) rows[i] = s.ring_row(y + i) + at;
        transpose_lanes(s.pixels + at * kLanes, kLanes, rows, count);
    }
}

/// The vertical pass of `count` pixels: rows [first, first + taps) of the ring, weighted.
void pass_vertical(const AntialiasScratch& s, int first, int taps, int count) {
    const int start = first % s.capacity;
    const int before_wrap = std::min(taps, s.capacity - start);
    for (int at = 0; at < count; at += kLanes) {
        LaneSums sums;
        const std::uint8_t* row = s.ring + static_cast<std::size_t>(start) * s.pitch + at;
        for (int tap = 0; tap < before_wrap; ++tap, row += s.pitch) sums.add(row, s.weights_y[tap]);
        row = s.ring + at;
        for (int tap = before_wrap; tap < taps; ++tap, row += s.pitch) sums.add(row, s.weights_y[tap]);
        sums.store(s.row + at);
    }
}

void write_tile(const ImageJob& job, const Region& region, const AntialiasAxis& axis_x,
                const AntialiasAxis& axis_y, const AntialiasScratch& s, int x, int width) {
    for (int i = 0; i < width; ++i) {
        antialias_weights(axis_x, x + i - job.offset_x, s.weights_x + std::ptrdiff_t{i} * s.taps_x,
                          &s.columns[i].first, &s.columns[i].count);
    }
    Taps taps{};
    antialias_range(axis_y, region.y_end - 1 - job.offset_y, &taps.first, &taps.count);
    const int end = taps.first + taps.count;  // of the source rows that the region reads
    const int step = s.by_lanes ? kLanes : 1;
    int next = 0;  // the first source row not yet in the ring
    for (int y = region.y_begin; y < region.y_end; ++y) {
        antialias_weights(axis_y, y - job.offset_y, s.weights_y, &taps.first, &taps.count);
        for (next = std::max(next, taps.first); next < taps.first + taps.count; next += step) {
            if (s.by_lanes) {
                pass_lanes(job, s, width, next, std::min(kLanes, end - next));
            } else {
                pass_row(job, s, width, next);
            }
        }
        pass_vertical(s, taps.first, taps.count, width * job.out.channels);
        store_row(job, y, x, width, s.row, width);
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
