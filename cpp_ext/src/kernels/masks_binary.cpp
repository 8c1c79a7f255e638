#include "ev/masks_binary.h"

#include <algorithm>
#include <cstring>
#include <type_traits>

#include "bits.h"
#include "float_lanes.h"
#include "masks_stretches.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

template <class T>
void find_above(const SourceView<T>& source, float threshold, std::size_t words, std::uint64_t* above) {
    for (std::int32_t y = 0; y < source.height; ++y) {
        const T* row = source.data + y * source.row_stride;
        std::uint64_t* to = above + static_cast<std::size_t>(y) * words;
        for (std::int32_t x = 0; x < source.width; x += kWordBits) {
            *to++ = above_bits(row + x, std::min(source.width - x, kWordBits), threshold);
        }
    }
}

Rows as_floats(const SourceView<float>& source, ScratchArena*) {
    return {source.data, source.row_stride};
}

Rows as_floats(const SourceView<Half>& source, ScratchArena* arena) {
    float* rows =
        arena->take<float>(static_cast<std::size_t>(source.height) * static_cast<std::size_t>(source.width));
    for (std::int32_t y = 0; y < source.height; ++y) {
        const Half* from = source.data + y * source.row_stride;
        float* to = rows + static_cast<std::ptrdiff_t>(y) * source.width;
        std::int32_t x = 0;
#if defined(EV_HAVE_LANES)
        for (; x + kFloatLanes <= source.width; x += kFloatLanes) store_lanes(to + x, load_lanes(from + x));
#endif
        for (; x < source.width; ++x) to[x] = to_float(from[x]);
    }
    return {rows, source.width};
}

}  // namespace

template <class T>
std::size_t mask_scratch_size(const SourceView<T>& source, std::int32_t width) {
    const auto rows = static_cast<std::size_t>(source.height);
    const std::size_t words = count_words(source.width);
    const std::size_t floats =
        std::is_same<T, float>::value ? 0 : rows * static_cast<std::size_t>(source.width);
    return ScratchArena::size_of<std::uint64_t>(rows * words) +
           2 * ScratchArena::size_of<std::uint64_t>(words + 1) +
           ScratchArena::size_of<Chunk>(static_cast<std::size_t>(width)) +
           ScratchArena::size_of<float>(floats);
}

template <class T, int K>
void write_mask(const SourceView<T>& source, const Taps<K>* rows, const ColumnPlan<K>& columns,
                float threshold, const MaskView& mask, std::byte* scratch) {
    const std::size_t words = count_words(source.width);
    const auto width = static_cast<std::size_t>(mask.width);
    ScratchArena arena(scratch);
    auto* above = arena.take<std::uint64_t>(static_cast<std::size_t>(source.height) * words);
    const Sides sides{arena.take<std::uint64_t>(words + 1), arena.take<std::uint64_t>(words + 1)};
    sides.all[words] = sides.any[words] = 0;  // read by bits_from
    Chunk* chunks = arena.take<Chunk>(width);
    find_above(source, threshold, words, above);
    Masker<K> masker{
        columns,   as_floats(source, &arena), source.top, source.left, source.width, words, threshold,
        mask.left, mask.left + mask.width,    above,      sides,       chunks};
    for (std::int32_t y = 0; y < mask.height; ++y) {
        std::uint8_t* out = mask.data + static_cast<std::ptrdiff_t>(y) * mask.width;
        if (y == 0 || !same_sources(rows[y], rows[y - 1])) {
            masker.start_rows(rows[y], out);
        } else {
            std::memcpy(out, out - mask.width, width);  // but for the chunks they are alike
        }
        if (masker.num_chunks > 0) masker.interpolate(rows[y], out);
    }
}

template std::size_t mask_scratch_size(const SourceView<float>&, std::int32_t);
template std::size_t mask_scratch_size(const SourceView<Half>&, std::int32_t);

#define EV_WRITE(T, K)                                                                          \
    template void write_mask(const SourceView<T>&, const Taps<K>*, const ColumnPlan<K>&, float, \
                             const MaskView&, std::byte*);
EV_WRITE(float, 2)
EV_WRITE(float, 4)
EV_WRITE(Half, 2)
EV_WRITE(Half, 4)
#undef EV_WRITE

}  // namespace EV_ISA
}  // namespace ev
