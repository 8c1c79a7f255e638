// The masks kernels without Python, against the rule applied pixel by pixel. Buffers have exactly the size
// the contract asks for.
#include <cstdint>
#include <limits>
#include <memory>
#include <vector>

#include "check.h"
#include "ev/kernels.h"

namespace {

using ev::Tap;

/// Pseudo-random numbers in [0, 1), the same everywhere.
class Random {
  public:
    float next() {
        state_ = state_ * 1664525U + 1013904223U;
        return static_cast<float>(state_ >> 8) * 0x1p-24F;
    }

  private:
    std::uint32_t state_ = 7;
};

std::int32_t best_class(const std::vector<float>& values) {
    if (values.size() == 1) return values[0] > 0.0F ? 1 : 0;
    float best = -std::numeric_limits<float>::infinity();
    std::int32_t winner = 0;
    for (std::size_t id = 0; id < values.size(); ++id) {
        if (values[id] > best) {
            best = values[id];
            winner = static_cast<std::int32_t>(id);
        }
    }
    return winner;
}

std::vector<float> pixel(const ev::LogitsView<float>& logits, std::int32_t y, std::int32_t x) {
    std::vector<float> values(static_cast<std::size_t>(logits.classes));
    for (std::int32_t id = 0; id < logits.classes; ++id) {
        values[static_cast<std::size_t>(id)] =
            logits.data[id * logits.class_stride + y * logits.row_stride + x];
    }
    return values;
}

std::int32_t label_plainly(const ev::LogitsView<float>& logits, const Tap& row, const Tap& column) {
    const std::vector<float> a = pixel(logits, row.first, column.first);
    const std::vector<float> b = pixel(logits, row.first, column.second);
    const std::vector<float> c = pixel(logits, row.second, column.first);
    const std::vector<float> d = pixel(logits, row.second, column.second);
    const std::int32_t corner = best_class(a);
    if (best_class(b) == corner && best_class(c) == corner && best_class(d) == corner) return corner;
    std::vector<float> values(a.size());
    for (std::size_t id = 0; id < a.size(); ++id) {
        const float left = ev::blend(a[id], c[id], row.weight);
        const float right = ev::blend(b[id], d[id], row.weight);
        values[id] = ev::blend(left, right, column.weight);
    }
    return best_class(values);
}

struct Size {
    std::int32_t height;
    std::int32_t width;
};

template <class L>
void check_upsample(std::int32_t classes, Size source, Size target, const ev::Roi& roi, bool regions,
                    Random* random) {
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(source.height) * source.width;
    std::vector<float> data(static_cast<std::size_t>(classes * plane));
    for (float& value : data) value = random->next() - 0.5F;
    if (regions) {  // two halves with a border between them
        for (std::ptrdiff_t i = 0; i < plane; ++i) {
            const bool right = i % source.width > source.width / 2;
            data[static_cast<std::size_t>((right ? classes - 1 : 0) * plane + i)] += 2.0F;
        }
    }
    const ev::LogitsView<float> logits{data.data(),  classes, source.height,
                                       source.width, plane,   source.width};
    const std::ptrdiff_t row_stride = target.width;
    std::vector<L> out(static_cast<std::size_t>(target.height * row_stride));
    const ev::LabelView<L> labels{out.data(), target.height, target.width, row_stride};
    const std::size_t size = ev::kernels().upsample_scratch_size(logits, labels);
    std::vector<std::byte> scratch(size + 63);
    void* start = scratch.data();
    std::size_t space = scratch.size();
    ev::kernels().upsample_argmax(logits, roi, labels,
                                  static_cast<std::byte*>(std::align(64, size, start, space)));
    for (std::int32_t y = 0; y < target.height; ++y) {
        const Tap row = ev::bilinear_tap(y, roi.y, roi.height, target.height, source.height);
        for (std::int32_t x = 0; x < target.width; ++x) {
            const Tap column = ev::bilinear_tap(x, roi.x, roi.width, target.width, source.width);
            const L found = out[static_cast<std::size_t>(y * row_stride + x)];
            CHECK(static_cast<std::int32_t>(found) == label_plainly(logits, row, column));
        }
    }
}

void test_upsample() {
    Random random;
    const Size sizes[] = {{1, 1}, {2, 3}, {7, 5}, {16, 33}, {3, 200}};
    for (const Size source : sizes) {
        for (const Size target : sizes) {
            const ev::Roi whole{0.0, 0.0, static_cast<double>(source.height),
                                static_cast<double>(source.width)};
            const ev::Roi part{-1.5, 0.7, 4.2, 9.9};
            for (const bool regions : {false, true}) {
                check_upsample<std::uint8_t>(1, source, target, whole, regions, &random);
                check_upsample<std::uint8_t>(5, source, target, whole, regions, &random);
                check_upsample<std::uint8_t>(5, source, target, part, regions, &random);
                check_upsample<std::int32_t>(260, source, target, whole, regions, &random);
            }
        }
    }
}

void test_resize_labels() {
    const std::vector<std::uint8_t> map{1, 2, 3, 4, 5, 6};
    std::vector<std::uint8_t> out(24);
    std::vector<std::int32_t> columns(6);
    ev::kernels().resize_labels(map.data(), 2, 3, 3, 1, ev::Roi{0.0, 0.0, 2.0, 3.0},
                                ev::LabelView<std::uint8_t>{out.data(), 4, 6, 6}, columns.data());
    const std::vector<std::uint8_t> expected{1, 1, 2, 2, 3, 3, 1, 1, 2, 2, 3, 3,
                                             4, 4, 5, 5, 6, 6, 4, 4, 5, 5, 6, 6};
    CHECK(out == expected);
}

}  // namespace

void run() {
    test_upsample();
    test_resize_labels();
}
