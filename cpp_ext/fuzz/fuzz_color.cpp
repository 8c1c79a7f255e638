// YUV to pixels and to tensors: planar, semi-planar and packed frames of both subsamplings, planes of any
// layout.
#include <algorithm>

#include "image_jobs.h"
#include "target.h"

namespace {

using namespace ev::fuzz;

/// BT.601 and BT.709, limited and full range, to within a unit: the sums stay inside 32 bits.
ev::YuvCoefficients choose_coefficients(Bytes& bytes) {
    constexpr ev::YuvCoefficients known[] = {{16, 1220542, 1673527, -409993, -852492, 2116026},
                                             {0, 1048576, 1470104, -360857, -748830, 1858076},
                                             {16, 1220945, 1879825, -223607, -558796, 2215014},
                                             {0, 1048576, 1651297, -196423, -490864, 1945738}};
    return known[bytes.between(0, 3)];
}

ev::PlaneView choose_plane(Bytes& bytes, int height, int width) {
    const Layout layout = choose_layout(bytes, {1, height, width});
    return {take_bits<std::uint8_t>(bytes, layout.span) + layout.first, height, width, layout.stride[1],
            layout.stride[2]};
}

/// NV12 or NV21: the chroma samples alternate in one plane, whose end is a chroma sample's.
void choose_interleaved(Bytes& bytes, ev::YuvFrame* frame, int height, int width) {
    const std::ptrdiff_t stride = std::ptrdiff_t{2} * width + bytes.size(0, 0, 9);
    const std::uint8_t* pairs = take_bits<std::uint8_t>(
        bytes, static_cast<std::size_t>(stride * (height - 1)) + 2 * static_cast<std::size_t>(width));
    const int first = bytes.between(0, 1);
    frame->u = {pairs + first, height, width, stride, 2};
    frame->v = {pairs + 1 - first, height, width, stride, 2};
}

/// YUYV or UYVY: everything in one plane.
void choose_packed(Bytes& bytes, ev::YuvFrame* frame, int height, int width) {
    const std::ptrdiff_t stride = std::ptrdiff_t{2} * width + bytes.size(0, 0, 9);
    const std::uint8_t* samples = take_bits<std::uint8_t>(
        bytes, static_cast<std::size_t>(stride * (height - 1)) + 2 * static_cast<std::size_t>(width));
    const int luma = bytes.between(0, 1);
    frame->y = {samples + luma, height, width, stride, 2};
    frame->u = {samples + 1 - luma, height, width / 2, stride, 4};
    frame->v = {samples + 3 - luma, height, width / 2, stride, 4};
}

ev::YuvFrame choose_frame(Bytes& bytes) {
    const int form = bytes.between(0, 3);
    const bool halved = form != 3 && bytes.flag();  // 4:2:0
    const int width = bytes.between(0, 7) == 0 ? 30 * bytes.between(1, 20) : 2 * bytes.size(1, 24, 100);
    const int height = halved ? 2 * bytes.size(1, 4, 12) : bytes.size(1, 8, 24);
    const int chroma_height = halved ? height / 2 : height;
    ev::YuvFrame frame{};
    frame.coefficients = choose_coefficients(bytes);
    if (form == 3) {
        choose_packed(bytes, &frame, height, width);
        return frame;
    }
    frame.y = choose_plane(bytes, height, width);
    if (form == 2) {
        choose_interleaved(bytes, &frame, chroma_height, width / 2);
    } else {
        frame.u = choose_plane(bytes, chroma_height, width / 2);
        frame.v = choose_plane(bytes, chroma_height, width / 2);
    }
    return frame;
}

void run_convert(Bytes& bytes, const ev::YuvFrame& frame) {
    ev::YuvJob job{};
    job.frame = frame;
    job.rgb = bytes.flag();
    const Layout out = choose_image_layout(bytes, frame.y.height, frame.y.width, 3);
    const std::size_t shift = choose_shift<std::uint8_t>(bytes);
    job.out_row_stride = out.stride[0];
    job.out_pixel_stride = out.stride[1];
    job.out_channel_stride = out.stride[2];
    agree([&](Results& results) {
        auto* pixels = memory.take<std::uint8_t>(out.span, shift);
        job.out = pixels + out.first;
        ev::kernels().convert_yuv(job);
        add_elements(results, out, pixels);
    });
}

/// A part of the frame that shows single pixels, in every way that kernels gather them: sizes between which
/// INTER_NEAREST skips or repeats pixels, or whole numbers between them.
void pick_pixels(Bytes& bytes, ev::ImageJob& job) {
    const int whole = 2 * bytes.between(0, 2) + 1;
    job.filter = bytes.flag() ? ev::Filter::nearest : ev::Filter::linear;
    job.resized_height = std::max(1, job.image.height / whole);
    job.resized_width = std::max(1, job.image.width / whole);
    if (bytes.between(0, 3) == 0) job.resized_width = bytes.size(1, 100, 250);
    job.offset_y = bytes.between(-1, 1);
    job.offset_x = bytes.between(-3, 3);
    job.out.width = std::max(job.out.width, bytes.size(1, 24, 150));
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    const ev::YuvFrame frame = choose_frame(bytes);
    if (bytes.flag()) {
        run_convert(bytes, frame);
    } else {
        ev::ImageJob job = choose_job(bytes, 3);
        job.yuv = &frame;
        job.image = ev::yuv_image(frame);
        if (bytes.between(0, 3) == 0) pick_pixels(bytes, job);
        run_image(bytes, job);
    }
}
