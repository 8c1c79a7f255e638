#include "byte_picker.h"

#include <algorithm>
#include <cstring>

#if defined(__AVX2__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {
namespace {

constexpr std::ptrdiff_t kWindowBytes = std::ptrdiff_t{3} * kPickLane;

// With fewer bytes a window than this, but for the last one, copies of single bytes are as fast.
constexpr int kLeastPicks = kPickLane / 4;

/// Windows of at least kLeastPicks bytes, and the last.
std::size_t most_windows(int count) {
    return kPickLane == 0 ? 0 : static_cast<std::size_t>(count / std::max(1, kLeastPicks)) + 1;
}

// Writes kPickLane bytes, of which those at places[i] of the window count.

#if defined(__AVX512VBMI__)

void pick_window(const std::uint8_t* window, const std::uint8_t* places, std::uint8_t* out) {
    const __m512i place = _mm512_loadu_si512(places);
    const __m512i two =
        _mm512_permutex2var_epi8(_mm512_loadu_si512(window), place, _mm512_loadu_si512(window + 64));
    const __mmask64 beyond = _mm512_movepi8_mask(place);  // 128 and more
    const __m512i three = _mm512_mask_permutexvar_epi8(two, beyond, place, _mm512_loadu_si512(window + 128));
    _mm512_storeu_si512(out, three);
}

#elif defined(__AVX2__)

void pick_window(const std::uint8_t* window, const std::uint8_t* places, std::uint8_t* out) {
    const auto load = [](const std::uint8_t* at) {
        return _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    };
    const __m128i place = load(places);  // bits 0 to 3 choose a byte, 4 and 5 a register
    const __m128i first = _mm_shuffle_epi8(load(window), place);
    const __m128i second = _mm_shuffle_epi8(load(window + 16), place);
    const __m128i third = _mm_shuffle_epi8(load(window + 32), place);
    const __m128i two = _mm_blendv_epi8(first, second, _mm_slli_epi16(place, 3));
    const __m128i three = _mm_blendv_epi8(two, third, _mm_slli_epi16(place, 2));
    _mm_storeu_si128(reinterpret_cast<__m128i*>(out), three);
}

#elif defined(__ARM_NEON) && defined(__aarch64__)

void pick_window(const std::uint8_t* window, const std::uint8_t* places, std::uint8_t* out) {
    const uint8x16x3_t bytes = {{vld1q_u8(window), vld1q_u8(window + 16), vld1q_u8(window + 32)}};
    vst1q_u8(out, vqtbl3q_u8(bytes, vld1q_u8(places)));
}

#else

void pick_window(const std::uint8_t* /*window*/, const std::uint8_t* /*places*/, std::uint8_t* /*out*/) {}

#endif

}  // namespace

BytePicker::BytePicker(Arena& arena, int count)
    : count_(count),
      offsets_(arena.take<std::ptrdiff_t>(static_cast<std::size_t>(count))),
      window_(arena.take<Window>(most_windows(count))),
      places_(arena.take<std::uint8_t>(most_windows(count) * kPickLane)),
      copy_(arena.take<std::uint8_t>(kWindowBytes)) {}

void BytePicker::plan() {
    windows_ = 0;
    if (kPickLane == 0 || count_ == 0) return;
    const auto [lowest, highest] = std::minmax_element(offsets_, offsets_ + count_);
    lowest_ = *lowest;
    const std::ptrdiff_t span = *highest + 1 - lowest_;
    copied_ = span < kWindowBytes ? static_cast<std::size_t>(span) : 0;
    const std::ptrdiff_t last_begin = lowest_ + std::max<std::ptrdiff_t>(0, span - kWindowBytes);
    int windows = 0;
    for (int first = 0; first < count_; ++windows) {
        std::ptrdiff_t low = offsets_[first];
        std::ptrdiff_t high = low;
        int end = first + 1;
        for (; end < count_ && end - first < kPickLane; ++end) {
            const std::ptrdiff_t next_low = std::min(low, offsets_[end]);
            const std::ptrdiff_t next_high = std::max(high, offsets_[end]);
            if (next_high - next_low >= kWindowBytes) break;
            low = next_low;
            high = next_high;
        }
        if (end - first < kLeastPicks && end < count_) return;
        const std::ptrdiff_t begin = std::min(low, last_begin);
        window_[windows] = {begin, first};
        std::uint8_t* places = places_ + std::ptrdiff_t{windows} * kPickLane;
        for (int i = first; i < end; ++i) places[i - first] = static_cast<std::uint8_t>(offsets_[i] - begin);
        std::fill(places + (end - first), places + kPickLane, std::uint8_t{0});
        first = end;
    }
    windows_ = windows;
}

void BytePicker::pick(const std::uint8_t* samples, std::uint8_t* out) const {
    if (windows_ == 0) {
        for (int i = 0; i < count_; ++i) out[i] = samples[offsets_[i]];
        return;
    }
    if (copied_ > 0) {
        std::memcpy(copy_, samples + lowest_, copied_);
        samples = copy_ - lowest_;
    }
    // In order, because each window's last bytes may be the next one's first.
    for (std::ptrdiff_t i = 0; i < windows_; ++i) {
        pick_window(samples + window_[i].begin, places_ + i * kPickLane, out + window_[i].first);
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
