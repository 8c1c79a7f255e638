// The steps of launch_find_boxes and what they hand on.
#pragma once

#include "arena.h"
#include "boxes.h"
#include "ev/boxes_steps.h"
#include "launch.h"

namespace ev::cuda {

/// A batch of candidates, best first, image i's from i * pitch on.
struct Candidates {
    std::int32_t pitch;
    std::int32_t* counts;
    float* boxes;  // 5 a candidate, whatever the coding
    float* scores;
    std::int32_t* class_ids;
    std::int32_t* anchors;
};

/// Pieces of the workspace. Keys name hits; a hit is anchor * classes + class, of BoxScan::rows the row
/// alone.
struct BoxWorkspace {
    std::int64_t capacity;  // hits of an image at most
    std::int32_t* hit_counts;
    std::uint64_t* hits;
    std::uint64_t* best_logits;  // BoxScan::sigmoid: the top_k logits' keys
    std::int32_t* logit_counts;
    std::uint64_t* best;
    Candidates candidates;
    std::int32_t words;  // of 64 bits, a row of the next
    std::uint64_t* overlaps;
    std::int32_t* kept;  // ranks of candidates, max_detections an image
    Gaussian* gaussians;
    std::size_t used;

    BoxWorkspace(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, void* memory);
};

template <class T>
EV_BODY OutputView<T> view_of(const TensorBatch& tensor, int image) {
    return {static_cast<const T*>(tensor.data) + image * tensor.image_stride, tensor.rows, tensor.channels,
            tensor.row_stride, tensor.channel_stride};
}

/// Hits above the confidence with a finite box, in no order.
void launch_scan(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                 const BoxWorkspace& workspace, Stream stream);

/// The boxes of the best hits.
void launch_gather(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                   const BoxWorkspace& workspace, Stream stream);

/// Ranks that survive, and their number.
void launch_suppress(const BoxFinderRule& rule, int batch, const BoxWorkspace& workspace,
                     std::int32_t* counts, Stream stream);

void launch_write_detections(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                             const ImageMap* maps, const BoxWorkspace& workspace, const DetectionArrays& out,
                             Stream stream);

}  // namespace ev::cuda
