// Masks as COCO's run lengths: runs of equal pixels down the columns, zeros first.
//
// Masks lie in memory row by row, runs go by column. Both directions therefore work on the few places where
// a pixel differs from the one above it, found and undone row by row, and never walk a column.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/isa.h"

namespace ev {

/// A mask, not 0 inside, at (top, left) of an image that is 0 elsewhere; rows contiguous. The image has less
/// than 2^32 pixels.
struct CropView {
    const std::uint8_t* data;
    std::int64_t height, width;
    std::ptrdiff_t row_stride;
    std::int64_t top, left;
    std::int64_t image_height, image_width;
};

/// The most characters that a count takes in COCO's string: 33 bits with its sign, five a character.
constexpr std::size_t kRleCharacters = 7;

constexpr std::ptrdiff_t kBadRle = -1;

inline namespace EV_ISA {

/// Bytes of scratch, aligned to 64, for count_runs and encode_rle.
std::size_t encode_scratch_size(const CropView& crop);

/// How many run lengths the image has. Leaves in scratch what encode_rle needs.
std::size_t count_runs(const CropView& crop, std::byte* scratch);

/// Writes as many run lengths as count_runs said.
void encode_rle(const CropView& crop, std::byte* scratch, std::uint32_t* counts, std::size_t size);

/// Bytes of scratch, aligned to 64, for decode_rle.
std::size_t decode_scratch_size(std::size_t size, std::int64_t height);

/// Writes pixels, 0 or 1, of run lengths that sum to height * width.
void decode_rle(const std::uint32_t* counts, std::size_t size, std::uint8_t* out, std::int64_t height,
                std::int64_t width, std::ptrdiff_t row_stride, std::byte* scratch);

/// Writes COCO's string, at most kRleCharacters a count, and returns its length.
std::size_t pack_rle(const std::uint32_t* counts, std::size_t size, char* text);

/// Writes the counts of COCO's string, at most one a character; returns how many, or kBadRle.
std::ptrdiff_t unpack_rle(const char* text, std::size_t size, std::uint32_t* counts);

}  // namespace EV_ISA

}  // namespace ev
