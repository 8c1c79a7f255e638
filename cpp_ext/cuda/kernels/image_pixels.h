// Pixels in, elements out: what the filters share.
#pragma once

#include "image.h"
#include "launch.h"

namespace ev::cuda {

/// Up to three channels, in the tensor's order.
struct Pixel {
    std::uint8_t channel[3];
};

EV_BODY inline std::uint8_t choose(int index, std::uint8_t first, std::uint8_t second, std::uint8_t third) {
    return index == 0 ? first : (index == 1 ? second : third);
}

/// The image's pixel (y, x), which lies inside.
EV_BODY inline Pixel load_pixel(const ImagePlace& place, int channels, int y, int x) {
    std::uint8_t read[3];
    if (place.from_yuv) {
        const YuvFrame& frame = place.yuv;
        const int chroma_y = frame.u.height == frame.y.height ? y : y / 2;
        const int u = frame.u.data[chroma_y * frame.u.row_stride + x / 2 * frame.u.pixel_stride];
        const int v = frame.v.data[chroma_y * frame.v.row_stride + x / 2 * frame.v.pixel_stride];
        const std::int32_t luma =
            luma_term(frame.coefficients, frame.y.data[y * frame.y.row_stride + x * frame.y.pixel_stride]);
        const ChromaTerms terms = chroma_terms(frame.coefficients, u, v);
        const std::uint8_t blue = yuv_channel(luma, terms.blue);
        const std::uint8_t green = yuv_channel(luma, terms.green);
        const std::uint8_t red = yuv_channel(luma, terms.red);
        for (int c = 0; c < 3; ++c) read[c] = choose(place.order[c], blue, green, red);
    } else {
        const std::uint8_t* pixel =
            place.image.data + y * place.image.row_stride + x * place.image.pixel_stride;
        const bool all = place.to_gray || channels == 3;
        for (int c = 0; c < 3; ++c) {
            read[c] = c == 0 || all ? pixel[place.order[c] * place.image.channel_stride] : std::uint8_t{0};
        }
    }
    if (place.to_gray) return {{luma_bt601(read[0], read[1], read[2]), 0, 0}};
    return {{read[0], read[1], read[2]}};
}

/// One image's tensor, whose elements are T; float16 as its bits.
template <class T>
class Canvas {
  public:
    EV_BODY Canvas(const ImageRule& rule, int image)
        : rule_(rule), first_(static_cast<T*>(rule.out.data) + image * rule.image_stride) {}

    EV_BODY void store(int y, int x, const Pixel& pixel) const {
        const T* table = static_cast<const T*>(rule_.table);
        write(y, x, table[pixel.channel[0]], table, pixel, 256);
    }

    EV_BODY void store_pad(int y, int x) const {
        const T* pad = static_cast<const T*>(rule_.pad);
        write(y, x, pad[0], pad, Pixel{{0, 0, 0}}, 1);
    }

    EV_BODY bool has(int y, int x) const { return y < rule_.out.height && x < rule_.out.width; }

  private:
    const ImageRule& rule_;
    T* first_;

    EV_BODY void write(int y, int x, T first, const T* table, const Pixel& pixel, int pitch) const {
        T* element = first_ + y * rule_.out.row_stride + x * rule_.out.pixel_stride;
        *element = first;
        if (rule_.out.channels == 1) return;
        element[rule_.out.channel_stride] = table[pitch + pixel.channel[1]];
        element[2 * rule_.out.channel_stride] = table[2 * pitch + pixel.channel[2]];
    }
};

/// Whether a canvas index is one of the resized image's.
EV_BODY inline bool is_covered(int index, int offset, int resized) {
    return index >= offset && index - offset < resized;
}

}  // namespace ev::cuda
