// The whole test framework: CHECK counts what fails and says where; main.cpp calls a file's run() and turns
// the count into an exit status.
#pragma once

#include <cstdio>

namespace ev::test {

inline int failures = 0;

inline void fail(const char* file, int line, const char* what) {
    ++failures;
    // A broken kernel fails at every pixel: the first few lines tell the story.
    if (failures <= 20) std::fprintf(stderr, "%s:%d: failed: %s\n", file, line, what);
}

}  // namespace ev::test

#define CHECK(condition)                                                  \
    do {                                                                  \
        if (!(condition)) ev::test::fail(__FILE__, __LINE__, #condition); \
    } while (false)

/// What a test file defines.
void run();
