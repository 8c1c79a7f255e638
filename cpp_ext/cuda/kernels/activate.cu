// Softmax, a block a row, and sigmoid, a thread an element.
#include <limits>

#include "activate.h"
#include "ev/scores.h"
#include "launch.h"

namespace ev::cuda {
namespace {

/// The sum has the CPU's order, which its bits depend on: eight threads add what all of them exponentiate, a
/// chunk of the row at a time.
template <class T>
struct SoftmaxRows {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = true;
    static constexpr int kChunk = 2048;
    static_assert(kChunk % kThreads == 0 && kChunk % kSums == 0, "a chunk begins anew for threads and sums");
    struct Shared {
        float powers[kChunk];
        float highest[kThreads];
        double sums[kSums];
        float inverse;
    };

    const T* logits;
    std::int64_t size;
    float* scores;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const T* from = logits + block.x * size;
        float* to = scores + block.x * size;
        const float highest = find_highest(block, shared, from);
        double sum = 0.0;
        for (std::int64_t start = 0; start < size; start += kChunk) {
            const int count = static_cast<int>(size - start < kChunk ? size - start : kChunk);
            for (int i = block.thread; i < count; i += kThreads) {
                const float power = exp_below_89(to_float(from[start + i]) - highest);
                shared.powers[i] = power;
                to[start + i] = power;
            }
            block.barrier();
            if (block.thread < kSums) {
                for (int i = block.thread; i < count; i += kSums) {
                    sum += static_cast<double>(shared.powers[i]);
                }
            }
            block.barrier();
        }
        if (block.thread < kSums) shared.sums[block.thread] = sum;
        block.barrier();
        if (block.thread == 0) shared.inverse = static_cast<float>(1.0 / total_of(shared.sums));
        block.barrier();
        // Each thread its own elements of above.
        for (std::int64_t i = block.thread; i < size; i += kThreads) to[i] *= shared.inverse;
    }

    /// The greatest of the row that is no NaN; -infinity of none.
    EV_BODY float find_highest(const Block& block, Shared& shared, const T* from) const {
        float highest = -std::numeric_limits<float>::infinity();
        for (std::int64_t i = block.thread; i < size; i += kThreads) {
            const float logit = to_float(from[i]);
            highest = logit > highest ? logit : highest;
        }
        shared.highest[block.thread] = highest;
        block.barrier();
        for (int half = kThreads / 2; half > 0; half /= 2) {
            if (block.thread < half) {
                const float other = shared.highest[block.thread + half];
                if (other > shared.highest[block.thread]) shared.highest[block.thread] = other;
            }
            block.barrier();
        }
        return shared.highest[0];
    }
};

template <class T>
struct SigmoidOfAll {
    static constexpr int kThreads = 256;
    static constexpr bool kHasBarriers = false;
    struct Shared {};

    const T* logits;
    std::int64_t count;
    float* scores;

    EV_BODY void operator()(const Block& block, Shared& /*shared*/) const {
        const std::int64_t i = static_cast<std::int64_t>(block.x) * kThreads + block.thread;
        if (i < count) scores[i] = sigmoid_f32(to_float(logits[i]));
    }
};

template <class T>
void softmax_rows(const void* logits, std::int64_t rows, std::int64_t size, float* scores, Stream stream) {
    launch(SoftmaxRows<T>{static_cast<const T*>(logits), size, scores}, {static_cast<unsigned>(rows), 1, 1},
           stream, "softmax_rows");
}

template <class T>
void sigmoid_of_all(const void* logits, std::int64_t count, float* scores, Stream stream) {
    using Body = SigmoidOfAll<T>;
    launch(Body{static_cast<const T*>(logits), count, scores},
           {static_cast<unsigned>(ceil_div(count, Body::kThreads)), 1, 1}, stream, "sigmoid_of_all");
}

}  // namespace

void launch_softmax(const void* logits, bool half, std::int64_t rows, std::int64_t size, float* scores,
                    Stream stream) {
    if (rows == 0 || size == 0) return;
    (half ? softmax_rows<Half> : softmax_rows<float>)(logits, rows, size, scores, stream);
}

void launch_sigmoid(const void* logits, bool half, std::int64_t count, float* scores, Stream stream) {
    if (count == 0) return;
    (half ? sigmoid_of_all<Half> : sigmoid_of_all<float>)(logits, count, scores, stream);
}

}  // namespace ev::cuda
