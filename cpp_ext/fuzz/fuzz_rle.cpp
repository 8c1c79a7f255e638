// Run lengths: round trips of masks and of counts, and strings from anywhere.
#include <algorithm>
#include <cstring>

#include "target.h"

namespace {

using namespace ev::fuzz;

/// Runs along the rows of up to so many equal pixels; what is not 0 is at times any byte.
void fill_mask(Bytes& bytes, std::uint8_t* mask, std::size_t count, int longest_run) {
    std::uint8_t value = 0;
    for (std::size_t i = 0, left = 0; i < count; ++i) {
        if (left == 0) {
            left = static_cast<std::size_t>(bytes.between(1, longest_run));
            value = value == 0 ? (bytes.between(0, 3) == 0 ? bytes.byte() : 1) : 0;
        }
        --left;
        mask[i] = value;
    }
}

void check_mask(const ev::CropView& crop, const std::uint8_t* decoded, std::ptrdiff_t stride) {
    for (std::int64_t y = 0; y < crop.image_height; ++y) {
        for (std::int64_t x = 0; x < crop.image_width; ++x) {
            const bool inside =
                y >= crop.top && y < crop.top + crop.height && x >= crop.left && x < crop.left + crop.width;
            const bool set = inside && crop.data[(y - crop.top) * crop.row_stride + x - crop.left] != 0;
            if (decoded[y * stride + x] != (set ? 1 : 0))
                fail("decoded run lengths are not the encoded mask");
        }
    }
}

/// A mask to counts, to a string, and back.
void run_mask(Bytes& bytes) {
    const bool large = is_rare(bytes, 512);  // more changes than an encoder keeps
    const int height = large ? bytes.between(200, 300) : bytes.size(0, 12, 40);
    const int width = large ? bytes.between(200, 300) : bytes.size(0, 24, 140);
    const Layout layout = choose_layout(bytes, {1, height, width}, 2);
    auto* mask = memory.take<std::uint8_t>(layout.span, choose_shift<std::uint8_t>(bytes));
    fill_mask(bytes, mask, layout.span, large ? 2 : bytes.size(1, 8, 90));
    ev::CropView crop{};
    crop.data = mask + layout.first;
    crop.height = layout.extent[1];
    crop.width = layout.extent[2];
    crop.row_stride = layout.stride[1];
    crop.top = bytes.flag() ? 0 : bytes.between(0, 5);
    crop.left = bytes.flag() ? 0 : bytes.between(0, 5);
    crop.image_height = crop.top + crop.height + (bytes.flag() ? 0 : bytes.between(0, 5));
    crop.image_width = crop.left + crop.width + (bytes.flag() ? 0 : bytes.between(0, 5));
    const auto image_width = static_cast<std::size_t>(crop.image_width);
    const std::ptrdiff_t stride = crop.image_width + bytes.between(0, 3);
    agree([&](Results& results) {
        std::byte* scratch = memory.scratch(ev::kernels().encode_scratch_size(crop));
        const std::size_t size = ev::kernels().count_runs(crop, scratch);
        auto* counts = memory.take<std::uint32_t>(size);
        ev::kernels().encode_rle(crop, scratch, counts, size);
        results.add(size);
        results.add(counts, size);
        const std::size_t rows = static_cast<std::size_t>(crop.image_height);
        const std::size_t span = rows > 0 ? (rows - 1) * static_cast<std::size_t>(stride) + image_width : 0;
        auto* decoded = memory.take<std::uint8_t>(span);
        ev::kernels().decode_rle(counts, size, decoded, crop.image_height, crop.image_width, stride,
                                 memory.scratch(ev::kernels().decode_scratch_size(size, crop.image_height)));
        check_mask(crop, decoded, stride);
    });
}

/// Counts of any size to a string and back: the differences wrap as 33 bits do.
void run_counts(Bytes& bytes) {
    const auto size = static_cast<std::size_t>(bytes.size(0, 10, 60));
    auto* counts = memory.take<std::uint32_t>(size);
    const int bits = bytes.between(0, 31);
    for (std::size_t i = 0; i < size; ++i) counts[i] = bytes.word() >> bits;
    agree([&](Results& results) {
        auto* text = memory.take<char>(size * ev::kRleCharacters);
        const std::size_t length = ev::kernels().pack_rle(counts, size, text);
        results.add(text, length);
        auto* exact = memory.take<char>(length);
        if (length > 0) std::memcpy(exact, text, length);
        auto* unpacked = memory.take<std::uint32_t>(length);
        const std::ptrdiff_t found = ev::kernels().unpack_rle(exact, length, unpacked);
        if (found != static_cast<std::ptrdiff_t>(size) || !std::equal(counts, counts + size, unpacked)) {
            fail("unpacked counts are not the packed ones");
        }
    });
}

/// A string from anywhere: refused, or counts that are decoded where they sum to an image.
void run_text(Bytes& bytes) {
    const auto size = static_cast<std::size_t>(bytes.size(0, 24, 200));
    auto* text = memory.take<char>(size);
    const bool in_range = bytes.between(0, 3) != 0;
    for (std::size_t i = 0; i < size; ++i) {
        text[i] = static_cast<char>(in_range ? 48 + bytes.byte() % 64 : bytes.byte());
    }
    agree([&](Results& results) {
        auto* counts = memory.take<std::uint32_t>(size);
        const std::ptrdiff_t found = ev::kernels().unpack_rle(text, size, counts);
        results.add(found);
        if (found < 0) return;
        const auto known = static_cast<std::size_t>(found);
        if (known > size) fail("more counts than characters");
        results.add(counts, known);
        std::uint64_t pixels = 0;
        for (std::size_t i = 0; i < known; ++i) pixels += counts[i];
        if (pixels > 4096) return;
        const std::int64_t width = pixels % 7 == 0 ? 7 : 1;
        const auto height = static_cast<std::int64_t>(pixels) / width;
        auto* mask = memory.take<std::uint8_t>(static_cast<std::size_t>(pixels));
        ev::kernels().decode_rle(counts, known, mask, height, width, width,
                                 memory.scratch(ev::kernels().decode_scratch_size(known, height)));
        results.add(mask, static_cast<std::size_t>(pixels));
    });
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    run_one_of(bytes, {run_mask, run_counts, run_text});
}
