// Label maps to the image's size, by the nearest pixel.
#include <algorithm>
#include <cstring>

#include "copy_bytes.h"
#include "ev/masks.h"
#include "scratch.h"

#if defined(__SSSE3__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ev {
inline namespace EV_ISA {
namespace {

#if defined(__SSSE3__) || defined(__aarch64__)
constexpr bool kCanShuffle = true;
#else
constexpr bool kCanShuffle = false;
#endif

constexpr std::int32_t kBytes = 16;
constexpr std::int32_t kFewestBytes = 4;

/// Neighbouring output columns, and which bytes they are of kBytes of the source row.
struct Shuffle {
    std::int32_t source;  // first column
    std::int32_t begin;   // first output column
    std::uint8_t from[kBytes];
};

/// Of an output row. Empty where the map is shrunk by much, or narrower than a shuffle.
struct Shuffles {
    const Shuffle* first;
    std::int32_t count;
    std::int32_t bytes;  // that each writes
};

/// to[i] = source[from[i]] for i < count
template <int count>
void shuffle_bytes([[maybe_unused]] const void* source, [[maybe_unused]] const std::uint8_t* from,
                   [[maybe_unused]] void* to) {
#if defined(__SSSE3__)
    const __m128i bytes = _mm_loadu_si128(static_cast<const __m128i*>(source));
    const __m128i order = _mm_loadu_si128(reinterpret_cast<const __m128i*>(from));
    const __m128i found = _mm_shuffle_epi8(bytes, order);
    std::memcpy(to, &found, count);
#elif defined(__aarch64__)
    const uint8x16_t found = vqtbl1q_u8(vld1q_u8(static_cast<const std::uint8_t*>(source)), vld1q_u8(from));
    std::memcpy(to, &found, count);
#endif
}

template <int bytes, class L>
void shuffle_row(const Shuffles& shuffles, const L* from, L* out) {
    for (std::int32_t i = 0; i < shuffles.count; ++i) {
        const Shuffle& shuffle = shuffles.first[i];
        shuffle_bytes<bytes>(from + shuffle.source, shuffle.from, out + shuffle.begin);
    }
}

/// Shuffles that write `bytes` each; false if that many read more than kBytes somewhere.
template <class L>
bool fill_shuffles(const std::int32_t* columns, std::int32_t width, std::int32_t source_width,
                   std::int32_t bytes, Shuffle* shuffles, std::int32_t* count) {
    constexpr auto size = static_cast<std::int32_t>(sizeof(L));
    const std::int32_t step = bytes / size;
    if (width < step) return false;
    *count = 0;
    for (std::int32_t x = 0; x < width; x += step) {
        const std::int32_t begin = std::min(x, width - step);  // the last one may repeat columns
        const std::int32_t source = std::min(columns[begin], source_width - kBytes / size);
        if (columns[begin + step - 1] >= source + kBytes / size) return false;
        Shuffle& shuffle = shuffles[(*count)++];
        shuffle.source = source;
        shuffle.begin = begin;
        for (std::int32_t i = 0; i < bytes; ++i) {
            shuffle.from[i] =
                static_cast<std::uint8_t>((columns[begin + i / size] - source) * size + i % size);
        }
    }
    return true;
}

template <class L>
constexpr std::size_t most_shuffles(std::size_t width) {
    return width * sizeof(L) / std::max(std::size_t{kFewestBytes}, 2 * sizeof(L)) + 1;
}

template <class L>
Shuffles plan_shuffles(const std::int32_t* columns, std::int32_t width, std::int32_t source_width,
                       Shuffle* shuffles) {
    constexpr auto size = static_cast<std::int32_t>(sizeof(L));
    Shuffles plan{shuffles, 0, kBytes};
    if (!kCanShuffle || source_width < kBytes / size) return plan;
    for (; plan.bytes >= std::max(kFewestBytes, 2 * size); plan.bytes /= 2) {
        if (fill_shuffles<L>(columns, width, source_width, plan.bytes, shuffles, &plan.count)) return plan;
    }
    plan.count = 0;
    return plan;
}

/// One output row from the source row it shows.
template <class L>
void resize_row(const L* from, std::ptrdiff_t stride, const std::int32_t* columns, const Shuffles& shuffles,
                std::int32_t width, L* out) {
    if (shuffles.count > 0) {
        if (shuffles.bytes == kBytes) return shuffle_row<kBytes>(shuffles, from, out);
        if (shuffles.bytes == kBytes / 2) return shuffle_row<kBytes / 2>(shuffles, from, out);
        shuffle_row<kBytes / 4>(shuffles, from, out);
    } else if (stride == 1) {
        for (std::int32_t x = 0; x < width; ++x) out[x] = from[columns[x]];
    } else {
        for (std::int32_t x = 0; x < width; ++x) out[x] = from[columns[x] * stride];
    }
}

/// A map as it is. Rows that follow one another in memory are one.
template <class L>
void copy_rows(const L* map, std::ptrdiff_t row_stride, const LabelView<L>& labels) {
    const bool together = row_stride == labels.width && labels.row_stride == labels.width;
    const std::int64_t rows = together ? 1 : labels.height;
    const auto size = static_cast<std::size_t>(labels.height / rows * labels.width) * sizeof(L);
    for (std::int64_t y = 0; y < rows; ++y) {
        detail::copy_bytes(reinterpret_cast<const std::uint8_t*>(map + y * row_stride), size,
                           reinterpret_cast<std::uint8_t*>(labels.data + y * labels.row_stride));
    }
}

}  // namespace

template <class L>
std::size_t resize_scratch_size(const LabelView<L>& labels) {
    const auto width = static_cast<std::size_t>(labels.width);
    return ScratchArena::size_of<std::int32_t>(width) +
           ScratchArena::size_of<Shuffle>(most_shuffles<L>(width));
}

template <class L>
void resize_labels(const L* map, std::int32_t height, std::int32_t width, std::ptrdiff_t row_stride,
                   std::ptrdiff_t column_stride, const Roi& roi, const LabelView<L>& labels,
                   std::byte* scratch) {
    const bool whole = roi.y == 0.0 && roi.x == 0.0 && roi.height == height && roi.width == width;
    if (whole && column_stride == 1 && labels.height == height && labels.width == width) {
        copy_rows(map, row_stride, labels);
        return;
    }
    ScratchArena arena(scratch);
    auto* columns = arena.take<std::int32_t>(static_cast<std::size_t>(labels.width));
    auto* shuffles = arena.take<Shuffle>(most_shuffles<L>(static_cast<std::size_t>(labels.width)));
    for (std::int32_t x = 0; x < labels.width; ++x) {
        columns[x] = nearest_source(x, roi.x, roi.width, labels.width, width);
    }
    Shuffles plan{shuffles, 0, 0};
    if (column_stride == 1) plan = plan_shuffles<L>(columns, labels.width, width, shuffles);
    std::int32_t previous = -1;
    for (std::int32_t y = 0; y < labels.height; ++y) {
        const std::int32_t row = nearest_source(y, roi.y, roi.height, labels.height, height);
        L* out = labels.data + y * labels.row_stride;
        if (row == previous) {
            std::copy_n(out - labels.row_stride, labels.width, out);
        } else {
            resize_row(map + row * row_stride, column_stride, columns, plan, labels.width, out);
        }
        previous = row;
    }
}

#define EV_RESIZE(L)                                                                                  \
    template std::size_t resize_scratch_size(const LabelView<L>&);                                    \
    template void resize_labels(const L*, std::int32_t, std::int32_t, std::ptrdiff_t, std::ptrdiff_t, \
                                const Roi&, const LabelView<L>&, std::byte*);
EV_RESIZE(std::uint8_t)
EV_RESIZE(std::int32_t)
EV_RESIZE(std::int64_t)
#undef EV_RESIZE

}  // namespace EV_ISA
}  // namespace ev
