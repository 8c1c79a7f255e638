// The interpreter given away for long calls only.
#pragma once

#include <nanobind/nanobind.h>

#include <cstddef>
#include <optional>

namespace ev::bind {

/// Elements read and written together by a call that keeps the interpreter: it takes some microseconds, and
/// to give the interpreter away and get it back takes 0.07.
constexpr std::size_t kShortCall = std::size_t{1} << 14;

/// Gives the interpreter away while it lives, unless the call is short.
class ReleaseIfLong {
  public:
    explicit ReleaseIfLong(std::size_t elements) {
        if (elements > kShortCall) release_.emplace();
    }

  private:
    std::optional<nanobind::gil_scoped_release> release_;
};

}  // namespace ev::bind
