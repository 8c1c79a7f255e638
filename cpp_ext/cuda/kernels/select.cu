// One block an array: a radix select, eight bits at a time from the top, finds the last of the k best keys; a
// bitonic sort puts them in order, in shared memory where they fit.
#include "arena.h"
#include "launch.h"
#include "select.h"

namespace ev::cuda {
namespace {

constexpr std::uint64_t kLast = ~std::uint64_t{0};
constexpr int kDigit = 8;
constexpr int kBins = 1 << kDigit;
constexpr int kSharedKeys = 2048;

struct SortBest {
    static constexpr int kThreads = 512;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        std::uint64_t keys[kSharedKeys];
        std::uint64_t last;  // of the best
        std::uint64_t mask;  // the bits of `last` that are known
        std::int32_t bins[kBins];
        std::int32_t missing;  // how many keys with those bits are among the best
        std::int32_t taken;
    };

    KeyArrays arrays;
    int k;
    int pitch;  // of `best`
    std::uint64_t* best;
    std::int32_t* found;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const std::uint64_t* keys = arrays.keys + block.x * arrays.capacity;
        const std::int64_t count = arrays.counts == nullptr ? arrays.capacity : arrays.counts[block.x];
        const int wanted = count < k ? static_cast<int>(count) : k;
        if (block.thread == 0) {
            shared.last = count > k ? 0 : kLast;
            shared.mask = 0;
            shared.missing = k;
            shared.taken = 0;
            found[block.x] = wanted;
        }
        block.barrier();
        if (count > k) find_last(block, shared, keys, count);
        int size = 1;
        while (size < wanted) size *= 2;
        std::uint64_t* sorted = best + static_cast<std::int64_t>(block.x) * pitch;
        std::uint64_t* buffer = size <= kSharedKeys ? shared.keys : sorted;
        for (int i = wanted + block.thread; i < size; i += block.threads) buffer[i] = kLast;
        for (std::int64_t i = block.thread; i < count; i += block.threads) {
            if (keys[i] <= shared.last) buffer[atomic_add(&shared.taken, 1)] = keys[i];
        }
        block.barrier();
        sort(block, buffer, size);
        if (buffer == sorted) return;
        for (int i = block.thread; i < wanted; i += block.threads) sorted[i] = buffer[i];
    }

    /// shared.last = the k-th least of more than k keys, its bits below those that decide all ones.
    EV_BODY void find_last(const Block& block, Shared& shared, const std::uint64_t* keys,
                           std::int64_t count) const {
        for (int shift = 64 - kDigit; shift >= 0; shift -= kDigit) {
            if (block.thread < kBins) shared.bins[block.thread] = 0;
            block.barrier();
            for (std::int64_t i = block.thread; i < count; i += block.threads) {
                if ((keys[i] & shared.mask) != shared.last) continue;
                atomic_add(&shared.bins[(keys[i] >> shift) & (kBins - 1)], 1);
            }
            block.barrier();
            if (block.thread == 0) choose_bin(shared, shift);
            block.barrier();
            if (shared.mask == kLast) return;
        }
    }

    EV_BODY static void choose_bin(Shared& shared, int shift) {
        int bin = 0;
        while (shared.bins[bin] < shared.missing) shared.missing -= shared.bins[bin++];
        shared.last |= static_cast<std::uint64_t>(bin) << shift;
        shared.mask |= static_cast<std::uint64_t>(kBins - 1) << shift;
        if (shared.bins[bin] > shared.missing && shift > 0) return;
        shared.last |= ~shared.mask;  // all of the bin's are taken
        shared.mask = kLast;
    }

    EV_BODY static void sort(const Block& block, std::uint64_t* keys, int size) {
        for (int run = 2; run <= size; run *= 2) {
            for (int step = run / 2; step > 0; step /= 2) {
                for (int i = block.thread; i < size / 2; i += block.threads) {
                    const int low = i / step * 2 * step + i % step;
                    const int high = low + step;
                    const std::uint64_t a = keys[low];
                    const std::uint64_t b = keys[high];
                    const bool ascending = (low & run) == 0;
                    if ((a > b) != ascending) continue;
                    keys[low] = b;
                    keys[high] = a;
                }
                block.barrier();
            }
        }
    }
};

struct MakeKeys {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    const float* scores;
    std::int64_t size;
    std::uint64_t* keys;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const std::int64_t i = static_cast<std::int64_t>(block.x) * kThreads + block.thread;
        if (i >= size) return;
        const std::int64_t at = block.y * size + i;
        keys[at] =
            (static_cast<std::uint64_t>(descending_key(scores[at])) << 32) | static_cast<std::uint64_t>(i);
    }
};

struct WriteTop {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    const std::uint64_t* best;
    std::int64_t pitch;
    const float* scores;
    std::int64_t size;
    int k;
    float* values;
    std::int32_t* indices;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const int i = block.x * kThreads + block.thread;
        if (i >= k) return;
        const auto index = static_cast<std::int32_t>(best[block.y * pitch + i] & 0xffffffffU);
        const std::int64_t to = static_cast<std::int64_t>(block.y) * k + i;
        values[to] = scores[block.y * size + index];
        indices[to] = index;
    }
};

struct TopKWorkspace {
    std::uint64_t* keys;
    std::uint64_t* best;
    std::int32_t* found;

    TopKWorkspace(Arena& arena, int batch, std::int64_t size, int k)
        : keys(arena.take<std::uint64_t>(static_cast<std::size_t>(batch * size))),
          best(arena.take<std::uint64_t>(static_cast<std::size_t>(batch * round_to_power(k)))),
          found(arena.take<std::int32_t>(static_cast<std::size_t>(batch))) {}
};

}  // namespace

void launch_sort_best(const KeyArrays& arrays, int batch, int k, std::uint64_t* best, std::int32_t* found,
                      Stream stream) {
    const SortBest body{arrays, k, static_cast<int>(round_to_power(k)), best, found};
    launch(body, {static_cast<unsigned>(batch), 1, 1}, stream, "sort_best");
}

std::size_t top_k_workspace_size(int batch, std::int64_t size, int k) {
    Arena arena(nullptr);
    const TopKWorkspace pieces(arena, batch, size, k);
    return arena.used();
}

void launch_top_k(const float* scores, int batch, std::int64_t size, int k, void* workspace, float* values,
                  std::int32_t* indices, Stream stream) {
    if (batch == 0 || k == 0) return;
    Arena arena(workspace);
    const TopKWorkspace pieces(arena, batch, size, k);
    const auto rows = static_cast<unsigned>(batch);
    launch(MakeKeys{scores, size, pieces.keys},
           {static_cast<unsigned>(ceil_div(size, MakeKeys::kThreads)), rows, 1}, stream, "make_keys");
    launch_sort_best({pieces.keys, size, nullptr}, batch, k, pieces.best, pieces.found, stream);
    launch(WriteTop{pieces.best, round_to_power(k), scores, size, k, values, indices},
           {static_cast<unsigned>(ceil_div(k, WriteTop::kThreads)), rows, 1}, stream, "write_top");
}

}  // namespace ev::cuda
