#include "bind.h"

namespace ev::bind {

void bind_image(nanobind::module_& /*module*/) {}

}  // namespace ev::bind
