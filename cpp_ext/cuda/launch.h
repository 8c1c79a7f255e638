// How one source of a kernel runs on a GPU and, for tests, on a processor.
//
// A kernel is a body: a struct of its parameters, whose operator() is what one thread of a block does.
//
//     struct Fill {
//         static constexpr int kThreads = 256;       // of a block
//         static constexpr bool kHasBarriers = false;
//         struct Shared {};                          // the block's shared memory
//         float* out; int count; float value;
//         EV_BODY void operator()(const Block& block, Shared&) const { ... }
//     };
//
// launch(body, grid, stream, name) puts it on the stream. nvcc makes a __global__ function of it; any other
// compiler makes a loop over blocks and threads (emulate.h), in which a barrier switches from thread to
// thread.
#pragma once

#include <cstdint>

#include "device.h"
#include "ev/isa.h"

#if !defined(__CUDACC__)
#include "emulate.h"
#endif

namespace ev::cuda {

#if defined(__CUDACC__)
#define EV_BODY __device__
#else
#define EV_BODY
#endif

struct GridSize {
    unsigned x, y, z;
};

/// The block that a thread belongs to, and which of its threads it is.
struct Block {
    int x, y, z;
    int thread;
    int threads;

    /// Until all threads of the block are here; what they wrote is then seen by all.
    EV_BODY void barrier() const {
#if defined(__CUDACC__)
        __syncthreads();
#else
        emulated_barrier();
#endif
    }
};

// Atomics whose results do not depend on the order: sums of integers and bits.

EV_BODY inline std::int32_t atomic_add(std::int32_t* target, std::int32_t value) {
#if defined(__CUDACC__)
    return atomicAdd(target, value);
#else
    return __atomic_fetch_add(target, value, __ATOMIC_RELAXED);
#endif
}

EV_BODY inline void atomic_or(std::uint64_t* target, std::uint64_t bits) {
#if defined(__CUDACC__)
    atomicOr(reinterpret_cast<unsigned long long*>(target), static_cast<unsigned long long>(bits));
#else
    __atomic_fetch_or(target, bits, __ATOMIC_RELAXED);
#endif
}

/// The least bit that is set; some is.
EV_BODY inline int lowest_bit(std::uint64_t word) {
#if defined(__CUDACC__)
    return __ffsll(static_cast<long long>(word)) - 1;
#else
    return __builtin_ctzll(word);
#endif
}

EV_BODY inline int count_bits(std::uint64_t word) {
#if defined(__CUDACC__)
    return __popcll(word);
#else
    return __builtin_popcountll(word);
#endif
}

EV_INLINE int ceil_div(std::int64_t count, std::int64_t step) {
    return static_cast<int>((count + step - 1) / step);
}

#if defined(__CUDACC__)

template <class Body>
__global__ void __launch_bounds__(Body::kThreads) run_body(const Body body) {
    __shared__ typename Body::Shared shared;
    const Block block{static_cast<int>(blockIdx.x), static_cast<int>(blockIdx.y),
                      static_cast<int>(blockIdx.z), static_cast<int>(threadIdx.x), Body::kThreads};
    (void)Body::kHasBarriers;  // counts where threads are emulated
    body(block, shared);
}

template <class Body>
void launch(const Body& body, GridSize grid, Stream stream, const char* name) {
    run_body<Body>
        <<<dim3(grid.x, grid.y, grid.z), Body::kThreads, 0, static_cast<cudaStream_t>(stream)>>>(body);
    check_launch(name);
}

#else

template <class Body>
void launch(const Body& body, GridSize grid, Stream stream, const char* /*name*/) {
    enqueue(stream, [body, grid] {
        typename Body::Shared shared;
        run_grid(
            grid.x, grid.y, grid.z, Body::kThreads, Body::kHasBarriers, &shared, sizeof shared,
            [&](int x, int y, int z, int thread) { body(Block{x, y, z, thread, Body::kThreads}, shared); });
    });
}

#endif

}  // namespace ev::cuda
