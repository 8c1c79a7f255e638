#include "ev/masks_binary.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "bits.h"
#include "lanes.h"
#include "masks_dense.h"
#include "masks_picked.h"
#include "masks_stretches.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// Sums of weighted values up to this do not overflow, and those of values from kTiny on do not vanish.
constexpr float kHuge = 1e36F;
constexpr float kTiny = 1e-36F;

// Rows from one in which hardly any sources agree to the next that is looked at.
constexpr int kLookAgain = 8;

// Columns of a mask whose rows are not worth looking at: interpolating them all takes no longer.
constexpr std::int32_t kNarrow = 32;

// Values of a mask of the map's own size that are looked at, then compared.
constexpr std::int32_t kOwnSizeBlock = 4096;

/// The source's rows as float32.
using Rows = SourceView<float>;

Rows as_floats(const SourceView<float>& source, ScratchArena*) {
    return source;
}

Rows as_floats(const SourceView<Half>& source, ScratchArena* arena) {
    float* rows =
        arena->take<float>(static_cast<std::size_t>(source.height) * static_cast<std::size_t>(source.width));
    for (std::int32_t y = 0; y < source.height; ++y) {
        const Half* from = source.data + y * source.row_stride;
        float* to = rows + static_cast<std::ptrdiff_t>(y) * source.width;
        std::int32_t x = 0;
#if EV_WIDE_LANES
        for (; x + kFloatLanes <= source.width; x += kFloatLanes) store(to + x, load(from + x));
#endif
        for (; x < source.width; ++x) to[x] = to_float(from[x]);
    }
    return {rows, source.top, source.left, source.height, source.width, source.width};
}

/// What is known of each row of a source. Rows are looked at when they are first asked for.
class KnownRows {
  public:
    KnownRows(const Rows& rows, std::int32_t height, std::int32_t width, float threshold, ScratchArena* arena)
        : rows_(rows),
          width_(width),
          threshold_(threshold),
          words_(count_words(width)),
          above_(arena->take<std::uint64_t>(static_cast<std::size_t>(height) * words_)),
          compared_(arena->take<bool>(static_cast<std::size_t>(height))),
          manners_(arena->take<Manners>(static_cast<std::size_t>(height))) {
        std::fill_n(compared_, height, false);
        std::fill_n(manners_, height, Manners::unknown);
    }

    static std::size_t scratch_size(std::int32_t height, std::int32_t width) {
        return ScratchArena::size_of<std::uint64_t>(static_cast<std::size_t>(height) * count_words(width)) +
               ScratchArena::size_of<bool>(static_cast<std::size_t>(height)) +
               ScratchArena::size_of<Manners>(static_cast<std::size_t>(height));
    }

    /// A bit for each pixel above the threshold.
    const std::uint64_t* above(std::int32_t row) {
        std::uint64_t* bits = above_ + static_cast<std::size_t>(row) * words_;
        if (compared_[row]) return bits;
        compared_[row] = true;
        const float* values = rows_.data + row * rows_.row_stride;
        for (std::int32_t x = 0; x < width_; x += kWordBits) {
            bits[x / kWordBits] = above_bits(values + x, std::min(width_ - x, kWordBits), threshold_);
        }
        return bits;
    }

    /// Whether all values of a row are numbers, and of those above 0 none is huge or tiny. Weighted sums of
    /// values above 0 are above 0 then, and need not be told from others.
    bool is_tame(std::int32_t row) {
        if (manners_[row] == Manners::unknown) {
            const bool tame = are_tame(rows_.data + row * rows_.row_stride, width_);
            manners_[row] = tame ? Manners::tame : Manners::wild;
        }
        return manners_[row] == Manners::tame;
    }

    /// Whether both of two rows are: at once where they are neighbours in memory that nothing is known of.
    bool are_both_tame(std::int32_t first, std::int32_t second) {
        const bool together = second == first + 1 && rows_.row_stride == width_ &&
                              manners_[first] == Manners::unknown && manners_[second] == Manners::unknown;
        if (together && are_tame(rows_.data + first * rows_.row_stride, 2 * width_)) {
            manners_[first] = manners_[second] = Manners::tame;
            return true;
        }
        return is_tame(first) && is_tame(second);
    }

  private:
    enum class Manners : std::uint8_t { unknown, wild, tame };

    Rows rows_;
    std::int32_t width_;
    float threshold_;
    std::size_t words_;
    std::uint64_t* above_;
    bool* compared_;
    Manners* manners_;

    static bool are_tame(const float* values, std::int32_t width) {
        // As integers: the bits of sizes are in their order, those of NaN above all. One less than a value's
        // bits is least for tiny ones above 0, and greatest for 0 and for values below.
        std::uint32_t greatest = 0;
        std::uint32_t least = ~std::uint32_t{0};
        for (std::int32_t x = 0; x < width; ++x) {
            const std::uint32_t bits = bits_of(values[x]);
            greatest = std::max(greatest, bits & 0x7fffffffU);
            least = std::min(least, bits - 1);
        }
        return greatest <= bits_of(kHuge) && least >= bits_of(kTiny) - 1;
    }
};

/// A mask of the map's own size. A value decides alone, unless one that it reads with a weight of 0 is not
/// finite.
void write_own_size(const Rows& floats, const Taps<2>* rows, const ColumnPlan<2>& columns, float threshold,
                    const MaskView& mask, PickedRows<2>* picked) {
    const std::int32_t left = columns.index[0][mask.left];
    const std::int32_t right = columns.index[1][mask.left + mask.width - 1] + 1;
    const bool together = floats.row_stride == mask.width && right - left == mask.width;
    const auto value_at = [&](std::int32_t row) {
        return floats.data + (row - floats.top) * floats.row_stride + (left - floats.left);
    };
    // Rows that are looked at together fit the first cache. The last of them reads the next one too.
    const std::int32_t step = std::max(1, kOwnSizeBlock / mask.width);
    for (std::int32_t y = 0; y < mask.height; y += step) {
        const std::int32_t count = std::min(step, mask.height - y);
        const std::int32_t first = rows[y].index[0];
        const std::int32_t end = rows[y + count - 1].index[1] + 1;
        std::uint8_t* out = mask.data + static_cast<std::ptrdiff_t>(y) * mask.width;
        bool finite = true;
        if (together) {
            finite = are_finite(value_at(first), (end - first) * mask.width);
        } else {
            for (std::int32_t row = first; row < end; ++row) {
                finite = finite && are_finite(value_at(row), right - left);
            }
        }
        if (finite && together) {
            compare_row(value_at(first), count * mask.width, threshold, out);
            continue;
        }
        for (std::int32_t i = 0; i < count; ++i, out += mask.width) {
            if (finite) {
                compare_row(value_at(first + i), mask.width, threshold, out);
            } else {
                picked->decide(floats, rows + y + i, 1, threshold, out);
            }
        }
    }
}

}  // namespace

template <class T>
std::size_t mask_scratch_size(const SourceView<T>& source, std::int32_t width) {
    const auto source_width = static_cast<std::size_t>(source.width);
    const std::size_t floats =
        std::is_same<T, float>::value ? 0 : static_cast<std::size_t>(source.height) * source_width;
    return ScratchArena::size_of<float>(floats) + KnownRows::scratch_size(source.height, source.width) +
           2 * ScratchArena::size_of<std::uint64_t>(count_words(source.width) + 1) +
           ScratchArena::size_of<Chunk>(static_cast<std::size_t>(width)) +
           ScratchArena::size_of<float>(source_width + kBlendSlack) + PickedRows<2>::scratch_size(width) +
           RowColumns<4>::scratch_size(width);
}

template <class T, int K>
void write_mask(const SourceView<T>& source, const Taps<K>* rows, const ColumnPlan<K>& columns,
                float threshold, const MaskView& mask, std::byte* scratch) {
    const std::size_t words = count_words(source.width);
    const auto width = static_cast<std::size_t>(mask.width);
    const std::int32_t end = mask.left + mask.width;
    ScratchArena arena(scratch);
    const Rows floats = as_floats(source, &arena);
    PickedRows<K> picked(columns, mask.left, end, &arena);
    if constexpr (K == 2) {
        if (has_own_size(rows, mask.height, columns, mask.left, end)) {
            return write_own_size(floats, rows, columns, threshold, mask, &picked);
        }
    }
    RowColumns<K> row_columns(columns, mask.left, end, source.left, &arena);
    const bool far_apart = row_columns.are_far_apart();
    if ((far_apart || mask.width <= kNarrow) && kPickingPays && K == 2) {
        for (std::int32_t y = 0, next = 0; y < mask.height; y = next) {
            for (next = y + 1; next < mask.height && same_sources(rows[y], rows[next]);) ++next;
            picked.decide(floats, rows + y, next - y, threshold,
                          mask.data + static_cast<std::ptrdiff_t>(y) * mask.width);
        }
        return;
    }
    KnownRows known(floats, source.height, source.width, threshold, &arena);
    const Sides sides{arena.take<std::uint64_t>(words + 1), arena.take<std::uint64_t>(words + 1)};
    sides.all[words] = sides.any[words] = 0;  // read by bits_from
    Chunk* chunks = arena.take<Chunk>(width);
    auto* blended = arena.take<float>(static_cast<std::size_t>(source.width) + kBlendSlack);
    std::fill_n(blended + source.width, kBlendSlack, 0.0F);

    // Stretches that are shorter on average are not worth looking at one by one.
    const std::int32_t most_changes = kWordBits * columns.size / (columns.source_size * kMaskLanes);
    Masker<K> masker{columns,   source.left, source.width, words,  threshold,
                     mask.left, end,         sides,        chunks, most_changes};
    bool dense = false;
    int passed = 0;  // rows beside noise
    for (std::int32_t y = 0; y < mask.height; ++y) {
        std::uint8_t* out = mask.data + static_cast<std::ptrdiff_t>(y) * mask.width;
        const float* from[K];
        for (int k = 0; k < K; ++k) {
            from[k] = floats.data + (rows[y].index[k] - source.top) * floats.row_stride;
        }
        if (far_apart) {
            row_columns.decide(from, rows[y].weight, threshold, out);
            continue;
        }
        const bool same = y > 0 && same_sources(rows[y], rows[y - 1]);
        const auto are_tame = [&] {
            bool tame = threshold == 0.0F;
            for (int k = 0; k < K; k += 2) {
                const std::int32_t* index = rows[y].index + k;
                tame = tame && known.are_both_tame(index[0] - source.top, index[1] - source.top);
            }
            return tame;
        };
        // Beside noise there is noise: not every row is looked at.
        const bool unseen = !same && dense && ++passed % kLookAgain != 0 && are_tame();
        if (!same && !unseen) {
            const std::uint64_t* above[K];
            for (int k = 0; k < K; ++k) above[k] = known.above(rows[y].index[k] - source.top);
            // Where fewer sources agree it is quicker to interpolate all pixels than to find those that must
            // be.
            dense = masker.combine_rows(above) < source.width / 2 && are_tame();
            if (!dense) masker.start_rows(out);
        } else if (!dense) {
            std::memcpy(out, out - mask.width, width);  // but for the chunks they are alike
        }
        if (dense) {
            blend_rows<K>(from, rows[y].weight, source.width, blended);
            row_columns.plan();
            row_columns.interpolate(blended, out);
        } else if (masker.num_chunks > 0) {
            masker.interpolate(from, rows[y].weight, out);
        }
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
