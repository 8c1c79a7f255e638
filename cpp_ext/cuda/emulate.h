// Blocks and threads of a GPU on one processor, for tests.
//
// Threads of a block run one after another, each to its end; with barriers, each to its next barrier, on a
// stack of its own. Which comes first is drawn from a seed, threads and blocks alike: a kernel whose result
// depends on what a GPU does not promise gives another result with another seed. Shared memory is filled with
// rubbish before a block.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>

namespace ev::cuda {

/// 0: in order. Else the order of the blocks and of the threads between two barriers is drawn from it.
void set_emulation_seed(std::uint64_t seed);

/// Runs `work` when the stream comes to it: at once, or whenever the graph that the stream records is
/// launched.
void enqueue(void* stream, std::function<void()> work);

/// Calls `thread(x, y, z, index)` for every thread of every block.
void run_grid(unsigned grid_x, unsigned grid_y, unsigned grid_z, int threads, bool has_barriers, void* shared,
              std::size_t shared_size, const std::function<void(int, int, int, int)>& thread);

/// What a thread calls at a barrier. Ends the process if the block's other threads end without one.
void emulated_barrier();

}  // namespace ev::cuda
