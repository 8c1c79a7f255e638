// Masks of instances: windows and where each begins, then the weighted prototypes where a window reads them,
// then all windows' pixels one after another.
#include "masks_taps.h"

namespace ev::cuda {
namespace {

/// What is known of a detection's mask.
struct Span {
    Window window;
    Window inside;  // the part of the prototypes that counts
    Window read;    // the part that the window reads
};

struct Workspace {
    TapTables tables;
    Span* spans;
    float* logits;  // (detections, height, width), of which only what is read is there

    Workspace(Arena& arena, const MapBatch& prototypes, int batch, std::int32_t max_detections,
              std::int32_t height, std::int32_t width)
        : tables(arena, batch, height, width),
          spans(arena.take<Span>(static_cast<std::size_t>(batch) * static_cast<std::size_t>(max_detections))),
          logits(arena.take<float>(
              static_cast<std::size_t>(batch) * static_cast<std::size_t>(max_detections) *
              static_cast<std::size_t>(prototypes.height) * static_cast<std::size_t>(prototypes.width))) {}
};

/// One block an image.
struct FindWindows {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = true;
    struct Shared {};

    const MaskPlace* places;
    TapTables tables;
    Instances instances;
    Span* spans;
    MaskArrays out;

    template <int K>
    EV_BODY Span find(const MaskPlace& place, int image, const float* box) const {
        const Taps<K>* rows = tables.rows<K>(image);
        const Taps<K>* columns = tables.columns<K>(image);
        Span span{};
        span.window = object_window(box, place.crop, rows, place.rows.size, columns, place.columns.size,
                                    place.rows.source_size, place.columns.source_size, &span.inside);
        if (span.window.area() > 0) span.read = read_window(span.window, rows, columns);
        return span;
    }

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const MaskPlace& place = places[block.x];
        const std::int64_t first = static_cast<std::int64_t>(block.x) * instances.max_detections;
        const int count = instances.counts[block.x];
        for (int i = block.thread; i < count; i += block.threads) {
            const float* box = instances.boxes + 4 * (first + i);
            spans[first + i] =
                place.rows.via_size > 0 ? find<4>(place, block.x, box) : find<2>(place, block.x, box);
        }
        block.barrier();
        if (block.thread > 0) return;
        std::int32_t* offsets = out.offsets + first + block.x;
        std::int64_t total = 0;
        int fitting = 0;
        offsets[0] = 0;
        for (int i = 0; i < count; ++i) {
            Window& window = spans[first + i].window;
            if (fitting < i || total + window.area() > out.capacity) {
                window = {0, 0, 0, 0};
            } else {
                ++fitting;
            }
            total += window.area();
            out.windows[first + i] = window;
            offsets[i + 1] = static_cast<std::int32_t>(total);
        }
        out.counts[block.x] = fitting;
    }
};

template <class T>
struct SumPrototypes {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    MapBatch prototypes;
    const MaskPlace* places;
    Instances instances;
    const Span* spans;
    float* logits;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        if (static_cast<int>(block.y) >= instances.counts[block.z]) return;
        const std::int64_t detection =
            static_cast<std::int64_t>(block.z) * instances.max_detections + block.y;
        const Span& span = spans[detection];
        const Window& read = span.read;
        const int width = read.x2 - read.x1;
        const int i = block.x * kThreads + block.thread;
        if (span.window.area() == 0 || i >= read.area()) return;
        const int y = read.y1 + i / width;
        const int x = read.x1 + i % width;
        float sum = 0.0F;
        if (y >= span.inside.y1 && y < span.inside.y2 && x >= span.inside.x1 && x < span.inside.x2) {
            const T* map = static_cast<const T*>(prototypes.data) + block.z * prototypes.image_stride +
                           places[block.z].first + y * prototypes.row_stride + x * prototypes.column_stride;
            const float* weights = instances.coefficients + detection * instances.stride;
            for (int m = 0; m < prototypes.classes; ++m, map += prototypes.class_stride) {
                sum = sum + weights[m] * to_float(*map);
            }
        }
        logits[detection * prototypes.height * prototypes.width + i] = sum;
    }
};

struct WriteMasks {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = false;
    static constexpr int kBlocks = 512;  // of an image; each goes on until no pixel is left
    struct Shared {};

    const MaskPlace* places;
    TapTables tables;
    std::int32_t max_detections;
    std::int32_t map_size;  // of the prototypes
    const Span* spans;
    const float* logits;
    MaskArrays out;

    template <int K>
    EV_BODY bool decide(const Span& span, const float* map, int image, int y, int x) const {
        const Taps<K> rows = tables.rows<K>(image)[y];
        const Taps<K> columns = tables.columns<K>(image)[x];
        const int width = span.read.x2 - span.read.x1;
        return is_in_mask(rows, columns, 0.0F, [&](int k, int i) {
            return map[(rows.index[k] - span.read.y1) * width + columns.index[i] - span.read.x1];
        });
    }

    /// Which of the detections has the pixel: the last that begins at it or before, and is not empty.
    EV_BODY static int find_detection(const std::int32_t* offsets, int count, std::int32_t pixel) {
        int low = 0;
        int high = count;
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            if (offsets[middle] <= pixel) {
                low = middle;
            } else {
                high = middle;
            }
        }
        return low;
    }

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int image = block.y;
        const std::int64_t first = static_cast<std::int64_t>(image) * max_detections;
        const std::int32_t* offsets = out.offsets + first + image;
        const int count = out.counts[image];
        const bool via = places[image].rows.via_size > 0;
        std::uint8_t* data = out.data + static_cast<std::int64_t>(image) * out.capacity;
        for (std::int32_t pixel = block.x * kThreads + block.thread; pixel < offsets[count];
             pixel += kBlocks * kThreads) {
            const int i = find_detection(offsets, count, pixel);
            const Span& span = spans[first + i];
            const int width = span.window.x2 - span.window.x1;
            const int y = span.window.y1 + (pixel - offsets[i]) / width;
            const int x = span.window.x1 + (pixel - offsets[i]) % width;
            const float* map = logits + (first + i) * map_size;
            const bool in = via ? decide<4>(span, map, image, y, x) : decide<2>(span, map, image, y, x);
            data[pixel] = in ? 1 : 0;
        }
    }
};

template <class T>
void sum_prototypes(const MapBatch& prototypes, const MaskPlace* places, int count,
                    const Instances& instances, const Workspace& workspace, Stream stream) {
    using Body = SumPrototypes<T>;
    launch(
        Body{prototypes, places, instances, workspace.spans, workspace.logits},
        {static_cast<unsigned>(ceil_div(std::int64_t{prototypes.height} * prototypes.width, Body::kThreads)),
         static_cast<unsigned>(instances.max_detections), static_cast<unsigned>(count)},
        stream, "sum_prototypes");
}

}  // namespace

std::size_t instance_workspace_size(const MapBatch& prototypes, int batch, std::int32_t max_detections,
                                    std::int32_t height, std::int32_t width) {
    Arena arena(nullptr);
    const Workspace workspace(arena, prototypes, batch, max_detections, height, width);
    return arena.used();
}

void launch_assemble_masks(const MapBatch& prototypes, bool half, const MaskPlace* places, int count,
                           std::int32_t height, std::int32_t width, const Instances& instances, void* memory,
                           const MaskArrays& out, Stream stream) {
    if (count == 0) return;
    Arena arena(memory);
    const Workspace workspace(arena, prototypes, count, instances.max_detections, height, width);
    const auto images = static_cast<unsigned>(count);
    launch_find_taps(places, count, workspace.tables, stream);
    launch(FindWindows{places, workspace.tables, instances, workspace.spans, out}, {images, 1, 1}, stream,
           "find_windows");
    if (half) {
        sum_prototypes<Half>(prototypes, places, count, instances, workspace, stream);
    } else {
        sum_prototypes<float>(prototypes, places, count, instances, workspace, stream);
    }
    launch(WriteMasks{places, workspace.tables, instances.max_detections,
                      prototypes.height * prototypes.width, workspace.spans, workspace.logits, out},
           {WriteMasks::kBlocks, images, 1}, stream, "write_masks");
}

}  // namespace ev::cuda
