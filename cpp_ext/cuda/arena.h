// Consecutive pieces of a workspace on the device, aligned to 256 bytes.
#pragma once

#include <cstddef>

namespace ev::cuda {

/// Without memory it only counts: what used() says is the size to allocate.
class Arena {
  public:
    explicit Arena(void* memory) : memory_(static_cast<std::byte*>(memory)) {}

    template <class T>
    T* take(std::size_t count) {
        T* piece = memory_ == nullptr ? nullptr : reinterpret_cast<T*>(memory_ + used_);
        used_ += (count * sizeof(T) + 255) / 256 * 256;
        return piece;
    }

    std::size_t used() const { return used_; }

  private:
    std::byte* memory_;
    std::size_t used_ = 0;
};

}  // namespace ev::cuda
