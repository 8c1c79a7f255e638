// Rows of pixels into the tensor: looked up in the job's table, or computed where that gives the same bits.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>

#include "byte_tables.h"
#include "compute_elements.h"
#include "ev/arith.h"
#include "image_planes.h"
#include "interleave.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

// ---- Elements computed
// ------------------------------------------------------------------------------------------------

// Pixels interleaved at a time: they stay in the first-level cache until they are converted.
constexpr int kChunk = 256;
static_assert(kChunk % kInterleaveStep == 0 && kInterleaveStep <= kRowSlack,
              "interleave() reads whole steps");

constexpr int kTableSize = 256;

[[maybe_unused]] inline float value_of(std::uint8_t element) {
    return static_cast<float>(element);
}

[[maybe_unused]] inline float value_of(float element) {
    return element;
}

[[maybe_unused]] inline float value_of(std::uint16_t element) {
    return to_float(Half{element});
}

/// Whether compute() gives every element of the table of every channel.
template <class T>
bool gives_table(const ImageJob& job, const PixelScale& scale) {
    std::uint8_t pixels[kTableSize];
    T elements[kTableSize];
    for (int i = 0; i < kTableSize; ++i) pixels[i] = static_cast<std::uint8_t>(i);
    compute(pixels, kTableSize, scale, elements);
    for (int c = 0; c < job.out.channels; ++c) {
        const T* expected = static_cast<const T*>(job.table) + std::ptrdiff_t{c} * kTableSize;
        // NOLINTNEXTLINE(bugprone-suspicious-memory-comparison): zeros of either sign are two elements
        if (std::memcmp(elements, expected, sizeof elements) != 0) return false;
    }
    return true;
}

template <class T>
PixelScale find_scale_of(const ImageJob& job) {
    if constexpr (kCanCompute<T>) {
        const T* table = static_cast<const T*>(job.table);
        const double largest = static_cast<double>(value_of(table[kTableSize - 1]));
        if (!(largest > 1e-6 && largest < 1e30)) return {};
        // A division by a whole number or a half of one (255, 127.5), rounded once: the product with the
        // inverse as a sum of two floats.
        const double divisor = std::floor(2.0 * 255.0 / largest + 0.5) / 2.0;
        if (divisor > 0.0) {
            const auto factor = static_cast<float>(1.0 / divisor);
            const auto rest = static_cast<float>(1.0 / divisor - static_cast<double>(factor));
            const PixelScale scale{factor, rest, true};
            if (gives_table<T>(job, scale)) return scale;
        }
        // A product: 128 times the factor is exact.
        const PixelScale scale{value_of(table[kTableSize / 2]) / 128.0F, 0.0F, true};
        if (gives_table<T>(job, scale)) return scale;
    }
    return {};
}

PixelScale find_scale(const ImageJob& job) {
    switch (job.out.element) {
        case Element::u8:
            return find_scale_of<std::uint8_t>(job);
        case Element::f16:
            return find_scale_of<std::uint16_t>(job);
        case Element::f32:
            return find_scale_of<float>(job);
    }
    return {};
}

// ---- Elements stored
// --------------------------------------------------------------------------------------------------

template <class T>
T* element_at(const TensorView& out, int channel, int y, int x) {
    return static_cast<T*>(out.data) + channel * out.channel_stride + y * out.row_stride +
           x * out.pixel_stride;
}

template <class T>
void look_up(T* out, std::ptrdiff_t step, const std::uint8_t* pixels, int count, const T* table) {
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
void compute_interleaved(const ImageJob& job, int count, const std::uint8_t* planes, std::ptrdiff_t pitch,
                         T* out) {
    std::uint8_t pixels[3 * kChunk];
    for (int i = 0; i < count; i += kChunk) {
        const int size = std::min(kChunk, count - i);
        interleave(planes + i, planes + pitch + i, planes + 2 * pitch + i, size, pixels);
        compute(pixels, 3 * size, job.scale, out + std::ptrdiff_t{3} * i);
    }
}

void compute_interleaved(const ImageJob& /*job*/, int count, const std::uint8_t* planes, std::ptrdiff_t pitch,
                         std::uint8_t* out) {
    interleave(planes, planes + pitch, planes + 2 * pitch, count, out);
}

/// Whether the row was computed: it can be if its elements lie side by side.
template <class T>
bool compute_row(const ImageJob& job, int y, int x, int count, const std::uint8_t* planes,
                 std::ptrdiff_t pitch) {
    if constexpr (kCanCompute<T>) {
        if (!job.scale.holds) return false;
        if (job.out.pixel_stride == 1) {
            for (int c = 0; c < job.out.channels; ++c) {
                compute(planes + c * pitch, count, job.scale, element_at<T>(job.out, c, y, x));
            }
            return true;
        }
        if (!is_interleaved(job.out)) return false;
        compute_interleaved(job, count, planes, pitch, element_at<T>(job.out, 0, y, x));
        return true;
    }
    return false;
}

/// Looks up whole registers of a row of neighbouring elements; returns how many pixels that were.
template <class T>
int look_up_registers([[maybe_unused]] const ImageJob& job, [[maybe_unused]] int channel,
                      [[maybe_unused]] const std::uint8_t* pixels, [[maybe_unused]] int count,
                      [[maybe_unused]] T* out) {
    int i = 0;
#if EV_BYTE_TABLES
    if constexpr (sizeof(T) > 1) {
        if (job.table_bytes == nullptr) return 0;
        using Table = ElementTable<sizeof(T)>;
        const Table table(job.table_bytes + channel * static_cast<std::ptrdiff_t>(sizeof(T)) * kTableSize);
        for (; i + Table::kStep <= count; i += Table::kStep) table.look_up(pixels + i, out + i);
    }
#endif
    return i;
}

template <class T>
void store_row_of(const ImageJob& job, int y, int x, int count, const std::uint8_t* planes,
                  std::ptrdiff_t pitch) {
    if (compute_row<T>(job, y, x, count, planes, pitch)) return;
    const std::ptrdiff_t step = job.out.pixel_stride;
    for (int c = 0; c < job.out.channels; ++c) {
        const std::uint8_t* pixels = planes + c * pitch;
        T* out = element_at<T>(job.out, c, y, x);
        const int done = look_up_registers(job, c, pixels, count, out);
        look_up(out + done * step, step, pixels + done, count - done,
                static_cast<const T*>(job.table) + std::ptrdiff_t{c} * kTableSize);
    }
}

template <class T>
void store_pixels_of(const ImageJob& job, int y, int x, int count, const std::uint8_t* pixels) {
    T* out = element_at<T>(job.out, 0, y, x);
    if constexpr (kCanCompute<T>) {
        if (job.scale.holds) {
            compute(pixels, 3 * count, job.scale, out);
            return;
        }
    }
    const T* const table = static_cast<const T*>(job.table);
    for (std::ptrdiff_t i = 0; i < count; ++i) {
        for (std::ptrdiff_t c = 0; c < 3; ++c) out[3 * i + c] = table[c * kTableSize + pixels[3 * i + c]];
    }
}

// ---- Border
// -----------------------------------------------------------------------------------------------------------

/// Writes the pad value to columns [begin, end) of row y.
template <class T>
void fill_row(const ImageJob& job, int y, int begin, int end) {
    const TensorView& out = job.out;
    const T* pad = static_cast<const T*>(job.pad);
    if (is_interleaved(out) && pad[0] == pad[1] && pad[0] == pad[2]) {
        std::fill_n(element_at<T>(out, 0, y, begin), std::ptrdiff_t{3} * (end - begin), pad[0]);
        return;
    }
    for (int c = 0; c < out.channels; ++c) {
        T* row = element_at<T>(out, c, y, begin);
        if (out.pixel_stride == 1) {
            std::fill_n(row, end - begin, pad[c]);
        } else {
            for (int x = 0; x < end - begin; ++x) row[x * out.pixel_stride] = pad[c];
        }
    }
}

template <class T>
void fill_border(const ImageJob& job, const Region& region) {
    for (int y = 0; y < job.out.height; ++y) {
        if (region.empty() || y < region.y_begin || y >= region.y_end) {
            fill_row<T>(job, y, 0, job.out.width);
        } else {
            if (region.x_begin > 0) fill_row<T>(job, y, 0, region.x_begin);
            if (region.x_end < job.out.width) fill_row<T>(job, y, region.x_end, job.out.width);
        }
    }
}

}  // namespace

std::size_t store_scratch_size(const ImageJob& job) {
    if (EV_BYTE_TABLES == 0 || job.out.pixel_stride != 1 || job.out.element == Element::u8) return 0;
    const std::size_t size = job.out.element == Element::f16 ? 2 : 4;
    return size * kTableSize * static_cast<std::size_t>(job.out.channels);
}

void prepare_store(ImageJob& job, std::byte* scratch) {
    const std::size_t size = store_scratch_size(job);
    job.table_bytes = nullptr;
    job.scale = PixelScale{};
    // Two bytes are looked up sooner than they are computed, four as soon.
    if (size == 0 || job.out.element != Element::f16) job.scale = find_scale(job);
    if (job.scale.holds || size == 0) return;
    auto* bytes = reinterpret_cast<std::uint8_t*>(scratch);
    job.table_bytes = bytes;
    const auto channel_size = static_cast<std::ptrdiff_t>(size) / job.out.channels;
    for (int c = 0; c < job.out.channels; ++c) {
        const std::ptrdiff_t at = c * channel_size;
        split_elements(static_cast<const std::byte*>(job.table) + at, channel_size / kTableSize, bytes + at);
    }
}

void store_row(const ImageJob& job, int y, int x, int count, const std::uint8_t* planes,
               std::ptrdiff_t pitch) {
    switch (job.out.element) {
        case Element::u8:
            return store_row_of<std::uint8_t>(job, y, x, count, planes, pitch);
        case Element::f16:
            return store_row_of<std::uint16_t>(job, y, x, count, planes, pitch);
        case Element::f32:
            return store_row_of<float>(job, y, x, count, planes, pitch);
    }
}

void store_pixels(const ImageJob& job, int y, int x, int count, const std::uint8_t* pixels) {
    switch (job.out.element) {
        case Element::u8:
            return store_pixels_of<std::uint8_t>(job, y, x, count, pixels);
        case Element::f16:
            return store_pixels_of<std::uint16_t>(job, y, x, count, pixels);
        case Element::f32:
            return store_pixels_of<float>(job, y, x, count, pixels);
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

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
