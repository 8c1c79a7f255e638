// Masks above a threshold, and instance masks from prototypes, in one resize and in two.
#include "target.h"

namespace {

using namespace ev::fuzz;

/// One axis: any region with two taps a pixel, whole pixels of a size on the way with four.
ev::AxisMap choose_axis(Bytes& bytes, int taps, std::int32_t size, std::int32_t source) {
    ev::AxisMap axis{0.0, static_cast<double>(source), size, 0, source};
    if (taps == 4) {
        axis.via_size = bytes.between(1, 64);
        const int origin = bytes.between(0, axis.via_size - 1);
        axis.origin = origin;
        axis.extent = bytes.between(1, axis.via_size - origin);
    } else if (bytes.flag()) {
        axis.origin = static_cast<double>(bytes.fraction() * 1.5F - 0.25F) * source;
        axis.extent = static_cast<double>(bytes.fraction() + 0x1p-24F) * 1.5 * source;
    }
    return axis;
}

template <int K>
const ev::Taps<K>* take_taps(const ev::AxisMap& axis) {
    auto* taps = memory.take<ev::Taps<K>>(static_cast<std::size_t>(axis.size));
    for (std::int32_t i = 0; i < axis.size; ++i) ev::find_taps(axis, i, taps + i);
    return taps;
}

/// A plan by any of the instruction sets: one that is kept must serve whichever is selected later.
template <int K>
ev::ColumnPlan<K> choose_plan(Bytes& bytes, const ev::Taps<K>* columns, std::int32_t size,
                              std::int32_t source) {
    const auto last = static_cast<int>(ev::count_available_kernels()) - 1;
    const ev::Kernels& kernels = ev::available_kernels(static_cast<std::size_t>(bytes.between(0, last)));
    std::byte* plan = memory.scratch(kernels.column_plan_size(columns, size, source));
    return kernels.plan_columns(columns, size, source, plan);
}

template <class T, int K>
void run_mask(Bytes& bytes) {
    const int height = bytes.size(1, 8, 24);
    const int width = bytes.size(1, 12, 70);
    const Layout layout = choose_layout(bytes, {1, height, width}, 2);
    Values values(bytes);
    const T* logits = take_values<T>(bytes, layout.span, values);
    const ev::SourceView<T> source{logits + layout.first, 0, 0, height, width, layout.stride[1]};
    const std::int32_t image_height = bytes.size(1, 16, 40);
    const std::int32_t image_width = bytes.size(1, 30, 160);
    const ev::Taps<K>* rows = take_taps<K>(choose_axis(bytes, K, image_height, height));
    const ev::Taps<K>* taps = take_taps<K>(choose_axis(bytes, K, image_width, width));
    const ev::ColumnPlan<K> columns = choose_plan(bytes, taps, image_width, width);
    const float threshold = bytes.flag() ? 0.0F : values.next();
    // Part of the image, as bindings cut it for threads and instances.
    const std::int32_t top = bytes.flag() ? 0 : bytes.between(0, image_height - 1);
    const std::int32_t left = bytes.flag() ? 0 : bytes.between(0, image_width - 1);
    const std::int32_t rows_left = image_height - top;
    const std::int32_t columns_left = image_width - left;
    const std::int32_t mask_height = bytes.flag() ? rows_left : bytes.between(1, rows_left);
    const std::int32_t mask_width = bytes.flag() ? columns_left : bytes.between(1, columns_left);
    const std::size_t shift = choose_shift<std::uint8_t>(bytes);
    const std::size_t pixels = static_cast<std::size_t>(mask_height) * static_cast<std::size_t>(mask_width);
    agree([&](Results& results) {
        auto* mask = memory.take<std::uint8_t>(pixels, shift);
        ev::kernels().write_mask(source, rows + top, columns, threshold,
                                 ev::MaskView{mask, left, mask_height, mask_width},
                                 memory.scratch(ev::kernels().mask_scratch_size(source, mask_width)));
        results.add(mask, pixels);
    });
}

void fill_box(Bytes& bytes, float* box, int height, int width) {
    const int wild = bytes.between(0, 7) == 0 ? 200 : 4;
    const float sizes[2] = {static_cast<float>(width), static_cast<float>(height)};
    for (int axis = 0; axis < 2; ++axis) {
        const float begin =
            bytes.fraction() * (sizes[axis] + static_cast<float>(wild)) - 0.5F * static_cast<float>(wild);
        box[axis] = begin;
        box[axis + 2] = begin + bytes.fraction() * sizes[axis] - (wild > 4 ? 2.0F : 0.0F);
    }
}

template <class T, int K>
void run_instance(Bytes& bytes) {
    const int count = bytes.size(1, 6, 40);
    const int height = bytes.size(1, 8, 20);
    const int width = bytes.size(1, 10, 40);
    const Layout layout = choose_layout(bytes, {count, height, width}, 2);
    const T* maps = take_values<T>(bytes, layout.span);
    const ev::PrototypeView<T> prototypes{maps + layout.first, count,           height, width,
                                          layout.stride[0],    layout.stride[1]};
    const auto* coefficients = take_values<float>(bytes, static_cast<std::size_t>(count));
    const std::int32_t image_height = bytes.size(1, 24, 60);
    const std::int32_t image_width = bytes.size(1, 40, 160);
    const ev::Taps<K>* rows = take_taps<K>(choose_axis(bytes, K, image_height, height));
    const ev::Taps<K>* columns = take_taps<K>(choose_axis(bytes, K, image_width, width));
    const ev::ImageTaps<K> taps{rows, columns, image_height, image_width,
                                choose_plan(bytes, columns, image_width, width)};
    auto* box = memory.take<float>(4);
    fill_box(bytes, box, image_height, image_width);
    const auto axis = [&](int image, int prototype) {
        const double gain = static_cast<double>(prototype) * 4.0 / image;
        return ev::PrototypeAxis{gain, static_cast<double>(bytes.between(-2, 2)), 0.25F};
    };
    const ev::CropRule rule{K == 2 && bytes.flag(), axis(image_width, width), axis(image_height, height)};
    const std::size_t shift = choose_shift<std::uint8_t>(bytes);
    agree([&](Results& results) {
        ev::Window inside{};
        const ev::Window window = ev::kernels().find_window(box, rule, taps, height, width, &inside);
        results.add(window);
        results.add(inside);
        if (window.area() == 0) return;
        const auto pixels = static_cast<std::size_t>(window.area());
        auto* mask = memory.take<std::uint8_t>(pixels, shift);
        ev::kernels().assemble_mask(
            prototypes, coefficients, inside, taps, window, mask,
            memory.scratch(ev::kernels().assemble_scratch_size(prototypes, image_width)));
        results.add(mask, pixels);
    });
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    run_one_of(bytes, {run_mask<float, 2>, run_mask<float, 4>, run_mask<Half, 2>, run_mask<Half, 4>,
                       run_instance<float, 2>, run_instance<float, 4>, run_instance<Half, 2>,
                       run_instance<Half, 4>});
}
