// device.h on the processor, for tests: memory is the processor's, streams run at once, graphs are lists of
// work.
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <limits>
#include <new>
#include <utility>
#include <vector>

#include "device.h"
#include "emulate.h"

namespace ev::cuda {
namespace {

struct Work {
    const char* kind;
    std::function<void()> run;
};

struct EmulatedStream {
    bool capturing = false;
    std::vector<Work> recorded;
};

struct EmulatedEvent {
    bool timing = false;
    bool recorded = false;
    std::chrono::steady_clock::time_point at;
};

using Recorded = std::vector<Work>;

EmulatedStream default_stream;
int captures = 0;  // streams that record

EmulatedStream& stream_of(Stream stream) {
    return stream == nullptr ? default_stream : *static_cast<EmulatedStream*>(stream);
}

EmulatedEvent& event_of(Event event) {
    return *static_cast<EmulatedEvent*>(event);
}

/// CUDA refuses these too, so that what works here does not first fail on a GPU.
void refuse_in_capture(const char* what) {
    if (captures > 0) throw Error(std::string(what) + ": not permitted when a stream is capturing");
}

void add(Stream stream, const char* kind, std::function<void()> work) {
    EmulatedStream& to = stream_of(stream);
    if (to.capturing) {
        to.recorded.push_back({kind, std::move(work)});
    } else {
        work();
    }
}

void* allocate_aligned(std::size_t size) {
    constexpr std::size_t alignment = 256;
    if (size > std::numeric_limits<std::size_t>::max() - alignment) throw Error("allocate: out of memory");
    void* memory = std::aligned_alloc(alignment, (size + alignment) / alignment * alignment);
    if (memory == nullptr) throw Error("allocate: out of memory");
    std::memset(memory, 0xa5, size);
    return memory;
}

}  // namespace

const bool emulated = true;

void enqueue(void* stream, std::function<void()> work) {
    add(stream, "kernel", std::move(work));
}

int count_devices() {
    return 1;
}

std::string why_no_device() {
    return "";
}

int driver_version() {
    return 0;
}

int runtime_version() {
    return 0;
}

DeviceInfo device_info(int device) {
    if (device != 0) throw Error("device_info: there is one device, number 0");
    return {"emulated on the processor", "", 0, 0, 1, 0, true, true, 49152, 1024};
}

int current_device() {
    return 0;
}

void set_device(int device) {
    device_info(device);
}

void* allocate(std::size_t size) {
    refuse_in_capture("allocate");
    return allocate_aligned(size);
}

void release(void* memory) noexcept {
    std::free(memory);
}

void* allocate_host(std::size_t size, bool /*mapped*/, bool /*write_combined*/) {
    refuse_in_capture("allocate_host");
    return allocate_aligned(size);
}

void release_host(void* memory) noexcept {
    std::free(memory);
}

void* device_pointer(void* host) {
    return host;
}

int device_of(const void* /*memory*/) {
    return 0;
}

Stream create_stream(bool /*high_priority*/) {
    return new EmulatedStream;
}

void destroy_stream(Stream stream) noexcept {
    if (stream_of(stream).capturing) --captures;
    delete static_cast<EmulatedStream*>(stream);
}

void synchronize(Stream /*stream*/) {
    refuse_in_capture("synchronize");
}

bool is_done(Stream /*stream*/) {
    refuse_in_capture("is_done");
    return true;
}

Event create_event(bool timing) {
    return new EmulatedEvent{timing, false, {}};
}

void destroy_event(Event event) noexcept {
    delete static_cast<EmulatedEvent*>(event);
}

void record_event(Event event, Stream stream) {
    add(stream, "event", [event] {
        event_of(event).recorded = true;
        event_of(event).at = std::chrono::steady_clock::now();
    });
}

void wait_event(Stream stream, Event /*event*/) {
    add(stream, "wait", [] {});
}

void synchronize_event(Event /*event*/) {
    refuse_in_capture("synchronize_event");
}

bool is_reached(Event /*event*/) {
    return true;
}

float elapsed_ms(Event begin, Event end) {
    const EmulatedEvent& from = event_of(begin);
    const EmulatedEvent& to = event_of(end);
    if (!from.timing || !to.timing || !from.recorded || !to.recorded) {
        throw Error("elapsed_ms: both events must be made with timing and recorded");
    }
    return std::chrono::duration<float, std::milli>(to.at - from.at).count();
}

void copy_async(void* destination, const void* source, std::size_t size, Stream stream) {
    if (size == 0) return;
    add(stream, "copy", [=] { std::memmove(destination, source, size); });
}

void copy_rows_async(Rows destination, ConstRows source, std::size_t size, std::size_t count, Stream stream) {
    if (size == 0) return;
    add(stream, "copy rows", [=] {
        for (std::size_t row = 0; row < count; ++row) {
            std::memmove(static_cast<std::byte*>(destination.data) + row * destination.stride,
                         static_cast<const std::byte*>(source.data) + row * source.stride, size);
        }
    });
}

void fill_async(void* memory, std::uint8_t value, std::size_t size, Stream stream) {
    if (size == 0) return;
    add(stream, "fill", [=] { std::memset(memory, value, size); });
}

void begin_capture(Stream stream) {
    if (stream == nullptr) throw Error("begin_capture: the default stream cannot be captured");
    EmulatedStream& from = stream_of(stream);
    if (from.capturing) throw Error("begin_capture: the stream is capturing already");
    from.capturing = true;
    ++captures;
}

Graph end_capture(Stream stream) {
    EmulatedStream& from = stream_of(stream);
    if (!from.capturing) throw Error("end_capture: the stream is not capturing");
    from.capturing = false;
    --captures;
    auto* recorded = new Recorded(std::move(from.recorded));
    from.recorded.clear();
    return {recorded, recorded};
}

void launch_graph(const Graph& graph, Stream stream) {
    for (const Work& work : *static_cast<const Recorded*>(graph.recorded)) add(stream, work.kind, work.run);
}

void destroy_graph(const Graph& graph) noexcept {
    delete static_cast<Recorded*>(graph.recorded);
}

bool update_graph(const Graph& graph, const Graph& newer) {
    Recorded& now = *static_cast<Recorded*>(graph.recorded);
    const Recorded& next = *static_cast<const Recorded*>(newer.recorded);
    if (now.size() != next.size()) return false;
    for (std::size_t i = 0; i < now.size(); ++i) {
        if (std::strcmp(now[i].kind, next[i].kind) != 0) return false;
    }
    now = next;
    return true;
}

std::size_t count_nodes(const Graph& graph) {
    return static_cast<const Recorded*>(graph.recorded)->size();
}

std::size_t count_host_work(const Graph& /*graph*/) {
    return 0;  // all memory is alike here
}

void check_launch(const char* /*kernel*/) {}

}  // namespace ev::cuda
