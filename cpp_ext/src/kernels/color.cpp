#include "ev/color.h"

#include <algorithm>
#include <cstring>

#include "color_rows.h"
#include "interleave.h"

namespace ev {
inline namespace EV_ISA {
namespace {

static_assert(kYuvStep % detail::kInterleaveStep == 0, "planes are padded to whole steps of both");

using Planes = std::uint8_t[3][detail::kYuvChunk];  // blue, green, red

void store(const YuvJob& job, int row, int x, int count, const Planes& planes) {
    std::uint8_t* out = job.out + row * job.out_row_stride + x * job.out_pixel_stride;
    const std::uint8_t* channels[3] = {planes[0], planes[1], planes[2]};
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
    alignas(64) Planes planes[detail::kYuvRows];
    std::uint8_t* colors[detail::kYuvRows][3];
    for (int i = 0; i < detail::kYuvRows; ++i) {
        for (int c = 0; c < 3; ++c) colors[i][c] = planes[i][c];
    }
    const YuvFrame& frame = job.frame;
    const int rows = frame.y.height / frame.u.height;
    for (int row = 0; row < frame.y.height; row += rows) {
        for (int x = 0; x < frame.y.width; x += detail::kYuvChunk) {
            const int count = std::min(detail::kYuvChunk, frame.y.width - x);
            detail::convert_chunk(frame, row, rows, x, count, chunk, colors);
            for (int i = 0; i < rows; ++i) store(job, row + i, x, count, planes[i]);
        }
    }
}

}  // namespace EV_ISA
}  // namespace ev
