// A thread's scratch: calls that need the same again find it, a single large call's is given back.
#include <cstdint>

#include "check.h"
#include "thread_scratch.h"

namespace {

using ev::bind::Scratch;

constexpr std::size_t kMega = std::size_t{1} << 20;

/// A call that needs `size` bytes: true where the memory was there.
bool call(Scratch& scratch, std::size_t size) {
    const bool there = scratch.size() >= size;
    std::byte* memory = scratch.reserve(size);
    CHECK(reinterpret_cast<std::uintptr_t>(memory) % 64 == 0);
    if (size > 0) memory[0] = memory[size - 1] = std::byte{7};
    scratch.trim();
    return there;
}

void test_usual_sizes_are_kept() {
    Scratch scratch;
    CHECK(call(scratch, 0));
    CHECK(!call(scratch, 8 * kMega));
    for (int i = 0; i < 200; ++i) CHECK(call(scratch, 100));
    CHECK(call(scratch, 8 * kMega));
}

void test_large_calls_find_their_memory() {
    for (const int apart : {1, 2, 7, 16}) {  // a large call among small ones
        Scratch scratch;
        int allocated = 0;
        for (int i = 0; i < 1000; ++i) {
            if (!call(scratch, i % apart == 0 ? 30 * kMega : 1000)) ++allocated;
        }
        CHECK(allocated <= (apart == 1 ? 2 : 3));
    }
}

void test_calls_of_changing_sizes_find_their_memory() {
    Scratch scratch;
    int allocated = 0;
    std::uint32_t state = 1;
    for (int i = 0; i < 1000; ++i) {
        state = state * 1664525U + 1013904223U;
        if (!call(scratch, (20 + (state >> 16) % 20) * kMega) && i >= 32) ++allocated;
    }
    CHECK(allocated <= 3);  // the few that are larger than all before
}

void test_a_single_large_call_is_not_held() {
    Scratch scratch;
    for (int i = 0; i < 3; ++i) {
        call(scratch, 1000 * kMega / 16);
        CHECK(scratch.size() == 0);
        for (int small = 0; small < 64; ++small) call(scratch, 1000);
    }
}

void test_a_run_of_large_calls_is_held_until_they_end() {
    Scratch scratch;
    for (int i = 0; i < 5; ++i) call(scratch, 30 * kMega);
    CHECK(scratch.size() == 30 * kMega);
    for (int small = 0; small < 64; ++small) call(scratch, 1000);
    CHECK(scratch.size() <= 8 * kMega);
}

void test_an_outlier_among_large_calls_is_not_held() {
    Scratch scratch;
    for (int i = 0; i < 50; ++i) call(scratch, 10 * kMega);
    call(scratch, 90 * kMega);
    CHECK(scratch.size() == 0);
    call(scratch, 10 * kMega);
    CHECK(call(scratch, 10 * kMega));
    CHECK(scratch.size() == 10 * kMega);
}

void test_extending_keeps_what_was_there() {
    Scratch scratch;
    int grown = 0;
    for (std::size_t used = 0; used < 5000; ++used) {
        const std::size_t before = scratch.size();
        std::byte* memory = scratch.extend(used + 1, used);
        memory[used] = static_cast<std::byte>(used % 251);
        if (scratch.size() != before) ++grown;
    }
    CHECK(grown < 20);
    const std::byte* memory = scratch.extend(1, 1);
    for (std::size_t i = 0; i < 5000; ++i) CHECK(memory[i] == static_cast<std::byte>(i % 251));
    scratch.trim();
    CHECK(scratch.size() >= 5000);
}

}  // namespace

void run() {
    test_usual_sizes_are_kept();
    test_large_calls_find_their_memory();
    test_calls_of_changing_sizes_find_their_memory();
    test_a_single_large_call_is_not_held();
    test_a_run_of_large_calls_is_held_until_they_end();
    test_an_outlier_among_large_calls_is_not_held();
    test_extending_keeps_what_was_there();
}
