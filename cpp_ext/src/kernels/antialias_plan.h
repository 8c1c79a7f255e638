// What write_dots keeps for a job: how lanes lie, sizes, tables and rows.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "antialias_blocks.h"
#include "image_planes.h"

#if EV_ANTIALIAS_DOTS

namespace ev {
inline namespace EV_ISA {
namespace detail {

// Tables and ring of a tile of columns, so that they stay in the second-level cache.
constexpr std::size_t kTileBytes = std::size_t{384} * 1024;

// Registers that the vertical pass sums together; tiles are padded to as many.
constexpr int kBatch = 4;

// Longer kernels would need tables of many megabytes.
constexpr int kMostTaps = 8192;

inline int count_pieces(int count, int size) {
    return (count + size - 1) / size;
}

inline AntialiasAxis axis_of(int source_size, int resized_size, const ImageJob& job) {
    return antialias_axis(source_size, resized_size, job.filter == Filter::bicubic_antialias);
}

/// Where the horizontal pass finds its pixels, and what the lanes of its registers sum.
struct DotForm {
    bool in_memory;  // the image's rows need no conversion
    bool split;      // rows are split into planes first; else read where they are
    int stride;      // bytes between pixels that are read
    int channels;    // of a register's columns
    int pitch;       // lanes between columns
    int columns;     // of a register
    int parts;       // blocks of a register: kParts if lanes share the taps of a column, else 1
    int reach;       // bytes that a shuffle reads; 0: none reaches far enough

    DotForm(const ImageJob& job, const AntialiasAxis& axis_x, const AntialiasAxis& axis_y)
        : in_memory(job.yuv == nullptr && !job.to_gray) {
        const SourceRow layout = source_layout(job);
        // Where more rows are made than read, planes are the better form to make them from.
        const bool packed = job.out.channels == 3 && layout.pixel_stride != 1 && axis_y.step >= 1.0 &&
                            packed_row(layout).stride != 0;
        stride = packed ? static_cast<int>(layout.pixel_stride) : 1;
        channels = packed ? 3 : 1;
        split = !packed && layout.pixel_stride != 1;
        choose_reach(axis_x.step);
        if (row_bytes(job.image.width) < reach) {
            split = true;
            stride = channels = 1;
            choose_reach(axis_x.step);
        }
    }

    int block_columns() const { return columns / parts; }

    /// Taps of a column that one step sums.
    int taps() const { return kDotTaps * parts; }

    /// Bytes from a row's first to its last that are the image's.
    int row_bytes(int width) const { return stride * (width - 1) + channels; }

  private:
    void choose_reach(double step) {
        parts = 1;
        pitch = channels;
        columns = kDotLanes / pitch;
        reach = least_reach(step);
        if (reach != 0) return;
        parts = kParts;
        pitch = channels == 3 ? kPartLanes : 1;
        columns = kDotLanes / pitch;
        reach = least_reach(step);
    }

    /// The reach that covers one step's taps of a block, or 0.
    int least_reach(double step) const {
        // Columns begin a rounded multiple of the step apart.
        const int gaps = block_columns() - 1;
        const double pixels = taps() + (gaps == 0 ? 0.0 : std::floor(gaps * step + 1e-6) + 1.0);
        const double bytes = pixels * stride;
        return bytes <= 64.0 ? 64 : (bytes <= 128.0 ? 128 : 0);
    }
};

/// Sizes that follow from a job.
struct DotPlan {
    AntialiasAxis axis_x;
    AntialiasAxis axis_y;
    DotForm form;
    int planes;     // summed each by itself; one where registers hold all channels, or where all are the same
    int steps;      // of a block
    int quads;      // of rows in the ring
    int registers;  // of a tile's plane
    std::ptrdiff_t pitch;  // bytes of a split row's plane

    DotPlan(const ImageJob& job, const Region& region)
        : axis_x(axis_of(job.image.width, job.resized_width, job)),
          axis_y(axis_of(job.image.height, job.resized_height, job)),
          form(job, axis_x, axis_y),
          planes(count_planes(job)),
          steps(count_pieces(antialias_max_taps(axis_x), form.taps())),
          // The taps of a row may begin at any row of a quad, and one more quad is computed before they end.
          quads(count_pieces(antialias_max_taps(axis_y) + kDotRows - 1, kDotRows) + 1) {
        const std::size_t table =
            sizeof(DotStep) * static_cast<std::size_t>(steps) * static_cast<std::size_t>(form.parts);
        const std::size_t ring =
            std::size_t{64} * static_cast<std::size_t>(quads) * static_cast<std::size_t>(planes);
        const int most = static_cast<int>(kTileBytes / (table + ring)) / kBatch;
        const int all = count_pieces(region.width(), form.columns * kBatch);
        registers = std::min(all, std::max(most, 1)) * kBatch;
        int first = 0;
        int last = 0;
        int taps = 0;
        antialias_range(axis_x, region.x_begin - job.offset_x, &first, &taps);
        antialias_range(axis_x, region.x_end - 1 - job.offset_x, &last, &taps);
        pitch = std::max(last + taps - first, form.reach);
    }

    bool fits() const {
        return form.reach != 0 && antialias_max_taps(axis_x) <= kMostTaps &&
               antialias_max_taps(axis_y) <= kMostTaps;
    }

    int tile_columns() const { return registers * form.columns; }
    std::size_t quad_bytes() const {
        return std::size_t{64} * static_cast<std::size_t>(registers) * static_cast<std::size_t>(planes);
    }

  private:
    int count_planes(const ImageJob& job) const {
        if (form.channels == job.out.channels) return 1;
        const SourceRow layout = source_layout(job);
        const std::ptrdiff_t* offset = layout.channel_offset;
        return offset[0] == offset[1] && offset[0] == offset[2] ? 1 : job.out.channels;
    }
};

struct DotScratch {
    std::int32_t* offsets;
    DotStep* steps;
    std::int32_t* weights;      // of one column or row
    std::int8_t* digits;        // of one column: kDigits x taps; of one row: of each quad kDigits x kDotRows
    std::uint8_t* planes;       // kDotRows split rows
    std::uint8_t* converted;    // kDotRows rows
    std::size_t converted_row;  // bytes of one
    std::uint8_t* ring;         // quads
    std::uint8_t* row;

    DotScratch(Arena& arena, const ImageJob& job, const DotPlan& plan)
        : converted_row((converted_row_size(job) + 63) / 64 * 64) {
        const int blocks = plan.registers * plan.form.parts;
        const std::size_t all_steps = static_cast<std::size_t>(blocks) * static_cast<std::size_t>(plan.steps);
        const auto taps =
            static_cast<std::size_t>(std::max(plan.steps * plan.form.taps(), plan.quads * kDotRows));
        const std::ptrdiff_t split = plan.form.split ? plan.pitch * plan.planes : 0;
        offsets = arena.take<std::int32_t>(all_steps);
        steps = arena.take<DotStep>(all_steps);
        weights = arena.take<std::int32_t>(taps);
        digits = arena.take<std::int8_t>(taps * kDigits);
        planes = arena.take<std::uint8_t>(static_cast<std::size_t>(split) * kDotRows);
        converted = arena.take<std::uint8_t>(converted_row * kDotRows);
        ring = arena.take<std::uint8_t>(plan.quad_bytes() * static_cast<std::size_t>(plan.quads));
        row = arena.take<std::uint8_t>(kRowSlack + static_cast<std::size_t>(plan.tile_columns()) *
                                                       static_cast<std::size_t>(job.out.channels));
    }
};

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev

#endif
