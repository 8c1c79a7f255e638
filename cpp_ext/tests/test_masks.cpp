// The masks kernels without Python, against the rule applied pixel by pixel. Buffers have exactly the size
// the contract asks for. The loops for processors without vectors are compiled here, too.
#include <cstdint>
#include <limits>
#include <memory>
#include <type_traits>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "random.h"

#define EV_PLAIN_LANES
#include "../src/kernels/masks.cpp"  // NOLINT(bugprone-suspicious-include)

namespace {

using ev::Tap;

using ev::test::Random;

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

template <class T>
std::vector<float> pixel(const ev::LogitsView<T>& logits, std::int32_t y, std::int32_t x) {
    std::vector<float> values(static_cast<std::size_t>(logits.classes));
    for (std::int32_t id = 0; id < logits.classes; ++id) {
        values[static_cast<std::size_t>(id)] =
            ev::to_float(logits.data[id * logits.class_stride + y * logits.row_stride + x]);
    }
    return values;
}

template <class T>
std::int32_t label_plainly(const ev::LogitsView<T>& logits, const Tap& row, const Tap& column) {
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

enum class Content : std::uint8_t { noise, regions, special };

/// Sixteenths from -8 to 8, which a half holds and of which many are equal.
template <class T>
T make_value(float number) {
    const auto sixteenths = static_cast<std::int32_t>(number * 256.0F) - 128;
    const float value = static_cast<float>(sixteenths) / 16.0F;
    if constexpr (std::is_same_v<T, float>) {
        return value;
    } else {
        const std::uint32_t bits = ev::bits_of(value);
        const std::uint32_t exponent = (bits >> 23) & 0xffU;
        const std::uint32_t magnitude =
            exponent == 0 ? 0 : ((exponent - 112) << 10) | ((bits >> 13) & 0x3ffU);
        return {static_cast<std::uint16_t>(((bits >> 16) & 0x8000U) | magnitude)};
    }
}

template <class T>
std::vector<T> make_logits(std::int32_t classes, Size source, Content content, Random* random) {
    const std::ptrdiff_t plane = static_cast<std::ptrdiff_t>(source.height) * source.width;
    std::vector<T> data(static_cast<std::size_t>(classes * plane));
    for (T& value : data) value = make_value<T>(random->next());
    if (content == Content::regions) {  // two halves with a border between them
        for (std::ptrdiff_t i = 0; i < plane; ++i) {
            const bool right = i % source.width > source.width / 2;
            data[static_cast<std::size_t>((right ? classes - 1 : 0) * plane + i)] = make_value<T>(0.999F);
        }
    }
    if constexpr (std::is_same_v<T, float>) {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        constexpr float values[] = {infinity, -infinity, std::numeric_limits<float>::quiet_NaN(), 3e38F,
                                    1e-40F};
        for (std::size_t i = 3; content == Content::special && i < data.size(); i += 41) {
            data[i] = values[i % 5];
        }
    }
    return data;
}

/// The labels, written in so many bands.
template <class T, class L, class Write>
std::vector<L> upsample(const ev::LogitsView<T>& logits, const ev::Roi& roi, Size target, std::size_t size,
                        std::int32_t bands, Write&& write) {
    std::vector<L> out(static_cast<std::size_t>(target.height) * static_cast<std::size_t>(target.width), 99);
    const ev::LabelView<L> labels{out.data(), target.height, target.width, target.width};
    for (std::int32_t band = bands - 1; band >= 0; --band) {  // in any order
        std::vector<std::byte> scratch(size + 63);
        void* start = scratch.data();
        std::size_t space = scratch.size();
        write(logits, roi, labels, target.height * band / bands, target.height * (band + 1) / bands,
              static_cast<std::byte*>(std::align(64, size, start, space)));
    }
    return out;
}

template <class T, class L>
void check_upsample(std::int32_t classes, Size source, Size target, const ev::Roi& roi, Content content,
                    Random* random) {
    const std::vector<T> data = make_logits<T>(classes, source, content, random);
    const ev::LogitsView<T> logits{data.data(),
                                   classes,
                                   source.height,
                                   source.width,
                                   static_cast<std::ptrdiff_t>(source.height) * source.width,
                                   source.width};
    const ev::LabelView<L> shape{nullptr, target.height, target.width, target.width};
    const ev::Kernels& kernels = ev::kernels();
    const std::size_t size = kernels.upsample_scratch_size(logits, shape);
    const auto whole = upsample<T, L>(logits, roi, target, size, 1, kernels.upsample_argmax);
    const auto bands = upsample<T, L>(logits, roi, target, size, 3, kernels.upsample_argmax);
    const auto plain = upsample<T, L>(logits, roi, target, ev::upsample_scratch_size(logits, shape), 1,
                                      ev::upsample_argmax<T, L>);
    CHECK(whole == bands);
    CHECK(whole == plain);
    for (std::int32_t y = 0; y < target.height; ++y) {
        const Tap row = ev::bilinear_tap(y, roi.y, roi.height, target.height, source.height);
        for (std::int32_t x = 0; x < target.width; ++x) {
            const Tap column = ev::bilinear_tap(x, roi.x, roi.width, target.width, source.width);
            const L found = whole[static_cast<std::size_t>(std::ptrdiff_t{y} * target.width + x)];
            CHECK(static_cast<std::int32_t>(found) == label_plainly(logits, row, column));
        }
    }
}

void test_upsample() {
    Random random(7);
    const Size sizes[] = {{1, 1}, {2, 3}, {7, 5}, {16, 33}, {3, 200}};
    for (const Size source : sizes) {
        for (const Size target : sizes) {
            const ev::Roi whole{0.0, 0.0, static_cast<double>(source.height),
                                static_cast<double>(source.width)};
            const ev::Roi part{-1.5, 0.7, 4.2, 9.9};
            for (const Content content : {Content::noise, Content::regions, Content::special}) {
                check_upsample<float, std::uint8_t>(1, source, target, whole, content, &random);
                check_upsample<float, std::uint8_t>(5, source, target, whole, content, &random);
                check_upsample<float, std::uint8_t>(5, source, target, part, content, &random);
                check_upsample<ev::Half, std::uint8_t>(6, source, target, whole, content, &random);
            }
            check_upsample<float, std::int32_t>(260, source, target, whole, Content::noise, &random);
            check_upsample<ev::Half, std::int32_t>(260, source, target, part, Content::regions, &random);
        }
    }
}

/// Every pixel, from a map with these strides, or with columns backwards.
template <class L>
void check_resize(Size source, Size target, const ev::Roi& roi, bool backwards) {
    const std::ptrdiff_t row_stride = source.width;
    std::vector<L> map(static_cast<std::size_t>(source.height * row_stride));
    for (std::size_t i = 0; i < map.size(); ++i) map[i] = static_cast<L>(i * 7919 % 251);
    const L* first = map.data() + (backwards ? source.width - 1 : 0);
    const std::ptrdiff_t column_stride = backwards ? -1 : 1;
    std::vector<L> out(static_cast<std::size_t>(target.height) * static_cast<std::size_t>(target.width), 99);
    const ev::LabelView<L> labels{out.data(), target.height, target.width, target.width};
    const std::size_t size = ev::kernels().resize_scratch_size(labels);
    std::vector<std::byte> scratch(size + 63);
    void* start = scratch.data();
    std::size_t space = scratch.size();
    ev::kernels().resize_labels(first, source.height, source.width, row_stride, column_stride, roi, labels,
                                static_cast<std::byte*>(std::align(64, size, start, space)));
    for (std::int32_t y = 0; y < target.height; ++y) {
        const std::int32_t row = ev::nearest_source(y, roi.y, roi.height, target.height, source.height);
        for (std::int32_t x = 0; x < target.width; ++x) {
            const std::int32_t column = ev::nearest_source(x, roi.x, roi.width, target.width, source.width);
            CHECK(out[static_cast<std::size_t>(std::ptrdiff_t{y} * target.width + x)] ==
                  first[row * row_stride + column * column_stride]);
        }
    }
}

void test_resize_labels() {
    const Size sizes[] = {{1, 1}, {3, 2}, {2, 15}, {5, 16}, {4, 17}, {3, 33}, {7, 97}};
    for (const Size source : sizes) {
        for (const Size target : sizes) {
            const ev::Roi whole{0.0, 0.0, static_cast<double>(source.height),
                                static_cast<double>(source.width)};
            for (const ev::Roi& roi : {whole, ev::Roi{-1.5, 0.7, 4.2, 9.9}, ev::Roi{0.2, -5.0, 2.0, 90.5}}) {
                check_resize<std::uint8_t>(source, target, roi, false);
                check_resize<std::uint8_t>(source, target, roi, true);
                check_resize<std::int32_t>(source, target, roi, false);
                check_resize<std::int64_t>(source, target, roi, false);
            }
        }
    }
}

}  // namespace

void run() {
    test_upsample();
    test_resize_labels();
}
