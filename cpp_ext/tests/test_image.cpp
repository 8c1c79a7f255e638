// The image family's arithmetic: known values, and the bounds that the kernels rely on.
#include <cstdint>
#include <cstdlib>
#include <vector>

#include "check.h"
#include "ev/image.h"
#include "random.h"

namespace {

using ev::test::Random;

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

}  // namespace

void run() {
    test_luma();
    test_nearest_stays_inside();
    test_linear_taps();
    test_antialias_weights_cannot_overflow();
}
