// The pool: every part runs once, whatever the number of threads and callers, and after fork too.
#include <atomic>
#include <cstdlib>
#include <thread>
#include <vector>

#include "check.h"
#include "ev/pool.h"

#if defined(__unix__) || defined(__APPLE__)
#include <sys/wait.h>
#include <unistd.h>
#define EV_FORKS 1
#endif

namespace {

/// Runs `parts` parts and returns whether each ran exactly once.
bool runs_each_once(int parts) {
    std::vector<std::atomic<int>> counts(static_cast<std::size_t>(parts));
    ev::for_each_part(parts, [&](int part) { counts[static_cast<std::size_t>(part)].fetch_add(1); });
    for (const std::atomic<int>& count : counts) {
        if (count.load() != 1) return false;
    }
    return true;
}

void test_every_part_runs_once() {
    for (const int threads : {1, 2, 3, 8, ev::kMaxThreads}) {
        ev::set_num_threads(threads);
        CHECK(ev::num_threads() == threads);
        for (const int parts : {0, 1, 2, 3, 7, 64, 1000}) CHECK(runs_each_once(parts));
    }
}

void test_many_callers() {
    ev::set_num_threads(4);
    std::atomic<int> wrong{0};
    std::vector<std::thread> callers;
    callers.reserve(6);
    for (int i = 0; i < 6; ++i) {
        callers.emplace_back([&] {
            for (int call = 0; call < 200; ++call) wrong += runs_each_once(5) ? 0 : 1;
        });
    }
    for (std::thread& caller : callers) caller.join();
    CHECK(wrong == 0);
}

void test_a_part_may_call_the_pool() {
    ev::set_num_threads(4);
    std::atomic<int> inner{0};
    ev::for_each_part(4, [&](int) { ev::for_each_part(3, [&](int) { inner.fetch_add(1); }); });
    CHECK(inner == 12);
}

void test_counts_of_parts() {
    ev::set_num_threads(4);
    CHECK(ev::count_parts(0, 100) == 1);
    CHECK(ev::count_parts(99, 100) == 1);
    CHECK(ev::count_parts(250, 100) == 2);
    CHECK(ev::count_parts(1000000, 100) == 4);
    CHECK(ev::count_parts(3, 0) == 3);
    ev::set_num_threads(0);
    CHECK(ev::num_threads() == 1);
    ev::set_num_threads(1000);
    CHECK(ev::num_threads() == ev::kMaxThreads);
}

void test_a_forked_child_has_workers() {
#if defined(EV_FORKS) && !defined(__SANITIZE_THREAD__)
    // qemu-user 7.2 itself fails an assertion where the child of a process with threads starts threads.
    if (std::getenv("EV_EMULATED") != nullptr) return;
    ev::set_num_threads(3);
    CHECK(runs_each_once(9));
    const pid_t child = fork();
    if (child == 0) _exit(runs_each_once(9) && runs_each_once(100) ? 0 : 1);
    int status = 1;
    CHECK(waitpid(child, &status, 0) == child);
    CHECK(WIFEXITED(status) && WEXITSTATUS(status) == 0);
    CHECK(runs_each_once(9));
#endif
}

}  // namespace

void run() {
    const int before = ev::num_threads();
    CHECK(before >= 1 && before <= 8);
    test_every_part_runs_once();
    test_many_callers();
    test_a_part_may_call_the_pool();
    test_counts_of_parts();
    test_a_forked_child_has_workers();
    ev::set_num_threads(before);
}
