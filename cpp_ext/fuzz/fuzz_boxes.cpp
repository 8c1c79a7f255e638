// The scans for hits, and the candidates gathered from them.
#include <algorithm>

#include "target.h"

namespace {

using namespace ev::fuzz;

float choose_confidence(Bytes& bytes) {
    constexpr float usual[] = {0.0F, 0.001F, 0.25F, 0.5F, 1.0F};
    return bytes.flag() ? usual[bytes.between(0, 4)] : bytes.fraction();
}

ev::ClassFilter choose_filter(Bytes& bytes) {
    if (bytes.between(0, 2) != 0) return {nullptr, 0};
    const auto size = static_cast<std::size_t>(bytes.between(0, 12));
    auto* allowed = memory.take<std::uint8_t>(size);
    for (std::size_t i = 0; i < size; ++i) allowed[i] = bytes.flag() ? 1 : 0;
    return {allowed, static_cast<std::int64_t>(size)};
}

template <class T>
ev::OutputView<T> choose_output(Bytes& bytes, int anchors, int channels) {
    const Layout layout =
        choose_layout(bytes, {1, anchors, channels}, bytes.flag() ? bytes.between(1, 2) : -1);
    const T* elements = take_values<T>(bytes, layout.span);
    return {elements + layout.first, anchors, channels, layout.stride[1], layout.stride[2]};
}

void add_hits(Results& results, const ev::Hit* hits, std::size_t count) {
    results.add(count);
    for (std::size_t i = 0; i < count; ++i) {
        results.add(hits[i].anchor);
        results.add(hits[i].class_id);
        results.add(&hits[i].score, 1);
    }
}

/// The levels of a square input of this many pixels, as a grid decoder's binding lays them out.
ev::AnchorGrid choose_grid(Bytes& bytes, std::int64_t* anchors) {
    ev::AnchorGrid grid{};
    grid.levels = bytes.between(1, 3);
    *anchors = 0;
    for (int level = 0; level < grid.levels; ++level) {
        grid.stride[level] = 8 << level;
        grid.width[level] = bytes.between(1, 6);
        grid.first[level] = *anchors;
        *anchors += std::int64_t{grid.width[level]} * bytes.between(1, 6);
    }
    return grid;
}

template <class T>
void gather(Results& results, const ev::OutputView<T>& output, const ev::BoxRule& rule, ev::Hit* hits,
            std::size_t count) {
    const std::size_t columns = rule.coding == ev::BoxCoding::rotated ? 5 : 4;
    const auto extras = static_cast<std::size_t>(rule.num_extra);
    ev::CandidateArrays arrays{};
    arrays.boxes = memory.take<float>(count * columns);
    arrays.scores = memory.take<float>(count);
    arrays.class_ids = memory.take<std::int64_t>(count);
    arrays.extra = memory.take<float>(count * extras);
    const std::size_t found = ev::kernels().gather_candidates(output, rule, hits, count, arrays);
    add_hits(results, hits, found);
    results.add(arrays.boxes, found * columns);
    results.add(arrays.scores, found);
    results.add(arrays.class_ids, found);
    results.add(arrays.extra, found * extras);
}

template <class T>
void run_dense(Bytes& bytes) {
    const bool objectness = bytes.flag();
    ev::BoxRule boxes{};
    boxes.coding = static_cast<ev::BoxCoding>(bytes.between(0, 3));
    boxes.scale_x = bytes.flag() ? 1.0F : 640.0F;
    boxes.scale_y = boxes.scale_x;
    std::int64_t anchors = bytes.size(0, 60, 1200);
    if (boxes.coding == ev::BoxCoding::grid) boxes.grid = choose_grid(bytes, &anchors);
    ev::DenseRule rule{};
    rule.first_class = objectness ? 5 : 4;
    rule.objectness = objectness ? 4 : -1;
    rule.product_decides = objectness && bytes.flag();
    rule.num_classes = bytes.size(1, 12, 90);
    rule.multi_label = bytes.flag();
    rule.confidence = choose_confidence(bytes);
    boxes.first_extra = rule.first_class + rule.num_classes;
    boxes.num_extra = bytes.between(0, 4);
    const bool rotated = boxes.coding == ev::BoxCoding::rotated;
    boxes.angle = boxes.first_extra + boxes.num_extra;
    const auto output = choose_output<T>(bytes, static_cast<int>(anchors),
                                         boxes.first_extra + boxes.num_extra + (rotated ? 1 : 0));
    rule.filter = choose_filter(bytes);
    const std::int64_t begin = bytes.between(0, static_cast<int>(anchors));
    const std::int64_t end =
        bytes.flag() ? anchors : bytes.between(static_cast<int>(begin), static_cast<int>(anchors));
    const auto room = static_cast<std::size_t>((end - begin) * (rule.multi_label ? rule.num_classes : 1));
    agree([&](Results& results) {
        auto* hits = memory.take<ev::Hit>(room);
        const std::size_t count = ev::kernels().scan_dense(output, rule, begin, end, hits);
        if (count > room) fail("more hits than there is room for");
        add_hits(results, hits, count);
        gather(results, output, boxes, hits, count);
    });
}

template <class T>
void run_rows(Bytes& bytes) {
    const int rows = bytes.size(0, 40, 300);
    const auto output = choose_output<T>(bytes, rows, bytes.between(6, 10));
    const float confidence = choose_confidence(bytes);
    const ev::ClassFilter filter = choose_filter(bytes);
    agree([&](Results& results) {
        auto* hits = memory.take<ev::Hit>(static_cast<std::size_t>(output.anchors));
        add_hits(results, hits, ev::kernels().scan_rows(output, confidence, filter, hits));
    });
}

template <class T>
void run_queries(Bytes& bytes) {
    const int queries = bytes.size(0, 30, 300);
    const auto logits = choose_output<T>(bytes, queries, bytes.size(1, 12, 300));
    const float confidence = choose_confidence(bytes);
    const ev::ClassFilter filter = choose_filter(bytes);
    const auto elements = static_cast<std::size_t>(logits.anchors * logits.channels);
    const std::int64_t top_k = bytes.between(0, 400);
    agree([&](Results& results) {
        auto* hits = memory.take<ev::Hit>(static_cast<std::size_t>(logits.anchors));
        add_hits(results, hits, ev::kernels().scan_softmax(logits, confidence, filter, hits));
    });
    agree([&](Results& results) {
        auto* keys = memory.take<std::uint64_t>(elements);
        auto* hits = memory.take<ev::Hit>(elements);
        add_hits(results, hits, ev::kernels().scan_sigmoid(logits, confidence, filter, top_k, keys, hits));
    });
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    run_one_of(bytes, {run_rows<float>, run_rows<Half>, run_queries<float>, run_queries<Half>,
                       run_dense<float>, run_dense<float>, run_dense<Half>, run_dense<Half>});
}
