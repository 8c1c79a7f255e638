// Masks from logits: the taps of an image, then a pixel a thread.
#include "masks.h"
#include "masks_taps.h"

namespace ev::cuda {
namespace {

struct FindTaps {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    const MaskPlace* places;
    TapTables tables;

    template <int K>
    EV_BODY void find(const MaskPlace& place, int image, int i) const {
        if (i < place.rows.size) find_taps(place.rows, i, tables.rows<K>(image) + i);
        if (i < place.columns.size) find_taps(place.columns, i, tables.columns<K>(image) + i);
    }

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const MaskPlace& place = places[block.y];
        const int i = block.x * kThreads + block.thread;
        if (place.rows.via_size > 0) {
            find<4>(place, block.y, i);
        } else {
            find<2>(place, block.y, i);
        }
    }
};

template <class T>
struct UpsampleMasks {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    MapBatch maps;
    const MaskPlace* places;
    TapTables tables;
    float threshold;
    std::uint8_t* masks;

    template <int K>
    EV_BODY bool decide(const T* map, int image, int y, int x) const {
        const Taps<K> rows = tables.rows<K>(image)[y];
        const Taps<K> columns = tables.columns<K>(image)[x];
        return is_in_mask(rows, columns, threshold, [&](int k, int i) {
            return to_float(map[rows.index[k] * maps.row_stride + columns.index[i] * maps.column_stride]);
        });
    }

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int image = block.z / maps.classes;
        const int mask = block.z % maps.classes;
        const MaskPlace& place = places[image];
        const int x = block.x * kThreads + block.thread;
        const int y = block.y;
        if (x >= place.columns.size || y >= place.rows.size) return;
        const T* map = static_cast<const T*>(maps.data) + image * maps.image_stride +
                       mask * maps.class_stride + place.first;
        const bool in = place.rows.via_size > 0 ? decide<4>(map, image, y, x) : decide<2>(map, image, y, x);
        const std::int64_t pixels = static_cast<std::int64_t>(place.rows.size) * place.columns.size;
        masks[place.offset + mask * pixels + static_cast<std::int64_t>(y) * place.columns.size + x] =
            in ? 1 : 0;
    }
};

}  // namespace

void launch_find_taps(const MaskPlace* places, int count, const TapTables& tables, Stream stream) {
    const std::int32_t most = tables.height > tables.width ? tables.height : tables.width;
    launch(FindTaps{places, tables},
           {static_cast<unsigned>(ceil_div(most, FindTaps::kThreads)), static_cast<unsigned>(count), 1},
           stream, "find_taps");
}

std::size_t taps_workspace_size(int batch, std::int32_t height, std::int32_t width) {
    Arena arena(nullptr);
    const TapTables tables(arena, batch, height, width);
    return arena.used();
}

void launch_upsample_masks(const MapBatch& maps, bool half, const MaskPlace* places, int count,
                           std::int32_t height, std::int32_t width, float threshold, void* workspace,
                           std::uint8_t* masks, Stream stream) {
    if (count == 0 || maps.classes == 0) return;
    Arena arena(workspace);
    const TapTables tables(arena, count, height, width);
    launch_find_taps(places, count, tables, stream);
    const GridSize grid{static_cast<unsigned>(ceil_div(width, UpsampleMasks<float>::kThreads)),
                        static_cast<unsigned>(height), static_cast<unsigned>(count * maps.classes)};
    if (half) {
        launch(UpsampleMasks<Half>{maps, places, tables, threshold, masks}, grid, stream, "upsample_masks");
    } else {
        launch(UpsampleMasks<float>{maps, places, tables, threshold, masks}, grid, stream, "upsample_masks");
    }
}

}  // namespace ev::cuda
