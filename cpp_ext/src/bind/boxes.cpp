#include "bind.h"

namespace ev::bind {

void bind_boxes(nanobind::module_& /*module*/) {}

}  // namespace ev::bind
