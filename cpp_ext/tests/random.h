// Pseudo-random numbers for the tests, the same with every compiler and library.
#pragma once

#include <cstdint>
#include <vector>

namespace ev::test {

/// Numerical Recipes' linear congruential generator; the low bits, which repeat soon, are not used.
class Random {
  public:
    explicit Random(std::uint32_t seed = 1) : state_(seed) {}

    /// In [0, 1), in steps of 2^-24.
    float next() { return static_cast<float>(advance() >> 8) * 0x1p-24F; }

    /// low to high, both included.
    int between(int low, int high) {
        const std::uint64_t range = static_cast<std::uint64_t>(std::int64_t{high} - low) + 1;
        return static_cast<int>(low + static_cast<std::int64_t>(advance() * range >> 32));
    }

    std::vector<std::uint8_t> bytes(int count) {
        std::vector<std::uint8_t> result(static_cast<std::size_t>(count));
        for (std::uint8_t& byte : result) byte = static_cast<std::uint8_t>(between(0, 255));
        return result;
    }

  private:
    std::uint32_t advance() { return state_ = state_ * 1664525U + 1013904223U; }

    std::uint32_t state_;
};

}  // namespace ev::test
