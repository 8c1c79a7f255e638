// glibc's checked longjmp refuses to leave one stack for another.
#undef _FORTIFY_SOURCE
#include "emulate.h"

#include <setjmp.h>
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

/// A stack on which one thread of a block after another runs. Kept from block to block: threads that are done
/// wait for the next block's.
struct Fiber {
    ucontext_t context;  // to begin with; a jump is much faster, as it leaves the signal mask alone
    jmp_buf place;
    std::unique_ptr<char[]> stack;
    bool begun = false;
    bool done = true;
    void* fake_stack = nullptr;  // AddressSanitizer's
};

/// The block whose threads take turns.
struct Turns {
    std::vector<std::unique_ptr<Fiber>> fibers;
    jmp_buf scheduler;
    int current = 0;
    const std::function<void(int)>* thread = nullptr;
    void* fake_stack = nullptr;
    const void* scheduler_stack = nullptr;
    std::size_t scheduler_size = 0;
};

thread_local Turns turns;

#if defined(EV_ASAN)
void start_switch(void** fake, const void* stack, std::size_t size) {
    __sanitizer_start_switch_fiber(fake, stack, size);
}
void finish_switch(void* fake, const void** from, std::size_t* size) {
    __sanitizer_finish_switch_fiber(fake, from, size);
}
#else
void start_switch(void** /*fake*/, const void* /*stack*/, std::size_t /*size*/) {}
void finish_switch(void* /*fake*/, const void** /*from*/, std::size_t* /*size*/) {}
#endif

/// From a thread back to the scheduler; returns when it is the thread's turn again.
void leave() {
    Fiber& fiber = *turns.fibers[static_cast<std::size_t>(turns.current)];
    start_switch(&fiber.fake_stack, turns.scheduler_stack, turns.scheduler_size);
    if (_setjmp(fiber.place) == 0) _longjmp(turns.scheduler, 1);
    finish_switch(turns.fibers[static_cast<std::size_t>(turns.current)]->fake_stack, &turns.scheduler_stack,
                  &turns.scheduler_size);
}

void run_fiber() {
    finish_switch(nullptr, &turns.scheduler_stack, &turns.scheduler_size);
    for (;;) {
        (*turns.thread)(turns.current);
        turns.fibers[static_cast<std::size_t>(turns.current)]->done = true;
        leave();
    }
}

void begin(Fiber* fiber) {
    fiber->stack = std::make_unique<char[]>(kStackSize);
    getcontext(&fiber->context);
    fiber->context.uc_stack.ss_sp = fiber->stack.get();
    fiber->context.uc_stack.ss_size = kStackSize;
    fiber->context.uc_link = nullptr;
    makecontext(&fiber->context, &run_fiber, 0);
}

/// Lets a thread run to its next barrier, or its end.
void resume(int index) {
    turns.current = index;
    Fiber& fiber = *turns.fibers[static_cast<std::size_t>(index)];
    start_switch(&turns.fake_stack, fiber.stack.get(), kStackSize);
    if (_setjmp(turns.scheduler) == 0) {
        if (fiber.begun) _longjmp(fiber.place, 1);
        fiber.begun = true;
        setcontext(&fiber.context);
    }
    finish_switch(turns.fake_stack, nullptr, nullptr);
}

void run_with_barriers(int threads, std::vector<int>* order, std::mt19937_64* random,
                       const std::function<void(int)>& thread) {
    turns.thread = &thread;
    while (turns.fibers.size() < static_cast<std::size_t>(threads)) {
        turns.fibers.push_back(std::make_unique<Fiber>());
        begin(turns.fibers.back().get());
    }
    for (int i = 0; i < threads; ++i) turns.fibers[static_cast<std::size_t>(i)]->done = false;
    for (int ended = 0; ended == 0;) {
        if (seed != 0) std::shuffle(order->begin(), order->end(), *random);
        for (const int i : *order) {
            resume(i);
            ended += turns.fibers[static_cast<std::size_t>(i)]->done ? 1 : 0;
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
    leave();
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
