#include "color_rows.h"

#include <algorithm>
#include <cstring>

#include "color_step.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

/// Copies every step-th byte, the common steps apart, so that the compiler sees a constant.
void gather(const std::uint8_t* samples, std::ptrdiff_t step, std::ptrdiff_t count, std::uint8_t* out) {
    if (step == 1) {
        std::memcpy(out, samples, static_cast<std::size_t>(count));
    } else if (step == 2) {
        for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = samples[2 * i];
    } else if (step == 4) {
        for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = samples[4 * i];
    } else {
        for (std::ptrdiff_t i = 0; i < count; ++i) out[i] = samples[i * step];
    }
}

const std::uint8_t* sample_at(const PlaneView& plane, int row, int column) {
    return plane.data + row * plane.row_stride + column * plane.pixel_stride;
}

void convert_each(const YuvCoefficients k, const std::uint8_t* __restrict y, const std::uint8_t* __restrict u,
                  const std::uint8_t* __restrict v, int count, std::uint8_t* __restrict blue,
                  std::uint8_t* __restrict green, std::uint8_t* __restrict red) {
    for (int i = 0; i < count; ++i) {
        const std::int32_t luma = luma_term(k, y[i]);
        const ChromaTerms terms = chroma_terms(k, u[i], v[i]);
        blue[i] = yuv_channel(luma, terms.blue);
        green[i] = yuv_channel(luma, terms.green);
        red[i] = yuv_channel(luma, terms.red);
    }
}

}  // namespace

void load_chroma(const YuvFrame& frame, int row, int x, int count, YuvChunk& chunk) {
    const int samples = count / 2;
    const int padded = round_to_steps(count) / 2;
    gather(sample_at(frame.u, row, x / 2), frame.u.pixel_stride, samples, chunk.u);
    gather(sample_at(frame.v, row, x / 2), frame.v.pixel_stride, samples, chunk.v);
    std::fill(chunk.u + samples, chunk.u + padded, std::uint8_t{0});
    std::fill(chunk.v + samples, chunk.v + padded, std::uint8_t{0});
    const YuvCoefficients coefficients = frame.coefficients;
    for (int i = 0; i < padded; ++i) {
        const ChromaTerms terms = chroma_terms(coefficients, chunk.u[i], chunk.v[i]);
        chunk.blue[i] = terms.blue;
        chunk.green[i] = terms.green;
        chunk.red[i] = terms.red;
    }
}

void convert_chunk(const YuvFrame& frame, int row, int x, int count, YuvChunk& chunk,
                   std::uint8_t* const planes[3]) {
    const int padded = round_to_steps(count);
    const std::uint8_t* y = sample_at(frame.y, row, x);
    if (frame.y.pixel_stride != 1 || count != padded) {
        gather(y, frame.y.pixel_stride, count, chunk.y);
        std::fill(chunk.y + count, chunk.y + padded, std::uint8_t{0});
        y = chunk.y;
    }
    const ColorStep step(frame.coefficients);
    for (int i = 0; i < padded; i += kYuvStep) {
        step.convert(y + i, chunk.blue + i / 2, chunk.green + i / 2, chunk.red + i / 2, planes[0] + i,
                     planes[1] + i, planes[2] + i);
    }
}

void convert_yuv_row(const YuvFrame& frame, int row, int begin, int end, YuvChunk& chunk,
                     std::uint8_t* planes) {
    const std::ptrdiff_t size = yuv_plane_size(frame.y.width);
    const int chroma_row = frame.u.height == frame.y.height ? row : row / 2;
    const int last = end + end % 2;  // the width is even, so that a pixel's neighbour is always there
    // Planes are written in whole steps: from the even pixel before `begin` at most to width + kYuvStep - 1.
    for (int x = begin - begin % 2; x < last; x += kYuvChunk) {
        const int count = std::min(kYuvChunk, last - x);
        std::uint8_t* const out[3] = {planes + x, planes + size + x, planes + 2 * size + x};
        load_chroma(frame, chroma_row, x, count, chunk);
        convert_chunk(frame, row, x, count, chunk, out);
    }
}

void convert_pixels(const YuvCoefficients& coefficients, const std::uint8_t* const samples[3], int count,
                    std::uint8_t* const planes[3]) {
    convert_each(coefficients, samples[0], samples[1], samples[2], count, planes[0], planes[1], planes[2]);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
