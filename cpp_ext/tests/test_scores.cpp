// The shared scalar arithmetic and the scores kernels without Python. The loops for processors without
// vectors are compiled here, too.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "random.h"

#define EV_PLAIN_LANES
#include "../src/kernels/scores.cpp"  // NOLINT(bugprone-suspicious-include)

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

/// The value of a half by its definition.
double half_value(unsigned bits) {
    const double sign = (bits & 0x8000U) != 0U ? -1.0 : 1.0;
    const int exponent = static_cast<int>((bits >> 10) & 31U);
    const double mantissa = static_cast<double>(bits & 1023U) / 1024.0;
    if (exponent == 31) return mantissa == 0.0 ? sign * static_cast<double>(kInfinity) : std::nan("");
    return exponent == 0 ? sign * std::ldexp(mantissa, -14)
                         : sign * std::ldexp(1.0 + mantissa, exponent - 15);
}

void test_every_half() {
    for (unsigned bits = 0; bits < 65536U; ++bits) {
        const ev::Half half{static_cast<std::uint16_t>(bits)};
        const double expected = half_value(bits);
        const double found = static_cast<double>(ev::to_float(half));
        CHECK(std::isnan(expected) ? std::isnan(found) : found == expected);
        CHECK(std::signbit(found) == ((bits & 0x8000U) != 0U));
    }
}

void test_half_keys_order_as_floats() {
    // Every pair would be four billion; every half against a few covers each kind.
    for (const unsigned other :
         {0U, 1U, 0x3ffU, 0x400U, 0x3c00U, 0x7bffU, 0x7c00U, 0x8000U, 0x8001U, 0xbc00U, 0xfbffU}) {
        const ev::Half b{static_cast<std::uint16_t>(other)};
        for (unsigned bits = 0; bits < 65536U; ++bits) {
            const ev::Half a{static_cast<std::uint16_t>(bits)};
            const bool greater = ev::to_float(a) > ev::to_float(b);
            CHECK((ev::Order<ev::Half>::key(a) > ev::Order<ev::Half>::key(b)) == greater);
        }
    }
}

void test_half_limits() {
    for (const float limit : {0.0F, 1e-9F, 0x1p-24F, 0.001F, 0.25F, 0.3F, 0.7F, 0.99999F, 1.0F}) {
        const auto key = ev::Order<ev::Half>::limit(limit);
        for (unsigned bits = 0; bits < 65536U; ++bits) {
            const ev::Half half{static_cast<std::uint16_t>(bits)};
            CHECK((ev::Order<ev::Half>::key(half) > key) == (ev::to_float(half) > limit));
        }
    }
}

void test_exp() {
    double worst = 0.0;
    for (int step = 0; step < 52000; ++step) {
        const float x = -103.9F + static_cast<float>(step) * 0.0037F;  // to 88.5
        const double exact = std::exp(static_cast<double>(x));
        const float rounded = static_cast<float>(exact);
        const double unit =
            static_cast<double>(std::nextafterf(rounded, kInfinity)) - static_cast<double>(rounded);
        worst = std::fmax(worst, std::fabs(static_cast<double>(ev::exp_f32(x)) - exact) / unit);
    }
    CHECK(worst <= 2.0);
    CHECK(ev::exp_f32(0.0F) == 1.0F);
    CHECK(ev::exp_f32(-kInfinity) == 0.0F);
    CHECK(ev::exp_f32(kInfinity) == kInfinity);
    CHECK(std::isnan(ev::exp_f32(kNan)));
    CHECK(ev::sigmoid_f32(-kInfinity) == 0.0F);
    CHECK(ev::sigmoid_f32(kInfinity) == 1.0F);
    CHECK(std::isnan(ev::sigmoid_f32(kNan)));
}

void test_descending_keys() {
    const float falling[] = {kInfinity, 3e38F, 1.0F, 1e-45F, 0.0F, -1e-45F, -1.0F, -kInfinity, kNan};
    for (std::size_t i = 1; i < std::size(falling); ++i) {
        CHECK(ev::descending_key(falling[i - 1]) < ev::descending_key(falling[i]));
    }
    CHECK(ev::descending_key(-0.0F) == ev::descending_key(0.0F));
    CHECK(ev::descending_key(-kNan) == ev::descending_key(kNan));
}

void test_softmax_of_every_layout_is_one() {
    for (const std::int64_t size : {1, 2, 7, 8, 9, 100, 2100}) {
        for (const std::int64_t inner : {1, 2, 63, 64, 65}) {
            std::vector<float> logits(static_cast<std::size_t>(3 * size * inner));
            for (std::size_t i = 0; i < logits.size(); ++i)
                logits[i] = static_cast<float>(i * 37 % 101) - 50.0F;
            std::vector<float> out(logits.size());
            ev::kernels().softmax(logits.data(), size, inner, 0, 3 * inner, out.data());
            for (std::int64_t row = 0; row < 3 * inner; ++row) {
                const std::int64_t start = row / inner * size * inner + row % inner;
                double total = 0.0;
                for (std::int64_t i = 0; i < size; ++i) {
                    total += static_cast<double>(out[static_cast<std::size_t>(start + i * inner)]);
                }
                CHECK(std::fabs(total - 1.0) < 1e-6);
            }
        }
    }
}

void test_softmax_of_any_columns_leaves_the_others() {
    constexpr std::int64_t kSize = 9;
    for (const std::int64_t inner : {1, 5, 100}) {
        const std::int64_t columns = 4 * inner;
        std::vector<float> logits(static_cast<std::size_t>(columns * kSize));
        for (std::size_t i = 0; i < logits.size(); ++i) logits[i] = static_cast<float>(i * 37 % 101) * 0.3F;
        std::vector<float> whole(logits.size());
        ev::kernels().softmax(logits.data(), kSize, inner, 0, columns, whole.data());
        for (std::int64_t begin = 0; begin <= columns; begin += 1 + begin / 7) {
            for (std::int64_t end = begin; end <= columns; end += 1 + end / 5) {
                std::vector<float> out(logits.size(), -1.0F);
                ev::kernels().softmax(logits.data(), kSize, inner, begin, end, out.data());
                bool right = true;
                for (std::size_t i = 0; i < out.size(); ++i) {
                    const auto at = static_cast<std::int64_t>(i);
                    const std::int64_t column = at / (kSize * inner) * inner + at % inner;
                    const bool inside = begin <= column && column < end;
                    right = right && ev::bits_of(out[i]) == ev::bits_of(inside ? whole[i] : -1.0F);
                }
                CHECK(right);
            }
        }
    }
}

/// Equal bits, or NaN both.
bool same_floats(const std::vector<float>& a, const std::vector<float>& b) {
    for (std::size_t i = 0; i < a.size(); ++i) {
        if (ev::bits_of(a[i]) != ev::bits_of(b[i]) && !(std::isnan(a[i]) && std::isnan(b[i]))) return false;
    }
    return true;
}

void test_loops_without_vectors_give_the_same_bits() {
    const float special[] = {kNan, kInfinity, -kInfinity, 0.0F, -0.0F, 1e-45F, -87.4F, -103.5F, 3e38F};
    ev::test::Random random;
    for (const std::int64_t size : {1, 15, 16, 17, 100, 700}) {
        for (const std::int64_t inner : {1, 3, 40}) {
            std::vector<float> logits(static_cast<std::size_t>(size * inner));
            for (float& logit : logits) {
                logit = random.between(0, 99) == 0 ? special[random.between(0, 8)]
                                                   : random.next() * 60.0F - 40.0F;
            }
            std::vector<float> plain(logits.size());
            std::vector<float> out(logits.size());
            ev::softmax(logits.data(), size, inner, 0, inner, plain.data());
            ev::kernels().softmax(logits.data(), size, inner, 0, inner, out.data());
            CHECK(same_floats(plain, out));
            ev::sigmoid(logits.data(), size * inner, plain.data());
            ev::kernels().sigmoid(logits.data(), size * inner, out.data());
            CHECK(same_floats(plain, out));
        }
    }
}

void test_top_k() {
    const std::vector<float> scores{0.5F, kNan, 2.0F, 0.5F, -kInfinity, 2.0F};
    const std::int64_t expected[] = {2, 5, 0, 3, 4, 1};
    for (std::int64_t k = 0; k <= 6; ++k) {
        std::vector<std::uint64_t> keys(scores.size());
        std::vector<float> values(static_cast<std::size_t>(k));
        std::vector<std::int64_t> indices(static_cast<std::size_t>(k));
        ev::kernels().top_k(scores.data(), 6, k, keys.data(), values.data(), indices.data());
        for (std::size_t i = 0; i < indices.size(); ++i) CHECK(indices[i] == expected[i]);
    }
}

}  // namespace

void run() {
    test_every_half();
    test_half_keys_order_as_floats();
    test_half_limits();
    test_exp();
    test_descending_keys();
    test_softmax_of_every_layout_is_one();
    test_softmax_of_any_columns_leaves_the_others();
    test_loops_without_vectors_give_the_same_bits();
    test_top_k();
}
