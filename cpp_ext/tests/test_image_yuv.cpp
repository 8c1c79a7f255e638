// An image job that reads YUV against the color kernel followed by a job that reads its pixels. Every buffer
// has exactly the size it needs.
#include <algorithm>
#include <cstdint>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "random.h"
#include "scratch_memory.h"

namespace {

using ev::test::AlignedScratch;
using ev::test::Random;

void write(const ev::ImageJob& job) {
    const AlignedScratch scratch(ev::kernels().image_scratch_size(job));
    ev::kernels().write_image(job, scratch.get());
}

enum class Form : std::uint8_t {
    planar,
    interleaved,  // U and V in one plane
    mixed,        // V and U in planes of their own, with other distances between their samples
    mirrored,     // interleaved, from the last column to the first
    packed        // all in one plane, of whose chroma every second row counts if it serves two
};

struct Frame {
    std::vector<std::uint8_t> luma, chroma;
    ev::YuvFrame views;

    /// `rows`: luma rows that a chroma row serves.
    Frame(Form form, int height, int width, int rows, Random& random)
        : luma(random.bytes(height * width * (form == Form::packed ? 2 : 1))),
          chroma(random.bytes(height / rows * width * (form == Form::mixed ? 2 : 1))),
          views{} {
        const int half = width / 2;
        const int halves = height / rows;
        views.coefficients = {16, 1220542, 1673527, -409993, -852492, 2116026};
        views.y = {luma.data(), height, width, width, 1};
        switch (form) {
            case Form::planar:
                views.u = {chroma.data(), halves, half, half, 1};
                views.v = {chroma.data() + std::ptrdiff_t{halves} * half, halves, half, half, 1};
                break;
            case Form::interleaved:
                views.u = {chroma.data(), halves, half, width, 2};
                views.v = {chroma.data() + 1, halves, half, width, 2};
                break;
            case Form::mixed:
                views.v = {chroma.data(), halves, half, half, 1};
                views.u = {chroma.data() + std::ptrdiff_t{halves} * half, halves, half,
                           std::ptrdiff_t{3} * half, 3};
                break;
            case Form::mirrored:
                views.y = {luma.data() + width - 1, height, width, width, -1};
                views.u = {chroma.data() + width - 2, halves, half, width, -2};
                views.v = {chroma.data() + width - 1, halves, half, width, -2};
                break;
            case Form::packed: {
                const std::ptrdiff_t stride = std::ptrdiff_t{2} * width;
                views.y = {luma.data(), height, width, stride, 2};
                views.u = {luma.data() + 1, halves, half, stride, 4};
                views.v = {luma.data() + 3, halves, half, stride, 4};
                break;
            }
        }
    }
};

struct Placed {
    int resized_height, resized_width, offset_y, offset_x, height, width;
};

Placed any_placement(Random& random) {
    return {random.between(1, 40),  random.between(1, 80), random.between(-8, 4),
            random.between(-16, 4), random.between(1, 20), random.between(1, 40)};
}

void check_write(const Frame& frame, const Placed& placed, bool to_gray, ev::Filter filter) {
    const int height = frame.views.y.height;
    const int width = frame.views.y.width;
    std::vector<std::uint8_t> bgr(static_cast<std::size_t>(height) * static_cast<std::size_t>(width) * 3);
    ev::YuvJob convert{};
    convert.frame = frame.views;
    convert.out = bgr.data();
    convert.out_row_stride = std::ptrdiff_t{3} * width;
    convert.out_pixel_stride = 3;
    convert.out_channel_stride = 1;
    ev::kernels().convert_yuv(convert);

    const int channels = to_gray ? 1 : 3;
    std::vector<float> table(static_cast<std::size_t>(channels) * 256);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<float>(i * 37 % 1021);
    const float pad[] = {-1.0F, -2.0F, -3.0F};
    ev::ImageJob job{};
    job.image = {bgr.data(), height, width, 3, std::ptrdiff_t{3} * width, 3, 1};
    job.resized_height = placed.resized_height;
    job.resized_width = placed.resized_width;
    job.offset_y = placed.offset_y;
    job.offset_x = placed.offset_x;
    job.filter = filter;
    job.order[0] = 2;
    job.order[1] = 1;
    job.to_gray = to_gray;
    job.table = table.data();
    job.pad = pad;
    std::vector<float> results[2];
    for (const bool from_yuv : {false, true}) {
        std::vector<float>& out = results[from_yuv ? 1 : 0];
        out.assign(
            static_cast<std::size_t>(channels) * static_cast<std::size_t>(placed.height * placed.width),
            99.0F);
        job.out = {out.data(),   ev::Element::f32,
                   channels,     placed.height,
                   placed.width, std::ptrdiff_t{placed.height} * placed.width,
                   placed.width, 1};
        if (from_yuv) {
            job.yuv = &frame.views;
            job.image = ev::yuv_image(frame.views);
        }
        write(job);
    }
    CHECK(results[0] == results[1]);
}

constexpr Form kForms[] = {Form::planar, Form::interleaved, Form::mixed, Form::mirrored, Form::packed};

void test_any_placement(Random& random) {
    constexpr ev::Filter filters[] = {ev::Filter::nearest, ev::Filter::linear, ev::Filter::bilinear_antialias,
                                      ev::Filter::bicubic_antialias};
    for (const int width : {2, 6, 62, 64, 66, 126, 510, 512, 514, 1090}) {
        for (const ev::Filter filter : filters) {
            for (const Form form : kForms) {
                for (const bool to_gray : {false, true}) {
                    const int rows = random.between(1, 2);
                    const Frame frame(form, 2 * random.between(1, 12), width, rows, random);
                    check_write(frame, any_placement(random), to_gray, filter);
                }
            }
        }
    }
}

/// Sizes with kernels of their own: single pixels of the frame, the samples behind which are all that is
/// converted, and means of two by two.
void test_chosen_sizes(Random& random) {
    struct Shrink {
        int width, resized;
        ev::Filter filter;
    };
    const Shrink shrinks[] = {
        {1926, 642, ev::Filter::linear},    // every third
        {390, 130, ev::Filter::nearest},    // the same from the first on, in rows of few registers
        {66, 22, ev::Filter::linear},       // in rows shorter than a window
        {1090, 218, ev::Filter::linear},    // every fifth
        {1090, 1000, ev::Filter::nearest},  // at no constant distance
        {1026, 33, ev::Filter::nearest},    // too far apart for windows
        {300, 700, ev::Filter::nearest},    // some more than once
        {2, 9, ev::Filter::nearest},
        {1284, 642, ev::Filter::linear},  // means of rows that share their chroma
        {516, 129, ev::Filter::linear},   // of rows that do not
    };
    for (const Shrink& shrink : shrinks) {
        for (const Form form : kForms) {
            for (const int rows : {1, 2}) {
                const int resized_height = random.between(1, 4);
                const int step = shrink.width / shrink.resized;
                // For the linear ones a whole number of rows, too, and an even one.
                const Frame frame(form, 2 * resized_height * std::max(step, 1), shrink.width, rows, random);
                const Placed whole = {2 * resized_height, shrink.resized, 0, 0,
                                      2 * resized_height, shrink.resized};
                const int inside = std::max(1, shrink.resized - 2);
                const Placed cropped = {2 * resized_height, shrink.resized, 1, -1,
                                        2 * resized_height, inside};
                check_write(frame, whole, false, shrink.filter);
                check_write(frame, cropped, rows == 1, shrink.filter);
            }
        }
    }
}

}  // namespace

void run() {
    Random random(1);
    test_any_placement(random);
    test_chosen_sizes(random);
}
