// Streams, events and graphs.
#include <memory>

#include "bind.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

class EventObject {
  public:
    explicit EventObject(bool timing) : event_(create_event(timing)) {}
    EventObject(const EventObject&) = delete;
    EventObject& operator=(const EventObject&) = delete;
    ~EventObject() { destroy_event(event_); }

    Event get() const { return event_; }

  private:
    Event event_;
};

class GraphObject {
  public:
    explicit GraphObject(const Graph& graph) : graph_(graph) {}
    GraphObject(const GraphObject&) = delete;
    GraphObject& operator=(const GraphObject&) = delete;
    ~GraphObject() {
        without_gil([this] { destroy_graph(graph_); });
    }

    const Graph& get() const { return graph_; }

  private:
    Graph graph_;
};

}  // namespace

void bind_streams(nb::module_& module) {
    nb::class_<StreamObject> stream(
        module, "Stream", "Work in order. It does not wait for the default stream, nor that for it.");
    nb::class_<EventObject> event(module, "Event", "A point in a stream's work.");
    nb::class_<GraphObject> graph(module, "Graph",
                                  "Recorded work, launched as one. Pointers are recorded, not what is behind "
                                  "them: what must change from launch to launch goes into pinned memory that "
                                  "the graph copies, or update() takes the pointers of another recording.");
    stream
        .def(
            "__init__",
            [](StreamObject* self, bool high_priority) {
                new (self) StreamObject(create_stream(high_priority), true);
            },
            nb::kw_only(), "high_priority"_a = false)
        .def_static(
            "wrap",
            [](std::uint64_t handle) {
                return std::make_unique<StreamObject>(as_pointer(handle), false).release();
            },
            "handle"_a, nb::rv_policy::take_ownership,
            "Another library's cudaStream_t, which must live longer; 0 is the default stream.")
        .def_prop_ro(
            "handle", [](const StreamObject& self) { return as_address(self.get()); },
            "The cudaStream_t, as TensorRT takes it.")
        .def(
            "synchronize", [](const StreamObject& self) { synchronize(self.get()); }, NoGil(),
            "Wait until everything put on it is done.")
        .def(
            "is_done", [](const StreamObject& self) { return is_done(self.get()); },
            "Whether everything put on it is done.")
        .def(
            "wait", [](const StreamObject& self, const EventObject& e) { wait_event(self.get(), e.get()); },
            NoGil(), "event"_a, "What is put on it from now on waits for the event.")
        .def(
            "begin_capture", [](const StreamObject& self) { begin_capture(self.get()); }, NoGil(),
            "Record what is put on it, instead of running it, until end_capture().")
        .def(
            "end_capture", [](const StreamObject& self) { return new GraphObject(end_capture(self.get())); },
            NoGil(), nb::rv_policy::take_ownership);
    event.def(nb::init<bool>(), nb::kw_only(), "timing"_a = false)
        .def(
            "record",
            [](const EventObject& self, const StreamObject& s) { record_event(self.get(), s.get()); },
            NoGil(), "stream"_a)
        .def(
            "synchronize", [](const EventObject& self) { synchronize_event(self.get()); }, NoGil())
        .def("is_reached", [](const EventObject& self) { return is_reached(self.get()); })
        .def(
            "elapsed_ms",
            [](const EventObject& self, const EventObject& begin) {
                return elapsed_ms(begin.get(), self.get());
            },
            "begin"_a, "Milliseconds since `begin`; both made with timing=True and reached.");
    graph
        .def(
            "launch",
            [](const GraphObject& self, const StreamObject& s) { launch_graph(self.get(), s.get()); },
            NoGil(), "stream"_a)
        .def(
            "update",
            [](const GraphObject& self, const GraphObject& newer) {
                return update_graph(self.get(), newer.get());
            },
            "newer"_a,
            "Take the parameters of a later recording of the same steps; False where the steps differ, and "
            "then nothing changed.")
        .def_prop_ro("num_nodes", [](const GraphObject& self) { return count_nodes(self.get()); })
        .def_prop_ro(
            "host_work", [](const GraphObject& self) { return count_host_work(self.get()); },
            "Of its nodes, those that call the processor, or copy from or to memory of its that is not "
            "pinned: it must be there whenever the graph is launched. The emulation does not tell: 0.");
}

}  // namespace ev::cuda::bind
