// Rows of interleaved pixels to planes and back. The plain loops have constant strides, so that compilers
// turn them into shuffles; where they do not, there are intrinsics.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "image_rows.h"
#include "split_pixels.h"

#if defined(__AVX2__)
#include <immintrin.h>
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Where a row's pixels lie if three channels are three neighbouring bytes of every 3 or 4, in any order.
struct PackedRow {
    const std::uint8_t* data;  // the first of the three bytes of pixel 0
    int stride;                // 3 or 4; 0: the row is not packed
    int position[3];           // of each channel among the three bytes
};

inline PackedRow packed_row(const SourceRow& row) {
    const std::ptrdiff_t* offset = row.channel_offset;
    const std::ptrdiff_t least = std::min(offset[0], std::min(offset[1], offset[2]));
    PackedRow packed{row.data + least, 0, {}};
    bool found[3] = {};
    for (int c = 0; c < 3; ++c) {
        const std::ptrdiff_t position = offset[c] - least;
        if (position > 2) return packed;
        packed.position[c] = static_cast<int>(position);
        found[position] = true;
    }
    const bool apart = found[0] && found[1] && found[2];
    if (apart && (row.pixel_stride == 3 || row.pixel_stride == 4)) {
        packed.stride = static_cast<int>(row.pixel_stride);
    }
    return packed;
}

template <int Stride>
inline void split_pixels(const std::uint8_t* __restrict pixels, std::ptrdiff_t count,
                         std::uint8_t* __restrict first, std::uint8_t* __restrict second,
                         std::uint8_t* __restrict third) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        first[i] = pixels[Stride * i];
        second[i] = pixels[Stride * i + 1];
        third[i] = pixels[Stride * i + 2];
    }
}

/// Channel c of `count` packed pixels to planes + c * pitch.
inline void split_packed(const PackedRow& row, int count, std::uint8_t* planes, std::ptrdiff_t pitch) {
    std::uint8_t* plane[3] = {};
    for (int c = 0; c < 3; ++c) plane[row.position[c]] = planes + c * pitch;
    if (row.stride == 3) {
        std::ptrdiff_t i = 0;
#if EV_SPLIT_PIXELS
        while (count >= kSplitPixels) {
            PlaneBytes bytes[3];
            split_pixels_at(row.data + 3 * i, bytes);
            for (int p = 0; p < 3; ++p) store_plane(plane[p] + i, bytes[p]);
            if (i == count - kSplitPixels) return;
            // The last step may do some pixels again.
            i = std::min<std::ptrdiff_t>(i + kSplitPixels, count - kSplitPixels);
        }
#endif
        split_pixels<3>(row.data + 3 * i, count - i, plane[0] + i, plane[1] + i, plane[2] + i);
    } else {
        split_pixels<4>(row.data, count, plane[0], plane[1], plane[2]);
    }
}

/// Three planes to pixels of three neighbouring bytes.
inline void join_planes(const std::uint8_t* __restrict first, const std::uint8_t* __restrict second,
                        const std::uint8_t* __restrict third, std::ptrdiff_t count,
                        std::uint8_t* __restrict pixels) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        pixels[3 * i] = first[i];
        pixels[3 * i + 1] = second[i];
        pixels[3 * i + 2] = third[i];
    }
}

/// Pixels [first, first + count) of a row: channel c to planes + c * pitch.
inline void split_row(const SourceRow& row, int channels, int first, int count, std::uint8_t* planes,
                      std::ptrdiff_t pitch) {
    PackedRow packed = channels == 3 ? packed_row(row) : PackedRow{};
    if (packed.stride != 0) {
        packed.data += std::ptrdiff_t{first} * packed.stride;
        split_packed(packed, count, planes, pitch);
        return;
    }
    for (int c = 0; c < channels; ++c) {
        const std::uint8_t* pixels = row.data + row.channel_offset[c] + first * row.pixel_stride;
        std::uint8_t* plane = planes + c * pitch;
        if (row.pixel_stride == 1) {
            std::memcpy(plane, pixels, static_cast<std::size_t>(count));
        } else {
            for (int i = 0; i < count; ++i) plane[i] = pixels[i * row.pixel_stride];
        }
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
