// The image family: an image written through a placement (resize, crop or pad, normalise) into a tensor.
//
// All arithmetic on pixels is integer, and what decides an integer weight is IEEE double or float arithmetic
// in a fixed order, so that NumPy, every compiler and every instruction set give the same bits.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "ev/color.h"
#include "ev/view.h"

namespace ev {

// ---- Colour
// ---------------------------------------------------------------------------------------------------------

/// Luma of ITU-R BT.601 (0.299 R + 0.587 G + 0.114 B) in 15-bit fixed point, rounded: OpenCV's BGR2GRAY bit
/// for bit.
EV_INLINE std::uint8_t luma_bt601(int blue, int green, int red) {
    return static_cast<std::uint8_t>((blue * 3735 + green * 19235 + red * 9798 + (1 << 14)) >> 15);
}

// ---- Nearest and linear: OpenCV's arithmetic
// ------------------------------------------------------------------------

/// Source pixels per resized pixel. Not source / resized: OpenCV inverts a rounded quotient, and a product
/// that lands on the other side of an integer picks another pixel.
EV_INLINE double source_step(int source_size, int resized_size) {
    return 1.0 / (static_cast<double>(resized_size) / static_cast<double>(source_size));
}

/// Source index of resized index `index` under cv2.INTER_NEAREST.
EV_INLINE int nearest_index(int index, double step, int source_size) {
    const double position = std::floor(static_cast<double>(index) * step);
    const double last = static_cast<double>(source_size - 1);
    return static_cast<int>(position < last ? position : last);
}

/// Two neighbouring source indices and their weights in 11-bit fixed point (2048 is one).
struct LinearTap {
    int first;
    int second;
    std::int16_t weight_first;
    std::int16_t weight_second;
};

/// The taps of resized index `index` under cv2.INTER_LINEAR (half-pixel centres, edge replicated).
///
/// `exact_edge`: beyond the outermost centres OpenCV's horizontal pass gives all weight to the edge pixel,
/// while its vertical pass reads the edge row twice with the two fractional weights. That is not the same:
/// the vertical pass cuts two products, and weights rounded apart may add up to 2047 or 2049.
EV_INLINE LinearTap linear_tap(int index, double step, int source_size, bool exact_edge) {
    const float position = static_cast<float>((static_cast<double>(index) + 0.5) * step - 0.5);
    int base = static_cast<int>(std::floor(position));
    float fraction = position - static_cast<float>(base);
    if (exact_edge && (base < 0 || base >= source_size - 1)) {
        base = base < 0 ? 0 : source_size - 1;
        fraction = 0.0F;
    }
    const int last = source_size - 1;
    LinearTap tap{};
    tap.first = base < 0 ? 0 : (base > last ? last : base);
    tap.second = base + 1 < 0 ? 0 : (base + 1 > last ? last : base + 1);
    tap.weight_first = static_cast<std::int16_t>(std::rint((1.0F - fraction) * 2048.0F));
    tap.weight_second = static_cast<std::int16_t>(std::rint(fraction * 2048.0F));
    return tap;
}

/// Horizontal pass: at most 255 * 2048 / 16 = 32640, so the vertical pass works on 16 bits. The four bits
/// that are cut here are cut by OpenCV too.
EV_INLINE std::int16_t linear_horizontal(int first, int second, int weight_first, int weight_second) {
    return static_cast<std::int16_t>((first * weight_first + second * weight_second) >> 4);
}

/// Vertical pass: each product is cut to 16 bits before the sum (OpenCV's two roundings), then rounded to a
/// pixel.
EV_INLINE std::uint8_t linear_vertical(std::int16_t above, std::int16_t below, std::int16_t weight_above,
                                       std::int16_t weight_below) {
    // In 16-bit steps, which compilers turn into 16-bit lanes.
    const auto high = static_cast<std::int16_t>((above * weight_above) >> 16);
    const auto low = static_cast<std::int16_t>((below * weight_below) >> 16);
    const auto sum = static_cast<std::uint16_t>(high + low + 2);
    return static_cast<std::uint8_t>(sum >> 2);
}

// ---- Antialiased: Pillow's arithmetic
// -------------------------------------------------------------------------------

constexpr int kAntialiasBits = 22;
constexpr std::int32_t kAntialiasOne = std::int32_t{1} << kAntialiasBits;
constexpr std::int32_t kAntialiasHalf = std::int32_t{1} << (kAntialiasBits - 1);

/// The triangle, of support 1.
EV_INLINE double bilinear_weight(double x) {
    x = x < 0.0 ? -x : x;
    return x < 1.0 ? 1.0 - x : 0.0;
}

/// Keys' cubic convolution kernel with a = -0.5, of support 2 (R. Keys, IEEE Trans. ASSP 29(6), 1981).
EV_INLINE double bicubic_weight(double x) {
    constexpr double a = -0.5;
    x = x < 0.0 ? -x : x;
    if (x < 1.0) return ((a + 2.0) * x - (a + 3.0)) * x * x + 1.0;
    if (x < 2.0) return (((x - 5.0) * x + 8.0) * x - 4.0) * a;
    return 0.0;
}

/// One axis of an antialiased resize: the kernel is stretched by the scale when it shrinks, never when it
/// enlarges.
struct AntialiasAxis {
    double step;     // source pixels per resized pixel
    double stretch;  // max(step, 1)
    double support;  // half the stretched kernel's width, source pixels
    int source_size;
    bool bicubic;
    bool copies;  // the sizes are equal: Pillow skips the pass
};

EV_INLINE AntialiasAxis antialias_axis(int source_size, int resized_size, bool bicubic) {
    AntialiasAxis axis{};
    axis.step = static_cast<double>(source_size) / static_cast<double>(resized_size);
    axis.stretch = axis.step < 1.0 ? 1.0 : axis.step;
    axis.support = (bicubic ? 2.0 : 1.0) * axis.stretch;
    axis.source_size = source_size;
    axis.bicubic = bicubic;
    axis.copies = source_size == resized_size;
    return axis;
}

/// Upper bound of the number of taps of one resized index.
EV_INLINE int antialias_max_taps(const AntialiasAxis& axis) {
    if (axis.copies) return 1;
    const int taps = static_cast<int>(std::ceil(axis.support)) * 2 + 1;
    return taps < axis.source_size ? taps : axis.source_size;
}

/// The first source index and the number of taps of resized index `index`.
EV_INLINE void antialias_range(const AntialiasAxis& axis, int index, int* first, int* count) {
    if (axis.copies) {
        *first = index;
        *count = 1;
        return;
    }
    const double center = (static_cast<double>(index) + 0.5) * axis.step;
    // Truncation is what Pillow does here, below zero too.
    // NOLINTNEXTLINE(bugprone-incorrect-roundings)
    const int low = static_cast<int>(center - axis.support + 0.5);
    // NOLINTNEXTLINE(bugprone-incorrect-roundings)
    const int high = static_cast<int>(center + axis.support + 0.5);
    *first = low < 0 ? 0 : low;
    *count = (high > axis.source_size ? axis.source_size : high) - *first;
}

/// The weights of resized index `index` in 22-bit fixed point (kAntialiasOne is one); returns through
/// `weights` as many as antialias_range counts, and through `range` what it finds.
EV_INLINE void antialias_weights(const AntialiasAxis& axis, int index, std::int32_t* weights, int* first,
                                 int* count) {
    antialias_range(axis, index, first, count);
    if (axis.copies) {
        weights[0] = kAntialiasOne;
        return;
    }
    const double center = (static_cast<double>(index) + 0.5) * axis.step;
    const double inverse = 1.0 / axis.stretch;
    // The weights are computed twice, once for their sum: cheaper than a second array of doubles.
    double total = 0.0;
    for (int tap = 0; tap < *count; ++tap) {
        const double x = (static_cast<double>(tap + *first) - center + 0.5) * inverse;
        total += axis.bicubic ? bicubic_weight(x) : bilinear_weight(x);
    }
    for (int tap = 0; tap < *count; ++tap) {
        const double x = (static_cast<double>(tap + *first) - center + 0.5) * inverse;
        double weight = axis.bicubic ? bicubic_weight(x) : bilinear_weight(x);
        if (total != 0.0) weight /= total;
        const double scaled = weight * static_cast<double>(kAntialiasOne);
        weights[tap] = static_cast<std::int32_t>(weight < 0.0 ? -0.5 + scaled : 0.5 + scaled);
    }
}

/// A sum of weighted pixels, begun at kAntialiasHalf, as a pixel. The sum cannot overflow: the weights'
/// absolute values add up to at most 1.5, and 255 * 1.5 * 2^22 < 2^31.
EV_INLINE std::uint8_t antialias_pixel(std::int32_t sum) {
    const std::int32_t value = sum >> kAntialiasBits;
    return static_cast<std::uint8_t>(value < 0 ? 0 : (value > 255 ? 255 : value));
}

// ---- The kernel
// -----------------------------------------------------------------------------------------------------

enum class Filter : std::uint8_t { nearest, linear, bilinear_antialias, bicubic_antialias };

/// A way to compute a table's elements: fma(pixel, factor, pixel * rest), rounded to the tensor's type. The
/// two add up to a factor of twice float's precision, so that a division is rounded as it was.
struct PixelScale {
    float factor;
    float rest;
    bool holds;  // false: the elements must be looked up
};

/// One image on its way into one tensor. The tensor's size is the canvas.
struct ImageJob {
    ImageView image;
    const YuvFrame* yuv;  // if not null, where the pixels come from; `image` is then yuv_image(*yuv)
    TensorView out;
    int resized_height;
    int resized_width;
    int offset_y;  // of the resized image in the canvas; negative where it is cropped
    int offset_x;
    Filter filter;
    int order[3];  // the image's channel behind each channel of the tensor; with to_gray: where blue, green,
                   // red are
    bool to_gray;  // the tensor has one channel: the luma of three, taken before the resize
    const void* table;  // (out.channels, 256) elements: the tensor's value of each pixel value
    const void* pad;    // (out.channels) elements
    // write_image finds these; what a caller sets does not count.
    PixelScale scale;
    const std::uint8_t* table_bytes;  // the table split into the bytes of its elements, if that is of use
};

/// The frame as an image job sees it: planes of blue, green and red, made a row at a time.
EV_INLINE ImageView yuv_image(const YuvFrame& frame) {
    return {nullptr, frame.y.height, frame.y.width, 3, 0, 1, yuv_plane_size(frame.y.width)};
}

inline namespace EV_ISA {

/// Bytes of scratch that write_image needs for `job`.
std::size_t image_scratch_size(const ImageJob& job);

/// Writes every element of job.out exactly once. Sizes are at least 1, `order` names channels the image has,
/// `scratch` holds image_scratch_size(job) bytes aligned to 64 and is this call's alone. Allocates nothing
/// and throws nothing.
void write_image(const ImageJob& job, std::byte* scratch);

}  // namespace EV_ISA

}  // namespace ev
