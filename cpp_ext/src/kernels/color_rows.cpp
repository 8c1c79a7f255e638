#include "color_rows.h"

#include <algorithm>
#include <cstring>

#include "color_step.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

std::ptrdiff_t round_to_steps(int pixels) {
    return std::ptrdiff_t{pixels + kYuvStep - 1} / kYuvStep * kYuvStep;
}

// Not inlined: GCC 12 forgets there what __restrict says, and moves one byte at a time.
[[gnu::noinline]] void split_pairs(const std::uint8_t* __restrict pairs, std::ptrdiff_t count,
                                   std::uint8_t* __restrict first, std::uint8_t* __restrict second) {
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        first[i] = pairs[2 * i];
        second[i] = pairs[2 * i + 1];
    }
}

const std::uint8_t* sample_at(const PlaneView& plane, int row, int column) {
    return plane.data + row * plane.row_stride + column * plane.pixel_stride;
}

void copy_samples(const PlaneView& plane, int row, int column, std::ptrdiff_t count, std::uint8_t* out) {
    const std::uint8_t* samples = sample_at(plane, row, column);
    if (plane.pixel_stride == 1) {
        std::memcpy(out, samples, static_cast<std::size_t>(count));
    } else {
        for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = samples[i * plane.pixel_stride];
    }
}

/// Whether samples of `first` and `second` alternate, `step` bytes from one to the next, first's before.
bool alternate(const PlaneView& first, const PlaneView& second, std::ptrdiff_t step) {
    return first.pixel_stride == 2 * step && second.pixel_stride == 2 * step &&
           first.row_stride == second.row_stride && second.data == first.data + step;
}

/// Splits pairs of U and V.
void split_chroma(const YuvFrame& frame, const std::uint8_t* pairs, std::ptrdiff_t count, YuvChunk& chunk) {
    const bool u_first = frame.u.data < frame.v.data;
    split_pairs(pairs, count, u_first ? chunk.u : chunk.v, u_first ? chunk.v : chunk.u);
}

/// One row of YUYV, or of the same in another order; false if the frame is none.
bool load_packed(const YuvFrame& frame, int row, int x, int count, YuvChunk& chunk) {
    const bool u_first = frame.u.data < frame.v.data;
    const PlaneView& chroma = u_first ? frame.u : frame.v;
    if (frame.u.height != frame.y.height) return false;
    if (!alternate(chroma, u_first ? frame.v : frame.u, 2)) return false;
    if (frame.y.pixel_stride != 2 || frame.y.row_stride != chroma.row_stride) return false;
    if (frame.y.data + 1 == chroma.data) {
        split_pairs(sample_at(frame.y, row, x), count, chunk.y[0], chunk.pairs);
    } else if (chroma.data + 1 == frame.y.data) {
        split_pairs(sample_at(chroma, row, x / 2), count, chunk.pairs, chunk.y[0]);
    } else {
        return false;
    }
    split_chroma(frame, chunk.pairs, count / 2, chunk);
    return true;
}

void load_chroma(const YuvFrame& frame, int row, int x, int count, YuvChunk& chunk) {
    const std::ptrdiff_t samples = count / 2;
    if (alternate(frame.u, frame.v, 1)) {
        split_chroma(frame, sample_at(frame.u, row, x / 2), samples, chunk);
    } else if (alternate(frame.v, frame.u, 1)) {
        split_chroma(frame, sample_at(frame.v, row, x / 2), samples, chunk);
    } else {
        copy_samples(frame.u, row, x / 2, samples, chunk.u);
        copy_samples(frame.v, row, x / 2, samples, chunk.v);
    }
}

template <int Rows>
void convert_steps(const YuvCoefficients& coefficients, const std::uint8_t* const y[Rows],
                   const YuvChunk& chunk, std::ptrdiff_t count, std::uint8_t* const planes[Rows][3]) {
    const ColorStep step(coefficients);
    for (std::ptrdiff_t i = 0; i < count; i += ColorStep::kPixels) {
        const std::uint8_t* luma[Rows];
        std::uint8_t* out[Rows][3];
        for (int r = 0; r < Rows; ++r) {
            luma[r] = y[r] + i;
            for (int c = 0; c < 3; ++c) out[r][c] = planes[r][c] + i;
        }
        step.convert<Rows>(luma, chunk.u + i / 2, chunk.v + i / 2, out);
    }
}

}  // namespace

void convert_chunk(const YuvFrame& frame, int row, int rows, int x, int count, YuvChunk& chunk,
                   std::uint8_t* const planes[kYuvRows][3]) {
    const std::ptrdiff_t padded = round_to_steps(count);
    const std::uint8_t* y[kYuvRows] = {chunk.y[0], chunk.y[1]};
    if (rows > 1 || !load_packed(frame, row, x, count, chunk)) {
        load_chroma(frame, chroma_row_of(frame, row), x, count, chunk);
        for (int i = 0; i < rows; ++i) {
            if (frame.y.pixel_stride == 1 && count == padded) {
                y[i] = sample_at(frame.y, row + i, x);
            } else {
                copy_samples(frame.y, row + i, x, count, chunk.y[i]);
            }
        }
    }
    std::fill(chunk.u + count / 2, chunk.u + padded / 2, std::uint8_t{0});
    std::fill(chunk.v + count / 2, chunk.v + padded / 2, std::uint8_t{0});
    for (int i = 0; i < rows; ++i) std::fill(chunk.y[i] + count, chunk.y[i] + padded, std::uint8_t{0});
    if (rows == 2) {
        convert_steps<2>(frame.coefficients, y, chunk, padded, planes);
    } else {
        convert_steps<1>(frame.coefficients, y, chunk, padded, planes);
    }
}

void convert_yuv_rows(const YuvFrame& frame, int row, int rows, int begin, int end, YuvChunk& chunk,
                      std::uint8_t* const planes[kYuvRows]) {
    const std::ptrdiff_t size = yuv_plane_size(frame.y.width);
    const int last = end + end % 2;  // the width is even, so that a pixel's neighbour is always there
    // Planes are written in whole steps: from the even pixel before `begin` at most to width + kYuvStep - 1.
    for (int x = begin - begin % 2; x < last; x += kYuvChunk) {
        const int count = std::min(kYuvChunk, last - x);
        std::uint8_t* out[kYuvRows][3] = {};
        for (int i = 0; i < rows; ++i) {
            for (int c = 0; c < 3; ++c) out[i][c] = planes[i] + c * size + x;
        }
        convert_chunk(frame, row, rows, x, count, chunk, out);
    }
}

void convert_pixels(const YuvCoefficients& coefficients, const std::uint8_t* const samples[3], int count,
                    std::uint8_t* const planes[3]) {
    const ColorStep step(coefficients);
    for (std::ptrdiff_t i = 0; i < count; i += ColorStep::kPixels) {
        std::uint8_t* const out[3] = {planes[0] + i, planes[1] + i, planes[2] + i};
        step.convert_apart(samples[0] + i, samples[1] + i, samples[2] + i, out);
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
