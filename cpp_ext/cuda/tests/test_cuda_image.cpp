// Batches of images on the emulated GPU, bit for bit what the CPU's kernel writes.
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "image.h"

namespace {

using Bytes = std::vector<std::uint8_t>;

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
    Bytes bytes(std::size_t count) {
        Bytes made(count);
        for (std::uint8_t& byte : made) byte = static_cast<std::uint8_t>(between(0, 255));
        return made;
    }

  private:
    std::mt19937 engine_;
};

/// A frame of its own memory: BGR, BGRA or gray with a few bytes after each row, or planes of YUV.
struct Source {
    Bytes memory;
    ev::cuda::ImagePlace place{};

    Source(Random& random, int tensor_channels) {
        const int kind = random.between(0, 4);
        const int height = random.between(1, 40);
        const int width = random.between(1, 40);
        place.to_gray = tensor_channels == 1;
        for (int c = 0; c < 3; ++c) place.order[c] = random.between(0, 1) == 0 ? c : 2 - c;
        if (kind < 2) {
            make_yuv(random, 2 * height, 2 * width, kind == 0 ? 2 : 1);
        } else {
            make_packed(random, height, width, kind == 4 ? 1 : kind + 1);
        }
        place.resized_height = random.between(1, 50);
        place.resized_width = random.between(1, 50);
        place.offset_y = random.between(-20, 20);
        place.offset_x = random.between(-20, 20);
    }

    void make_packed(Random& random, int height, int width, int channels) {
        const std::ptrdiff_t row = width * channels + random.between(0, 3);
        memory = random.bytes(static_cast<std::size_t>(row * height));
        place.image = {memory.data(), height, width, channels, row, channels, channels == 1 ? 0 : 1};
        if (channels > 1) return;
        place.to_gray = false;
        for (int& channel : place.order) channel = 0;
    }

    void make_yuv(Random& random, int height, int width, int rows_per_chroma) {
        const int half = width / 2;
        const int chroma_height = height / rows_per_chroma;
        const auto luma = static_cast<std::size_t>(height * width);
        memory = random.bytes(luma + static_cast<std::size_t>(chroma_height * width));
        const std::uint8_t* y = memory.data();
        const std::uint8_t* uv = y + luma;  // as in NV12, interleaved
        place.from_yuv = true;
        place.yuv = {{y, height, width, width, 1},
                     {uv, chroma_height, half, width, 2},
                     {uv + 1, chroma_height, half, width, 2},
                     {16, 1220542, 1673527, -409993, -852492, 2116026}};
        place.image = ev::yuv_image(place.yuv);
    }
};

/// The batch's tensor and tables. Elements are random bits: what comes out is looked up or not written.
struct Target {
    std::size_t size;  // of an element
    Bytes table, pad, tensor;
    ev::cuda::ImageRule rule{};
    std::size_t bytes_per_image;

    Target(Random& random, ev::Element element, int count)
        : size(element == ev::Element::u8 ? 1 : (element == ev::Element::f16 ? 2 : 4)) {
        const int channels = random.between(0, 1) == 0 ? 1 : 3;
        const int height = random.between(1, 70);
        const int width = random.between(1, 70);
        const bool nhwc = random.between(0, 1) == 0;
        table = random.bytes(static_cast<std::size_t>(channels) * 256 * size);
        pad = random.bytes(static_cast<std::size_t>(channels) * size);
        rule.out = {nullptr,
                    element,
                    channels,
                    height,
                    width,
                    nhwc ? 1 : std::ptrdiff_t{height} * width,
                    nhwc ? std::ptrdiff_t{width} * channels : width,
                    nhwc ? channels : 1};
        rule.image_stride = std::ptrdiff_t{height} * width * channels;
        rule.table = table.data();
        rule.pad = pad.data();
        bytes_per_image = static_cast<std::size_t>(rule.image_stride) * size;
        tensor.assign(bytes_per_image * static_cast<std::size_t>(count), 0);
        rule.out.data = tensor.data();
    }
};

Bytes by_the_cpu(const ev::cuda::ImagePlace& place, const Target& target) {
    Bytes tensor(target.bytes_per_image, 1);
    ev::ImageJob job{};
    job.image = place.image;
    job.yuv = place.from_yuv ? &place.yuv : nullptr;
    job.out = target.rule.out;
    job.out.data = tensor.data();
    job.resized_height = place.resized_height;
    job.resized_width = place.resized_width;
    job.offset_y = place.offset_y;
    job.offset_x = place.offset_x;
    job.filter = target.rule.filter;
    std::memcpy(job.order, place.order, sizeof job.order);
    job.to_gray = place.to_gray;
    job.table = target.table.data();
    job.pad = target.pad.data();
    std::vector<std::byte> scratch(ev::kernels().image_scratch_size(job) + 64);
    auto* aligned =
        reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
    ev::kernels().write_image(job, aligned);
    return tensor;
}

void test_batches_equal_the_cpus_images(ev::Element element, ev::Filter filter, unsigned seed) {
    Random random(seed);
    for (int round = 0; round < 12; ++round) {
        const int count = random.between(1, 3);
        Target target(random, element, count);
        target.rule.filter = filter;
        std::vector<Source> sources;
        std::vector<ev::cuda::ImagePlace> places;
        for (int i = 0; i < count; ++i) sources.emplace_back(random, target.rule.out.channels);
        for (const Source& source : sources) places.push_back(source.place);
        ev::cuda::launch_write_images(places.data(), count, target.rule, nullptr);
        for (int i = 0; i < count; ++i) {
            const Bytes expected = by_the_cpu(places[static_cast<std::size_t>(i)], target);
            const std::uint8_t* got =
                target.tensor.data() + static_cast<std::size_t>(i) * target.bytes_per_image;
            CHECK(std::memcmp(got, expected.data(), expected.size()) == 0);
        }
    }
}

/// More source rows than a band has, and as many taps as there may be.
void test_large_shrinks() {
    Random random(99);
    Target target(random, ev::Element::u8, 1);
    Bytes memory = random.bytes(std::size_t{900} * 310 * 3);
    ev::cuda::ImagePlace place{};
    place.image = {memory.data(), 900, 310, 3, 930, 3, 1};
    place.to_gray = target.rule.out.channels == 1;
    for (int c = 0; c < 3; ++c) place.order[c] = c;
    place.resized_height = 30;
    place.resized_width = 10;
    for (const ev::Filter filter : {ev::Filter::bilinear_antialias, ev::Filter::bicubic_antialias}) {
        CHECK(ev::antialias_max_taps(ev::antialias_axis(310, 10, true)) <= ev::cuda::kMaxAntialiasTaps);
        target.rule.filter = filter;
        ev::cuda::launch_write_images(&place, 1, target.rule, nullptr);
        CHECK(target.tensor == by_the_cpu(place, target));
    }
}

}  // namespace

void run() {
    unsigned seed = 1;
    for (const ev::Element element : {ev::Element::u8, ev::Element::f16, ev::Element::f32}) {
        for (const ev::Filter filter : {ev::Filter::nearest, ev::Filter::linear,
                                        ev::Filter::bilinear_antialias, ev::Filter::bicubic_antialias}) {
            test_batches_equal_the_cpus_images(element, filter, seed++);
        }
    }
    test_large_shrinks();
}
