// The best k of many, as the CPU's kernel finds them.
#include <cmath>
#include <cstdint>
#include <cstring>
#include <random>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "select.h"

namespace {

/// Coarse scores, so that equal ones abound; with NaN, zeros of both signs and infinities.
std::vector<float> make_scores(std::size_t count, unsigned seed, int steps) {
    std::mt19937 engine(seed);
    std::uniform_int_distribution<int> step(-steps, steps);
    std::vector<float> scores(count);
    for (float& score : scores) {
        const int drawn = step(engine);
        score = static_cast<float>(drawn) / 8.0F;
        if (drawn == steps) score = std::nanf("");
        if (drawn == steps - 1) score = -0.0F;
        if (drawn == steps - 2) score = INFINITY;
    }
    return scores;
}

void check_top_k(int batch, std::int64_t size, int k, int steps) {
    const auto row = static_cast<std::size_t>(size);
    const auto best = static_cast<std::size_t>(k);
    const std::vector<float> scores =
        make_scores(static_cast<std::size_t>(batch) * row, static_cast<unsigned>(size + k), steps);
    std::vector<float> values(static_cast<std::size_t>(batch) * best);
    std::vector<std::int32_t> indices(values.size());
    void* workspace = ev::cuda::allocate(ev::cuda::top_k_workspace_size(batch, size, k));
    ev::cuda::launch_top_k(scores.data(), batch, size, k, workspace, values.data(), indices.data(), nullptr);
    ev::cuda::release(workspace);
    std::vector<std::uint64_t> keys(row);
    std::vector<float> expected(best);
    std::vector<std::int64_t> order(best);
    for (std::size_t i = 0; i < static_cast<std::size_t>(batch); ++i) {
        ev::kernels().top_k(scores.data() + i * row, size, k, keys.data(), expected.data(), order.data());
        CHECK(std::memcmp(expected.data(), values.data() + i * best, best * sizeof(float)) == 0);
        for (std::size_t j = 0; j < best; ++j) CHECK(order[j] == indices[i * best + j]);
    }
}

}  // namespace

void run() {
    check_top_k(1, 1, 1, 100);
    check_top_k(3, 1000, 5, 10000);
    check_top_k(2, 1000, 1000, 50);    // all of them
    check_top_k(1, 5000, 3000, 4);     // few different scores, and more than shared memory sorts
    check_top_k(2, 4097, 2048, 1000);  // as many as shared memory sorts
    check_top_k(1, 300, 7, 1);         // NaN, and numbers of which some thirds are equal
}
