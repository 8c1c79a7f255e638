// The best of many keys, and the top k of scores.
//
// A key is descending_key(score) << 32 | index: ascending keys are descending scores, the lower index first
// among equals. No two keys of an array are equal, so that the k least are the same whatever order threads
// come in.
#pragma once

#include "device.h"
#include "ev/arith.h"

namespace ev::cuda {

/// Keys of a batch, array after array.
struct KeyArrays {
    const std::uint64_t* keys;
    std::int64_t capacity;       // from array to array
    const std::int32_t* counts;  // how many each has, on the device; null: all have `capacity`
};

/// A power of two, at least count.
constexpr std::int64_t round_to_power(std::int64_t count) {
    std::int64_t power = 1;
    while (power < count) power *= 2;
    return power;
}

/// Sorts the k best of each array into best + i * round_to_power(k), and writes how many there are to
/// found[i].
void launch_sort_best(const KeyArrays& arrays, int batch, int k, std::uint64_t* best, std::int32_t* found,
                      Stream stream);

/// Bytes of workspace, aligned to 256, for launch_top_k.
std::size_t top_k_workspace_size(int batch, std::int64_t size, int k);

/// The k best of each row of `size` scores, descending, the lower index first among equals, NaN last; k is at
/// most `size`, which is below 2^31. values, indices: (batch, k).
void launch_top_k(const float* scores, int batch, std::int64_t size, int k, void* workspace, float* values,
                  std::int32_t* indices, Stream stream);

}  // namespace ev::cuda
