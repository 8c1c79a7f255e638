// What every fuzz target is made of. A target's file defines run_case, which draws one of its jobs; entry.cpp
// calls it for each input.
#pragma once

#include <cstddef>
#include <cstdint>
#include <initializer_list>

#include "agree.h"
#include "bytes.h"
#include "layout.h"
#include "memory.h"

namespace ev::fuzz {

/// Draws one case from the input and runs it on every instruction set.
void run_case(Bytes& bytes);

/// Runs one of the jobs; one that is named twice is drawn twice as often.
inline void run_one_of(Bytes& bytes, std::initializer_list<void (*)(Bytes&)> jobs) {
    jobs.begin()[bytes.between(0, static_cast<int>(jobs.size()) - 1)](bytes);
}

/// True once in so many cases, whatever the input's first bytes: for cases that take long.
inline bool is_rare(Bytes& bytes, std::uint32_t once_in) {
    return bytes.word() % once_in == 0;
}

/// How many elements after a multiple of 64 bytes an array begins.
template <class T>
std::size_t choose_shift(Bytes& bytes) {
    return static_cast<std::size_t>(bytes.between(0, 64 / static_cast<int>(sizeof(T)) - 1));
}

/// Floats or halves, which `values` or a distribution of their own draws.
template <class T>
T* take_values(Bytes& bytes, std::size_t count, Values values) {
    T* elements = memory.take<T>(count, choose_shift<T>(bytes));
    values.fill(elements, count);
    return elements;
}

template <class T>
T* take_values(Bytes& bytes, std::size_t count) {
    return take_values<T>(bytes, count, Values(bytes));
}

/// Elements of any bits.
template <class T>
T* take_bits(Bytes& bytes, std::size_t count) {
    T* elements = memory.take<T>(count, choose_shift<T>(bytes));
    bytes.fill(reinterpret_cast<std::uint8_t*>(elements), count * sizeof(T));
    return elements;
}

}  // namespace ev::fuzz
