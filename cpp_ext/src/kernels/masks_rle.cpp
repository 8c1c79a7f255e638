#include "ev/masks_rle.h"

#include <algorithm>
#include <cstring>

namespace ev {
inline namespace EV_ISA {
namespace {

constexpr std::int64_t kWord = 8;
constexpr int kGroupBits = 5;
constexpr std::int64_t kGroup = std::int64_t{1} << kGroupBits;
constexpr int kMore = 0x20;  // another group follows
constexpr int kSign = 0x10;  // of a number's last group
constexpr int kFirstCharacter = 48;

/// Calls change(column, row), rows in image pixels and ascending for each column, wherever a pixel of the
/// image differs from the one before it, in the order down the columns; a last row of the image's height is
/// the next column's first.
template <class Change>
void for_each_change(const CropView& crop, Change&& change) {
    if (crop.height == 0 || crop.width == 0) return;
    const bool to_bottom = crop.top + crop.height == crop.image_height;
    const bool whole_columns = crop.top == 0 && to_bottom;
    const std::uint8_t* last = crop.data + (crop.height - 1) * crop.row_stride;
    for (std::int64_t x = 0; x < crop.width; ++x) {
        const bool before = whole_columns && x > 0 && last[x - 1] != 0;
        if ((crop.data[x] != 0) != before) change(x, crop.top);
    }
    for (std::int64_t y = 1; y < crop.height; ++y) {
        const std::uint8_t* below = crop.data + y * crop.row_stride;
        const std::uint8_t* above = below - crop.row_stride;
        std::int64_t x = 0;
        for (; x + kWord <= crop.width; x += kWord) {
            // Most rows repeat the one above them nearly everywhere.
            if (std::memcmp(below + x, above + x, kWord) == 0) continue;
            for (std::int64_t i = x; i < x + kWord; ++i) {
                if ((below[i] != 0) != (above[i] != 0)) change(i, crop.top + y);
            }
        }
        for (; x < crop.width; ++x) {
            if ((below[x] != 0) != (above[x] != 0)) change(x, crop.top + y);
        }
    }
    const bool at_end = to_bottom && crop.left + crop.width == crop.image_width;
    for (std::int64_t x = 0; x < crop.width; ++x) {
        const bool goes_on = x + 1 < crop.width ? whole_columns : at_end;
        if (last[x] != 0 && !goes_on) change(x, crop.top + crop.height);
    }
}

}  // namespace

std::size_t count_runs(const CropView& crop, std::uint32_t* ends) {
    std::fill_n(ends, crop.width + 1, 0U);
    for_each_change(crop, [&](std::int64_t x, std::int64_t) { ++ends[x + 1]; });
    for (std::int64_t x = 0; x < crop.width; ++x) ends[x + 1] += ends[x];
    return std::size_t{ends[crop.width]} + 1;
}

void encode_rle(const CropView& crop, std::uint32_t* ends, std::uint32_t* counts, std::size_t size) {
    for_each_change(crop, [&](std::int64_t x, std::int64_t y) {
        counts[ends[x]++] = static_cast<std::uint32_t>((crop.left + x) * crop.image_height + y);
    });
    counts[size - 1] = static_cast<std::uint32_t>(crop.image_height * crop.image_width);
    for (std::size_t i = size; i-- > 1;) counts[i] -= counts[i - 1];
}

void decode_rle(const std::uint32_t* counts, std::size_t size, std::uint8_t* out, std::int64_t height,
                std::int64_t width, std::ptrdiff_t row_stride) {
    if (height == 0 || width == 0) return;
    for (std::int64_t y = 0; y < height; ++y) std::fill_n(out + y * row_stride, width, std::uint8_t{0});
    // First where a pixel differs from the one above it, and the first row itself.
    std::int64_t begin = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const std::int64_t end = begin + std::int64_t{counts[i]};
        const std::int64_t row = begin % height;
        const std::int64_t column = begin / height;
        if (i > 0 && row != 0) out[row * row_stride + column] ^= 1U;
        const std::int64_t first_top = row == 0 ? column : column + 1;
        const std::int64_t end_top = (end + height - 1) / height;
        if (first_top < end_top) std::fill(out + first_top, out + end_top, static_cast<std::uint8_t>(i % 2));
        begin = end;
    }
    for (std::int64_t y = 1; y < height; ++y) {
        std::uint8_t* below = out + y * row_stride;
        const std::uint8_t* above = below - row_stride;
        for (std::int64_t x = 0; x < width; ++x) below[x] = static_cast<std::uint8_t>(below[x] ^ above[x]);
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
