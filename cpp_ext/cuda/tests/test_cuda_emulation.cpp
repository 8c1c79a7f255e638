// The emulation itself: barriers, orders, streams and graphs.
#include <cstdint>
#include <vector>

#include "check.h"
#include "launch.h"

namespace {

using ev::cuda::Block;

/// Each block reverses its part by way of shared memory: wrong wherever a thread does not wait for the
/// others.
struct ReverseParts {
    static constexpr int kThreads = 96;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        int values[kThreads];
        std::int32_t sum;
    };

    const int* from;
    int* to;
    std::int32_t* sums;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const int first = block.x * kThreads;
        if (block.thread == 0) shared.sum = 0;
        shared.values[block.thread] = from[first + block.thread];
        for (int round = 0; round < 3; ++round) {
            block.barrier();
            const int other = shared.values[kThreads - 1 - block.thread];
            if (round == 0) ev::cuda::atomic_add(&shared.sum, other);
            block.barrier();
            shared.values[block.thread] = other;
        }
        to[first + block.thread] = shared.values[block.thread];
        if (block.thread == 0) sums[block.x] = shared.sum;
    }
};

/// The order in which threads come.
struct Line {
    static constexpr int kThreads = 64;
    static constexpr bool kHasBarriers = false;
    struct Shared {};
    std::int32_t* next;
    int* places;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        places[block.x * kThreads + block.thread] = ev::cuda::atomic_add(next, 1);
    }
};

constexpr int kBlocks = 5;
constexpr int kSize = kBlocks * ReverseParts::kThreads;

bool is_reversed(const std::vector<int>& to, const std::vector<int>& from,
                 const std::vector<std::int32_t>& sums) {
    bool right = true;
    for (int block = 0; block < kBlocks; ++block) {
        std::int32_t sum = 0;
        for (int i = 0; i < ReverseParts::kThreads; ++i) {
            const auto first = static_cast<std::size_t>(block * ReverseParts::kThreads);
            const auto at = static_cast<std::size_t>(i);
            right = right && to[first + at] == from[first + ReverseParts::kThreads - 1 - at];
            sum += from[first + at];
        }
        right = right && sum == sums[static_cast<std::size_t>(block)];
    }
    return right;
}

void test_threads_wait_for_each_other_and_graphs_replay() {
    std::vector<int> from(kSize);
    std::vector<int> to(kSize);
    std::vector<std::int32_t> sums(kBlocks);
    for (int i = 0; i < kSize; ++i) from[static_cast<std::size_t>(i)] = i * 7;
    const ReverseParts body{from.data(), to.data(), sums.data()};
    ev::cuda::Stream stream = ev::cuda::create_stream(false);
    ev::cuda::launch(body, {kBlocks, 1, 1}, stream, "reverse");
    CHECK(is_reversed(to, from, sums));

    to.assign(kSize, -1);
    ev::cuda::begin_capture(stream);
    ev::cuda::launch(body, {kBlocks, 1, 1}, stream, "reverse");
    CHECK(to[0] == -1);
    const ev::cuda::Graph graph = ev::cuda::end_capture(stream);
    CHECK(ev::cuda::count_nodes(graph) == 1);
    for (int& value : from) value += 1000;
    ev::cuda::launch_graph(graph, stream);
    CHECK(is_reversed(to, from, sums));
    ev::cuda::destroy_graph(graph);
    ev::cuda::destroy_stream(stream);
}

void test_seeds_draw_orders() {
    std::vector<std::vector<int>> orders;
    for (const std::uint64_t seed : {0U, 1U, 2U, 1U}) {
        ev::cuda::set_emulation_seed(seed);
        std::int32_t next = 0;
        orders.emplace_back(3 * Line::kThreads);
        ev::cuda::launch(Line{&next, orders.back().data()}, {3, 1, 1}, nullptr, "line");
    }
    CHECK(orders[0][0] == 0 && orders[0][191] == 191);
    CHECK(orders[1] != orders[0] && orders[2] != orders[0] && orders[2] != orders[1]);
    CHECK(orders[3] == orders[1]);
}

template <class Call>
bool is_refused(Call&& call) {
    try {
        call();
    } catch (const ev::cuda::Error&) {
        return true;
    }
    return false;
}

void test_capture_refuses_what_cuda_refuses() {
    ev::cuda::Stream stream = ev::cuda::create_stream(false);
    ev::cuda::begin_capture(stream);
    CHECK(is_refused([] { ev::cuda::allocate(16); }));
    CHECK(is_refused([&] { ev::cuda::synchronize(stream); }));
    CHECK(is_refused([&] { ev::cuda::begin_capture(stream); }));
    ev::cuda::destroy_graph(ev::cuda::end_capture(stream));
    CHECK(is_refused([&] { ev::cuda::end_capture(stream); }));
    ev::cuda::destroy_stream(stream);
}

}  // namespace

void run() {
    test_threads_wait_for_each_other_and_graphs_replay();
    test_capture_refuses_what_cuda_refuses();
    test_seeds_draw_orders();  // last: it sets seeds
}
