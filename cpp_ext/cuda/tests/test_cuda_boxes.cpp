// Detections of the emulated GPU, bit for bit those of the CPU's kernels in a row.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <numeric>
#include <random>
#include <vector>

#include "boxes.h"
#include "check.h"
#include "ev/kernels.h"

namespace {

using ev::cuda::BoxFinderRule;
using ev::cuda::BoxScan;
using ev::cuda::BoxTensors;
using ev::cuda::TensorBatch;

class Random {
  public:
    explicit Random(unsigned seed) : engine_(seed) {}
    int between(int low, int high) { return std::uniform_int_distribution<int>(low, high)(engine_); }
    bool flip() { return between(0, 1) == 0; }

  private:
    std::mt19937 engine_;
};

template <class T>
T as_element(float value);

template <>
float as_element(float value) {
    return value;
}

/// Rounds toward zero, and what is below the normal numbers to zero.
template <>
ev::Half as_element(float value) {
    const std::uint32_t bits = ev::bits_of(value);
    const auto sign = static_cast<std::uint16_t>((bits >> 16) & 0x8000U);
    if (!ev::is_finite(value))
        return {static_cast<std::uint16_t>(sign | (value != value ? 0x7e00U : 0x7c00U))};
    const int exponent = static_cast<int>((bits >> 23) & 0xffU) - 112;
    if (exponent <= 0) return {sign};
    return {static_cast<std::uint16_t>(sign | (static_cast<std::uint32_t>(exponent) << 10) |
                                       ((bits >> 13) & 0x3ffU))};
}

struct Found {
    std::vector<float> boxes, scores, extra;
    std::vector<std::int32_t> class_ids;
    std::int32_t hits = 0;
};

/// A detector's output of a batch, and what is asked of it. Scores are coarse, so that many are equal; some
/// are NaN or infinite, and some boxes too.
template <class T>
struct Case {
    BoxFinderRule rule{};
    BoxTensors tensors{};
    int batch;
    std::vector<T> scores, boxes;
    std::vector<std::uint8_t> allowed;
    std::vector<ev::ImageMap> maps;
    int columns;

    Case(Random& random, BoxScan scan, int kind) : batch(random.between(1, 2)) {
        const int classes = random.between(1, 9);
        const int rows = kind == 3 ? 84 : random.between(1, 300);
        const int extras = random.between(0, 3);
        const bool separate = scan == BoxScan::softmax || scan == BoxScan::sigmoid;
        rule.scan = scan;
        rule.half = sizeof(T) == 2;
        rule.boxes.scale_x = separate ? 640.0F : 1.0F;
        rule.boxes.scale_y = separate ? 480.0F : 1.0F;
        set_coding(scan, kind);
        const bool rotated = rule.boxes.coding == ev::BoxCoding::rotated;
        const int known = set_scores(random, scan, kind, classes);
        const int channels = separate ? classes + 1 : known + (rotated ? 1 : 0) + extras;
        rule.boxes.angle = known;
        rule.boxes.first_extra = separate ? 4 : known + (rotated ? 1 : 0);
        rule.boxes.num_extra = separate ? 0 : extras;
        columns = rotated ? 5 : 4;
        tensors.scores = make_tensor(random, rows, channels, !separate, &scores);
        tensors.boxes = separate ? make_tensor(random, rows, 4, true, &boxes) : tensors.scores;
        rule.top_k = random.between(1, rows * channels);
        set_limits(random, separate || scan == BoxScan::rows);
        for (int i = 0; i < batch; ++i) maps.push_back({3.0F, 5.0F, 0.75F, 0.5F, 90.0F, 80.0F});
    }

    void set_coding(BoxScan scan, int kind) {
        ev::BoxRule& boxes_rule = rule.boxes;
        boxes_rule.coding = scan == BoxScan::rows ? ev::BoxCoding::corners : ev::BoxCoding::center;
        if (kind == 2 && scan != BoxScan::softmax && scan != BoxScan::sigmoid) {
            boxes_rule.coding = ev::BoxCoding::rotated;
        }
        if (kind != 3 || scan != BoxScan::dense) return;
        boxes_rule.coding = ev::BoxCoding::grid;
        boxes_rule.grid = {3, {8, 16, 32}, {8, 4, 2}, {0, 64, 80}};  // of an input of 64 x 64: 84 cells
    }

    /// Channels before the angle and the extras.
    int set_scores(Random& random, BoxScan scan, int kind, int classes) {
        ev::DenseRule& dense = rule.dense;
        dense.confidence = random.flip() ? 0.25F : 0.0F;
        dense.num_classes = classes;
        dense.objectness = kind == 1 || kind == 3 ? 4 : -1;
        dense.first_class = dense.objectness == 4 ? 5 : 4;
        dense.product_decides = random.flip();
        dense.multi_label = random.flip();
        if (random.flip()) {
            for (int i = 0; i < classes; ++i) allowed.push_back(random.between(0, 3) == 0 ? 0 : 1);
            dense.filter = {allowed.data(), classes};
        }
        return scan == BoxScan::rows ? 6 : dense.first_class + classes;
    }

    void set_limits(Random& random, bool distinct) {
        rule.suppress = !distinct;
        rule.nms.class_agnostic = random.flip();
        rule.nms.class_offset = random.between(0, 2) == 0 ? 7680.0F : 0.0F;
        rule.nms.greedy = random.flip();
        rule.nms.iou = random.between(0, 10) / 10.0;
        rule.nms.max_candidates = random.flip() ? 320 : random.between(1, 100);
        rule.nms.max_detections = random.flip() ? 300 : random.between(1, 20);
    }

    TensorBatch make_tensor(Random& random, int rows, int channels, bool with_boxes, std::vector<T>* memory) {
        const auto size = static_cast<std::size_t>(rows * channels);
        memory->resize(size * static_cast<std::size_t>(batch));
        const bool rows_first = random.flip();
        TensorBatch tensor{memory->data(),
                           rows,
                           channels,
                           rows_first ? channels : 1,
                           rows_first ? 1 : rows,
                           static_cast<std::ptrdiff_t>(size)};
        for (int image = 0; image < batch; ++image) {
            for (int row = 0; row < rows; ++row) {
                for (int c = 0; c < channels; ++c) {
                    float value = static_cast<float>(random.between(0, 16)) / 16.0F;
                    if (with_boxes && c < 4) value = static_cast<float>(random.between(0, 400)) / 4.0F;
                    if (with_boxes && c < 4 && rule.boxes.coding == ev::BoxCoding::grid) value /= 32.0F;
                    if (!with_boxes) value = static_cast<float>(random.between(-40, 40)) / 8.0F;
                    if (rule.scan == BoxScan::rows && c == 5)
                        value = static_cast<float>(random.between(-1, 9));
                    const int odd = random.between(0, 400);
                    if (odd == 0) value = std::nanf("");
                    if (odd == 1) value = random.flip() ? INFINITY : -INFINITY;
                    const auto at = static_cast<std::size_t>(
                        image * tensor.image_stride + row * tensor.row_stride + c * tensor.channel_stride);
                    (*memory)[at] = as_element<T>(value);
                }
            }
        }
        return tensor;
    }

    ev::OutputView<T> view(const TensorBatch& tensor, int image) const {
        return {static_cast<const T*>(tensor.data) + image * tensor.image_stride, tensor.rows,
                tensor.channels, tensor.row_stride, tensor.channel_stride};
    }

    std::vector<ev::Hit> scan_on_the_cpu(int image) const {
        const ev::Kernels& kernels = ev::kernels();
        const ev::OutputView<T> output = view(tensors.scores, image);
        std::vector<ev::Hit> hits(static_cast<std::size_t>(output.anchors * (output.channels + 1)));
        std::vector<std::uint64_t> keys(hits.size());
        std::size_t count = 0;
        if (rule.scan == BoxScan::dense) {
            count = kernels.scan_dense(output, rule.dense, 0, output.anchors, hits.data());
        } else if (rule.scan == BoxScan::rows) {
            count = kernels.scan_rows(output, rule.dense.confidence, rule.dense.filter, hits.data());
        } else if (rule.scan == BoxScan::softmax) {
            count = kernels.scan_softmax(output, rule.dense.confidence, rule.dense.filter, hits.data());
        } else {
            count = kernels.scan_sigmoid(output, rule.dense.confidence, rule.dense.filter,
                                         std::int64_t{rule.top_k}, keys.data(), hits.data());
        }
        hits.resize(count);
        return hits;
    }

    Found on_the_cpu(int image) const {
        std::vector<ev::Hit> hits = scan_on_the_cpu(image);
        const auto extras = static_cast<std::size_t>(rule.boxes.num_extra);
        const auto width = static_cast<std::size_t>(columns);
        std::vector<float> found_boxes(hits.size() * width);
        std::vector<float> found_scores(hits.size());
        std::vector<float> found_extra(hits.size() * extras);
        std::vector<std::int64_t> ids(hits.size());
        const std::size_t count = ev::kernels().gather_candidates(
            view(tensors.boxes, image), rule.boxes, hits.data(), hits.size(),
            ev::CandidateArrays{found_boxes.data(), found_scores.data(), ids.data(), found_extra.data()});
        Found found;
        found.hits = static_cast<std::int32_t>(count);
        for (const std::int64_t i : choose(found_boxes, found_scores, ids, count)) {
            const auto at = static_cast<std::size_t>(i);
            const float* box = found_boxes.data() + at * width;
            const ev::ImageMap& map = maps[static_cast<std::size_t>(image)];
            if (columns == 5) {
                found.boxes.insert(found.boxes.end(), box, box + 5);
            } else {
                const ev::Box moved = ev::to_image(ev::Box{box[0], box[1], box[2], box[3]}, map);
                for (const float side : {moved.x1, moved.y1, moved.x2, moved.y2}) found.boxes.push_back(side);
            }
            found.scores.push_back(found_scores[at]);
            found.class_ids.push_back(static_cast<std::int32_t>(ids[at]));
            const float* extra = found_extra.data() + at * extras;
            found.extra.insert(found.extra.end(), extra, extra + extras);
        }
        return found;
    }

    std::vector<std::int64_t> choose(const std::vector<float>& found_boxes,
                                     const std::vector<float>& found_scores,
                                     const std::vector<std::int64_t>& ids, std::size_t count) const {
        const auto most = static_cast<std::size_t>(rule.nms.max_detections);
        std::vector<std::int64_t> order(count);
        if (!rule.suppress) {
            std::iota(order.begin(), order.end(), 0);
            std::stable_sort(order.begin(), order.end(), [&](std::int64_t a, std::int64_t b) {
                return found_scores[static_cast<std::size_t>(a)] > found_scores[static_cast<std::size_t>(b)];
            });
            order.resize(std::min(count, most));
            return order;
        }
        const ev::NmsJob job{found_boxes.data(),
                             found_scores.data(),
                             rule.nms.class_agnostic ? nullptr : ids.data(),
                             count,
                             rule.nms.iou,
                             most,
                             static_cast<std::size_t>(rule.nms.max_candidates),
                             rule.nms.class_offset,
                             rule.nms.greedy};
        std::vector<std::byte> scratch(ev::kernels().nms_scratch_size(count, most) + 64);
        auto* aligned =
            reinterpret_cast<std::byte*>((reinterpret_cast<std::uintptr_t>(scratch.data()) + 63) / 64 * 64);
        const std::ptrdiff_t kept = columns == 5 ? ev::kernels().nms_rotated(job, aligned, order.data())
                                                 : ev::kernels().nms(job, aligned, order.data());
        order.resize(static_cast<std::size_t>(kept));
        return order;
    }
};

bool same_bits(const std::vector<float>& expected, const float* got) {
    return expected.empty() || std::memcmp(expected.data(), got, expected.size() * sizeof(float)) == 0;
}

template <class T>
void check_case(Random& random, BoxScan scan, int kind) {
    const Case<T> made(random, scan, kind);
    const auto rows = static_cast<std::size_t>(made.batch * made.rule.nms.max_detections);
    const auto extras = static_cast<std::size_t>(made.rule.boxes.num_extra);
    const auto width = static_cast<std::size_t>(made.columns);
    std::vector<std::int32_t> counts(static_cast<std::size_t>(made.batch), -1);
    std::vector<float> boxes(rows * width);
    std::vector<float> scores(rows);
    std::vector<std::int32_t> class_ids(rows);
    std::vector<float> extra(rows * extras);
    std::vector<std::int32_t> hits(counts);
    void* workspace = ev::cuda::allocate(ev::cuda::box_workspace_size(made.rule, made.tensors, made.batch));
    ev::cuda::launch_find_boxes(
        made.rule, made.tensors, made.batch, made.maps.data(), workspace,
        {counts.data(), boxes.data(), scores.data(), class_ids.data(), extra.data(), hits.data()}, nullptr);
    for (int image = 0; image < made.batch; ++image) {
        const Found expected = made.on_the_cpu(image);
        const auto first = static_cast<std::size_t>(image * made.rule.nms.max_detections);
        const auto count = expected.scores.size();
        CHECK(counts[static_cast<std::size_t>(image)] == static_cast<std::int32_t>(count));
        CHECK(hits[static_cast<std::size_t>(image)] == expected.hits);
        CHECK(same_bits(expected.boxes, boxes.data() + first * width));
        CHECK(same_bits(expected.scores, scores.data() + first));
        CHECK(same_bits(expected.extra, extra.data() + first * extras));
        CHECK(std::equal(expected.class_ids.begin(), expected.class_ids.end(), class_ids.data() + first));
    }
    ev::cuda::release(workspace);
}

}  // namespace

void run() {
    Random random(7);
    for (const BoxScan scan : {BoxScan::dense, BoxScan::rows, BoxScan::softmax, BoxScan::sigmoid}) {
        for (int kind = 0; kind < 4; ++kind) {  // plain, objectness, rotated, grid
            for (int round = 0; round < 2; ++round) {
                check_case<float>(random, scan, kind);
                check_case<ev::Half>(random, scan, kind);
            }
        }
    }
}
