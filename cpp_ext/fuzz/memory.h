// Arrays of exactly the size that a kernel's contract asks for, between guards.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "ev/kernels.h"

#if defined(__SANITIZE_ADDRESS__)
#define EV_FUZZ_ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define EV_FUZZ_ASAN 1
#endif
#endif
#if defined(EV_FUZZ_ASAN)
#include <sanitizer/asan_interface.h>
#endif

namespace ev::fuzz {

[[noreturn]] inline void fail(const char* what) {
    std::fprintf(stderr, "fuzz: %s, with the kernels of %s\n", what, kernels().isa);
    std::abort();
}

/// Under AddressSanitizer whatever lies between the arrays is poisoned; without it, check() finds writes
/// there.
class Memory {
  public:
    Memory() : arena_(kSize + 64) {
        const auto address = reinterpret_cast<std::uintptr_t>(arena_.data());
        base_ = arena_.data() + (64 - address % 64) % 64;
        poison(0, kSize);
    }

    /// Forgets the arrays taken since there were `pieces`; the bytes of later ones are `fill` at first.
    void rewind(std::size_t pieces, std::uint8_t fill) {
        pieces_.resize(pieces);
        fill_ = fill;
    }

    std::size_t pieces() const { return pieces_.size(); }

    std::uint8_t fill() const { return fill_; }

    /// `count` elements that begin `shift` elements after a multiple of 64 bytes.
    template <class T>
    T* take(std::size_t count, std::size_t shift = 0) {
        const std::size_t used = end_of_last();
        Piece piece{};
        piece.begin = (used + kGap + 63) / 64 * 64 + shift * sizeof(T);
        piece.end = piece.begin + count * sizeof(T);
        if (piece.end + kGap > kSize) fail("a case is larger than the memory for it");
        unpoison(used, piece.end + kGap);
        std::memset(base_ + used, kGuard, piece.begin - used);
        std::memset(base_ + piece.begin, fill_, piece.end - piece.begin);
        std::memset(base_ + piece.end, kGuard, kGap);
        poison(used, piece.begin);
        poison(piece.end, piece.end + kGap);
        unpoison(piece.begin, piece.end);
        pieces_.push_back(piece);
        return reinterpret_cast<T*>(base_ + piece.begin);
    }

    /// Scratch as bindings lend it: aligned to 64 bytes.
    std::byte* scratch(std::size_t size) { return take<std::byte>(size); }

    /// Fails if anything was written between the arrays.
    void check() const {
        std::size_t used = 0;
        for (const Piece& piece : pieces_) {
            check(used, piece.begin);
            check(piece.end, piece.end + kGap);
            used = piece.end;
        }
    }

  private:
    struct Piece {
        std::size_t begin, end;
    };

    static constexpr std::size_t kSize = std::size_t{1} << 24;
    static constexpr std::size_t kGap = 128;  // twice the widest register
    static constexpr std::uint8_t kGuard = 0xc3;

    std::vector<std::uint8_t> arena_;
    std::uint8_t* base_;
    std::vector<Piece> pieces_;
    std::uint8_t fill_ = 0;

    std::size_t end_of_last() const { return pieces_.empty() ? 0 : pieces_.back().end; }

#if defined(EV_FUZZ_ASAN)
    void poison(std::size_t begin, std::size_t end) { ASAN_POISON_MEMORY_REGION(base_ + begin, end - begin); }
    void unpoison(std::size_t begin, std::size_t end) {
        ASAN_UNPOISON_MEMORY_REGION(base_ + begin, end - begin);
    }
    void check(std::size_t, std::size_t) const {}
#else
    void poison(std::size_t, std::size_t) {}
    void unpoison(std::size_t, std::size_t) {}
    void check(std::size_t begin, std::size_t end) const {
        for (std::size_t i = begin; i < end; ++i) {
            if (base_[i] != kGuard) fail("a kernel wrote outside its arrays");
        }
    }
#endif
};

inline Memory memory;

}  // namespace ev::fuzz
