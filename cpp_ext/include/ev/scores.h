// The scores family: softmax, sigmoid and the best k of a vector.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/arith.h"

namespace ev {

inline namespace EV_ISA {

/// float32 softmax over the middle axis of C-contiguous (outer, size, inner), the sum kept in double. A row
/// with a NaN or a +infinity, or of -infinity alone, becomes NaN.
template <class T>
void softmax(const T* logits, std::int64_t outer, std::int64_t size, std::int64_t inner, float* out);

/// out[i] = sigmoid_f32(logits[i]).
template <class T>
void sigmoid(const T* logits, std::int64_t size, float* out);

/// The k best scores, descending, the lower index first among equals, NaN last. `k` is at most `size`, which
/// is below 2^32; `keys` is scratch of `size` entries.
void top_k(const float* scores, std::int64_t size, std::int64_t k, std::uint64_t* keys, float* values,
           std::int64_t* indices);

}  // namespace EV_ISA

}  // namespace ev
