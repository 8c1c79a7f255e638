// The horizontal pass of INTER_LINEAR: a source row to the sums of the canvas's columns.
#pragma once

#include <cstddef>
#include <cstdint>

#include "image_rows.h"
#include "image_windows.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// How the pass reads a source row.
enum class Reading : std::uint8_t {
    directly,  // pixel by pixel, whatever the strides
    planes,    // all pixels between the outermost columns, as planes
    pairs,     // the two pixels of each column, as planes: where most pixels lie between columns
};

struct DirectColumn {
    std::ptrdiff_t first;   // offset of the left pixel in a source row
    std::ptrdiff_t second;  // of the right one
    std::int32_t weight_first;
    std::int32_t weight_second;
};

/// How a job's rows are read, and the memory that takes.
struct ColumnScratch {
    Reading reading;
    int begin;  // source columns [begin, end) are read
    int end;
    std::ptrdiff_t pitch;  // bytes from plane to plane
    DirectColumn* direct;
    Windows windows;
    std::int32_t* firsts;  // the left pixel of each column
    std::uint8_t* packed;
    std::uint8_t* planes;

    ColumnScratch(Arena& arena, const ImageJob& job, const Region& region);
};

/// Sums that the vertical pass takes together.
constexpr std::ptrdiff_t kSumStep = 32;

/// Elements from one channel's sums to the next: whole blocks of windows and whole steps.
inline std::ptrdiff_t sum_pitch(int width) {
    const std::ptrdiff_t columns = std::ptrdiff_t{count_windows(width)} * kWindowColumns;
    return (columns + kSumStep - 1) / kSumStep * kSumStep;
}

/// The taps of all columns that the canvas shows.
class LinearColumns {
  public:
    LinearColumns(const ImageJob& job, const Region& region, const ColumnScratch& scratch);

    /// Channels whose sums are computed: one if all show the same.
    int channels() const { return channels_; }

    /// The sums of a source row, sum_pitch apart for each channel. ahead: bytes to a row to be fetched
    /// meanwhile.
    void sum_row(const SourceRow& source, std::ptrdiff_t ahead, std::int16_t* sums) const;

  private:
    void set_direct(const ImageJob& job, const Region& region);
    void set_windows(const ImageJob& job, const Region& region);
    void read_pairs(const SourceRow& source, std::ptrdiff_t ahead) const;

    const ColumnScratch& scratch_;
    int width_;
    int image_width_;
    int channels_;
};

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
