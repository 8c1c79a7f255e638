#include "ev/masks_binary.h"

#include <algorithm>

#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// Of a source column and the rows that are read: all of it, some of it is above the threshold.
constexpr std::uint8_t kAll = 1;
constexpr std::uint8_t kAny = 2;

/// Neighbouring mask columns that read the same source columns.
struct Run {
    std::int32_t begin;
    std::int32_t end;
};

/// Everything that stays the same from row to row.
template <class T, int K>
struct Masker {
    const SourceView<T>& source;
    const Taps<K>* columns;
    float threshold;
    std::int32_t width;      // mask columns
    std::uint8_t* above;     // of each source pixel: whether it is above the threshold
    Run* runs;               // of the columns
    std::uint8_t* combined;  // of the present source rows: kAll and kAny of each source column
    std::uint8_t* pattern;   // of the present source rows: a mask row but for the mixed runs
    std::int32_t* mixed;     // of the present source rows: runs that must be interpolated
    float* blended;          // of the present mask row: source columns summed over the rows
    std::size_t num_runs = 0;
    std::size_t num_mixed = 0;

    void find_sides() {
        for (std::int32_t y = 0; y < source.height; ++y) {
            const T* from = source.data + y * source.row_stride;
            std::uint8_t* to = above + static_cast<std::ptrdiff_t>(y) * source.width;
            for (std::int32_t x = 0; x < source.width; ++x) to[x] = to_float(from[x]) > threshold ? 1 : 0;
        }
    }

    void find_runs() {
        for (std::int32_t x = 0; x < width; ++x) {
            if (x > 0 && same_sources(columns[x], columns[x - 1])) {
                runs[num_runs - 1].end = x + 1;
            } else {
                runs[num_runs++] = {x, x + 1};
            }
        }
    }

    void start_rows(const Taps<K>& rows) {
        combine_rows(rows);
        num_mixed = 0;
        std::int32_t begin = 0;  // of the columns so far that are alike
        std::uint8_t label = 0;
        for (std::size_t i = 0; i < num_runs; ++i) {
            std::uint8_t all = kAll | kAny;
            std::uint8_t any = 0;
            for (const std::int32_t index : columns[runs[i].begin].index) {
                const std::uint8_t column = combined[index - source.left];
                all = static_cast<std::uint8_t>(all & column);
                any = static_cast<std::uint8_t>(any | column);
            }
            const std::uint8_t next = all & kAll;  // also what a mixed run holds until it is interpolated
            if (next == 0 && (any & kAny) != 0) mixed[num_mixed++] = static_cast<std::int32_t>(i);
            if (next != label) {
                std::fill(pattern + begin, pattern + runs[i].begin, label);
                begin = runs[i].begin;
                label = next;
            }
        }
        std::fill(pattern + begin, pattern + width, label);
    }

    void combine_rows(const Taps<K>& rows) {
        const std::uint8_t* from[K];
        for (int k = 0; k < K; ++k) from[k] = sides(rows.index[k]);
        for (std::int32_t x = 0; x < source.width; ++x) {
            std::uint8_t all = from[0][x];
            std::uint8_t any = from[0][x];
            for (int k = 1; k < K; ++k) {
                all = static_cast<std::uint8_t>(all & from[k][x]);
                any = static_cast<std::uint8_t>(any | from[k][x]);
            }
            combined[x] = static_cast<std::uint8_t>(all * kAll + any * kAny);
        }
    }

    const std::uint8_t* sides(std::int32_t row) const {
        return above + static_cast<std::ptrdiff_t>(row - source.top) * source.width;
    }

    void write_row(const Taps<K>& rows, std::uint8_t* out) const {
        std::copy_n(pattern, width, out);
        if (num_mixed == 0) return;
        const Run& first = runs[mixed[0]];
        const Run& last = runs[mixed[num_mixed - 1]];
        blend_rows(rows, columns[first.begin].index[0] - source.left,
                   columns[last.begin].index[K - 1] - source.left + 1);
        for (std::size_t i = 0; i < num_mixed; ++i) interpolate(runs[mixed[i]], out);
    }

    void blend_rows(const Taps<K>& rows, std::int32_t begin, std::int32_t end) const {
        const T* from[K];
        for (int k = 0; k < K; ++k) from[k] = source.row(rows.index[k]);
        for (std::int32_t x = begin; x < end; ++x) {
            float sum = rows.weight[0] * to_float(from[0][x]);
            for (int k = 1; k < K; ++k) sum = sum + rows.weight[k] * to_float(from[k][x]);
            blended[x] = sum;
        }
    }

    void interpolate(const Run& run, std::uint8_t* out) const {
        float values[K];
        for (int k = 0; k < K; ++k) values[k] = blended[columns[run.begin].index[k] - source.left];
        for (std::int32_t x = run.begin; x < run.end; ++x) {
            float sum = columns[x].weight[0] * values[0];
            for (int k = 1; k < K; ++k) sum = sum + columns[x].weight[k] * values[k];
            out[x] = sum > threshold ? 1 : 0;
        }
    }
};

}  // namespace

std::size_t mask_scratch_size(std::int32_t source_height, std::int32_t source_width, std::int32_t width) {
    const auto source_rows = static_cast<std::size_t>(source_height);
    const auto source_columns = static_cast<std::size_t>(source_width);
    const auto columns = static_cast<std::size_t>(width);
    return ScratchArena::size_of<std::uint8_t>(source_rows * source_columns) +
           ScratchArena::size_of<Run>(columns) + ScratchArena::size_of<std::uint8_t>(source_columns) +
           ScratchArena::size_of<std::uint8_t>(columns) + ScratchArena::size_of<std::int32_t>(columns) +
           ScratchArena::size_of<float>(source_columns);
}

template <class T, int K>
void write_mask(const SourceView<T>& source, const Taps<K>* rows, const Taps<K>* columns, float threshold,
                const MaskView& mask, std::byte* scratch) {
    const auto source_columns = static_cast<std::size_t>(source.width);
    const auto width = static_cast<std::size_t>(mask.width);
    ScratchArena arena(scratch);
    auto* above = arena.take<std::uint8_t>(static_cast<std::size_t>(source.height) * source_columns);
    Run* runs = arena.take<Run>(width);
    auto* combined = arena.take<std::uint8_t>(source_columns);
    auto* pattern = arena.take<std::uint8_t>(width);
    auto* mixed = arena.take<std::int32_t>(width);
    auto* blended = arena.take<float>(source_columns);
    Masker<T, K> masker{source, columns,  threshold, mask.width, above,
                        runs,   combined, pattern,   mixed,      blended};
    masker.find_sides();
    masker.find_runs();
    for (std::int32_t y = 0; y < mask.height; ++y) {
        if (y == 0 || !same_sources(rows[y], rows[y - 1])) masker.start_rows(rows[y]);
        masker.write_row(rows[y], mask.data + static_cast<std::ptrdiff_t>(y) * mask.width);
    }
}

template void write_mask(const SourceView<float>&, const Taps<2>*, const Taps<2>*, float, const MaskView&,
                         std::byte*);
template void write_mask(const SourceView<float>&, const Taps<4>*, const Taps<4>*, float, const MaskView&,
                         std::byte*);
template void write_mask(const SourceView<Half>&, const Taps<2>*, const Taps<2>*, float, const MaskView&,
                         std::byte*);
template void write_mask(const SourceView<Half>&, const Taps<4>*, const Taps<4>*, float, const MaskView&,
                         std::byte*);

}  // namespace EV_ISA
}  // namespace ev
