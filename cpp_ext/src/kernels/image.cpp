#include "ev/image.h"

#include <algorithm>

#include "image_rows.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

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
    const std::uint8_t* blue = row + result.channel_offset[0];
    const std::uint8_t* green = row + result.channel_offset[1];
    const std::uint8_t* red = row + result.channel_offset[2];
    for (int x = 0; x < image.width; ++x) {
        const std::ptrdiff_t at = x * image.pixel_stride;
        gray[x] = luma_bt601(blue[at], green[at], red[at]);
    }
    return SourceRow{gray, 1, {0, 0, 0}};
}

namespace {

template <class T>
void fill(T* out, std::ptrdiff_t step, int count, T value) {
    if (step == 1) {
        std::fill_n(out, count, value);
        return;
    }
    for (int i = 0; i < count; ++i) out[i * step] = value;
}

template <class T>
void store_plane(T* out, std::ptrdiff_t step, const std::uint8_t* pixels, int count, const T* table) {
    // The common steps apart, so that the compiler sees a constant.
    if (step == 1) {
        for (int i = 0; i < count; ++i) out[i] = table[pixels[i]];
    } else if (step == 3) {
        for (std::ptrdiff_t i = 0; i < count; ++i) out[3 * i] = table[pixels[i]];
    } else {
        for (int i = 0; i < count; ++i) out[i * step] = table[pixels[i]];
    }
}

template <class T>
T* element_at(const TensorView& out, int channel, int y, int x) {
    return static_cast<T*>(out.data) + channel * out.channel_stride + y * out.row_stride +
           x * out.pixel_stride;
}

template <class T>
void store_row_of(const ImageJob& job, int y, int x, int count, const std::uint8_t* planes) {
    const T* table = static_cast<const T*>(job.table);
    for (int c = 0; c < job.out.channels; ++c) {
        store_plane(element_at<T>(job.out, c, y, x), job.out.pixel_stride, planes + std::ptrdiff_t{c} * count,
                    count, table + std::ptrdiff_t{c} * 256);
    }
}

/// Writes the pad value to all of the canvas that the image does not cover.
template <class T>
void fill_border(const ImageJob& job, const Region& region) {
    const TensorView& out = job.out;
    const T* pad = static_cast<const T*>(job.pad);
    const std::ptrdiff_t step = out.pixel_stride;
    for (int c = 0; c < out.channels; ++c) {
        for (int y = 0; y < out.height; ++y) {
            if (region.empty() || y < region.y_begin || y >= region.y_end) {
                fill(element_at<T>(out, c, y, 0), step, out.width, pad[c]);
            } else {
                fill(element_at<T>(out, c, y, 0), step, region.x_begin, pad[c]);
                fill(element_at<T>(out, c, y, region.x_end), step, out.width - region.x_end, pad[c]);
            }
        }
    }
}

void write_border(const ImageJob& job, const Region& region) {
    switch (job.out.element) {
        case Element::u8:
            return fill_border<std::uint8_t>(job, region);
        case Element::f16:
            return fill_border<std::uint16_t>(job, region);
        case Element::f32:
            return fill_border<float>(job, region);
    }
}

// ---- Nearest
// --------------------------------------------------------------------------------------------------------

struct NearestScratch {
    std::ptrdiff_t* columns;  // offset of each covered column in a source row
    std::uint8_t* gray;
    std::uint8_t* row;

    NearestScratch(Arena& arena, const ImageJob& job, const Region& region)
        : columns(arena.take<std::ptrdiff_t>(static_cast<std::size_t>(region.width()))),
          gray(arena.take<std::uint8_t>(gray_row_size(job))),
          row(arena.take<std::uint8_t>(static_cast<std::size_t>(region.width()) *
                                       static_cast<std::size_t>(job.out.channels))) {}
};

void write_nearest(const ImageJob& job, const Region& region, std::byte* scratch) {
    Arena arena(scratch);
    const NearestScratch s(arena, job, region);
    const int width = region.width();
    const double step_x = source_step(job.image.width, job.resized_width);
    const double step_y = source_step(job.image.height, job.resized_height);
    const std::ptrdiff_t pixel_stride = source_pixel_stride(job);
    for (int i = 0; i < width; ++i) {
        s.columns[i] =
            nearest_index(region.x_begin + i - job.offset_x, step_x, job.image.width) * pixel_stride;
    }
    int held = -1;
    for (int y = region.y_begin; y < region.y_end; ++y) {
        const int source_y = nearest_index(y - job.offset_y, step_y, job.image.height);
        if (source_y != held) {
            const SourceRow source = source_row(job, source_y, s.gray);
            for (int c = 0; c < job.out.channels; ++c) {
                const std::uint8_t* pixels = source.data + source.channel_offset[c];
                std::uint8_t* plane = s.row + std::ptrdiff_t{c} * width;
                for (int i = 0; i < width; ++i) plane[i] = pixels[s.columns[i]];
            }
            held = source_y;
        }
        store_row(job, y, region.x_begin, width, s.row);
    }
}

/// The filter that gives the same pixels for less: every filter copies an image whose size does not change.
Filter cheapest_filter(const ImageJob& job) {
    const bool same = job.resized_height == job.image.height && job.resized_width == job.image.width;
    return same ? Filter::nearest : job.filter;
}

}  // namespace

void store_row(const ImageJob& job, int y, int x, int count, const std::uint8_t* planes) {
    switch (job.out.element) {
        case Element::u8:
            return store_row_of<std::uint8_t>(job, y, x, count, planes);
        case Element::f16:
            return store_row_of<std::uint16_t>(job, y, x, count, planes);
        case Element::f32:
            return store_row_of<float>(job, y, x, count, planes);
    }
}

}  // namespace detail

std::size_t image_scratch_size(const ImageJob& job) {
    const detail::Region region(job);
    if (region.empty()) return 0;
    switch (detail::cheapest_filter(job)) {
        case Filter::nearest: {
            detail::Arena arena(nullptr);
            const detail::NearestScratch scratch(arena, job, region);
            return arena.used();
        }
        case Filter::linear:
            return detail::linear_scratch_size(job, region);
        case Filter::bilinear_antialias:
        case Filter::bicubic_antialias:
            return detail::antialias_scratch_size(job, region);
    }
    return 0;
}

void write_image(const ImageJob& job, std::byte* scratch) {
    const detail::Region region(job);
    detail::write_border(job, region);
    if (region.empty()) return;
    switch (detail::cheapest_filter(job)) {
        case Filter::nearest:
            return detail::write_nearest(job, region, scratch);
        case Filter::linear:
            return detail::write_linear(job, region, scratch);
        case Filter::bilinear_antialias:
        case Filter::bicubic_antialias:
            return detail::write_antialias(job, region, scratch);
    }
}

}  // namespace EV_ISA
}  // namespace ev
