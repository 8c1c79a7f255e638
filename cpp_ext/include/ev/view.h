// Views of memory that the kernels read and write. No ownership, no Python.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/isa.h"

namespace ev {

/// A read-only uint8 image (height, width, channels). Strides are in bytes, of either sign.
struct ImageView {
    const std::uint8_t* data;
    int height;
    int width;
    int channels;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t pixel_stride;
    std::ptrdiff_t channel_stride;
};

enum class Element : std::uint8_t { u8, f16, f32 };

/// A writable tensor of `channels` planes of (height, width). Strides are in elements, of either sign: NCHW
/// and NHWC differ in nothing else. float16 elements are handled as their 16 bits.
struct TensorView {
    void* data;
    Element element;
    int channels;
    int height;
    int width;
    std::ptrdiff_t channel_stride;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t pixel_stride;
};

}  // namespace ev
