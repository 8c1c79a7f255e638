#include "ev/scores.h"

#include <algorithm>
#include <limits>

#include "lanes_sums.h"

namespace ev {
inline namespace EV_ISA {
namespace {

constexpr float kLowest = -std::numeric_limits<float>::infinity();

// A row is worked on in steps of whole registers that are whole rounds of the eight sums, too.
constexpr int kStep = kFloatLanes > kSums ? kFloatLanes : kSums;

// Floats of a block of columns: 32 KiB, so that it stays near the processor.
constexpr std::int64_t kBlock = 8192;

// Bytes of a result that no cache holds until it is read: planes of these are written past the caches, which
// takes half the time (21x512x512: 10 ms for 19).
constexpr std::int64_t kLargeResult = std::int64_t{4} << 20;

template <class T>
float highest_of_row(const T* logits, std::int64_t size) {
    // Four registers: a maximum need not wait for the one before.
    Floats highest[4] = {kLowest, kLowest, kLowest, kLowest};
    constexpr std::int64_t kFour = std::int64_t{4} * kFloatLanes;
    std::int64_t done = 0;
    for (; done + kFour <= size; done += kFour) {
        for (int i = 0; i < 4; ++i) {
            highest[i] = greater_of(load(logits + done + i * kFloatLanes), highest[i]);
        }
    }
    for (; done < size; done += kFloatLanes) {
        highest[0] = greater_of(load_up_to(logits + done, size - done, kLowest), highest[0]);
    }
    highest[0] = greater_of(greater_of(highest[0], highest[1]), greater_of(highest[2], highest[3]));
    float values[kFloatLanes];
    store(values, highest[0]);
    return *std::max_element(values, values + kFloatLanes);
}

template <class T>
void softmax_row(const T* logits, std::int64_t size, float* out) {
    const Floats highest = highest_of_row(logits, size);
    EightSums sums;
    std::int64_t done = 0;
    for (; done + kStep <= size; done += kStep) {
        for (int i = 0; i < kStep; i += kFloatLanes) {
            const Floats power = exp_below_89(load(logits + done + i) - highest);
            store(out + done + i, power);
            sums.add(power, i);
        }
    }
    // Floats beyond the end hold -infinity and add 0, or NaN to a sum that is NaN already.
    for (int i = 0; done + i < size; i += kFloatLanes) {
        const std::int64_t rest = size - done - i;
        const Floats power = exp_below_89(load_up_to(logits + done + i, rest, kLowest) - highest);
        store_up_to(out + done + i, rest, power);
        sums.add(power, i);
    }
    const Floats inverse = static_cast<float>(1.0 / sums.total());
    for (std::int64_t i = 0; i < size; i += kFloatLanes) {
        store_up_to(out + i, size - i, load_up_to(out + i, size - i, 0.0F) * inverse);
    }
}

/// A register of neighbouring columns, and the eight sums of each.
class Columns {
  public:
    void see(Floats logits) { highest_ = greater_of(logits, highest_); }

    Floats power(Floats logits) const { return exp_below_89(logits - highest_); }

    void add(std::int64_t row, Floats power) { add_to(&sums_[row % kSums], widened(power)); }

    /// Call once, after the last row.
    Floats inverse_total() {
        for (int half = kSums / 2; half > 0; half /= 2) {
            for (int i = 0; i < half; ++i) add_to(&sums_[i], sums_[i + half]);
        }
        return narrowed(inverse_of(sums_[0]));
    }

  private:
    Floats highest_ = kLowest;
    Doubles sums_[kSums] = {};
};

/// Softmax of `columns` neighbouring columns of `size` elements, `stride` apart; `size` times the columns,
/// rounded up to whole registers, fits a block. Rows far apart often share their place in the caches, so that
/// they are fetched once and worked on side by side. With `streams` every row of `out` is aligned.
template <class T>
void softmax_block(const T* logits, std::int64_t size, std::int64_t stride, std::int64_t columns,
                   bool streams, float* out) {
    alignas(64) float block[kBlock];
    for (std::int64_t row = 0; row < size; ++row) {
        const T* from = logits + row * stride;
        const std::ptrdiff_t to_next = row + 1 < size ? stride : 0;
        float* to = block + row * kFloatLanes;
        for (std::int64_t column = 0; column < columns; column += kFloatLanes, to += size * kFloatLanes) {
            prefetch(from + column + to_next);
            store(to, load_up_to(from + column, columns - column, kLowest));
        }
    }
    for (std::int64_t column = 0; column < columns; column += kFloatLanes) {
        float* part = block + column * size;
        Columns sums;
        for (std::int64_t row = 0; row < size; ++row) sums.see(load(part + row * kFloatLanes));
        for (std::int64_t row = 0; row < size; ++row) {
            const Floats power = sums.power(load(part + row * kFloatLanes));
            store(part + row * kFloatLanes, power);
            sums.add(row, power);
        }
        const Floats inverse = sums.inverse_total();
        for (std::int64_t row = 0; row < size; ++row) {
            store(part + row * kFloatLanes, load(part + row * kFloatLanes) * inverse);
        }
    }
    for (std::int64_t row = 0; row < size; ++row) {
        const float* from = block + row * kFloatLanes;
        float* to = out + row * stride;
        std::int64_t column = 0;
        for (; streams && column + kFloatLanes <= columns;
             column += kFloatLanes, from += size * kFloatLanes) {
            stream(to + column, load(from));
        }
        for (; column < columns; column += kFloatLanes, from += size * kFloatLanes) {
            store_up_to(to + column, columns - column, load(from));
        }
    }
}

/// The same for a register of columns that are too long for a block: the exponentials are computed twice
/// rather than kept.
template <class T>
void softmax_long_columns(const T* logits, std::int64_t size, std::int64_t stride, std::int64_t columns,
                          float* out) {
    Columns sums;
    for (std::int64_t row = 0; row < size; ++row)
        sums.see(load_up_to(logits + row * stride, columns, kLowest));
    for (std::int64_t row = 0; row < size; ++row) {
        sums.add(row, sums.power(load_up_to(logits + row * stride, columns, kLowest)));
    }
    const Floats inverse = sums.inverse_total();
    for (std::int64_t row = 0; row < size; ++row) {
        const Floats power = sums.power(load_up_to(logits + row * stride, columns, kLowest));
        store_up_to(out + row * stride, columns, power * inverse);
    }
}

/// Columns before the first whose address is a multiple of a register's size.
std::int64_t columns_to_alignment(const float* out) {
    const auto floats = static_cast<std::int64_t>(reinterpret_cast<std::uintptr_t>(out) / sizeof(float));
    return (kFloatLanes - floats % kFloatLanes) % kFloatLanes;
}

/// Softmax of `count` neighbouring columns of rows of `stride`.
template <class T>
void softmax_columns(const T* logits, std::int64_t size, std::int64_t stride, std::int64_t count,
                     float* out) {
    const std::int64_t registers = kBlock / kFloatLanes / size;
    const bool streams = registers > 0 && stride % kFloatLanes == 0 &&
                         size * stride * static_cast<std::int64_t>(sizeof(float)) >= kLargeResult;
    const std::int64_t head = streams ? columns_to_alignment(out) : 0;
    const std::int64_t together = std::max<std::int64_t>(registers, 1) * kFloatLanes;
    std::int64_t columns = 0;
    for (std::int64_t column = 0; column < count; column += columns) {
        columns = std::min(column == 0 && head > 0 ? head : together, count - column);
        if (registers > 0) {
            softmax_block(logits + column, size, stride, columns, streams, out + column);
        } else {
            softmax_long_columns(logits + column, size, stride, columns, out + column);
        }
    }
    if (streams) finish_streaming();
}

}  // namespace

template <class T>
void softmax(const T* logits, std::int64_t size, std::int64_t inner, std::int64_t begin, std::int64_t end,
             float* out) {
    if (size == 0) return;
    if (inner == 1) {
        for (std::int64_t row = begin; row < end; ++row)
            softmax_row(logits + row * size, size, out + row * size);
        return;
    }
    while (begin < end) {
        const std::int64_t column = begin % inner;
        const std::int64_t count = std::min(inner - column, end - begin);
        const std::int64_t first = begin / inner * size * inner + column;
        softmax_columns(logits + first, size, inner, count, out + first);
        begin += count;
    }
}

template <class T>
void sigmoid(const T* logits, std::int64_t size, float* out) {
    for (std::int64_t i = 0; i < size; i += kFloatLanes) {
        store_up_to(out + i, size - i, sigmoid_of(load_up_to(logits + i, size - i, 0.0F)));
    }
}

template void softmax(const float*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*);
template void softmax(const Half*, std::int64_t, std::int64_t, std::int64_t, std::int64_t, float*);
template void sigmoid(const float*, std::int64_t, float*);
template void sigmoid(const Half*, std::int64_t, float*);

}  // namespace EV_ISA
}  // namespace ev
