// Bytes of a row by a list of offsets: in vector registers where neighbours in the list lie near each other
// in the row, as they do in every resize that does not shrink a row far.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image_rows.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

// Bytes that one byte shuffle puts in order. It takes them from three registers: a window of the row. Without
// such shuffles (0) the bytes are copied one by one.
#if defined(__AVX512VBMI__)
constexpr int kPickLane = 64;
#elif defined(__AVX2__) || (defined(__ARM_NEON) && defined(__aarch64__))
constexpr int kPickLane = 16;
#else
constexpr int kPickLane = 0;
#endif

/// Bytes beyond the last one that pick() may write.
constexpr std::size_t kPickedPast = kPickLane;

class BytePicker {
  public:
    /// Takes memory for `count` offsets and for what plan() finds.
    BytePicker(Arena& arena, int count);

    /// The offset of the i-th byte from the row's first sample; to be set before plan().
    std::ptrdiff_t& offset(std::ptrdiff_t i) const { return offsets_[i]; }

    /// Cuts the offsets into windows.
    void plan();

    /// Writes samples[offset(i)] to out[i]. Reads nothing outside the least offset to the greatest.
    void pick(const std::uint8_t* samples, std::uint8_t* out) const;

  private:
    struct Window {
        std::ptrdiff_t begin;  // offset of its first byte
        int first;             // the first byte that is picked from it
    };

    int count_;
    int windows_ = 0;  // 0: byte by byte
    std::ptrdiff_t* offsets_;
    Window* window_;
    std::uint8_t* places_;  // kPickLane a window: where the bytes lie in it
    std::uint8_t* copy_;    // of a row that is shorter than a window
    std::ptrdiff_t lowest_ = 0;
    std::size_t copied_ = 0;  // bytes from the lowest offset on; 0: windows are read where they lie
};

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
