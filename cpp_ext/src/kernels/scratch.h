// Consecutive pieces of a scratch buffer that the caller owns: kernels allocate nothing.
#pragma once

#include <cstddef>

namespace ev {
inline namespace EV_ISA {

/// Hands out pieces aligned to 64 bytes, if the buffer is.
class ScratchArena {
  public:
    explicit ScratchArena(std::byte* memory) : next_(memory) {}

    template <class T>
    T* take(std::size_t count) {
        T* piece = reinterpret_cast<T*>(next_);
        next_ += size_of<T>(count);
        return piece;
    }

    /// Bytes that take<T>(count) uses.
    template <class T>
    static std::size_t size_of(std::size_t count) {
        return (count * sizeof(T) + 63) / 64 * 64;
    }

  private:
    std::byte* next_;
};

}  // namespace EV_ISA
}  // namespace ev
