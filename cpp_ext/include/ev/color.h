// The color family: camera YUV to BGR or RGB, in integer arithmetic that NumPy, every compiler and every
// instruction set compute alike.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/view.h"

namespace ev {

constexpr int kYuvBits = 20;

/// A YUV to RGB matrix in 20-bit fixed point; where the numbers come from stands in edgevision/ops/color.py.
struct YuvCoefficients {
    std::int32_t luma_offset;  // code of black: 16 (limited range) or 0 (full)
    std::int32_t luma;
    std::int32_t red_v;
    std::int32_t green_u;
    std::int32_t green_v;
    std::int32_t blue_u;
};

/// What the chroma of a pixel adds to its red, green and blue, half a unit included for rounding.
struct ChromaTerms {
    std::int32_t red;
    std::int32_t green;
    std::int32_t blue;
};

EV_INLINE ChromaTerms chroma_terms(const YuvCoefficients& k, int u, int v) {
    constexpr std::int32_t half = std::int32_t{1} << (kYuvBits - 1);
    const std::int32_t du = u - 128;
    const std::int32_t dv = v - 128;
    return {half + k.red_v * dv, half + k.green_u * du + k.green_v * dv, half + k.blue_u * du};
}

/// Luma below the code of black counts as black, as in OpenCV.
EV_INLINE std::int32_t luma_term(const YuvCoefficients& k, int y) {
    const std::int32_t above = y - k.luma_offset;
    return (above < 0 ? 0 : above) * k.luma;
}

EV_INLINE std::uint8_t yuv_channel(std::int32_t luma, std::int32_t chroma) {
    const std::int32_t value = (luma + chroma) >> kYuvBits;
    return static_cast<std::uint8_t>(value < 0 ? 0 : (value > 255 ? 255 : value));
}

/// A read-only plane of uint8 samples. Strides are in bytes, of either sign.
struct PlaneView {
    const std::uint8_t* data;
    int height;
    int width;
    std::ptrdiff_t row_stride;
    std::ptrdiff_t pixel_stride;
};

/// A camera's frame. The chroma planes have half the luma's width, which is even, and as many rows as the
/// luma (4:2:2) or half as many (4:2:0); a chroma sample serves its 2x1 or 2x2 block unfiltered, as in
/// OpenCV.
struct YuvFrame {
    PlaneView y, u, v;
    YuvCoefficients coefficients;
};

/// Pixels that are converted together at most; planes of converted pixels have room for as many more.
constexpr int kYuvStep = 64;

/// Bytes of each plane that a row of `width` pixels is converted into.
EV_INLINE std::ptrdiff_t yuv_plane_size(int width) {
    return (width + std::ptrdiff_t{2} * kYuvStep - 1) / kYuvStep * kYuvStep;
}

/// A frame on its way to (height, width, 3) pixels.
struct YuvJob {
    YuvFrame frame;
    std::uint8_t* out;
    std::ptrdiff_t out_row_stride;  // bytes, of either sign
    std::ptrdiff_t out_pixel_stride;
    std::ptrdiff_t out_channel_stride;
    bool rgb;  // red first; else blue first
};

inline namespace EV_ISA {

/// Writes every pixel of the output. Allocates nothing and throws nothing.
void convert_yuv(const YuvJob& job);

}  // namespace EV_ISA

}  // namespace ev
