// The plan of an image's columns: tables that every row of every mask shares.
#include <algorithm>

#include "ev/masks_binary.h"
#include "lanes.h"
#include "scratch.h"

namespace ev {
inline namespace EV_ISA {
namespace {

// The widest vector's lanes, whatever the instruction set: a plan is kept from call to call, and the next
// call may be another instruction set's.
constexpr std::int32_t kPadding = 16;
static_assert(kFloatLanes <= kPadding);

}  // namespace

template <int K>
std::size_t column_plan_size(const Taps<K>*, std::int32_t size, std::int32_t source_size) {
    const auto padded = static_cast<std::size_t>(size) + kPadding;
    const auto sources = static_cast<std::size_t>(source_size) + 1;
    return K * (ScratchArena::size_of<std::int32_t>(padded) + ScratchArena::size_of<float>(padded)) +
           ScratchArena::size_of<std::int32_t>(padded) + 2 * ScratchArena::size_of<std::int32_t>(sources);
}

template <int K>
ColumnPlan<K> plan_columns(const Taps<K>* columns, std::int32_t size, std::int32_t source_size,
                           std::byte* memory) {
    ScratchArena arena(memory);
    const auto padded = static_cast<std::size_t>(size) + kPadding;  // vectors may begin at any column
    const auto sources = static_cast<std::size_t>(source_size) + 1;
    ColumnPlan<K> plan{};
    plan.size = size;
    plan.source_size = source_size;
    for (int k = 0; k < K; ++k) {
        auto* index = arena.take<std::int32_t>(padded);
        auto* weight = arena.take<float>(padded);
        for (std::int32_t x = 0; x < size; ++x) {
            index[x] = columns[x].index[k];
            weight[x] = columns[x].weight[k];
        }
        std::fill_n(index + size, kPadding, 0);
        std::fill_n(weight + size, kPadding, 0.0F);
        plan.index[k] = index;
        plan.weight[k] = weight;
    }
    auto* next = arena.take<std::int32_t>(padded);
    for (std::int32_t x = size; x-- > 0;) {
        const bool alike = x + 1 < size && same_sources(columns[x], columns[x + 1]);
        next[x] = alike ? next[x + 1] : x + 1;
    }
    auto* starts = arena.take<std::int32_t>(sources);
    auto* ends = arena.take<std::int32_t>(sources);
    std::int32_t start = 0;
    std::int32_t end = 0;
    for (std::int32_t source = 0; source <= source_size; ++source) {
        while (start < size && columns[start].index[0] < source) ++start;
        while (end < size && columns[end].index[K - 1] < source) ++end;
        starts[source] = start;
        ends[source] = end;
    }
    plan.next = next;
    plan.starts = starts;
    plan.ends = ends;
    return plan;
}

#define EV_PLAN(K)                                                                     \
    template std::size_t column_plan_size(const Taps<K>*, std::int32_t, std::int32_t); \
    template ColumnPlan<K> plan_columns(const Taps<K>*, std::int32_t, std::int32_t, std::byte*);
EV_PLAN(2)
EV_PLAN(4)
#undef EV_PLAN

}  // namespace EV_ISA
}  // namespace ev
