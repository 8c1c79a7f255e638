#include "ev/masks_binary.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "bits.h"
#include "lanes.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

/// Mixed columns that are interpolated together: at most kLanes, and unless they all read the same sources,
/// from at most kLanes.
struct Chunk {
    std::int32_t begin, end;
    std::int32_t base, sources;  // the source columns they read
};

/// The source's rows as float32.
struct Rows {
    const float* data;
    std::ptrdiff_t stride;
};

/// A bit for each word of a row: what is above the threshold in all, in any of the rows that are read.
struct Sides {
    std::uint64_t* all;
    std::uint64_t* any;
};

EV_INLINE bool bit_at(const std::uint64_t* words, std::int32_t place) {
    return ((words[place / kWordBits] >> (place % kWordBits)) & 1U) != 0;
}

/// Everything that stays the same from row to row. Columns are the image's, `begin` to `end`; source columns
/// are counted from the source's `left`.
template <int K>
struct Masker {
    const ColumnPlan<K>& columns;
    Rows source;
    std::int32_t top, left;  // of the source
    std::int32_t source_width;
    std::size_t words;  // of a source row's bits
    float threshold;
    std::int32_t begin, end;
    const std::uint64_t* above;  // of each source row: a bit for each pixel
    Sides sides;                 // of the present source rows
    Chunk* chunks;               // of the present source rows: what must be interpolated
    std::int32_t num_chunks = 0;
    std::int32_t done = 0;  // columns of the present row that are decided

    /// Decides what needs no interpolation, a row of the mask, and finds the chunks that do.
    void start_rows(const Taps<K>& rows, std::uint8_t* out) {
        combine_rows(rows);
        num_chunks = 0;
        done = begin;
        std::int32_t start = 0;
        std::uint64_t all_before = sides.all[0] & 1U;
        std::uint64_t any_before = sides.any[0] & 1U;
        for (std::size_t w = 0; w < words; ++w) {
            const std::uint64_t all = sides.all[w];
            const std::uint64_t any = sides.any[w];
            std::uint64_t changes = (all ^ (all << 1 | all_before)) | (any ^ (any << 1 | any_before));
            all_before = all >> (kWordBits - 1);
            any_before = any >> (kWordBits - 1);
            for (; changes != 0; changes &= changes - 1) {
                const std::int32_t change = static_cast<std::int32_t>(w) * kWordBits + lowest_bit(changes);
                if (change >= source_width) break;
                end_stretch(start, change, out);
                start = change;
            }
        }
        end_stretch(start, source_width, out);
        decide_singly(end, out);
    }

    void combine_rows(const Taps<K>& rows) const {
        const std::uint64_t* from[K];
        for (int k = 0; k < K; ++k) from[k] = above + static_cast<std::size_t>(rows.index[k] - top) * words;
        for (std::size_t w = 0; w < words; ++w) {
            std::uint64_t all = from[0][w];
            std::uint64_t any = from[0][w];
            for (int k = 1; k < K; ++k) {
                all &= from[k][w];
                any |= from[k][w];
            }
            sides.all[w] = all;
            sides.any[w] = any;
        }
    }

    /// Source columns `start` to `stop` are alike: if they agree, so do the columns that read no others.
    void end_stretch(std::int32_t start, std::int32_t stop, std::uint8_t* out) {
        const bool all = bit_at(sides.all, start);
        if (!all && bit_at(sides.any, start)) return;
        const std::int32_t first = std::max(columns.starts[left + start], done);
        const std::int32_t last = std::min(columns.ends[left + stop], end);
        if (first >= last) return;
        decide_singly(first, out);
        paint(first, last, all, out);
    }

    /// The same for the columns up to `stop`, those together that read the same sources.
    void decide_singly(std::int32_t stop, std::uint8_t* out) {
        while (done < stop) {
            const std::int32_t last = std::min(columns.next[done], stop);
            bool all = true;
            bool any = false;
            for (int k = 0; k < K; ++k) {
                const std::int32_t place = columns.index[k][done] - left;
                all = all && bit_at(sides.all, place);
                any = any || bit_at(sides.any, place);
            }
            if (any && !all) {
                add_mixed(done, last);
                done = last;
            } else {
                paint(done, last, all, out);
            }
        }
    }

    void paint(std::int32_t first, std::int32_t last, bool label, std::uint8_t* out) {
        std::memset(out + (first - begin), label ? 1 : 0, static_cast<std::size_t>(last - first));
        done = last;
    }

    /// Columns that read the same sources, mixed ones: to the last chunk as far as they fit, then to new
    /// ones.
    void add_mixed(std::int32_t first, std::int32_t last) {
        const std::int32_t base = columns.index[0][first] - left;
        const std::int32_t stop = columns.index[K - 1][first] - left + 1;
        while (first < last) {
            Chunk* open = num_chunks > 0 ? &chunks[num_chunks - 1] : nullptr;
            if (open != nullptr && open->end == first && first - open->begin < kLanes &&
                stop - open->base <= kLanes) {
                open->end = std::min(last, open->begin + kLanes);
                open->sources = stop - open->base;
            } else {
                open = &chunks[num_chunks++];
                *open = {first, std::min(last, first + kLanes), base, stop - base};
            }
            first = open->end;
        }
    }

    /// Interpolates the chunks of one row of the mask.
    void interpolate(const Taps<K>& rows, std::uint8_t* out) const {
        const float* from[K];
        for (int k = 0; k < K; ++k) from[k] = source.data + (rows.index[k] - top) * source.stride;
#if defined(EV_HAVE_LANES)
        Lanes weights[K];
        for (int k = 0; k < K; ++k) weights[k] = fill_lanes(rows.weight[k]);
        const Lanes limit = fill_lanes(threshold);
        for (std::int32_t i = 0; i < num_chunks; ++i) {
            const Chunk& chunk = chunks[i];
            if (chunk.sources > kLanes) {
                interpolate_plainly(chunk, rows, from, out);
                continue;
            }
            Lanes blended = weights[0] * load_lanes(from[0] + chunk.base, chunk.sources);
            for (int k = 1; k < K; ++k) {
                blended = blended + weights[k] * load_lanes(from[k] + chunk.base, chunk.sources);
            }
            const std::int32_t first = chunk.begin;
            const std::int32_t base = left + chunk.base;
            Lanes sum =
                load_lanes(columns.weight[0] + first) * pick_lanes(blended, columns.index[0] + first, base);
            for (int k = 1; k < K; ++k) {
                sum = sum + load_lanes(columns.weight[k] + first) *
                                pick_lanes(blended, columns.index[k] + first, base);
            }
            store_bits(out + (first - begin), lanes_above(sum, limit), chunk.end - first);
        }
#else
        for (std::int32_t i = 0; i < num_chunks; ++i) interpolate_plainly(chunks[i], rows, from, out);
#endif
    }

    void interpolate_plainly(const Chunk& chunk, const Taps<K>& rows, const float* const* from,
                             std::uint8_t* out) const {
        for (std::int32_t x = chunk.begin; x < chunk.end;) {
            const std::int32_t stop = std::min(columns.next[x], chunk.end);
            float values[K];
            for (int i = 0; i < K; ++i) {
                const std::int32_t place = columns.index[i][x] - left;
                values[i] = rows.weight[0] * from[0][place];
                for (int k = 1; k < K; ++k) values[i] = values[i] + rows.weight[k] * from[k][place];
            }
            for (; x < stop; ++x) {
                float sum = columns.weight[0][x] * values[0];
                for (int k = 1; k < K; ++k) sum = sum + columns.weight[k][x] * values[k];
                out[x - begin] = sum > threshold ? 1 : 0;
            }
        }
    }
};

template <class T>
void find_above(const SourceView<T>& source, float threshold, std::size_t words, std::uint64_t* above) {
    for (std::int32_t y = 0; y < source.height; ++y) {
        const T* row = source.data + y * source.row_stride;
        std::uint64_t* to = above + static_cast<std::size_t>(y) * words;
        for (std::int32_t x = 0; x < source.width; x += kWordBits) {
            *to++ = above_bits(row + x, std::min(source.width - x, kWordBits), threshold);
        }
    }
}

Rows as_floats(const SourceView<float>& source, ScratchArena*) {
    return {source.data, source.row_stride};
}

Rows as_floats(const SourceView<Half>& source, ScratchArena* arena) {
    float* rows =
        arena->take<float>(static_cast<std::size_t>(source.height) * static_cast<std::size_t>(source.width));
    for (std::int32_t y = 0; y < source.height; ++y) {
        const Half* from = source.data + y * source.row_stride;
        float* to = rows + static_cast<std::ptrdiff_t>(y) * source.width;
        std::int32_t x = 0;
#if defined(EV_HAVE_LANES)
        for (; x + kLanes <= source.width; x += kLanes) store_lanes(to + x, load_lanes(from + x));
#endif
        for (; x < source.width; ++x) to[x] = to_float(from[x]);
    }
    return {rows, source.width};
}

}  // namespace

template <class T>
std::size_t mask_scratch_size(const SourceView<T>& source, std::int32_t width) {
    const auto rows = static_cast<std::size_t>(source.height);
    const std::size_t words = count_words(source.width);
    const std::size_t floats =
        std::is_same<T, float>::value ? 0 : rows * static_cast<std::size_t>(source.width);
    return ScratchArena::size_of<std::uint64_t>(rows * words) +
           2 * ScratchArena::size_of<std::uint64_t>(words) +
           ScratchArena::size_of<Chunk>(static_cast<std::size_t>(width)) +
           ScratchArena::size_of<float>(floats);
}

template <class T, int K>
void write_mask(const SourceView<T>& source, const Taps<K>* rows, const ColumnPlan<K>& columns,
                float threshold, const MaskView& mask, std::byte* scratch) {
    const std::size_t words = count_words(source.width);
    const auto width = static_cast<std::size_t>(mask.width);
    ScratchArena arena(scratch);
    auto* above = arena.take<std::uint64_t>(static_cast<std::size_t>(source.height) * words);
    const Sides sides{arena.take<std::uint64_t>(words), arena.take<std::uint64_t>(words)};
    Chunk* chunks = arena.take<Chunk>(width);
    find_above(source, threshold, words, above);
    Masker<K> masker{
        columns,   as_floats(source, &arena), source.top, source.left, source.width, words, threshold,
        mask.left, mask.left + mask.width,    above,      sides,       chunks};
    for (std::int32_t y = 0; y < mask.height; ++y) {
        std::uint8_t* out = mask.data + static_cast<std::ptrdiff_t>(y) * mask.width;
        if (y == 0 || !same_sources(rows[y], rows[y - 1])) {
            masker.start_rows(rows[y], out);
        } else {
            std::memcpy(out, out - mask.width, width);  // but for the chunks they are alike
        }
        if (masker.num_chunks > 0) masker.interpolate(rows[y], out);
    }
}

template std::size_t mask_scratch_size(const SourceView<float>&, std::int32_t);
template std::size_t mask_scratch_size(const SourceView<Half>&, std::int32_t);

#define EV_WRITE(T, K)                                                                          \
    template void write_mask(const SourceView<T>&, const Taps<K>*, const ColumnPlan<K>&, float, \
                             const MaskView&, std::byte*);
EV_WRITE(float, 2)
EV_WRITE(float, 4)
EV_WRITE(Half, 2)
EV_WRITE(Half, 4)
#undef EV_WRITE

}  // namespace EV_ISA
}  // namespace ev
