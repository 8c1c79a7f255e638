// Scratch for kernels under test: what sanitizers watch ends where the contract says.
#pragma once

#include <cstddef>
#include <new>

namespace ev::test {

/// Scratch of exactly `size` bytes from an address that is a multiple of 64.
class AlignedScratch {
  public:
    explicit AlignedScratch(std::size_t size)
        : memory_(static_cast<std::byte*>(::operator new(size, std::align_val_t{64}))) {}
    ~AlignedScratch() { ::operator delete(memory_, std::align_val_t{64}); }
    AlignedScratch(const AlignedScratch&) = delete;
    AlignedScratch& operator=(const AlignedScratch&) = delete;

    std::byte* get() const { return memory_; }

  private:
    std::byte* memory_;
};

}  // namespace ev::test
