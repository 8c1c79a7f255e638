#include "bind.h"

namespace ev::bind {

void bind_scores(nanobind::module_& /*module*/) {}

}  // namespace ev::bind
