// The image kernels against a pixel at a time, and the bounds their integer arithmetic relies on. Every
// buffer has exactly the size it needs, so that AddressSanitizer sees each step beyond it.
#include <algorithm>
#include <cstdint>
#include <cstdlib>
#include <new>
#include <random>
#include <vector>

#include "check.h"
#include "ev/kernels.h"

namespace {

using ev::Filter;

constexpr Filter kFilters[] = {Filter::nearest, Filter::linear, Filter::bilinear_antialias,
                               Filter::bicubic_antialias};

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }

  private:
    std::mt19937 engine_;
};

void test_luma() {
    CHECK(ev::luma_bt601(0, 0, 0) == 0);
    CHECK(ev::luma_bt601(255, 255, 255) == 255);
    CHECK(ev::luma_bt601(255, 0, 0) == 29);
    CHECK(ev::luma_bt601(0, 255, 0) == 150);
    CHECK(ev::luma_bt601(0, 0, 255) == 76);
}

void test_nearest_stays_inside() {
    Random random(1);
    for (int i = 0; i < 20000; ++i) {
        const int largest = i % 2 == 0 ? 50 : 1 << 24;
        const int source = random.between(1, largest);
        const int resized = random.between(1, largest);
        const double step = ev::source_step(source, resized);
        for (const int index : {0, resized / 2, resized - 1}) {
            const int got = ev::nearest_index(index, step, source);
            CHECK(got >= 0 && got < source);
        }
    }
    CHECK(ev::nearest_index(2, ev::source_step(9, 3), 9) == 6);
}

void test_linear_taps() {
    // 3 to 6: the second pixel's centre, 1.5 / 2 - 0.5 = 0.25.
    const ev::LinearTap tap = ev::linear_tap(1, ev::source_step(3, 6), 3, true);
    CHECK(tap.first == 0 && tap.second == 1 && tap.weight_first == 1536 && tap.weight_second == 512);
    // The first pixel's centre lies at -0.25: the edge pixel takes all, or the edge row is read twice.
    const ev::LinearTap exact = ev::linear_tap(0, ev::source_step(3, 6), 3, true);
    CHECK(exact.first == 0 && exact.weight_first == 2048 && exact.weight_second == 0);
    const ev::LinearTap twice = ev::linear_tap(0, ev::source_step(3, 6), 3, false);
    CHECK(twice.first == 0 && twice.second == 0 && twice.weight_first == 512 && twice.weight_second == 1536);

    Random random(2);
    for (int i = 0; i < 20000; ++i) {
        const int largest = i % 2 == 0 ? 50 : 1 << 24;
        const int source = random.between(1, largest);
        const int resized = random.between(1, largest);
        const double step = ev::source_step(source, resized);
        for (const int index : {0, resized / 2, resized - 1}) {
            for (const bool exact_edge : {false, true}) {
                const ev::LinearTap got = ev::linear_tap(index, step, source, exact_edge);
                CHECK(got.first >= 0 && got.first < source && got.second >= got.first && got.second < source);
                CHECK(got.weight_first >= 0 && got.weight_second >= 0);
                // Both are rounded on their own, so that their sum may be off by one.
                CHECK(std::abs(got.weight_first + got.weight_second - 2048) <= 1);
            }
        }
    }
    CHECK(ev::linear_horizontal(255, 255, 2048, 0) == 32640);
    CHECK(ev::linear_vertical(32640, 32640, 1024, 1024) == 255);
    CHECK(ev::linear_vertical(32640, 0, 2048, 0) == 255);
}

void test_antialias_weights_cannot_overflow() {
    Random random(3);
    std::vector<std::int32_t> weights;
    for (int i = 0; i < 3000; ++i) {
        const int largest = i % 3 == 0 ? 6 : (i % 3 == 1 ? 60 : 3000);
        const int source = random.between(1, largest);
        const int resized = random.between(1, largest);
        for (const bool bicubic : {false, true}) {
            const ev::AntialiasAxis axis = ev::antialias_axis(source, resized, bicubic);
            weights.resize(static_cast<std::size_t>(ev::antialias_max_taps(axis)));
            for (const int index : {0, 1, resized / 3, resized / 2, resized - 1}) {
                if (index >= resized) continue;
                int first = 0;
                int count = 0;
                ev::antialias_range(axis, index, &first, &count);
                CHECK(first >= 0 && count >= 1 && first + count <= source);
                CHECK(count <= ev::antialias_max_taps(axis));
                if (count > ev::antialias_max_taps(axis)) return;
                ev::antialias_weights(axis, index, weights.data(), &first, &count);
                std::int64_t sum = 0;
                std::int64_t absolute = 0;
                for (int tap = 0; tap < count; ++tap) {
                    sum += weights[static_cast<std::size_t>(tap)];
                    absolute += std::abs(weights[static_cast<std::size_t>(tap)]);
                }
                CHECK(std::abs(sum - ev::kAntialiasOne) <=
                      count);  // each weight is rounded by at most a half
                CHECK(absolute * 255 + ev::kAntialiasHalf < std::int64_t{1} << 31);
            }
        }
    }
}

/// One pixel of the resized image by the headers' arithmetic alone: no rows kept, nothing shared between
/// pixels.
std::uint8_t resized_pixel(const ev::ImageJob& job, int c, int y, int x) {
    const ev::ImageView& image = job.image;
    const auto at = [&](int row, int column) -> std::uint8_t {
        const auto channel = [&](int k) {
            return image.data[row * image.row_stride + column * image.pixel_stride +
                              job.order[k] * image.channel_stride];
        };
        return job.to_gray ? ev::luma_bt601(channel(0), channel(1), channel(2)) : channel(c);
    };
    if (job.filter == Filter::nearest) {
        return at(ev::nearest_index(y, ev::source_step(image.height, job.resized_height), image.height),
                  ev::nearest_index(x, ev::source_step(image.width, job.resized_width), image.width));
    }
    if (job.filter == Filter::linear) {
        const ev::LinearTap v =
            ev::linear_tap(y, ev::source_step(image.height, job.resized_height), image.height, false);
        const ev::LinearTap h =
            ev::linear_tap(x, ev::source_step(image.width, job.resized_width), image.width, true);
        const auto sum = [&](int row) {
            return ev::linear_horizontal(at(row, h.first), at(row, h.second), h.weight_first,
                                         h.weight_second);
        };
        return ev::linear_vertical(sum(v.first), sum(v.second), v.weight_first, v.weight_second);
    }
    const bool bicubic = job.filter == Filter::bicubic_antialias;
    const ev::AntialiasAxis vertical = ev::antialias_axis(image.height, job.resized_height, bicubic);
    const ev::AntialiasAxis horizontal = ev::antialias_axis(image.width, job.resized_width, bicubic);
    std::vector<std::int32_t> rows(static_cast<std::size_t>(ev::antialias_max_taps(vertical)));
    std::vector<std::int32_t> columns(static_cast<std::size_t>(ev::antialias_max_taps(horizontal)));
    int top = 0, left = 0, height = 0, width = 0;
    ev::antialias_weights(vertical, y, rows.data(), &top, &height);
    ev::antialias_weights(horizontal, x, columns.data(), &left, &width);
    std::int32_t total = ev::kAntialiasHalf;
    for (int i = 0; i < height; ++i) {
        std::int32_t sum = ev::kAntialiasHalf;
        for (int j = 0; j < width; ++j) sum += columns[static_cast<std::size_t>(j)] * at(top + i, left + j);
        total += rows[static_cast<std::size_t>(i)] * ev::antialias_pixel(sum);
    }
    return ev::antialias_pixel(total);
}

struct Aligned {
    explicit Aligned(std::size_t size)
        : data(static_cast<std::byte*>(::operator new(size, std::align_val_t{64}))) {}
    ~Aligned() { ::operator delete(data, std::align_val_t{64}); }
    Aligned(const Aligned&) = delete;
    Aligned& operator=(const Aligned&) = delete;
    std::byte* data;
};

struct Shape {
    int image_height, image_width, resized_height, resized_width, offset_y, offset_x, height, width;
};

/// Writes an image of noise and compares every element of the tensor. T is the tensor's element type.
template <class T>
void check_write(const Shape& shape, Filter filter, int channels, bool to_gray, bool nhwc, bool flipped,
                 ev::Element element, Random& random) {
    const int source_channels = random.between(3, 4);
    const std::ptrdiff_t row = std::ptrdiff_t{source_channels} * shape.image_width;
    std::vector<std::uint8_t> image(static_cast<std::size_t>(row * shape.image_height));
    for (std::uint8_t& pixel : image) pixel = static_cast<std::uint8_t>(random.between(-200, 455) & 255);
    ev::ImageJob job{};
    job.image = {
        image.data(), shape.image_height, shape.image_width, source_channels, row, source_channels, 1};
    if (flipped) {
        job.image.data = image.data() + row * shape.image_height - 1;
        job.image.row_stride = -row;
        job.image.pixel_stride = -source_channels;
        job.image.channel_stride = -1;
    }
    std::vector<T> out(static_cast<std::size_t>(channels) * static_cast<std::size_t>(shape.height) *
                           static_cast<std::size_t>(shape.width),
                       T{99});
    job.out = {out.data(), element, channels, shape.height, shape.width, 0, 0, 0};
    if (nhwc) {
        job.out.channel_stride = 1;
        job.out.pixel_stride = channels;
        job.out.row_stride = std::ptrdiff_t{channels} * shape.width;
    } else {
        job.out.channel_stride = std::ptrdiff_t{shape.height} * shape.width;
        job.out.pixel_stride = 1;
        job.out.row_stride = shape.width;
    }
    job.resized_height = shape.resized_height;
    job.resized_width = shape.resized_width;
    job.offset_y = shape.offset_y;
    job.offset_x = shape.offset_x;
    job.filter = filter;
    job.to_gray = to_gray;
    for (int c = 0; c < 3; ++c) job.order[c] = 2 - c;
    std::vector<T> table(static_cast<std::size_t>(channels) * 256);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<T>((i * 7 + 3) % 251);
    std::vector<T> pad(static_cast<std::size_t>(channels));
    for (std::size_t i = 0; i < pad.size(); ++i) pad[i] = static_cast<T>(252 + i);
    job.table = table.data();
    job.pad = pad.data();
    const Aligned scratch(ev::kernels().image_scratch_size(job));

    ev::kernels().write_image(job, scratch.data);

    for (int c = 0; c < channels; ++c) {
        for (int y = 0; y < shape.height; ++y) {
            for (int x = 0; x < shape.width; ++x) {
                const int in_y = y - shape.offset_y;
                const int in_x = x - shape.offset_x;
                const bool inside =
                    in_y >= 0 && in_y < shape.resized_height && in_x >= 0 && in_x < shape.resized_width;
                const auto channel = static_cast<std::size_t>(c);
                const T expected =
                    inside ? table[channel * 256 + resized_pixel(job, c, in_y, in_x)] : pad[channel];
                const T got = out[static_cast<std::size_t>(
                    c * job.out.channel_stride + y * job.out.row_stride + x * job.out.pixel_stride)];
                CHECK(got == expected);
            }
        }
    }
}

void check_all_kinds(const Shape& shape, Random& random) {
    for (const Filter filter : kFilters) {
        const bool nhwc = random.between(0, 1) == 1;
        const bool flipped = random.between(0, 1) == 1;
        const int kind = random.between(0, 3);
        if (kind == 0) {
            check_write<float>(shape, filter, 3, false, nhwc, flipped, ev::Element::f32, random);
        } else if (kind == 1) {
            check_write<std::uint16_t>(shape, filter, 3, false, nhwc, flipped, ev::Element::f16, random);
        } else if (kind == 2) {
            check_write<std::uint8_t>(shape, filter, 3, false, nhwc, flipped, ev::Element::u8, random);
        } else {
            check_write<float>(shape, filter, 1, true, nhwc, flipped, ev::Element::f32, random);
        }
    }
}

void test_writes_every_element_as_one_pixel_at_a_time_would() {
    Random random(4);
    for (int i = 0; i < 400; ++i) {
        const int largest = i % 4 == 0 ? 3 : 24;
        const auto side = [&] { return random.between(1, largest); };
        check_all_kinds({side(), side(), side(), side(), random.between(-26, 26), random.between(-26, 26),
                         side(), side()},
                        random);
    }
}

void test_tiles_meet() {
    Random random(5);
    // Vertical kernels of some thousand rows, so that the ring holds only a few columns at a time.
    check_all_kinds({9000, 2, 3, 70, 0, -1, 3, 68}, random);
    check_all_kinds({9000, 1, 1, 33, 0, 0, 2, 33}, random);
}

}  // namespace

void run() {
    test_luma();
    test_nearest_stays_inside();
    test_linear_taps();
    test_antialias_weights_cannot_overflow();
    test_writes_every_element_as_one_pixel_at_a_time_would();
    test_tiles_meet();
}
