// Threads for the large kernels: a call is cut into parts that may run anywhere and in any order.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ev {

constexpr int kMaxThreads = 64;

/// Threads a large call may use, the calling one included: at first as many as processors this process may
/// run on, at most 8.
int num_threads();

/// 1 to kMaxThreads; larger and smaller numbers are cut to that.
void set_num_threads(int threads);

/// Calls run(context, part) once for every part in [0, parts), on the calling thread and at most
/// num_threads() - 1 others, and returns when all are done. Parts must not depend on one another. While
/// another thread is using the workers the caller does everything itself: as many cameras as processors need
/// no more threads. Nothing is allocated once the workers are there. After fork the child starts workers of
/// its own.
void run_parts(int parts, void (*run)(void* context, int part), void* context);

/// The same for a callable.
template <class Run>
void for_each_part(int parts, Run&& run) {
    run_parts(parts, [](void* context, int part) { (*static_cast<Run*>(context))(part); }, &run);
}

/// Into how many parts a call is best cut that works on `work` units: one for each thread, but no part of
/// fewer than `least` units.
int count_parts(std::size_t work, std::size_t least);

/// Where part `part` of `parts` begins in `count` units; of `parts` itself, where the last one ends.
inline std::int64_t part_begin(std::int64_t count, int part, int parts) {
    return count * part / parts;
}

}  // namespace ev
