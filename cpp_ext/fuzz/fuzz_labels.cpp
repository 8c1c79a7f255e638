// Label maps: logits upsampled and decided, and maps of labels resized.
#include "target.h"

namespace {

using namespace ev::fuzz;

double choose_origin(Bytes& bytes, int size) {
    return static_cast<double>(bytes.fraction() * 1.5F - 0.25F) * size;
}

double choose_extent(Bytes& bytes, int size) {
    return bytes.flag() ? size : static_cast<double>(bytes.fraction() + 0x1p-24F) * 1.5 * size;
}

ev::Roi choose_roi(Bytes& bytes, int height, int width) {
    const bool whole = bytes.flag();
    const double y = whole ? 0.0 : choose_origin(bytes, height);
    const double x = whole ? 0.0 : choose_origin(bytes, width);
    return {y, x, choose_extent(bytes, height), choose_extent(bytes, width)};
}

template <class L>
ev::LabelView<L> view_labels(const Layout& layout, L* labels) {
    return {labels + layout.first, layout.extent[1], layout.extent[2], layout.stride[1]};
}

template <class T, class L>
void run_argmax(Bytes& bytes) {
    const int classes = bytes.size(1, 8, 40);
    const int height = bytes.size(1, 6, 20);
    const int width = bytes.size(1, 8, 70);
    const Layout source = choose_layout(bytes, {classes, height, width}, 2);
    const T* elements = take_values<T>(bytes, source.span);
    const ev::LogitsView<T> logits{elements + source.first, classes,         height, width,
                                   source.stride[0],        source.stride[1]};
    const ev::Roi roi = choose_roi(bytes, height, width);
    const Layout out = choose_layout(bytes, {1, bytes.size(1, 12, 30), bytes.size(1, 24, 160)}, 2);
    const std::size_t shift = choose_shift<L>(bytes);
    const std::int32_t cut = bytes.flag() ? 0 : bytes.between(0, out.extent[1]);  // two bands
    agree([&](Results& results) {
        L* labels = memory.take<L>(out.span, shift);
        const auto view = view_labels(out, labels);
        std::byte* scratch = memory.scratch(ev::kernels().upsample_scratch_size(logits, view));
        ev::kernels().upsample_argmax(logits, roi, view, cut, out.extent[1], scratch);
        ev::kernels().upsample_argmax(logits, roi, view, 0, cut, scratch);
        add_elements(results, out, labels);
    });
}

template <class L>
void run_resize(Bytes& bytes) {
    const Layout source = choose_layout(bytes, {1, bytes.size(1, 12, 40), bytes.size(1, 24, 160)});
    const L* map = take_bits<L>(bytes, source.span);
    const ev::Roi roi = choose_roi(bytes, source.extent[1], source.extent[2]);
    const Layout out = choose_layout(bytes, {1, bytes.size(1, 12, 30), bytes.size(1, 24, 160)}, 2);
    const std::size_t shift = choose_shift<L>(bytes);
    agree([&](Results& results) {
        L* labels = memory.take<L>(out.span, shift);
        const auto view = view_labels(out, labels);
        std::byte* scratch = memory.scratch(ev::kernels().resize_scratch_size(view));
        ev::kernels().resize_labels(map + source.first, source.extent[1], source.extent[2], source.stride[1],
                                    source.stride[2], roi, view, scratch);
        add_elements(results, out, labels);
    });
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    run_one_of(bytes, {run_resize<std::uint8_t>, run_resize<std::int32_t>, run_resize<std::int64_t>,
                       run_argmax<float, std::uint8_t>, run_argmax<float, std::uint8_t>,
                       run_argmax<float, std::int32_t>, run_argmax<Half, std::uint8_t>,
                       run_argmax<Half, std::int32_t>});
}
