// Softmax over any axis, sigmoid, and the best k.
#include <algorithm>
#include <type_traits>

#include "target.h"

namespace {

using namespace ev::fuzz;

struct Shape {
    std::int64_t outer, size, inner;
};

Shape choose_shape(Bytes& bytes) {
    if (is_rare(bytes, 64)) return {1, bytes.between(400, 2500), bytes.between(2, 40)};  // beyond a block
    if (is_rare(bytes, 4096))
        return {1, bytes.between(4, 6), std::int64_t{16} * bytes.between(16384, 17000)};  // 4 MiB
    const bool rows = bytes.flag();
    return {bytes.between(0, 4), bytes.size(0, 20, 200), rows ? 1 : bytes.size(0, 6, 140)};
}

template <class T>
void run_softmax(Bytes& bytes) {
    const Shape shape = choose_shape(bytes);
    const auto count = static_cast<std::size_t>(shape.outer * shape.size * shape.inner);
    const T* logits = take_values<T>(bytes, count);
    const std::size_t shift = choose_shift<float>(bytes);
    const std::int64_t columns = shape.outer * shape.inner;
    const std::int64_t cut = bytes.between(0, static_cast<int>(columns));
    agree([&](Results& results) {
        auto* out = memory.take<float>(count, shift);
        ev::kernels().softmax(logits, shape.size, shape.inner, 0, columns, out);
        results.add(out, count);
    });
    if constexpr (std::is_same_v<T, float>) {
        agree([&](Results& results) {
            auto* both = memory.take<float>(count, shift);
            std::copy_n(logits, count, both);
            ev::kernels().softmax(both, shape.size, shape.inner, 0, cut, both);
            ev::kernels().softmax(both, shape.size, shape.inner, cut, columns, both);
            results.add(both, count);
        });
    }
}

template <class T>
void run_sigmoid(Bytes& bytes) {
    const auto count = static_cast<std::size_t>(bytes.size(0, 60, 1200));
    const T* logits = take_values<T>(bytes, count);
    const std::size_t shift = choose_shift<float>(bytes);
    agree([&](Results& results) {
        auto* out = memory.take<float>(count, shift);
        ev::kernels().sigmoid(logits, static_cast<std::int64_t>(count), out);
        results.add(out, count);
    });
}

void run_top_k(Bytes& bytes) {
    const auto count = static_cast<std::size_t>(bytes.size(0, 40, 1200));
    const auto* scores = take_values<float>(bytes, count);
    const auto k = static_cast<std::size_t>(bytes.between(0, static_cast<int>(count)));
    agree([&](Results& results) {
        auto* keys = memory.take<std::uint64_t>(count);
        auto* values = memory.take<float>(k);
        auto* indices = memory.take<std::int64_t>(k);
        ev::kernels().top_k(scores, static_cast<std::int64_t>(count), static_cast<std::int64_t>(k), keys,
                            values, indices);
        results.add(values, k);
        results.add(indices, k);
    });
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    run_one_of(bytes, {run_softmax<float>, run_softmax<Half>, run_sigmoid<float>, run_sigmoid<Half>,
                       run_top_k, run_top_k});
}
