// Output columns of a label map in groups that read the same few source columns: such a window is a vector,
// and every lane of the group picks its two neighbours from it.
#pragma once

#include <algorithm>
#include <limits>

#include "ev/masks.h"
#include "lanes.h"

namespace ev {
inline namespace EV_ISA {

// Lanes of a block of output columns, and source columns of a window.
constexpr std::int32_t kLanes = kFloatLanes;
constexpr std::ptrdiff_t kStep = kLanes;  // from one block's to the next one's

// Blocks of a group. Three share a window's vertical blend when enlarging 3.4 times and more, and their
// indices, weights and running maxima fit in AVX-512's registers.
constexpr std::int32_t kMaxBlocks = 3;

// A cell (four neighbouring source pixels) without one best class.
constexpr std::int32_t kMixed = -1;

/// kLanes output columns: where they read in their window, and how much of each.
struct Block {
    std::int32_t left[kLanes];
    std::int32_t right[kLanes];
    float rest[kLanes];  // 1 - weight
    float weight[kLanes];
};

/// The output columns of one window: several full blocks, or one that may be less than full.
struct Group {
    std::int32_t source;  // the window's first column, counted from the first that any window reads
    std::int32_t begin;   // output columns
    std::int32_t end;
    std::int32_t cells;  // of the window that are read: those with these left columns
    std::int32_t first_block;
    std::int32_t num_blocks;
};

/// Blocks that plan_groups needs at most. A block that is less than full ends its row or its window, and the
/// next window starts at least kLanes - 1 source columns further right.
EV_INLINE std::size_t most_blocks(std::size_t width, std::size_t source_width) {
    return std::min(width, width / kLanes + source_width / (kLanes - 1) + 1);
}

/// Writes the groups of all output columns from left to right, and their blocks. Returns the number of
/// groups.
EV_INLINE std::int32_t plan_groups(const Tap* columns, std::int32_t width, Group* groups, Block* blocks) {
    std::int32_t num_groups = 0;
    std::int32_t num_blocks = 0;
    for (std::int32_t begin = 0; begin < width;) {
        const Tap* taps = columns + begin;
        const std::int32_t first = taps[0].first;
        const std::int32_t most = std::min(width - begin, kMaxBlocks * kLanes);
        std::int32_t count = 1;
        while (count < most && taps[count].second < first + kLanes) ++count;
        if (count > kLanes) count -= count % kLanes;
        const std::int32_t used = (count + kLanes - 1) / kLanes;
        groups[num_groups++] = {first - columns[0].first,          begin,      begin + count,
                                taps[count - 1].first - first + 1, num_blocks, used};
        for (std::int32_t i = 0; i < used * kLanes; ++i) {
            const Tap& tap = taps[std::min(i, count - 1)];
            Block& block = blocks[num_blocks + i / kLanes];
            block.left[i % kLanes] = table_index(tap.first - first);
            block.right[i % kLanes] = table_index(tap.second - first);
            block.rest[i % kLanes] = 1.0F - tap.weight;
            block.weight[i % kLanes] = tap.weight;
        }
        num_blocks += used;
        begin += count;
    }
    return num_groups;
}

/// Two source rows of all classes at a window, and the classes that can win there.
struct Window {
    const float* top;  // class 0, kLanes columns
    const float* bottom;
    std::ptrdiff_t class_stride;
    const std::int32_t* classes;
    std::int32_t num_classes;
    bool binary;  // one class, which wins (label 1) above 0
};

/// Writes to `pattern` and `labels` the cell that each lane reads; returns whether one of them is mixed.
EV_INLINE bool spread_cells(const std::int32_t* cells, const Block* blocks, std::int32_t num_blocks,
                            std::int32_t* pattern, std::int32_t* labels) {
    const Ints window = load(cells);
    bool mixed = false;
    for (std::int32_t k = 0; k < num_blocks; ++k) {
        const Ints found = table_lookup(window, blocks[k].left);
        store(pattern + k * kStep, found);
        store(labels + k * kStep, found);
        mixed |= any(equal(found, kMixed));
    }
    return mixed;
}

/// ev::blend, lane by lane, where rest is 1 - weight.
EV_INLINE Floats blend(Floats first, Floats second, Floats rest, Floats weight) {
    return rest * first + weight * second;
}

template <int num_blocks>
EV_INLINE void interpolate_blocks(const Window& window, float row_weight, const Block* blocks,
                                  const std::int32_t* pattern, std::int32_t* labels) {
    const Floats second = row_weight;
    const Floats first = 1.0F - row_weight;
    Floats best[num_blocks];
    Ints winner[num_blocks];
    for (int k = 0; k < num_blocks; ++k) {
        best[k] = window.binary ? 0.0F : -std::numeric_limits<float>::infinity();
        winner[k] = 0;
    }
    for (std::int32_t i = 0; i < window.num_classes; ++i) {
        const std::int32_t id = window.classes[i];
        const Floats above = load(window.top + id * window.class_stride);
        const Floats below = load(window.bottom + id * window.class_stride);
        const Floats values = blend(above, below, first, second);
        const Ints label = window.binary ? 1 : id;
        for (int k = 0; k < num_blocks; ++k) {
            const Floats left = table_lookup(values, blocks[k].left);
            const Floats right = table_lookup(values, blocks[k].right);
            const Floats value = blend(left, right, load(blocks[k].rest), load(blocks[k].weight));
            const Mask wins = greater(value, best[k]);
            best[k] = if_then_else(wins, value, best[k]);
            winner[k] = if_then_else(wins, label, winner[k]);
        }
    }
    for (int k = 0; k < num_blocks; ++k) {
        const Ints known = load(pattern + k * kStep);
        const Mask open = equal(known, kMixed);
        store(labels + k * kStep, if_then_else(open, winner[k], known));
    }
}

/// labels[i] = pattern[i], or where that is mixed the class whose interpolated logit is greatest.
EV_INLINE void interpolate(const Window& window, float row_weight, const Block* blocks,
                           std::int32_t num_blocks, const std::int32_t* pattern, std::int32_t* labels) {
    static_assert(kMaxBlocks == 3);
    if (num_blocks == 3) return interpolate_blocks<3>(window, row_weight, blocks, pattern, labels);
    if (num_blocks == 2) return interpolate_blocks<2>(window, row_weight, blocks, pattern, labels);
    interpolate_blocks<1>(window, row_weight, blocks, pattern, labels);
}

// More than a bilinear interpolation of equal values rounds: six roundings of 2^-24 in each of two values,
// and what subnormal products lose.
constexpr float kRounding = 3e-6F;
constexpr float kTiny = 1e-36F;

/// Writes the classes that can win in one of the window's mixed cells, ascending, to `contenders`; returns
/// their number. `tops` is scratch of kLanes numbers a class.
///
/// Interpolated logits lie between the least and the greatest of their cell, but for rounding: a class whose
/// greatest is below another's least in every mixed cell cannot win. A class with a NaN or an infinity in a
/// cell dismisses no other there and stays.
EV_INLINE std::int32_t find_contenders(const Window& window, const std::int32_t* cells,
                                       std::int32_t num_cells, float* tops, std::int32_t* contenders) {
    const Floats infinity = std::numeric_limits<float>::infinity();
    const Floats minus_infinity = -std::numeric_limits<float>::infinity();
    Floats highest = minus_infinity;  // of what some class surely reaches
    for (std::int32_t id = 0; id < window.num_classes; ++id) {
        const float* top = window.top + id * window.class_stride;
        const float* bottom = window.bottom + id * window.class_stride;
        const Floats a = load(top);
        const Floats b = load(top + 1);
        const Floats c = load(bottom);
        const Floats d = load(bottom + 1);
        const Floats least = min(min(a, b), min(c, d));
        const Floats most = max(max(a, b), max(c, d));
        const Mask finite = finite_lanes((a + b) + (c + d));
        store(tops + id * kStep, if_then_else(finite, most, infinity));
        highest = max(highest, if_then_else(finite, least, minus_infinity));
    }
    float bar[kLanes];
    store(bar, highest);
    for (std::int32_t i = 0; i < kLanes; ++i) {
        const bool open = i < num_cells && cells[i] == kMixed;
        bar[i] =
            open ? bar[i] - std::fabs(bar[i]) * kRounding - kTiny : std::numeric_limits<float>::infinity();
    }
    const Floats below = load(bar);
    std::int32_t count = 0;
    for (std::int32_t id = 0; id < window.num_classes; ++id) {
        contenders[count] = id;
        count += any(greater(load(tops + id * kStep), below)) ? 1 : 0;
    }
    return count;
}

}  // namespace EV_ISA
}  // namespace ev
