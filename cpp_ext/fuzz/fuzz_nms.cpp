// Suppression of boxes along the axes and of rotated ones.
#include <algorithm>

#include "target.h"

namespace {

using namespace ev::fuzz;

/// Boxes on a coarse grid, so that many overlap and many overlaps are equal; now and then any number at all.
void fill_boxes(Bytes& bytes, float* boxes, std::size_t count, std::size_t columns) {
    const int wild = bytes.between(0, 3) == 0 ? 15 : 0;
    Values values(bytes);
    for (std::size_t i = 0; i < count; ++i, boxes += columns) {
        for (std::size_t j = 0; j < 2; ++j) {
            const auto low = static_cast<float>(bytes.between(0, 30));
            const auto extent = static_cast<float>(bytes.between(wild > 0 ? -2 : 0, 20));
            boxes[j] = low;
            boxes[j + 2] = columns == 4 ? low + extent : extent;
        }
        if (columns == 5) boxes[4] = static_cast<float>(bytes.between(-16, 16)) * 0.125F;
        for (std::size_t j = 0; wild > 0 && j < columns; ++j) {
            if (bytes.between(0, wild) == 0) boxes[j] = values.next();
        }
    }
}

std::int64_t choose_class(Bytes& bytes, bool hostile) {
    constexpr std::int64_t extreme[] = {-1, INT64_MIN, INT64_MAX, std::int64_t{1} << 31, INT32_MAX};
    return hostile && bytes.between(0, 31) == 0 ? extreme[bytes.between(0, 4)] : bytes.between(0, 3);
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    const bool rotated = bytes.between(0, 2) == 0;
    const std::size_t columns = rotated ? 5 : 4;
    const bool many = !rotated && is_rare(bytes, 512);  // more than are looked at to begin with
    const auto count = static_cast<std::size_t>(many ? bytes.between(1000, 3000) : bytes.size(0, 24, 160));
    auto* boxes = memory.take<float>(count * columns, choose_shift<float>(bytes));
    fill_boxes(bytes, boxes, count, columns);
    const auto* scores = take_values<float>(bytes, count);
    ev::NmsJob job{};
    if (bytes.flag()) {
        const bool hostile = bytes.between(0, 7) == 0;
        auto* ids = memory.take<std::int64_t>(count);
        for (std::size_t i = 0; i < count; ++i) ids[i] = choose_class(bytes, hostile);
        job.class_ids = ids;
    }
    job.boxes = boxes;
    job.scores = scores;
    job.count = count;
    constexpr double overlaps[] = {0.0, 0.45, 0.5, 0.7, 1.0};
    job.iou = bytes.flag() ? overlaps[bytes.between(0, 4)] : static_cast<double>(bytes.fraction());
    job.max_detections = static_cast<std::size_t>(bytes.between(0, 3) == 0 ? bytes.between(0, 8) : 300);
    job.max_candidates = static_cast<std::size_t>(bytes.between(0, 3) == 0 ? bytes.between(0, 40) : 30000);
    job.class_offset = bytes.between(0, 3) == 0 ? 7680.0F : 0.0F;
    job.greedy = bytes.flag();
    const std::size_t room = std::min(count, job.max_detections);
    agree([&](Results& results) {
        if (rotated) results.leave_out_of_digest();
        auto* kept = memory.take<std::int64_t>(room);
        std::byte* scratch = memory.scratch(ev::kernels().nms_scratch_size(count, job.max_detections));
        const std::ptrdiff_t found =
            rotated ? ev::kernels().nms_rotated(job, scratch, kept) : ev::kernels().nms(job, scratch, kept);
        if (found > static_cast<std::ptrdiff_t>(room)) fail("more boxes kept than there is room for");
        results.add(found);
        results.add(kept, static_cast<std::size_t>(std::max<std::ptrdiff_t>(found, 0)));
    });
}
