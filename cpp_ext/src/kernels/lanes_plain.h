// lanes.h without registers: loops over arrays, for a compiler to make vectors of.
#pragma once

#include <algorithm>
#include <cstdint>

#include "ev/arith.h"

namespace ev {
inline namespace EV_ISA {

constexpr std::int32_t kFloatLanes = 16;

template <class T>
struct Array {
    T lane[kFloatLanes];

    Array() = default;
    Array(T value) { std::fill_n(lane, kFloatLanes, value); }  // NOLINT(google-explicit-constructor)
};

using Floats = Array<float>;
using Ints = Array<std::int32_t>;

/// All bits of a lane, or none.
struct Mask {
    std::int32_t lane[kFloatLanes];
};

template <class Result, class Function>
EV_INLINE Result each_lane(Function&& function) {
    Result result;
    for (std::int32_t i = 0; i < kFloatLanes; ++i) result.lane[i] = function(i);
    return result;
}

EV_INLINE std::int32_t all_if(bool condition) {
    return -static_cast<std::int32_t>(condition);
}

EV_INLINE Floats operator+(const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return a.lane[i] + b.lane[i]; });
}
EV_INLINE Floats operator-(const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return a.lane[i] - b.lane[i]; });
}
EV_INLINE Floats operator*(const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return a.lane[i] * b.lane[i]; });
}
EV_INLINE Floats operator/(const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return a.lane[i] / b.lane[i]; });
}

EV_INLINE Floats load(const float* from) {
    return each_lane<Floats>([&](std::int32_t i) { return from[i]; });
}
EV_INLINE Floats load(const Half* from) {
    return each_lane<Floats>([&](std::int32_t i) { return to_float(from[i]); });
}
EV_INLINE Ints load(const std::int32_t* from) {
    return each_lane<Ints>([&](std::int32_t i) { return from[i]; });
}
template <class T>
EV_INLINE Floats load_n_or(const T* from, std::int32_t n, float rest) {
    return each_lane<Floats>([&](std::int32_t i) { return i < n ? to_float(from[i]) : rest; });
}

template <class T>
EV_INLINE void store(T* to, const Array<T>& values) {
    std::copy_n(values.lane, kFloatLanes, to);
}
EV_INLINE void store_n(float* to, std::int32_t n, const Floats& values) {
    std::copy_n(values.lane, n, to);
}
EV_INLINE void stream(float* to, const Floats& values) {
    store(to, values);
}
EV_INLINE void finish_streaming() {}

EV_INLINE Floats greater_of(const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return a.lane[i] > b.lane[i] ? a.lane[i] : b.lane[i]; });
}
EV_INLINE Floats max(const Floats& a, const Floats& b) {
    return greater_of(a, b);
}
EV_INLINE Floats min(const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return a.lane[i] < b.lane[i] ? a.lane[i] : b.lane[i]; });
}
EV_INLINE Floats negative_magnitude(const Floats& x) {
    return each_lane<Floats>([&](std::int32_t i) { return ev::negative_magnitude(x.lane[i]); });
}
EV_INLINE Floats scaled_by_power(const Floats& value, const Floats& shifted, float to_nearest) {
    return each_lane<Floats>(
        [&](std::int32_t i) { return ev::scaled_by_power(value.lane[i], shifted.lane[i], to_nearest); });
}

EV_INLINE Mask greater(const Floats& a, const Floats& b) {
    return each_lane<Mask>([&](std::int32_t i) { return all_if(a.lane[i] > b.lane[i]); });
}
EV_INLINE Mask equal(const Ints& a, const Ints& b) {
    return each_lane<Mask>([&](std::int32_t i) { return all_if(a.lane[i] == b.lane[i]); });
}
EV_INLINE Mask finite_lanes(const Floats& a) {
    return each_lane<Mask>([&](std::int32_t i) { return all_if(is_finite(a.lane[i])); });
}
EV_INLINE Floats if_then_else(const Mask& mask, const Floats& a, const Floats& b) {
    return each_lane<Floats>([&](std::int32_t i) { return select(mask.lane[i] != 0, a.lane[i], b.lane[i]); });
}
EV_INLINE Ints if_then_else(const Mask& mask, const Ints& a, const Ints& b) {
    return each_lane<Ints>(
        [&](std::int32_t i) { return (a.lane[i] & mask.lane[i]) | (b.lane[i] & ~mask.lane[i]); });
}
EV_INLINE bool any(const Mask& mask) {
    std::int32_t bits = 0;
    for (const std::int32_t lane : mask.lane) bits |= lane;
    return bits != 0;
}

EV_INLINE std::int32_t table_index(std::int32_t lane) {
    return lane;
}
template <class T>
EV_INLINE Array<T> table_lookup(const Array<T>& table, const std::int32_t* at) {
    return each_lane<Array<T>>([&](std::int32_t i) { return table.lane[at[i]]; });
}

}  // namespace EV_ISA
}  // namespace ev
