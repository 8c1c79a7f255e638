// The best k of scores.
#include "select.h"
#include "staged.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

class TopK {
  public:
    TopK(std::int64_t batch, std::int64_t size, std::int64_t k)
        : batch_(checked(batch, 65535)),
          k_(checked(k, size)),
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
        require(value >= 1 && value <= most, "batch, size and k must be at least 1, k at most size");
        return static_cast<int>(value);
    }
};

}  // namespace

void bind_scores(nb::module_& module) {
    nb::class_<TopK>(
        module, "TopK",
        "The k best of each row of float32 scores (batch, size): descending, the lower index first "
        "among equals, NaN last.")
        .def(nb::init<std::int64_t, std::int64_t, std::int64_t>(), "batch"_a, "size"_a, "k"_a)
        .def("find", &TopK::find, "scores"_a, "values"_a, "indices"_a, "stream"_a,
             "Write float32 and int32 (batch, k).");
}

}  // namespace ev::cuda::bind
