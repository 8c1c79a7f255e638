#include "bind.h"

namespace ev::bind {

void bind_masks(nanobind::module_& /*module*/) {}

}  // namespace ev::bind
