// Luma and chroma to colour, some pixels at a time.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/color.h"

#if defined(__SSE2__) || defined(_M_X64)
#define EV_COLOR_LANES 1
#include "color_lanes.h"
#else
#define EV_COLOR_LANES 0
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if EV_COLOR_LANES

// Two pixels share a sample of chroma, so the registers keep the even pixels and the odd ones apart in 32-bit
// lanes: no term is doubled. The upper half of a sum is all that counts ((sum >> 16) >> 4 is sum >> 20), so
// that the even sums' upper halves, moved down, and the odd ones' where they are make sixteen bits a pixel in
// the pixels' own order; packing to unsigned bytes saturates as yuv_channel does.
class ColorStep {
    using L = ColorLanes;
    using Bits = L::Bits;

  public:
    static constexpr std::ptrdiff_t kPixels = L::kBytes;

    explicit ColorStep(const YuvCoefficients& k)
        : offset_(L::fill_bytes(k.luma_offset)),
          luma_(L::fill_factor(k.luma)),
          red_v_(L::fill_factor(k.red_v)),
          green_u_(L::fill_factor(k.green_u)),
          green_v_(L::fill_factor(k.green_v)),
          blue_u_(L::fill_factor(k.blue_u)) {
        const ChromaTerms zero = chroma_terms(k, 0, 0);
        zero_[0] = L::fill(zero.blue);
        zero_[1] = L::fill(zero.green);
        zero_[2] = L::fill(zero.red);
    }

    /// Writes kPixels pixels of each of Rows rows, which share their chroma, to planes of blue, green and
    /// red.
    template <int Rows>
    [[gnu::always_inline]] void convert(const std::uint8_t* const y[Rows], const std::uint8_t* u,
                                        const std::uint8_t* v, std::uint8_t* const out[Rows][3]) const {
        const Bits us = L::load_words(u);
        const Bits vs = L::load_words(v);
        Bits luma[Rows];
        for (int r = 0; r < Rows; ++r) luma[r] = L::subtract_bytes(L::load(y[r]), offset_);
        Words words[Rows];
        const Terms low = terms_of(L::low_words(us), L::low_words(vs));
        for (int r = 0; r < Rows; ++r) add(L::low_bytes(luma[r]), low, low, words[r].low);
        const Terms high = terms_of(L::high_words(us), L::high_words(vs));
        for (int r = 0; r < Rows; ++r) {
            add(L::high_bytes(luma[r]), high, high, words[r].high);
            words[r].store(out[r]);
        }
    }

    /// Writes kPixels pixels, each of which has chroma of its own.
    [[gnu::always_inline]] void convert_apart(const std::uint8_t* y, const std::uint8_t* u,
                                              const std::uint8_t* v, std::uint8_t* const out[3]) const {
        const Bits luma = L::subtract_bytes(L::load(y), offset_);
        const Bits us = L::load(u);
        const Bits vs = L::load(v);
        Words words;
        add_apart(L::low_bytes(luma), L::low_bytes(us), L::low_bytes(vs), words.low);
        add_apart(L::high_bytes(luma), L::high_bytes(us), L::high_bytes(vs), words.high);
        words.store(out);
    }

  private:
    struct Terms {
        Bits channel[3];
    };

    /// Channels in 16 bits, of the pixels in the lower and upper halves of 128-bit lanes.
    struct Words {
        Bits low[3], high[3];

        void store(std::uint8_t* const out[3]) const {
            for (int c = 0; c < 3; ++c) L::store(out[c], L::halve(low[c], high[c]));
        }
    };

    Terms terms_of(Bits u, Bits v) const {
        const Bits green = L::add(L::multiply(u, green_u_), L::multiply(v, green_v_));
        return {{L::add(zero_[0], L::multiply(u, blue_u_)), L::add(zero_[1], green),
                 L::add(zero_[2], L::multiply(v, red_v_))}};
    }

    void add(Bits luma, const Terms& even_terms, const Terms& odd_terms, Bits words[3]) const {
        const Bits even = L::multiply(L::even_words(luma), luma_);
        const Bits odd = L::multiply(L::odd_words(luma), luma_);
        for (int c = 0; c < 3; ++c) {
            words[c] = L::join_words(L::add(even, even_terms.channel[c]), L::add(odd, odd_terms.channel[c]));
        }
    }

    void add_apart(Bits luma, Bits u, Bits v, Bits words[3]) const {
        add(luma, terms_of(L::even_words(u), L::even_words(v)), terms_of(L::odd_words(u), L::odd_words(v)),
            words);
    }

    Bits offset_, luma_, red_v_, green_u_, green_v_, blue_u_;
    Bits zero_[3];  // the terms of U = V = 0
};

#else

class ColorStep {
  public:
    static constexpr std::ptrdiff_t kPixels = kYuvStep;

    explicit ColorStep(const YuvCoefficients& k) : coefficients_(k) {}

    template <int Rows>
    void convert(const std::uint8_t* const y[Rows], const std::uint8_t* u, const std::uint8_t* v,
                 std::uint8_t* const out[Rows][3]) const {
        std::int32_t terms[3][kPixels / 2];
        for (std::ptrdiff_t i = 0; i < kPixels / 2; ++i) {
            const ChromaTerms pair = chroma_terms(coefficients_, u[i], v[i]);
            terms[0][i] = pair.blue;
            terms[1][i] = pair.green;
            terms[2][i] = pair.red;
        }
        for (int r = 0; r < Rows; ++r) {
            std::int32_t even[kPixels / 2];
            std::int32_t odd[kPixels / 2];
            for (std::ptrdiff_t i = 0; i < kPixels / 2; ++i) {
                even[i] = luma_term(coefficients_, y[r][2 * i]);
                odd[i] = luma_term(coefficients_, y[r][2 * i + 1]);
            }
            for (int c = 0; c < 3; ++c) add(even, odd, terms[c], out[r][c]);
        }
    }

    void convert_apart(const std::uint8_t* y, const std::uint8_t* u, const std::uint8_t* v,
                       std::uint8_t* const out[3]) const {
        convert_each(y, u, v, out[0], out[1], out[2]);
    }

  private:
    static void add(const std::int32_t* even, const std::int32_t* odd, const std::int32_t* terms,
                    std::uint8_t* __restrict out) {
        for (std::ptrdiff_t i = 0; i < kPixels / 2; ++i) {
            out[2 * i] = yuv_channel(even[i], terms[i]);
            out[2 * i + 1] = yuv_channel(odd[i], terms[i]);
        }
    }

    void convert_each(const std::uint8_t* y, const std::uint8_t* u, const std::uint8_t* v,
                      std::uint8_t* __restrict blue, std::uint8_t* __restrict green,
                      std::uint8_t* __restrict red) const {
        const YuvCoefficients k = coefficients_;
        for (std::ptrdiff_t i = 0; i < kPixels; ++i) {
            const std::int32_t luma = luma_term(k, y[i]);
            const ChromaTerms terms = chroma_terms(k, u[i], v[i]);
            blue[i] = yuv_channel(luma, terms.blue);
            green[i] = yuv_channel(luma, terms.green);
            red[i] = yuv_channel(luma, terms.red);
        }
    }

    YuvCoefficients coefficients_;
};

#endif

static_assert(kYuvStep % ColorStep::kPixels == 0, "kYuvStep is a whole number of steps");

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
