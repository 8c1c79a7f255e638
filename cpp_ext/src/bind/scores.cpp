#include "arrays.h"
#include "bind.h"
#include "ev/kernels.h"
#include "ev/pool.h"
#include "thread_scratch.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

constexpr const char* kLogitsMessage = "logits must be C-contiguous float32 or float16";
constexpr const char* kOutMessage = "out must be C-contiguous float32 of the logits' size";

// Elements of a part, at least. On two Zen 4 cores two threads take 72 us for 2^16 elements of a softmax,
// where one takes 65, and 104 for 2^17, where one takes 123; of a sigmoid 74 for 2^17, where one takes 55,
// and 104 for 2^18, where one takes 108.
constexpr std::size_t kLeastSoftmax = std::size_t{1} << 16;
constexpr std::size_t kLeastSigmoid = std::size_t{1} << 17;

// Neighbours that stay in one part, where neighbours are worked on together: the floats of a cache line.
constexpr std::int64_t kTogether = 16;

thread_local Scratch key_scratch;

/// Calls run(begin, end) for parts of `count` columns, each of which begins at a multiple of `step`.
template <class Run>
void for_each_range(int parts, std::int64_t count, std::int64_t step, Run&& run) {
    const auto begin = [&](int part) {
        return part == parts ? count : part_begin(count, part, parts) / step * step;
    };
    for_each_part(parts, [&](int part) { run(begin(part), begin(part + 1)); });
}

/// The kernels read an element, or a slice, before they write it: `out` may be the very logits.
void require_apart_or_same(const WriteArray& out, const ReadArray& logits) {
    const bool same = out.data() == logits.data() && has_dtype<float>(logits.dtype());
    if (!same) require_apart(out, logits);
}

void softmax_array(const ReadArray& logits, std::int64_t outer, std::int64_t size, std::int64_t inner,
                   const WriteArray& out) {
    float* to = elements<float>(out, kOutMessage);
    require(outer >= 0 && size >= 0 && inner >= 0 && out.size() == logits.size() &&
                static_cast<std::size_t>(outer) * static_cast<std::size_t>(size) *
                        static_cast<std::size_t>(inner) ==
                    logits.size(),
            "outer * size * inner must be the logits' size");
    require_apart_or_same(out, logits);
    with_float_type(logits.dtype(), kLogitsMessage, [&](auto* type) {
        const auto* from =
            elements<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(logits, kLogitsMessage);
        nb::gil_scoped_release released;
        const auto columns = size == 0 ? 0 : static_cast<std::int64_t>(logits.size()) / size;
        const std::int64_t step = inner == 1 ? 1 : kTogether;
        const int parts = count_parts(logits.size(), kLeastSoftmax);
        for_each_range(parts, columns, step, [&](std::int64_t begin, std::int64_t end) {
            kernels().softmax(from, size, inner, begin, end, to);
        });
    });
}

void sigmoid_array(const ReadArray& logits, const WriteArray& out) {
    float* to = elements<float>(out, kOutMessage);
    require(out.size() == logits.size(), kOutMessage);
    require_apart_or_same(out, logits);
    with_float_type(logits.dtype(), kLogitsMessage, [&](auto* type) {
        const auto* from =
            elements<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(logits, kLogitsMessage);
        nb::gil_scoped_release released;
        const auto count = static_cast<std::int64_t>(logits.size());
        const int parts = count_parts(logits.size(), kLeastSigmoid);
        for_each_range(parts, count, kTogether, [&](std::int64_t begin, std::int64_t end) {
            kernels().sigmoid(from + begin, end - begin, to + begin);
        });
    });
}

void top_k_array(const ReadArray& scores, std::int64_t k, const WriteArray& values,
                 const WriteArray& indices) {
    const auto* from = elements<float>(scores, "scores must be C-contiguous float32");
    float* to_values = elements<float>(values, "values must be C-contiguous float32 (k,)");
    auto* to_indices = elements<std::int64_t>(indices, "indices must be C-contiguous int64 (k,)");
    const std::size_t size = scores.size();
    require(k >= 0 && static_cast<std::size_t>(k) <= size && values.size() == static_cast<std::size_t>(k) &&
                indices.size() == static_cast<std::size_t>(k) && size <= 0xffffffffU,
            "values and indices must hold k, at most as many as there are scores");
    require_apart(values, scores, indices);
    require_apart(indices, scores);
    nb::gil_scoped_release released;
    auto* keys = reinterpret_cast<std::uint64_t*>(key_scratch.reserve((size + 1) * sizeof(std::uint64_t)));
    kernels().top_k(from, static_cast<std::int64_t>(size), k, keys, to_values, to_indices);
    key_scratch.trim();
}

}  // namespace

void bind_scores(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    module.def("softmax", &softmax_array, array("logits"), "outer"_a, "size"_a, "inner"_a, array("out"));
    module.def("sigmoid", &sigmoid_array, array("logits"), array("out"));
    module.def("top_k", &top_k_array, array("scores"), "k"_a, array("values"), array("indices"));
}

}  // namespace ev::bind
