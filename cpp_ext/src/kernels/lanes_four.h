// What the headers of four lanes, SSE2's and NEON's, do by way of memory. They include it.
#pragma once

#include <algorithm>
#include <cstdint>

namespace ev {
inline namespace EV_ISA {

template <class T>
EV_INLINE Floats load_n_or(const T* from, std::int32_t n, float rest) {
    float values[kFloatLanes];
    std::fill_n(values, kFloatLanes, rest);
    for (std::int32_t i = 0; i < n; ++i) values[i] = to_float(from[i]);
    return load(values);
}

EV_INLINE void store_n(float* to, std::int32_t n, Floats values) {
    float lanes[kFloatLanes];
    store(lanes, values);
    std::copy_n(lanes, n, to);
}
EV_INLINE void stream(float* to, Floats values) {
    store(to, values);
}
EV_INLINE void finish_streaming() {}

}  // namespace EV_ISA
}  // namespace ev
