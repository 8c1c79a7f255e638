// Memory that a binding lends to kernels, which do not allocate.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <memory>
#include <new>

namespace ev::bind {

/// How much memory is worth keeping between calls: what a few dozen calls needed at least twice, so that a
/// camera's frames find theirs however large, and a single large picture's is not held for ever.
class Demand {
  public:
    /// Memory of up to this is kept in any case.
    static constexpr std::size_t kKept = std::size_t{8} << 20;

    /// Takes down what a call needed; returns how much may be kept until the next.
    std::size_t note(std::size_t size) {
        second_ = std::max(second_, std::min(size, largest_));
        largest_ = std::max(largest_, size);
        const std::size_t usual = std::max(before_, second_);
        if (++calls_ == kCalls) {
            before_ = second_;
            calls_ = 0;
            largest_ = second_ = 0;
        }
        return std::max(kKept, 2 * usual);  // twice: what a call finds differs from frame to frame
    }

  private:
    static constexpr int kCalls = 32;

    int calls_ = 0;
    std::size_t largest_ = 0;  // of this round of calls
    std::size_t second_ = 0;
    std::size_t before_ = 0;  // the second largest of the round before
};

/// A thread's scratch, reused between calls: the largest that calls need time and again.
class Scratch {
  public:
    /// At least `size` bytes, aligned to 64. Earlier contents are lost where it has to grow.
    std::byte* reserve(std::size_t size) {
        needed_ = std::max(needed_, size);
        if (size > size_) {
            trim_to(0);
            allocate(size, &data_);
            size_ = size;
        }
        return data_.get();
    }

    /// The same, with the first `used` bytes kept; grows at least twofold, for calls that learn what they
    /// need as they go.
    std::byte* extend(std::size_t size, std::size_t used) {
        needed_ = std::max(needed_, size);
        if (size > size_) {
            const std::size_t larger = std::max(size, 2 * used);
            Memory grown;
            allocate(larger, &grown);
            if (used > 0) std::memcpy(grown.get(), data_.get(), used);
            data_ = std::move(grown);
            size_ = larger;
        }
        return data_.get();
    }

    /// Ends a call. False where the memory is given back.
    bool trim() {
        const std::size_t kept = demand_.note(needed_);
        needed_ = 0;
        return trim_to(kept);
    }

    std::size_t size() const { return size_; }

  private:
    static constexpr std::align_val_t kAlign{64};

    struct Free {
        void operator()(std::byte* data) const { ::operator delete(data, kAlign); }
    };
    using Memory = std::unique_ptr<std::byte, Free>;

    static void allocate(std::size_t size, Memory* memory) {
        memory->reset(static_cast<std::byte*>(::operator new(size, kAlign)));
    }

    bool trim_to(std::size_t kept) {
        if (size_ <= kept) return true;
        data_.reset();
        size_ = 0;
        return false;
    }

    Memory data_;
    std::size_t size_ = 0;
    std::size_t needed_ = 0;  // by the call
    Demand demand_;
};

}  // namespace ev::bind
