// Memory that a binding lends to kernels, which do not allocate.
#pragma once

#include <cstddef>
#include <memory>
#include <new>

namespace ev::bind {

/// A thread's scratch, reused between calls and given back when a call needed far more than usual.
class Scratch {
  public:
    /// At least `size` bytes, aligned to 64. Earlier contents are lost.
    std::byte* reserve(std::size_t size) {
        if (size > size_) {
            data_.reset();
            size_ = 0;
            data_.reset(static_cast<std::byte*>(::operator new(size, kAlign)));
            size_ = size;
        }
        return data_.get();
    }

    /// False where the memory is given back.
    bool trim() {
        if (size_ <= kKept) return true;
        data_.reset();
        size_ = 0;
        return false;
    }

  private:
    static constexpr std::align_val_t kAlign{64};
    static constexpr std::size_t kKept = std::size_t{8} << 20;

    struct Free {
        void operator()(std::byte* data) const { ::operator delete(data, kAlign); }
    };
    std::unique_ptr<std::byte, Free> data_;
    std::size_t size_ = 0;
};

}  // namespace ev::bind
