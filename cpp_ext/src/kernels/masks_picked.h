// Rows of a mask whose columns have no source in common, so that each source row is picked from once: of an
// image of the map's own size a pixel is one source, of a map that is shrunk much it has a pair of its own.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "ev/masks_binary.h"
#include "lanes.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {

/// Whether it is quicker to pick from rows than to interpolate them, or to read from them for each pixel.
#if EV_WIDE_LANES
constexpr bool kPickingPays = true;
#else
constexpr bool kPickingPays = false;
#endif

EV_INLINE bool is_one_source(const float* weight) {
    return weight[0] == 1.0F && weight[1] == 0.0F;
}

/// Whether pixels are the source's, one by one: those of an image that has the map's own size.
EV_INLINE bool has_own_size(const Taps<2>* rows, std::int32_t height, const ColumnPlan<2>& columns,
                            std::int32_t begin, std::int32_t end) {
    for (std::int32_t x = begin; x < end; ++x) {
        const float weight[2] = {columns.weight[0][x], columns.weight[1][x]};
        if (!is_one_source(weight) || columns.index[0][x] - columns.index[0][begin] != x - begin)
            return false;
    }
    for (std::int32_t y = 0; y < height; ++y) {
        if (!is_one_source(rows[y].weight) || rows[y].index[0] - rows[0].index[0] != y) return false;
    }
    return true;
}

/// Whether no value is infinite or NaN: with a weight of 0 that would not be nothing.
EV_INLINE bool are_finite(const float* values, std::int32_t count) {
    std::uint32_t wild = 0;
    for (std::int32_t x = 0; x < count; ++x) {
        std::uint32_t bits = 0;
        std::memcpy(&bits, values + x, sizeof bits);
        wild |= (bits & 0x7fffffffU) >= 0x7f800000U ? 1U : 0U;
    }
    return wild == 0;
}

EV_INLINE void compare_row(const float* values, std::int32_t count, float threshold,
                           std::uint8_t* __restrict out) {
    for (std::int32_t x = 0; x < count; ++x) out[x] = values[x] > threshold ? 1 : 0;
}

/// Source rows by what columns read of them: the first sources of all columns, then the second. Two rows are
/// kept, as from one row of the image to the next no more are read. For K = 2; sources of two resizes lie
/// anywhere.
template <int K>
class PickedRows {
  public:
    PickedRows(const ColumnPlan<K>& columns, std::int32_t begin, std::int32_t end, ScratchArena* arena)
        : index_(columns.index[0] + begin),
          weight_{columns.weight[0] + begin, columns.weight[1] + begin},
          size_(end - begin),
          inner_(size_) {
        for (float*& row : picked_) row = arena->take<float>(2 * static_cast<std::size_t>(size_));
        const std::int32_t* second = columns.index[1] + begin;
        // The last source has none after it.
        while (inner_ > 0 && index_[inner_ - 1] == second[inner_ - 1]) --inner_;
    }

    static std::size_t scratch_size(std::int32_t width) {
        return 2 * ScratchArena::size_of<float>(2 * static_cast<std::size_t>(width));
    }

    /// The rule of masks_binary.h, of `count` rows one after another that all read the same two of the
    /// source.
    void decide(const SourceView<float>& source, const Taps<K>* taps, std::int32_t count, float threshold,
                std::uint8_t* out) {
        const float* top = pick(source, taps[0].index[0]);
        const float* bottom = pick(source, taps[0].index[1]);
        // Of its own, as bytes that are written might be the members.
        const std::ptrdiff_t size = size_;
        const float* const weight[2] = {weight_[0], weight_[1]};
        std::ptrdiff_t x = 0;
#if EV_WIDE_LANES
        const auto above = [&](Floats values) { return bits_from_mask(greater(values, threshold)); };
        while (x < size && size >= kFloatLanes) {
            x = std::min<std::ptrdiff_t>(x, size - kFloatLanes);  // the last may repeat columns
            const Floats a = load(top + x);
            const Floats b = load(top + size + x);
            const Floats c = load(bottom + x);
            const Floats d = load(bottom + size + x);
            const Floats left = load(weight[0] + x);
            const Floats right = load(weight[1] + x);
            const std::uint32_t bits[4] = {above(a), above(b), above(c), above(d)};
            const std::uint32_t all = bits[0] & bits[1] & bits[2] & bits[3];
            const std::uint32_t any = bits[0] | bits[1] | bits[2] | bits[3];
            for (std::ptrdiff_t y = 0; y < count; ++y) {
                std::uint32_t found = all;
                if (all != any) {
                    const Floats upper = taps[y].weight[0];
                    const Floats lower = taps[y].weight[1];
                    const Floats sum = left * (upper * a + lower * c) + right * (upper * b + lower * d);
                    found |= any & above(sum);
                }
                store_bits(out + y * size + x, found, kFloatLanes);
            }
            x += kFloatLanes;
        }
#endif
        for (; x < size; ++x) {
            const Taps<2> columns{{0, 1}, {weight[0][x], weight[1][x]}};
            const auto logit = [&](int row, int column) {
                return (row == 0 ? top : bottom)[column * size + x];
            };
            for (std::ptrdiff_t y = 0; y < count; ++y) {
                const Taps<2> rows{{0, 1}, {taps[y].weight[0], taps[y].weight[1]}};
                out[y * size + x] = is_in_mask(rows, columns, threshold, logit) ? 1 : 0;
            }
        }
    }

  private:
    const std::int32_t* index_;
    const float* weight_[2];
    std::int32_t size_;
    std::int32_t inner_;  // columns that read two sources, which are neighbours
    float* picked_[2];
    std::int32_t row_[2] = {-1, -1};

    const float* pick(const SourceView<float>& source, std::int32_t index) {
        const int slot = index % 2;
        float* picked = picked_[slot];
        if (row_[slot] == index) return picked;
        row_[slot] = index;
        const float* row = source.data + (index - source.top) * source.row_stride - source.left;
        const std::int32_t size = size_;
        const std::int32_t inner = inner_;
        const std::int32_t* const index_of = index_;
        std::int32_t x = 0;
#if EV_WIDE_LANES
        while (x < inner && inner >= kFloatLanes) {
            x = std::min(x, inner - kFloatLanes);  // the last may repeat columns
            Floats first;
            Floats second;
            load_pairs(row, index_of + x, &first, &second);
            store(picked + x, first);
            store(picked + size + x, second);
            x += kFloatLanes;
        }
#endif
        for (; x < size; ++x) {
            picked[x] = row[index_of[x]];
            picked[size + x] = row[index_of[x] + (x < inner ? 1 : 0)];
        }
        return picked;
    }
};

}  // namespace EV_ISA
}  // namespace ev
