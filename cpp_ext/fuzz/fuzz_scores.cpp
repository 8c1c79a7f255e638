// Softmax over any axis, sigmoid, and the best k.
#include "agree.h"
#include "bytes.h"
#include "memory.h"

namespace {

using namespace ev::fuzz;

template <class T>
void run_softmax(Bytes& bytes) {
    const std::int64_t outer = bytes.between(0, 4);
    const std::int64_t size = bytes.size(0, 20, 200);
    const std::int64_t inner = bytes.flag() ? 1 : bytes.size(0, 6, 140);
    const auto count = static_cast<std::size_t>(outer * size * inner);
    T* logits = memory.take<T>(count, static_cast<std::size_t>(bytes.between(0, 15)));
    Values(bytes).fill(logits, count);
    const auto shift = static_cast<std::size_t>(bytes.between(0, 15));
    agree([&](Results& results) {
        auto* out = memory.take<float>(count, shift);
        ev::kernels().softmax(logits, outer, size, inner, out);
        results.add(out, count);
    });
    agree([&](Results& results) {
        auto* out = memory.take<float>(count, shift);
        ev::kernels().sigmoid(logits, static_cast<std::int64_t>(count), out);
        results.add(out, count);
    });
}

void run_top_k(Bytes& bytes) {
    const auto count = static_cast<std::size_t>(bytes.size(0, 40, 1200));
    auto* scores = memory.take<float>(count, static_cast<std::size_t>(bytes.between(0, 15)));
    Values(bytes).fill(scores, count);
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

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes(data, size);
    memory.rewind(0, 0);
    switch (bytes.between(0, 2)) {
        case 0:
            run_softmax<float>(bytes);
            break;
        case 1:
            run_softmax<ev::Half>(bytes);
            break;
        default:
            run_top_k(bytes);
            break;
    }
    return 0;
}
