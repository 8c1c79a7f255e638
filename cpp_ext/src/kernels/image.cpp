#include "ev/image.h"

#include <algorithm>

#include "color_rows.h"
#include "image_planes.h"
#include "luma.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

struct SourceColumns {
    int begin, end;
};

/// The columns of the image that the filter reads for the columns that the canvas shows.
SourceColumns source_columns(const ImageJob& job) {
    const Region region(job);
    const int source_size = job.image.width;
    const int first = region.x_begin - job.offset_x;
    const int last = region.x_end - 1 - job.offset_x;
    const double step = source_step(source_size, job.resized_width);
    if (job.filter == Filter::nearest) {
        return {nearest_index(first, step, source_size), nearest_index(last, step, source_size) + 1};
    }
    if (job.filter == Filter::linear) {
        return {linear_tap(first, step, source_size, true).first,
                linear_tap(last, step, source_size, true).second + 1};
    }
    const bool bicubic = job.filter == Filter::bicubic_antialias;
    const AntialiasAxis axis = antialias_axis(source_size, job.resized_width, bicubic);
    int begin = 0;
    int end = 0;
    int taps = 0;
    antialias_range(axis, first, &begin, &taps);
    antialias_range(axis, last, &end, &taps);
    return {begin, end + taps};
}

/// Where source_row converts a row: planes of colour from YUV, then gray.
struct ConvertedRow {
    YuvChunk* chunk;
    std::uint8_t* planes;
    std::uint8_t* gray;

    ConvertedRow(Arena& arena, const ImageJob& job)
        : chunk(arena.take<YuvChunk>(job.yuv != nullptr ? 1 : 0)),
          planes(arena.take<std::uint8_t>(
              job.yuv != nullptr ? 3 * static_cast<std::size_t>(job.image.channel_stride) : 0)),
          gray(arena.take<std::uint8_t>(job.to_gray ? static_cast<std::size_t>(job.image.width) : 0)) {}
};

ConvertedRow converted_row(const ImageJob& job, std::uint8_t* memory) {
    Arena arena(reinterpret_cast<std::byte*>(memory));
    return {arena, job};
}

/// Row y, whose planes are converted where it comes from YUV, as the job asks for it.
SourceRow finish_row(const ImageJob& job, int y, const SourceColumns& columns, const ConvertedRow& scratch) {
    SourceRow row{job.image.data + y * job.image.row_stride, job.image.pixel_stride, {}};
    if (job.yuv != nullptr) row.data = scratch.planes;
    for (int c = 0; c < 3; ++c) row.channel_offset[c] = job.order[c] * job.image.channel_stride;
    if (!job.to_gray) return row;
    write_luma(row, columns.begin, columns.end - columns.begin, scratch.gray + columns.begin);
    return SourceRow{scratch.gray, 1, {0, 0, 0}};
}

}  // namespace

Region::Region(const ImageJob& job)
    : y_begin(std::max(0, job.offset_y)),
      y_end(static_cast<int>(std::min<std::int64_t>(
          job.out.height, static_cast<std::int64_t>(job.offset_y) + job.resized_height))),
      x_begin(std::max(0, job.offset_x)),
      x_end(static_cast<int>(std::min<std::int64_t>(
          job.out.width, static_cast<std::int64_t>(job.offset_x) + job.resized_width))) {}

std::size_t converted_row_size(const ImageJob& job) {
    Arena arena(nullptr);
    const ConvertedRow row(arena, job);
    return arena.used();
}

SourceRow convert_source_row(const ImageJob& job, int y, std::uint8_t* converted) {
    const ConvertedRow scratch = converted_row(job, converted);
    SourceColumns columns{0, job.image.width};
    if (job.yuv != nullptr) {
        columns = source_columns(job);
        std::uint8_t* const planes[kYuvRows] = {scratch.planes, nullptr};
        convert_yuv_rows(*job.yuv, y, 1, columns.begin, columns.end, *scratch.chunk, planes);
    }
    return finish_row(job, y, columns, scratch);
}

void source_two_rows(const ImageJob& job, int y, std::uint8_t* const converted[2], SourceRow rows[2]) {
    const bool together = job.yuv != nullptr && chroma_row_of(*job.yuv, y) == chroma_row_of(*job.yuv, y + 1);
    if (!together) {
        for (int i = 0; i < 2; ++i) rows[i] = source_row(job, y + i, converted[i]);
        return;
    }
    const ConvertedRow scratch[2] = {converted_row(job, converted[0]), converted_row(job, converted[1])};
    const SourceColumns columns = source_columns(job);
    std::uint8_t* const planes[kYuvRows] = {scratch[0].planes, scratch[1].planes};
    convert_yuv_rows(*job.yuv, y, 2, columns.begin, columns.end, *scratch[0].chunk, planes);
    for (int i = 0; i < 2; ++i) rows[i] = finish_row(job, y + i, columns, scratch[i]);
}

}  // namespace detail

namespace {

std::size_t filter_scratch_size(const ImageJob& job, const detail::Region& region) {
    if (detail::keeps_size(job)) return detail::same_size_scratch_size(job);
    if (detail::picks_yuv(job, region)) return detail::picked_yuv_scratch_size(job, region);
    if (detail::copies_pixels(job, region)) return detail::nearest_scratch_size(job, region);
    if (detail::shows_halves(job)) return detail::halves_scratch_size(job, region);
    if (job.filter == Filter::linear) return detail::linear_scratch_size(job, region);
    if (detail::takes_dots(job, region)) return detail::dots_scratch_size(job, region);
    return detail::antialias_scratch_size(job, region);
}

}  // namespace

std::size_t image_scratch_size(const ImageJob& job) {
    const detail::Region region(job);
    if (region.empty()) return 0;
    return detail::store_scratch_size(job) + filter_scratch_size(job, region);
}

void write_image(const ImageJob& job, std::byte* scratch) {
    const detail::Region region(job);
    if (!region.covers(job.out)) detail::write_border(job, region);
    if (region.empty()) return;
    ImageJob prepared = job;
    detail::prepare_store(prepared, scratch);
    scratch += detail::store_scratch_size(job);
    if (detail::keeps_size(job)) {
        detail::write_same_size(prepared, region, scratch);
    } else if (detail::picks_yuv(job, region)) {
        detail::write_picked_yuv(prepared, region, scratch);
    } else if (detail::copies_pixels(job, region)) {
        detail::write_nearest(prepared, region, scratch);
    } else if (detail::shows_halves(job)) {
        detail::write_halves(prepared, region, scratch);
    } else if (job.filter == Filter::linear) {
        detail::write_linear(prepared, region, scratch);
    } else if (detail::takes_dots(job, region)) {
        detail::write_dots(prepared, region, scratch);
    } else {
        detail::write_antialias(prepared, region, scratch);
    }
}

}  // namespace EV_ISA
}  // namespace ev
