#include "ev/masks.h"

#include <algorithm>
#include <limits>

#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// Source columns whose running maxima are worked on together, in L1.
constexpr std::int32_t kRun = 512;

// A cell (four neighbouring source pixels) without one best class.
constexpr std::int32_t kMixed = -1;

// Mixed output columns that are interpolated together, and the source columns they may span. Short, so that
// few classes contend; long enough to share the vertical blend.
constexpr std::int32_t kSegment = 16;
constexpr std::int32_t kSources = 64;

// More than a bilinear interpolation of equal values rounds: six roundings of 2^-24, and what subnormal
// products lose.
constexpr float kRounding = 1e-6F;
constexpr float kTiny = 1e-37F;

/// labels[i] = the best class of each pixel of one source row.
template <class T, class L>
void argmax_row(const LogitsView<T>& logits, std::int32_t row, L* labels) {
    using Key = typename Order<T>::Key;
    Key best[kRun];
    std::int32_t winner[kRun];
    const T* first = logits.data + row * logits.row_stride;
    for (std::int32_t start = 0; start < logits.width; start += kRun) {
        const std::int32_t n = std::min(kRun, logits.width - start);
        if (logits.classes == 1) {
            for (std::int32_t i = 0; i < n; ++i)
                labels[start + i] = to_float(first[start + i]) > 0.0F ? 1 : 0;
            continue;
        }
        std::fill_n(best, n, Order<T>::lowest());
        std::fill_n(winner, n, 0);
        for (std::int32_t id = 0; id < logits.classes; ++id) {
            const T* values = first + id * logits.class_stride + start;
            for (std::int32_t i = 0; i < n; ++i) {
                const Key key = Order<T>::key(values[i]);
                const bool wins = key > best[i];
                best[i] = wins ? key : best[i];
                winner[i] = wins ? id : winner[i];
            }
        }
        for (std::int32_t i = 0; i < n; ++i) labels[start + i] = static_cast<L>(winner[i]);
    }
}

/// A stretch of mixed output columns, and the classes that can win there.
struct Segment {
    std::int32_t begin;
    std::int32_t end;
    std::int32_t num_contenders;
    std::size_t first_contender;
};

/// Everything that stays the same from row to row.
template <class T, class L>
struct Upsampler {
    const LogitsView<T>& logits;
    std::int32_t width;   // output columns
    const Tap* columns;   // of each output column
    const L* source;      // the best class of each source pixel
    std::int32_t* cells;  // of the present pair of source rows: the class all four pixels share, or kMixed
    L* pattern;           // of the present pair: an output row with the labels of the unmixed cells
    Segment* segments;    // of the present pair
    std::int32_t* contenders;  // of the present pair, segment after segment
    float* tops;               // of the present segment: above what each class can reach
    std::size_t num_segments;

    void start_pair(const Tap& row) {
        const L* top = source + static_cast<std::ptrdiff_t>(row.first) * logits.width;
        const L* bottom = source + static_cast<std::ptrdiff_t>(row.second) * logits.width;
        for (std::int32_t i = 0; i < logits.width; ++i) {
            const std::int32_t right = i + 1 < logits.width ? i + 1 : i;
            const bool same = top[i] == bottom[i] && top[i] == top[right] && top[i] == bottom[right];
            cells[i] = same ? static_cast<std::int32_t>(top[i]) : kMixed;
        }
        num_segments = 0;
        for (std::int32_t x = 0; x < width; ++x) {
            const std::int32_t cell = cells[columns[x].first];
            pattern[x] = static_cast<L>(cell);
            if (cell == kMixed) extend_segments(x);
        }
        std::size_t used = 0;
        for (std::size_t i = 0; i < num_segments; ++i) {
            segments[i].first_contender = used;
            find_contenders(row, &segments[i]);
            used += static_cast<std::size_t>(segments[i].num_contenders);
        }
    }

    void extend_segments(std::int32_t x) {
        if (num_segments > 0) {
            Segment& last = segments[num_segments - 1];
            if (last.end == x && x - last.begin < kSegment && sources_of(last.begin, x + 1) <= kSources) {
                last.end = x + 1;
                return;
            }
        }
        segments[num_segments++] = {x, x + 1, 0, 0};
    }

    std::int32_t sources_of(std::int32_t begin, std::int32_t end) const {
        return columns[end - 1].second - columns[begin].first + 1;
    }

    /// Interpolated logits lie between the least and the greatest of their source pixels, but for rounding: a
    /// class whose greatest is below another's least cannot win. A class with a NaN or an infinity there
    /// dismisses no other and stays.
    void find_contenders(const Tap& row, Segment* segment) {
        constexpr float infinity = std::numeric_limits<float>::infinity();
        const std::int32_t first = columns[segment->begin].first;
        const std::int32_t sources = sources_of(segment->begin, segment->end);
        float bar = -infinity;
        for (std::int32_t id = 0; id < logits.classes; ++id) {
            const T* above = logits.data + id * logits.class_stride + row.first * logits.row_stride + first;
            const T* below = above + (row.second - row.first) * logits.row_stride;
            float least = infinity;
            float greatest = -infinity;
            bool finite = true;
            for (std::int32_t i = 0; i < sources; ++i) {
                const float a = to_float(above[i]);
                const float b = to_float(below[i]);
                const float low = a < b ? a : b;
                const float high = a > b ? a : b;
                least = low < least ? low : least;
                greatest = high > greatest ? high : greatest;
                finite = finite && is_finite(a) && is_finite(b);
            }
            tops[id] = finite ? greatest + std::fabs(greatest) * kRounding + kTiny : infinity;
            if (finite) bar = std::max(bar, least - std::fabs(least) * kRounding);
        }
        std::int32_t* ids = contenders + segment->first_contender;
        for (std::int32_t id = 0; id < logits.classes; ++id) {
            ids[segment->num_contenders] = id;
            segment->num_contenders += tops[id] < bar ? 0 : 1;
        }
    }

    /// Interpolates the mixed columns of one output row.
    void write_row(const Tap& row, L* out) const {
        std::copy_n(pattern, width, out);
        for (std::size_t i = 0; i < num_segments; ++i) {
            interpolate(row, segments[i], contenders + segments[i].first_contender, out);
        }
    }

    void interpolate(const Tap& row, const Segment& segment, const std::int32_t* ids, L* out) const {
        float best[kSegment];
        std::int32_t winner[kSegment];
        float blended[kSources + 1];
        float left[kSegment];
        float right[kSegment];
        float weight[kSegment];
        std::int32_t offset[kSegment];
        const Tap* taps = columns + segment.begin;
        const std::int32_t first = taps[0].first;
        const std::int32_t n = segment.end - segment.begin;
        const std::int32_t sources = sources_of(segment.begin, segment.end);
        const bool binary = logits.classes == 1;
        // A few columns too many: whole vectors without a remainder.
        const std::int32_t padded = (n + 3) / 4 * 4;
        for (std::int32_t i = 0; i < padded; ++i) {
            const Tap& tap = taps[i < n ? i : n - 1];
            offset[i] = tap.first - first;
            weight[i] = tap.weight;
        }
        std::fill_n(best, padded, binary ? 0.0F : -std::numeric_limits<float>::infinity());
        std::fill_n(winner, padded, 0);
        for (std::int32_t contender = 0; contender < segment.num_contenders; ++contender) {
            const std::int32_t id = ids[contender];
            const T* above = logits.data + id * logits.class_stride + row.first * logits.row_stride + first;
            const T* below = above + (row.second - row.first) * logits.row_stride;
            for (std::int32_t i = 0; i < sources; ++i) {
                blended[i] = blend(to_float(above[i]), to_float(below[i]), row.weight);
            }
            // Beyond the last column the neighbour is that column again.
            blended[sources] = blended[sources - 1];
            for (std::int32_t i = 0; i < padded; ++i) {
                left[i] = blended[offset[i]];
                right[i] = blended[offset[i] + 1];
            }
            const std::int32_t label = binary ? 1 : id;
            for (std::int32_t i = 0; i < padded; ++i) {
                const float value = blend(left[i], right[i], weight[i]);
                const bool wins = value > best[i];
                best[i] = select(wins, value, best[i]);
                winner[i] = wins ? label : winner[i];
            }
        }
        for (std::int32_t i = 0; i < n; ++i) out[segment.begin + i] = static_cast<L>(winner[i]);
    }
};

}  // namespace

template <class T, class L>
std::size_t upsample_scratch_size(const LogitsView<T>& logits, const LabelView<L>& labels) {
    const auto source_width = static_cast<std::size_t>(logits.width);
    const auto width = static_cast<std::size_t>(labels.width);
    const auto classes = static_cast<std::size_t>(logits.classes);
    return ScratchArena::size_of<Tap>(width) + ScratchArena::size_of<std::int32_t>(source_width) +
           ScratchArena::size_of<L>(width) + ScratchArena::size_of<Segment>(width) +
           ScratchArena::size_of<std::int32_t>(width * classes + 1) + ScratchArena::size_of<float>(classes) +
           ScratchArena::size_of<L>(source_width * static_cast<std::size_t>(logits.height));
}

template <class T, class L>
void upsample_argmax(const LogitsView<T>& logits, const Roi& roi, const LabelView<L>& labels,
                     std::byte* scratch) {
    const auto source_width = static_cast<std::size_t>(logits.width);
    const auto width = static_cast<std::size_t>(labels.width);
    const auto classes = static_cast<std::size_t>(logits.classes);
    ScratchArena arena(scratch);
    Tap* columns = arena.take<Tap>(width);
    auto* cells = arena.take<std::int32_t>(source_width);
    L* pattern = arena.take<L>(width);
    auto* segments = arena.take<Segment>(width);
    auto* contenders = arena.take<std::int32_t>(width * classes + 1);  // a column a segment at worst
    auto* tops = arena.take<float>(classes);
    L* source = arena.take<L>(source_width * static_cast<std::size_t>(logits.height));

    for (std::int32_t row = 0; row < logits.height; ++row) {
        argmax_row(logits, row, source + static_cast<std::ptrdiff_t>(row) * logits.width);
    }
    for (std::int32_t x = 0; x < labels.width; ++x) {
        columns[x] = bilinear_tap(x, roi.x, roi.width, labels.width, logits.width);
    }
    Upsampler<T, L> upsampler{logits,  labels.width, columns,    source, cells,
                              pattern, segments,     contenders, tops,   0};
    std::int32_t above = -1;
    for (std::int32_t y = 0; y < labels.height; ++y) {
        const Tap row = bilinear_tap(y, roi.y, roi.height, labels.height, logits.height);
        if (row.first != above) upsampler.start_pair(row);
        above = row.first;
        upsampler.write_row(row, labels.data + y * labels.row_stride);
    }
}

template <class L>
void resize_labels(const L* map, std::int32_t height, std::int32_t width, std::ptrdiff_t row_stride,
                   std::ptrdiff_t column_stride, const Roi& roi, const LabelView<L>& labels,
                   std::int32_t* columns) {
    for (std::int32_t x = 0; x < labels.width; ++x) {
        columns[x] = nearest_source(x, roi.x, roi.width, labels.width, width);
    }
    std::int32_t previous = -1;
    for (std::int32_t y = 0; y < labels.height; ++y) {
        const std::int32_t row = nearest_source(y, roi.y, roi.height, labels.height, height);
        L* out = labels.data + y * labels.row_stride;
        if (row == previous) {
            std::copy_n(out - labels.row_stride, labels.width, out);
            continue;
        }
        previous = row;
        const L* from = map + row * row_stride;
        for (std::int32_t x = 0; x < labels.width; ++x) out[x] = from[columns[x] * column_stride];
    }
}

#define EV_UPSAMPLE(T, L)                                                                  \
    template std::size_t upsample_scratch_size(const LogitsView<T>&, const LabelView<L>&); \
    template void upsample_argmax(const LogitsView<T>&, const Roi&, const LabelView<L>&, std::byte*);
EV_UPSAMPLE(float, std::uint8_t)
EV_UPSAMPLE(float, std::int32_t)
EV_UPSAMPLE(Half, std::uint8_t)
EV_UPSAMPLE(Half, std::int32_t)
#undef EV_UPSAMPLE

#define EV_RESIZE(L)                                                                                  \
    template void resize_labels(const L*, std::int32_t, std::int32_t, std::ptrdiff_t, std::ptrdiff_t, \
                                const Roi&, const LabelView<L>&, std::int32_t*);
EV_RESIZE(std::uint8_t)
EV_RESIZE(std::int32_t)
EV_RESIZE(std::int64_t)
#undef EV_RESIZE

}  // namespace EV_ISA
}  // namespace ev
