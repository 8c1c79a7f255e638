// Runs a fuzz target without libFuzzer, on inputs of a seeded generator: TARGET [runs] [seed].
//
// Any compiler builds it, so the targets are part of the ordinary tests; the last line is what the results
// hash to, which must be the same on every processor.
#include <cinttypes>
#include <cstdint>
#include <cstdio>
#include <cstdlib>

#include "agree.h"
#include "bytes.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size);

int main(int count, char** arguments) {
    const std::uint64_t runs = count > 1 ? std::strtoull(arguments[1], nullptr, 10) : 2000;
    const std::uint64_t seed = count > 2 ? std::strtoull(arguments[2], nullptr, 10) : 1;
    ev::fuzz::Bytes random(reinterpret_cast<const std::uint8_t*>(&seed), sizeof seed);
    std::uint8_t input[32];
    for (std::uint64_t run = 0; run < runs; ++run) {
        random.fill(input,
                    sizeof input);  // a target draws from the generator that these seed when they are used up
        LLVMFuzzerTestOneInput(input, sizeof input);
    }
    std::printf("%" PRIu64 " runs from seed %" PRIu64 ": %016" PRIx64 "\n", runs, seed, ev::fuzz::digest);
    return 0;
}
