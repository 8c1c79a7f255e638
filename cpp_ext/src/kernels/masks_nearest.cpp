// Label maps to the image's size, by the nearest pixel.
#include <algorithm>

#include "ev/masks.h"

namespace ev {
inline namespace EV_ISA {

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

#define EV_RESIZE(L)                                                                                  \
    template void resize_labels(const L*, std::int32_t, std::int32_t, std::ptrdiff_t, std::ptrdiff_t, \
                                const Roi&, const LabelView<L>&, std::int32_t*);
EV_RESIZE(std::uint8_t)
EV_RESIZE(std::int32_t)
EV_RESIZE(std::int64_t)
#undef EV_RESIZE

}  // namespace EV_ISA
}  // namespace ev
