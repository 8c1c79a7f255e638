// What both the CPU's and the GPU's kernels do to one candidate, or to two.
#pragma once

#include <cmath>

#include "ev/boxes.h"

namespace ev {

// ---- Decoding
// ---------------------------------------------------------------------------------------------------------

template <class T>
EV_INLINE Box grid_box(const OutputView<T>& output, const AnchorGrid& grid, std::int64_t anchor) {
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
EV_INLINE Box plain_box(const OutputView<T>& output, const BoxRule& rule, std::int64_t anchor) {
    const Box raw{to_float(output.at(anchor, 0)), to_float(output.at(anchor, 1)),
                  to_float(output.at(anchor, 2)), to_float(output.at(anchor, 3))};
    if (rule.coding != BoxCoding::center) return raw;
    const Box box = box_from_center(raw.x1, raw.y1, raw.x2, raw.y2);
    return {box.x1 * rule.scale_x, box.y1 * rule.scale_y, box.x2 * rule.scale_x, box.y2 * rule.scale_y};
}

/// One anchor's box, or the first four of a rotated one's five numbers.
template <class T>
EV_INLINE Box decode_box(const OutputView<T>& output, const BoxRule& rule, std::int64_t anchor) {
    return rule.coding == BoxCoding::grid ? grid_box(output, rule.grid, anchor)
                                          : plain_box(output, rule, anchor);
}

EV_INLINE bool is_finite_box(const Box& box) {
    return is_finite(box.x1) && is_finite(box.y1) && is_finite(box.x2) && is_finite(box.y2);
}

// ---- Suppression
// ------------------------------------------------------------------------------------------------------

/// The largest float not above a double: for a float `x`, `x > limit` as doubles is `x > float_below(limit)`.
EV_INLINE float float_below(double limit) {
    const float rounded = static_cast<float>(limit);
    return static_cast<double>(rounded) > limit ? ::nextafterf(rounded, -1.0F) : rounded;
}

/// How far NmsJob::class_offset moves the boxes of a class.
EV_INLINE float class_shift(std::int64_t class_id, float class_offset) {
    return static_cast<float>(class_id) * class_offset;
}

EV_INLINE Box shift_box(const Box& box, float shift) {
    return {box.x1 + shift, box.y1 + shift, box.x2 + shift, box.y2 + shift};
}

/// gaussians_overlap's bound for a limit.
///
/// iou > limit needs exp(-distance) > 1 + epsilon - (1 - limit)^2; at limit 1 nothing passes.
EV_INLINE double farthest_center(double limit) {
    const double least = 1.0 + kProbIouEpsilon - (1.0 - limit) * (1.0 - limit);
    return least < 1.0 ? -std::log(least) : 0.0;
}

/// probabilistic_iou(p, q) > limit, decided for most pairs without a logarithm or an exponential.
EV_INLINE bool gaussians_overlap(const Gaussian& p, const Gaussian& q, double limit, double farthest) {
    // The shapes' part of the distance is 1/2 ln of a ratio that is at least 1 but for its epsilons, and
    // those count for less than 1e-6 once the boxes are not minute.
    constexpr double slack = 1e-5;
    double joint = 0.0;
    if (p.determinant * q.determinant > 1.0 && center_distance(p, q, &joint) > farthest + slack) return false;
    return probabilistic_iou(p, q) > limit;
}

}  // namespace ev
