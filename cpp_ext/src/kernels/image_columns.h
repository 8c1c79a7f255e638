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
    row,       // windows of it as it lies there
    planes,    // all pixels between the outermost columns, as planes
    pairs,     // the two pixels of each column, side by side: where most pixels lie between columns
};

/// The same, and in what order its sums come.
struct RowReading {
    Reading reading;
    bool interleaved;  // the sums of a pixel's channels lie side by side, as its elements in the tensor do
};

/// How a job's rows are read, and the memory that takes.
struct ColumnScratch : RowReading {
    int count;  // sums of a plane, or of all channels
    int begin;  // source columns [begin, end) are read
    int end;
    std::ptrdiff_t pitch;  // bytes from plane to plane
    LinearColumn* direct;
    Windows windows;
    std::int32_t* firsts;  // the left pixel of each column
    std::uint8_t* packed;  // the pairs
    std::uint8_t* planes;  // or, where sums are interleaved, what is packed

    ColumnScratch(Arena& arena, const ImageJob& job, const Region& region);
};

/// Sums that the vertical pass takes together.
constexpr std::ptrdiff_t kSumStep = 32;

/// Elements from one plane's sums to the next: whole blocks of windows and whole steps.
inline std::ptrdiff_t sum_pitch(int count) {
    const std::ptrdiff_t columns = std::ptrdiff_t{count_windows(count)} * kWindowColumns;
    return (columns + kSumStep - 1) / kSumStep * kSumStep;
}

/// The taps of all columns that the canvas shows.
class LinearColumns {
  public:
    LinearColumns(const ImageJob& job, const Region& region, const ColumnScratch& scratch);

    /// Planes of sums: of channels that show the same only one, and one of those that are interleaved.
    int planes() const { return scratch_.interleaved ? 1 : channels_; }

    /// The sums of a source row, sum_pitch(count) apart for each plane. ahead: bytes to a row to be fetched
    /// meanwhile.
    void sum_row(const SourceRow& source, std::ptrdiff_t ahead, std::int16_t* sums) const {
        if (scratch_.reading != Reading::row) {
            sum_read(source, ahead, sums);
            return;
        }
        for (int c = 0; c < planes(); ++c) sum_plane(source.data + plane_offset_[c], sums + c * pitch_);
    }

    /// Whether rows are read as they lie, and two may be summed together.
    bool reads_rows() const { return scratch_.reading == Reading::row; }

    /// The sums of two rows that are read as they lie.
    void sum_two_rows(const std::uint8_t* first, const std::uint8_t* second,
                      std::int16_t* const sums[2]) const {
        for (int c = 0; c < planes(); ++c) {
            const std::ptrdiff_t offset = plane_offset_[c];
            sum_windows_of<2>({first + offset, second + offset}, readable_, scratch_.windows, windows_,
                              {sums[0] + c * pitch_, sums[1] + c * pitch_});
        }
    }

  private:
    void sum_read(const SourceRow& source, std::ptrdiff_t ahead, std::int16_t* sums) const;
    void sum_plane(const std::uint8_t* row, std::int16_t* sums) const {
        sum_windows_of<1>({row}, readable_, scratch_.windows, windows_, {sums});
    }
    void set_direct(const ImageJob& job, const Region& region);
    void set_windows(const ImageJob& job, const Region& region);
    /// Where column x's pixels lie in what is read; of pairs, notes which those are.
    LinearColumn place_column(const ImageJob& job, const Region& region, int x, std::ptrdiff_t stride) const;
    void read_pairs(const SourceRow& source, std::ptrdiff_t ahead) const;

    const ColumnScratch& scratch_;
    int width_;
    int image_width_;
    int channels_;
    int windows_;
    std::ptrdiff_t pitch_;                 // of the sums
    std::ptrdiff_t plane_offset_[3] = {};  // where a row's planes begin
    std::ptrdiff_t readable_;              // bytes of what windows read; kWindow where it is padded
};

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
