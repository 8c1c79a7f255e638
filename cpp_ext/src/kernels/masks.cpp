// Label maps from class logits, source row by source row: the logits are read from memory once, and what is
// interpolated lies in the cache.
#include "ev/masks.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "masks_rows.h"
#include "masks_window.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

/// A group with mixed cells, and the classes that can win in them.
struct Contest {
    std::int32_t group;
    std::int32_t num_classes;
    const std::int32_t* classes;
};

// Where more than half of the classes stay, finding out which costs more than it saves: so many of the next
// contests are held between all.
constexpr int kBlindContests = 7;

/// How many of each there are at most.
struct Extent {
    std::size_t classes;
    std::size_t width;   // output columns
    std::size_t blocks;  // and groups
    std::size_t pitch;   // of source rows

    template <class T, class L>
    Extent(const LogitsView<T>& logits, const LabelView<L>& out)
        : classes(static_cast<std::size_t>(logits.classes)),
          width(static_cast<std::size_t>(out.width)),
          blocks(most_blocks(width, static_cast<std::size_t>(logits.width))),
          pitch(row_pitch(static_cast<std::size_t>(logits.width))) {}
};

/// The work of one band of output rows.
template <class T>
class Upsampler {
  public:
    Upsampler(const LogitsView<T>& logits, const Extent& extent, std::byte* scratch)
        : logits_(logits), pitch_(static_cast<std::ptrdiff_t>(extent.pitch)) {
        ScratchArena arena(scratch);
        columns_ = arena.take<Tap>(extent.width);
        groups_ = arena.take<Group>(extent.blocks);
        blocks_ = arena.take<Block>(extent.blocks);
        for (SourceRow& row : rows_) {
            row = {arena.take<float>(extent.classes * extent.pitch), arena.take<std::int32_t>(extent.pitch),
                   -1};
        }
        cells_ = arena.take<std::int32_t>(extent.pitch);
        pattern_ = arena.take<std::int32_t>(extent.blocks * kLanes);
        labels_ = arena.take<std::int32_t>(extent.blocks * kLanes);
        contests_ = arena.take<Contest>(extent.blocks);
        contenders_ = arena.take<std::int32_t>(extent.blocks * extent.classes);
        all_classes_ = arena.take<std::int32_t>(extent.classes);
        tops_ = arena.take<float>(extent.classes * kLanes);
    }

    static std::size_t scratch_size(const Extent& extent) {
        return ScratchArena::size_of<Tap>(extent.width) + ScratchArena::size_of<Group>(extent.blocks) +
               ScratchArena::size_of<Block>(extent.blocks) +
               2 * ScratchArena::size_of<float>(extent.classes * extent.pitch) +
               3 * ScratchArena::size_of<std::int32_t>(extent.pitch) +
               2 * ScratchArena::size_of<std::int32_t>(extent.blocks * kLanes) +
               ScratchArena::size_of<Contest>(extent.blocks) +
               ScratchArena::size_of<std::int32_t>(extent.blocks * extent.classes) +
               ScratchArena::size_of<std::int32_t>(extent.classes) +
               ScratchArena::size_of<float>(extent.classes * kLanes);
    }

    void plan_columns(const Roi& roi, std::int32_t out_width) {
        for (std::int32_t x = 0; x < out_width; ++x) {
            columns_[x] = bilinear_tap(x, roi.x, roi.width, out_width, logits_.width);
        }
        left_ = columns_[0].first;
        width_ = columns_[out_width - 1].second - left_ + 1;
        num_groups_ = plan_groups(columns_, out_width, groups_, blocks_);
        const Group& last = groups_[num_groups_ - 1];
        dense_ = last.begin == last.first_block * kLanes;
        std::iota(all_classes_, all_classes_ + logits_.classes, 0);
        // Windows may reach beyond the last column; no lane picks what is there.
        for (const SourceRow& row : rows_) {
            for (std::int32_t id = 0; id < logits_.classes; ++id) {
                std::fill(row.values + id * pitch_ + width_, row.values + (id + 1) * pitch_, 0.0F);
            }
        }
        std::fill(cells_ + width_, cells_ + pitch_, 0);
    }

    template <class L>
    void write_row(const Tap& row, L* out) {
        if (load_pair(row)) start_pair();
        for (std::int32_t i = 0; i < num_contests_; ++i) {
            const Group& group = groups_[contests_[i].group];
            const std::ptrdiff_t lane = group.first_block * kStep;
            Window window = window_of(group);
            window.classes = contests_[i].classes;
            window.num_classes = contests_[i].num_classes;
            interpolate(window, row.weight, blocks_ + group.first_block, group.num_blocks, pattern_ + lane,
                        labels_ + lane);
        }
        if (dense_) return narrow(labels_, groups_[num_groups_ - 1].end, out);
        for (std::int32_t i = 0; i < num_groups_; ++i) {
            const Group& group = groups_[i];
            narrow(labels_ + group.first_block * kStep, group.end - group.begin, out + group.begin);
        }
    }

  private:
    const LogitsView<T>& logits_;
    std::ptrdiff_t pitch_;    // of source rows, from class to class
    std::int32_t left_ = 0;   // the source columns that are read
    std::int32_t width_ = 0;  // their number
    Tap* columns_;            // of each output column
    Group* groups_;
    std::int32_t num_groups_ = 0;
    Block* blocks_;
    bool dense_ = false;  // all blocks are full but the last
    std::int32_t* all_classes_;
    SourceRow rows_[2];
    const SourceRow* bottom_ = nullptr;  // of the present pair of source rows; the top one is rows_[0]
    // Of the present pair:
    std::int32_t* cells_;       // the class that all four pixels share, or kMixed
    std::int32_t* pattern_;     // lane by lane of the blocks: the cell that it reads
    Contest* contests_;         // of groups with mixed cells
    std::int32_t* contenders_;  // of each contest, with room for every class
    std::int32_t num_contests_ = 0;
    int blind_contests_ = 0;  // how many of the next ones
    std::int32_t* labels_;    // lane by lane, of the present output row
    float* tops_;             // find_contenders' scratch

    /// Makes rows_[0] and *bottom_ the source rows that `row` reads; false if they are already.
    bool load_pair(const Tap& row) {
        const bool single = row.first == row.second;
        if (rows_[0].index == row.first && bottom_->index == row.second) return false;
        if (rows_[1].index == row.first) std::swap(rows_[0], rows_[1]);
        if (rows_[0].index != row.first) load_row(logits_, row.first, left_, width_, pitch_, &rows_[0]);
        bottom_ = single ? &rows_[0] : &rows_[1];
        if (bottom_->index != row.second) load_row(logits_, row.second, left_, width_, pitch_, &rows_[1]);
        return true;
    }

    void start_pair() {
        const std::int32_t* above = rows_[0].labels;
        const std::int32_t* below = bottom_->labels;
        for (std::int32_t i = 0; i < width_; ++i) {
            const std::int32_t differ =
                (above[i] ^ below[i]) | (above[i] ^ above[i + 1]) | (above[i] ^ below[i + 1]);
            cells_[i] = differ == 0 ? above[i] : kMixed;
        }
        num_contests_ = 0;
        for (std::int32_t i = 0; i < num_groups_; ++i) {
            const Group& group = groups_[i];
            const std::ptrdiff_t lane = group.first_block * kStep;
            if (spread_cells(cells_ + group.source, blocks_ + group.first_block, group.num_blocks,
                             pattern_ + lane, labels_ + lane)) {
                contests_[num_contests_] =
                    open_contest(i, contenders_ + std::ptrdiff_t{num_contests_} * logits_.classes);
                ++num_contests_;
            }
        }
    }

    Contest open_contest(std::int32_t index, std::int32_t* contenders) {
        if (blind_contests_ > 0) {
            --blind_contests_;
            return {index, logits_.classes, all_classes_};
        }
        const Group& group = groups_[index];
        const std::int32_t count =
            find_contenders(window_of(group), cells_ + group.source, group.cells, tops_, contenders);
        if (2 * count > logits_.classes) blind_contests_ = kBlindContests;
        return {index, count, contenders};
    }

    template <class L>
    static void narrow(const std::int32_t* labels, std::int32_t count, L* out) {
        for (std::int32_t i = 0; i < count; ++i) out[i] = static_cast<L>(labels[i]);
    }

    Window window_of(const Group& group) const {
        return {rows_[0].values + group.source,
                bottom_->values + group.source,
                pitch_,
                nullptr,
                logits_.classes,
                logits_.classes == 1};
    }
};

}  // namespace

template <class T, class L>
std::size_t upsample_scratch_size(const LogitsView<T>& logits, const LabelView<L>& labels) {
    return Upsampler<T>::scratch_size(Extent(logits, labels));
}

template <class T, class L>
void upsample_argmax(const LogitsView<T>& logits, const Roi& roi, const LabelView<L>& labels,
                     std::int32_t begin, std::int32_t end, std::byte* scratch) {
    Upsampler<T> upsampler(logits, Extent(logits, labels), scratch);
    upsampler.plan_columns(roi, labels.width);
    for (std::int32_t y = begin; y < end; ++y) {
        const Tap row = bilinear_tap(y, roi.y, roi.height, labels.height, logits.height);
        upsampler.write_row(row, labels.data + y * labels.row_stride);
    }
}

#define EV_UPSAMPLE(T, L)                                                                              \
    template std::size_t upsample_scratch_size(const LogitsView<T>&, const LabelView<L>&);             \
    template void upsample_argmax(const LogitsView<T>&, const Roi&, const LabelView<L>&, std::int32_t, \
                                  std::int32_t, std::byte*);
EV_UPSAMPLE(float, std::uint8_t)
EV_UPSAMPLE(float, std::int32_t)
EV_UPSAMPLE(Half, std::uint8_t)
EV_UPSAMPLE(Half, std::int32_t)
#undef EV_UPSAMPLE

}  // namespace EV_ISA
}  // namespace ev
