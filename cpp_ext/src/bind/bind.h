// What each kernel family, and the choice of instruction set and threads, adds to the module; a file each.
#pragma once

#include <nanobind/nanobind.h>

namespace ev::bind {

void bind_runtime(nanobind::module_& module);
void bind_image(nanobind::module_& module);
void bind_color(nanobind::module_& module);
void bind_boxes(nanobind::module_& module);
void bind_masks(nanobind::module_& module);
void bind_scores(nanobind::module_& module);

}  // namespace ev::bind
