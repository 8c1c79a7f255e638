// Label maps and masks on the emulated GPU, bit for bit those of the CPU's kernels.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "masks.h"

namespace {

using ev::cuda::MapBatch;

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
    double fraction(double low, double high) {
        return std::uniform_real_distribution<double>(low, high)(engine_);
    }
    bool flip() { return between(0, 1) == 0; }

  private:
    std::mt19937 engine_;
};

/// Memory of the processor, aligned as scratch is.
class Scratch {
  public:
    explicit Scratch(std::size_t size) : bytes_(size + 64) {}
    std::byte* get() {
        return reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(bytes_.data()) + 63) / 64 * 64);
    }

  private:
    std::vector<std::byte> bytes_;
};

void fill(Random& random, std::vector<float>* maps) {
    for (float& value : *maps) {
        value = static_cast<float>(random.between(-6, 6)) / 4.0F;  // equal ones abound
        const int odd = random.between(0, 300);
        if (odd == 0) value = std::nanf("");
        if (odd == 1) value = random.flip() ? INFINITY : -INFINITY;
    }
}

/// Halves from -2 to 2 in steps of an eighth or so, by their bits.
void fill(Random& random, std::vector<ev::Half>* maps) {
    for (ev::Half& value : *maps) {
        const int sign = random.flip() ? 0x8000 : 0;
        value.bits = static_cast<std::uint16_t>(sign | random.between(0x2c00 / 256, 0x4000 / 256) * 256);
    }
}

MapBatch describe(const void* data, int classes, int height, int width) {
    const std::ptrdiff_t map = std::ptrdiff_t{height} * width;
    return {data, classes, height, width, map, width, 1, map * classes};
}

std::size_t size_of(const MapBatch& maps, int batch) {
    return static_cast<std::size_t>(maps.image_stride) * static_cast<std::size_t>(batch);
}

template <class T, class L>
void check_upsampled_labels(Random& random) {
    const int batch = random.between(1, 2);
    MapBatch maps = describe(nullptr, random.between(1, 7), random.between(1, 12), random.between(1, 12));
    std::vector<T> logits(size_of(maps, batch));
    fill(random, &logits);
    maps.data = logits.data();
    std::vector<ev::cuda::LabelPlace> places;
    std::int64_t total = 0;
    for (int i = 0; i < batch; ++i) {
        const ev::Roi roi{random.fraction(-1.0, 2.0), random.fraction(-1.0, 2.0),
                          random.fraction(0.5, maps.height), random.fraction(0.5, maps.width)};
        places.push_back({roi, random.between(1, 50), random.between(1, 50), total});
        total += std::int64_t{places.back().height} * places.back().width;
    }
    std::vector<L> labels(static_cast<std::size_t>(total));
    ev::cuda::launch_upsample_argmax(maps, sizeof(T) == 2, places.data(), batch, 50, 50,
                                     sizeof(L) == 1 ? ev::cuda::LabelType::u8 : ev::cuda::LabelType::i32,
                                     labels.data(), nullptr);
    for (int i = 0; i < batch; ++i) {
        const ev::cuda::LabelPlace& place = places[static_cast<std::size_t>(i)];
        const ev::LogitsView<T> view{logits.data() + i * maps.image_stride,
                                     maps.classes,
                                     maps.height,
                                     maps.width,
                                     maps.class_stride,
                                     maps.row_stride};
        std::vector<L> expected(static_cast<std::size_t>(place.height * place.width));
        const ev::LabelView<L> out{expected.data(), place.height, place.width, place.width};
        Scratch scratch(ev::kernels().upsample_scratch_size(view, out));
        ev::kernels().upsample_argmax(view, place.roi, out, 0, place.height, scratch.get());
        CHECK(std::memcmp(expected.data(), labels.data() + place.offset, expected.size() * sizeof(L)) == 0);
    }
}

template <class L>
void check_resized_labels(Random& random, ev::cuda::LabelType type) {
    MapBatch maps = describe(nullptr, 1, random.between(1, 20), random.between(1, 20));
    std::vector<L> labels(size_of(maps, 1));
    for (L& label : labels) label = static_cast<L>(random.between(0, 200));
    maps.data = labels.data();
    const ev::Roi roi{random.fraction(-1.0, 2.0), random.fraction(-1.0, 2.0), random.fraction(0.5, 20.0),
                      random.fraction(0.5, 20.0)};
    const ev::cuda::LabelPlace place{roi, random.between(1, 70), random.between(1, 70), 0};
    const auto pixels = static_cast<std::size_t>(place.height * place.width);
    std::vector<L> got(pixels);
    std::vector<L> expected(pixels);
    ev::cuda::launch_resize_labels(maps, &place, 1, 70, 70, type, got.data(), nullptr);
    const ev::LabelView<L> out{expected.data(), place.height, place.width, place.width};
    Scratch scratch(ev::kernels().resize_scratch_size(out));
    ev::kernels().resize_labels(labels.data(), maps.height, maps.width, maps.row_stride, std::ptrdiff_t{1},
                                roi, out, scratch.get());
    CHECK(got == expected);
}

/// A place of an image in maps: at once, or by way of a size in whole pixels.
ev::cuda::MaskPlace place_masks(Random& random, const MapBatch& maps, bool via) {
    ev::cuda::MaskPlace place{};
    const auto axis = [&](int source) {
        const int via_size = source * random.between(1, 4);
        const int origin = random.between(0, via_size - 1);
        const int extent = random.between(1, via_size - origin);
        if (via) return ev::AxisMap{double(origin), double(extent), random.between(1, 60), via_size, source};
        return ev::AxisMap{random.fraction(-1.0, 1.0), random.fraction(0.5, source), random.between(1, 60), 0,
                           source};
    };
    place.rows = axis(maps.height);
    place.columns = axis(maps.width);
    return place;
}

template <int K>
struct CpuTaps {
    std::vector<ev::Taps<K>> rows, columns;
    Scratch memory;
    ev::ImageTaps<K> taps;

    explicit CpuTaps(const ev::cuda::MaskPlace& place)
        : rows(static_cast<std::size_t>(place.rows.size)),
          columns(static_cast<std::size_t>(place.columns.size)),
          memory(ev::kernels().column_plan_size(static_cast<const ev::Taps<K>*>(nullptr), place.columns.size,
                                                place.columns.source_size)) {
        for (std::int32_t i = 0; i < place.rows.size; ++i) {
            ev::find_taps(place.rows, i, &rows[static_cast<std::size_t>(i)]);
        }
        for (std::int32_t i = 0; i < place.columns.size; ++i) {
            ev::find_taps(place.columns, i, &columns[static_cast<std::size_t>(i)]);
        }
        const ev::Taps<K>* across = columns.data();
        taps = {
            rows.data(), across, place.rows.size, place.columns.size,
            ev::kernels().plan_columns(across, place.columns.size, place.columns.source_size, memory.get())};
    }
};

template <int K, class T>
std::vector<std::uint8_t> masks_on_the_cpu(const MapBatch& maps, const T* first,
                                           const ev::cuda::MaskPlace& place, float threshold) {
    const CpuTaps<K> taps(place);
    const auto pixels = static_cast<std::size_t>(place.rows.size * place.columns.size);
    std::vector<std::uint8_t> masks(pixels * static_cast<std::size_t>(maps.classes));
    for (int i = 0; i < maps.classes; ++i) {
        const ev::SourceView<T> source{
            first + i * maps.class_stride, 0, 0, maps.height, maps.width, maps.row_stride};
        Scratch scratch(ev::kernels().mask_scratch_size(source, place.columns.size));
        ev::kernels().write_mask(source, taps.rows.data(), taps.taps.plan, threshold,
                                 ev::MaskView{masks.data() + static_cast<std::size_t>(i) * pixels, 0,
                                              place.rows.size, place.columns.size},
                                 scratch.get());
    }
    return masks;
}

template <class T>
void check_masks(Random& random, bool via) {
    MapBatch maps = describe(nullptr, random.between(1, 3), random.between(1, 14), random.between(1, 14));
    std::vector<T> logits(size_of(maps, 2));
    fill(random, &logits);
    maps.data = logits.data();
    ev::cuda::MaskPlace places[2] = {place_masks(random, maps, via), place_masks(random, maps, via)};
    const auto pixels = [](const ev::cuda::MaskPlace& place) { return place.rows.size * place.columns.size; };
    places[1].offset = pixels(places[0]) * maps.classes;
    std::vector<std::uint8_t> got(
        static_cast<std::size_t>(places[1].offset + pixels(places[1]) * maps.classes));
    Scratch workspace(ev::cuda::taps_workspace_size(2, 60, 60));
    const float threshold = random.flip() ? 0.0F : 0.3F;
    ev::cuda::launch_upsample_masks(maps, sizeof(T) == 2, places, 2, 60, 60, threshold, workspace.get(),
                                    got.data(), nullptr);
    for (int i = 0; i < 2; ++i) {
        const T* first = logits.data() + i * maps.image_stride;
        const std::vector<std::uint8_t> expected =
            via ? masks_on_the_cpu<4>(maps, first, places[i], threshold)
                : masks_on_the_cpu<2>(maps, first, places[i], threshold);
        CHECK(std::memcmp(got.data() + places[i].offset, expected.data(), expected.size()) == 0);
    }
}

constexpr int kDetections = 6;

/// An image's detections, and the masks that are expected of them.
struct Expected {
    std::vector<ev::Window> windows;
    std::vector<std::uint8_t> data;
    std::vector<std::int32_t> offsets{0};
};

template <int K, class T>
Expected instances_on_the_cpu(const MapBatch& maps, const T* first, const ev::cuda::MaskPlace& place,
                              const float* boxes, const float* coefficients, int count, int stride) {
    const CpuTaps<K> taps(place);
    const ev::PrototypeView<T> prototypes{first,      maps.classes,      maps.height,
                                          maps.width, maps.class_stride, maps.row_stride};
    Scratch scratch(ev::kernels().assemble_scratch_size(prototypes, place.columns.size));
    Expected expected;
    for (int i = 0; i < count; ++i) {
        ev::Window inside{};
        const ev::Window window =
            ev::kernels().find_window(boxes + 4 * i, place.crop, taps.taps, maps.height, maps.width, &inside);
        const auto begin = static_cast<std::size_t>(expected.offsets.back());
        expected.windows.push_back(window);
        expected.offsets.push_back(expected.offsets.back() + static_cast<std::int32_t>(window.area()));
        expected.data.resize(begin + static_cast<std::size_t>(window.area()));
        if (window.area() == 0) continue;
        ev::kernels().assemble_mask(prototypes, coefficients + i * stride, inside, taps.taps, window,
                                    expected.data.data() + begin, scratch.get());
    }
    return expected;
}

template <class T>
void check_instances(Random& random, bool via, bool in_prototypes, std::int32_t capacity) {
    MapBatch maps = describe(nullptr, random.between(1, 5), random.between(2, 14), random.between(2, 14));
    std::vector<T> prototypes(size_of(maps, 2));
    fill(random, &prototypes);
    maps.data = prototypes.data();
    const int stride = maps.classes + random.between(0, 2);
    ev::cuda::MaskPlace places[2] = {place_masks(random, maps, via), place_masks(random, maps, via)};
    std::vector<float> boxes(2 * kDetections * 4);
    std::vector<float> coefficients(static_cast<std::size_t>(2 * kDetections * stride));
    for (float& side : boxes) side = static_cast<float>(random.fraction(-5.0, 60.0));
    for (float& weight : coefficients) weight = static_cast<float>(random.fraction(-1.0, 1.0));
    std::int32_t counts[2] = {kDetections, random.between(0, kDetections)};
    for (ev::cuda::MaskPlace& place : places) {
        place.crop = {in_prototypes, {1.2, 3.0, 0.25F}, {1.2, 2.0, 0.25F}};
    }
    std::vector<ev::Window> windows(2 * kDetections);
    std::vector<std::int32_t> offsets(2 * (kDetections + 1));
    std::vector<std::uint8_t> data(2 * static_cast<std::size_t>(capacity));
    std::int32_t fitting[2] = {-1, -1};
    Scratch workspace(ev::cuda::instance_workspace_size(maps, 2, kDetections, 60, 60));
    ev::cuda::launch_assemble_masks(
        maps, sizeof(T) == 2, places, 2, 60, 60,
        {counts, boxes.data(), coefficients.data(), stride, kDetections}, workspace.get(),
        {fitting, windows.data(), offsets.data(), data.data(), capacity}, nullptr);
    for (int i = 0; i < 2; ++i) {
        const T* first = prototypes.data() + i * maps.image_stride;
        const float* own_boxes = boxes.data() + i * kDetections * 4;
        const float* own = coefficients.data() + i * kDetections * stride;
        const Expected expected =
            via ? instances_on_the_cpu<4>(maps, first, places[i], own_boxes, own, counts[i], stride)
                : instances_on_the_cpu<2>(maps, first, places[i], own_boxes, own, counts[i], stride);
        int fit = 0;
        while (fit < counts[i] && expected.offsets[static_cast<std::size_t>(fit) + 1] <= capacity) ++fit;
        CHECK(fitting[i] == fit);
        for (int j = 0; j < counts[i]; ++j) {
            const ev::Window& got = windows[static_cast<std::size_t>(i * kDetections + j)];
            const ev::Window none{};
            const ev::Window& wanted = j < fit ? expected.windows[static_cast<std::size_t>(j)] : none;
            CHECK(std::memcmp(&got, &wanted, sizeof got) == 0);
        }
        const auto size = static_cast<std::size_t>(expected.offsets[static_cast<std::size_t>(fit)]);
        CHECK(size == 0 || std::memcmp(data.data() + i * capacity, expected.data.data(), size) == 0);
    }
}

}  // namespace

void run() {
    Random random(11);
    for (int round = 0; round < 6; ++round) {
        check_upsampled_labels<float, std::uint8_t>(random);
        check_upsampled_labels<float, std::int32_t>(random);
        check_upsampled_labels<ev::Half, std::uint8_t>(random);
        check_upsampled_labels<ev::Half, std::int32_t>(random);
        check_resized_labels<std::uint8_t>(random, ev::cuda::LabelType::u8);
        check_resized_labels<std::int32_t>(random, ev::cuda::LabelType::i32);
        check_resized_labels<std::int64_t>(random, ev::cuda::LabelType::i64);
        for (const bool via : {false, true}) {
            check_masks<float>(random, via);
            check_masks<ev::Half>(random, via);
            check_instances<float>(random, via, false, 20000);
            check_instances<ev::Half>(random, via, false, 20000);
        }
        check_instances<float>(random, false, true, 20000);
        check_instances<float>(random, false, true, 500);  // not all of them fit
    }
}
