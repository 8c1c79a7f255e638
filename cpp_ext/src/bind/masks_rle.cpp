// Run lengths of masks, and COCO's string of them.
#include <optional>

#include "ev/kernels.h"
#include "masks_shared.h"
#include "thread_scratch.h"

using namespace nanobind::literals;

namespace ev::bind {
namespace {

constexpr const char* kCropMessage =
    "crop must be uint8 (height, width) with contiguous rows, inside the image";
constexpr const char* kCountsMessage = "counts must be C-contiguous uint32 (runs,)";
constexpr const char* kOutMessage = "out must be uint8 (height, width) with contiguous rows";
constexpr const char* kPixelsMessage = "an image must have 0 to 4294967295 pixels";

constexpr std::int64_t kMaxPixels = 0xffffffffLL;

thread_local Scratch run_scratch;

void check_pixels(std::int64_t height, std::int64_t width) {
    require(height >= 0 && width >= 0 && height <= kMaxPixels && width <= kMaxPixels, kPixelsMessage);
    require(width == 0 || height <= kMaxPixels / width, kPixelsMessage);
}

nb::object encode(const ReadArray& array, std::int64_t top, std::int64_t left, std::int64_t image_height,
                  std::int64_t image_width) {
    require(array.ndim() == 2 && has_dtype<std::uint8_t>(array.dtype()) &&
                (array.size() == 0 || array.shape(1) == 1 || array.stride(1) == 1),
            kCropMessage);
    check_pixels(image_height, image_width);
    CropView crop{};
    crop.data = static_cast<const std::uint8_t*>(array.data());
    crop.height = static_cast<std::int64_t>(array.shape(0));
    crop.width = static_cast<std::int64_t>(array.shape(1));
    crop.row_stride = static_cast<std::ptrdiff_t>(array.stride(0));
    crop.top = top;
    crop.left = left;
    crop.image_height = image_height;
    crop.image_width = image_width;
    require(top >= 0 && left >= 0 && crop.height <= image_height && top <= image_height - crop.height &&
                crop.width <= image_width && left <= image_width - crop.width,
            kCropMessage);
    std::size_t size = 0;
    std::optional<ResultBlock> block;
    std::uint32_t* counts = nullptr;
    {
        nb::gil_scoped_release released;
        std::byte* scratch = run_scratch.reserve(kernels().encode_scratch_size(crop));
        size = kernels().count_runs(crop, scratch);
        block.emplace(size * sizeof(std::uint32_t));
        counts = block->take<std::uint32_t>(size);
        kernels().encode_rle(crop, scratch, counts, size);
        run_scratch.trim();
    }
    return as_numpy(counts, size, block->release());
}

void decode(const ReadArray& counts, const WriteArray& out) {
    require(counts.ndim() == 1, kCountsMessage);
    const auto* runs = elements<std::uint32_t>(counts, kCountsMessage);
    require(out.ndim() == 2 && has_dtype<std::uint8_t>(out.dtype()) &&
                (out.size() == 0 || out.shape(1) == 1 || out.stride(1) == 1),
            kOutMessage);
    const auto height = static_cast<std::int64_t>(out.shape(0));
    const auto width = static_cast<std::int64_t>(out.shape(1));
    check_pixels(height, width);
    std::uint64_t total = 0;  // 2^32 counts of 2^32 fit
    for (std::size_t i = 0; i < counts.size(); ++i) total += runs[i];
    require(total == static_cast<std::uint64_t>(height * width), "counts must sum to out's pixels");
    require_apart(out, counts);
    nb::gil_scoped_release released;
    std::byte* scratch = run_scratch.reserve(kernels().decode_scratch_size(counts.size(), height));
    kernels().decode_rle(runs, counts.size(), static_cast<std::uint8_t*>(out.data()), height, width,
                         static_cast<std::ptrdiff_t>(out.stride(0)), scratch);
    run_scratch.trim();
}

nb::bytes pack(const ReadArray& counts) {
    require(counts.ndim() == 1, kCountsMessage);
    const auto* runs = elements<std::uint32_t>(counts, kCountsMessage);
    auto* text = reinterpret_cast<char*>(run_scratch.reserve(counts.size() * kRleCharacters));
    const std::size_t length = kernels().pack_rle(runs, counts.size(), text);
    nb::bytes packed(text, length);
    run_scratch.trim();
    return packed;
}

nb::object unpack(const nb::bytes& text) {
    ResultBlock block(text.size() * sizeof(std::uint32_t));
    auto* counts = block.take<std::uint32_t>(text.size());
    const std::ptrdiff_t found = kernels().unpack_rle(text.c_str(), text.size(), counts);
    if (found == kBadRle) return nb::none();
    return as_numpy(counts, static_cast<std::size_t>(found), block.release());
}

}  // namespace

void bind_rle(nb::module_& module) {
    const auto array = [](const char* name) { return nb::arg(name).noconvert(); };
    module.def("encode_rle", &encode, array("crop"), "top"_a, "left"_a, "image_height"_a, "image_width"_a);
    module.def("decode_rle", &decode, array("counts"), array("out"));
    module.def("pack_rle", &pack, array("counts"));
    module.def("unpack_rle", &unpack, "text"_a);
}

}  // namespace ev::bind
