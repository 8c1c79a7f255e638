// Jobs of write_image: every filter, element type, layout, placement and order of channels.
#pragma once

#include <algorithm>

#include "target.h"

namespace ev::fuzz {

/// All of a job but where its pixels come from and go.
inline ev::ImageJob choose_job(Bytes& bytes, int image_channels) {
    ev::ImageJob job{};
    job.filter = static_cast<ev::Filter>(bytes.between(0, 3));
    job.to_gray = image_channels >= 3 && bytes.between(0, 3) == 0;
    job.out.channels = !job.to_gray && bytes.flag() ? 3 : 1;
    job.out.element = static_cast<ev::Element>(bytes.between(0, 2));
    job.out.height = bytes.size(1, 12, 40);
    job.out.width = bytes.between(1, bytes.flag() ? 150 : 24);
    job.resized_height = bytes.size(1, 16, 48);
    job.resized_width = bytes.between(1, bytes.flag() ? 160 : 24);
    job.offset_y = bytes.between(-20, 20);
    job.offset_x = bytes.between(-40, 40);
    const int order = bytes.between(0, image_channels >= 3 ? 3 : 1);
    for (int c = 0; c < 3; ++c) {
        const int usual = order == 2 ? c : 2 - c;
        job.order[c] = order >= 2 ? usual : bytes.between(0, image_channels - 1);
    }
    return job;
}

/// Any elements, or pixels times a factor, which kernels may compute instead of looking them up.
template <class T>
void fill_table(Bytes& bytes, T* table, std::size_t channels) {
    bytes.fill(reinterpret_cast<std::uint8_t*>(table), channels * 256 * sizeof(T));
    if (bytes.flag()) return;
    const double factor = bytes.flag() ? 1.0 / 255.0 : static_cast<double>(bytes.fraction());
    for (std::size_t i = 0; i < channels * 256; ++i) {
        const auto pixel = static_cast<std::uint32_t>(i % 256);
        if (sizeof(T) == 4) {
            table[i] = static_cast<T>(bits_of(static_cast<float>(pixel * factor)));
        } else {
            table[i] = static_cast<T>(pixel);  // a half's smallest subnormals: this many times 2^-24
        }
    }
}

template <class T>
void run_typed_image(Bytes& bytes, ev::ImageJob& job) {
    const auto channels = static_cast<std::size_t>(job.out.channels);
    T* table = memory.take<T>(channels * 256, choose_shift<T>(bytes));
    fill_table(bytes, table, channels);
    T* pad = take_bits<T>(bytes, channels);
    if (bytes.flag()) std::fill_n(pad, channels, pad[0]);
    const Layout out = choose_image_layout(bytes, job.out.height, job.out.width, job.out.channels);
    const std::size_t shift = choose_shift<T>(bytes);
    job.table = table;
    job.pad = pad;
    job.out.row_stride = out.stride[0];
    job.out.pixel_stride = out.stride[1];
    job.out.channel_stride = out.stride[2];
    agree([&](Results& results) {
        T* tensor = memory.take<T>(out.span, shift);
        job.out.data = tensor + out.first;
        ev::kernels().write_image(job, memory.scratch(ev::kernels().image_scratch_size(job)));
        add_elements(results, out, tensor);
    });
}

/// Runs a job whose image is there, in half of the cases to a canvas of its own size.
inline void run_image(Bytes& bytes, ev::ImageJob& job) {
    if (bytes.flag()) {
        job.out.height = job.resized_height;
        job.out.width = job.resized_width;
        job.offset_y = job.offset_x = 0;
    }
    switch (job.out.element) {
        case ev::Element::u8:
            run_typed_image<std::uint8_t>(bytes, job);
            break;
        case ev::Element::f16:
            run_typed_image<std::uint16_t>(bytes, job);
            break;
        case ev::Element::f32:
            run_typed_image<std::uint32_t>(bytes, job);
            break;
    }
}

}  // namespace ev::fuzz
