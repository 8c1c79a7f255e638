// Masks of the bytes of a register.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/isa.h"

namespace ev {
inline namespace EV_ISA {
namespace detail {

/// A bit for each of the first `count` of 64 bytes: none for less than one, all from 64 on.
EV_INLINE std::uint64_t first_bytes(std::ptrdiff_t count) {
    if (count <= 0) return 0;
    return ~std::uint64_t{0} >> (count < 64 ? 64 - count : 0);
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
