// The boxes family on the GPU: raw outputs of a detector to detections in image pixels, a batch at a time,
// without a word to the processor. Counts stay on the device, every array has an upper bound, so that a graph
// can hold it all.
#pragma once

#include "device.h"
#include "ev/boxes.h"

namespace ev::cuda {

/// A tensor of a batch, an image (rows, channels). Strides in elements.
struct TensorBatch {
    const void* data;
    std::int64_t rows, channels;
    std::ptrdiff_t row_stride, channel_stride, image_stride;
};

/// Where scores stand: as DenseRule says; in channels 4 and 5 of a row, with the class; or as a query's
/// logits.
enum class BoxScan : std::uint8_t { dense, rows, softmax, sigmoid };

/// How boxes that overlap are suppressed; the first four as in NmsJob.
struct SuppressRule {
    bool class_agnostic;
    bool greedy;
    double iou;
    float class_offset;
    std::int32_t max_candidates;  // at most kMaxCandidates; only so many best-scoring boxes take part
    std::int32_t max_detections;
};

/// How boxes are found. Pointers are the device's.
struct BoxFinderRule {
    BoxScan scan;
    bool half;        // the tensors are float16, else float32
    DenseRule dense;  // of every scan confidence and filter; the rest of BoxScan::dense
    BoxRule boxes;
    std::int32_t top_k;  // of BoxScan::sigmoid
    bool suppress;       // else the best max_detections are kept
    SuppressRule nms;
};

constexpr std::int32_t kMaxCandidates = 8192;

/// What the scans read; `boxes` is `scores` where one tensor has both.
struct BoxTensors {
    TensorBatch scores, boxes;
};

/// Results of a batch: of image i `counts[i]` rows from i * max_detections on, best first. Boxes have 4
/// columns, or 5 where rotated; upright ones are in image pixels, rotated ones in the model's.
struct DetectionArrays {
    std::int32_t* counts;
    float* boxes;
    float* scores;
    std::int32_t* class_ids;
    float* extra;        // BoxRule::num_extra columns
    std::int32_t* hits;  // may be null: how many passed the confidence, whether or not they took part
};

/// Bytes of workspace, aligned to 256.
std::size_t box_workspace_size(const BoxFinderRule& rule, const BoxTensors& tensors, int batch);

/// maps: an ImageMap an image, on the device; not read where boxes are rotated.
void launch_find_boxes(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, const ImageMap* maps,
                       void* workspace, const DetectionArrays& out, Stream stream);

/// Boxes of a batch that something else found, image i's from i * capacity on. Of those whose score or a
/// coordinate is not finite none is kept.
struct BoxArrays {
    std::int64_t capacity;
    bool rotated;
    const float* boxes;  // 4 columns, or 5 where rotated
    const float* scores;
    const std::int32_t* class_ids;  // 0 to 2^31 - 1; null: all are compared with each other
    const std::int32_t* counts;     // how many each image has; null: all have `capacity`
};

/// Bytes of workspace, aligned to 256, for launch_nms.
std::size_t nms_workspace_size(const SuppressRule& rule, bool rotated, std::int64_t capacity, int batch);

/// kept: (batch, max_detections), indices of the boxes that survive, best first, the lower index first among
/// equal scores, then -1; num_kept: how many they are. As ev::nms and ev::nms_rotated.
void launch_nms(const SuppressRule& rule, const BoxArrays& boxes, int batch, void* workspace,
                std::int32_t* kept, std::int32_t* num_kept, Stream stream);

}  // namespace ev::cuda
