// Scores of logits, and the best k of scores.
#include <nanobind/stl/string.h>

#include <algorithm>
#include <cstdint>

#include "activate.h"
#include "select.h"
#include "staged.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

class TopK {
  public:
    TopK(std::int64_t batch, std::int64_t size, std::int64_t k)
        : batch_(checked(batch, 65535)),
          // The kernel counts twice as many in an int, rounded up to a power of two.
          k_(checked(k, std::min(size, std::int64_t{1} << 29))),
          size_(checked(size, std::int64_t{1} << 30)),
          workspace_(top_k_workspace_size(batch_, size_, k_)) {}

    void find(std::uint64_t scores, std::uint64_t values, std::uint64_t indices, const StreamObject& stream) {
        launch_top_k(static_cast<const float*>(as_pointer(scores)), batch_, size_, k_, workspace_.get(),
                     static_cast<float*>(as_pointer(values)), static_cast<std::int32_t*>(as_pointer(indices)),
                     stream.get());
    }

  private:
    int batch_, k_;
    std::int64_t size_;
    DeviceMemory workspace_;

    static int checked(std::int64_t value, std::int64_t most) {
        require(value >= 1 && value <= most,
                "batch, size and k must be at least 1, k at most size and 536870912");
        return static_cast<int>(value);
    }
};

class ScoreWriter {
  public:
    ScoreWriter(std::int64_t batch, std::int64_t size, const std::string& activation, bool half)
        : batch_(batch), size_(size), softmax_(activation == "softmax"), half_(half) {
        require(batch >= 1 && batch <= 1 << 20, "batch must be 1 to 1048576");
        require(size >= 1 && size <= 1 << 30, "size must be 1 to 1073741824");
        require(batch <= (std::int64_t{1} << 38) / size, "batch times size must be at most 2^38");
        require(softmax_ || activation == "sigmoid", "activation must be 'softmax' or 'sigmoid'");
    }

    void write(std::uint64_t logits, std::uint64_t scores, std::int64_t count,
               const StreamObject& stream) const {
        require(count >= 1 && count <= batch_, "count must be 1 to the batch");
        auto* to = static_cast<float*>(as_pointer(scores));
        if (softmax_) {
            launch_softmax(as_pointer(logits), half_, count, size_, to, stream.get());
        } else {
            launch_sigmoid(as_pointer(logits), half_, count * size_, to, stream.get());
        }
    }

  private:
    std::int64_t batch_, size_;
    bool softmax_, half_;
};

}  // namespace

void bind_scores(nb::module_& module) {
    nb::class_<ScoreWriter>(
        module, "ScoreWriter",
        "float32 scores of rows of logits (batch, size), float32 or, with half, float16: bit for bit "
        "edgevision.ops.scores' softmax of each row, or sigmoid.")
        .def(nb::init<std::int64_t, std::int64_t, const std::string&, bool>(), "batch"_a, "size"_a,
             nb::kw_only(), "activation"_a, "half"_a = false)
        .def("write", &ScoreWriter::write, NoGil(), "logits"_a, "scores"_a, "count"_a, "stream"_a,
             "Write the first `count` rows' scores, float32; float32 logits may be overwritten by them.");
    nb::class_<TopK>(
        module, "TopK",
        "The k best of each row of float32 scores (batch, size): descending, the lower index first "
        "among equals, NaN last.")
        .def(nb::init<std::int64_t, std::int64_t, std::int64_t>(), "batch"_a, "size"_a, "k"_a)
        .def("find", &TopK::find, NoGil(), "scores"_a, "values"_a, "indices"_a, "stream"_a,
             "Write float32 and int32 (batch, k).");
}

}  // namespace ev::cuda::bind
