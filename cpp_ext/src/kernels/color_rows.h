// Rows of YUV as planes of colour: what color.cpp interleaves into pixels and the image family resizes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/color.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Pixels converted together: their terms stay in the first-level cache.
constexpr int kYuvChunk = 512;

// What is loaded into a chunk is padded to whole steps of kYuvStep pixels, and planes are written in whole
// steps.

EV_INLINE int round_to_steps(int pixels) {
    return (pixels + kYuvStep - 1) / kYuvStep * kYuvStep;
}

struct alignas(64) YuvChunk {
    std::int32_t blue[kYuvChunk / 2];  // terms of the chroma, one for two pixels
    std::int32_t green[kYuvChunk / 2];
    std::int32_t red[kYuvChunk / 2];
    std::uint8_t y[kYuvChunk];
    std::uint8_t u[kYuvChunk / 2];
    std::uint8_t v[kYuvChunk / 2];
};

/// The terms of chroma row `row` for the pixels [x, x + count); x and `count` are even, count at most
/// kYuvChunk.
void load_chroma(const YuvFrame& frame, int row, int x, int count, YuvChunk& chunk);

/// Writes pixels [x, x + count) of luma row `row` to planes[0..2] (blue, green, red), from their first byte
/// on and in whole steps, with the chroma that load_chroma left in `chunk`.
void convert_chunk(const YuvFrame& frame, int row, int x, int count, YuvChunk& chunk,
                   std::uint8_t* const planes[3]);

/// Writes pixels [begin, end) of luma row `row` to the same places of three planes (blue, green, red) of
/// yuv_plane_size(width) bytes each, one after the other; bytes outside [begin, end) may change as well.
void convert_yuv_row(const YuvFrame& frame, int row, int begin, int end, YuvChunk& chunk,
                     std::uint8_t* planes);

/// Writes `count` pixels to planes[0..2] (blue, green, red), samples[0..2] being their Y, U and V: each has
/// chroma of its own.
void convert_pixels(const YuvCoefficients& coefficients, const std::uint8_t* const samples[3], int count,
                    std::uint8_t* const planes[3]);

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
