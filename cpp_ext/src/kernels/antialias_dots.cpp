#include "antialias_dots.h"

#include <algorithm>
#include <cstring>

#include "antialias_columns.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if EV_ANTIALIAS_DOTS

namespace {

/// The resize of canvas columns [x, x + width).
class Dots {
  public:
    Dots(const ImageJob& job, const DotPlan& plan, const DotScratch& scratch, int x, int width)
        : job_(job),
          plan_(plan),
          form_(plan.form),
          s_(scratch),
          x_(x),
          width_(width),
          columns_(job, plan, scratch, x, width),
          blocks_(columns_.blocks()),
          sum_blocks_(choose_sums(form_.reach, form_.parts, plan.steps)) {
        const SourceRow layout = source_layout(job);
        const PackedRow packed = form_.channels == 3 ? packed_row(layout) : PackedRow{};
        for (int p = 0; p < plan.planes; ++p) {
            plane_offsets_[p] = form_.channels == 3 ? packed.data - layout.data : layout.channel_offset[p];
        }
        // Where pack_pixels leaves the pixels of each channel's columns.
        for (int c = 0; c < form_.channels; ++c) {
            for (int i = 0; i < kBatch * form_.columns; ++i) {
                const int lane = i % form_.columns * form_.pitch + packed.position[c];
                orders_[c][i] = static_cast<std::uint8_t>(lane / 4 * 16 + i / form_.columns * 4 + lane % 4);
            }
        }
    }

    void write(int y_begin, int y_end) const {
        int next = 0;  // the first quad that is not in the ring
        for (int y = y_begin; y < y_end; ++y) {
            int first = 0;
            int count = 0;
            antialias_weights(plan_.axis_y, y - job_.offset_y, s_.weights, &first, &count);
            next = std::max(next, first / kDotRows);
            for (; next * kDotRows < first + count; ++next) pass_horizontal(next);
            pass_vertical(first, count);
            store_row(job_, y, x_, width_, s_.row, width_);
        }
    }

  private:
    // ---- The horizontal pass

    std::uint8_t* quad_at(int index) const {
        return s_.ring + static_cast<std::size_t>(index % plan_.quads) * plan_.quad_bytes();
    }

    /// Source rows [kDotRows * index, kDotRows * (index + 1)) into the ring.
    void pass_horizontal(int index) const {
        const std::uint8_t* rows[3][kDotRows];
        for (int i = 0; i < kDotRows; ++i) {
            // Rows below the image have no weight: the last one stands in for them.
            const int y = std::min(index * kDotRows + i, job_.image.height - 1);
            std::uint8_t* converted = s_.converted + static_cast<std::size_t>(i) * s_.converted_row;
            if (form_.split) {
                std::uint8_t* planes = s_.planes + i * plan_.pitch;
                split_row(source_row(job_, y, converted), plan_.planes, columns_.first(),
                          columns_.source_count(), planes, kDotRows * plan_.pitch);
                for (int p = 0; p < plan_.planes; ++p) rows[p][i] = planes + p * (kDotRows * plan_.pitch);
            } else {
                const std::uint8_t* row = form_.in_memory ? job_.image.data + y * job_.image.row_stride
                                                          : source_row(job_, y, converted).data;
                for (int p = 0; p < plan_.planes; ++p) rows[p][i] = row + plane_offsets_[p];
            }
        }
        // The rows after these, to be fetched while these are summed.
        const bool ahead = !form_.split && form_.in_memory && (index + 2) * kDotRows <= job_.image.height;
        const std::ptrdiff_t fetched = ahead ? kDotRows * job_.image.row_stride : 0;
        std::uint8_t* out = quad_at(index);
        for (int p = 0; p < plan_.planes; ++p, out += std::ptrdiff_t{64} * plan_.registers) {
            sum_blocks_(blocks_, rows[p], fetched, out);
        }
    }

    // ---- The vertical pass

    /// A row of the canvas from source rows [first, first + count), whose weights are in s_.weights.
    void pass_vertical(int first, int count) const {
        const int begin = first / kDotRows;
        const int end = (first + count - 1) / kDotRows + 1;
        std::memset(s_.digits, 0, static_cast<std::size_t>(end - begin) * kDigits * kDotRows);
        for (int tap = 0; tap < count; ++tap) {
            const int at = first + tap - begin * kDotRows;
            std::int8_t* out = s_.digits + std::ptrdiff_t{at / kDotRows} * kDigits * kDotRows + at % kDotRows;
            for (std::ptrdiff_t d = 0; d < kDigits; ++d)
                out[kDotRows * d] = weight_digit(s_.weights[tap], static_cast<int>(d));
        }
        const int columns = kBatch * form_.columns;
        for (int p = 0; p < plan_.planes; ++p) {
            for (int column = 0; column < width_; column += columns) {
                const int at = p * plan_.registers + column / form_.columns;
                const __m512i pixels = sum_quads(begin, end, at);
                for (int c = 0; c < form_.channels; ++c) {
                    std::uint8_t* out = s_.row + std::ptrdiff_t{p + c} * width_ + column;
                    const __m512i ordered = _mm512_permutexvar_epi8(_mm512_load_si512(orders_[c]), pixels);
                    if (column + 64 <= width_) {
                        _mm512_storeu_si512(out, ordered);  // the next columns overwrite what is beyond
                    } else {
                        const int shown = std::min(columns, width_ - column);
                        _mm512_mask_storeu_epi8(out, ~std::uint64_t{0} >> (64 - shown), ordered);
                    }
                }
            }
        }
        if (plan_.planes * form_.channels == 1 && job_.out.channels == 3) {
            for (int c = 1; c < 3; ++c)
                std::memcpy(s_.row + std::ptrdiff_t{c} * width_, s_.row, static_cast<std::size_t>(width_));
        }
    }

    /// kBatch registers, of which `at` is the first, from quads [begin, end).
    __m512i sum_quads(int begin, int end, int at) const {
        DotSums sums[kBatch];
        const std::int8_t* weights = s_.digits;
        for (int quad = begin; quad < end; ++quad, weights += std::ptrdiff_t{kDigits} * kDotRows) {
            __m512i digits[kDigits];
            for (std::ptrdiff_t d = 0; d < kDigits; ++d) {
                std::int32_t four = 0;
                std::memcpy(&four, weights + kDotRows * d, sizeof four);
                digits[d] = _mm512_set1_epi32(four);
            }
            const std::uint8_t* pixels = quad_at(quad) + std::ptrdiff_t{64} * at;
            for (int r = 0; r < kBatch; ++r)
                sums[r].add(_mm512_load_si512(pixels + std::ptrdiff_t{64} * r), digits);
        }
        return pack_pixels(sums);
    }

    const ImageJob& job_;
    const DotPlan& plan_;
    const DotForm& form_;
    const DotScratch& s_;
    int x_;
    int width_;
    DotColumns columns_;
    DotBlocks blocks_;
    SumBlocks sum_blocks_;
    std::ptrdiff_t plane_offsets_[3] = {};
    alignas(64) std::uint8_t orders_[3][64] = {};
};

}  // namespace

bool takes_dots(const ImageJob& job, const Region& region) {
    return DotPlan(job, region).fits();
}

std::size_t dots_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const DotScratch scratch(arena, job, DotPlan(job, region));
    return arena.used();
}

void write_dots(const ImageJob& job, const Region& region, std::byte* scratch_bytes) {
    Arena arena(scratch_bytes);
    const DotPlan plan(job, region);
    const DotScratch scratch(arena, job, plan);
    for (int x = region.x_begin; x < region.x_end; x += plan.tile_columns()) {
        const Dots dots(job, plan, scratch, x, std::min(plan.tile_columns(), region.x_end - x));
        dots.write(region.y_begin, region.y_end);
    }
}

#else

bool takes_dots(const ImageJob& /*job*/, const Region& /*region*/) {
    return false;
}

std::size_t dots_scratch_size(const ImageJob& /*job*/, const Region& /*region*/) {
    return 0;
}

void write_dots(const ImageJob& /*job*/, const Region& /*region*/, std::byte* /*scratch*/) {}

#endif

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
