#include "bind.h"

namespace ev::bind {

void bind_color(nanobind::module_& /*module*/) {}

}  // namespace ev::bind
