#include "ev/kernels.h"

#define EV_TEXT_OF(name) #name
#define EV_TEXT(name) EV_TEXT_OF(name)

namespace ev {
inline namespace EV_ISA {

#define EV_ENTRY(name, ...) Overloads(__VA_ARGS__),
const Kernels kernel_table = {EV_TEXT(EV_ISA), EV_KERNELS(EV_ENTRY)};
#undef EV_ENTRY

}  // namespace EV_ISA
}  // namespace ev
