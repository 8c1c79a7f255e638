// Counts what a process asks of the C library's allocator: loaded before it (LD_PRELOAD), built by the test
// that uses it. Memory that Python takes from its own pools for objects of up to 512 bytes is not seen; the
// pools are.
#include <malloc.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstddef>

// glibc's own, below the names that this library takes.
extern "C" void* __libc_malloc(std::size_t size);
extern "C" void* __libc_calloc(std::size_t count, std::size_t size);
extern "C" void* __libc_realloc(void* memory, std::size_t size);
extern "C" void* __libc_memalign(std::size_t alignment, std::size_t size);
extern "C" void __libc_free(void* memory);

namespace {

std::atomic<long> calls{0};
std::atomic<long> live_bytes{0};

void* count(void* memory) {
    calls.fetch_add(1, std::memory_order_relaxed);
    if (memory != nullptr) {
        live_bytes.fetch_add(static_cast<long>(malloc_usable_size(memory)), std::memory_order_relaxed);
    }
    return memory;
}

void forget(void* memory) {
    if (memory != nullptr) {
        live_bytes.fetch_sub(static_cast<long>(malloc_usable_size(memory)), std::memory_order_relaxed);
    }
}

}  // namespace

extern "C" {

long allocation_calls() {
    return calls.load();
}

long allocated_bytes() {
    return live_bytes.load();
}

void* malloc(std::size_t size) {
    return count(__libc_malloc(size));
}

void* calloc(std::size_t number, std::size_t size) {
    return count(__libc_calloc(number, size));
}

void* realloc(void* memory, std::size_t size) {
    forget(memory);
    return count(__libc_realloc(memory, size));
}

void* memalign(std::size_t alignment, std::size_t size) {
    return count(__libc_memalign(alignment, size));
}

void* aligned_alloc(std::size_t alignment, std::size_t size) {
    return count(__libc_memalign(alignment, size));
}

int posix_memalign(void** memory, std::size_t alignment, std::size_t size) {
    void* found = count(__libc_memalign(alignment, size));
    if (found == nullptr) return ENOMEM;
    *memory = found;
    return 0;
}

void free(void* memory) {
    forget(memory);
    __libc_free(memory);
}

// Python's pools and whatever asks the kernel for pages itself; the C library's own requests are malloc's
// above.
void* mmap(void* address, std::size_t size, int protection, int flags, int file, off_t offset) {
    calls.fetch_add(1, std::memory_order_relaxed);
    return reinterpret_cast<void*>(syscall(SYS_mmap, address, size, protection, flags, file, offset));
}

}  // extern "C"
