#include "antialias_dots.h"

#include <algorithm>
#include <cstring>

#include "antialias_plan.h"
#include "image_planes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if EV_ANTIALIAS_DOTS

namespace {

/// The resize of one job.
class Dots {
  public:
    Dots(const ImageJob& job, const Region& region, const DotPlan& plan, const DotScratch& scratch)
        : job_(job), region_(region), plan_(plan), s_(scratch), channels_(job.out.channels) {
        for (int block = 0; block < plan.blocks; ++block) set_block(block);
    }

    void write() const {
        int next = 0;  // the first quad that is not in the ring
        for (int y = region_.y_begin; y < region_.y_end; ++y) {
            int first = 0;
            int count = 0;
            antialias_weights(plan_.axis_y, y - job_.offset_y, s_.taps, &first, &count);
            next = std::max(next, first / kRows);
            for (; next * kRows < first + count; ++next) pass_horizontal(next);
            pass_vertical(first, count);
            store_row(job_, y, region_.x_begin, region_.width(), s_.row);
        }
    }

  private:
    void set_block(int block) {
        const int columns = std::min(kDotColumns, region_.width() - block * kDotColumns);
        const auto groups = static_cast<std::size_t>(plan_.groups_x);
        std::uint8_t* shuffle = s_.shuffle + std::ptrdiff_t{64} * block * plan_.groups_x;
        std::int8_t* weights = s_.weights + std::ptrdiff_t{64} * kDigits * block * plan_.groups_x;
        std::memset(shuffle, 0, std::size_t{64} * groups);
        std::memset(weights, 0, std::size_t{64} * kDigits * groups);
        int begin = 0;
        for (std::ptrdiff_t i = 0; i < columns; ++i) {
            int first = 0;
            int count = 0;
            const int x = region_.x_begin - job_.offset_x + block * kDotColumns + static_cast<int>(i);
            antialias_weights(plan_.axis_x, x, s_.taps, &first, &count);
            if (i == 0) begin = first;
            for (int tap = 0; tap < count; ++tap) {
                const std::ptrdiff_t group = tap / kDotTaps;
                const std::ptrdiff_t at = kDotTaps * i + tap % kDotTaps;
                std::int8_t digits[kDigits];
                split_weight(s_.taps[tap], digits);
                shuffle[64 * group + at] = static_cast<std::uint8_t>(first - begin + tap);
                for (std::ptrdiff_t d = 0; d < kDigits; ++d)
                    weights[64 * (kDigits * group + d) + at] = digits[d];
            }
        }
        s_.begin[block] = begin - plan_.first;
    }

    std::uint8_t* quad_at(int index) const {
        return s_.ring + static_cast<std::size_t>(index % plan_.quads) * plan_.quad;
    }

    /// Source rows [kRows * index, kRows * (index + 1)) into the ring.
    void pass_horizontal(int index) const {
        const std::ptrdiff_t pitch = plan_.plane * kRows;
        for (std::ptrdiff_t i = 0; i < kRows; ++i) {
            // Rows below the image have no weight: the last one stands in for them.
            const int y = std::min(index * kRows + static_cast<int>(i), job_.image.height - 1);
            split_row(source_row(job_, y, s_.converted), channels_, plan_.first, plan_.end - plan_.first,
                      s_.planes + i * plan_.plane, pitch);
        }
        for (int block = 0; block < plan_.blocks; ++block) {
            std::uint8_t* out = quad_at(index) + std::ptrdiff_t{64} * block * channels_;
            for (int c = 0; c < channels_; ++c) {
                const std::uint8_t* plane = s_.planes + plan_.plane * kRows * c + s_.begin[block];
                _mm512_store_si512(out + std::ptrdiff_t{64} * c, sum_block(block, plane));
            }
        }
    }

    /// A block's columns in kRows rows of a channel. plane: the first row's first pixel of the block.
    __m512i sum_block(int block, const std::uint8_t* plane) const {
        __m512i low[kRows];
        __m512i high[kRows];
        for (int i = 0; i < kRows; ++i, plane += plan_.plane) {
            low[i] = _mm512_loadu_si512(plane);
            high[i] = _mm512_loadu_si512(plane + 64);
        }
        const std::uint8_t* shuffle = s_.shuffle + std::ptrdiff_t{64} * block * plan_.groups_x;
        const std::int8_t* weights = s_.weights + std::ptrdiff_t{64} * kDigits * block * plan_.groups_x;
        DotSums sums[kRows];
        for (int group = 0; group < plan_.groups_x;
             ++group, shuffle += 64, weights += std::ptrdiff_t{64} * kDigits) {
            const __m512i order = _mm512_load_si512(shuffle);
            __m512i digits[kDigits];
            for (std::ptrdiff_t d = 0; d < kDigits; ++d) digits[d] = _mm512_load_si512(weights + 64 * d);
            for (int i = 0; i < kRows; ++i)
                sums[i].add(_mm512_permutex2var_epi8(low[i], order, high[i]), digits);
        }
        return pack_quad(sums);
    }

    /// A row of the canvas from source rows [first, first + count), whose weights are in s_.taps.
    void pass_vertical(int first, int count) const {
        const int begin = first / kRows;
        const int end = (first + count - 1) / kRows + 1;
        std::memset(s_.row_weights, 0, static_cast<std::size_t>(end - begin) * kDigits * kRows);
        for (int tap = 0; tap < count; ++tap) {
            const int at = first + tap - begin * kRows;
            std::int8_t digits[kDigits];
            split_weight(s_.taps[tap], digits);
            std::int8_t* weights = s_.row_weights + std::ptrdiff_t{at / kRows} * kDigits * kRows + at % kRows;
            for (std::ptrdiff_t d = 0; d < kDigits; ++d) weights[kRows * d] = digits[d];
        }
        for (int block = 0; block < plan_.blocks; ++block) {
            if (channels_ == 1) {
                sum_quads<1>(begin, end, block);
            } else {
                sum_quads<3>(begin, end, block);
            }
        }
    }

    /// A block's columns of all channels from quads [begin, end).
    template <int Channels>
    void sum_quads(int begin, int end, int block) const {
        DotSums sums[Channels];
        const std::int8_t* weights = s_.row_weights;
        for (int quad = begin; quad < end; ++quad, weights += std::ptrdiff_t{kDigits} * kRows) {
            __m512i digits[kDigits];
            for (std::ptrdiff_t d = 0; d < kDigits; ++d) {
                std::int32_t four = 0;
                std::memcpy(&four, weights + kRows * d, sizeof four);
                digits[d] = _mm512_set1_epi32(four);
            }
            const std::uint8_t* pixels = quad_at(quad) + std::ptrdiff_t{64} * block * Channels;
            for (int c = 0; c < Channels; ++c)
                sums[c].add(_mm512_load_si512(pixels + std::ptrdiff_t{64} * c), digits);
        }
        const int width = region_.width();
        const int columns = std::min(kDotColumns, width - block * kDotColumns);
        const auto mask = static_cast<__mmask16>((1U << columns) - 1U);
        for (int c = 0; c < Channels; ++c) {
            std::uint8_t* out = s_.row + std::ptrdiff_t{c} * width + std::ptrdiff_t{kDotColumns} * block;
            // Narrowed in a register: Zen 4 narrows into memory by microcode.
            _mm_mask_storeu_epi8(out, mask, pack_pixels(sums[c]));
        }
    }

    const ImageJob& job_;
    const Region& region_;
    const DotPlan& plan_;
    const DotScratch& s_;
    int channels_;
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
    Dots(job, region, plan, scratch).write();
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
