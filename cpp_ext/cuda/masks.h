// The masks family on the GPU: label maps, masks from logits, masks of instances from prototypes.
#pragma once

#include "device.h"
#include "ev/masks_instances.h"

namespace ev::cuda {

/// One image's label map: which part of the logits or labels it shows, and where it is written. An array of
/// these lies in device memory.
struct LabelPlace {
    Roi roi;
    std::int32_t height, width;  // of the image
    std::int64_t offset;         // elements into the output
};

/// Maps of a batch, (classes, height, width) each; label maps are one class. Strides in elements.
struct MapBatch {
    const void* data;
    std::int32_t classes, height, width;
    std::ptrdiff_t class_stride, row_stride, column_stride, image_stride;
};

enum class LabelType : std::uint8_t { u8, i32, i64 };

/// ev::upsample_argmax for every image; labels are u8 or i32. No image is larger than height x width.
void launch_upsample_argmax(const MapBatch& logits, bool half, const LabelPlace* places, int count,
                            std::int32_t height, std::int32_t width, LabelType type, void* labels,
                            Stream stream);

/// ev::resize_labels for every image.
void launch_resize_labels(const MapBatch& maps, const LabelPlace* places, int count, std::int32_t height,
                          std::int32_t width, LabelType type, void* labels, Stream stream);

/// One image's masks: how its rows and columns lie in the small maps, and which part of these that is.
struct MaskPlace {
    AxisMap rows, columns;  // with via_size in both or in neither
    std::int64_t first;     // element of the first map that is the part's first
    CropRule crop;          // of instances
    std::int64_t offset;    // elements into the output
};

/// Taps of images of at most height rows and width columns.
std::size_t taps_workspace_size(int batch, std::int32_t height, std::int32_t width);

/// ev::write_mask for every one of `maps.classes` maps of an image, whole masks one after another.
void launch_upsample_masks(const MapBatch& maps, bool half, const MaskPlace* places, int count,
                           std::int32_t height, std::int32_t width, float threshold, void* workspace,
                           std::uint8_t* masks, Stream stream);

/// Detections whose masks are wanted, image i's from i * max_detections on.
struct Instances {
    const std::int32_t* counts;
    const float* boxes;         // 4 each, image pixels
    const float* coefficients;  // from the first of `stride` numbers a detection, one a prototype
    std::int32_t stride;
    std::int32_t max_detections;
};

/// Masks of a batch, each in its window: windows x1, y1, x2, y2; an image's offsets are max_detections + 1,
/// into its own `capacity` bytes of data. Masks that no longer fit have an empty window: `counts` says how
/// many do, of the first.
struct MaskArrays {
    std::int32_t* counts;
    Window* windows;
    std::int32_t* offsets;
    std::uint8_t* data;
    std::int32_t capacity;
};

std::size_t instance_workspace_size(const MapBatch& prototypes, int batch, std::int32_t max_detections,
                                    std::int32_t height, std::int32_t width);

void launch_assemble_masks(const MapBatch& prototypes, bool half, const MaskPlace* places, int count,
                           std::int32_t height, std::int32_t width, const Instances& instances,
                           void* workspace, const MaskArrays& out, Stream stream);

}  // namespace ev::cuda
