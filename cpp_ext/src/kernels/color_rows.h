// Rows of YUV as planes of colour: what color.cpp interleaves into pixels and the image family resizes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/color.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// Pixels converted together: their samples and planes stay in the first-level cache.
constexpr int kYuvChunk = 512;

/// Rows that may share their chroma.
constexpr int kYuvRows = 2;

/// Samples side by side, padded to whole steps of kYuvStep pixels.
struct alignas(64) YuvChunk {
    std::uint8_t y[kYuvRows][kYuvChunk];
    std::uint8_t u[kYuvChunk / 2];
    std::uint8_t v[kYuvChunk / 2];
    std::uint8_t pairs[kYuvChunk];  // U and V in turn
};

/// The chroma row of luma row `row`.
inline int chroma_row_of(const YuvFrame& frame, int row) {
    return frame.u.height == frame.y.height ? row : row / 2;
}

/// Writes pixels [x, x + count) of luma rows [row, row + rows), which share a chroma row, to planes[i][0..2]
/// (blue, green, red), from their first byte on and in whole steps of kYuvStep. x and `count` are even, count
/// at most kYuvChunk, `rows` at most kYuvRows.
void convert_chunk(const YuvFrame& frame, int row, int rows, int x, int count, YuvChunk& chunk,
                   std::uint8_t* const planes[kYuvRows][3]);

/// Writes pixels [begin, end) of luma rows [row, row + rows), which share a chroma row, each to the same
/// places of three planes (blue, green, red) of yuv_plane_size(width) bytes, one after the other; bytes
/// outside [begin, end) may change as well.
void convert_yuv_rows(const YuvFrame& frame, int row, int rows, int begin, int end, YuvChunk& chunk,
                      std::uint8_t* const planes[kYuvRows]);

/// Writes `count` pixels to planes[0..2] (blue, green, red), samples[0..2] being their Y, U and V: each has
/// chroma of its own. Samples and planes have room for whole steps of kYuvStep.
void convert_pixels(const YuvCoefficients& coefficients, const std::uint8_t* const samples[3], int count,
                    std::uint8_t* const planes[3]);

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
