// Rows of interleaved pixels to planes and back. The plain loops have constant strides, so that compilers
// turn them into shuffles; where they do not, there are intrinsics.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

#include "copy_bytes.h"
#include "first_bytes.h"
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
    // Of rows that are still to be converted there is no data: nothing may be added to it.
    if (row.pixel_stride != 3 && row.pixel_stride != 4) return PackedRow{row.data, 0, {}};
    const std::ptrdiff_t* offset = row.channel_offset;
    const std::ptrdiff_t least = std::min(offset[0], std::min(offset[1], offset[2]));
    PackedRow packed{row.data + least, 0, {}};
    unsigned found = 0;
    for (int c = 0; c < 3; ++c) {
        const std::ptrdiff_t position = offset[c] - least;
        if (position > 2) return packed;
        packed.position[c] = static_cast<int>(position);
        found |= 1U << position;
    }
    if (found == 7) packed.stride = static_cast<int>(row.pixel_stride);
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

/// Whether something may be written beyond the planes' last pixels, up to a whole step.
enum class Planes : bool { exact, padded };

#if EV_SPLIT_PIXELS

/// Fewer pixels than a step takes, of which nothing beyond the last is read.
template <Planes Kind>
inline void split_few(const std::uint8_t* pixels, int count, std::uint8_t* const planes[3]) {
    alignas(64) std::uint8_t few[128];
    PlaneBytes bytes[3];
#if defined(__AVX512BW__)
    const std::ptrdiff_t size = std::ptrdiff_t{3} * count;
    _mm512_store_si512(few, _mm512_maskz_loadu_epi8(first_bytes(size), pixels));
    _mm512_store_si512(few + 64, _mm512_maskz_loadu_epi8(first_bytes(size - 64), pixels + 64));
    split_pixels_at(few, bytes);
    for (int p = 0; p < 3; ++p) {
        if constexpr (Kind == Planes::padded) {
            // 64 bytes that whoever reads a whole register of them finds in one piece.
            _mm512_storeu_si512(planes[p], _mm512_zextsi256_si512(bytes[p]));
        } else {
            _mm256_mask_storeu_epi8(planes[p], static_cast<__mmask32>(first_bytes(count)), bytes[p]);
        }
    }
#else
    std::memcpy(few, pixels, static_cast<std::size_t>(count) * 3);
    split_pixels_at(few, bytes);
    for (int p = 0; p < 3; ++p) {
        if constexpr (Kind == Planes::padded) {
            store_plane(planes[p], bytes[p]);
        } else {
            store_plane(few, bytes[p]);
            std::memcpy(planes[p], few, static_cast<std::size_t>(count));
        }
    }
#endif
}

#endif

/// Channel c of `count` packed pixels to planes + c * pitch.
template <Planes Kind = Planes::exact>
inline void split_packed(const PackedRow& row, int count, std::uint8_t* planes, std::ptrdiff_t pitch) {
    std::uint8_t* plane[3] = {};
    for (int c = 0; c < 3; ++c) plane[row.position[c]] = planes + c * pitch;
    if (row.stride == 3) {
#if EV_SPLIT_PIXELS
        std::ptrdiff_t i = 0;
        while (count >= kSplitPixels) {
            PlaneBytes bytes[3];
            split_pixels_at(row.data + 3 * i, bytes);
            for (int p = 0; p < 3; ++p) store_plane(plane[p] + i, bytes[p]);
            if (i == count - kSplitPixels) return;
            // The last step may do some pixels again.
            i = std::min<std::ptrdiff_t>(i + kSplitPixels, count - kSplitPixels);
        }
        split_few<Kind>(row.data, count, plane);
#else
        split_pixels<3>(row.data, count, plane[0], plane[1], plane[2]);
#endif
    } else {
        split_pixels<4>(row.data, count, plane[0], plane[1], plane[2]);
    }
}

/// Pixels [first, first + count) of a row: channel c to planes + c * pitch.
template <Planes Kind = Planes::exact>
inline void split_row(const SourceRow& row, int channels, int first, int count, std::uint8_t* planes,
                      std::ptrdiff_t pitch) {
    PackedRow packed = channels == 3 ? packed_row(row) : PackedRow{};
    if (packed.stride != 0) {
        packed.data += std::ptrdiff_t{first} * packed.stride;
        split_packed<Kind>(packed, count, planes, pitch);
        return;
    }
    for (int c = 0; c < channels; ++c) {
        const std::uint8_t* pixels = row.data + row.channel_offset[c] + first * row.pixel_stride;
        std::uint8_t* plane = planes + c * pitch;
        if (row.pixel_stride == 1) {
            copy_bytes(pixels, static_cast<std::size_t>(count), plane);
        } else {
            for (int i = 0; i < count; ++i) plane[i] = pixels[i * row.pixel_stride];
        }
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
