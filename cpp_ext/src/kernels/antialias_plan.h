// What write_dots keeps for a job: sizes, tables and rows.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "antialias_dots.h"
#include "image_rows.h"

#if EV_ANTIALIAS_DOTS

namespace ev {
inline namespace EV_ISA {
namespace detail {

// Source rows summed together; the horizontal pass leaves a pixel of each in the bytes of a lane, as the
// vertical one takes them.
constexpr int kRows = kDotTaps;

/// Bytes that a shuffle of two registers reads.
constexpr int kReach = 128;

/// What the ring may take; wider or taller jobs go through write_antialias in tiles.
constexpr std::size_t kMostRing = std::size_t{512} * 1024;

inline int blocks_of(int columns) {
    return (columns + kDotColumns - 1) / kDotColumns;
}

inline int groups_of(int taps) {
    return (taps + kDotTaps - 1) / kDotTaps;
}

inline AntialiasAxis axis_of(int source_size, int resized_size, const ImageJob& job) {
    return antialias_axis(source_size, resized_size, job.filter == Filter::bicubic_antialias);
}

/// Sizes that follow from a job.
struct DotPlan {
    AntialiasAxis axis_x;
    AntialiasAxis axis_y;
    int first;  // source columns [first, end) are read
    int end;
    int groups_x;          // of four taps, for a column
    int quads;             // of rows in the ring
    int blocks;            // of columns, for a channel
    std::ptrdiff_t plane;  // bytes of a source row's plane
    std::size_t quad;      // bytes of four rows' pixels

    DotPlan(const ImageJob& job, const Region& region)
        : axis_x(axis_of(job.image.width, job.resized_width, job)),
          axis_y(axis_of(job.image.height, job.resized_height, job)),
          groups_x(groups_of(antialias_max_taps(axis_x))),
          // The taps of a row may begin at any row of a quad, and one more quad is computed before they end.
          quads(groups_of(antialias_max_taps(axis_y) + kRows - 1) + 1),
          blocks(blocks_of(region.width())),
          quad(static_cast<std::size_t>(blocks) * 64 * static_cast<std::size_t>(job.out.channels)) {
        int taps = 0;
        antialias_range(axis_x, region.x_begin - job.offset_x, &first, &taps);
        int last = 0;
        antialias_range(axis_x, region.x_end - 1 - job.offset_x, &last, &taps);
        end = last + taps;
        // Shuffles read beyond the last column, where no weight is.
        plane = end - first + kReach + kDotTaps;
    }

    /// Whether the taps of every sixteen columns lie within a shuffle's reach.
    bool fits() const {
        const double span = (kDotColumns - 1) * axis_x.step + 2.0 + kDotTaps * groups_x;
        return span <= kReach && quad * static_cast<std::size_t>(quads) <= kMostRing;
    }
};

struct DotScratch {
    std::int32_t* begin;       // of each block of columns in a plane
    std::uint8_t* shuffle;     // groups_x x 64 of each: four pixels a column
    std::int8_t* weights;      // groups_x x kDigits x 64 of each
    std::int32_t* taps;        // of one column or row
    std::int8_t* row_weights;  // of one row: kDigits x kRows of each quad
    std::uint8_t* planes;      // kRows source rows of each channel
    std::uint8_t* ring;        // quads
    std::uint8_t* row;
    std::uint8_t* converted;

    DotScratch(Arena& arena, const ImageJob& job, const DotPlan& plan) {
        const auto channels = static_cast<std::size_t>(job.out.channels);
        const auto blocks = static_cast<std::size_t>(plan.blocks);
        const std::size_t groups = blocks * static_cast<std::size_t>(plan.groups_x);
        const int most_taps = std::max(antialias_max_taps(plan.axis_x), antialias_max_taps(plan.axis_y));
        begin = arena.take<std::int32_t>(blocks);
        shuffle = arena.take<std::uint8_t>(groups * 64);
        weights = arena.take<std::int8_t>(groups * 64 * kDigits);
        taps = arena.take<std::int32_t>(static_cast<std::size_t>(most_taps));
        row_weights = arena.take<std::int8_t>(static_cast<std::size_t>(plan.quads) * kDigits * kRows);
        planes = arena.take<std::uint8_t>(static_cast<std::size_t>(plan.plane) * kRows * channels);
        ring = arena.take<std::uint8_t>(plan.quad * static_cast<std::size_t>(plan.quads));
        row = arena.take<std::uint8_t>(blocks * kDotColumns * channels + 64);
        converted = arena.take<std::uint8_t>(converted_row_size(job));
    }
};

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev

#endif
