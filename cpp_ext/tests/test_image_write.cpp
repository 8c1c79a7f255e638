// The image kernels against a pixel at a time. Every buffer has exactly the size it needs, so that
// AddressSanitizer sees each step beyond it.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "check.h"
#include "ev/arith.h"
#include "ev/kernels.h"
#include "random.h"
#include "scratch_memory.h"

namespace {

using ev::Filter;

constexpr Filter kFilters[] = {Filter::nearest, Filter::linear, Filter::bilinear_antialias,
                               Filter::bicubic_antialias};

using ev::test::AlignedScratch;
using ev::test::Random;

/// One pixel of the resized image by the headers' arithmetic alone: no rows kept, nothing shared between
/// pixels.
std::uint8_t resized_pixel(const ev::ImageJob& job, int c, int y, int x) {
    const ev::ImageView& image = job.image;
    const auto at = [&](int row, int column) -> std::uint8_t {
        const auto channel = [&](int k) {
            return image.data[row * image.row_stride + column * image.pixel_stride +
                              job.order[k] * image.channel_stride];
        };
        return job.to_gray ? ev::luma_bt601(channel(0), channel(1), channel(2)) : channel(c);
    };
    if (job.filter == Filter::nearest) {
        return at(ev::nearest_index(y, ev::source_step(image.height, job.resized_height), image.height),
                  ev::nearest_index(x, ev::source_step(image.width, job.resized_width), image.width));
    }
    if (job.filter == Filter::linear) {
        const ev::LinearTap v =
            ev::linear_tap(y, ev::source_step(image.height, job.resized_height), image.height, false);
        const ev::LinearTap h =
            ev::linear_tap(x, ev::source_step(image.width, job.resized_width), image.width, true);
        const auto sum = [&](int row) {
            return ev::linear_horizontal(at(row, h.first), at(row, h.second), h.weight_first,
                                         h.weight_second);
        };
        return ev::linear_vertical(sum(v.first), sum(v.second), v.weight_first, v.weight_second);
    }
    const bool bicubic = job.filter == Filter::bicubic_antialias;
    const ev::AntialiasAxis vertical = ev::antialias_axis(image.height, job.resized_height, bicubic);
    const ev::AntialiasAxis horizontal = ev::antialias_axis(image.width, job.resized_width, bicubic);
    std::vector<std::int32_t> rows(static_cast<std::size_t>(ev::antialias_max_taps(vertical)));
    std::vector<std::int32_t> columns(static_cast<std::size_t>(ev::antialias_max_taps(horizontal)));
    int top = 0, left = 0, height = 0, width = 0;
    ev::antialias_weights(vertical, y, rows.data(), &top, &height);
    ev::antialias_weights(horizontal, x, columns.data(), &left, &width);
    std::int32_t total = ev::kAntialiasHalf;
    for (int i = 0; i < height; ++i) {
        std::int32_t sum = ev::kAntialiasHalf;
        for (int j = 0; j < width; ++j) sum += columns[static_cast<std::size_t>(j)] * at(top + i, left + j);
        total += rows[static_cast<std::size_t>(i)] * ev::antialias_pixel(sum);
    }
    return ev::antialias_pixel(total);
}

struct Shape {
    int image_height, image_width, resized_height, resized_width, offset_y, offset_x, height, width;
};

// ---- Images
// -----------------------------------------------------------------------------------------------------------

/// How an image lies in memory.
enum class Memory : std::uint8_t { interleaved, padded_rows, planar, flipped, spaced };

constexpr Memory kMemories[] = {Memory::interleaved, Memory::padded_rows, Memory::planar, Memory::flipped,
                                Memory::spaced};

/// Noise in a buffer from the image's first byte to its last.
struct Image {
    std::vector<std::uint8_t> bytes;
    ev::ImageView view;
};

Image make_image(int height, int width, int channels, Memory memory, Random& random) {
    Image image;
    ev::ImageView& view = image.view;
    view = {nullptr, height, width, channels, std::ptrdiff_t{channels} * width, channels, 1};
    if (memory == Memory::padded_rows) view.row_stride += random.between(1, 5);
    if (memory == Memory::planar) {
        view.pixel_stride = 1;
        view.row_stride = width;
        view.channel_stride = std::ptrdiff_t{height} * width;
    }
    if (memory == Memory::spaced) {
        view.pixel_stride = channels + random.between(1, 3);
        view.row_stride = view.pixel_stride * width;
    }
    const std::ptrdiff_t last = (height - 1) * view.row_stride + (width - 1) * view.pixel_stride +
                                (channels - 1) * view.channel_stride;
    image.bytes.resize(static_cast<std::size_t>(last) + 1);
    // Pixels that are black or white reach the ends of what the filters' sums can be.
    const bool extreme = random.between(0, 2) == 0;
    for (std::uint8_t& pixel : image.bytes)
        pixel =
            static_cast<std::uint8_t>(extreme ? 255 * random.between(0, 1) : random.between(-200, 455) & 255);
    view.data = image.bytes.data();
    if (memory == Memory::flipped) {
        view.data += last;
        view.row_stride = -view.row_stride;
        view.pixel_stride = -view.pixel_stride;
        view.channel_stride = -view.channel_stride;
    }
    return image;
}

// ---- Tensors
// ----------------------------------------------------------------------------------------------------------

/// What a table holds: nothing that could be computed, pixel / 255, 0.3 * pixel.
enum class Table : std::uint8_t { arbitrary, quotient, product };

constexpr Table kTables[] = {Table::arbitrary, Table::quotient, Table::product};

void set(float value, float* element) {
    *element = value;
}

/// Rounds a normal number below 65504 to the nearest half, ties to even; smaller ones exactly if they can be.
void set(float value, std::uint16_t* element) {
    if (value == 0.0F) {
        *element = 0;
        return;
    }
    int exponent = 0;
    const float mantissa = std::frexp(value, &exponent);  // [0.5, 1)
    const auto steps = static_cast<int>(std::nearbyint(mantissa * 2048.0F));
    *element = static_cast<std::uint16_t>(((exponent + 13) << 10) + steps);
}

void set(float value, std::uint8_t* element) {
    *element = static_cast<std::uint8_t>(value);
}

template <class T>
std::vector<T> make_table(Table kind, int channels) {
    std::vector<T> table(static_cast<std::size_t>(channels) * 256);
    for (std::size_t i = 0; i < table.size(); ++i) {
        const auto pixel = static_cast<float>(i % 256);
        if (kind == Table::arbitrary) {
            table[i] = static_cast<T>((i * 7 + 3) % 251);
        } else if (sizeof(T) == 1) {
            set(pixel, &table[i]);
        } else {
            set(kind == Table::quotient ? pixel / 255.0F : pixel * 0.3F, &table[i]);
        }
    }
    return table;
}

struct Kind {
    Filter filter;
    int channels;
    bool to_gray;
    bool nhwc;
    int gap;  // elements behind a row
    Memory memory;
    Table table;
    ev::Element element;
};

ev::TensorView view_tensor(const Shape& shape, const Kind& kind) {
    ev::TensorView view{nullptr, kind.element, kind.channels, shape.height, shape.width, 0, 0, 0};
    view.pixel_stride = kind.nhwc ? kind.channels : 1;
    view.row_stride = view.pixel_stride * shape.width + kind.gap;
    view.channel_stride = kind.nhwc ? 1 : shape.height * view.row_stride;
    return view;
}

// ---- The tests
// ------------------------------------------------------------------------------------------------------------

/// Writes an image of noise and compares every element of the tensor. T is the tensor's element type.
template <class T>
void check_write(const Shape& shape, const Kind& kind, Random& random) {
    const int source_channels = kind.to_gray || random.between(0, 3) > 0 ? random.between(3, 4) : 1;
    const Image image =
        make_image(shape.image_height, shape.image_width, source_channels, kind.memory, random);
    ev::ImageJob job{};
    job.image = image.view;
    job.out = view_tensor(shape, kind);
    const std::ptrdiff_t last = (kind.channels - 1) * job.out.channel_stride +
                                (shape.height - 1) * job.out.row_stride +
                                (shape.width - 1) * job.out.pixel_stride;
    std::vector<T> out(static_cast<std::size_t>(last) + 1, T{99});
    job.out.data = out.data();
    job.resized_height = shape.resized_height;
    job.resized_width = shape.resized_width;
    job.offset_y = shape.offset_y;
    job.offset_x = shape.offset_x;
    job.filter = kind.filter;
    job.to_gray = kind.to_gray;
    const int turned = random.between(0, 2);
    for (int c = 0; c < 3 && source_channels > 1; ++c) job.order[c] = turned == 0 ? 2 - c : (c + turned) % 3;
    const std::vector<T> table = make_table<T>(kind.table, kind.channels);
    std::vector<T> pad(static_cast<std::size_t>(kind.channels));
    for (std::size_t i = 0; i < pad.size(); ++i) {  // all the same, the last another, or each one
        const std::size_t step = i * static_cast<std::size_t>(turned) / 2;
        pad[i] = static_cast<T>(252 + step);
    }
    job.table = table.data();
    job.pad = pad.data();
    const AlignedScratch scratch(ev::kernels().image_scratch_size(job));

    ev::kernels().write_image(job, scratch.get());

    for (int c = 0; c < kind.channels; ++c) {
        for (int y = 0; y < shape.height; ++y) {
            for (int x = 0; x < shape.width; ++x) {
                const int in_y = y - shape.offset_y;
                const int in_x = x - shape.offset_x;
                const bool inside =
                    in_y >= 0 && in_y < shape.resized_height && in_x >= 0 && in_x < shape.resized_width;
                const auto channel = static_cast<std::size_t>(c);
                const T expected =
                    inside ? table[channel * 256 + resized_pixel(job, c, in_y, in_x)] : pad[channel];
                T& got = out[static_cast<std::size_t>(c * job.out.channel_stride + y * job.out.row_stride +
                                                      x * job.out.pixel_stride)];
                CHECK(got == expected);
                got = T{99};
            }
        }
    }
    for (const T element : out) CHECK(element == T{99});  // what lies behind rows
}

void check_some_kind(const Shape& shape, Filter filter, Random& random) {
    Kind kind{};
    kind.filter = filter;
    kind.channels = random.between(0, 2) == 0 ? 1 : 3;
    kind.to_gray = kind.channels == 1 && random.between(0, 1) == 1;
    kind.nhwc = random.between(0, 1) == 1;
    kind.gap = random.between(0, 2) == 0 ? random.between(1, 9) : 0;
    kind.memory = kMemories[random.between(0, 4)];
    kind.table = kTables[random.between(0, 2)];
    const int type = random.between(0, 2);
    if (type == 0) {
        kind.element = ev::Element::f32;
        check_write<float>(shape, kind, random);
    } else if (type == 1) {
        kind.element = ev::Element::f16;
        check_write<std::uint16_t>(shape, kind, random);
    } else {
        kind.element = ev::Element::u8;
        check_write<std::uint8_t>(shape, kind, random);
    }
}

void check_all_filters(const Shape& shape, Random& random) {
    for (const Filter filter : kFilters) check_some_kind(shape, filter, random);
}

void test_writes_every_element_as_one_pixel_at_a_time_would() {
    Random random(4);
    for (int i = 0; i < 600; ++i) {
        const int largest = i % 4 == 0 ? 3 : 24;
        const auto side = [&] { return random.between(1, largest); };
        check_all_filters({side(), side(), side(), side(), random.between(-26, 26), random.between(-26, 26),
                           side(), side()},
                          random);
    }
}

/// Rows of every length up to several vectors: enlarged, reduced by factors whole and odd, and as they are.
void test_rows_of_every_length() {
    Random random(6);
    for (int width = 1; width <= 97; ++width) {
        const int odd = random.between(1, 9) * width + random.between(0, 7);
        for (const int source : {width, 2 * width, 3 * width, (width + 1) / 2, odd}) {
            for (const Filter filter : {Filter::nearest, Filter::linear}) {
                const Shape shape{random.between(2, 6), source, 3, width, 0, 0, 3, width};
                for (int i = 0; i < 3; ++i) check_some_kind(shape, filter, random);
            }
            const Shape same{2, source, 2, source, 0, random.between(-2, 2), 2, width};
            for (int i = 0; i < 3; ++i) check_some_kind(same, Filter::linear, random);
        }
    }
}

/// Whole numbers of pixels to one, where pixels are copied or averaged; shown whole, cropped and moved.
void test_whole_numbers_of_pixels() {
    Random random(7);
    for (const int width : {1, 2, 3, 15, 16, 17, 31, 32, 33, 63, 64, 65, 97, 130, 257}) {
        for (const int across : {1, 2, 3, 4, 5, 6}) {
            for (const int down : {2, 3, 4}) {
                const int height = random.between(1, 4);
                const int offset = random.between(-width + 1, width / 2);
                for (const int offset_x : {0, offset}) {
                    const Shape shape{height * down,         width * across, height,     width,
                                      random.between(-1, 1), offset_x,       height + 1, width};
                    check_some_kind(shape, Filter::linear, random);
                    check_some_kind(shape, Filter::nearest, random);
                }
            }
        }
    }
}

/// Antialiased columns in blocks of every width, by steps up to and beyond what each form of block reaches.
void test_antialiased_blocks() {
    Random random(8);
    for (const int width : {1, 2, 15, 16, 17, 31, 33, 64, 97}) {
        for (const int tenths : {3, 10, 13, 19, 25, 30, 42, 43, 58, 66, 69, 75, 81, 95, 99, 150, 170, 380}) {
            const int source = std::max(1, width * tenths / 10);
            for (const Filter filter : {Filter::bilinear_antialias, Filter::bicubic_antialias}) {
                const int rows = random.between(1, 6);
                const int offset = random.between(-width + 1, 2);
                check_some_kind({random.between(1, 40), source, rows, width, 0, 0, rows, width}, filter,
                                random);
                check_some_kind({random.between(1, 9), source, rows, width, random.between(-rows + 1, 1),
                                 offset, rows, width},
                                filter, random);
            }
        }
    }
}

void test_tiles_meet() {
    Random random(5);
    // Vertical kernels of some thousand rows, so that the ring holds only a few columns at a time.
    check_all_filters({9000, 2, 3, 70, 0, -1, 3, 68}, random);
    check_all_filters({9000, 1, 1, 33, 0, 0, 2, 33}, random);
    // Kernels of more columns or rows than tables are made for.
    check_all_filters({2, 20000, 2, 2, 0, 0, 2, 2}, random);
    check_all_filters({20000, 2, 2, 3, 0, 0, 2, 3}, random);
    // Many columns of a few taps, enlarged and shrunk.
    check_all_filters({2, 700, 3, 5000, 0, -17, 3, 4950}, random);
    check_all_filters({3, 9000, 2, 4000, 0, 3, 2, 3900}, random);
}

/// Packed pixels to planes of more bytes than caches hold, which AVX2 writes past them.
void test_large_planes() {
    if (std::getenv("EV_EMULATED") != nullptr) return;  // takes long, and there is no AVX2
    constexpr std::ptrdiff_t height = 1800;
    constexpr std::ptrdiff_t width = 3136;
    std::vector<std::uint8_t> pixels(std::size_t{3} * height * width);
    std::uint32_t noise = 1;
    for (std::uint8_t& pixel : pixels) {
        noise = noise * 1664525U + 1013904223U;
        pixel = static_cast<std::uint8_t>(noise >> 24);
    }
    std::vector<std::uint8_t> table(std::size_t{3} * 256);
    for (std::size_t i = 0; i < table.size(); ++i) table[i] = static_cast<std::uint8_t>(i);
    for (const std::ptrdiff_t gap : {0, 9}) {  // all rows as one, or each by itself from any place
        const std::ptrdiff_t pitch = width + gap;
        const std::ptrdiff_t plane = (height * pitch + 31) / 32 * 32;
        std::vector<std::uint8_t> out(static_cast<std::size_t>(3 * plane));
        ev::ImageJob job{};
        job.image = {pixels.data(), height, width, 3, 3 * width, 3, 1};
        job.out = {out.data(), ev::Element::u8, 3, height, width, plane, pitch, 1};
        job.resized_height = height;
        job.resized_width = width;
        for (int c = 0; c < 3; ++c) job.order[c] = 2 - c;
        job.table = job.pad = table.data();
        const AlignedScratch scratch(ev::kernels().image_scratch_size(job));
        ev::kernels().write_image(job, scratch.get());
        int wrong = 0;
        for (std::ptrdiff_t i = 0; i < height * width; ++i) {
            const std::uint8_t* written = out.data() + i / width * pitch + i % width;
            const std::uint8_t* pixel = pixels.data() + 3 * i;
            wrong += written[0] == pixel[2] && written[plane] == pixel[1] && written[2 * plane] == pixel[0]
                         ? 0
                         : 1;
        }
        CHECK(wrong == 0);
    }
}

}  // namespace

void run() {
    test_writes_every_element_as_one_pixel_at_a_time_would();
    test_rows_of_every_length();
    test_whole_numbers_of_pixels();
    test_antialiased_blocks();
    test_tiles_meet();
    test_large_planes();
}
