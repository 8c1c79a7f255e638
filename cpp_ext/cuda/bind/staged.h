// What a kernel reads and the processor changes between launches.
#pragma once

#include <cstring>

#include "bind.h"

namespace ev::cuda::bind {

/// `count` structs of the processor's, in pinned memory, and their copy on the device. send() is what a graph
/// records: launched again, it copies what is here then.
template <class T>
class Staged {
  public:
    explicit Staged(std::size_t count)
        : host_(count * sizeof(T), false, false), device_(count * sizeof(T)), count_(count) {
        std::memset(host_.get(), 0, count * sizeof(T));
    }

    T& operator[](std::size_t index) { return static_cast<T*>(host_.get())[index]; }

    std::size_t size() const { return count_; }

    const T* send(std::size_t count, Stream stream) const {
        copy_async(device_.get(), host_.get(), count * sizeof(T), stream);
        return static_cast<const T*>(device_.get());
    }

  private:
    HostMemory host_;
    DeviceMemory device_;
    std::size_t count_;
};

/// A copy of constant bytes on the device, there before this returns. Not on the default stream, which waits
/// for those of other libraries, and would end what they capture.
inline void upload(const DeviceMemory& device, std::size_t offset, const void* bytes, std::size_t size) {
    const StreamObject stream(create_stream(false), true);
    without_gil([&] {
        copy_async(static_cast<std::byte*>(device.get()) + offset, bytes, size, stream.get());
        synchronize(stream.get());
    });
}

}  // namespace ev::cuda::bind
