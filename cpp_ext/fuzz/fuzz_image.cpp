// write_image: every filter, element type, layout, placement and order of channels.
#include <algorithm>

#include "image_jobs.h"
#include "target.h"

namespace {

using namespace ev::fuzz;

struct Size {
    int height, width;
};

/// Whole numbers of pixels to one: kernels of their own.
Size choose_multiple(Bytes& bytes, ev::ImageJob& job) {
    const int whole = bytes.between(1, 4);
    job.resized_height = std::min(job.resized_height, 12);
    return {job.resized_height * (bytes.flag() ? whole : bytes.between(1, 4)), job.resized_width * whole};
}

/// Many rows to few: columns are worked on in tiles, so that the rows of one stay in the cache.
Size choose_tall(Bytes& bytes, ev::ImageJob& job) {
    job.resized_height = bytes.between(1, 8);
    job.resized_width = bytes.between(100, 300);
    return {bytes.between(600, 3000), bytes.between(1, 100)};
}

/// Rows of which a pixel reads thousands.
Size choose_wide(Bytes& bytes, ev::ImageJob& job) {
    job.resized_width = bytes.between(1, 4);
    return {bytes.between(1, 4), bytes.between(4000, 10000)};
}

Size choose_size(Bytes& bytes, ev::ImageJob& job) {
    if (is_rare(bytes, 256)) return choose_tall(bytes, job);
    if (is_rare(bytes, 256)) return choose_wide(bytes, job);
    const int kind = bytes.between(0, 7);
    if (kind <= 1) return choose_multiple(bytes, job);
    if (kind <= 3) return {job.resized_height, job.resized_width};
    return {bytes.size(1, 16, 64), bytes.between(1, bytes.flag() ? 300 : 24)};
}

}  // namespace

void ev::fuzz::run_case(Bytes& bytes) {
    const int channels = bytes.between(1, 4);
    ImageJob job = choose_job(bytes, channels);
    const Size size = choose_size(bytes, job);
    const Layout image = choose_image_layout(bytes, size.height, size.width, channels);
    const auto* pixels = take_bits<std::uint8_t>(bytes, image.span);
    job.image = {pixels + image.first, image.extent[0], image.extent[1], channels,
                 image.stride[0],      image.stride[1], image.stride[2]};
    run_image(bytes, job);
}
