// Suppression of boxes that something else found.
#include <algorithm>

#include "bind.h"
#include "boxes.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

class BoxSuppressor {
  public:
    BoxSuppressor(std::int64_t batch, std::int64_t capacity, bool rotated, double iou, bool class_agnostic,
                  float class_offset, bool greedy, std::int64_t max_candidates, std::int64_t max_detections)
        : batch_(checked(batch, 65535, "batch must be 1 to 65535")),
          capacity_(checked(capacity, std::int64_t{1} << 30, "capacity must be 1 to 1073741824")),
          rotated_(rotated),
          rule_{class_agnostic,
                greedy,
                iou,
                class_offset,
                checked(max_candidates, kMaxCandidates, "max_candidates must be 1 to 8192"),
                checked(max_detections, 100000, "max_detections must be 1 to 100000")},
          workspace_(checked_size()) {}

    void suppress(std::uint64_t boxes, std::uint64_t scores, std::uint64_t class_ids, std::uint64_t counts,
                  std::uint64_t kept, std::uint64_t num_kept, const StreamObject& stream) {
        const BoxArrays arrays{capacity_,
                               rotated_,
                               static_cast<const float*>(as_pointer(boxes)),
                               static_cast<const float*>(as_pointer(scores)),
                               static_cast<const std::int32_t*>(as_pointer(class_ids)),
                               static_cast<const std::int32_t*>(as_pointer(counts))};
        launch_nms(rule_, arrays, batch_, workspace_.get(), static_cast<std::int32_t*>(as_pointer(kept)),
                   static_cast<std::int32_t*>(as_pointer(num_kept)), stream.get());
    }

  private:
    int batch_;
    std::int64_t capacity_;
    bool rotated_;
    SuppressRule rule_;
    DeviceMemory workspace_;

    static int checked(std::int64_t value, std::int64_t most, const char* message) {
        require(value >= 1 && value <= most, message);
        return static_cast<int>(value);
    }

    std::size_t checked_size() {
        require(rule_.iou >= 0.0 && rule_.iou <= 1.0, "iou must be 0 to 1");
        require(rule_.class_offset >= 0.0F && rule_.class_offset <= 1e6F, "class_offset must be 0 to 1e6");
        rule_.max_candidates =
            static_cast<std::int32_t>(std::min<std::int64_t>(rule_.max_candidates, capacity_));
        return nms_workspace_size(rule_, rotated_, capacity_, batch_);
    }
};

}  // namespace

void bind_nms(nb::module_& module) {
    nb::class_<BoxSuppressor>(module, "BoxSuppressor",
                              "Non-maximum suppression of boxes on the device: the indices that "
                              "edgevision.ops.nms gives with the same "
                              "max_candidates (rotated boxes: but for libm's last bit). The options are its "
                              "own; class_agnostic compares all "
                              "boxes whatever their classes.")
        .def(nb::init<std::int64_t, std::int64_t, bool, double, bool, float, bool, std::int64_t,
                      std::int64_t>(),
             "batch"_a, "capacity"_a, nb::kw_only(), "rotated"_a = false, "iou"_a, "class_agnostic"_a = false,
             "class_offset"_a = 0.0F, "greedy"_a = true, "max_candidates"_a = kMaxCandidates,
             "max_detections"_a = 300)
        .def("suppress", &BoxSuppressor::suppress, NoGil(), "boxes"_a, "scores"_a, "class_ids"_a, "counts"_a,
             "kept"_a, "num_kept"_a, "stream"_a,
             "boxes: float32 (batch, capacity, 4), xyxy, or 5 where rotated, xywhr; scores: float32 and "
             "class_ids: "
             "int32 (batch, capacity); counts: int32 (batch,), how many of them there are. class_ids may be "
             "0: all are "
             "compared with each other; counts too: capacity. Writes int32 kept (batch, max_detections), "
             "indices, best "
             "first, then -1, and num_kept (batch,).");
}

}  // namespace ev::cuda::bind
