// Outputs of a detector to detections.
#include "boxes.h"

#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <algorithm>
#include <iterator>
#include <limits>
#include <optional>
#include <vector>

#include "arena.h"
#include "staged.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

using Allowed = std::optional<nb::ndarray<const std::uint8_t, nb::ndim<1>, nb::c_contig, nb::device::cpu>>;

constexpr std::int64_t kMaxElements = std::numeric_limits<std::int32_t>::max();

/// The place of `name` in a list of names.
template <class Names>
std::size_t find_name(const std::string& name, const Names& names, const char* message) {
    const auto* found = std::find(std::begin(names), std::end(names), name);
    require(found != std::end(names), message);
    return static_cast<std::size_t>(found - std::begin(names));
}

TensorBatch contiguous(std::int64_t rows, std::int64_t channels, bool rows_first) {
    require(rows >= 1 && channels >= 1 && rows <= kMaxElements / channels, "rows and channels out of range");
    return {nullptr,
            rows,
            channels,
            static_cast<std::ptrdiff_t>(rows_first ? channels : 1),
            static_cast<std::ptrdiff_t>(rows_first ? 1 : rows),
            static_cast<std::ptrdiff_t>(rows * channels)};
}

/// Results on the device and, one copy away, in pinned memory.
class Results {
  public:
    Results(const BoxFinderRule& rule, std::size_t batch)
        : size_(lay_out(rule, batch, nullptr, nullptr)), device_(size_), host_(size_, false, false) {
        lay_out(rule, batch, device_.get(), &on_device);
        lay_out(rule, batch, host_.get(), &on_host);
        std::memset(host_.get(), 0, size_);
    }

    void fetch(Stream stream) const { copy_async(host_.get(), device_.get(), size_, stream); }

    DetectionArrays on_device{};
    DetectionArrays on_host{};

  private:
    std::size_t size_;
    DeviceMemory device_;
    HostMemory host_;

    static std::size_t lay_out(const BoxFinderRule& rule, std::size_t batch, void* memory,
                               DetectionArrays* arrays) {
        const std::size_t rows = batch * static_cast<std::size_t>(rule.nms.max_detections);
        Arena arena(memory);
        DetectionArrays pieces{};
        pieces.counts = arena.take<std::int32_t>(batch);
        pieces.boxes = arena.take<float>(rows * (rule.boxes.coding == BoxCoding::rotated ? 5 : 4));
        pieces.scores = arena.take<float>(rows);
        pieces.class_ids = arena.take<std::int32_t>(rows);
        pieces.extra = arena.take<float>(rows * static_cast<std::size_t>(rule.boxes.num_extra));
        pieces.hits = arena.take<std::int32_t>(batch);
        if (arrays != nullptr) *arrays = pieces;
        return arena.used();
    }
};

struct Options {
    std::string scan, coding;
    std::int64_t num_classes;
    int objectness;
    bool multi_label;
    float confidence;
    std::int32_t top_k;
    bool suppress;
    SuppressRule nms;
};

AnchorGrid make_grid(const std::vector<std::int32_t>& strides, std::int32_t height, std::int32_t width,
                     std::int64_t anchors) {
    require(!strides.empty() && strides.size() <= static_cast<std::size_t>(kMaxGridLevels),
            "coding 'grid' needs 1 to 8 strides");
    AnchorGrid grid{};
    std::int64_t cells = 0;
    for (const std::int32_t stride : strides) {
        require(stride > 0 && height >= stride && width >= stride,
                "strides must be at least 1 and at most the input's size");
        grid.stride[grid.levels] = stride;
        grid.width[grid.levels] = width / stride;
        grid.first[grid.levels] = cells;
        cells += std::int64_t{width / stride} * (height / stride);
        ++grid.levels;
    }
    require(cells == anchors, "the strides' cells are not as many as the output's rows");
    return grid;
}

BoxFinderRule make_rule(const Options& options, const TensorBatch& scores) {
    constexpr const char* scans[] = {"dense", "rows", "softmax", "sigmoid"};
    constexpr const char* codings[] = {"center", "corners", "rotated", "grid"};
    BoxFinderRule rule{};
    rule.scan = static_cast<BoxScan>(
        find_name(options.scan, scans, "scan must be 'dense', 'rows', 'softmax' or 'sigmoid'"));
    rule.boxes.coding = static_cast<BoxCoding>(
        find_name(options.coding, codings, "coding must be 'center', 'corners', 'rotated' or 'grid'"));
    require(options.objectness >= 0 && options.objectness <= 2, "objectness must be 0, 1 or 2");
    require(options.confidence >= 0.0F && options.confidence <= 1.0F, "confidence must be 0 to 1");
    require(options.nms.iou >= 0.0 && options.nms.iou <= 1.0, "iou must be 0 to 1");
    require(options.nms.class_offset >= 0.0F, "class_offset must be at least 0");
    require(options.nms.max_candidates >= 1 && options.nms.max_candidates <= kMaxCandidates,
            "max_candidates must be 1 to 8192");
    require(options.nms.max_detections >= 1 && options.nms.max_detections <= 100000,
            "max_detections must be 1 to 100000");
    const bool separate = rule.scan == BoxScan::softmax || rule.scan == BoxScan::sigmoid;
    const bool rotated = rule.boxes.coding == BoxCoding::rotated;
    rule.dense.first_class = options.objectness == 0 ? 4 : 5;
    rule.dense.objectness = options.objectness == 0 ? -1 : 4;
    rule.dense.product_decides = options.objectness == 1;
    rule.dense.multi_label = options.multi_label;
    rule.dense.confidence = options.confidence;
    const std::int64_t known = rule.scan == BoxScan::rows ? 6 : rule.dense.first_class + options.num_classes;
    if (rule.scan == BoxScan::dense) {
        require(options.num_classes >= 1 && known <= scores.channels,
                "num_classes does not fit the channels");
        require(!options.multi_label || scores.rows <= kMaxElements / options.num_classes, "too many scores");
        rule.dense.num_classes = static_cast<std::int32_t>(options.num_classes);
    }
    if (!separate) {
        // What follows the classes is extra, but for a rotated box's angle: the row's seventh, or the last.
        const std::int64_t extras = scores.channels - known - (rotated ? 1 : 0);
        require(extras >= 0, "the output has too few channels");
        // The kernel that writes them counts in an int.
        require((1 + extras) * options.nms.max_detections < std::int64_t{1} << 31, "too many extra channels");
        const bool angle_first = rotated && rule.scan == BoxScan::rows;
        rule.boxes.angle = static_cast<std::int32_t>(angle_first ? known : scores.channels - 1);
        rule.boxes.first_extra = static_cast<std::int32_t>(known) + (angle_first ? 1 : 0);
        rule.boxes.num_extra = static_cast<std::int32_t>(extras);
    } else {
        require(!rotated && rule.boxes.coding != BoxCoding::grid, "queries have plain boxes");
        require(options.top_k >= 1 && options.top_k <= 1 << 20, "top_k must be 1 to 1048576");
    }
    rule.top_k = static_cast<std::int32_t>(
        std::min<std::int64_t>(std::max(options.top_k, 1), scores.rows * scores.channels));
    rule.suppress = options.suppress;
    rule.nms = options.nms;
    return rule;
}

class BoxFinder {
  public:
    BoxFinder(std::size_t batch, const BoxFinderRule& rule, const BoxTensors& tensors, const Allowed& allowed)
        : batch_(batch),
          rule_(rule),
          tensors_(tensors),
          allowed_(allowed ? allowed->size() : 1),
          maps_(batch),
          workspace_(box_workspace_size(rule, tensors, static_cast<int>(batch))),
          results_(rule, batch) {
        if (!allowed) return;
        upload(allowed_, 0, allowed->data(), allowed->size());
        rule_.dense.filter = {static_cast<const std::uint8_t*>(allowed_.get()),
                              static_cast<std::int64_t>(allowed->size())};
    }

    void map(std::size_t index, float left, float top, float gain_x, float gain_y, float width,
             float height) {
        require(index < batch_, "index is beyond the batch");
        maps_[index] = {left, top, gain_x, gain_y, width, height};
    }

    void find(std::uint64_t scores, std::uint64_t boxes, std::size_t count, const StreamObject& stream) {
        require(count >= 1 && count <= batch_, "count must be 1 to the batch");
        tensors_.scores.data = as_pointer(scores);
        tensors_.boxes.data = as_pointer(boxes);
        launch_find_boxes(rule_, tensors_, static_cast<int>(count), maps_.send(count, stream.get()),
                          workspace_.get(), results_.on_device, stream.get());
        results_.fetch(stream.get());
    }

    std::size_t batch() const { return batch_; }
    std::size_t rows() const { return static_cast<std::size_t>(rule_.nms.max_detections); }
    std::size_t columns() const { return rule_.boxes.coding == BoxCoding::rotated ? 5 : 4; }
    std::size_t extras() const { return static_cast<std::size_t>(rule_.boxes.num_extra); }
    const DetectionArrays& on_host() const { return results_.on_host; }
    const DetectionArrays& on_device() const { return results_.on_device; }

  private:
    std::size_t batch_;
    BoxFinderRule rule_;
    BoxTensors tensors_;
    DeviceMemory allowed_;
    Staged<ImageMap> maps_;
    DeviceMemory workspace_;
    Results results_;
};

void make_finder(BoxFinder* self, std::int64_t batch, std::int64_t rows, std::int64_t channels,
                 bool rows_first, const std::string& scan, const std::string& coding, bool half,
                 std::int64_t num_classes, int objectness, bool multi_label, float confidence,
                 const Allowed& allowed, float scale_x, float scale_y,
                 const std::vector<std::int32_t>& strides, std::int32_t height, std::int32_t width,
                 std::int32_t top_k, bool suppress, bool class_agnostic, bool greedy, double iou,
                 float class_offset, std::int32_t max_candidates, std::int32_t max_detections) {
    require(batch >= 1 && batch <= 65535, "batch out of range");
    BoxTensors tensors{contiguous(rows, channels, rows_first), {}};
    BoxFinderRule rule =
        make_rule({scan,
                   coding,
                   num_classes,
                   objectness,
                   multi_label,
                   confidence,
                   top_k,
                   suppress,
                   {class_agnostic, greedy, iou, class_offset, max_candidates, max_detections}},
                  tensors.scores);
    const bool separate = rule.scan == BoxScan::softmax || rule.scan == BoxScan::sigmoid;
    require(separate || channels >= (rule.scan == BoxScan::rows ? 6 : 5), "the output has too few channels");
    tensors.boxes = separate ? contiguous(rows, 4, true) : tensors.scores;
    rule.half = half;
    rule.boxes.scale_x = scale_x;
    rule.boxes.scale_y = scale_y;
    if (rule.boxes.coding == BoxCoding::grid) rule.boxes.grid = make_grid(strides, height, width, rows);
    new (self) BoxFinder(static_cast<std::size_t>(batch), rule, tensors, allowed);
}

template <class T>
nb::object view(nb::handle self, T* data, std::initializer_list<std::size_t> shape) {
    return nb::cast(nb::ndarray<nb::numpy, T>(data, shape, self));
}

}  // namespace

void bind_boxes(nb::module_& module) {
    using Self = nb::handle_t<BoxFinder>;
    const auto of = [](Self self) -> const BoxFinder& { return *nb::inst_ptr<BoxFinder>(self); };
    nb::class_<BoxFinder>(
        module, "BoxFinder",
        "Detections in outputs of a detector, bit for bit the CPU's in edgevision.ops with the same "
        "max_candidates (rotated boxes: but for libm's last bit). find() ends with a copy of all results to "
        "pinned memory; a graph that recorded it uses the maps that are set when it is launched.\n\n"
        "scan: where scores are: 'dense' (objectness 0: none, 1: the product decides the class, 2: the class "
        "score does), 'rows' (channels 4 and 5: score, class), 'softmax' or 'sigmoid' logits of queries, "
        "whose "
        "boxes are a tensor of their own. rows_first: (rows, channels), else (channels, rows); float32, or "
        "float16 with half. coding: 'center', 'corners', 'rotated', 'grid' (strides, height and width of the "
        "input). allowed: uint8, one a class. The rest as in edgevision.ops.")
        .def("__init__", &make_finder, nb::kw_only(), "batch"_a, "rows"_a, "channels"_a, "rows_first"_a,
             "scan"_a, "coding"_a, "half"_a = false, "num_classes"_a = 0, "objectness"_a = 0,
             "multi_label"_a = false, "confidence"_a, "allowed"_a.noconvert().none() = nb::none(),
             "scale_x"_a = 1.0F, "scale_y"_a = 1.0F, "strides"_a = std::vector<std::int32_t>{},
             "height"_a = 0, "width"_a = 0, "top_k"_a = 300, "suppress"_a = true, "class_agnostic"_a = false,
             "greedy"_a = true, "iou"_a = 0.7, "class_offset"_a = 0.0F, "max_candidates"_a = 4096,
             "max_detections"_a = 300)
        .def("map", &BoxFinder::map, "index"_a, "left"_a, "top"_a, "gain_x"_a, "gain_y"_a, "width"_a,
             "height"_a,
             "How an image's boxes go back to it: minus the pad, over the gain, clipped to its size. Rotated "
             "boxes stay in model pixels.")
        .def("find", &BoxFinder::find, NoGil(), "scores"_a, "boxes"_a, "count"_a, "stream"_a,
             "Put the whole of it on the stream. boxes: the same pointer where one tensor has both.")
        .def_prop_ro(
            "counts", [of](Self self) { return view(self, of(self).on_host().counts, {of(self).batch()}); },
            nb::sig("def counts(self) -> numpy.ndarray"), "int32 (batch,): how many rows count.")
        .def_prop_ro(
            "boxes",
            [of](Self self) {
                const BoxFinder& finder = of(self);
                return view(self, finder.on_host().boxes, {finder.batch(), finder.rows(), finder.columns()});
            },
            nb::sig("def boxes(self) -> numpy.ndarray"),
            "float32 (batch, max_detections, 4 or 5), best first.")
        .def_prop_ro(
            "scores",
            [of](Self self) {
                return view(self, of(self).on_host().scores, {of(self).batch(), of(self).rows()});
            },
            nb::sig("def scores(self) -> numpy.ndarray"))
        .def_prop_ro(
            "class_ids",
            [of](Self self) {
                return view(self, of(self).on_host().class_ids, {of(self).batch(), of(self).rows()});
            },
            nb::sig("def class_ids(self) -> numpy.ndarray"), "int32.")
        .def_prop_ro(
            "extra",
            [of](Self self) {
                const BoxFinder& finder = of(self);
                return view(self, finder.on_host().extra, {finder.batch(), finder.rows(), finder.extras()});
            },
            nb::sig("def extra(self) -> numpy.ndarray"), "float32: the further channels as they are.")
        .def_prop_ro(
            "hits", [of](Self self) { return view(self, of(self).on_host().hits, {of(self).batch()}); },
            nb::sig("def hits(self) -> numpy.ndarray"),
            "int32 (batch,): how many were above the confidence; beyond max_candidates the worst took no "
            "part.")
        .def_prop_ro("counts_pointer",
                     [](const BoxFinder& self) { return as_address(self.on_device().counts); })
        .def_prop_ro("boxes_pointer",
                     [](const BoxFinder& self) { return as_address(self.on_device().boxes); })
        .def_prop_ro("scores_pointer",
                     [](const BoxFinder& self) { return as_address(self.on_device().scores); })
        .def_prop_ro("class_ids_pointer",
                     [](const BoxFinder& self) { return as_address(self.on_device().class_ids); })
        .def_prop_ro("extra_pointer",
                     [](const BoxFinder& self) { return as_address(self.on_device().extra); });
}

}  // namespace ev::cuda::bind
