// The order of sort keys, as a type of this instruction set's own: the standard library's sort for std::less
// would be one function for all of them.
#pragma once

#include <cstdint>

#include "ev/isa.h"

namespace ev {
inline namespace EV_ISA {

struct Ascending {
    bool operator()(std::uint64_t a, std::uint64_t b) const { return a < b; }
};

}  // namespace EV_ISA
}  // namespace ev
