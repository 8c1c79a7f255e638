// Run lengths without Python: against a walk down every column, there and back. Buffers have exactly the size
// the contract asks for.
#include <cstdint>
#include <string>
#include <vector>

#include "check.h"
#include "ev/kernels.h"
#include "scratch_memory.h"

namespace {

using ev::test::AlignedScratch;
using Counts = std::vector<std::uint32_t>;

struct Image {
    std::int64_t height, width;
    std::vector<std::uint8_t> pixels;

    std::uint8_t at(std::int64_t y, std::int64_t x) const {
        return pixels[static_cast<std::size_t>(y * width + x)];
    }
};

Counts count_plainly(const Image& image) {
    Counts counts{0};
    bool inside = false;
    for (std::int64_t x = 0; x < image.width; ++x) {
        for (std::int64_t y = 0; y < image.height; ++y) {
            if ((image.at(y, x) != 0) != inside) {
                inside = !inside;
                counts.push_back(0);
            }
            ++counts.back();
        }
    }
    return counts;
}

Counts encode(const ev::CropView& crop) {
    const AlignedScratch scratch(ev::kernels().encode_scratch_size(crop));
    Counts counts(ev::kernels().count_runs(crop, scratch.get()));
    ev::kernels().encode_rle(crop, scratch.get(), counts.data(), counts.size());
    return counts;
}

void check_string(const Counts& counts) {
    std::string text(counts.size() * ev::kRleCharacters, '\0');
    text.resize(ev::kernels().pack_rle(counts.data(), counts.size(), &text[0]));
    Counts again(text.size());
    const std::ptrdiff_t found = ev::kernels().unpack_rle(text.data(), text.size(), again.data());
    CHECK(found == static_cast<std::ptrdiff_t>(counts.size()));
    again.resize(counts.size());
    CHECK(again == counts);
    if (!text.empty()) {  // the last character says that none follows
        text.back() = static_cast<char>(text.back() | 0x20);
        text.back() = static_cast<char>(((text.back() - 48) | 0x20) + 48);
        CHECK(ev::kernels().unpack_rle(text.data(), text.size(), again.data()) == ev::kBadRle);
    }
}

void check_image(const Image& image) {
    const Counts expected = count_plainly(image);
    const ev::CropView whole{image.pixels.data(), image.height, image.width, image.width, 0, 0,
                             image.height,        image.width};
    CHECK(encode(whole) == expected);
    std::vector<std::uint8_t> out(image.pixels.size(), 9);
    const AlignedScratch scratch(ev::kernels().decode_scratch_size(expected.size(), image.height));
    ev::kernels().decode_rle(expected.data(), expected.size(), out.data(), image.height, image.width,
                             image.width, scratch.get());
    for (std::size_t i = 0; i < out.size(); ++i) CHECK(out[i] == (image.pixels[i] != 0 ? 1 : 0));
    check_string(expected);
}

/// The part of an image that is not 0 as a crop gives the image's run lengths.
void check_crop(Image image, std::int64_t top, std::int64_t left, std::int64_t height, std::int64_t width) {
    std::vector<std::uint8_t> crop;
    for (std::int64_t y = 0; y < image.height; ++y) {
        for (std::int64_t x = 0; x < image.width; ++x) {
            const bool inside = y >= top && y < top + height && x >= left && x < left + width;
            std::uint8_t& pixel = image.pixels[static_cast<std::size_t>(y * image.width + x)];
            if (inside) crop.push_back(pixel);
            if (!inside) pixel = 0;
        }
    }
    const ev::CropView view{crop.data(), height, width, width, top, left, image.height, image.width};
    CHECK(encode(view) == count_plainly(image));
}

Image draw(std::int64_t height, std::int64_t width, std::uint32_t density, std::uint32_t* state) {
    Image image{height, width, std::vector<std::uint8_t>(static_cast<std::size_t>(height * width))};
    for (std::uint8_t& pixel : image.pixels) {
        *state = *state * 1664525U + 1013904223U;
        pixel = static_cast<std::uint8_t>((*state >> 28) < density ? 1 + (*state >> 26) % 4 : 0);
    }
    return image;
}

void test_images() {
    std::uint32_t state = 7;
    const std::int64_t sides[] = {1, 3, 17, 33, 63, 64, 65, 97};
    for (const std::int64_t height : sides) {
        for (const std::int64_t width : sides) {
            for (const std::uint32_t density : {0U, 1U, 8U, 15U, 16U}) {
                const Image image = draw(height, width, density, &state);
                check_image(image);
                check_crop(image, 0, 0, height, width);
                check_crop(image, height / 2, width / 3, height - height / 2, width - width / 3);
                check_crop(image, 0, width / 3, height, width / 2);
                check_crop(image, height / 3, 0, height / 2, width);
            }
        }
    }
    check_image(draw(300, 301, 8, &state));  // more changes than are kept
    Image checkers{60, 70, std::vector<std::uint8_t>(4200)};
    for (std::size_t i = 0; i < checkers.pixels.size(); ++i) {
        checkers.pixels[i] = (i / 70 + i % 70) % 2 == 0 ? 255 : 0;
    }
    check_image(checkers);
}

void test_strings() {
    check_string({});
    check_string({0, 1, 15, 16, 31, 32, 1023, 1024});
    check_string({0xffffffffU, 0, 0xffffffffU, 0xffffffffU, 0, 0, 0xffffffffU, 0});
    Counts counts(9);
    for (const std::string text : {"o", "/", "p", "O", "oooooo4", "ooooooo0"}) {
        CHECK(ev::kernels().unpack_rle(text.data(), text.size(), counts.data()) == ev::kBadRle);
    }
    const std::string largest = "oooooo3";
    CHECK(ev::kernels().unpack_rle(largest.data(), largest.size(), counts.data()) == 1);
    CHECK(counts[0] == 0xffffffffU);
}

}  // namespace

void run() {
    test_images();
    test_strings();
}
