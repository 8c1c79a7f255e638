// Scalar arithmetic that every kernel family shares: half precision, an exponential, sortable keys.
//
// Nothing here calls libm, so that NumPy (edgevision/ops/reference/arith.py), every compiler and the GPU give
// the same bits for the same float32 operations.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <limits>

#include "ev/isa.h"

namespace ev {

/// IEEE 754 binary16, as ONNX and NumPy store it.
struct Half {
    std::uint16_t bits;
};

EV_INLINE std::uint32_t bits_of(float value) {
    std::uint32_t bits = 0;
    std::memcpy(&bits, &value, sizeof bits);
    return bits;
}

EV_INLINE float float_of(std::uint32_t bits) {
    float value = 0.0F;
    std::memcpy(&value, &bits, sizeof value);
    return value;
}

/// condition ? a : b in bit arithmetic: several conditions in a row turn into branches otherwise, and loops
/// then do not vectorise.
EV_INLINE float select(bool condition, float a, float b) {
    const std::uint32_t mask = 0U - static_cast<std::uint32_t>(condition);
    return float_of((bits_of(a) & mask) | (bits_of(b) & ~mask));
}

EV_INLINE float to_float(float value) {
    return value;
}

/// Exact. A half's exponent and mantissa, read as a float's, are 2^112 too small (biases 15 and 127);
/// multiplying repairs normal and subnormal numbers alike. Infinities and NaN get a float's exponent instead.
EV_INLINE float to_float(Half value) {
    const std::uint32_t sign = (value.bits & 0x8000U) << 16;
    const std::uint32_t magnitude = (value.bits & 0x7fffU) << 13;
    const bool special = (value.bits & 0x7c00U) == 0x7c00U;
    const float number = float_of(magnitude) * 0x1p112F;
    const std::uint32_t bits = special ? (magnitude | 0x7f800000U) : bits_of(number);
    return float_of(bits | sign);
}

EV_INLINE bool is_finite(float value) {
    return (bits_of(value) & 0x7f800000U) != 0x7f800000U;
}

/// What exp_of and sigmoid_of need of a float; src/kernels/lanes.h has the same for a register of them.
EV_INLINE float at_least(float low, float x) {
    return select(x < low, low, x);
}

EV_INLINE float at_most(float high, float x) {
    return select(x > high, high, x);
}

/// value * 2^n for the n of shifted = n + to_nearest. In two factors, so that subnormal results are rounded
/// once and 2^128 does not overflow early.
EV_INLINE float scaled_by_power(float value, float shifted, float to_nearest) {
    // In unsigned arithmetic, which wraps where a NaN makes n meaningless; the product is NaN whatever the
    // factors are.
    const std::uint32_t whole = bits_of(shifted) - bits_of(to_nearest);
    const std::uint32_t half = ((whole + 256U) >> 1) - 128U;  // floor(n / 2)
    const float first = float_of((half + 127U) << 23);
    const float second = float_of((whole - half + 127U) << 23);
    return (value * first) * second;
}

EV_INLINE float negative_magnitude(float x) {
    return float_of(bits_of(x) | 0x80000000U);
}

EV_INLINE float one_unless_negative(float x, float otherwise) {
    return select(x < 0.0F, otherwise, 1.0F);
}

/// exp(x) within 2 ulp for x up to 89; 0 below -104, NaN for NaN. A softmax and a sigmoid need no more.
///
/// x = n ln 2 + r with |r| <= ln 2 / 2; exp(r) is its Taylor series to r^7 (relative error 6e-9, a tenth of
/// half an ulp), times 2^n. ln 2 is split in a part with few bits, whose product with n is exact, and the
/// rest. F is float, or a register of them.
template <class F>
EV_INLINE F exp_below_89(F x) {
    constexpr float ln2_high = 0.693145751953125F;         // the first 16 bits of ln 2 and no more
    constexpr float ln2_low = 1.42860682030941723212e-6F;  // ln 2 - ln2_high
    constexpr float to_nearest = 12582912.0F;  // 1.5 * 2^23: adding it rounds to an integer, half to even
    const F bounded = at_least(-104.0F, x);
    const F shifted = bounded * 1.44269504088896340736F + to_nearest;
    const F n = shifted - to_nearest;
    const F r = (bounded - n * ln2_high) - n * ln2_low;
    F p = r * (1.0F / 5040.0F) + 1.0F / 720.0F;
    p = p * r + 1.0F / 120.0F;
    p = p * r + 1.0F / 24.0F;
    p = p * r + 1.0F / 6.0F;
    p = p * r + 0.5F;
    p = p * r + 1.0F;
    p = p * r + 1.0F;
    return scaled_by_power(p, shifted, to_nearest);
}

/// exp(x) for every x: infinity above 88.73.
template <class F>
EV_INLINE F exp_of(F x) {
    return exp_below_89(at_most(89.0F, x));
}

/// 1 / (1 + exp(-x)) without overflow: the exponential is taken of -|x| only.
template <class F>
EV_INLINE F sigmoid_of(F x) {
    const F z = exp_below_89(negative_magnitude(x));
    return one_unless_negative(x, z) / (z + 1.0F);
}

EV_INLINE float exp_f32(float x) {
    return exp_of(x);
}

EV_INLINE float sigmoid_f32(float x) {
    return sigmoid_of(x);
}

/// A key that sorts ascending where scores sort descending: -0 and 0 are equal, every NaN comes last.
EV_INLINE std::uint32_t descending_key(float score) {
    if (score != score) return 0xffffffffU;
    const std::uint32_t bits = bits_of(score + 0.0F);
    return (bits & 0x80000000U) != 0U ? bits : ~(bits | 0x80000000U);
}

/// The score of a key: 0 for -0, a NaN for every NaN.
EV_INLINE float score_of(std::uint32_t key) {
    return float_of((key & 0x80000000U) != 0U ? key : ~key & 0x7fffffffU);
}

/// What kernels compare instead of numbers: for a half, an integer of the same order, cheaper to make than a
/// float. The comparison `a > b` is false for a NaN `a` in both.
template <class T>
struct Order;

template <>
struct Order<float> {
    using Key = float;
    EV_HD static Key key(float value) { return value; }
    EV_HD static Key lowest() { return -std::numeric_limits<float>::infinity(); }
    /// The key t with `value > limit` exactly where `key(value) > t`.
    EV_HD static Key limit(float limit) { return limit; }
};

template <>
struct Order<Half> {
    using Key = std::int16_t;
    /// In 16-bit steps, which compilers turn into 16-bit lanes.
    EV_HD static Key key(Half value) {
        const auto bits = static_cast<Key>(value.bits);
        const auto sign = static_cast<Key>(bits >> 15);  // -1 or 0
        const auto magnitude = static_cast<Key>(bits & 0x7fff);
        const auto ordered = static_cast<Key>((magnitude ^ sign) - sign);
        return magnitude > 0x7c00 ? lowest() : ordered;
    }
    EV_HD static Key lowest() {
        return -0x7c00;
    }  // -infinity's key: nothing is below it but NaN, which never wins
    /// The largest half that is not above the limit, for a limit in [0, 65504].
    EV_HD static Key limit(float limit) {
        int low = 0;
        int high = 0x7c00;
        while (high - low > 1) {
            const int middle = (low + high) / 2;
            const float value = to_float(Half{static_cast<std::uint16_t>(middle)});
            (value <= limit ? low : high) = middle;
        }
        return static_cast<Key>(low);
    }
};

}  // namespace ev
