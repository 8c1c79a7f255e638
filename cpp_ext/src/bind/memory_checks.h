// What bindings ask of the memory of arrays: whole elements, and nothing written that is still to be read.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <cstddef>
#include <cstdint>

namespace ev::bind {

/// The addresses from an array's lowest element to its highest; none for an array without elements.
struct AddressRange {
    std::uintptr_t begin = 0;
    std::uintptr_t end = 0;
};

template <class Array>
AddressRange addresses_of(const Array& array) {
    if (array.size() == 0) return {};
    const auto first = reinterpret_cast<std::uintptr_t>(array.data());
    AddressRange range{first, first + array.itemsize()};
    for (std::size_t axis = 0; axis < array.ndim(); ++axis) {
        const std::int64_t elements = array.stride(axis) * (static_cast<std::int64_t>(array.shape(axis)) - 1);
        const std::int64_t bytes = elements * static_cast<std::int64_t>(array.itemsize());
        // Unsigned numbers wrap: adding a negative one goes down.
        (bytes < 0 ? range.begin : range.end) += static_cast<std::uintptr_t>(bytes);
    }
    return range;
}

/// Kernels read and write whole elements. NumPy also has arrays of floats that begin at any byte.
template <class Array>
bool is_aligned(const Array& array) {
    return array.size() == 0 || reinterpret_cast<std::uintptr_t>(array.data()) % array.itemsize() == 0;
}

template <class... Array>
void require_aligned(const Array&... arrays) {
    if (!(is_aligned(arrays) && ...))
        throw nanobind::value_error("an array is not aligned to its elements; pass a copy of it");
}

/// Whether `out` can be written while the inputs are read. The ranges decide, as for np.may_share_memory:
/// nobody interleaves an input with an output.
template <class Out, class... In>
bool are_apart(const Out& out, const In&... inputs) {
    const AddressRange written = addresses_of(out);
    const auto is_apart = [&](const AddressRange& read) {
        return read.begin >= written.end || written.begin >= read.end;
    };
    return (is_apart(addresses_of(inputs)) && ...);
}

template <class Out, class... In>
void require_apart(const Out& out, const In&... inputs) {
    if (!are_apart(out, inputs...)) {
        throw nanobind::value_error("an input and an output overlap in memory; pass an out of its own");
    }
}

}  // namespace ev::bind
