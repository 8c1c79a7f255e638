#include "ev/color.h"

#include <algorithm>

namespace ev {
inline namespace EV_ISA {
namespace {

// Pixels computed together: their terms stay in the first-level cache, and each loop below does one thing
// that the compiler turns into vector code.
constexpr int kChunk = 256;

struct Chunk {
    std::int32_t luma[kChunk];
    std::int32_t red[kChunk];  // chroma terms, one a pixel
    std::int32_t green[kChunk];
    std::int32_t blue[kChunk];
    std::uint8_t channels[3][kChunk];  // in the order of the output
};

void load_chroma(const YuvJob& job, int row, int x, int count, Chunk& chunk) {
    const std::uint8_t* u = job.u.data + row * job.u.row_stride + (x / 2) * job.u.pixel_stride;
    const std::uint8_t* v = job.v.data + row * job.v.row_stride + (x / 2) * job.v.pixel_stride;
    const YuvCoefficients coefficients = job.coefficients;
    for (std::ptrdiff_t i = 0; i < count / 2; ++i) {
        const ChromaTerms terms =
            chroma_terms(coefficients, u[i * job.u.pixel_stride], v[i * job.v.pixel_stride]);
        chunk.red[2 * i] = chunk.red[2 * i + 1] = terms.red;
        chunk.green[2 * i] = chunk.green[2 * i + 1] = terms.green;
        chunk.blue[2 * i] = chunk.blue[2 * i + 1] = terms.blue;
    }
}

void load_luma(const YuvJob& job, int row, int x, int count, Chunk& chunk) {
    const std::ptrdiff_t stride = job.y.pixel_stride;
    const std::uint8_t* y = job.y.data + row * job.y.row_stride + x * stride;
    const YuvCoefficients coefficients = job.coefficients;
    if (stride == 1) {
        for (int i = 0; i < count; ++i) chunk.luma[i] = luma_term(coefficients, y[i]);
    } else {
        for (int i = 0; i < count; ++i) chunk.luma[i] = luma_term(coefficients, y[i * stride]);
    }
}

void add(const std::int32_t* luma, const std::int32_t* chroma, int count, std::uint8_t* channel) {
    for (int i = 0; i < count; ++i) channel[i] = yuv_channel(luma[i], chroma[i]);
}

void store(const YuvJob& job, int row, int x, int count, const Chunk& chunk) {
    std::uint8_t* out = job.out + row * job.out_row_stride + x * job.out_pixel_stride;
    if (job.out_pixel_stride == 3 && job.out_channel_stride == 1) {
        for (std::ptrdiff_t i = 0; i < count; ++i) {
            out[3 * i] = chunk.channels[0][i];
            out[3 * i + 1] = chunk.channels[1][i];
            out[3 * i + 2] = chunk.channels[2][i];
        }
        return;
    }
    for (int c = 0; c < 3; ++c) {
        for (int i = 0; i < count; ++i) {
            out[c * job.out_channel_stride + i * job.out_pixel_stride] = chunk.channels[c][i];
        }
    }
}

}  // namespace

void convert_yuv(const YuvJob& job) {
    Chunk chunk;
    const int rows_per_chroma = job.y.height / job.u.height;
    const int red_at = job.rgb ? 0 : 2;
    for (int chroma_row = 0; chroma_row < job.u.height; ++chroma_row) {
        for (int x = 0; x < job.y.width; x += kChunk) {
            const int count = std::min(kChunk, job.y.width - x);
            load_chroma(job, chroma_row, x, count, chunk);
            for (int i = 0; i < rows_per_chroma; ++i) {
                const int row = chroma_row * rows_per_chroma + i;
                load_luma(job, row, x, count, chunk);
                add(chunk.luma, chunk.red, count, chunk.channels[red_at]);
                add(chunk.luma, chunk.green, count, chunk.channels[1]);
                add(chunk.luma, chunk.blue, count, chunk.channels[2 - red_at]);
                store(job, row, x, count, chunk);
            }
        }
    }
}

}  // namespace EV_ISA
}  // namespace ev
