#include "ev/color.h"

#include <algorithm>
#include <cstring>

#include "color_rows.h"
#include "interleave.h"

namespace ev {
inline namespace EV_ISA {
namespace {

static_assert(kYuvStep % detail::kInterleaveStep == 0, "planes are padded to whole steps of both");

struct Planes {
    alignas(64) std::uint8_t bytes[3][detail::kYuvChunk];  // blue, green, red
};

void store(const YuvJob& job, int row, int x, int count, const Planes& planes) {
    std::uint8_t* out = job.out + row * job.out_row_stride + x * job.out_pixel_stride;
    const std::uint8_t* channels[3] = {planes.bytes[0], planes.bytes[1], planes.bytes[2]};
    if (job.rgb) std::swap(channels[0], channels[2]);
    if (job.out_pixel_stride == 3 && job.out_channel_stride == 1) {
        detail::interleave(channels[0], channels[1], channels[2], count, out);
        return;
    }
    for (int c = 0; c < 3; ++c, out += job.out_channel_stride) {
        if (job.out_pixel_stride == 1) {
            std::memcpy(out, channels[c], static_cast<std::size_t>(count));
        } else {
            for (int i = 0; i < count; ++i) out[i * job.out_pixel_stride] = channels[c][i];
        }
    }
}

}  // namespace

void convert_yuv(const YuvJob& job) {
    detail::YuvChunk chunk;
    Planes planes;
    std::uint8_t* const colors[3] = {planes.bytes[0], planes.bytes[1], planes.bytes[2]};
    const YuvFrame& frame = job.frame;
    const int rows_per_chroma = frame.y.height / frame.u.height;
    for (int chroma_row = 0; chroma_row < frame.u.height; ++chroma_row) {
        for (int x = 0; x < frame.y.width; x += detail::kYuvChunk) {
            const int count = std::min(detail::kYuvChunk, frame.y.width - x);
            detail::load_chroma(frame, chroma_row, x, count, chunk);
            for (int i = 0; i < rows_per_chroma; ++i) {
                const int row = chroma_row * rows_per_chroma + i;
                detail::convert_chunk(frame, row, x, count, chunk, colors);
                store(job, row, x, count, planes);
            }
        }
    }
}

}  // namespace EV_ISA
}  // namespace ev
