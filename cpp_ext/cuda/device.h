// What the runtime needs of CUDA, and no more: devices, memory, streams, events, graphs.
//
// Two files implement it. device_cudart.cpp calls the CUDA runtime, linked statically: it looks for the
// driver when it is first asked, so that a machine without one can load the module and say why there is no
// device. device_emulated.cpp runs everything on the processor, in order, so that tests of the kernels and of
// what calls them need no GPU. Functions throw Error where CUDA fails; those that free do not.
#pragma once

#include <cstddef>
#include <cstdint>
#include <stdexcept>
#include <string>

namespace ev::cuda {

/// A call to CUDA failed: what was tried, and CUDA's own name and words for it.
class Error : public std::runtime_error {
  public:
    using std::runtime_error::runtime_error;
};

/// cudaStream_t and cudaEvent_t, or what the emulation has in their place. A null stream is the default one.
using Stream = void*;
using Event = void*;

/// A captured graph, made ready to be launched.
struct Graph {
    void* recorded;
    void* executable;
};

struct DeviceInfo {
    std::string name;
    std::string uuid;  // as nvidia-smi writes it, without "GPU-"
    int major, minor;  // compute capability
    int multiprocessors;
    std::size_t memory;     // bytes
    bool integrated;        // shares the processor's memory, as Jetsons do
    bool can_map_host;      // kernels can read the processor's memory
    int shared_per_block;   // bytes
    int threads_per_block;  // at most
};

extern const bool emulated;

/// 0 where there is no driver or no device; never throws.
int count_devices();

/// Why count_devices() is 0; empty where it is not.
std::string why_no_device();

/// 1000 * major + 10 * minor; 0: there is no driver.
int driver_version();
int runtime_version();

DeviceInfo device_info(int device);
int current_device();
void set_device(int device);

/// Aligned to 256. Not while a stream of this thread is captured; release may be called then.
void* allocate(std::size_t size);
void release(void* memory) noexcept;

/// Pinned memory of the processor; `mapped`: kernels can use it at device_pointer().
void* allocate_host(std::size_t size, bool mapped, bool write_combined);
void release_host(void* memory) noexcept;
void* device_pointer(void* host);

/// The device that has this memory, or, of pinned memory of the processor's, that can use it: the current
/// one. -1 of memory that CUDA does not know.
int device_of(const void* memory);

Stream create_stream(bool high_priority);
void destroy_stream(Stream stream) noexcept;
void synchronize(Stream stream);
bool is_done(Stream stream);

Event create_event(bool timing);
void destroy_event(Event event) noexcept;
void record_event(Event event, Stream stream);
void wait_event(Stream stream, Event event);
void synchronize_event(Event event);
bool is_reached(Event event);
float elapsed_ms(Event begin, Event end);

/// Between any two kinds of memory; stream-ordered where that on the processor's side is pinned.
void copy_async(void* destination, const void* source, std::size_t size, Stream stream);

/// Some bytes of memory, `stride` bytes after those before them. Rows do not overlap.
struct Rows {
    void* data;
    std::size_t stride;
};
struct ConstRows {
    const void* data;
    std::size_t stride;
};

/// `count` rows of `size` bytes each.
void copy_rows_async(Rows destination, ConstRows source, std::size_t size, std::size_t count, Stream stream);
void fill_async(void* memory, std::uint8_t value, std::size_t size, Stream stream);

/// What is put on the stream from here to end_capture is recorded and not run.
void begin_capture(Stream stream);
Graph end_capture(Stream stream);
void launch_graph(const Graph& graph, Stream stream);
void destroy_graph(const Graph& graph) noexcept;

/// Gives an executable graph the parameters of one that was recorded later; false where the two differ in
/// more than parameters.
bool update_graph(const Graph& graph, const Graph& newer);
std::size_t count_nodes(const Graph& graph);

/// Of its steps, those that call the processor, or copy from or to memory of its that is not pinned.
std::size_t count_host_work(const Graph& graph);

/// Throws Error if the last kernel launch of this thread failed.
void check_launch(const char* kernel);

}  // namespace ev::cuda
