// What each part adds to the module; a file each. Part of the module's classes that others take.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <cstdint>
#include <string>

#include "device.h"

namespace ev::cuda::bind {

namespace nb = nanobind;

void bind_device(nb::module_& module);
void bind_memory(nb::module_& module);
void bind_streams(nb::module_& module);
void bind_image(nb::module_& module);
void bind_boxes(nb::module_& module);
void bind_nms(nb::module_& module);
void bind_scores(nb::module_& module);
void bind_masks(nb::module_& module);

inline void require(bool condition, const char* message) {
    if (!condition) throw nb::value_error(message);
}

inline void* as_pointer(std::uint64_t address) {
    return reinterpret_cast<void*>(static_cast<std::uintptr_t>(address));
}

inline std::uint64_t as_address(const void* pointer) {
    return reinterpret_cast<std::uintptr_t>(pointer);
}

/// For functions that touch nothing of Python's: other threads go on, and what they have put on the GPU that
/// calls Python gets there.
using NoGil = nb::call_guard<nb::gil_scoped_release>;

/// What `call` gives, made without Python's lock, which this thread has unless Python is ending.
template <class Call>
auto without_gil(const Call& call) {
    if (!nb::is_alive()) return call();
    const nb::gil_scoped_release released;
    return call();
}

/// A stream that is owned, or another library's.
class StreamObject {
  public:
    StreamObject(Stream stream, bool owned) : stream_(stream), owned_(owned) {}
    StreamObject(const StreamObject&) = delete;
    StreamObject& operator=(const StreamObject&) = delete;
    ~StreamObject() {
        if (owned_) without_gil([this] { destroy_stream(stream_); });
    }

    Stream get() const { return stream_; }

  private:
    Stream stream_;
    bool owned_;
};

/// Memory on the device, freed with the object.
class DeviceMemory {
  public:
    explicit DeviceMemory(std::size_t size)
        : pointer_(without_gil([size] { return allocate(size); })), size_(size) {}
    DeviceMemory(const DeviceMemory&) = delete;
    DeviceMemory& operator=(const DeviceMemory&) = delete;
    ~DeviceMemory() {
        without_gil([this] { release(pointer_); });
    }

    void* get() const { return pointer_; }
    std::size_t size() const { return size_; }

  private:
    void* pointer_;
    std::size_t size_;
};

/// Pinned memory of the processor.
class HostMemory {
  public:
    HostMemory(std::size_t size, bool mapped, bool write_combined)
        : pointer_(without_gil([=] { return allocate_host(size, mapped, write_combined); })),
          size_(size),
          mapped_(mapped) {}
    HostMemory(const HostMemory&) = delete;
    HostMemory& operator=(const HostMemory&) = delete;
    ~HostMemory() {
        without_gil([this] { release_host(pointer_); });
    }

    void* get() const { return pointer_; }
    std::size_t size() const { return size_; }
    bool mapped() const { return mapped_; }

  private:
    void* pointer_;
    std::size_t size_;
    bool mapped_;
};

}  // namespace ev::cuda::bind
