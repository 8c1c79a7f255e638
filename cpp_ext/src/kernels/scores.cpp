#include "ev/scores.h"

#include <algorithm>

#include "ascending.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// Columns of a strided softmax that are worked on together, so that every step is a contiguous loop.
constexpr std::int64_t kColumns = 64;

/// Softmax of `columns` neighbouring columns: `size` elements each, `stride` apart.
template <class T>
void softmax_columns(const T* logits, std::int64_t size, std::int64_t stride, std::int64_t columns,
                     float* out) {
    float highest[kColumns];
    double total[kColumns];
    std::fill_n(highest, columns, -std::numeric_limits<float>::infinity());
    std::fill_n(total, columns, 0.0);
    for (std::int64_t row = 0; row < size; ++row) {
        const T* from = logits + row * stride;
        for (std::int64_t i = 0; i < columns; ++i) {
            const float value = to_float(from[i]);
            highest[i] = value > highest[i] ? value : highest[i];
        }
    }
    for (std::int64_t row = 0; row < size; ++row) {
        const T* from = logits + row * stride;
        float* to = out + row * stride;
        for (std::int64_t i = 0; i < columns; ++i) to[i] = exp_f32(to_float(from[i]) - highest[i]);
        for (std::int64_t i = 0; i < columns; ++i) total[i] += static_cast<double>(to[i]);
    }
    for (std::int64_t i = 0; i < columns; ++i) total[i] = 1.0 / total[i];
    for (std::int64_t row = 0; row < size; ++row) {
        float* to = out + row * stride;
        for (std::int64_t i = 0; i < columns; ++i)
            to[i] = static_cast<float>(static_cast<double>(to[i]) * total[i]);
    }
}

template <class T>
void softmax_row(const T* logits, std::int64_t size, float* out) {
    // Eight running maxima, so that the loop vectorises.
    constexpr std::int64_t lanes = 8;
    float maxima[lanes];
    std::fill_n(maxima, lanes, -std::numeric_limits<float>::infinity());
    std::int64_t done = 0;
    for (; done + lanes <= size; done += lanes) {
        for (std::int64_t lane = 0; lane < lanes; ++lane) {
            const float value = to_float(logits[done + lane]);
            maxima[lane] = value > maxima[lane] ? value : maxima[lane];
        }
    }
    float highest = maxima[0];
    for (const float value : maxima) highest = value > highest ? value : highest;
    for (; done < size; ++done) highest = std::max(highest, to_float(logits[done]));
    for (std::int64_t i = 0; i < size; ++i) out[i] = exp_f32(to_float(logits[i]) - highest);
    double total = 0.0;
    for (std::int64_t i = 0; i < size; ++i) total += static_cast<double>(out[i]);
    const double inverse = 1.0 / total;
    for (std::int64_t i = 0; i < size; ++i)
        out[i] = static_cast<float>(static_cast<double>(out[i]) * inverse);
}

}  // namespace

template <class T>
void softmax(const T* logits, std::int64_t outer, std::int64_t size, std::int64_t inner, float* out) {
    for (std::int64_t i = 0; i < outer; ++i, logits += size * inner, out += size * inner) {
        if (inner == 1) {
            softmax_row(logits, size, out);
            continue;
        }
        for (std::int64_t column = 0; column < inner; column += kColumns) {
            softmax_columns(logits + column, size, inner, std::min(kColumns, inner - column), out + column);
        }
    }
}

template <class T>
void sigmoid(const T* logits, std::int64_t size, float* out) {
    for (std::int64_t i = 0; i < size; ++i) out[i] = sigmoid_f32(to_float(logits[i]));
}

void top_k(const float* scores, std::int64_t size, std::int64_t k, std::uint64_t* keys, float* values,
           std::int64_t* indices) {
    for (std::int64_t i = 0; i < size; ++i) {
        keys[i] =
            (static_cast<std::uint64_t>(descending_key(scores[i])) << 32) | static_cast<std::uint64_t>(i);
    }
    if (k < size) std::nth_element(keys, keys + k, keys + size, Ascending());
    std::sort(keys, keys + k, Ascending());
    for (std::int64_t i = 0; i < k; ++i) {
        indices[i] = static_cast<std::int64_t>(keys[i] & 0xffffffffU);
        values[i] = scores[indices[i]];
    }
}

template void softmax(const float*, std::int64_t, std::int64_t, std::int64_t, float*);
template void softmax(const Half*, std::int64_t, std::int64_t, std::int64_t, float*);
template void sigmoid(const float*, std::int64_t, float*);
template void sigmoid(const Half*, std::int64_t, float*);

}  // namespace EV_ISA
}  // namespace ev
