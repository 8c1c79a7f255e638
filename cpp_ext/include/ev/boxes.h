// The boxes family: raw detector outputs to candidates, candidates to kept boxes, model pixels to image
// pixels.
//
// Every kernel reads raw views, allocates nothing and throws nothing. Scores and boxes that are NaN or
// infinite never come out: a NaN is not above any confidence, and candidates whose score or box is not finite
// are dropped.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>

#include "ev/arith.h"

namespace ev {

// ---- One box
// ----------------------------------------------------------------------------------------------------------

struct Box {
    float x1, y1, x2, y2;
};

EV_INLINE Box box_from_center(float cx, float cy, float width, float height) {
    const float half_width = width * 0.5F;
    const float half_height = height * 0.5F;
    return {cx - half_width, cy - half_height, cx + half_width, cy + half_height};
}

EV_INLINE float box_area(const Box& box) {
    return (box.x2 - box.x1) * (box.y2 - box.y1);
}

EV_INLINE float box_intersection(const Box& a, const Box& b) {
    const float x1 = a.x1 > b.x1 ? a.x1 : b.x1;
    const float y1 = a.y1 > b.y1 ? a.y1 : b.y1;
    const float x2 = a.x2 < b.x2 ? a.x2 : b.x2;
    const float y2 = a.y2 < b.y2 ? a.y2 : b.y2;
    const float width = x2 - x1 > 0.0F ? x2 - x1 : 0.0F;
    const float height = y2 - y1 > 0.0F ? y2 - y1 : 0.0F;
    return width * height;
}

/// Intersection over union in the order of operations of torchvision.ops.nms; NaN where two empty boxes meet.
EV_INLINE float box_iou(float intersection, float area_a, float area_b) {
    return intersection / (area_a + area_b - intersection);
}

/// A rotated box as the Gaussian of a uniform density over it: mean, and the covariance [[a, c], [c, b]]
/// (Llerena et al., "Gaussian Bounding Boxes and Probabilistic Intersection-over-Union", 2021). Angle in
/// radians.
struct Gaussian {
    double x, y, a, b, c;
    double determinant;
};

EV_INLINE Gaussian gaussian_of(const float* xywhr) {
    const double width = static_cast<double>(xywhr[2]);
    const double height = static_cast<double>(xywhr[3]);
    const double variance_w = width * width / 12.0;
    const double variance_h = height * height / 12.0;
    const double cosine = std::cos(static_cast<double>(xywhr[4]));
    const double sine = std::sin(static_cast<double>(xywhr[4]));
    Gaussian g{};
    g.x = static_cast<double>(xywhr[0]);
    g.y = static_cast<double>(xywhr[1]);
    g.a = variance_w * (cosine * cosine) + variance_h * (sine * sine);
    g.b = variance_w * (sine * sine) + variance_h * (cosine * cosine);
    g.c = (variance_w - variance_h) * (cosine * sine);
    const double determinant = g.a * g.b - g.c * g.c;
    g.determinant = determinant > 0.0 ? determinant : 0.0;
    return g;
}

constexpr double kProbIouEpsilon = 1e-7;

/// The part of the Bhattacharyya distance that the centres cause: at least 0, no transcendental function.
EV_INLINE double center_distance(const Gaussian& p, const Gaussian& q, double* joint_determinant) {
    const double a = p.a + q.a;
    const double b = p.b + q.b;
    const double c = p.c + q.c;
    const double dx = p.x - q.x;
    const double dy = p.y - q.y;
    const double determinant = a * b - c * c;
    *joint_determinant = determinant;
    const double divisor = determinant + kProbIouEpsilon;
    return 0.25 * ((a * (dy * dy) + b * (dx * dx)) / divisor) - 0.5 * (c * dx * dy / divisor);
}

/// 1 - the Hellinger distance of the two Gaussians, with the epsilons of the implementation that oriented
/// YOLO models are trained and evaluated with.
EV_INLINE double probabilistic_iou(const Gaussian& p, const Gaussian& q) {
    double joint = 0.0;
    const double centers = center_distance(p, q, &joint);
    const double shapes = 4.0 * std::sqrt(p.determinant * q.determinant) + kProbIouEpsilon;
    double distance = centers + 0.5 * std::log(joint / shapes + kProbIouEpsilon);
    distance = distance < kProbIouEpsilon ? kProbIouEpsilon : distance;
    distance = distance > 100.0 ? 100.0 : distance;
    return 1.0 - std::sqrt(1.0 - std::exp(-distance) + kProbIouEpsilon);
}

/// Model pixels to image pixels: subtract the pad and divide by the gain that were really applied, then clip.
struct ImageMap {
    float left, top;
    float gain_x, gain_y;
    float width, height;
};

EV_INLINE float to_image(float value, float shift, float gain, float size) {
    const float moved = (value - shift) / gain;
    const float low = moved > 0.0F ? moved : 0.0F;
    return low < size ? low : size;
}

EV_INLINE Box to_image(const Box& box, const ImageMap& map) {
    return {
        to_image(box.x1, map.left, map.gain_x, map.width), to_image(box.y1, map.top, map.gain_y, map.height),
        to_image(box.x2, map.left, map.gain_x, map.width), to_image(box.y2, map.top, map.gain_y, map.height)};
}

// ---- Decoders: scan for hits, then gather their boxes
// ---------------------------------------------------------------

/// One image's raw output, `anchors` x `channels`. Strides are in elements, of either sign.
template <class T>
struct OutputView {
    const T* data;
    std::int64_t anchors;
    std::int64_t channels;
    std::ptrdiff_t anchor_stride;
    std::ptrdiff_t channel_stride;

    EV_HD T at(std::int64_t anchor, std::int64_t channel) const {
        return data[anchor * anchor_stride + channel * channel_stride];
    }
};

/// An anchor (row, query) and a class whose score is above the confidence.
struct Hit {
    std::int32_t anchor;
    std::int32_t class_id;
    float score;
};

/// The classes to keep: allowed[id] != 0. `allowed` null keeps all.
struct ClassFilter {
    const std::uint8_t* allowed;
    std::int64_t size;

    EV_HD bool keeps(std::int64_t id) const { return allowed == nullptr || (id < size && allowed[id] != 0); }
};

/// How scores lie in a dense output: `num_classes` channels from `first_class`, perhaps times an objectness.
struct DenseRule {
    std::int32_t first_class;
    std::int32_t num_classes;
    std::int32_t objectness;  // its channel; -1: none. It must be above the confidence on its own.
    bool product_decides;     // with objectness: the best class is that of the best product, else of the best
                              // class score
    bool multi_label;         // every class above the confidence, else the best one (the first of equals)
    float confidence;         // 0 to 1; scores must be greater
    ClassFilter filter;
};

inline namespace EV_ISA {

/// Hits of anchors [begin, end) in anchor order, classes ascending; `hits` holds (end - begin) of them, times
/// num_classes with multi_label. Returns how many there are.
template <class T>
std::size_t scan_dense(const OutputView<T>& output, const DenseRule& rule, std::int64_t begin,
                       std::int64_t end, Hit* hits);

/// Hits of an end-to-end output, whose channel 4 is a score and channel 5 a class id. `hits` holds `anchors`.
template <class T>
std::size_t scan_rows(const OutputView<T>& output, float confidence, const ClassFilter& filter, Hit* hits);

/// Hits of class logits whose last class is "no object": softmax, the best other class, in query order. A
/// query with a NaN or +infinity among its logits has no score. `hits` holds `anchors`.
template <class T>
std::size_t scan_softmax(const OutputView<T>& logits, float confidence, const ClassFilter& filter, Hit* hits);

/// Hits of independent class logits: the sigmoids of the `top_k` best of all queries and classes, best first,
/// lower query and then lower class first among equals. `keys` and `hits` hold anchors * channels.
template <class T>
std::size_t scan_sigmoid(const OutputView<T>& logits, float confidence, const ClassFilter& filter,
                         std::int64_t top_k, std::uint64_t* keys, Hit* hits);

}  // namespace EV_ISA

enum class BoxCoding : std::uint8_t {
    center,   // cx, cy, w, h to corners, times (scale_x, scale_y)
    corners,  // x1, y1, x2, y2 as they are
    rotated,  // cx, cy, w, h as they are, and the channel `angle`
    grid,     // offsets into a cell and logarithms of sizes in cells, as YOLOX's head leaves them
};

constexpr int kMaxGridLevels = 8;

/// The cells of a head's levels, level after level, each row by row.
struct AnchorGrid {
    std::int32_t levels;
    std::int32_t stride[kMaxGridLevels];  // model pixels
    std::int32_t width[kMaxGridLevels];   // cells
    std::int64_t first[kMaxGridLevels];   // index of a level's first anchor
};

struct BoxRule {
    BoxCoding coding;
    float scale_x, scale_y;
    std::int32_t angle;
    std::int32_t first_extra;
    std::int32_t num_extra;
    AnchorGrid grid;
};

/// Where candidates go: boxes (n, 4), or (n, 5) for BoxCoding::rotated; extra (n, num_extra) or null.
struct CandidateArrays {
    float* boxes;
    float* scores;
    std::int64_t* class_ids;
    float* extra;
};

inline namespace EV_ISA {

/// Writes the candidates of `hits` and moves the hits that have one to the front, in order; a hit whose box
/// is not finite has none. Returns how many there are.
template <class T>
std::size_t gather_candidates(const OutputView<T>& output, const BoxRule& rule, Hit* hits, std::size_t count,
                              const CandidateArrays& out);

/// Copies channels [first_extra, first_extra + num_extra) of one anchor.
template <class T>
void gather_extra(const OutputView<T>& output, const BoxRule& rule, std::int64_t anchor, float* extra) {
    for (std::int32_t i = 0; i < rule.num_extra; ++i) {
        extra[i] = to_float(output.at(anchor, rule.first_extra + i));
    }
}

}  // namespace EV_ISA

// ---- Non-maximum suppression
// ------------------------------------------------------------------------------------------

/// `count` boxes on their way through suppression. Boxes are (count, 4) x1, y1, x2, y2 or (count, 5) cx, cy,
/// w, h, angle.
struct NmsJob {
    const float* boxes;
    const float* scores;
    const std::int64_t* class_ids;  // each 0 to 2^31 - 1; null: class-agnostic
    std::size_t count;              // below 2^31
    double iou;                     // 0 to 1; an overlap must be greater to suppress
    std::size_t max_detections;
    std::size_t max_candidates;  // only so many best-scoring boxes take part
    float class_offset;  // 0: classes are kept apart exactly; else by this offset, with its float32 rounding
    bool greedy;         // rotated only: false lets a suppressed box suppress others too
};

/// nms returned this: a class id was outside 0 to 2^31 - 1.
constexpr std::ptrdiff_t kBadClassId = -1;

inline namespace EV_ISA {

/// Bytes of scratch, aligned to 64, that either kernel needs for `count` boxes.
std::size_t nms_scratch_size(std::size_t count, std::size_t max_detections);

/// Greedy suppression of axis-aligned boxes. Writes the kept indices to `kept` (min(count, max_detections) of
/// them), best first, the lower index first among equal scores, and returns their number. Without class ids,
/// or with an offset, bit for bit torchvision.ops.nms on the CPU, but for boxes and scores that are not
/// finite, which are never kept.
std::ptrdiff_t nms(const NmsJob& job, std::byte* scratch, std::int64_t* kept);

/// The same for rotated boxes and probabilistic_iou.
std::ptrdiff_t nms_rotated(const NmsJob& job, std::byte* scratch, std::int64_t* kept);

}  // namespace EV_ISA

}  // namespace ev
