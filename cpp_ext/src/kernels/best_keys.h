// The best k of many scores, one look at each.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "ascending.h"
#include "ev/arith.h"

namespace ev {
inline namespace EV_ISA {

/// Collects sort keys (descending_key(score) << 32 | index) in memory of the caller's and keeps the best `k`.
///
/// Whenever `room` keys have come together, all but the best k are dropped, and the last of those is what a
/// score has to beat: of many scores few are worth a key. A score that equals it has the higher index, if
/// scores come in order.
class BestKeys {
  public:
    /// `keys` holds `size` keys: no more are ever added. k is at least 1. Scores up to `bar` are of no use;
    /// NaN stands for none.
    BestKeys(std::uint64_t* keys, std::size_t size, std::size_t k, float bar)
        : keys_(keys),
          best_(std::min(k, size)),
          room_(std::min(size, std::max(2 * best_, kFewest))),
          bar_(bar) {}

    /// Adds scores that lie side by side; their indices count from `first`.
    template <class T>
    void add_all(const T* scores, std::int64_t count, std::uint64_t first) {
        float values[kTogether];
        for (std::int64_t start = 0; start < count; start += kTogether) {
            const int n = static_cast<int>(std::min<std::int64_t>(kTogether, count - start));
            const float* some = as_floats(scores + start, n, values);
            if (n == kTogether && !may_take_any(some)) continue;
            for (int i = 0; i < n; ++i) {
                if (!(some[i] <= bar_)) add(some[i], first + static_cast<std::uint64_t>(start + i));
            }
        }
    }

    /// Sorts the best keys, best first, and returns how many there are.
    std::size_t sort() {
        const std::size_t count = std::min(count_, best_);
        if (count < count_) std::nth_element(keys_, keys_ + count, keys_ + count_, Ascending());
        std::sort(keys_, keys_ + count, Ascending());
        return count;
    }

  private:
    static constexpr int kTogether = 64;
    // Fewer keys at a time are not worth dropping some.
    static constexpr std::size_t kFewest = 64;

    static const float* as_floats(const float* scores, int count, float* copy) {
        (void)count;
        (void)copy;
        return scores;
    }

    static const float* as_floats(const Half* scores, int count, float* copy) {
        for (int i = 0; i < count; ++i) copy[i] = to_float(scores[i]);
        return copy;
    }

    void add(float score, std::uint64_t index) {
        if (count_ == room_) drop_the_rest();
        const std::uint64_t key = (static_cast<std::uint64_t>(descending_key(score)) << 32) | index;
        if (key > last_) return;
        keys_[count_++] = key;
    }

    /// Whether any of kTogether scores may be among the best.
    bool may_take_any(const float* scores) const {
        int worth = 0;
        for (int i = 0; i < kTogether; ++i) worth |= scores[i] <= bar_ ? 0 : 1;
        return worth != 0;
    }

    void drop_the_rest() {
        std::nth_element(keys_, keys_ + best_ - 1, keys_ + count_, Ascending());
        count_ = best_;
        last_ = keys_[best_ - 1];
        bar_ = score_of(static_cast<std::uint32_t>(last_ >> 32));
    }

    std::uint64_t* keys_;
    std::size_t best_;
    std::size_t room_;
    std::size_t count_ = 0;
    std::uint64_t last_ = std::numeric_limits<std::uint64_t>::max();
    float bar_;
};

}  // namespace EV_ISA
}  // namespace ev
