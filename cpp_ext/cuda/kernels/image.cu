// The filters that copy or blend a fixed number of pixels. A block writes a tile: the rows' and columns'
// positions, which take double arithmetic that GPUs are slow at, are computed once for all of it.
#include "image_antialias.h"
#include "image_pixels.h"

namespace ev::cuda {
namespace {

constexpr int kTile = 32;       // columns and rows
constexpr int kRowsAtOnce = 8;  // rows that a block's threads write side by side

/// INTER_NEAREST.
struct Nearest {
    using Tap = int;

    EV_BODY static Tap tap(int index, int source, int resized, bool /*exact_edge*/) {
        return nearest_index(index, source_step(source, resized), source);
    }

    EV_BODY static Pixel read(const ImagePlace& place, int channels, int y, int x) {
        return load_pixel(place, channels, y, x);
    }
};

/// INTER_LINEAR.
struct Linear {
    using Tap = LinearTap;

    EV_BODY static Tap tap(int index, int source, int resized, bool exact_edge) {
        return linear_tap(index, source_step(source, resized), source, exact_edge);
    }

    EV_BODY static Pixel read(const ImagePlace& place, int channels, const Tap& y, const Tap& x) {
        const Pixel corners[4] = {
            load_pixel(place, channels, y.first, x.first), load_pixel(place, channels, y.first, x.second),
            load_pixel(place, channels, y.second, x.first), load_pixel(place, channels, y.second, x.second)};
        Pixel pixel{};
        for (int c = 0; c < 3; ++c) {
            pixel.channel[c] = linear_vertical(linear_horizontal(corners[0].channel[c], corners[1].channel[c],
                                                                 x.weight_first, x.weight_second),
                                               linear_horizontal(corners[2].channel[c], corners[3].channel[c],
                                                                 x.weight_first, x.weight_second),
                                               y.weight_first, y.weight_second);
        }
        return pixel;
    }
};

template <class T, class Sampler>
struct WriteImages {
    static constexpr int kThreads = kTile * kRowsAtOnce;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        typename Sampler::Tap columns[kTile];
        typename Sampler::Tap rows[kTile];
    };

    const ImagePlace* places;
    ImageRule rule;

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const ImagePlace& place = places[block.z];
        const int left = block.x * kTile;
        const int top = block.y * kTile;
        if (block.thread < kTile) {
            const int x = left + block.thread;
            if (is_covered(x, place.offset_x, place.resized_width)) {
                shared.columns[block.thread] =
                    Sampler::tap(x - place.offset_x, place.image.width, place.resized_width, true);
            }
        } else if (block.thread < 2 * kTile) {
            const int y = top + block.thread - kTile;
            if (is_covered(y, place.offset_y, place.resized_height)) {
                shared.rows[block.thread - kTile] =
                    Sampler::tap(y - place.offset_y, place.image.height, place.resized_height, false);
            }
        }
        block.barrier();
        const Canvas<T> canvas(rule, block.z);
        const int column = block.thread % kTile;
        for (int row = block.thread / kTile; row < kTile; row += kRowsAtOnce) {
            const int y = top + row;
            const int x = left + column;
            if (!canvas.has(y, x)) continue;
            if (is_covered(y, place.offset_y, place.resized_height) &&
                is_covered(x, place.offset_x, place.resized_width)) {
                canvas.store(
                    y, x, Sampler::read(place, rule.out.channels, shared.rows[row], shared.columns[column]));
            } else {
                canvas.store_pad(y, x);
            }
        }
    }
};

template <class T>
void write_elements(const ImagePlace* places, int count, const ImageRule& rule, Stream stream) {
    if (rule.filter == Filter::bilinear_antialias || rule.filter == Filter::bicubic_antialias) {
        launch_antialias<T>(places, count, rule, stream);
        return;
    }
    const GridSize grid{static_cast<unsigned>(ceil_div(rule.out.width, kTile)),
                        static_cast<unsigned>(ceil_div(rule.out.height, kTile)),
                        static_cast<unsigned>(count)};
    if (rule.filter == Filter::nearest) {
        launch(WriteImages<T, Nearest>{places, rule}, grid, stream, "write_images");
    } else {
        launch(WriteImages<T, Linear>{places, rule}, grid, stream, "write_images");
    }
}

}  // namespace

void launch_write_images(const ImagePlace* places, int count, const ImageRule& rule, Stream stream) {
    if (count == 0) return;
    if (rule.out.element == Element::u8) {
        write_elements<std::uint8_t>(places, count, rule, stream);
    } else if (rule.out.element == Element::f16) {
        write_elements<std::uint16_t>(places, count, rule, stream);
    } else {
        write_elements<float>(places, count, rule, stream);
    }
}

}  // namespace ev::cuda
