// What every row and column of an image reads, in a table: computed once for all of its masks.
#pragma once

#include "arena.h"
#include "launch.h"
#include "masks.h"

namespace ev::cuda {

/// Tables of a batch: image i's rows from i * (height + width) on, its columns after `height` of them. An
/// image without a via size has two taps an entry; they take no less room.
struct TapTables {
    std::int32_t height, width;
    Taps<4>* taps;

    TapTables(Arena& arena, int batch, std::int32_t most_rows, std::int32_t most_columns)
        : height(most_rows),
          width(most_columns),
          taps(arena.take<Taps<4>>(
              static_cast<std::size_t>(batch) *
              (static_cast<std::size_t>(most_rows) + static_cast<std::size_t>(most_columns)))) {}

    template <int K>
    EV_BODY Taps<K>* rows(int image) const {
        return reinterpret_cast<Taps<K>*>(taps + static_cast<std::int64_t>(image) * (height + width));
    }

    template <int K>
    EV_BODY Taps<K>* columns(int image) const {
        return reinterpret_cast<Taps<K>*>(taps + static_cast<std::int64_t>(image) * (height + width) +
                                          height);
    }
};

void launch_find_taps(const MaskPlace* places, int count, const TapTables& tables, Stream stream);

}  // namespace ev::cuda
