#include "emulate.h"

#include <ucontext.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <numeric>
#include <random>
#include <vector>

#if defined(__SANITIZE_ADDRESS__)
#define EV_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EV_ASAN 1
#endif
#endif
#if defined(EV_ASAN)
#include <sanitizer/common_interface_defs.h>
#endif

namespace ev::cuda {
namespace {

std::uint64_t seed = 0;

constexpr std::size_t kStackSize = std::size_t{1} << 16;

/// One thread of a block, on a stack of its own.
struct Fiber {
    ucontext_t context;
    std::unique_ptr<char[]> stack;
    bool done;
};

/// The block whose threads take turns. Fibers are kept from block to block.
struct Turns {
    std::vector<Fiber> fibers;
    ucontext_t scheduler;
    int current = 0;
    const std::function<void(int)>* thread = nullptr;
    void* fake_stack = nullptr;  // AddressSanitizer's, of the scheduler
    const void* scheduler_stack = nullptr;
    std::size_t scheduler_size = 0;
};

thread_local Turns turns;

/// From a thread back to the scheduler; `last`: the thread never comes back.
void leave([[maybe_unused]] bool last) {
    Fiber& fiber = turns.fibers[static_cast<std::size_t>(turns.current)];
#if defined(EV_ASAN)
    void* fake = nullptr;
    __sanitizer_start_switch_fiber(last ? nullptr : &fake, turns.scheduler_stack, turns.scheduler_size);
    swapcontext(&fiber.context, &turns.scheduler);
    __sanitizer_finish_switch_fiber(fake, &turns.scheduler_stack, &turns.scheduler_size);
#else
    swapcontext(&fiber.context, &turns.scheduler);
#endif
}

void run_fiber() {
#if defined(EV_ASAN)
    __sanitizer_finish_switch_fiber(nullptr, &turns.scheduler_stack, &turns.scheduler_size);
#endif
    const int index = turns.current;
    (*turns.thread)(index);
    turns.fibers[static_cast<std::size_t>(index)].done = true;
    leave(true);
}

void resume(int index) {
    Fiber& fiber = turns.fibers[static_cast<std::size_t>(index)];
    turns.current = index;
#if defined(EV_ASAN)
    __sanitizer_start_switch_fiber(&turns.fake_stack, fiber.stack.get(), kStackSize);
    swapcontext(&turns.scheduler, &fiber.context);
    __sanitizer_finish_switch_fiber(turns.fake_stack, nullptr, nullptr);
#else
    swapcontext(&turns.scheduler, &fiber.context);
#endif
}

void run_with_barriers(int threads, std::vector<int>* order, std::mt19937_64* random,
                       const std::function<void(int)>& thread) {
    turns.thread = &thread;
    while (turns.fibers.size() < static_cast<std::size_t>(threads)) {
        turns.fibers.emplace_back();
        turns.fibers.back().stack = std::make_unique<char[]>(kStackSize);
    }
    for (int i = 0; i < threads; ++i) {
        Fiber& fiber = turns.fibers[static_cast<std::size_t>(i)];
        fiber.done = false;
        getcontext(&fiber.context);
        fiber.context.uc_stack.ss_sp = fiber.stack.get();
        fiber.context.uc_stack.ss_size = kStackSize;
        fiber.context.uc_link = nullptr;
        makecontext(&fiber.context, &run_fiber, 0);
    }
    for (int ended = 0; ended == 0;) {
        if (seed != 0) std::shuffle(order->begin(), order->end(), *random);
        for (const int i : *order) {
            resume(i);
            ended += turns.fibers[static_cast<std::size_t>(i)].done ? 1 : 0;
        }
        if (ended != 0 && ended != threads) {
            std::fprintf(stderr, "a barrier was reached by %d threads of %d\n", threads - ended, threads);
            std::abort();
        }
    }
}

}  // namespace

void set_emulation_seed(std::uint64_t value) {
    seed = value;
}

void emulated_barrier() {
    leave(false);
}

void run_grid(unsigned grid_x, unsigned grid_y, unsigned grid_z, int threads, bool has_barriers, void* shared,
              std::size_t shared_size, const std::function<void(int, int, int, int)>& thread) {
    std::mt19937_64 random(seed);
    std::vector<unsigned> blocks(std::size_t{grid_x} * grid_y * grid_z);
    std::iota(blocks.begin(), blocks.end(), 0U);
    std::vector<int> order(static_cast<std::size_t>(threads));
    std::iota(order.begin(), order.end(), 0);
    if (seed != 0) std::shuffle(blocks.begin(), blocks.end(), random);
    for (const unsigned block : blocks) {
        const auto x = static_cast<int>(block % grid_x);
        const auto y = static_cast<int>(block / grid_x % grid_y);
        const auto z = static_cast<int>(block / grid_x / grid_y);
        std::memset(shared, 0xa5, shared_size);
        if (has_barriers) {
            run_with_barriers(threads, &order, &random, [&](int i) { thread(x, y, z, i); });
            continue;
        }
        if (seed != 0) std::shuffle(order.begin(), order.end(), random);
        for (const int i : order) thread(x, y, z, i);
    }
}

}  // namespace ev::cuda
