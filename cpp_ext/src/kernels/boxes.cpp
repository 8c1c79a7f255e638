// The boxes of hits.
#include "ev/boxes_steps.h"

namespace ev {
inline namespace EV_ISA {
template <class T>
std::size_t gather_candidates(const OutputView<T>& output, const BoxRule& rule, Hit* hits, std::size_t count,
                              const CandidateArrays& out) {
    const std::size_t columns = rule.coding == BoxCoding::rotated ? 5 : 4;
    std::size_t kept = 0;
    for (std::size_t i = 0; i < count; ++i) {
        const std::int64_t anchor = hits[i].anchor;
        const Box box = decode_box(output, rule, anchor);
        const float angle = columns == 5 ? to_float(output.at(anchor, rule.angle)) : 0.0F;
        if (!is_finite_box(box) || !is_finite(angle)) continue;
        float* written = out.boxes + kept * columns;
        written[0] = box.x1;
        written[1] = box.y1;
        written[2] = box.x2;
        written[3] = box.y2;
        if (columns == 5) written[4] = angle;
        out.scores[kept] = hits[i].score;
        out.class_ids[kept] = hits[i].class_id;
        if (rule.num_extra > 0) {
            gather_extra(output, rule, anchor, out.extra + kept * static_cast<std::size_t>(rule.num_extra));
        }
        hits[kept++] = hits[i];
    }
    return kept;
}

template std::size_t gather_candidates(const OutputView<float>&, const BoxRule&, Hit*, std::size_t,
                                       const CandidateArrays&);
template std::size_t gather_candidates(const OutputView<Half>&, const BoxRule&, Hit*, std::size_t,
                                       const CandidateArrays&);

}  // namespace EV_ISA
}  // namespace ev
