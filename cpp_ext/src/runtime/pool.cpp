#include "ev/pool.h"

#include <algorithm>
#include <atomic>
#include <condition_variable>
#include <mutex>
#include <system_error>
#include <thread>

#if defined(__linux__)
#include <sched.h>
#endif
#if !defined(_WIN32)
#include <pthread.h>
#endif

namespace ev {
namespace {

constexpr int kMostAtFirst = 8;

/// A call being worked on. Threads take the next part until none is left.
struct Call {
    void (*run)(void*, int) = nullptr;
    void* context = nullptr;
    int parts = 0;
    std::atomic<int> next{0};

    void work() {
        for (int part = next.fetch_add(1); part < parts; part = next.fetch_add(1)) run(context, part);
    }
};

class Pool {
  public:
    /// False, with nothing done, while another thread is using the workers.
    bool try_run(int parts, int helpers, void (*run)(void*, int), void* context) {
        if (taken_.exchange(true)) return false;
        {
            const std::lock_guard<std::mutex> lock(mutex_);
            while (workers_ < helpers && start_worker()) {
            }
            call_.run = run;
            call_.context = context;
            call_.parts = parts;
            call_.next.store(0);
            wanted_ = std::min(helpers, workers_);
            ++generation_;
        }
        started_.notify_all();
        call_.work();
        std::unique_lock<std::mutex> lock(mutex_);
        wanted_ = 0;  // whoever has not begun by now finds nothing to do
        finished_.wait(lock, [this] { return busy_ == 0; });
        taken_.store(false);
        return true;
    }

  private:
    std::atomic<bool> taken_{false};  // no mutex: a part of a call may ask again on the same thread
    std::mutex mutex_;
    std::condition_variable started_;
    std::condition_variable finished_;
    Call call_;
    unsigned generation_ = 0;  // of the call
    int wanted_ = 0;           // workers that the call still takes
    int busy_ = 0;             // workers on the call
    int workers_ = 0;

    bool start_worker() {
        try {
            std::thread(&Pool::serve, this).detach();
        } catch (const std::system_error&) {
            return false;  // a limit on threads: those that are there do
        }
        ++workers_;
        return true;
    }

    void serve() {
        std::unique_lock<std::mutex> lock(mutex_);
        for (unsigned seen = 0;;) {
            started_.wait(lock, [&] { return wanted_ > 0 && generation_ != seen; });
            seen = generation_;
            --wanted_;
            ++busy_;
            lock.unlock();
            call_.work();
            lock.lock();
            if (--busy_ == 0) finished_.notify_one();
        }
    }
};

int processors() {
#if defined(__linux__)
    cpu_set_t set;
    CPU_ZERO(&set);
    if (sched_getaffinity(0, sizeof set, &set) == 0) return std::max(1, CPU_COUNT(&set));
#endif
    return static_cast<int>(std::max(1U, std::thread::hardware_concurrency()));
}

std::atomic<int> threads{0};  // 0: not yet decided
std::atomic<Pool*> pool{nullptr};

/// The pool, made once and never destroyed: its workers may outlive every static object.
Pool& the_pool() {
    Pool* found = pool.load(std::memory_order_acquire);
    if (found != nullptr) return *found;
#if !defined(_WIN32)
    // A child of fork has the memory of the parent's workers but not the workers, and perhaps a lock that
    // none of its threads will open: it gets a pool of its own.
    static const int registered =
        pthread_atfork(nullptr, nullptr, [] { pool.store(nullptr, std::memory_order_release); });
    static_cast<void>(registered);
#endif
    Pool* made = new Pool();
    if (pool.compare_exchange_strong(found, made, std::memory_order_acq_rel)) return *made;
    delete made;
    return *found;
}

}  // namespace

int num_threads() {
    const int count = threads.load(std::memory_order_relaxed);
    if (count > 0) return count;
    int none = 0;
    threads.compare_exchange_strong(none, std::min(processors(), kMostAtFirst), std::memory_order_relaxed);
    return threads.load(std::memory_order_relaxed);
}

void set_num_threads(int count) {
    threads.store(std::clamp(count, 1, kMaxThreads), std::memory_order_relaxed);
}

void run_parts(int parts, void (*run)(void* context, int part), void* context) {
    const int helpers = std::min(parts, num_threads()) - 1;
    if (helpers > 0 && the_pool().try_run(parts, helpers, run, context)) return;
    for (int part = 0; part < parts; ++part) run(context, part);
}

int count_parts(std::size_t work, std::size_t least) {
    const std::size_t most = work / std::max<std::size_t>(least, 1);
    return static_cast<int>(std::clamp<std::size_t>(most, 1, static_cast<std::size_t>(num_threads())));
}

}  // namespace ev
