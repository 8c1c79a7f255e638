// device.h by the CUDA runtime.
#include <cuda_runtime_api.h>

#include <cstdio>
#include <vector>

#include "device.h"

namespace ev::cuda {
namespace {

void check(cudaError_t code, const char* what) {
    if (code == cudaSuccess) return;
    cudaGetLastError();  // or the next call would find this one's error
    throw Error(std::string(what) + ": " + cudaGetErrorName(code) + ", " + cudaGetErrorString(code));
}

cudaStream_t as_stream(Stream stream) {
    return static_cast<cudaStream_t>(stream);
}

cudaEvent_t as_event(Event event) {
    return static_cast<cudaEvent_t>(event);
}

bool is_ready(cudaError_t code, const char* what) {
    if (code == cudaErrorNotReady) return false;
    check(code, what);
    return true;
}

}  // namespace

const bool emulated = false;

int count_devices() {
    int count = 0;
    if (cudaGetDeviceCount(&count) != cudaSuccess) {
        cudaGetLastError();
        return 0;
    }
    return count;
}

std::string why_no_device() {
    int count = 0;
    const cudaError_t code = cudaGetDeviceCount(&count);
    cudaGetLastError();
    if (code == cudaSuccess) return count > 0 ? "" : "the driver sees no CUDA device";
    if (driver_version() == 0) return "no NVIDIA driver is installed (libcuda.so.1 was not found)";
    return std::string(cudaGetErrorName(code)) + ", " + cudaGetErrorString(code) +
           "; the driver serves CUDA " + std::to_string(driver_version() / 1000) + "." +
           std::to_string(driver_version() % 1000 / 10) + ", this build needs " +
           std::to_string(runtime_version() / 1000) + "." + std::to_string(runtime_version() % 1000 / 10) +
           " or a later minor version of it";
}

int driver_version() {
    int version = 0;
    if (cudaDriverGetVersion(&version) != cudaSuccess) cudaGetLastError();
    return version;
}

int runtime_version() {
    int version = 0;
    cudaRuntimeGetVersion(&version);
    return version;
}

DeviceInfo device_info(int device) {
    cudaDeviceProp properties{};
    check(cudaGetDeviceProperties(&properties, device), "cudaGetDeviceProperties");
    std::string uuid;
    for (int i = 0; i < 16; ++i) {
        char text[4];
        const bool dash = i == 4 || i == 6 || i == 8 || i == 10;
        std::snprintf(text, sizeof text, dash ? "-%02x" : "%02x",
                      static_cast<unsigned>(static_cast<unsigned char>(properties.uuid.bytes[i])));
        uuid += text;
    }
    return {properties.name,
            uuid,
            properties.major,
            properties.minor,
            properties.multiProcessorCount,
            properties.totalGlobalMem,
            properties.integrated != 0,
            properties.canMapHostMemory != 0,
            static_cast<int>(properties.sharedMemPerBlock),
            properties.maxThreadsPerBlock};
}

int current_device() {
    int device = 0;
    check(cudaGetDevice(&device), "cudaGetDevice");
    return device;
}

void set_device(int device) {
    check(cudaSetDevice(device), "cudaSetDevice");
}

void* allocate(std::size_t size) {
    void* memory = nullptr;
    check(cudaMalloc(&memory, size > 0 ? size : 1), "cudaMalloc");
    return memory;
}

namespace {

/// Lets this thread free memory while it captures a stream: what is freed is no part of that.
class Relaxed {
  public:
    Relaxed() noexcept { exchange(); }
    Relaxed(const Relaxed&) = delete;
    Relaxed& operator=(const Relaxed&) = delete;
    ~Relaxed() { exchange(); }

  private:
    void exchange() noexcept {
        if (cudaThreadExchangeStreamCaptureMode(&mode_) != cudaSuccess) cudaGetLastError();
    }

    cudaStreamCaptureMode mode_ = cudaStreamCaptureModeRelaxed;
};

}  // namespace

void release(void* memory) noexcept {
    const Relaxed relaxed;
    if (cudaFree(memory) != cudaSuccess) cudaGetLastError();
}

void* allocate_host(std::size_t size, bool mapped, bool write_combined) {
    void* memory = nullptr;
    const unsigned flags = (mapped ? cudaHostAllocMapped : 0U) |
                           (write_combined ? cudaHostAllocWriteCombined : 0U) | cudaHostAllocPortable;
    check(cudaHostAlloc(&memory, size > 0 ? size : 1, flags), "cudaHostAlloc");
    return memory;
}

void release_host(void* memory) noexcept {
    const Relaxed relaxed;
    if (cudaFreeHost(memory) != cudaSuccess) cudaGetLastError();
}

void* device_pointer(void* host) {
    void* pointer = nullptr;
    check(cudaHostGetDevicePointer(&pointer, host, 0), "cudaHostGetDevicePointer");
    return pointer;
}

int device_of(const void* memory) {
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, memory), "cudaPointerGetAttributes");
    switch (attributes.type) {
        case cudaMemoryTypeDevice:
        case cudaMemoryTypeManaged:
            return attributes.device;
        case cudaMemoryTypeHost:
            return current_device();
        default:
            return -1;
    }
}

Stream create_stream(bool high_priority) {
    int least = 0;
    int greatest = 0;
    check(cudaDeviceGetStreamPriorityRange(&least, &greatest), "cudaDeviceGetStreamPriorityRange");
    cudaStream_t stream = nullptr;
    check(cudaStreamCreateWithPriority(&stream, cudaStreamNonBlocking, high_priority ? greatest : least),
          "cudaStreamCreateWithPriority");
    return stream;
}

void destroy_stream(Stream stream) noexcept {
    if (cudaStreamDestroy(as_stream(stream)) != cudaSuccess) cudaGetLastError();
}

void synchronize(Stream stream) {
    check(cudaStreamSynchronize(as_stream(stream)), "cudaStreamSynchronize");
}

bool is_done(Stream stream) {
    return is_ready(cudaStreamQuery(as_stream(stream)), "cudaStreamQuery");
}

Event create_event(bool timing) {
    cudaEvent_t event = nullptr;
    check(cudaEventCreateWithFlags(&event, timing ? cudaEventDefault : cudaEventDisableTiming),
          "cudaEventCreateWithFlags");
    return event;
}

void destroy_event(Event event) noexcept {
    if (cudaEventDestroy(as_event(event)) != cudaSuccess) cudaGetLastError();
}

void record_event(Event event, Stream stream) {
    check(cudaEventRecord(as_event(event), as_stream(stream)), "cudaEventRecord");
}

void wait_event(Stream stream, Event event) {
    check(cudaStreamWaitEvent(as_stream(stream), as_event(event), 0), "cudaStreamWaitEvent");
}

void synchronize_event(Event event) {
    check(cudaEventSynchronize(as_event(event)), "cudaEventSynchronize");
}

bool is_reached(Event event) {
    return is_ready(cudaEventQuery(as_event(event)), "cudaEventQuery");
}

float elapsed_ms(Event begin, Event end) {
    float elapsed = 0.0F;
    check(cudaEventElapsedTime(&elapsed, as_event(begin), as_event(end)), "cudaEventElapsedTime");
    return elapsed;
}

void copy_async(void* destination, const void* source, std::size_t size, Stream stream) {
    check(cudaMemcpyAsync(destination, source, size, cudaMemcpyDefault, as_stream(stream)),
          "cudaMemcpyAsync");
}

void copy_rows_async(Rows destination, ConstRows source, std::size_t size, std::size_t count, Stream stream) {
    check(cudaMemcpy2DAsync(destination.data, destination.stride, source.data, source.stride, size, count,
                            cudaMemcpyDefault, as_stream(stream)),
          "cudaMemcpy2DAsync");
}

void fill_async(void* memory, std::uint8_t value, std::size_t size, Stream stream) {
    check(cudaMemsetAsync(memory, value, size, as_stream(stream)), "cudaMemsetAsync");
}

void begin_capture(Stream stream) {
    // Thread-local: another thread may go on allocating meanwhile.
    check(cudaStreamBeginCapture(as_stream(stream), cudaStreamCaptureModeThreadLocal),
          "cudaStreamBeginCapture");
}

Graph end_capture(Stream stream) {
    cudaGraph_t recorded = nullptr;
    check(cudaStreamEndCapture(as_stream(stream), &recorded), "cudaStreamEndCapture");
    cudaGraphExec_t executable = nullptr;
    const cudaError_t code = cudaGraphInstantiateWithFlags(&executable, recorded, 0);
    if (code != cudaSuccess) cudaGraphDestroy(recorded);
    check(code, "cudaGraphInstantiateWithFlags");
    return {recorded, executable};
}

void launch_graph(const Graph& graph, Stream stream) {
    check(cudaGraphLaunch(static_cast<cudaGraphExec_t>(graph.executable), as_stream(stream)),
          "cudaGraphLaunch");
}

void destroy_graph(const Graph& graph) noexcept {
    cudaGraphExecDestroy(static_cast<cudaGraphExec_t>(graph.executable));
    cudaGraphDestroy(static_cast<cudaGraph_t>(graph.recorded));
    cudaGetLastError();
}

bool update_graph(const Graph& graph, const Graph& newer) {
    auto* executable = static_cast<cudaGraphExec_t>(graph.executable);
    auto* recorded = static_cast<cudaGraph_t>(newer.recorded);
#if CUDART_VERSION >= 12000
    cudaGraphExecUpdateResultInfo result{};
    const cudaError_t code = cudaGraphExecUpdate(executable, recorded, &result);
#else
    cudaGraphNode_t node = nullptr;
    cudaGraphExecUpdateResult result{};
    const cudaError_t code = cudaGraphExecUpdate(executable, recorded, &node, &result);
#endif
    if (code == cudaErrorGraphExecUpdateFailure) {
        cudaGetLastError();
        return false;
    }
    check(code, "cudaGraphExecUpdate");
    return true;
}

std::size_t count_nodes(const Graph& graph) {
    std::size_t count = 0;
    check(cudaGraphGetNodes(static_cast<cudaGraph_t>(graph.recorded), nullptr, &count), "cudaGraphGetNodes");
    return count;
}

namespace {

bool is_pageable(const void* pointer) {
    cudaPointerAttributes attributes{};
    check(cudaPointerGetAttributes(&attributes, pointer), "cudaPointerGetAttributes");
    return attributes.type == cudaMemoryTypeUnregistered;
}

}  // namespace

std::size_t count_host_work(const Graph& graph) {
    std::size_t total = count_nodes(graph), count = 0;
    std::vector<cudaGraphNode_t> nodes(total);
    check(cudaGraphGetNodes(static_cast<cudaGraph_t>(graph.recorded), nodes.data(), &total),
          "cudaGraphGetNodes");
    for (cudaGraphNode_t node : nodes) {
        cudaGraphNodeType type{};
        check(cudaGraphNodeGetType(node, &type), "cudaGraphNodeGetType");
        if (type == cudaGraphNodeTypeHost) ++count;
        if (type != cudaGraphNodeTypeMemcpy) continue;
        cudaMemcpy3DParms copy{};
        check(cudaGraphMemcpyNodeGetParams(node, &copy), "cudaGraphMemcpyNodeGetParams");
        if (is_pageable(copy.srcPtr.ptr) || is_pageable(copy.dstPtr.ptr)) ++count;
    }
    return count;
}

void check_launch(const char* kernel) {
    check(cudaGetLastError(), kernel);
}

}  // namespace ev::cuda
