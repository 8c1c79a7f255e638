#include <atomic>
#include <cstring>

#if defined(EV_WITH_AVX2)
#include <cpuid.h>
#endif

#include "ev/kernels.h"

namespace ev {

// One for each instruction set that was compiled. EV_BASE is the one that every processor of the platform
// has.
namespace EV_BASE {
extern const Kernels kernel_table;
}
#if defined(EV_WITH_AVX2)
namespace avx2 {
extern const Kernels kernel_table;
}
#endif
#if defined(EV_WITH_AVX512)
namespace avx512 {
extern const Kernels kernel_table;
}
namespace avx512icl {
extern const Kernels kernel_table;
}
#endif

namespace {

constexpr std::size_t kMaxTables = 4;

#if defined(EV_WITH_AVX2)
/// Older compilers' own test does not know its name.
bool has_f16c() {
    unsigned eax = 0;
    unsigned ebx = 0;
    unsigned ecx = 0;
    unsigned edx = 0;
    return __get_cpuid(1, &eax, &ebx, &ecx, &edx) != 0 && (ecx & bit_F16C) != 0;
}
#endif

struct Available {
    const Kernels* tables[kMaxTables] = {};
    std::size_t count = 0;

    Available() {
        add(&EV_BASE::kernel_table);
        // All that CMakeLists.txt compiles for: a virtual machine may hide any of it. The compiler's own test
        // asks the operating system too whether it saves the wide registers.
#if defined(EV_WITH_AVX2)
        const bool avx2 = __builtin_cpu_supports("avx2") != 0 && __builtin_cpu_supports("fma") != 0 &&
                          __builtin_cpu_supports("bmi") != 0 && __builtin_cpu_supports("bmi2") != 0 &&
                          __builtin_cpu_supports("popcnt") != 0 && has_f16c();
        if (avx2) add(&avx2::kernel_table);
#endif
#if defined(EV_WITH_AVX512)
        if (avx2 && __builtin_cpu_supports("avx512f") != 0 && __builtin_cpu_supports("avx512cd") != 0 &&
            __builtin_cpu_supports("avx512bw") != 0 && __builtin_cpu_supports("avx512vl") != 0 &&
            __builtin_cpu_supports("avx512dq") != 0) {
            add(&avx512::kernel_table);
            if (__builtin_cpu_supports("avx512vbmi") != 0 && __builtin_cpu_supports("avx512vbmi2") != 0 &&
                __builtin_cpu_supports("avx512vnni") != 0) {
                add(&avx512icl::kernel_table);
            }
        }
#endif
    }

    void add(const Kernels* table) { tables[count++] = table; }
};

const Available& available() {
    static const Available found;
    return found;
}

std::atomic<const Kernels*> selected{nullptr};

}  // namespace

std::size_t count_available_kernels() {
    return available().count;
}

const Kernels& available_kernels(std::size_t index) {
    return *available().tables[index];
}

const Kernels& kernels() {
    const Kernels* table = selected.load(std::memory_order_relaxed);
    if (table == nullptr) {
        table = available().tables[available().count - 1];
        selected.store(table, std::memory_order_relaxed);
    }
    return *table;
}

bool select_kernels(const char* isa) {
    for (std::size_t i = 0; i < available().count; ++i) {
        const Kernels* table = available().tables[i];
        if (std::strcmp(table->isa, isa) == 0) {
            selected.store(table, std::memory_order_relaxed);
            return true;
        }
    }
    return false;
}

}  // namespace ev
