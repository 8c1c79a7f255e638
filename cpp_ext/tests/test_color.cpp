// The color kernel against a pixel at a time, in buffers that have exactly the size they need.
#include <cstdint>
#include <random>
#include <vector>

#include "check.h"
#include "ev/kernels.h"

namespace {

constexpr ev::YuvCoefficients kBt601{16, 1220542, 1673527, -409993, -852492, 2116026};
constexpr ev::YuvCoefficients kIdentity{0, 1 << 20, 0, 0, 0, 0};

std::vector<std::uint8_t> noise(std::size_t size, unsigned seed) {
    std::mt19937 engine(seed);
    std::vector<std::uint8_t> bytes(size);
    for (std::uint8_t& byte : bytes) byte = static_cast<std::uint8_t>(engine() >> 24);
    return bytes;
}

std::size_t area(int height, int width) {
    return static_cast<std::size_t>(height) * static_cast<std::size_t>(width);
}

void test_terms() {
    const ev::ChromaTerms neutral = ev::chroma_terms(kBt601, 128, 128);
    CHECK(ev::yuv_channel(ev::luma_term(kBt601, 16), neutral.red) == 0);
    CHECK(ev::yuv_channel(ev::luma_term(kBt601, 3), neutral.red) == 0);
    CHECK(ev::yuv_channel(ev::luma_term(kBt601, 235), neutral.green) == 255);
    for (int y = 0; y < 256; ++y) CHECK(ev::yuv_channel(ev::luma_term(kIdentity, y), 1 << 19) == y);
    // The extremes saturate, they do not wrap.
    CHECK(ev::yuv_channel(ev::luma_term(kBt601, 255), ev::chroma_terms(kBt601, 255, 255).blue) == 255);
    CHECK(ev::yuv_channel(ev::luma_term(kBt601, 0), ev::chroma_terms(kBt601, 0, 0).red) == 0);
}

constexpr ev::YuvCoefficients kLargest{255, 3 << 20, 3 << 20, -(3 << 20), -(3 << 20), 3 << 20};
constexpr ev::YuvCoefficients kSmallest{0, -(3 << 20), -(3 << 20), 3 << 20, 3 << 20, -(3 << 20)};

struct Target {
    bool rgb;
    bool planar;
};

void check_frame(const ev::YuvFrame& frame, Target target) {
    const int height = frame.y.height;
    const int width = frame.y.width;
    std::vector<std::uint8_t> out(area(height, width) * 3);
    ev::YuvJob job{};
    job.frame = frame;
    job.out = out.data();
    job.out_row_stride = target.planar ? width : 3 * width;
    job.out_pixel_stride = target.planar ? 1 : 3;
    job.out_channel_stride = target.planar ? std::ptrdiff_t{height} * width : 1;
    job.rgb = target.rgb;

    ev::kernels().convert_yuv(job);

    const auto sample = [](const ev::PlaneView& view, int row, int column) {
        return view.data[row * view.row_stride + column * view.pixel_stride];
    };
    const ev::YuvCoefficients& k = frame.coefficients;
    const int rows = height / frame.u.height;
    int wrong = 0;
    for (int row = 0; row < height; ++row) {
        for (int x = 0; x < width; ++x) {
            const ev::ChromaTerms terms =
                ev::chroma_terms(k, sample(frame.u, row / rows, x / 2), sample(frame.v, row / rows, x / 2));
            const std::int32_t luma = ev::luma_term(k, sample(frame.y, row, x));
            const std::uint8_t* pixel = out.data() + row * job.out_row_stride + x * job.out_pixel_stride;
            const std::uint8_t red = pixel[(target.rgb ? 0 : 2) * job.out_channel_stride];
            const std::uint8_t green = pixel[job.out_channel_stride];
            const std::uint8_t blue = pixel[(target.rgb ? 2 : 0) * job.out_channel_stride];
            if (red != ev::yuv_channel(luma, terms.red)) ++wrong;
            if (green != ev::yuv_channel(luma, terms.green)) ++wrong;
            if (blue != ev::yuv_channel(luma, terms.blue)) ++wrong;
        }
    }
    CHECK(wrong == 0);
}

/// `step`: bytes between samples of every plane. `rows`: luma rows a chroma row serves, 1 or 2.
void check_planes(int height, int width, int rows, int step, Target target) {
    const auto plane = [&](const std::vector<std::uint8_t>& bytes, int h, int w) {
        return ev::PlaneView{bytes.data(), h, w, std::ptrdiff_t{w - 1} * step + 1, step};
    };
    const auto size = [&](int h, int w) {
        return static_cast<std::size_t>(h) * static_cast<std::size_t>((w - 1) * step + 1);
    };
    const std::vector<std::uint8_t> y = noise(size(height, width), 1);
    const std::vector<std::uint8_t> u = noise(size(height / rows, width / 2), 2);
    const std::vector<std::uint8_t> v = noise(size(height / rows, width / 2), 3);
    check_frame({plane(y, height, width), plane(u, height / rows, width / 2),
                 plane(v, height / rows, width / 2), kBt601},
                target);
}

/// NV12 (`first` is 0) or NV21: U and V in turn.
void check_interleaved(int height, int width, int rows, int first, Target target) {
    const int half = width / 2;
    const std::vector<std::uint8_t> y = noise(area(height, width), 1);
    const std::vector<std::uint8_t> chroma = noise(area(height / rows, width), 2);
    check_frame({{y.data(), height, width, width, 1},
                 {chroma.data() + first, height / rows, half, width, 2},
                 {chroma.data() + 1 - first, height / rows, half, width, 2},
                 kBt601},
                target);
}

/// YUYV and its relatives: `luma` is where Y comes in a pair. With two rows to a chroma row half of the
/// chroma is not looked at.
void check_packed(int height, int width, int rows, int luma, bool u_first, Target target) {
    const std::vector<std::uint8_t> samples = noise(area(height, width) * 2, 1);
    const std::ptrdiff_t stride = std::ptrdiff_t{2} * width;
    const std::uint8_t* chroma = samples.data() + 1 - luma;
    check_frame({{samples.data() + luma, height, width, stride, 2},
                 {chroma + (u_first ? 0 : 2), height / rows, width / 2, stride, 4},
                 {chroma + (u_first ? 2 : 0), height / rows, width / 2, stride, 4},
                 kBt601},
                target);
}

/// Every pair of U and V, with luma at both ends and between.
void check_every_chroma(const ev::YuvCoefficients& coefficients) {
    constexpr int height = 512;
    constexpr int width = 512;
    std::vector<std::uint8_t> y = noise(area(height, width), 1);
    std::vector<std::uint8_t> u(area(height / 2, width / 2));
    std::vector<std::uint8_t> v(u.size());
    for (std::size_t i = 0; i < y.size(); i += 2) y[i] = i / width % 2 == 0 ? 0 : 255;
    for (std::size_t i = 0; i < u.size(); ++i) {
        u[i] = static_cast<std::uint8_t>(i % 256);
        v[i] = static_cast<std::uint8_t>(i / 256);
    }
    check_frame({{y.data(), height, width, width, 1},
                 {u.data(), height / 2, width / 2, width / 2, 1},
                 {v.data(), height / 2, width / 2, width / 2, 1},
                 coefficients},
                {true, false});
}

}  // namespace

void run() {
    test_terms();
    for (const int width : {2, 4, 14, 30, 32, 62, 128, 254, 256, 258, 514, 1026}) {
        const bool even = width % 4 == 0;
        for (const int rows : {1, 2}) {
            for (const int step : {1, 2, 4}) {
                check_planes(6, width, rows, step, {even, false});
                check_planes(2, width, rows, step, {!even, true});
            }
            for (const int first : {0, 1}) {
                check_interleaved(4, width, rows, first, {even, false});
                check_packed(4, width, rows, first, even, {even, false});
                check_packed(2, width, rows, first, !even, {!even, true});
            }
        }
    }
    for (const ev::YuvCoefficients& coefficients : {kBt601, kIdentity, kLargest, kSmallest}) {
        check_every_chroma(coefficients);
    }
}
