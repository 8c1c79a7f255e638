// Where libFuzzer, or driver.cpp in its place, enters a target.
#include "target.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    ev::fuzz::Bytes bytes(data, size);
    ev::fuzz::memory.rewind(0, 0);
    ev::fuzz::run_case(bytes);
    return 0;
}
