// What each kernel family adds to the module; one binding file a family.
#pragma once

#include <nanobind/nanobind.h>

namespace ev::bind {

void bind_image(nanobind::module_& module);
void bind_color(nanobind::module_& module);
void bind_boxes(nanobind::module_& module);
void bind_masks(nanobind::module_& module);
void bind_scores(nanobind::module_& module);

}  // namespace ev::bind
