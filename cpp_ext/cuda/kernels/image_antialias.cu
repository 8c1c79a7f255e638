// Pillow's filters. A block writes a tile: its weights are computed once, then source rows come by in bands,
// each resized horizontally to uint8 in shared memory and added to the tile's pixels by their vertical
// weights.
#include "image_antialias.h"
#include "image_pixels.h"

namespace ev::cuda {
namespace {

constexpr int kColumns = 32;
constexpr int kRows = 8;
constexpr int kBand = 64;  // source rows at a time

/// A row's or column's taps; none outside the image.
struct Taps {
    int first;
    int count;
    std::int32_t weights[kMaxAntialiasTaps];
};

template <class T>
struct WriteAntialiased {
    static constexpr int kThreads = kColumns * kRows;
    static constexpr bool kHasBarriers = true;
    struct Shared {
        Taps columns[kColumns];
        Taps rows[kRows];
        std::uint8_t band[kBand][3][kColumns];
    };

    const ImagePlace* places;
    ImageRule rule;

    EV_BODY void find_taps(int index, int offset, int source, int resized, Taps* taps) const {
        taps->first = 0;
        taps->count = 0;
        if (!is_covered(index, offset, resized)) return;
        const AntialiasAxis axis = antialias_axis(source, resized, rule.filter == Filter::bicubic_antialias);
        antialias_weights(axis, index - offset, taps->weights, &taps->first, &taps->count);
    }

    EV_BODY void resize_row(const ImagePlace& place, int y, const Taps& taps, int column,
                            std::uint8_t band[3][kColumns]) const {
        std::int32_t sums[3] = {kAntialiasHalf, kAntialiasHalf, kAntialiasHalf};
        for (int i = 0; i < taps.count; ++i) {
            const Pixel pixel = load_pixel(place, rule.out.channels, y, taps.first + i);
            for (int c = 0; c < 3; ++c) sums[c] += taps.weights[i] * pixel.channel[c];
        }
        for (int c = 0; c < 3; ++c) band[c][column] = antialias_pixel(sums[c]);
    }

    EV_BODY void operator()(const Block& block, Shared& shared) const {
        const ImagePlace& place = places[block.z];
        const int left = block.x * kColumns;
        const int top = block.y * kRows;
        if (block.thread < kColumns) {
            find_taps(left + block.thread, place.offset_x, place.image.width, place.resized_width,
                      &shared.columns[block.thread]);
        } else if (block.thread < kColumns + kRows) {
            const int row = block.thread - kColumns;
            find_taps(top + row, place.offset_y, place.image.height, place.resized_height, &shared.rows[row]);
        }
        block.barrier();
        int begin = place.image.height;  // the source rows that the tile reads
        int end = 0;
        for (const Taps& taps : shared.rows) {
            if (taps.count == 0) continue;
            begin = taps.first < begin ? taps.first : begin;
            end = taps.first + taps.count > end ? taps.first + taps.count : end;
        }
        const int column = block.thread % kColumns;
        const int row = block.thread / kColumns;
        const Taps& rows = shared.rows[row];
        std::int32_t sums[3] = {kAntialiasHalf, kAntialiasHalf, kAntialiasHalf};
        for (int start = begin; start < end; start += kBand) {
            const int stop = start + kBand < end ? start + kBand : end;
            for (int y = start + row; y < stop; y += kRows) {
                resize_row(place, y, shared.columns[column], column, shared.band[y - start]);
            }
            block.barrier();
            const int first = rows.first > start ? rows.first : start;
            const int last = rows.first + rows.count < stop ? rows.first + rows.count : stop;
            for (int y = first; y < last; ++y) {
                for (int c = 0; c < 3; ++c) {
                    sums[c] += rows.weights[y - rows.first] * shared.band[y - start][c][column];
                }
            }
            block.barrier();
        }
        const Canvas<T> canvas(rule, block.z);
        if (!canvas.has(top + row, left + column)) return;
        if (rows.count == 0 || shared.columns[column].count == 0) {
            canvas.store_pad(top + row, left + column);
        } else {
            canvas.store(top + row, left + column,
                         {{antialias_pixel(sums[0]), antialias_pixel(sums[1]), antialias_pixel(sums[2])}});
        }
    }
};

}  // namespace

template <class T>
void launch_antialias(const ImagePlace* places, int count, const ImageRule& rule, Stream stream) {
    const GridSize grid{static_cast<unsigned>(ceil_div(rule.out.width, kColumns)),
                        static_cast<unsigned>(ceil_div(rule.out.height, kRows)),
                        static_cast<unsigned>(count)};
    launch(WriteAntialiased<T>{places, rule}, grid, stream, "write_antialiased");
}

template void launch_antialias<std::uint8_t>(const ImagePlace*, int, const ImageRule&, Stream);
template void launch_antialias<std::uint16_t>(const ImagePlace*, int, const ImageRule&, Stream);
template void launch_antialias<float>(const ImagePlace*, int, const ImageRule&, Stream);

}  // namespace ev::cuda
