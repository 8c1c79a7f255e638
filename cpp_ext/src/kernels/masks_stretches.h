// A mask row by row: what its source rows decide, and the columns that must be interpolated.
#pragma once

#include <algorithm>
#include <cstring>

#include "bits.h"
#include "ev/masks_binary.h"
#include "lanes.h"
#include "masks_dense.h"

namespace ev {
inline namespace EV_ISA {

/// Columns that are interpolated together: at most kMaskLanes, and unless they all read the same sources,
/// from at most kMaskLanes.
struct Chunk {
    std::int32_t begin, end;
    std::int32_t base, sources;  // the source columns they read
    std::uint32_t all, any;      // a bit a column: 1 in any case, not 0 in any case
};

/// A bit for each word of a row: what is above the threshold in all, in any of the rows that are read.
struct Sides {
    std::uint64_t* all;
    std::uint64_t* any;
};

/// The bits from `place` on, at least 32; a word follows the last one.
EV_INLINE std::uint32_t bits_from(const std::uint64_t* words, std::int32_t place) {
    const std::uint64_t* word = words + place / kWordBits;
    const int shift = place % kWordBits;
    return static_cast<std::uint32_t>(word[0] >> shift | word[1] << 1 << (kWordBits - 1 - shift));
}

EV_INLINE bool bit_at(const std::uint64_t* words, std::int32_t place) {
    return ((words[place / kWordBits] >> (place % kWordBits)) & 1U) != 0;
}

/// Everything that stays the same from row to row. Columns are the image's, `begin` to `end`; source columns
/// are counted from the source's `left`.
template <int K>
struct Masker {
    const ColumnPlan<K>& columns;
    std::int32_t left;  // of the source
    std::int32_t source_width;
    std::size_t words;  // of a source row's bits
    float threshold;
    std::int32_t begin, end;
    Sides sides;                // of the present source rows
    Chunk* chunks;              // of the present source rows: what must be interpolated
    std::int32_t most_changes;  // of a word's sides, for its stretches to be looked at
    std::int32_t num_chunks = 0;
    std::int32_t done = 0;  // columns of the present row that are decided

    /// Decides what needs no interpolation, a row of the mask, and finds the chunks that do.
    void start_rows(std::uint8_t* out) {
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
            const std::int32_t left_over = source_width - static_cast<std::int32_t>(w) * kWordBits;
            if (left_over < kWordBits) changes &= (std::uint64_t{1} << left_over) - 1;
            if (changes != 0 && count_bits(changes) > most_changes) {  // leave them to decide_singly
                start = static_cast<std::int32_t>(w) * kWordBits + highest_bit(changes);
                continue;
            }
            for (; changes != 0; changes &= changes - 1) {
                const std::int32_t change = static_cast<std::int32_t>(w) * kWordBits + lowest_bit(changes);
                end_stretch(start, change, out);
                start = change;
            }
        }
        end_stretch(start, source_width, out);
        decide_singly(end, out);
    }

    /// Finds the sides of the present rows, from a bit for each pixel of each of them. Returns how many
    /// sources agree with their neighbours, but for some at the ends of words.
    std::int32_t combine_rows(const std::uint64_t* const* from) const {
        std::int32_t agreeing = 0;
        for (std::size_t w = 0; w < words; ++w) {
            std::uint64_t all = from[0][w];
            std::uint64_t any = from[0][w];
            for (int k = 1; k < K; ++k) {
                all &= from[k][w];
                any |= from[k][w];
            }
            sides.all[w] = all;
            sides.any[w] = any;
            const std::uint64_t differ = (all ^ all >> 1) | (any ^ any >> 1) | (any & ~all);
            agreeing += differ == 0 ? kWordBits : kWordBits - count_bits(differ);
        }
        return agreeing - static_cast<std::int32_t>(words) * kWordBits +
               source_width;  // none is behind the row
    }

    /// Source columns `start` to `stop` are alike: if they agree, so do the columns that read no others.
    void end_stretch(std::int32_t start, std::int32_t stop, std::uint8_t* out) {
        const bool all = bit_at(sides.all, start);
        if (!all && bit_at(sides.any, start)) return;
        const std::int32_t first = std::max(columns.starts[left + start], done);
        const std::int32_t last = std::min(columns.ends[left + stop], end);
        if (last - first < kMaskLanes) return;  // not worth parting what is around it
        decide_singly(first, out);
        paint(first, last, all, out);
    }

    /// The same for the columns up to `stop`, one after another.
    void decide_singly(std::int32_t stop, std::uint8_t* out) {
        while (done < stop) {
#if EV_WIDE_LANES
            if (decide_lanes(stop, out)) continue;
#endif
            decide_run(std::min(columns.next[done], stop), out);
        }
    }

    /// Columns that read the same sources, up to `last`.
    void decide_run(std::int32_t last, std::uint8_t* out) {
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

#if EV_WIDE_LANES
    /// As many columns as a chunk takes; none where the next one reads from farther apart than that.
    bool decide_lanes(std::int32_t stop, std::uint8_t* out) {
        const std::int32_t first = done;
        const std::int32_t base = columns.index[0][first];
        std::int32_t last = std::min(first + kMaskLanes, stop);
        while (last > first && columns.index[K - 1][last - 1] - base >= kMaskLanes) --last;
        if (last == first) return false;
        // 2 where a source column is above the threshold in all rows, 1 where it is in some.
        const std::int32_t place = base - left;
        const Floats states =
            spread_bits(bits_from(sides.all, place)) + spread_bits(bits_from(sides.any, place));
        Floats least = table_lookup(states, load(columns.index[0] + first) - base);
        Floats greatest = least;
        for (int k = 1; k < K; ++k) {
            const Floats state = table_lookup(states, load(columns.index[k] + first) - base);
            least = min(least, state);
            greatest = max(greatest, state);
        }
        const std::uint32_t all = bits_from_mask(greater(least, 1.0F));
        const std::uint32_t any = bits_from_mask(greater(greatest, 0.0F));
        const std::uint32_t columns_in = (1U << (last - first)) - 1U;
        if ((any & ~all & columns_in) == 0) {
            store_bits(out + (first - begin), all, last - first);
        } else {
            chunks[num_chunks++] = {first, last, place, columns.index[K - 1][last - 1] - base + 1, all, any};
        }
        done = last;
        return true;
    }
#endif

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
            if (open != nullptr && open->end == first && first - open->begin < kMaskLanes &&
                stop - open->base <= kMaskLanes) {
                open->end = std::min(last, open->begin + kMaskLanes);
                open->sources = stop - open->base;
            } else {
                open = &chunks[num_chunks++];
                *open = {first, std::min(last, first + kMaskLanes), base, stop - base, 0U, ~0U};
            }
            first = open->end;
        }
    }

    /// Interpolates the chunks of one row of the mask.
    void interpolate(const float* const* from, const float* weight, std::uint8_t* out) const {
#if EV_WIDE_LANES
        Floats weights[K];
        for (int k = 0; k < K; ++k) weights[k] = weight[k];
        const Floats limit = threshold;
        for (std::int32_t i = 0; i < num_chunks; ++i) {
            const Chunk& chunk = chunks[i];
            if (chunk.sources > kMaskLanes) {
                interpolate_plainly(chunk, weight, from, out);
                continue;
            }
            Floats blended = weights[0] * load_n(from[0] + chunk.base, chunk.sources);
            for (int k = 1; k < K; ++k) {
                blended = blended + weights[k] * load_n(from[k] + chunk.base, chunk.sources);
            }
            const std::int32_t first = chunk.begin;
            const std::int32_t base = left + chunk.base;
            Floats sum = load(columns.weight[0] + first) *
                         table_lookup(blended, load(columns.index[0] + first) - base);
            for (int k = 1; k < K; ++k) {
                sum = sum + load(columns.weight[k] + first) *
                                table_lookup(blended, load(columns.index[k] + first) - base);
            }
            store_bits(out + (first - begin), (bits_from_mask(greater(sum, limit)) & chunk.any) | chunk.all,
                       chunk.end - first);
        }
#else
        for (std::int32_t i = 0; i < num_chunks; ++i) interpolate_plainly(chunks[i], weight, from, out);
#endif
    }

    void interpolate_plainly(const Chunk& chunk, const float* weight, const float* const* from,
                             std::uint8_t* out) const {
        for (std::int32_t x = chunk.begin; x < chunk.end;) {
            const std::int32_t stop = std::min(columns.next[x], chunk.end);
            float values[K];
            for (int i = 0; i < K; ++i) {
                const std::int32_t place = columns.index[i][x] - left;
                values[i] = weight[0] * from[0][place];
                for (int k = 1; k < K; ++k) values[i] = values[i] + weight[k] * from[k][place];
            }
            for (; x < stop; ++x) {
                float sum = columns.weight[0][x] * values[0];
                for (int k = 1; k < K; ++k) sum = sum + columns.weight[k][x] * values[k];
                out[x - begin] = sum > threshold ? 1 : 0;
            }
        }
    }
};

}  // namespace EV_ISA
}  // namespace ev
