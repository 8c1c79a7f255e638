// What each row and column of an image reads in a small map, kept from call to call.
#pragma once

#include <cmath>

#include "ev/kernels.h"
#include "masks_shared.h"
#include "thread_scratch.h"

namespace ev::bind {

inline constexpr const char* kViaMessage = "via size out of range";

inline AxisMap axis_map(double origin, double extent, std::int32_t size, std::int64_t via_size,
                        std::int32_t source) {
    AxisMap axis{origin, extent, size, 0, source};
    if (via_size != 0) {
        axis.via_size = side(via_size, kViaMessage);
        require(origin >= 0.0 && extent >= 1.0 && origin + extent <= static_cast<double>(axis.via_size) &&
                    std::floor(origin) == origin && std::floor(extent) == extent,
                "roi must be whole pixels inside the via size");
    }
    return axis;
}

inline bool same_axis(const AxisMap& a, const AxisMap& b) {
    return a.origin == b.origin && a.extent == b.extent && a.size == b.size && a.via_size == b.via_size &&
           a.source_size == b.source_size;
}

/// The taps of the image and region that a thread asked for last: a camera's frames are all alike.
template <int K>
class LastTaps {
  public:
    const ImageTaps<K>& find(const AxisMap& rows, const AxisMap& columns) {
        if (kept_ && same_axis(rows, rows_) && same_axis(columns, columns_)) {
            memory_.reserve(size_);  // as it is: the call needs it
        } else {
            kept_ = false;
            make(rows, columns);
            rows_ = rows;
            columns_ = columns;
            kept_ = true;
        }
        return taps_;
    }

    void trim() { kept_ = memory_.trim() && kept_; }

  private:
    AxisMap rows_{};
    AxisMap columns_{};
    ImageTaps<K> taps_{};
    Scratch memory_;
    std::size_t size_ = 0;  // of memory_, used
    bool kept_ = false;

    void make(const AxisMap& rows, const AxisMap& columns) {
        const auto size = static_cast<std::size_t>(rows.size) + static_cast<std::size_t>(columns.size);
        const std::size_t taps_size = (size * sizeof(Taps<K>) + 63) / 64 * 64;
        const Taps<K>* none = nullptr;
        size_ = taps_size + kernels().column_plan_size(none, columns.size, columns.source_size);
        std::byte* memory = memory_.reserve(size_);
        auto* taps = reinterpret_cast<Taps<K>*>(memory);
        for (std::int32_t y = 0; y < rows.size; ++y) find_taps(rows, y, taps + y);
        for (std::int32_t x = 0; x < columns.size; ++x) find_taps(columns, x, taps + rows.size + x);
        const Taps<K>* across = taps + rows.size;
        taps_ = {taps, across, rows.size, columns.size,
                 kernels().plan_columns(across, columns.size, columns.source_size, memory + taps_size)};
    }
};

inline thread_local LastTaps<2> last_taps;
inline thread_local LastTaps<4> last_via_taps;

/// Calls `use` with taps of as many sources as an axis takes.
template <class Use>
void with_taps(const AxisMap& rows, const AxisMap& columns, Use&& use) {
    require((rows.via_size == 0) == (columns.via_size == 0), "via needs both its sizes");
    if (rows.via_size == 0) {
        use(last_taps.find(rows, columns));
        last_taps.trim();
    } else {
        use(last_via_taps.find(rows, columns));
        last_via_taps.trim();
    }
}

}  // namespace ev::bind
