// Masks above a threshold and instance masks without Python, against the rule applied pixel by pixel. Buffers
// have exactly the size the contract asks for.
#include <cmath>
#include <cstdint>
#include <limits>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "random.h"
#include "scratch_memory.h"

namespace {

using ev::AxisMap;
using ev::Taps;
using ev::test::AlignedScratch;
using ev::test::Random;

/// A plan in memory of exactly the size it asks for.
template <int K>
class Plan {
  public:
    Plan(const std::vector<Taps<K>>& columns, std::int32_t source_size)
        : size_(static_cast<std::int32_t>(columns.size())),
          memory_(ev::kernels().column_plan_size(columns.data(), size_, source_size)),
          plan_(ev::kernels().plan_columns(columns.data(), size_, source_size, memory_.get())) {}

    const ev::ColumnPlan<K>& get() const { return plan_; }

  private:
    std::int32_t size_;
    AlignedScratch memory_;
    ev::ColumnPlan<K> plan_;
};

template <int K>
std::vector<Taps<K>> all_taps(const AxisMap& axis) {
    std::vector<Taps<K>> taps(static_cast<std::size_t>(axis.size));
    for (std::int32_t i = 0; i < axis.size; ++i) ev::find_taps(axis, i, &taps[static_cast<std::size_t>(i)]);
    return taps;
}

/// `at(y, x)` gives the source's logit.
template <int K, class At>
std::uint8_t mask_plainly(const At& at, const Taps<K>& rows, const Taps<K>& columns, float threshold) {
    bool all = true;
    bool any = false;
    float sum = 0.0F;
    for (int i = 0; i < K; ++i) {
        float blended = 0.0F;
        for (int j = 0; j < K; ++j) {
            const float value = at(rows.index[j], columns.index[i]);
            all = all && value > threshold;
            any = any || value > threshold;
            blended = j == 0 ? rows.weight[j] * value : blended + rows.weight[j] * value;
        }
        sum = i == 0 ? columns.weight[i] * blended : sum + columns.weight[i] * blended;
    }
    return all || (any && sum > threshold) ? 1 : 0;
}

struct Size {
    std::int32_t height;
    std::int32_t width;
};

float as_float(float value) {
    return value;
}

float as_float(ev::Half value) {
    return ev::to_float(value);
}

void set(float value, float* to) {
    *to = value;
}

/// Exact for normal numbers with few bits, and 0.
void set(float value, ev::Half* to) {
    const std::uint32_t bits = ev::bits_of(value);
    const std::uint32_t magnitude = value == 0.0F ? 0U : ((bits & 0x7fffffffU) >> 13) - (112U << 10);
    to->bits = static_cast<std::uint16_t>((bits >> 31 << 15) | magnitude);
}

/// How much of a source is noise; the rest is above a threshold, or below it, in regions. Wild: NaN,
/// infinity, numbers whose weighted sums overflow or vanish.
enum class Kind : std::uint8_t { noise, regions, everything, nothing, checkers, wild };

float draw(Kind kind, std::int32_t y, std::int32_t x, Random* random) {
    const float noise = random->next() - 0.5F;
    if (kind == Kind::everything) return 0.75F;
    if (kind == Kind::nothing) return -0.5F;
    if (kind == Kind::wild) {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        constexpr float numbers[] = {infinity, 3e38F, 3e38F,     1e-40F,
                                     0.5F,     0.5F,  -infinity, std::numeric_limits<float>::quiet_NaN()};
        return numbers[random->between(0, x / 8 % 2 == 0 ? 5 : 7)];
    }
    if (kind == Kind::checkers) return (x + y) % 2 == 0 ? 0.5F : -0.5F;
    const bool border = x % 30 < 3;
    return kind == Kind::noise || border ? noise : (x / 30 + y / 4) % 2 == 0 ? 0.5F : -0.5F;
}

template <class T, int K>
void check_upsample(Size source, const AxisMap& rows, const AxisMap& columns, Kind kind, float threshold,
                    Random* random) {
    std::vector<T> data;
    for (std::int32_t y = 0; y < source.height; ++y) {
        for (std::int32_t x = 0; x < source.width; ++x) {
            data.emplace_back();
            set(std::round(draw(kind, y, x, random) * 64.0F) / 64.0F, &data.back());
        }
    }
    const auto row_taps = all_taps<K>(rows);
    const auto column_taps = all_taps<K>(columns);
    std::vector<std::uint8_t> out(static_cast<std::size_t>(rows.size) *
                                  static_cast<std::size_t>(columns.size));
    const Plan<K> plan(column_taps, source.width);
    const ev::SourceView<T> view{data.data(), 0, 0, source.height, source.width, source.width};
    const AlignedScratch scratch(ev::kernels().mask_scratch_size(view, columns.size));
    ev::kernels().write_mask(view, row_taps.data(), plan.get(), threshold,
                             ev::MaskView{out.data(), 0, rows.size, columns.size}, scratch.get());
    const auto at = [&](std::int32_t y, std::int32_t x) {
        return as_float(data[static_cast<std::size_t>(std::ptrdiff_t{y} * source.width + x)]);
    };
    std::size_t i = 0;
    for (const Taps<K>& row : row_taps) {
        for (const Taps<K>& column : column_taps) {
            CHECK(out[i++] == mask_plainly(at, row, column, threshold));
        }
    }
}

template <class T>
void check_upsamples(Size source, Size target, Kind kind, float threshold, Random* random) {
    check_upsample<T, 2>(source, AxisMap{-1.5, 4.2, target.height, 0, source.height},
                         AxisMap{0.7, 9.9, target.width, 0, source.width}, kind, threshold, random);
    check_upsample<T, 2>(source, AxisMap{0.0, 3.0, target.height, 0, source.height},
                         AxisMap{0.0, 1.0 * source.width, target.width, 0, source.width}, kind, threshold,
                         random);
    check_upsample<T, 4>(source, AxisMap{3.0, 21.0, target.height, 24, source.height},
                         AxisMap{0.0, 1.0, target.width, 1, source.width}, kind, threshold, random);
    check_upsample<T, 4>(source, AxisMap{0.0, 4.0, target.height, 4, source.height},
                         AxisMap{1.0, 2.0 * source.width - 1.0, target.width, 2 * source.width, source.width},
                         kind, threshold, random);
}

constexpr Size kSizes[] = {{1, 1}, {2, 3}, {7, 5}, {16, 33}, {3, 200}};
constexpr Size kWideSizes[] = {{2, 15}, {3, 17}, {4, 63}, {5, 64}, {2, 65}, {3, 97}, {1, 129}, {9, 300}};

void test_upsample() {
    Random random(7);
    for (const Kind kind :
         {Kind::noise, Kind::regions, Kind::everything, Kind::nothing, Kind::checkers, Kind::wild}) {
        for (const Size source : kSizes) {
            for (const Size target : kSizes) {
                check_upsamples<float>(source, target, kind, kind == Kind::wild ? 0.0F : 0.125F, &random);
            }
        }
        for (const Size source : kWideSizes) {
            for (const Size target : {Size{5, 61}, Size{4, 300}}) {
                check_upsamples<float>(source, target, kind, -0.25F, &random);
                if (kind == Kind::wild) continue;  // which no half holds
                check_upsamples<ev::Half>(source, target, kind, -0.25F, &random);
            }
        }
    }
}

/// Weights of a pixel sum to 1, and composed taps of an identity are the plain ones.
void test_taps() {
    for (std::int32_t i = 0; i < 50; ++i) {
        Taps<4> composed{};
        ev::find_taps(AxisMap{5.0, 17.0, 50, 64, 16}, i, &composed);
        float sum = 0.0F;
        for (int k = 0; k < 4; ++k) {
            sum += composed.weight[k];
            CHECK(composed.index[k] >= 0 && composed.index[k] < 16);
            CHECK(composed.index[k] >= composed.index[0] && composed.index[k] <= composed.index[3]);
        }
        CHECK(sum > 1.0F - 1e-6F && sum < 1.0F + 1e-6F);
        Taps<4> identity{};
        Taps<2> plain{};
        ev::find_taps(AxisMap{0.0, 16.0, 50, 16, 16}, i, &identity);
        ev::find_taps(AxisMap{0.0, 16.0, 50, 0, 16}, i, &plain);
        CHECK(identity.index[0] == plain.index[0] && identity.index[2] == plain.index[1]);
        CHECK(identity.weight[1] == 0.0F && identity.weight[3] == 0.0F);
        CHECK(identity.weight[2] == plain.weight[1]);
    }
}

template <int K>
void check_assemble(Size source, const AxisMap& rows, const AxisMap& columns, bool in_prototypes,
                    Random* random) {
    constexpr std::int32_t count = 7;
    const std::ptrdiff_t plane = std::ptrdiff_t{source.height} * source.width;
    std::vector<float> data(static_cast<std::size_t>(count * plane));
    for (float& value : data) value = random->next() - 0.5F;
    std::vector<float> coefficients(count);
    for (float& value : coefficients) value = random->next() - 0.5F;
    const ev::PrototypeView<float> prototypes{data.data(),  count, source.height,
                                              source.width, plane, source.width};
    const auto row_taps = all_taps<K>(rows);
    const auto column_taps = all_taps<K>(columns);
    const Plan<K> plan(column_taps, source.width);
    const ev::ImageTaps<K> taps{row_taps.data(), column_taps.data(), rows.size, columns.size, plan.get()};
    const float x = random->next() * static_cast<float>(columns.size);
    const float y = random->next() * static_cast<float>(rows.size);
    const float box[4] = {x - 2.0F, y - 3.0F, x + 20.0F * random->next(), y + 9.0F * random->next()};
    const ev::CropRule rule{in_prototypes, {1.0, 0.5, 0.25F}, {0.9, -1.0, 0.5F}};
    ev::Window inside{};
    const ev::Window window =
        ev::kernels().find_window(box, rule, taps, source.height, source.width, &inside);
    const auto at = [&](std::int32_t row, std::int32_t column) {
        float sum = 0.0F;
        if (row < inside.y1 || row >= inside.y2 || column < inside.x1 || column >= inside.x2) return sum;
        for (std::int32_t m = 0; m < count; ++m) {
            sum = sum +
                  coefficients[static_cast<std::size_t>(m)] *
                      data[static_cast<std::size_t>(m * plane + std::ptrdiff_t{row} * source.width + column)];
        }
        return sum;
    };
    const auto plainly = [&](std::int32_t row, std::int32_t column) {
        return mask_plainly(at, row_taps[static_cast<std::size_t>(row)],
                            column_taps[static_cast<std::size_t>(column)], 0.0F);
    };
    if (window.area() > 0) {
        std::vector<std::uint8_t> mask(static_cast<std::size_t>(window.area()));
        const AlignedScratch scratch(ev::kernels().assemble_scratch_size(prototypes, columns.size));
        ev::kernels().assemble_mask(prototypes, coefficients.data(), inside, taps, window, mask.data(),
                                    scratch.get());
        std::size_t i = 0;
        for (std::int32_t row = window.y1; row < window.y2; ++row) {
            for (std::int32_t column = window.x1; column < window.x2; ++column) {
                CHECK(mask[i++] == plainly(row, column));
            }
        }
    }
    if (!in_prototypes) return;
    for (std::int32_t row = 0; row < rows.size; ++row) {
        for (std::int32_t column = 0; column < columns.size; ++column) {
            const bool within =
                row >= window.y1 && row < window.y2 && column >= window.x1 && column < window.x2;
            CHECK(within || plainly(row, column) == 0);
        }
    }
}

void test_assemble() {
    Random random(7);
    for (const Size source : kSizes) {
        for (const Size target : kSizes) {
            const AxisMap rows{-0.5, 8.5, target.height, 0, source.height};
            const AxisMap columns{0.25, 30.0, target.width, 0, source.width};
            const AxisMap via_rows{2.0, 11.0, target.height, 16, source.height};
            const AxisMap via_columns{0.0, 40.0, target.width, 44, source.width};
            for (int i = 0; i < 8; ++i) {
                check_assemble<2>(source, rows, columns, i % 2 != 0, &random);
                check_assemble<4>(source, via_rows, via_columns, false, &random);
            }
        }
    }
}

void test_pixels_between() {
    const auto is = [](const ev::Range& range, std::int32_t begin, std::int32_t end) {
        return range.begin == begin && range.end == end;
    };
    CHECK(is(ev::pixels_between(1.0F, 3.0F, 10), 1, 3));
    CHECK(is(ev::pixels_between(1.1F, 3.1F, 10), 2, 4));
    CHECK(is(ev::pixels_between(-3e38F, 3e38F, 10), 0, 10));
    CHECK(is(ev::pixels_between(3.0F, 1.0F, 10), 0, 0));
    CHECK(is(ev::pixels_between(1.2F, 1.8F, 10), 0, 0));
    const float nan = std::nanf("");
    CHECK(is(ev::pixels_between(nan, nan, 10), 0, 0));
}

}  // namespace

void run() {
    test_taps();
    test_upsample();
    test_assemble();
    test_pixels_between();
}
