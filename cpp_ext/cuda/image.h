// The image family on the GPU: a batch of images, each with a place of its own, into one tensor by one
// kernel.
#pragma once

#include "device.h"
#include "ev/image.h"

namespace ev::cuda {

/// One image and where it goes: what may change from frame to frame. An array of these lies in device memory,
/// so that a graph takes what a copy into it brings.
struct ImagePlace {
    ImageView image;  // with from_yuv only its size counts
    YuvFrame yuv;
    bool from_yuv;
    bool to_gray;  // as in ImageJob
    int order[3];
    int resized_height, resized_width;
    int offset_y, offset_x;
};

/// What all images of a batch share. Pointers are the device's.
struct ImageRule {
    TensorView out;               // the first image's
    std::ptrdiff_t image_stride;  // elements to the next one's
    Filter filter;
    const void* table;  // as in ImageJob
    const void* pad;
};

/// Taps that an antialiased resize may have on an axis: those of a cubic that shrinks 31 times, or of a
/// triangle that shrinks 63 times. With a first and a count beside them they are an odd number of words, so
/// that the threads of a warp find their columns' weights in shared memory banks of their own.
constexpr int kMaxAntialiasTaps = 129;

/// Writes every element of `count` tensors, bit for bit what ev::write_image writes.
void launch_write_images(const ImagePlace* places, int count, const ImageRule& rule, Stream stream);

}  // namespace ev::cuda
