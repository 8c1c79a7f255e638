// The boxes of hits.
#include "ev/boxes.h"

namespace ev {
inline namespace EV_ISA {
namespace {

template <class T>
Box grid_box(const OutputView<T>& output, const AnchorGrid& grid, std::int64_t anchor) {
    std::int32_t level = grid.levels - 1;
    while (level > 0 && anchor < grid.first[level]) --level;
    const std::int64_t cell = anchor - grid.first[level];
    const float stride = static_cast<float>(grid.stride[level]);
    const std::int64_t row = cell / grid.width[level];
    const std::int64_t column = cell % grid.width[level];
    const float cx = (to_float(output.at(anchor, 0)) + static_cast<float>(column)) * stride;
    const float cy = (to_float(output.at(anchor, 1)) + static_cast<float>(row)) * stride;
    const float width = exp_f32(to_float(output.at(anchor, 2))) * stride;
    const float height = exp_f32(to_float(output.at(anchor, 3))) * stride;
    return box_from_center(cx, cy, width, height);
}

template <class T>
Box plain_box(const OutputView<T>& output, const BoxRule& rule, std::int64_t anchor) {
    const Box raw{to_float(output.at(anchor, 0)), to_float(output.at(anchor, 1)),
                  to_float(output.at(anchor, 2)), to_float(output.at(anchor, 3))};
    if (rule.coding != BoxCoding::center) return raw;
    const Box box = box_from_center(raw.x1, raw.y1, raw.x2, raw.y2);
    return {box.x1 * rule.scale_x, box.y1 * rule.scale_y, box.x2 * rule.scale_x, box.y2 * rule.scale_y};
}

}  // namespace

template <class T>
std::size_t gather_candidates(const OutputView<T>& output, const BoxRule& rule, Hit* hits, std::size_t count,
                              const CandidateArrays& out) {
    const std::size_t columns = rule.coding == BoxCoding::rotated ? 5 : 4;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t anchor = hits[i].anchor;
        const Box box = rule.coding == BoxCoding::grid ? grid_box(output, rule.grid, anchor)
                                                       : plain_box(output, rule, anchor);
        const float angle = columns == 5 ? to_float(output.at(anchor, rule.angle)) : 0.0F;
        if (!(is_finite(box.x1) && is_finite(box.y1) && is_finite(box.x2) && is_finite(box.y2) &&
              is_finite(angle))) {
            continue;
        }
        float* written = out.boxes + kept * columns;
        written[0] = box.x1;
        written[1] = box.y1;
        written[2] = box.x2;
        written[3] = box.y2;
        if (columns == 5) written[4] = angle;
        out.scores[kept] = hits[i].score;
        out.class_ids[kept] = hits[i].class_id;
        if (rule.num_extra > 0) {
            gather_extra(output, rule, anchor, out.extra + kept * static_cast<std::size_t>(rule.num_extra));
        }
        hits[kept++] = hits[i];
    }
    return kept;
}

template std::size_t gather_candidates(const OutputView<float>&, const BoxRule&, Hit*, std::size_t,
                                       const CandidateArrays&);
template std::size_t gather_candidates(const OutputView<Half>&, const BoxRule&, Hit*, std::size_t,
                                       const CandidateArrays&);

}  // namespace EV_ISA
}  // namespace ev
