// Numbers out of a fuzzer's bytes.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/arith.h"

namespace ev::fuzz {

/// Numbers out of the input, and out of a generator that the input seeds once it is used up, so that short
/// inputs make large cases.
class Bytes {
  public:
    Bytes(const std::uint8_t* data, std::size_t size) : next_(data), left_(size), state_(size) {
        for (std::size_t i = 0; i < size; ++i) state_ = (state_ ^ data[i]) * 0x100000001b3U;
    }

    std::uint8_t byte() {
        if (left_ == 0) return static_cast<std::uint8_t>(random() >> 56);
        --left_;
        return *next_++;
    }

    std::uint32_t word() {
        if (left_ == 0) return static_cast<std::uint32_t>(random() >> 32);
        std::uint32_t value = 0;
        for (int i = 0; i < 4; ++i) value = (value << 8) | byte();
        return value;
    }

    bool flag() { return (byte() & 1) != 0; }

    /// low to high, both included.
    int between(int low, int high) {
        const auto range = static_cast<std::uint32_t>(high - low) + 1U;
        return low + static_cast<int>((range <= 256 ? byte() : word()) % range);
    }

    /// A size: mostly small, so that cases are quick; at times large enough for a kernel's widest steps.
    int size(int low, int usual, int large) { return between(low, between(0, 7) == 0 ? large : usual); }

    /// In [0, 1), in steps of 2^-24.
    float fraction() { return static_cast<float>(word() >> 8) * 0x1p-24F; }

    void fill(std::uint8_t* out, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) out[i] = byte();
    }

  private:
    /// SplitMix64 (Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
    std::uint64_t random() {
        state_ += 0x9e3779b97f4a7c15U;
        std::uint64_t value = state_;
        value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9U;
        value = (value ^ (value >> 27)) * 0x94d049bb133111ebU;
        return value ^ (value >> 31);
    }

    const std::uint8_t* next_;
    std::size_t left_;
    std::uint64_t state_;
};

/// The values of one array: how they are distributed is part of the case.
class Values {
  public:
    explicit Values(Bytes& bytes) : bytes_(bytes), kind_(bytes.between(0, 4)) {}

    float next() {
        switch (kind_) {
            case 0:
                return static_cast<float>(bytes_.between(-8, 8)) * 0.25F;  // many equal ones
            case 1:
                return float_of(bytes_.word());  // anything at all
            case 2:
                return bytes_.between(0, 7) == 0 ? special() : bytes_.fraction() * 8.0F - 4.0F;
            case 3:
                return bytes_.fraction();
            default:
                return (bytes_.fraction() - 0.5F) * 20.0F;
        }
    }

    void fill(float* out, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) out[i] = next();
    }

    void fill(Half* out, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) out[i] = cut(next());
    }

  private:
    float special() {
        constexpr std::uint32_t patterns[] = {0x7fc00000U, 0x7f800000U, 0xff800000U, 0x00000001U,
                                              0x807fffffU, 0x00800000U, 0x7f7fffffU, 0xff7fffffU,
                                              0x80000000U, 0x00000000U, 0x7f800001U, 0x3f7fffffU};
        return float_of(patterns[bytes_.between(0, 11)]);
    }

    /// A half of about the float's value: what is too small becomes subnormal, what is too large large,
    /// infinite or NaN. Any would do; like values for both types make like cases.
    static Half cut(float value) {
        const std::uint32_t bits = bits_of(value);
        const std::uint32_t sign = (bits >> 16) & 0x8000U;
        const std::uint32_t exponent = (bits >> 23) & 0xffU;
        const std::uint32_t mantissa = (bits >> 13) & 0x3ffU;
        const std::uint32_t biased = exponent < 113U ? 0U : (exponent > 142U ? 31U : exponent - 112U);
        const bool zero = (bits & 0x7fffffffU) == 0U;
        const bool infinite = (bits & 0x7fffffffU) == 0x7f800000U;
        return {static_cast<std::uint16_t>(sign | (biased << 10) | (zero || infinite ? 0U : mantissa))};
    }

    Bytes& bytes_;
    int kind_;
};

}  // namespace ev::fuzz
