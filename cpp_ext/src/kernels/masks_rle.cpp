#include "ev/masks_rle.h"

#include <algorithm>
#include <cstring>

#include "bits.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

constexpr int kGroupBits = 5;
constexpr std::int64_t kGroup = std::int64_t{1} << kGroupBits;
constexpr int kMore = 0x20;  // another group follows
constexpr int kSign = 0x10;  // of a number's last group
constexpr int kFirstCharacter = 48;

/// A pixel that differs from the one before it: its column in the crop, its row in the image.
struct Change {
    std::uint32_t column, row;
};

// Changes that count_runs keeps for encode_rle, which looks for them again where there are more. A mask of
// regions has a few for each column.
constexpr std::size_t kKeptChanges = std::size_t{1} << 15;

struct EncodeScratch {
    std::uint64_t* before;  // a bit for each pixel of the row above
    std::uint32_t* ends;    // of each column's changes
    Change* changes;

    EncodeScratch(const CropView& crop, std::byte* scratch) {
        ScratchArena arena(scratch);
        before = arena.take<std::uint64_t>(count_words(crop.width));
        ends = arena.take<std::uint32_t>(static_cast<std::size_t>(crop.width) + 1);
        changes = arena.take<Change>(kKeptChanges);
    }
};

/// Calls change(column, row) for every bit of one row's word.
template <class Change>
void for_each_bit(std::uint64_t bits, std::int64_t column, std::int64_t row, Change&& change) {
    for (; bits != 0; bits &= bits - 1) change(column + lowest_bit(bits), row);
}

/// The same for every pixel of the image that differs from the one before it, in the order down the columns.
/// Rows are those of the image and ascend for each column; a last row of the image's height is the next
/// column's first.
template <class Change>
void for_each_change(const CropView& crop, std::uint64_t* before, Change&& change) {
    if (crop.height == 0 || crop.width == 0) return;
    const bool to_bottom = crop.top + crop.height == crop.image_height;
    const bool whole_columns = crop.top == 0 && to_bottom;
    const std::uint8_t* last = crop.data + (crop.height - 1) * crop.row_stride;
    for (std::int64_t x = 0; x < crop.width; ++x) {
        const bool inside = whole_columns && x > 0 && last[x - 1] != 0;
        if ((crop.data[x] != 0) != inside) change(x, crop.top);
    }
    const std::int64_t whole = crop.width / kWordBits * kWordBits;
    for (std::int64_t y = 0; y < crop.height; ++y) {
        const std::uint8_t* row = crop.data + y * crop.row_stride;
        // The first row's changes are those above.
        const std::uint64_t compared = y > 0 ? ~std::uint64_t{0} : 0;
        std::uint64_t* above = before;
        for (std::int64_t x = 0; x < whole; x += kWordBits, ++above) {
            const std::uint64_t bits = nonzero_bits(row + x);
            for_each_bit((bits ^ *above) & compared, x, crop.top + y, change);
            *above = bits;
        }
        if (whole < crop.width) {
            const std::uint64_t bits = last_nonzero_bits(row, crop.width, crop.width - whole);
            for_each_bit((bits ^ *above) & compared, whole, crop.top + y, change);
            *above = bits;
        }
    }
    const bool at_end = to_bottom && crop.left + crop.width == crop.image_width;
    for (std::int64_t x = 0; x < crop.width; ++x) {
        const bool goes_on = x + 1 < crop.width ? whole_columns : at_end;
        if (last[x] != 0 && !goes_on) change(x, crop.top + crop.height);
    }
}

/// Where a run begins, as runs follow one another down the columns of an image.
struct Place {
    std::uint64_t column, row;

    void advance(std::uint32_t count, std::uint64_t height) {
        row += count;
        if (row < height) return;
        column += row / height;
        row %= height;
    }

    /// The first column whose first pixel is not before this place.
    std::uint64_t next_top() const { return column + (row > 0 ? 1 : 0); }
};

/// Calls toggle(row, column) where a pixel differs from the one above it, in the order of the runs, and
/// top(begin, end, value) for the columns whose first pixels a run covers.
template <class Toggle, class Top>
void for_each_toggle(const std::uint32_t* counts, std::size_t size, std::int64_t height, Toggle&& toggle,
                     Top&& top) {
    Place place{0, 0};
    for (std::size_t i = 0; i < size; ++i) {
        if (i > 0 && place.row != 0) toggle(place.row, place.column);
        const std::uint64_t first = place.next_top();
        place.advance(counts[i], static_cast<std::uint64_t>(height));
        if (first < place.next_top()) top(first, place.next_top(), i % 2 != 0);
    }
}

}  // namespace

std::size_t encode_scratch_size(const CropView& crop) {
    return ScratchArena::size_of<std::uint64_t>(count_words(crop.width)) +
           ScratchArena::size_of<std::uint32_t>(static_cast<std::size_t>(crop.width) + 1) +
           ScratchArena::size_of<Change>(kKeptChanges);
}

std::size_t count_runs(const CropView& crop, std::byte* scratch) {
    const EncodeScratch memory(crop, scratch);
    std::uint32_t* ends = memory.ends;
    Change* changes = memory.changes;
    std::fill_n(ends, crop.width + 1, 0U);
    std::size_t found = 0;
    for_each_change(crop, memory.before, [&](std::int64_t x, std::int64_t y) {
        ++ends[x + 1];
        if (found < kKeptChanges) {
            changes[found] = {static_cast<std::uint32_t>(x), static_cast<std::uint32_t>(y)};
        }
        ++found;
    });
    for (std::int64_t x = 0; x < crop.width; ++x) ends[x + 1] += ends[x];
    return found + 1;
}

void encode_rle(const CropView& crop, std::byte* scratch, std::uint32_t* counts, std::size_t size) {
    const EncodeScratch memory(crop, scratch);
    std::uint32_t* ends = memory.ends;
    const auto put = [&](std::int64_t x, std::int64_t y) {
        counts[ends[x]++] = static_cast<std::uint32_t>((crop.left + x) * crop.image_height + y);
    };
    if (size - 1 <= kKeptChanges) {
        for (std::size_t i = 0; i + 1 < size; ++i) put(memory.changes[i].column, memory.changes[i].row);
    } else {
        for_each_change(crop, memory.before, put);
    }
    counts[size - 1] = static_cast<std::uint32_t>(crop.image_height * crop.image_width);
    for (std::size_t i = size; i-- > 1;) counts[i] -= counts[i - 1];
}

std::size_t decode_scratch_size(std::size_t size, std::int64_t height) {
    return ScratchArena::size_of<std::size_t>(static_cast<std::size_t>(height) + 1) +
           ScratchArena::size_of<std::uint32_t>(size);
}

void decode_rle(const std::uint32_t* counts, std::size_t size, std::uint8_t* out, std::int64_t height,
                std::int64_t width, std::ptrdiff_t row_stride, std::byte* scratch) {
    if (height == 0 || width == 0) return;
    ScratchArena arena(scratch);
    auto* ends = arena.take<std::size_t>(static_cast<std::size_t>(height) + 1);  // of each row's toggles
    auto* columns = arena.take<std::uint32_t>(size);                             // row after row
    std::fill_n(ends, height + 1, std::size_t{0});
    for_each_toggle(
        counts, size, height, [&](std::uint64_t row, std::uint64_t) { ++ends[row + 1]; },
        [&](std::uint64_t begin, std::uint64_t end, bool value) {
            std::memset(out + begin, value ? 1 : 0, end - begin);
        });
    for (std::int64_t y = 0; y < height; ++y) ends[y + 1] += ends[y];
    for_each_toggle(
        counts, size, height,
        [&](std::uint64_t row, std::uint64_t column) {
            columns[ends[row]++] = static_cast<std::uint32_t>(column);
        },
        [](std::uint64_t, std::uint64_t, bool) {});
    for (std::int64_t y = 1; y < height; ++y) {
        std::uint8_t* row = out + y * row_stride;
        std::memcpy(row, row - row_stride, static_cast<std::size_t>(width));
        for (std::size_t i = ends[y - 1]; i < ends[y]; ++i) row[columns[i]] ^= 1U;
    }
}

std::size_t pack_rle(const std::uint32_t* counts, std::size_t size, char* text) {
    std::size_t length = 0;
    for (std::size_t i = 0; i < size; ++i) {
        // From the fourth on, the difference to the run of the same value before.
        std::int64_t number = std::int64_t{counts[i]} - (i > 2 ? std::int64_t{counts[i - 2]} : 0);
        for (bool more = true; more;) {
            const std::int64_t group = (number % kGroup + kGroup) % kGroup;
            number = (number - group) / kGroup;
            more = number != ((group & kSign) != 0 ? -1 : 0);
            text[length++] = static_cast<char>(group + (more ? kMore : 0) + kFirstCharacter);
        }
    }
    return length;
}

std::ptrdiff_t unpack_rle(const char* text, std::size_t size, std::uint32_t* counts) {
    std::ptrdiff_t found = 0;
    std::int64_t number = 0;
    int shift = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const int group = static_cast<unsigned char>(text[i]) - kFirstCharacter;
        if (group < 0 || group >= 2 * kMore || shift > 6 * kGroupBits) return kBadRle;
        number += std::int64_t{group % kMore} << shift;
        shift += kGroupBits;
        if (group >= kMore) continue;
        if ((group & kSign) != 0) number -= std::int64_t{1} << shift;
        if (found > 2) number += std::int64_t{counts[found - 2]};
        if (number < 0 || number > std::int64_t{0xffffffffU}) return kBadRle;
        counts[found++] = static_cast<std::uint32_t>(number);
        number = 0;
        shift = 0;
    }
    return shift == 0 ? found : kBadRle;
}

}  // namespace EV_ISA
}  // namespace ev
