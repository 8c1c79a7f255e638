// Runs a file's tests once with threads and blocks in order, and in orders drawn from two seeds.
#include <cstdint>
#include <cstdio>

#include "check.h"
#include "emulate.h"

int main() {
    for (const std::uint64_t seed : {0U, 1U, 2U}) {
        ev::cuda::set_emulation_seed(seed);
        const int before = ev::test::failures;
        run();
        std::printf("seed %d: %d checks failed\n", static_cast<int>(seed), ev::test::failures - before);
    }
    return ev::test::failures == 0 ? 0 : 1;
}
