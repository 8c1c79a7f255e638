// Suppression, and detection in one call.
#include "boxes_shared.h"
#include "thread_scratch.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

constexpr const char* kBoxMessage = "boxes must be C-contiguous float32, one row a box";
constexpr const char* kScoreMessage = "scores must be C-contiguous float32, one a box";
constexpr const char* kClassMessage = "class_ids must be C-contiguous int64, one a box";

thread_local Scratch nms_scratch;
// Candidates between decoding and suppression: in use while nms_scratch is.
thread_local Scratch candidate_scratch;

NmsJob nms_job(const float* boxes, const float* scores, const std::int64_t* class_ids, std::size_t count,
               double iou, std::size_t max_detections, float class_offset, std::size_t max_candidates) {
    require(count <= static_cast<std::size_t>(kMaxElements), "too many boxes");
    return {boxes, scores, class_ids, count, iou, max_detections, max_candidates, class_offset, true};
}

nb::object nms_array(const ReadArray& boxes, const ReadArray& scores,
                     const std::optional<ReadArray>& class_ids, double iou, std::size_t max_detections,
                     float class_offset, std::size_t max_candidates, bool rotated, bool greedy) {
    const std::size_t columns = rotated ? 5 : 4;
    require(boxes.ndim() == 2 && boxes.shape(1) == columns, kBoxMessage);
    const std::size_t count = boxes.shape(0);
    require(scores.ndim() == 1 && scores.size() == count, kScoreMessage);
    const std::int64_t* ids = nullptr;
    if (class_ids) {
        require(class_ids->ndim() == 1 && class_ids->size() == count, kClassMessage);
        ids = elements<std::int64_t>(*class_ids, kClassMessage);
    }
    NmsJob job = nms_job(elements<float>(boxes, kBoxMessage), elements<float>(scores, kScoreMessage), ids,
                         count, iou, max_detections, class_offset, max_candidates);
    job.greedy = greedy;
    ResultBlock block(std::min(count, max_detections) * sizeof(std::int64_t));
    auto* kept = block.take<std::int64_t>(std::min(count, max_detections));
    std::ptrdiff_t found = 0;
    {
        nb::gil_scoped_release released;
        std::byte* scratch = nms_scratch.reserve(kernels().nms_scratch_size(count, max_detections));
        found = rotated ? kernels().nms_rotated(job, scratch, kept) : kernels().nms(job, scratch, kept);
        nms_scratch.trim();
    }
    require(found != kBadClassId, "class_ids must be 0 to 2147483647");
    return as_numpy(kept, static_cast<std::size_t>(found), block.release());
}

/// Decode, suppress, map to the image: only kept boxes are written, and extra channels are read for them
/// alone.
template <class T>
nb::tuple detect(const OutputView<T>& output, const DenseRule& scores, const BoxRule& rule, NmsJob job,
                 bool class_agnostic, const ImageMap& map) {
    std::optional<Candidates> result;
    std::size_t found = 0;
    {
        nb::gil_scoped_release released;
        std::size_t count = 0;
        Hit* hits = scan_all(output, scores, &count);
        const std::size_t kept_size = std::min(count, job.max_detections) * sizeof(std::int64_t);
        std::byte* memory =
            candidate_scratch.reserve(kept_size + count * (sizeof(std::int64_t) + 5 * sizeof(float)) + 64);
        auto* kept = reinterpret_cast<std::int64_t*>(memory);
        CandidateArrays arrays{};
        arrays.class_ids = reinterpret_cast<std::int64_t*>(memory + kept_size);
        arrays.boxes = reinterpret_cast<float*>(arrays.class_ids + count);
        arrays.scores = arrays.boxes + 4 * count;
        BoxRule without_extra = rule;
        without_extra.num_extra = 0;
        job.count = kernels().gather_candidates(output, without_extra, hits, count, arrays);
        job.boxes = arrays.boxes;
        job.scores = arrays.scores;
        job.class_ids = class_agnostic ? nullptr : arrays.class_ids;
        std::byte* scratch = nms_scratch.reserve(kernels().nms_scratch_size(job.count, job.max_detections));
        // Decoders give no class id out of range, so this is never kBadClassId.
        found = static_cast<std::size_t>(std::max<std::ptrdiff_t>(kernels().nms(job, scratch, kept), 0));
        const auto extras = static_cast<std::size_t>(rule.num_extra);
        result.emplace(found, 4, extras);
        for (std::size_t i = 0; i < found; ++i) {
            const float* from = arrays.boxes + 4 * kept[i];
            const Box box = to_image(Box{from[0], from[1], from[2], from[3]}, map);
            float* to = result->arrays.boxes + 4 * i;
            to[0] = box.x1;
            to[1] = box.y1;
            to[2] = box.x2;
            to[3] = box.y2;
            result->arrays.scores[i] = arrays.scores[kept[i]];
            result->arrays.class_ids[i] = arrays.class_ids[kept[i]];
            if (extras > 0)
                gather_extra(output, rule, hits[kept[i]].anchor, result->arrays.extra + i * extras);
        }
        nms_scratch.trim();
        candidate_scratch.trim();
        hit_scratch.trim();
    }
    return result->to_python(found);
}

nb::tuple detect_dense(const ReadArray& array, std::int64_t num_classes, bool multi_label, float confidence,
                       const Allowed& allowed, bool class_agnostic, double iou, std::size_t max_detections,
                       float class_offset, std::size_t max_candidates, float left, float top, float gain_x,
                       float gain_y, float width, float height) {
    nb::tuple result;
    with_float_type(array.dtype(), kOutputMessage, [&](auto* type) {
        const auto output = view_output<std::remove_const_t<std::remove_pointer_t<decltype(type)>>>(array);
        const DenseRule scores =
            dense_rule(output.channels, num_classes, 0, multi_label, confidence, allowed);
        const BoxRule boxes = dense_boxes(output.channels, scores, BoxCoding::center);
        const NmsJob job =
            nms_job(nullptr, nullptr, nullptr, 0, iou, max_detections, class_offset, max_candidates);
        result =
            detect(output, scores, boxes, job, class_agnostic, {left, top, gain_x, gain_y, width, height});
    });
    return result;
}

}  // namespace

void bind_nms(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    const auto optional_array = [](const char* name) { return nb::arg(name).noconvert().none(); };
    module.def("nms", &nms_array, array("boxes"), array("scores"), optional_array("class_ids"), "iou"_a,
               "max_detections"_a, "class_offset"_a, "max_candidates"_a, "rotated"_a, "greedy"_a);
    module.def("detect_dense", &detect_dense, array("output"), "num_classes"_a, "multi_label"_a,
               "confidence"_a, optional_array("allowed"), "class_agnostic"_a, "iou"_a, "max_detections"_a,
               "class_offset"_a, "max_candidates"_a, "left"_a, "top"_a, "gain_x"_a, "gain_y"_a, "width"_a,
               "height"_a);
}

}  // namespace ev::bind
