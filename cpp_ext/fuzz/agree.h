// The agreement of all instruction sets on one case.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <vector>

#include "ev/arith.h"
#include "ev/kernels.h"
#include "memory.h"

namespace ev::fuzz {

/// A hash of all results so far: FNV-1a over the plainest kernels' results, the same for every processor and
/// compiler that keep the kernels' promise of equal bits.
inline std::uint64_t digest = 0xcbf29ce484222325U;

/// What a run of a case reports. The first run's results are kept, the others' compared.
class Results {
  public:
    template <class T>
    void add(const T* values, std::size_t count) {
        bytes(values, count * sizeof(T));
    }

    template <class T>
    void add(T value) {
        bytes(&value, sizeof value);
    }

    /// Equal bits, but any NaN equals any other: processors choose between the payloads of two.
    void add(const float* values, std::size_t count) {
        for (std::size_t i = 0; i < count; ++i) {
            const std::uint32_t bits = values[i] != values[i] ? 0x7fc00000U : bits_of(values[i]);
            bytes(&bits, sizeof bits);
        }
    }

    /// Results that come from the C library's transcendental functions, which differ between platforms.
    void leave_out_of_digest() { in_digest_ = false; }

    void begin(bool first) {
        first_ = first;
        in_digest_ = true;
        position_ = 0;
        if (first) kept_.clear();
    }

    void end() const {
        if (position_ != kept_.size()) fail("fewer results than the plainest kernels'");
    }

  private:
    void bytes(const void* data, std::size_t size) {
        if (size == 0) return;
        const auto* from = static_cast<const std::uint8_t*>(data);
        if (first_) {
            kept_.insert(kept_.end(), from, from + size);
            for (std::size_t i = 0; in_digest_ && i < size; ++i) digest = (digest ^ from[i]) * 0x100000001b3U;
        } else if (size > kept_.size() - position_ ||
                   std::memcmp(kept_.data() + position_, from, size) != 0) {
            fail("results differ from the plainest kernels'");
        }
        position_ += size;
    }

    std::vector<std::uint8_t> kept_;
    std::size_t position_ = 0;
    bool first_ = true;
    bool in_digest_ = true;
};

inline Results results;

/// Calls run(results) with each instruction set's kernels selected. What it takes from `memory` is filled
/// differently each time, so that results must not depend on what scratch held before.
template <class Run>
void agree(Run&& run) {
    const std::size_t pieces = memory.pieces();
    for (std::size_t i = 0; i < count_available_kernels(); ++i) {
        select_kernels(available_kernels(i).isa);
        memory.rewind(pieces, i % 2 == 0 ? 0xa5 : 0x5a);
        results.begin(i == 0);
        run(results);
        results.end();
        memory.check();
    }
    memory.rewind(pieces, 0);
}

}  // namespace ev::fuzz
