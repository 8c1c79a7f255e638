// The boxes kernels without Python: buffers of exactly the size the contract asks for, so that sanitizers see
// every access outside.
#include <algorithm>
#include <cstdint>
#include <limits>
#include <memory>
#include <numeric>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "random.h"

namespace {

constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
constexpr float kInfinity = std::numeric_limits<float>::infinity();

using ev::test::Random;

/// 0 to 63 sixty-fourths as halves: exponent of the highest bit set, the rest as mantissa.
ev::Half half_of_64ths(int count) {
    if (count == 0) return ev::Half{0};
    int exponent = 0;
    while ((count >> (exponent + 1)) != 0) ++exponent;
    const int mantissa = (count - (1 << exponent)) << (10 - exponent);
    return ev::Half{static_cast<std::uint16_t>(((exponent - 6 + 15) << 10) | mantissa)};
}

template <class T>
ev::OutputView<T> channels_first(const std::vector<T>& data, std::int64_t channels) {
    const auto anchors = static_cast<std::int64_t>(data.size()) / channels;
    return {data.data(), anchors, channels, 1, static_cast<std::ptrdiff_t>(anchors)};
}

template <class T>
ev::OutputView<T> anchors_first(const std::vector<T>& data, std::int64_t channels) {
    const auto anchors = static_cast<std::int64_t>(data.size()) / channels;
    return {data.data(), anchors, channels, static_cast<std::ptrdiff_t>(channels), 1};
}

/// What scan_dense means, one score after the other.
template <class T>
std::vector<ev::Hit> scan_plainly(const ev::OutputView<T>& output, const ev::DenseRule& rule) {
    std::vector<ev::Hit> hits;
    for (std::int64_t anchor = 0; anchor < output.anchors; ++anchor) {
        float best = rule.confidence;
        std::int32_t best_id = -1;
        for (std::int32_t id = 0; id < rule.num_classes; ++id) {
            const float score = ev::to_float(output.at(anchor, rule.first_class + id));
            if (rule.multi_label && score > rule.confidence) {
                hits.push_back({static_cast<std::int32_t>(anchor), id, score});
            } else if (!rule.multi_label && score > best) {
                best = score;
                best_id = id;
            }
        }
        if (best_id >= 0) hits.push_back({static_cast<std::int32_t>(anchor), best_id, best});
    }
    return hits;
}

template <class T>
void check_scan(const ev::OutputView<T>& output, std::int32_t classes, bool multi_label, float confidence) {
    ev::DenseRule rule{};
    rule.first_class = 4;
    rule.num_classes = classes;
    rule.objectness = -1;
    rule.multi_label = multi_label;
    rule.confidence = confidence;
    const auto room = static_cast<std::size_t>(output.anchors * (multi_label ? classes : 1));
    std::vector<ev::Hit> hits(room);
    const std::size_t count = ev::kernels().scan_dense(output, rule, 0, output.anchors, hits.data());
    const std::vector<ev::Hit> expected = scan_plainly(output, rule);
    CHECK(count == expected.size());
    for (std::size_t i = 0; i < std::min(count, expected.size()); ++i) {
        CHECK(hits[i].anchor == expected[i].anchor);
        CHECK(hits[i].class_id == expected[i].class_id);
        CHECK(hits[i].score == expected[i].score);
    }
}

/// Every half but +infinity, which is above any confidence and yet no score.
void test_scan_of_every_half() {
    std::vector<ev::Half> data(std::size_t{5} * 65536);
    for (std::size_t bits = 0; bits < 65536; ++bits) {
        data[std::size_t{4} * 65536 + bits].bits =
            bits == 0x7c00 ? std::uint16_t{0} : static_cast<std::uint16_t>(bits);
    }
    for (const float confidence : {0.0F, 1e-9F, 0.001F, 0.25F, 1.0F}) {
        for (const bool multi_label : {false, true}) {
            check_scan(channels_first(data, 5), 1, multi_label, confidence);
        }
    }
}

void test_scan() {
    Random random;
    for (const std::int64_t anchors : {0, 1, 3, 511, 512, 1025}) {
        for (const std::int32_t classes : {1, 3, 8, 17, 80}) {
            const std::int64_t channels = 4 + classes;
            std::vector<float> data(static_cast<std::size_t>(anchors * channels));
            std::vector<ev::Half> halves(data.size());
            for (std::size_t i = 0; i < data.size(); ++i) {
                const int count = static_cast<int>(random.next() * 64.0F);
                data[i] = static_cast<float>(count) / 64.0F;
                halves[i] = half_of_64ths(count);
                CHECK(ev::to_float(halves[i]) == data[i]);
            }
            for (const bool multi_label : {false, true}) {
                for (const float confidence : {0.0F, 0.5F, 0.96F}) {
                    check_scan(channels_first(data, channels), classes, multi_label, confidence);
                    check_scan(anchors_first(data, channels), classes, multi_label, confidence);
                    check_scan(channels_first(halves, channels), classes, multi_label, confidence);
                    check_scan(anchors_first(halves, channels), classes, multi_label, confidence);
                }
            }
        }
    }
}

void test_scan_leaves_out_what_is_no_number() {
    const std::vector<float> data{1, 1,         1,    1, kNan, 0.5F, 1, 1,     1,
                                  1, kInfinity, 0.5F, 1, 1,    1,    1, 0.75F, kNan};
    const std::uint8_t allowed[] = {1, 0};
    ev::DenseRule rule{};
    rule.first_class = 4;
    rule.num_classes = 2;
    rule.objectness = -1;
    rule.confidence = 0.25F;
    std::vector<ev::Hit> hits(3);
    CHECK(ev::kernels().scan_dense(anchors_first(data, 6), rule, 0, 3, hits.data()) == 2);
    CHECK(hits[0].anchor == 0 && hits[0].class_id == 1);
    CHECK(hits[1].anchor == 2 && hits[1].class_id == 0);
    rule.filter = {allowed, 2};
    CHECK(ev::kernels().scan_dense(anchors_first(data, 6), rule, 0, 3, hits.data()) == 1);
}

void test_gather() {
    const std::vector<float> data{10,   20, 4, 2, 0.5F, 7, 8, kNan, 20, 4, 2,
                                  0.5F, 7,  8, 1, 2,    3, 4, 0.5F, 5,  6};
    std::vector<ev::Hit> hits{{0, 0, 0.5F}, {1, 0, 0.5F}, {2, 1, 0.25F}};
    std::vector<float> boxes(12);
    std::vector<float> scores(3);
    std::vector<std::int64_t> ids(3);
    std::vector<float> extra(6);
    ev::BoxRule rule{};
    rule.coding = ev::BoxCoding::center;
    rule.scale_x = 1.0F;
    rule.scale_y = 2.0F;
    rule.first_extra = 5;
    rule.num_extra = 2;
    const ev::CandidateArrays arrays{boxes.data(), scores.data(), ids.data(), extra.data()};
    CHECK(ev::kernels().gather_candidates(anchors_first(data, 7), rule, hits.data(), 3, arrays) == 2);
    const float expected[] = {8, 38, 12, 42, -0.5F, 0, 2.5F, 8};
    CHECK(std::equal(std::begin(expected), std::end(expected), boxes.begin()));
    CHECK(hits[1].anchor == 2 && ids[1] == 1 && scores[1] == 0.25F && extra[2] == 5.0F && extra[3] == 6.0F);
}

void test_queries() {
    Random random;
    std::vector<float> logits(std::size_t{9} * 130);
    for (float& value : logits) value = random.next() * 8.0F - 4.0F;
    const auto view = anchors_first(logits, 130);
    const ev::ClassFilter all{nullptr, 0};
    std::vector<ev::Hit> hits(logits.size());
    std::vector<std::uint64_t> keys(logits.size());
    const std::size_t count = ev::kernels().scan_sigmoid(view, 0.5F, all, 40, keys.data(), hits.data());
    CHECK(count == 40);
    for (std::size_t i = 1; i < count; ++i) CHECK(hits[i - 1].score >= hits[i].score);
    CHECK(ev::kernels().scan_sigmoid(view, 0.0F, all, 0, keys.data(), hits.data()) == 0);
    CHECK(ev::kernels().scan_softmax(view, 0.0F, all, hits.data()) == 9);
    CHECK(ev::kernels().scan_softmax(view, 1.0F, all, hits.data()) == 0);
}

struct Scratch {
    explicit Scratch(std::size_t size) : memory(size + 63) {}
    std::byte* aligned() {
        void* start = memory.data();
        std::size_t space = memory.size();
        return static_cast<std::byte*>(std::align(64, memory.size() - 63, start, space));
    }
    std::vector<std::byte> memory;
};

/// What nms means: every pair, division and all.
std::vector<std::int64_t> suppress_plainly(const ev::NmsJob& job) {
    std::vector<std::int64_t> order(job.count);
    std::iota(order.begin(), order.end(), 0);
    std::stable_sort(order.begin(), order.end(),
                     [&](std::int64_t a, std::int64_t b) { return job.scores[a] > job.scores[b]; });
    order.resize(std::min(order.size(), job.max_candidates));
    std::vector<std::int64_t> kept;
    for (const std::int64_t index : order) {
        bool suppressed = false;
        for (const std::int64_t other : kept) {
            if (job.class_ids != nullptr && job.class_ids[index] != job.class_ids[other]) continue;
            const float* a = job.boxes + 4 * index;
            const float* b = job.boxes + 4 * other;
            const ev::Box one{a[0], a[1], a[2], a[3]};
            const ev::Box two{b[0], b[1], b[2], b[3]};
            const float overlap =
                ev::box_iou(ev::box_intersection(one, two), ev::box_area(one), ev::box_area(two));
            suppressed = suppressed || static_cast<double>(overlap) > job.iou;
        }
        if (!suppressed && kept.size() < job.max_detections) kept.push_back(index);
    }
    return kept;
}

void test_nms() {
    Random random;
    for (const std::size_t count : {0U, 1U, 15U, 16U, 17U, 300U, 2500U}) {
        std::vector<float> boxes(4 * count);
        std::vector<float> scores(count);
        std::vector<std::int64_t> ids(count);
        for (std::size_t i = 0; i < count; ++i) {
            boxes[4 * i] = random.next() * 200.0F;
            boxes[4 * i + 1] = random.next() * 200.0F;
            boxes[4 * i + 2] = boxes[4 * i] + random.next() * 60.0F;
            boxes[4 * i + 3] = boxes[4 * i + 1] + random.next() * 60.0F;
            scores[i] = static_cast<float>(static_cast<int>(random.next() * 50.0F)) / 50.0F;
            ids[i] = static_cast<std::int64_t>(random.next() * 5.0F) * 100;
        }
        for (const bool by_class : {false, true}) {
            for (const double iou : {0.0, 0.3, 0.7, 1.0}) {
                for (const std::size_t max_detections : {1U, 20U, 100000U}) {
                    const ev::NmsJob job{boxes.data(), scores.data(), by_class ? ids.data() : nullptr,
                                         count,        iou,           max_detections,
                                         2000,         0.0F,          true};
                    Scratch scratch(ev::kernels().nms_scratch_size(count, max_detections));
                    std::vector<std::int64_t> kept(std::min(count, max_detections));
                    const std::ptrdiff_t found = ev::kernels().nms(job, scratch.aligned(), kept.data());
                    CHECK(found >= 0);
                    kept.resize(static_cast<std::size_t>(found));
                    CHECK(kept == suppress_plainly(job));
                }
            }
        }
    }
}

void test_nms_refuses_class_ids_out_of_range() {
    const std::vector<float> boxes(8, 1.0F);
    const std::vector<float> scores(2, 0.5F);
    for (const std::int64_t bad : {std::int64_t{-1}, std::int64_t{1} << 31}) {
        const std::vector<std::int64_t> ids{0, bad};
        const ev::NmsJob job{boxes.data(), scores.data(), ids.data(), 2, 0.5, 300, 30000, 0.0F, true};
        Scratch scratch(ev::kernels().nms_scratch_size(2, 300));
        std::int64_t kept[2];
        CHECK(ev::kernels().nms(job, scratch.aligned(), kept) == ev::kBadClassId);
        const std::vector<float> rotated(10, 1.0F);
        ev::NmsJob other = job;
        other.boxes = rotated.data();
        CHECK(ev::kernels().nms_rotated(other, scratch.aligned(), kept) == ev::kBadClassId);
    }
}

void test_rotated_nms() {
    const std::vector<float> boxes{50, 50, 40, 20, 0, 58,   50, 40, 20, 0,
                                   66, 50, 40, 20, 0, kNan, 50, 40, 20, 0};
    const std::vector<float> scores{0.9F, 0.8F, 0.7F, 1.0F};
    ev::NmsJob job{boxes.data(), scores.data(), nullptr, 4, 0.65, 300, 30000, 0.0F, true};
    Scratch scratch(ev::kernels().nms_scratch_size(4, 300));
    std::int64_t kept[4];
    CHECK(ev::kernels().nms_rotated(job, scratch.aligned(), kept) == 2);
    CHECK(kept[0] == 0 && kept[1] == 2);
    job.greedy = false;
    CHECK(ev::kernels().nms_rotated(job, scratch.aligned(), kept) == 1);
}

void test_to_image_clips() {
    const ev::ImageMap map{10.0F, 20.0F, 2.0F, 4.0F, 30.0F, 40.0F};
    const ev::Box box = ev::to_image(ev::Box{0.0F, 60.0F, 50.0F, 1000.0F}, map);
    CHECK(box.x1 == 0.0F && box.y1 == 10.0F && box.x2 == 20.0F && box.y2 == 40.0F);
}

}  // namespace

void run() {
    test_scan_of_every_half();
    test_scan();
    test_scan_leaves_out_what_is_no_number();
    test_gather();
    test_queries();
    test_nms();
    test_nms_refuses_class_ids_out_of_range();
    test_rotated_nms();
    test_to_image_clips();
}
