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

/// `step`: bytes between samples of every plane. `rows`: luma rows a chroma row serves, 1 or 2.
void check_convert(int height, int width, int rows, int step, bool rgb, bool planar_out) {
    const auto plane = [&](const std::vector<std::uint8_t>& bytes, int h, int w) {
        return ev::PlaneView{bytes.data(), h, w, std::ptrdiff_t{w - 1} * step + 1, step};
    };
    const auto size = [&](int h, int w) {
        return static_cast<std::size_t>(h) * static_cast<std::size_t>((w - 1) * step + 1);
    };
    const std::vector<std::uint8_t> y = noise(size(height, width), 1);
    const std::vector<std::uint8_t> u = noise(size(height / rows, width / 2), 2);
    const std::vector<std::uint8_t> v = noise(size(height / rows, width / 2), 3);
    std::vector<std::uint8_t> out(area(height, width) * 3);
    ev::YuvJob job{};
    job.frame.y = plane(y, height, width);
    job.frame.u = plane(u, height / rows, width / 2);
    job.frame.v = plane(v, height / rows, width / 2);
    job.out = out.data();
    job.out_row_stride = planar_out ? width : 3 * width;
    job.out_pixel_stride = planar_out ? 1 : 3;
    job.out_channel_stride = planar_out ? std::ptrdiff_t{height} * width : 1;
    job.frame.coefficients = kBt601;
    job.rgb = rgb;

    ev::kernels().convert_yuv(job);

    const auto sample = [](const ev::PlaneView& view, int row, int column) {
        return view.data[row * view.row_stride + column * view.pixel_stride];
    };
    for (int row = 0; row < height; ++row) {
        for (int x = 0; x < width; ++x) {
            const ev::ChromaTerms terms = ev::chroma_terms(kBt601, sample(job.frame.u, row / rows, x / 2),
                                                           sample(job.frame.v, row / rows, x / 2));
            const std::int32_t luma = ev::luma_term(kBt601, sample(job.frame.y, row, x));
            const std::uint8_t* pixel = out.data() + row * job.out_row_stride + x * job.out_pixel_stride;
            CHECK(pixel[(rgb ? 0 : 2) * job.out_channel_stride] == ev::yuv_channel(luma, terms.red));
            CHECK(pixel[job.out_channel_stride] == ev::yuv_channel(luma, terms.green));
            CHECK(pixel[(rgb ? 2 : 0) * job.out_channel_stride] == ev::yuv_channel(luma, terms.blue));
        }
    }
}

}  // namespace

void run() {
    test_terms();
    for (const int width : {2, 4, 14, 30, 254, 256, 258, 514, 1026}) {
        for (const int rows : {1, 2}) {
            for (const int step : {1, 2, 4}) {
                check_convert(6, width, rows, step, width % 4 == 0, false);
                check_convert(2, width, rows, step, width % 4 != 0, true);
            }
        }
    }
}
