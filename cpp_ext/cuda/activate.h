// Scores of logits: softmax of rows, sigmoid.
#pragma once

#include "device.h"

namespace ev::cuda {

/// float32 softmax of each of `rows` contiguous rows of `size` logits, float32 or, with half, float16: the
/// bits of ev::softmax. `scores` may be float32 `logits`. At most 2^31 - 1 rows.
void launch_softmax(const void* logits, bool half, std::int64_t rows, std::int64_t size, float* scores,
                    Stream stream);

/// float32 sigmoid of each of `count` logits: the bits of ev::sigmoid. At most 2^38 of them.
void launch_sigmoid(const void* logits, bool half, std::int64_t count, float* scores, Stream stream);

}  // namespace ev::cuda
