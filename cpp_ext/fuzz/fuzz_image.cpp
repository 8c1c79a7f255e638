// write_image: every filter, element type, layout, placement and order of channels.
#include <algorithm>

#include "agree.h"
#include "bytes.h"
#include "image_jobs.h"
#include "layout.h"
#include "memory.h"

using namespace ev::fuzz;

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    Bytes bytes(data, size);
    memory.rewind(0, 0);
    const int channels = bytes.between(1, 4);
    ev::ImageJob job = choose_job(bytes, channels);
    int height = bytes.size(1, 16, 64);
    int width = bytes.size(1, 24, 160);
    if (bytes.between(0, 3) == 0) {
        // Whole numbers of pixels to one: kernels of their own.
        const int whole = bytes.between(1, 4);
        job.resized_height = std::min(job.resized_height, 12);
        height = job.resized_height * (bytes.flag() ? whole : bytes.between(1, 4));
        width = job.resized_width * whole;
    }
    const Layout image = choose_layout(bytes, {height, width, channels});
    auto* pixels = memory.take<std::uint8_t>(image.span, static_cast<std::size_t>(bytes.between(0, 63)));
    bytes.fill(pixels, image.span);
    job.image = {pixels + image.first, image.extent[0], image.extent[1], channels,
                 image.stride[0],      image.stride[1], image.stride[2]};
    run_image(bytes, job);
    return 0;
}
