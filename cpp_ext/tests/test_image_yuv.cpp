// An image job that reads YUV against the color kernel followed by a job that reads its pixels. Every buffer
// has exactly the size it needs.
#include <cstdint>
#include <new>
#include <random>
#include <vector>

#include "check.h"
#include "ev/kernels.h"

namespace {

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }

    std::vector<std::uint8_t> bytes(int count) {
        std::vector<std::uint8_t> result(static_cast<std::size_t>(count));
        for (std::uint8_t& byte : result) byte = static_cast<std::uint8_t>(between(0, 255));
        return result;
    }

  private:
    std::mt19937 engine_;
};

void write(const ev::ImageJob& job) {
    auto* scratch =
        static_cast<std::byte*>(::operator new(ev::kernels().image_scratch_size(job), std::align_val_t{64}));
    ev::kernels().write_image(job, scratch);
    ::operator delete(scratch, std::align_val_t{64});
}

/// `rows`: luma rows a chroma row serves. `interleaved`: U and V in one plane.
void check_write(int height, int width, int rows, bool interleaved, bool to_gray, ev::Filter filter,
                 Random& random) {
    const int half = width / 2;
    const std::vector<std::uint8_t> luma = random.bytes(height * width);
    const std::vector<std::uint8_t> chroma = random.bytes(height / rows * width);
    ev::YuvFrame frame{};
    frame.coefficients = {16, 1220542, 1673527, -409993, -852492, 2116026};
    frame.y = {luma.data(), height, width, width, 1};
    const std::ptrdiff_t row = interleaved ? width : half;
    const std::ptrdiff_t second = interleaved ? 1 : std::ptrdiff_t{height / rows} * half;
    frame.u = {chroma.data(), height / rows, half, row, interleaved ? 2 : 1};
    frame.v = {chroma.data() + second, height / rows, half, row, interleaved ? 2 : 1};

    std::vector<std::uint8_t> bgr(luma.size() * 3);
    ev::YuvJob convert{};
    convert.frame = frame;
    convert.out = bgr.data();
    convert.out_row_stride = std::ptrdiff_t{3} * width;
    convert.out_pixel_stride = 3;
    convert.out_channel_stride = 1;
    ev::kernels().convert_yuv(convert);

    const int channels = to_gray ? 1 : 3;
    const int out_height = random.between(1, 20);
    const int out_width = random.between(1, 40);
    std::vector<float> table(static_cast<std::size_t>(channels) * 256);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i * 37 % 1021);
    const float pad[] = {-1.0F, -2.0F, -3.0F};
    ev::ImageJob job{};
    job.image = {bgr.data(), height, width, 3, std::ptrdiff_t{3} * width, 3, 1};
    job.resized_height = random.between(1, 40);
    job.resized_width = random.between(1, 80);
    job.offset_y = random.between(-8, 4);
    job.offset_x = random.between(-16, 4);
    job.filter = filter;
    job.order[0] = 2;
    job.order[1] = 1;
    job.to_gray = to_gray;
    job.table = table.data();
    job.pad = pad;
    std::vector<float> results[2];
    for (const bool from_yuv : {false, true}) {
        std::vector<float>& out = results[from_yuv ? 1 : 0];
        out.assign(static_cast<std::size_t>(channels) * static_cast<std::size_t>(out_height * out_width),
                   99.0F);
        job.out = {out.data(), ev::Element::f32,
                   channels,   out_height,
                   out_width,  std::ptrdiff_t{out_height} * out_width,
                   out_width,  1};
        if (from_yuv) {
            job.yuv = &frame;
            job.image = ev::yuv_image(frame);
        }
        write(job);
    }
    CHECK(results[0] == results[1]);
}

}  // namespace

void run() {
    Random random(1);
    constexpr ev::Filter filters[] = {ev::Filter::nearest, ev::Filter::linear, ev::Filter::bilinear_antialias,
                                      ev::Filter::bicubic_antialias};
    for (const int width : {2, 6, 62, 64, 66, 126, 510, 512, 514, 1090}) {
        for (const ev::Filter filter : filters) {
            for (int kind = 0; kind < 8; ++kind) {
                check_write(2 * random.between(1, 12), width, 1 + kind % 2, kind / 2 % 2 == 1, kind / 4 == 1,
                            filter, random);
            }
        }
    }
}
