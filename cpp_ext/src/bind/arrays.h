// What the bindings of boxes, scores and masks share: argument checks, reused scratch, results owned by a
// capsule.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <memory>

#include "ev/arith.h"
#include "memory_checks.h"

namespace ev::bind {

namespace nb = nanobind;

/// Any array that is only read; its dtype and shape are checked where it is used.
using ReadArray = nb::ndarray<nb::ro, nb::device::cpu>;
using WriteArray = nb::ndarray<nb::device::cpu>;

template <class T>
bool has_dtype(const nb::dlpack::dtype& type) {
    return type == nb::dtype<T>();
}

template <>
inline bool has_dtype<Half>(const nb::dlpack::dtype& type) {
    return type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.bits == 16 &&
           type.lanes == 1;
}

inline void require(bool condition, const char* message) {
    if (!condition) throw nb::value_error(message);
}

template <class Array>
bool is_contiguous(const Array& array) {
    std::int64_t expected = 1;
    for (std::size_t axis = array.ndim(); axis-- > 0;) {
        const auto extent = static_cast<std::int64_t>(array.shape(axis));
        if (extent != 1 && array.stride(axis) != expected) return array.size() == 0;
        expected *= extent;
    }
    return true;
}

/// A C-contiguous array's elements, after checking its dtype and alignment.
template <class T>
const T* elements(const ReadArray& array, const char* message) {
    require(has_dtype<T>(array.dtype()) && is_contiguous(array), message);
    require_aligned(array);
    return static_cast<const T*>(array.data());
}

template <class T>
T* elements(const WriteArray& array, const char* message) {
    require(has_dtype<T>(array.dtype()) && is_contiguous(array), message);
    require_aligned(array);
    return static_cast<T*>(array.data());
}

/// Calls `use` with a null pointer of the array's element type: float or Half.
template <class Use>
void with_float_type(const nb::dlpack::dtype& type, const char* message, Use&& use) {
    if (has_dtype<float>(type)) {
        use(static_cast<const float*>(nullptr));
    } else if (has_dtype<Half>(type)) {
        use(static_cast<const Half*>(nullptr));
    } else {
        throw nb::value_error(message);
    }
}

/// Memory of results, freed with the last array that uses it. Pieces must be taken in order of falling
/// alignment.
class ResultBlock {
  public:
    explicit ResultBlock(std::size_t size) : data_(new std::byte[size > 0 ? size : 1]), next_(data_.get()) {}

    template <class T>
    T* take(std::size_t count) {
        T* piece = reinterpret_cast<T*>(next_);
        next_ += count * sizeof(T);
        return piece;
    }

    /// The owner of every piece; call once, with the GIL held.
    nb::capsule release() {
        nb::capsule owner(data_.get(),
                          [](void* memory) noexcept { delete[] static_cast<std::byte*>(memory); });
        data_.release();
        return owner;
    }

  private:
    std::unique_ptr<std::byte[]> data_;
    std::byte* next_;
};

template <class T>
nb::object as_numpy(T* data, std::size_t rows, const nb::capsule& owner) {
    return nb::cast(nb::ndarray<nb::numpy, T>(data, {rows}, owner));
}

template <class T>
nb::object as_numpy(T* data, std::size_t rows, std::size_t columns, const nb::capsule& owner) {
    return nb::cast(nb::ndarray<nb::numpy, T>(data, {rows, columns}, owner));
}

}  // namespace ev::bind
