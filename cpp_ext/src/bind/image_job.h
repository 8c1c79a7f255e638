// Image jobs out of Python's arrays and numbers, checked; and running them on as many threads as they are
// worth.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/ndarray.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>

#include "ev/kernels.h"
#include "ev/pool.h"
#include "thread_scratch.h"

namespace ev::bind {

namespace nb = nanobind;

using Table = nb::ndarray<nb::ro, nb::c_contig, nb::device::cpu>;

inline constexpr int kMaxImageSide = 1 << 24;

inline int image_side(std::int64_t value, const char* what) {
    if (value < 1 || value > kMaxImageSide) throw nb::value_error(what);
    return static_cast<int>(value);
}

inline Element element_of(nb::dlpack::dtype type) {
    if (type == nb::dtype<std::uint8_t>()) return Element::u8;
    if (type == nb::dtype<float>()) return Element::f32;
    if (type.code == static_cast<std::uint8_t>(nb::dlpack::dtype_code::Float) && type.bits == 16 &&
        type.lanes == 1) {
        return Element::f16;
    }
    throw nb::type_error("table, pad and out must be uint8, float16 or float32");
}

/// As the struct module names it.
inline char element_letter(Element element) {
    return element == Element::u8 ? 'B' : (element == Element::f16 ? 'e' : 'f');
}

inline std::ptrdiff_t element_size(Element element) {
    return element == Element::u8 ? 1 : (element == Element::f16 ? 2 : 4);
}

/// Numbers that say where the resized image goes and how its pixels are read.
struct JobNumbers {
    std::int64_t resized_height, resized_width, offset_y, offset_x;
    int filter;
    int order[3];
    bool to_gray;
};

/// All of a job but its arrays: the table says the tensor's element and channels. `channels` are the image's.
inline ImageJob make_job(int channels, const Table& table, const Table& pad, const JobNumbers& numbers) {
    ImageJob job{};
    job.out.element = element_of(table.dtype());
    job.out.channels = pad.size() == 1 ? 1 : 3;
    const auto out_channels = static_cast<std::size_t>(job.out.channels);
    if (table.size() != out_channels * 256 || pad.size() != out_channels || pad.dtype() != table.dtype()) {
        throw nb::value_error(
            "table must be (channels, 256) and pad (channels,) of its dtype, channels 1 or 3");
    }
    job.table = table.data();
    job.pad = pad.data();
    job.resized_height = image_side(numbers.resized_height, "resized height out of range");
    job.resized_width = image_side(numbers.resized_width, "resized width out of range");
    if (std::max({numbers.offset_y, -numbers.offset_y, numbers.offset_x, -numbers.offset_x}) >
        kMaxImageSide) {
        throw nb::value_error("offset out of range");
    }
    job.offset_y = static_cast<int>(numbers.offset_y);
    job.offset_x = static_cast<int>(numbers.offset_x);
    if (numbers.filter < 0 || numbers.filter > static_cast<int>(Filter::bicubic_antialias))
        throw nb::value_error("unknown filter");
    job.filter = static_cast<Filter>(numbers.filter);
    for (int c = 0; c < 3; ++c) {
        const int channel = numbers.order[c];
        if (channel < 0 || channel >= channels) throw nb::value_error("order names a channel image lacks");
        job.order[c] = channel;
    }
    if (numbers.to_gray && job.out.channels != 1) throw nb::value_error("gray output has 1 channel");
    job.to_gray = numbers.to_gray;
    return job;
}

/// The part of a job that writes rows [begin, end) of the canvas.
inline ImageJob part_of(const ImageJob& job, int begin, int end) {
    ImageJob part = job;
    part.out.data =
        static_cast<std::byte*>(job.out.data) + begin * job.out.row_stride * element_size(job.out.element);
    part.out.height = end - begin;
    part.offset_y -= begin;
    return part;
}

inline void run_job(const ImageJob& job) {
    // Canvas pixels a thread writes at least: some 50 microseconds, a few times what handing out a part
    // takes.
    constexpr std::size_t least_pixels = std::size_t{1} << 16;
    const auto pixels = static_cast<std::size_t>(job.out.height) * static_cast<std::size_t>(job.out.width);
    const int parts = std::min(job.out.height, count_parts(pixels, least_pixels));
    const auto row = [&](int at) { return static_cast<int>(part_begin(job.out.height, at, parts)); };
    const auto part = [&](int at) { return part_of(job, row(at), row(at + 1)); };
    const Kernels& table = kernels();  // one choice for all of the call
    std::size_t size = 0;
    for (int at = 0; at < parts; ++at) size = std::max(size, table.image_scratch_size(part(at)));
    size = (size + 63) / 64 * 64;

    thread_local Scratch scratch;
    std::byte* memory = scratch.reserve(size * static_cast<std::size_t>(parts));
    for_each_part(parts,
                  [&](int at) { table.write_image(part(at), memory + size * static_cast<std::size_t>(at)); });
    scratch.trim();
}

}  // namespace ev::bind
