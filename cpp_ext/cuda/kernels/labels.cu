// Label maps at the image's size. A block writes a tile, whose rows' and columns' taps it computes once.
#include "launch.h"
#include "masks.h"

namespace ev::cuda {
namespace {

constexpr int kTile = 32;
constexpr int kRowsAtOnce = 8;

GridSize tiles_of(std::int32_t height, std::int32_t width, int count) {
    return {static_cast<unsigned>(ceil_div(width, kTile)), static_cast<unsigned>(ceil_div(height, kTile)),
            static_cast<unsigned>(count)};
}

/// The greatest so far, the first of equals; NaN is never it.
struct Best {
    float value;
    std::int32_t label;

    EV_BODY void see(float candidate, std::int32_t id) {
        if (!(candidate > value)) return;
        value = candidate;
        label = id;
    }
};

template <class T, class L>
struct UpsampleArgmax {
    static constexpr int kThreads = kTile * kRowsAtOnce;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        Tap columns[kTile];
        Tap rows[kTile];
    };

    MapBatch logits;
    const LabelPlace* places;
    L* labels;

    EV_BODY std::int32_t label_of(const T* map, const Tap& y, const Tap& x) const {
        const bool binary = logits.classes == 1;
        const Best none{binary ? 0.0F : -std::numeric_limits<float>::infinity(), 0};
        Best corners[4] = {none, none, none, none};
        Best blended = none;
        const std::ptrdiff_t places_of[4] = {y.first * logits.row_stride + x.first * logits.column_stride,
                                             y.first * logits.row_stride + x.second * logits.column_stride,
                                             y.second * logits.row_stride + x.first * logits.column_stride,
                                             y.second * logits.row_stride + x.second * logits.column_stride};
        for (std::int32_t id = 0; id < logits.classes; ++id, map += logits.class_stride) {
            float values[4];
            for (int i = 0; i < 4; ++i) {
                values[i] = to_float(map[places_of[i]]);
                corners[i].see(values[i], binary ? 1 : id);
            }
            const float left = blend(values[0], values[2], y.weight);
            const float right = blend(values[1], values[3], y.weight);
            blended.see(blend(left, right, x.weight), binary ? 1 : id);
        }
        // As on the CPU: where the four agree there is nothing to interpolate, and rounding cannot say
        // otherwise.
        const bool agree = corners[0].label == corners[1].label && corners[0].label == corners[2].label &&
                           corners[0].label == corners[3].label;
        return agree ? corners[0].label : blended.label;
    }

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const LabelPlace& place = places[block.z];
        const int left = block.x * kTile;
        const int top = block.y * kTile;
        if (left >= place.width || top >= place.height) return;
        if (block.thread < kTile) {
            shared.columns[block.thread] =
                bilinear_tap(left + block.thread, place.roi.x, place.roi.width, place.width, logits.width);
        } else if (block.thread < 2 * kTile) {
            shared.rows[block.thread - kTile] = bilinear_tap(top + block.thread - kTile, place.roi.y,
                                                             place.roi.height, place.height, logits.height);
        }
        block.barrier();
        const T* map = static_cast<const T*>(logits.data) + block.z * logits.image_stride;
        const int column = block.thread % kTile;
        if (left + column >= place.width) return;
        for (int row = block.thread / kTile; row < kTile && top + row < place.height; row += kRowsAtOnce) {
            labels[place.offset + static_cast<std::int64_t>(top + row) * place.width + left + column] =
                static_cast<L>(label_of(map, shared.rows[row], shared.columns[column]));
        }
    }
};

template <class L>
struct ResizeLabels {
    static constexpr int kThreads = kTile * kRowsAtOnce;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        std::int32_t columns[kTile];
        std::int32_t rows[kTile];
    };

    MapBatch maps;
    const LabelPlace* places;
    L* labels;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const LabelPlace& place = places[block.z];
        const int left = block.x * kTile;
        const int top = block.y * kTile;
        if (left >= place.width || top >= place.height) return;
        if (block.thread < kTile) {
            shared.columns[block.thread] =
                nearest_source(left + block.thread, place.roi.x, place.roi.width, place.width, maps.width);
        } else if (block.thread < 2 * kTile) {
            shared.rows[block.thread - kTile] = nearest_source(top + block.thread - kTile, place.roi.y,
                                                               place.roi.height, place.height, maps.height);
        }
        block.barrier();
        const L* map = static_cast<const L*>(maps.data) + block.z * maps.image_stride;
        const int column = block.thread % kTile;
        if (left + column >= place.width) return;
        for (int row = block.thread / kTile; row < kTile && top + row < place.height; row += kRowsAtOnce) {
            labels[place.offset + static_cast<std::int64_t>(top + row) * place.width + left + column] =
                map[shared.rows[row] * maps.row_stride + shared.columns[column] * maps.column_stride];
        }
    }
};

template <class T, class L>
void upsample(const MapBatch& logits, const LabelPlace* places, const GridSize& grid, void* labels,
              Stream stream) {
    launch(UpsampleArgmax<T, L>{logits, places, static_cast<L*>(labels)}, grid, stream, "upsample_argmax");
}

template <class L>
void resize(const MapBatch& maps, const LabelPlace* places, const GridSize& grid, void* labels,
            Stream stream) {
    launch(ResizeLabels<L>{maps, places, static_cast<L*>(labels)}, grid, stream, "resize_labels");
}

}  // namespace

void launch_upsample_argmax(const MapBatch& logits, bool half, const LabelPlace* places, int count,
                            std::int32_t height, std::int32_t width, LabelType type, void* labels,
                            Stream stream) {
    if (count == 0) return;
    const GridSize grid = tiles_of(height, width, count);
    if (half && type == LabelType::u8)
        return upsample<Half, std::uint8_t>(logits, places, grid, labels, stream);
    if (half) return upsample<Half, std::int32_t>(logits, places, grid, labels, stream);
    if (type == LabelType::u8) return upsample<float, std::uint8_t>(logits, places, grid, labels, stream);
    upsample<float, std::int32_t>(logits, places, grid, labels, stream);
}

void launch_resize_labels(const MapBatch& maps, const LabelPlace* places, int count, std::int32_t height,
                          std::int32_t width, LabelType type, void* labels, Stream stream) {
    if (count == 0) return;
    const GridSize grid = tiles_of(height, width, count);
    if (type == LabelType::u8) return resize<std::uint8_t>(maps, places, grid, labels, stream);
    if (type == LabelType::i32) return resize<std::int32_t>(maps, places, grid, labels, stream);
    resize<std::int64_t>(maps, places, grid, labels, stream);
}

}  // namespace ev::cuda
