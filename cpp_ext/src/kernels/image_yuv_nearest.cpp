// Single pixels of a YUV frame: their samples are gathered first, and only they are converted.
#include <cstdint>
#include <cstring>

#include "byte_picker.h"
#include "color_rows.h"
#include "image_rows.h"
#include "luma.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

static_assert(kPickedPast <= kYuvStep, "yuv_plane_size leaves room for a step");

class PickedRow {
  public:
    PickedRow(Arena& arena, const ImageJob& job, const Region& region)
        : job_(job),
          count_(region.width()),
          shares_offsets_(job.yuv->u.pixel_stride == job.yuv->v.pixel_stride),
          luma_(arena, count_),
          chroma_(arena, count_),
          second_chroma_(arena, shares_offsets_ ? 0 : count_) {
        // Whole steps of kYuvStep, and more than the picks write beyond the last sample.
        const auto size = static_cast<std::size_t>(yuv_plane_size(count_));
        for (std::uint8_t*& samples : samples_) samples = arena.take<std::uint8_t>(size);
        for (std::uint8_t*& plane : planes_) plane = arena.take<std::uint8_t>(size);
        row_ = take_padded_row(arena, count_, job.out.channels);
    }

    void plan(const Region& region) {
        const YuvFrame& frame = *job_.yuv;
        const double step = source_step(job_.image.width, job_.resized_width);
        for (int i = 0; i < count_; ++i) {
            const int index = region.x_begin + i - job_.offset_x;
            const int column = copied_index(job_, index, step, job_.image.width, true);
            luma_.offset(i) = column * frame.y.pixel_stride;
            chroma_.offset(i) = column / 2 * frame.u.pixel_stride;
            if (!shares_offsets_) second_chroma_.offset(i) = column / 2 * frame.v.pixel_stride;
        }
        luma_.plan();
        chroma_.plan();
        second_chroma_.plan();
    }

    /// The pixels of source row y as planes, one after the other.
    const std::uint8_t* read(int y) const {
        const YuvFrame& frame = *job_.yuv;
        const int chroma_row = chroma_row_of(frame, y);
        luma_.pick(frame.y.data + y * frame.y.row_stride, samples_[0]);
        chroma_.pick(frame.u.data + chroma_row * frame.u.row_stride, samples_[1]);
        (shares_offsets_ ? chroma_ : second_chroma_)
            .pick(frame.v.data + chroma_row * frame.v.row_stride, samples_[2]);
        convert_pixels(frame.coefficients, samples_, count_, planes_);
        const int* order = job_.order;
        if (job_.to_gray) {
            luma_of_planes(planes_[order[0]], planes_[order[1]], planes_[order[2]], count_, row_);
            return row_;
        }
        for (int c = 0; c < job_.out.channels; ++c) {
            std::memcpy(row_ + c * padded_pitch(count_), planes_[order[c]], static_cast<std::size_t>(count_));
        }
        return row_;
    }

  private:
    const ImageJob& job_;
    int count_;
    bool shares_offsets_;  // of U and V
    BytePicker luma_, chroma_, second_chroma_;
    std::uint8_t* samples_[3];  // Y, U and V of each pixel
    std::uint8_t* planes_[3];   // blue, green, red
    std::uint8_t* row_;
};

}  // namespace

bool picks_yuv(const ImageJob& job, const Region& region) {
    if (job.yuv == nullptr || !copies_pixels(job, region)) return false;
    return job.resized_width != job.image.width;
}

std::size_t picked_yuv_scratch_size(const ImageJob& job, const Region& region) {
    Arena arena(nullptr);
    const PickedRow row(arena, job, region);
    return arena.used();
}

void write_picked_yuv(const ImageJob& job, const Region& region, std::byte* scratch) {
    Arena arena(scratch);
    PickedRow row(arena, job, region);
    row.plan(region);
    const double step = source_step(job.image.height, job.resized_height);
    const std::uint8_t* planes = nullptr;
    int held = -1;
    for (int y = region.y_begin; y < region.y_end; ++y) {
        const int source_y = copied_index(job, y - job.offset_y, step, job.image.height, false);
        if (source_y != held) planes = row.read(source_y);
        held = source_y;
        store_row(job, y, region.x_begin, region.width(), planes, padded_pitch(region.width()));
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
