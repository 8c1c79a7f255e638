// The scores family: softmax, sigmoid and the best k of a vector.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/arith.h"

namespace ev {

/// Sums that a softmax keeps. Sum i adds the exponentials of elements i, i + 8, i + 16, ... one by one in
/// double: independent of one another, so that no addition waits for the one before it.
constexpr int kSums = 8;

/// Their total, added as a tree.
EV_INLINE double total_of(const double* sums) {
    return ((sums[0] + sums[4]) + (sums[2] + sums[6])) + ((sums[1] + sums[5]) + (sums[3] + sums[7]));
}

inline namespace EV_ISA {

/// float32 softmax over the middle axis of C-contiguous (outer, size, inner), the sum kept in double (see
/// kSums), of the columns [begin, end) of outer * inner: column i * inner + j is logits[i, :, j]. One with a
/// NaN or a +infinity, or of -infinity alone, becomes NaN. `out` may be `logits`.
template <class T>
void softmax(const T* logits, std::int64_t size, std::int64_t inner, std::int64_t begin, std::int64_t end,
             float* out);

/// out[i] = sigmoid_f32(logits[i]).
template <class T>
void sigmoid(const T* logits, std::int64_t size, float* out);

/// The k best scores, descending, the lower index first among equals, NaN last. `k` is at most `size`, which
/// is below 2^32; `keys` is scratch of `size` entries.
void top_k(const float* scores, std::int64_t size, std::int64_t k, std::uint64_t* keys, float* values,
           std::int64_t* indices);

}  // namespace EV_ISA

}  // namespace ev
