// The horizontal pass of INTER_LINEAR in vector registers: each window of neighbouring bytes of a row gives
// several columns, whose pairs of pixels a byte shuffle puts beside their weights. A window is what the
// shuffle reads: 16 bytes, or 128 with VBMI.
#pragma once

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>

#include "ev/image.h"
#include "first_bytes.h"
#include "image_rows.h"

#if defined(__AVX2__)
#include <immintrin.h>
#define EV_IMAGE_WINDOWS 1
#elif defined(__ARM_NEON) && defined(__aarch64__)
#include <arm_neon.h>
#define EV_IMAGE_WINDOWS 1
#else
#define EV_IMAGE_WINDOWS 0
#endif

namespace ev {
inline namespace EV_ISA {
namespace detail {

#if defined(__AVX512VBMI__)
constexpr std::ptrdiff_t kWindow = 128;  // bytes
constexpr int kWindowColumns = 32;       // of one window
constexpr int kWindowBlock = 1;          // windows computed together
#else
constexpr std::ptrdiff_t kWindow = 16;
constexpr int kWindowColumns = 4;
// 16 sums, or 32 with AVX-512, are one register.
#if defined(__AVX512BW__)
constexpr int kWindowBlock = 8;
#else
constexpr int kWindowBlock = 4;
#endif
#endif
constexpr std::ptrdiff_t kWindowShuffle = 4 * std::ptrdiff_t{kWindowColumns};
constexpr std::ptrdiff_t kWindowWeights = 2 * std::ptrdiff_t{kWindowColumns};
constexpr int kBlockColumns = kWindowBlock * kWindowColumns;

/// The tables of a row of windows, in blocks. Of each block's fours of columns the even ones come first, the
/// odd ones last: packing 32 bits to 16 joins the halves of a register's 128-bit lanes.
struct Windows {
    std::int32_t* begin;    // first byte of each window in the row
    std::uint8_t* shuffle;  // kWindowShuffle of each: the pixels of its columns as pairs of 16 bits
    std::int16_t* weights;  // kWindowWeights of each: of those pixels
};

inline int count_windows(int width) {
    return (width + kBlockColumns - 1) / kBlockColumns * kWindowBlock;
}

inline Windows take_windows(Arena& arena, int width) {
    const auto count = static_cast<std::size_t>(count_windows(width));
    return {arena.take<std::int32_t>(count), arena.take<std::uint8_t>(count * kWindowShuffle),
            arena.take<std::int16_t>(count * kWindowWeights)};
}

/// Where the tables hold window `index`.
inline int window_slot(int index) {
    const int in_block = index % kWindowBlock;
    return index - in_block + in_block % 2 * (kWindowBlock / 2) + in_block / 2;
}

/// Where a window's tables hold its column `index`.
inline int column_place(int index) {
    return index / 4 % 2 * (kWindowColumns / 2) + index / 8 * 4 + index % 4;
}

/// A column's two bytes in a row, and their weights.
struct LinearColumn {
    std::ptrdiff_t first;
    std::ptrdiff_t second;
    std::int16_t weight_first;
    std::int16_t weight_second;
};

/// Writes the window of columns [kWindowColumns * index, kWindowColumns * (index + 1)), which begins at
/// `latest` at the latest.
inline void set_window(const Windows& windows, int index, const LinearColumn* columns,
                       std::ptrdiff_t latest) {
    const int slot = window_slot(index);
    std::ptrdiff_t begin = latest;
    for (int i = 0; i < kWindowColumns; ++i) begin = std::min(begin, columns[i].first);
    windows.begin[slot] = static_cast<std::int32_t>(begin);
    std::uint8_t* shuffle = windows.shuffle + slot * kWindowShuffle;
    std::int16_t* weights = windows.weights + slot * kWindowWeights;
    for (int i = 0; i < kWindowColumns; ++i) {
        const std::ptrdiff_t place = column_place(i);
        shuffle[4 * place] = static_cast<std::uint8_t>(columns[i].first - begin);
        shuffle[4 * place + 1] = 0xff;  // gives zero
        shuffle[4 * place + 2] = static_cast<std::uint8_t>(columns[i].second - begin);
        shuffle[4 * place + 3] = 0xff;
        weights[2 * place] = columns[i].weight_first;
        weights[2 * place + 1] = columns[i].weight_second;
    }
}

/// Pixels of the widest image of which fit_windows is sure.
constexpr int kWidestRow = 1 << 16;

/// Whether the columns of every window lie in it: `step` pixels from one to the next, each of `stride` bytes
/// of which `channels` are columns.
inline bool fit_windows(double step, std::ptrdiff_t stride, int channels) {
    // Columns of so many pixels more than the first one's.
    const int more = (kWindowColumns - 2) / channels + 1;
    // The first pixels of two columns may be one more apart than their centres, and a hundredth is more than
    // float32 rounds the positions of kWidestRow pixels by. The last one's right pixel comes on top.
    const double pixels = std::floor(more * step + 0.01) + 2.0;
    return pixels * static_cast<double>(stride) + channels <= static_cast<double>(kWindow);
}

/// Whether windows read rows of so many bytes.
inline bool reads_row(std::ptrdiff_t readable) {
#if defined(__AVX512VBMI__)
    return readable > 0;
#else
    return readable >= kWindow;
#endif
}

#if defined(__AVX512VBMI__)

/// The sums of half a window's columns as 32 bits.
inline __m512i sum_half(__m512i low, __m512i high, const std::uint8_t* shuffle, const std::int16_t* weights) {
    constexpr std::uint64_t even_bytes =
        0x5555555555555555;  // the odd ones are zero, whatever the shuffle says
    const __m512i pairs = _mm512_maskz_permutex2var_epi8(even_bytes, low, _mm512_loadu_si512(shuffle), high);
    // With a mask of all: GCC 12 warns of the value that it makes up for the plain form (GCC bug 105593).
    return _mm512_maskz_srli_epi32(0xffff, _mm512_madd_epi16(pairs, _mm512_loadu_si512(weights)), 4);
}

/// The sums of a window's columns from its bytes.
inline void sum_window(__m512i low, __m512i high, const Windows& windows, std::ptrdiff_t slot,
                       std::int16_t* sums) {
    const std::uint8_t* shuffle = windows.shuffle + slot * kWindowShuffle;
    const std::int16_t* weights = windows.weights + slot * kWindowWeights;
    const __m512i even = sum_half(low, high, shuffle, weights);
    const __m512i odd = sum_half(low, high, shuffle + 64, weights + 32);
    _mm512_storeu_si512(sums, _mm512_packs_epi32(even, odd));
}

inline void sum_block(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot,
                      std::int16_t* sums) {
    const std::uint8_t* pixels = row + windows.begin[slot];
    sum_window(_mm512_loadu_si512(pixels), _mm512_loadu_si512(pixels + 64), windows, slot, sums);
}

/// All windows of a row that is shorter than they are: each begins where it does.
inline void sum_short_row(const std::uint8_t* row, std::ptrdiff_t readable, const Windows& windows,
                          std::ptrdiff_t count, std::int16_t* sums) {
    const __m512i low = _mm512_maskz_loadu_epi8(first_bytes(readable), row);
    const __m512i high = _mm512_maskz_loadu_epi8(first_bytes(readable - 64), row + 64);
    for (std::ptrdiff_t slot = 0; slot < count; ++slot) {
        sum_window(low, high, windows, slot, sums + slot * kWindowColumns);
    }
}

#elif defined(__AVX2__)

inline __m128i load_window(const std::uint8_t* row, std::int32_t begin) {
    return _mm_loadu_si128(reinterpret_cast<const __m128i*>(row + begin));
}

#if defined(__AVX512BW__)

/// The sums of four windows as 32 bits.
inline __m512i sum_windows(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot) {
    const std::int32_t* begin = windows.begin + slot;
    __m512i pixels = _mm512_castsi128_si512(load_window(row, begin[0]));
    pixels = _mm512_inserti32x4(pixels, load_window(row, begin[1]), 1);
    pixels = _mm512_inserti32x4(pixels, load_window(row, begin[2]), 2);
    pixels = _mm512_inserti32x4(pixels, load_window(row, begin[3]), 3);
    pixels = _mm512_shuffle_epi8(pixels, _mm512_loadu_si512(windows.shuffle + slot * kWindow));
    const __m512i weights = _mm512_loadu_si512(windows.weights + slot * kWindowWeights);
    // With a mask of all: GCC 12 warns of the value that it makes up for the plain form (GCC bug 105593).
    return _mm512_maskz_srli_epi32(0xffff, _mm512_madd_epi16(pixels, weights), 4);
}

inline void sum_block(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot,
                      std::int16_t* sums) {
    const __m512i even = sum_windows(row, windows, slot);
    const __m512i odd = sum_windows(row, windows, slot + 4);
    _mm512_storeu_si512(sums, _mm512_packs_epi32(even, odd));
}

#else

/// The sums of two windows as 32 bits.
inline __m256i sum_windows(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot) {
    const auto at = [](const void* data) { return _mm256_loadu_si256(static_cast<const __m256i*>(data)); };
    const __m256i pixels =
        _mm256_inserti128_si256(_mm256_castsi128_si256(load_window(row, windows.begin[slot])),
                                load_window(row, windows.begin[slot + 1]), 1);
    const __m256i pairs = _mm256_shuffle_epi8(pixels, at(windows.shuffle + slot * kWindow));
    const __m256i weights = at(windows.weights + slot * kWindowWeights);
    return _mm256_srli_epi32(_mm256_madd_epi16(pairs, weights), 4);
}

inline void sum_block(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot,
                      std::int16_t* sums) {
    const __m256i even = sum_windows(row, windows, slot);
    const __m256i odd = sum_windows(row, windows, slot + 2);
    _mm256_storeu_si256(reinterpret_cast<__m256i*>(sums), _mm256_packs_epi32(even, odd));
}

#endif

#elif EV_IMAGE_WINDOWS

/// The sums of one window.
inline int16x4_t sum_window(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot) {
    const uint8x16_t pixels = vld1q_u8(row + windows.begin[slot]);
    const int16x8_t pairs =
        vreinterpretq_s16_u8(vqtbl1q_u8(pixels, vld1q_u8(windows.shuffle + slot * kWindow)));
    const int16x8_t weights = vld1q_s16(windows.weights + slot * kWindowWeights);
    const int32x4_t low = vmull_s16(vget_low_s16(pairs), vget_low_s16(weights));
    return vshrn_n_s32(vpaddq_s32(low, vmull_high_s16(pairs, weights)), 4);
}

inline void sum_block(const std::uint8_t* row, const Windows& windows, std::ptrdiff_t slot,
                      std::int16_t* sums) {
    for (std::ptrdiff_t i = 0; i < kWindowBlock; ++i) {
        const std::ptrdiff_t at = slot + window_slot(static_cast<int>(i));
        vst1_s16(sums + i * kWindowColumns, sum_window(row, windows, at));
    }
}

#else

inline void sum_block(const std::uint8_t* /*row*/, const Windows& /*windows*/, std::ptrdiff_t /*slot*/,
                      std::int16_t* /*sums*/) {}

#endif

/// The sums of all columns of `Rows` rows, each to its own, and of some more up to a whole block. Of a row
/// `readable` bytes may be read, or a window from each `begin` on; what reads_row says of them holds.
template <int Rows>
inline void sum_windows_of(const std::uint8_t* const (&rows)[Rows], [[maybe_unused]] std::ptrdiff_t readable,
                           Windows windows, std::ptrdiff_t count, std::int16_t* const (&sums)[Rows]) {
#if defined(__AVX512VBMI__)
    if (readable < kWindow) {
        for (int i = 0; i < Rows; ++i) sum_short_row(rows[i], readable, windows, count, sums[i]);
        return;
    }
#endif
    for (std::ptrdiff_t slot = 0; slot < count; slot += kWindowBlock) {
        for (int i = 0; i < Rows; ++i) sum_block(rows[i], windows, slot, sums[i] + slot * kWindowColumns);
    }
}

}  // namespace detail
}  // namespace EV_ISA
}  // namespace ev
