// lanes.h with NEON of aarch64.
#pragma once

#include <arm_neon.h>

#include <cstdint>

#include "ev/arith.h"

namespace ev {
inline namespace EV_ISA {

constexpr std::int32_t kFloatLanes = 4;

struct Floats {
    float32x4_t raw;

    Floats() = default;
    // NOLINTBEGIN(google-explicit-constructor): a register, or a number in all lanes
    Floats(float32x4_t value) : raw(value) {}
    Floats(float value) : raw(vdupq_n_f32(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

struct Ints {
    int32x4_t raw;

    Ints() = default;
    // NOLINTBEGIN(google-explicit-constructor)
    Ints(int32x4_t value) : raw(value) {}
    Ints(std::int32_t value) : raw(vdupq_n_s32(value)) {}
    // NOLINTEND(google-explicit-constructor)
};

/// All bits of a lane, or none.
struct Mask {
    uint32x4_t raw;
};

EV_INLINE Floats operator+(Floats a, Floats b) {
    return vaddq_f32(a.raw, b.raw);
}
EV_INLINE Floats operator-(Floats a, Floats b) {
    return vsubq_f32(a.raw, b.raw);
}
EV_INLINE Floats operator*(Floats a, Floats b) {
    return vmulq_f32(a.raw, b.raw);
}
EV_INLINE Floats operator/(Floats a, Floats b) {
    return vdivq_f32(a.raw, b.raw);
}

EV_INLINE Floats load(const float* from) {
    return vld1q_f32(from);
}
EV_INLINE Floats load(const Half* from) {
    return vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(&from->bits)));
}
EV_INLINE Ints load(const std::int32_t* from) {
    return vld1q_s32(from);
}

EV_INLINE void store(float* to, Floats values) {
    vst1q_f32(to, values.raw);
}
EV_INLINE void store(std::int32_t* to, Ints values) {
    vst1q_s32(to, values.raw);
}

EV_INLINE Floats min(Floats a, Floats b) {
    return vminq_f32(a.raw, b.raw);
}
EV_INLINE Floats max(Floats a, Floats b) {
    return vmaxq_f32(a.raw, b.raw);
}
EV_INLINE Floats greater_of(Floats a, Floats b) {  // vmaxq gives NaN where one is NaN
    return vbslq_f32(vcgtq_f32(a.raw, b.raw), a.raw, b.raw);
}
EV_INLINE Floats negative_magnitude(Floats x) {
    return vreinterpretq_f32_u32(vorrq_u32(vreinterpretq_u32_f32(x.raw), vdupq_n_u32(0x80000000U)));
}
EV_INLINE Floats scaled_by_power(Floats value, Floats shifted, float to_nearest) {
    const uint32x4_t bias = vdupq_n_u32(127);
    const uint32x4_t whole = vsubq_u32(vreinterpretq_u32_f32(shifted.raw), vdupq_n_u32(bits_of(to_nearest)));
    const uint32x4_t half = vsubq_u32(vshrq_n_u32(vaddq_u32(whole, vdupq_n_u32(256)), 1), vdupq_n_u32(128));
    const uint32x4_t first = vshlq_n_u32(vaddq_u32(half, bias), 23);
    const uint32x4_t second = vshlq_n_u32(vaddq_u32(vsubq_u32(whole, half), bias), 23);
    return (value * vreinterpretq_f32_u32(first)) * vreinterpretq_f32_u32(second);
}

EV_INLINE Mask greater(Floats a, Floats b) {
    return {vcgtq_f32(a.raw, b.raw)};
}
EV_INLINE Mask equal(Ints a, Ints b) {
    return {vceqq_s32(a.raw, b.raw)};
}
EV_INLINE Mask finite_lanes(Floats a) {
    return {vceqq_f32((a - a).raw, vdupq_n_f32(0.0F))};
}
EV_INLINE Floats if_then_else(Mask mask, Floats a, Floats b) {
    return vbslq_f32(mask.raw, a.raw, b.raw);
}
EV_INLINE Ints if_then_else(Mask mask, Ints a, Ints b) {
    return vbslq_s32(mask.raw, a.raw, b.raw);
}
EV_INLINE bool any(Mask mask) {
    return vmaxvq_u32(mask.raw) != 0;
}

/// The four bytes of a lane, as the table instruction counts them.
EV_INLINE std::int32_t table_index(std::int32_t lane) {
    return lane * 0x04040404 + 0x03020100;
}
EV_INLINE Ints table_lookup(Ints table, const std::int32_t* at) {
    const uint8x16_t bytes = vreinterpretq_u8_s32(load(at).raw);
    return vreinterpretq_s32_u8(vqtbl1q_u8(vreinterpretq_u8_s32(table.raw), bytes));
}
EV_INLINE Floats table_lookup(Floats table, const std::int32_t* at) {
    return vreinterpretq_f32_s32(table_lookup(Ints(vreinterpretq_s32_f32(table.raw)), at).raw);
}

}  // namespace EV_ISA
}  // namespace ev

#include "lanes_four.h"
