// Runs a file's tests once with the kernels of every instruction set that this processor has.
#include <cstdio>

#include "check.h"
#include "ev/kernels.h"

int main() {
    for (std::size_t i = 0; i < ev::count_available_kernels(); ++i) {
        const char* isa = ev::available_kernels(i).isa;
        CHECK(ev::select_kernels(isa));
        const int before = ev::test::failures;
        run();
        std::printf("%s: %d checks failed\n", isa, ev::test::failures - before);
    }
    return ev::test::failures == 0 ? 0 : 1;
}
