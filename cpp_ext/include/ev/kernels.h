// The kernels of one instruction set as a table, and the choice between the tables that this processor can
// run.
//
// Whoever uses a kernel writes kernels().write_image(job, scratch). A new kernel is a line in EV_KERNELS; a
// new instruction set is a line in CMakeLists.txt and one in src/runtime/dispatch.cpp.
#pragma once

#include <cstddef>
#include <cstdint>

#include "ev/boxes.h"
#include "ev/color.h"
#include "ev/image.h"
#include "ev/masks.h"
#include "ev/masks_binary.h"
#include "ev/masks_instances.h"
#include "ev/masks_rle.h"
#include "ev/scores.h"

namespace ev {

/// A pointer to a function, called with exactly its parameters' types.
template <class Function>
struct Slot;

template <class Result, class... Arguments>
struct Slot<Result (*)(Arguments...)> {
    Result (*function)(Arguments...);

    Result operator()(Arguments... arguments) const { return function(arguments...); }
};

/// One name for the instances of a function template; the arguments choose between them.
template <class... Functions>
struct Overloads : Slot<Functions>... {
    constexpr explicit Overloads(Functions... functions) noexcept : Slot<Functions>{functions}... {}
    using Slot<Functions>::operator()...;
};

// NOLINTBEGIN(bugprone-macro-parentheses): the parameters are names and lists
#define EV_KERNELS(KERNEL)                                                                                  \
    KERNEL(image_scratch_size, &ev::image_scratch_size)                                                     \
    KERNEL(write_image, &ev::write_image)                                                                   \
    KERNEL(convert_yuv, &ev::convert_yuv)                                                                   \
    KERNEL(scan_dense, &ev::scan_dense<float>, &ev::scan_dense<Half>)                                       \
    KERNEL(scan_rows, &ev::scan_rows<float>, &ev::scan_rows<Half>)                                          \
    KERNEL(scan_softmax, &ev::scan_softmax<float>, &ev::scan_softmax<Half>)                                 \
    KERNEL(scan_sigmoid, &ev::scan_sigmoid<float>, &ev::scan_sigmoid<Half>)                                 \
    KERNEL(gather_candidates, &ev::gather_candidates<float>, &ev::gather_candidates<Half>)                  \
    KERNEL(nms_scratch_size, &ev::nms_scratch_size)                                                         \
    KERNEL(nms, &ev::nms)                                                                                   \
    KERNEL(nms_rotated, &ev::nms_rotated)                                                                   \
    KERNEL(upsample_scratch_size, &ev::upsample_scratch_size<float, std::uint8_t>,                          \
           &ev::upsample_scratch_size<float, std::int32_t>, &ev::upsample_scratch_size<Half, std::uint8_t>, \
           &ev::upsample_scratch_size<Half, std::int32_t>)                                                  \
    KERNEL(upsample_argmax, &ev::upsample_argmax<float, std::uint8_t>,                                      \
           &ev::upsample_argmax<float, std::int32_t>, &ev::upsample_argmax<Half, std::uint8_t>,             \
           &ev::upsample_argmax<Half, std::int32_t>)                                                        \
    KERNEL(resize_scratch_size, &ev::resize_scratch_size<std::uint8_t>,                                     \
           &ev::resize_scratch_size<std::int32_t>, &ev::resize_scratch_size<std::int64_t>)                  \
    KERNEL(resize_labels, &ev::resize_labels<std::uint8_t>, &ev::resize_labels<std::int32_t>,               \
           &ev::resize_labels<std::int64_t>)                                                                \
    KERNEL(column_plan_size, &ev::column_plan_size<2>, &ev::column_plan_size<4>)                            \
    KERNEL(plan_columns, &ev::plan_columns<2>, &ev::plan_columns<4>)                                        \
    KERNEL(mask_scratch_size, &ev::mask_scratch_size<float>, &ev::mask_scratch_size<Half>)                  \
    KERNEL(write_mask, &ev::write_mask<float, 2>, &ev::write_mask<float, 4>, &ev::write_mask<Half, 2>,      \
           &ev::write_mask<Half, 4>)                                                                        \
    KERNEL(find_window, &ev::find_window<2>, &ev::find_window<4>)                                           \
    KERNEL(assemble_scratch_size, &ev::assemble_scratch_size<float>, &ev::assemble_scratch_size<Half>)      \
    KERNEL(assemble_mask, &ev::assemble_mask<float, 2>, &ev::assemble_mask<float, 4>,                       \
           &ev::assemble_mask<Half, 2>, &ev::assemble_mask<Half, 4>)                                        \
    KERNEL(encode_scratch_size, &ev::encode_scratch_size)                                                   \
    KERNEL(count_runs, &ev::count_runs)                                                                     \
    KERNEL(encode_rle, &ev::encode_rle)                                                                     \
    KERNEL(decode_scratch_size, &ev::decode_scratch_size)                                                   \
    KERNEL(decode_rle, &ev::decode_rle)                                                                     \
    KERNEL(pack_rle, &ev::pack_rle)                                                                         \
    KERNEL(unpack_rle, &ev::unpack_rle)                                                                     \
    KERNEL(softmax, &ev::softmax<float>, &ev::softmax<Half>)                                                \
    KERNEL(sigmoid, &ev::sigmoid<float>, &ev::sigmoid<Half>)                                                \
    KERNEL(top_k, &ev::top_k)

/// Every kernel, compiled for one instruction set.
struct Kernels {
    const char* isa;
#define EV_FIELD(name, ...) decltype(Overloads(__VA_ARGS__)) name;
    EV_KERNELS(EV_FIELD)
#undef EV_FIELD
};
// NOLINTEND(bugprone-macro-parentheses)

inline namespace EV_ISA {
extern const Kernels kernel_table;
}

/// How many tables this processor can run, and those, the plainest first. At least one.
std::size_t count_available_kernels();
const Kernels& available_kernels(std::size_t index);

/// The table in use: the last of the available ones unless select_kernels chose another.
const Kernels& kernels();

/// Uses the available table of this name from now on, in every thread; false if there is none. Not while a
/// kernel runs: scratch that one table sized is too small for another's.
bool select_kernels(const char* isa);

}  // namespace ev
