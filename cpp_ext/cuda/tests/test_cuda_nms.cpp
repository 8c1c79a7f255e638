// Suppression of given boxes, as the CPU's kernels do it.
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "boxes.h"
#include "check.h"
#include "ev/kernels.h"

namespace {

struct Image {
    std::vector<float> boxes, scores;
    std::vector<std::int64_t> class_ids;
};

/// Crowded boxes, equal scores and numbers that are not finite among them.
Image make_image(std::size_t count, std::size_t columns, unsigned seed) {
    std::mt19937 engine(seed);
    std::uniform_real_distribution<float> corner(0.0F, 60.0F);
    std::uniform_real_distribution<float> size(4.0F, 30.0F);
    std::uniform_int_distribution<int> step(0, 20);
    Image image;
    for (std::size_t i = 0; i < count; ++i) {
        const float x = corner(engine);
        const float y = corner(engine);
        const float width = size(engine);
        const float height = size(engine);
        if (columns == 4) {
            image.boxes.insert(image.boxes.end(), {x, y, x + width, y + height});
        } else {
            image.boxes.insert(image.boxes.end(), {x, y, width, height, corner(engine) / 20.0F});
        }
        image.scores.push_back(static_cast<float>(step(engine)) / 20.0F);
        image.class_ids.push_back(step(engine) % 3);
    }
    if (count > 4) {
        image.boxes[2 * columns] = std::nanf("");
        image.scores[4] = INFINITY;
    }
    return image;
}

std::vector<std::int64_t> expect(const Image& image, const ev::cuda::SuppressRule& rule, bool rotated) {
    const ev::NmsJob job{image.boxes.data(),
                         image.scores.data(),
                         rule.class_agnostic ? nullptr : image.class_ids.data(),
                         image.scores.size(),
                         rule.iou,
                         static_cast<std::size_t>(rule.max_detections),
                         static_cast<std::size_t>(rule.max_candidates),
                         rule.class_offset,
                         rule.greedy};
    std::vector<std::byte> scratch(ev::kernels().nms_scratch_size(job.count, job.max_detections) + 64);
    auto address = reinterpret_cast<std::uintptr_t>(scratch.data());
    auto* aligned = scratch.data() + (64 - address % 64) % 64;
    std::vector<std::int64_t> kept(image.scores.size());
    const auto& kernel = rotated ? ev::kernels().nms_rotated : ev::kernels().nms;
    kept.resize(static_cast<std::size_t>(kernel(job, aligned, kept.data())));
    return kept;
}

void check(const std::vector<std::size_t>& counts, bool rotated, const ev::cuda::SuppressRule& rule) {
    constexpr std::size_t capacity = 300;
    const std::size_t columns = rotated ? 5 : 4;
    const std::size_t batch = counts.size();
    std::vector<float> boxes(batch * capacity * columns, 1.0F);
    std::vector<float> scores(batch * capacity, 2.0F);
    std::vector<std::int32_t> class_ids(batch * capacity);
    std::vector<std::int32_t> sizes;
    std::vector<Image> images;
    for (std::size_t i = 0; i < batch; ++i) {
        images.push_back(make_image(counts[i], columns, static_cast<unsigned>(7 * i + counts[i])));
        sizes.push_back(static_cast<std::int32_t>(counts[i]));
        for (std::size_t j = 0; j < counts[i]; ++j) {
            for (std::size_t c = 0; c < columns; ++c) {
                boxes[(i * capacity + j) * columns + c] = images[i].boxes[j * columns + c];
            }
            scores[i * capacity + j] = images[i].scores[j];
            class_ids[i * capacity + j] = static_cast<std::int32_t>(images[i].class_ids[j]);
        }
    }
    const auto most = static_cast<std::size_t>(rule.max_detections);
    std::vector<std::int32_t> kept(batch * most, -7);
    std::vector<std::int32_t> found(batch, -7);
    const auto images_i = static_cast<int>(batch);
    void* workspace = ev::cuda::allocate(ev::cuda::nms_workspace_size(rule, rotated, capacity, images_i));
    ev::cuda::launch_nms(rule,
                         {capacity, rotated, boxes.data(), scores.data(), class_ids.data(), sizes.data()},
                         images_i, workspace, kept.data(), found.data(), nullptr);
    ev::cuda::release(workspace);
    for (std::size_t i = 0; i < batch; ++i) {
        const std::vector<std::int64_t> expected = expect(images[i], rule, rotated);
        CHECK(expected.size() == static_cast<std::size_t>(found[i]));
        for (std::size_t j = 0; j < most; ++j) {
            CHECK(kept[i * most + j] == (j < expected.size() ? expected[j] : -1));
        }
    }
}

}  // namespace

void run() {
    check({300, 0, 65}, false, {false, true, 0.5, 0.0F, 300, 300});
    check({300, 17}, false, {true, true, 0.3, 0.0F, 128, 40});
    check({200, 300}, false, {false, true, 0.45, 7680.0F, 300, 100});
    check({300, 64}, true, {false, true, 0.3, 0.0F, 300, 300});
    check({300, 129}, true, {false, false, 0.2, 100.0F, 200, 50});
}
