// Which instruction set's kernels run, and on how many threads.
#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <string>
#include <vector>

#include "bind.h"
#include "ev/kernels.h"
#include "ev/pool.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace ev::bind {
namespace {

std::vector<std::string> available_isas() {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < count_available_kernels(); ++i) names.emplace_back(available_kernels(i).isa);
    return names;
}

std::string current_isa() {
    return kernels().isa;
}

void select_isa(const std::string& name) {
    if (!select_kernels(name.c_str())) {
        std::string message = "no kernels for instruction set '" + name + "' here; available:";
        for (const std::string& one : available_isas()) message += " " + one;
        throw nb::value_error(message.c_str());
    }
}

void change_num_threads(std::int64_t threads) {
    if (threads < 1 || threads > kMaxThreads) throw nb::value_error("threads must be from 1 to 64");
    set_num_threads(static_cast<int>(threads));
}

}  // namespace

void bind_runtime(nb::module_& module) {
    module.def("available_isas", &available_isas,
               "Instruction sets whose kernels this processor can run, the plainest first.");
    module.def("current_isa", &current_isa, "The instruction set whose kernels run.");
    module.def("select_isa", &select_isa, "name"_a, "Run the kernels of this instruction set from now on.");
    module.def("num_threads", &num_threads, "Threads that a large kernel may use.");
    module.def("set_num_threads", &change_num_threads, "threads"_a);
}

}  // namespace ev::bind
