#include "ev/image.h"

#include <algorithm>

#include "image_planes.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

// Pixels whose luma is taken together: their channels stay in the first-level cache.
constexpr int kLumaChunk = 256;

}  // namespace

Region::Region(const ImageJob& job)
    : y_begin(std::max(0, job.offset_y)),
      y_end(static_cast<int>(std::min<std::int64_t>(
          job.out.height, static_cast<std::int64_t>(job.offset_y) + job.resized_height))),
      x_begin(std::max(0, job.offset_x)),
      x_end(static_cast<int>(std::min<std::int64_t>(
          job.out.width, static_cast<std::int64_t>(job.offset_x) + job.resized_width))) {}

SourceRow source_row(const ImageJob& job, int y, std::uint8_t* gray) {
    const ImageView& image = job.image;
    const std::uint8_t* row = image.data + static_cast<std::ptrdiff_t>(y) * image.row_stride;
    SourceRow result{row, image.pixel_stride, {}};
    for (int c = 0; c < 3; ++c) result.channel_offset[c] = job.order[c] * image.channel_stride;
    if (!job.to_gray) return result;
    std::uint8_t planes[3][kLumaChunk];
    for (int x = 0; x < image.width; x += kLumaChunk) {
        const int count = std::min(kLumaChunk, image.width - x);
        split_row(result, 3, x, count, planes[0], kLumaChunk);
        for (int i = 0; i < count; ++i) gray[x + i] = luma_bt601(planes[0][i], planes[1][i], planes[2][i]);
    }
    return SourceRow{gray, 1, {0, 0, 0}};
}

}  // namespace detail

std::size_t image_scratch_size(const ImageJob& job) {
    const detail::Region region(job);
    if (region.empty()) return 0;
    if (detail::copies_pixels(job, region)) return detail::nearest_scratch_size(job, region);
    if (job.filter == Filter::linear) return detail::linear_scratch_size(job, region);
    return detail::antialias_scratch_size(job, region);
}

void write_image(const ImageJob& job, std::byte* scratch) {
    const detail::Region region(job);
    detail::write_border(job, region);
    if (region.empty()) return;
    ImageJob scaled = job;
    scaled.scale = detail::find_scale(job);
    if (detail::copies_pixels(job, region)) {
        detail::write_nearest(scaled, region, scratch);
    } else if (job.filter == Filter::linear) {
        detail::write_linear(scaled, region, scratch);
    } else {
        detail::write_antialias(scaled, region, scratch);
    }
}

}  // namespace EV_ISA
}  // namespace ev
