// The whole of launch_find_boxes, and its plain steps: the boxes of hits, and what is kept.
#include "boxes.h"
#include "boxes_parts.h"
#include "select.h"

namespace ev::cuda {
namespace {

/// The hit behind a key: which anchor and which class.
struct HitOf {
    std::int64_t anchor;
    std::int64_t class_id;
};

template <class T>
struct GatherCandidates {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    BoxFinderRule rule;
    BoxTensors tensors;
    const std::uint64_t* best;
    std::int64_t best_pitch;
    const std::uint64_t* best_logits;
    std::int64_t logit_pitch;
    Candidates out;

    EV_BODY HitOf find_hit(std::uint64_t key, int image) const {
        auto hit = static_cast<std::int64_t>(key & 0xffffffffU);
        if (rule.scan == BoxScan::rows) {
            return {hit, static_cast<std::int64_t>(to_float(view_of<T>(tensors.scores, image).at(hit, 5)))};
        }
        if (rule.scan == BoxScan::sigmoid) {
            hit = static_cast<std::int64_t>(best_logits[image * logit_pitch + hit] & 0xffffffffU);
        }
        const std::int64_t classes =
            rule.scan == BoxScan::dense ? rule.dense.num_classes : tensors.scores.channels;
        return {hit / classes, hit % classes};
    }

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int rank = block.x * kThreads + block.thread;
        if (rank >= out.counts[block.y]) return;
        const std::uint64_t key = best[block.y * best_pitch + rank];
        const HitOf hit = find_hit(key, block.y);
        const OutputView<T> output = view_of<T>(tensors.boxes, block.y);
        const Box box = decode_box(output, rule.boxes, hit.anchor);
        const std::int64_t to = static_cast<std::int64_t>(block.y) * out.pitch + rank;
        float* boxes = out.boxes + 5 * to;
        boxes[0] = box.x1;
        boxes[1] = box.y1;
        boxes[2] = box.x2;
        boxes[3] = box.y2;
        const bool rotated = rule.boxes.coding == BoxCoding::rotated;
        boxes[4] = rotated ? to_float(output.at(hit.anchor, rule.boxes.angle)) : 0.0F;
        out.scores[to] = score_of(static_cast<std::uint32_t>(key >> 32));
        out.class_ids[to] = static_cast<std::int32_t>(hit.class_id);
        out.anchors[to] = static_cast<std::int32_t>(hit.anchor);
    }
};

/// A thread an element: a coordinate, the score and class, or an extra channel of one detection.
template <class T>
struct WriteDetections {
    static constexpr int kThreads = 128;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    BoxFinderRule rule;
    TensorBatch tensor;
    Candidates candidates;
    const std::int32_t* kept;  // null: the best
    const ImageMap* maps;
    DetectionArrays out;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int image = block.y;
        const int elements = 1 + rule.boxes.num_extra;
        const int i = block.x * kThreads + block.thread;
        const int row = i / elements;
        if (row >= out.counts[image]) return;
        const std::int64_t to = static_cast<std::int64_t>(image) * rule.nms.max_detections + row;
        const int rank = kept == nullptr ? row : kept[to];
        const std::int64_t from = static_cast<std::int64_t>(image) * candidates.pitch + rank;
        if (i % elements > 0) {
            const int extra = i % elements - 1;
            const OutputView<T> output = view_of<T>(tensor, image);
            out.extra[to * rule.boxes.num_extra + extra] =
                to_float(output.at(candidates.anchors[from], rule.boxes.first_extra + extra));
            return;
        }
        const float* read = candidates.boxes + 5 * from;
        out.scores[to] = candidates.scores[from];
        out.class_ids[to] = candidates.class_ids[from];
        if (rule.boxes.coding == BoxCoding::rotated) {
            for (int c = 0; c < 5; ++c) out.boxes[5 * to + c] = read[c];
            return;
        }
        const Box box = to_image(Box{read[0], read[1], read[2], read[3]}, maps[image]);
        float* written = out.boxes + 4 * to;
        written[0] = box.x1;
        written[1] = box.y1;
        written[2] = box.x2;
        written[3] = box.y2;
    }
};

template <class T>
void gather(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, const BoxWorkspace& workspace,
            Stream stream) {
    using Body = GatherCandidates<T>;
    launch(Body{rule, tensors, workspace.best, round_to_power(workspace.candidates.pitch),
                workspace.best_logits, round_to_power(rule.top_k), workspace.candidates},
           {static_cast<unsigned>(ceil_div(workspace.candidates.pitch, Body::kThreads)),
            static_cast<unsigned>(batch), 1},
           stream, "gather_candidates");
}

template <class T>
void write(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, const ImageMap* maps,
           const BoxWorkspace& workspace, const DetectionArrays& out, Stream stream) {
    using Body = WriteDetections<T>;
    const std::int64_t elements = std::int64_t{rule.nms.max_detections} * (1 + rule.boxes.num_extra);
    launch(
        Body{rule, tensors.boxes, workspace.candidates, rule.suppress ? workspace.kept : nullptr, maps, out},
        {static_cast<unsigned>(ceil_div(elements, Body::kThreads)), static_cast<unsigned>(batch), 1}, stream,
        "write_detections");
}

}  // namespace

BoxWorkspace::BoxWorkspace(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, void* memory)
    : capacity(tensors.scores.rows), candidates{}, used(0) {
    if (rule.scan == BoxScan::dense && rule.dense.multi_label) capacity *= rule.dense.num_classes;
    if (rule.scan == BoxScan::sigmoid) capacity *= tensors.scores.channels;
    const auto images = static_cast<std::size_t>(batch);
    const bool from_logits = rule.scan == BoxScan::sigmoid;
    candidates.pitch = rule.suppress ? rule.nms.max_candidates : rule.nms.max_detections;
    const std::size_t all = images * static_cast<std::size_t>(candidates.pitch);
    words = ceil_div(candidates.pitch, 64);
    Arena arena(memory);
    hit_counts = arena.take<std::int32_t>(images);
    hits = arena.take<std::uint64_t>(images * static_cast<std::size_t>(capacity));
    best_logits = arena.take<std::uint64_t>(
        from_logits ? images * static_cast<std::size_t>(round_to_power(rule.top_k)) : 0);
    logit_counts = arena.take<std::int32_t>(images);
    best = arena.take<std::uint64_t>(images * static_cast<std::size_t>(round_to_power(candidates.pitch)));
    candidates.counts = arena.take<std::int32_t>(images);
    candidates.boxes = arena.take<float>(5 * all);
    candidates.scores = arena.take<float>(all);
    candidates.class_ids = arena.take<std::int32_t>(all);
    candidates.anchors = arena.take<std::int32_t>(all);
    const bool rotated = rule.suppress && rule.boxes.coding == BoxCoding::rotated;
    overlaps = arena.take<std::uint64_t>(rule.suppress ? all * static_cast<std::size_t>(words) : 0);
    kept = arena.take<std::int32_t>(images * static_cast<std::size_t>(rule.nms.max_detections));
    gaussians = arena.take<Gaussian>(rotated ? all : 0);
    used = arena.used();
}

void launch_gather(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                   const BoxWorkspace& workspace, Stream stream) {
    if (rule.half) {
        gather<Half>(rule, tensors, batch, workspace, stream);
    } else {
        gather<float>(rule, tensors, batch, workspace, stream);
    }
}

void launch_write_detections(const BoxFinderRule& rule, const BoxTensors& tensors, int batch,
                             const ImageMap* maps, const BoxWorkspace& workspace, const DetectionArrays& out,
                             Stream stream) {
    if (rule.half) {
        write<Half>(rule, tensors, batch, maps, workspace, out, stream);
    } else {
        write<float>(rule, tensors, batch, maps, workspace, out, stream);
    }
}

std::size_t box_workspace_size(const BoxFinderRule& rule, const BoxTensors& tensors, int batch) {
    return BoxWorkspace(rule, tensors, batch, nullptr).used;
}

void launch_find_boxes(const BoxFinderRule& rule, const BoxTensors& tensors, int batch, const ImageMap* maps,
                       void* memory, const DetectionArrays& out, Stream stream) {
    if (batch == 0) return;
    BoxWorkspace workspace(rule, tensors, batch, memory);
    if (out.hits != nullptr) workspace.hit_counts = out.hits;
    // Without suppression the candidates are the detections.
    if (!rule.suppress) workspace.candidates.counts = out.counts;
    fill_async(workspace.hit_counts, 0, static_cast<std::size_t>(batch) * sizeof(std::int32_t), stream);
    launch_scan(rule, tensors, batch, workspace, stream);
    launch_sort_best({workspace.hits, workspace.capacity, workspace.hit_counts}, batch,
                     workspace.candidates.pitch, workspace.best, workspace.candidates.counts, stream);
    launch_gather(rule, tensors, batch, workspace, stream);
    if (rule.suppress) launch_suppress(rule, batch, workspace, out.counts, stream);
    launch_write_detections(rule, tensors, batch, maps, workspace, out, stream);
}

}  // namespace ev::cuda
