#include "ev/masks_instances.h"

#include <algorithm>

#include "lanes.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

#if EV_WIDE_LANES

// Rows whose sums are built up side by side, to hide how long an addition takes.
constexpr std::int32_t kRowBlock = 4;

/// The sums of kFloatLanes columns, or of `count` where there are fewer, in R rows.
template <int R, bool Whole, class T>
void sum_block(const PrototypeView<T>& prototypes, const float* coefficients, const T* first,
               std::int32_t count, float* sums, std::ptrdiff_t stride) {
    Floats totals[R];
    for (int r = 0; r < R; ++r) totals[r] = 0.0F;
    for (std::int32_t m = 0; m < prototypes.count; ++m, first += prototypes.map_stride) {
        const Floats weight = coefficients[m];
        for (int r = 0; r < R; ++r) {
            const T* from = first + r * prototypes.row_stride;
            totals[r] = totals[r] + weight * (Whole ? load(from) : load_n(from, count));
        }
    }
    for (int r = 0; r < R; ++r) {
        if (Whole) {
            store(sums + r * stride, totals[r]);
        } else {
            store_n(sums + r * stride, count, totals[r]);
        }
    }
}

/// R rows of sums. The last block begins early where it would be cut: sums twice are the same sums.
template <int R, class T>
void sum_rows(const PrototypeView<T>& prototypes, const float* coefficients, const T* first,
              std::int32_t width, float* sums, std::ptrdiff_t stride) {
    if (width < kFloatLanes) {
        sum_block<R, false>(prototypes, coefficients, first, width, sums, stride);
        return;
    }
    for (std::int32_t x = 0; x < width; x += kFloatLanes) {
        const std::int32_t at = std::min(x, width - kFloatLanes);
        sum_block<R, true>(prototypes, coefficients, first + at, kFloatLanes, sums + at, stride);
    }
}

/// sums = the weighted prototypes of a region, one prototype after another.
template <class T>
void sum_prototypes(const PrototypeView<T>& prototypes, const float* coefficients, const T* first,
                    std::int32_t height, std::int32_t width, float* sums, std::ptrdiff_t stride) {
    if (height >= kRowBlock) {
        for (std::int32_t y = 0; y < height; y += kRowBlock) {
            const std::int32_t at = std::min(y, height - kRowBlock);
            sum_rows<kRowBlock>(prototypes, coefficients, first + at * prototypes.row_stride, width,
                                sums + at * stride, stride);
        }
        return;
    }
    for (std::int32_t y = 0; y < height; ++y) {
        sum_rows<1>(prototypes, coefficients, first + y * prototypes.row_stride, width, sums + y * stride,
                    stride);
    }
}

#else

/// sums[x] += the weighted prototypes of one row, one prototype after another.
template <class T>
void add_prototypes(const PrototypeView<T>& prototypes, const float* coefficients, const T* first,
                    std::int32_t count, float* sums) {
    std::int32_t m = 0;
    // Four at a time: the sums are loaded and stored a quarter as often, the order of additions stays.
    for (; m + 4 <= prototypes.count; m += 4) {
        const T* a = first + m * prototypes.map_stride;
        const T* b = a + prototypes.map_stride;
        const T* c = b + prototypes.map_stride;
        const T* d = c + prototypes.map_stride;
        const float* w = coefficients + m;
        for (std::int32_t x = 0; x < count; ++x) {
            float sum = sums[x] + w[0] * to_float(a[x]);
            sum = sum + w[1] * to_float(b[x]);
            sum = sum + w[2] * to_float(c[x]);
            sums[x] = sum + w[3] * to_float(d[x]);
        }
    }
    for (; m < prototypes.count; ++m) {
        const T* a = first + m * prototypes.map_stride;
        for (std::int32_t x = 0; x < count; ++x) sums[x] = sums[x] + coefficients[m] * to_float(a[x]);
    }
}

/// sums = the weighted prototypes of a region.
template <class T>
void sum_prototypes(const PrototypeView<T>& prototypes, const float* coefficients, const T* first,
                    std::int32_t height, std::int32_t width, float* sums, std::ptrdiff_t stride) {
    for (std::int32_t y = 0; y < height; ++y, first += prototypes.row_stride, sums += stride) {
        std::fill_n(sums, width, 0.0F);
        add_prototypes(prototypes, coefficients, first, width, sums);
    }
}

#endif

}  // namespace

template <int K>
Window find_window(const float* box, const CropRule& rule, const ImageTaps<K>& taps, std::int32_t height,
                   std::int32_t width, Window* inside) {
    return object_window(box, rule, taps.rows, taps.height, taps.columns, taps.width, height, width, inside);
}

template <class T>
std::size_t assemble_scratch_size(const PrototypeView<T>& prototypes, std::int32_t image_width) {
    const auto pixels =
        static_cast<std::size_t>(prototypes.height) * static_cast<std::size_t>(prototypes.width);
    const SourceView<float> source{nullptr, 0, 0, prototypes.height, prototypes.width, prototypes.width};
    return ScratchArena::size_of<float>(pixels) + mask_scratch_size(source, image_width);
}

template <class T, int K>
void assemble_mask(const PrototypeView<T>& prototypes, const float* coefficients, const Window& inside,
                   const ImageTaps<K>& taps, const Window& window, std::uint8_t* mask, std::byte* scratch) {
    // The prototype pixels that the window reads, and of these the ones that count.
    const Window read = read_window(window, taps.rows, taps.columns);
    const Window sum{std::max(read.x1, inside.x1), std::max(read.y1, inside.y1), std::min(read.x2, inside.x2),
                     std::min(read.y2, inside.y2)};
    const std::int32_t width = read.x2 - read.x1;
    const auto pixels = static_cast<std::size_t>(read.area());
    ScratchArena arena(scratch);
    auto* logits = arena.take<float>(pixels);
    if (sum.area() < read.area()) std::fill_n(logits, pixels, 0.0F);
    sum_prototypes(prototypes, coefficients, prototypes.data + sum.y1 * prototypes.row_stride + sum.x1,
                   sum.y2 - sum.y1, sum.x2 - sum.x1,
                   logits + static_cast<std::ptrdiff_t>(sum.y1 - read.y1) * width + (sum.x1 - read.x1),
                   width);
    const SourceView<float> source{logits, read.y1, read.x1, read.y2 - read.y1, width, width};
    write_mask(source, taps.rows + window.y1, taps.plan, 0.0F,
               MaskView{mask, window.x1, window.y2 - window.y1, window.x2 - window.x1},
               arena.take<std::byte>(0));
}

#define EV_ASSEMBLE(K)                                                                            \
    template Window find_window(const float*, const CropRule&, const ImageTaps<K>&, std::int32_t, \
                                std::int32_t, Window*);                                           \
    template void assemble_mask(const PrototypeView<float>&, const float*, const Window&,         \
                                const ImageTaps<K>&, const Window&, std::uint8_t*, std::byte*);   \
    template void assemble_mask(const PrototypeView<Half>&, const float*, const Window&,          \
                                const ImageTaps<K>&, const Window&, std::uint8_t*, std::byte*);
EV_ASSEMBLE(2)
EV_ASSEMBLE(4)
#undef EV_ASSEMBLE

template std::size_t assemble_scratch_size(const PrototypeView<float>&, std::int32_t);
template std::size_t assemble_scratch_size(const PrototypeView<Half>&, std::int32_t);

}  // namespace EV_ISA
}  // namespace ev
