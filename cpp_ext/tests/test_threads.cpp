// Kernels cut into parts as the bindings cut them, by several callers at once: nothing races (ThreadSanitizer
// sees what is shared), and the bits are those of one thread.
#include <atomic>
#include <cstdint>
#include <thread>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "ev/pool.h"

namespace {

constexpr int kHeight = 64;
constexpr int kWidth = 96;
constexpr int kParts = 8;

struct Planes {
    std::vector<std::uint8_t> y, u, v;

    Planes() : y(std::size_t{kHeight} * kWidth), u(y.size() / 4), v(y.size() / 4) {
        std::uint32_t state = 1;
        for (std::vector<std::uint8_t>* plane : {&y, &u, &v}) {
            for (std::uint8_t& value : *plane) {
                state = state * 1664525U + 1013904223U;
                value = static_cast<std::uint8_t>(state >> 24);
            }
        }
    }
};

/// Rows [begin, end), both even, of a frame that several threads read.
ev::YuvJob band(const Planes& planes, std::uint8_t* out, int begin, int end) {
    constexpr std::ptrdiff_t chroma_width = kWidth / 2;
    const int rows = end - begin;
    ev::YuvJob job{};
    job.frame.y = {planes.y.data() + begin * std::ptrdiff_t{kWidth}, rows, kWidth, kWidth, 1};
    job.frame.u = {planes.u.data() + begin / 2 * chroma_width, rows / 2, kWidth / 2, chroma_width, 1};
    job.frame.v = {planes.v.data() + begin / 2 * chroma_width, rows / 2, kWidth / 2, chroma_width, 1};
    job.out = out + begin * std::ptrdiff_t{kWidth} * 3;
    job.out_row_stride = std::ptrdiff_t{kWidth} * 3;
    job.out_pixel_stride = 3;
    job.out_channel_stride = 1;
    job.frame.coefficients = {16, 1220542, 1673527, -409993, -852492, 2116026};
    return job;
}

std::vector<std::uint8_t> convert(const Planes& planes) {
    std::vector<std::uint8_t> out(std::size_t{kHeight} * kWidth * 3);
    ev::for_each_part(kParts, [&](int part) {
        const int rows = kHeight / kParts;
        ev::kernels().convert_yuv(band(planes, out.data(), part * rows, (part + 1) * rows));
    });
    return out;
}

/// Softmax of rows of one array, each part its own.
std::vector<float> normalise(const std::vector<float>& logits, std::int64_t size) {
    const auto rows = static_cast<std::int64_t>(logits.size()) / size;
    std::vector<float> out(logits.size());
    ev::for_each_part(kParts, [&](int part) {
        const std::int64_t begin = rows * part / kParts;
        const std::int64_t end = rows * (part + 1) / kParts;
        ev::kernels().softmax(logits.data(), size, 1, begin, end, out.data());
    });
    return out;
}

std::vector<float> some_logits(std::size_t count) {
    std::vector<float> logits(count);
    for (std::size_t i = 0; i < count; ++i) logits[i] = static_cast<float>(i * 37 % 101) * 0.1F;
    return logits;
}

}  // namespace

void run() {
    const int before = ev::num_threads();
    const Planes planes;
    const std::vector<float> logits = some_logits(std::size_t{33} * 27);
    ev::set_num_threads(1);
    const std::vector<std::uint8_t> pixels = convert(planes);
    const std::vector<float> probabilities = normalise(logits, 27);
    for (const int threads : {2, 3, 5}) {
        ev::set_num_threads(threads);
        std::atomic<int> wrong{0};
        std::vector<std::thread> callers;
        callers.reserve(3);
        for (int caller = 0; caller < 3; ++caller) {
            callers.emplace_back([&] {
                for (int call = 0; call < 20; ++call) {
                    wrong += convert(planes) == pixels ? 0 : 1;
                    wrong += normalise(logits, 27) == probabilities ? 0 : 1;
                }
            });
        }
        for (std::thread& caller : callers) caller.join();
        CHECK(wrong == 0);
    }
    ev::set_num_threads(before);
}
