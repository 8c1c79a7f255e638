// Softmax and sigmoid, bit for bit those of the CPU's kernels.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "activate.h"
#include "check.h"
#include "ev/kernels.h"

namespace {

enum class Odd : std::uint8_t { none, nan, infinity, all_minus_infinity, all_nan };

std::vector<float> make_logits(std::size_t count, unsigned seed, float spread, Odd odd) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> logit(-spread, spread);
    std::vector<float> logits(count);
    for (float& one : logits) {
        one = logit(engine);
        if (odd == Odd::all_minus_infinity) one = -INFINITY;
        if (odd == Odd::all_nan) one = std::nanf("");
    }
    if (odd == Odd::nan) logits[count / 2] = std::nanf("");
    if (odd == Odd::infinity) logits[count / 3] = INFINITY;
    return logits;
}

/// Equal bits, or a NaN each.
bool same(const std::vector<float>& a, const std::vector<float>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (std::memcmp(&a[i], &b[i], sizeof(float)) != 0 && !(std::isnan(a[i]) && std::isnan(b[i])))
            return false;
    }
    return a.size() == b.size();
}

void check_floats(std::int64_t rows, std::int64_t size, float spread, Odd odd = Odd::none) {
    const auto count = static_cast<std::size_t>(rows * size);
    std::vector<float> logits = make_logits(count, static_cast<unsigned>(size), spread, odd);
    std::vector<float> expected(count);
    std::vector<float> got(count, 7.0F);
    ev::kernels().softmax(logits.data(), size, 1, 0, rows, expected.data());
    ev::cuda::launch_softmax(logits.data(), false, rows, size, got.data(), nullptr);
    CHECK(same(got, expected));
    std::vector<float> in_place = logits;
    ev::cuda::launch_softmax(in_place.data(), false, rows, size, in_place.data(), nullptr);
    CHECK(same(in_place, expected));
    ev::kernels().sigmoid(logits.data(), rows * size, expected.data());
    ev::cuda::launch_sigmoid(logits.data(), false, rows * size, got.data(), nullptr);
    CHECK(same(got, expected));
}

void check_halves(std::int64_t rows, std::int64_t size) {
    const auto count = static_cast<std::size_t>(rows * size);
    std::mt19937 engine(static_cast<unsigned>(size));
    std::uniform_int_distribution<int> bits(0, 0xffff);  // every NaN and infinity among them
    std::vector<ev::Half> logits(count);
    for (ev::Half& one : logits) {
        one.bits = static_cast<std::uint16_t>(bits(engine));
        if (size > 100) one.bits &= 0xbfffU;  // below 2, so that rows are numbers
    }
    std::vector<float> expected(count);
    std::vector<float> got(count, 7.0F);
    ev::kernels().softmax(logits.data(), size, 1, 0, rows, expected.data());
    ev::cuda::launch_softmax(logits.data(), true, rows, size, got.data(), nullptr);
    CHECK(same(got, expected));
    ev::kernels().sigmoid(logits.data(), rows * size, expected.data());
    ev::cuda::launch_sigmoid(logits.data(), true, rows * size, got.data(), nullptr);
    CHECK(same(got, expected));
}

}  // namespace

void run() {
    check_floats(1, 1, 5.0F);
    check_floats(7, 3, 200.0F);
    check_floats(3, 256, 10.0F);
    check_floats(3, 257, 10.0F);
    check_floats(2, 1000, 10.0F);
    check_floats(2, 2048, 10.0F);
    check_floats(1, 2049, 10.0F);
    check_floats(2, 100000, 12.0F);
    check_floats(3, 1000, 10.0F, Odd::nan);
    check_floats(3, 1000, 10.0F, Odd::infinity);
    check_floats(2, 300, 10.0F, Odd::all_minus_infinity);
    check_floats(2, 300, 10.0F, Odd::all_nan);
    check_halves(50, 7);
    check_halves(4, 1001);
    check_halves(2, 5000);
}
