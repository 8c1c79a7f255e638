// Devices and versions.
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>

#include "bind.h"

#if !defined(EV_CUDA_ARCHITECTURES)
#define EV_CUDA_ARCHITECTURES ""
#endif

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

std::string describe(const DeviceInfo& info) {
    return "<DeviceInfo " + info.name + ", sm_" + std::to_string(info.major * 10 + info.minor) + ", " +
           std::to_string(info.multiprocessors) + " multiprocessors>";
}

}  // namespace

void bind_device(nb::module_& module) {
    nb::class_<DeviceInfo>(module, "DeviceInfo", "What a CUDA device is.")
        .def_ro("name", &DeviceInfo::name)
        .def_ro("uuid", &DeviceInfo::uuid, "As nvidia-smi writes it, without \"GPU-\".")
        .def_prop_ro(
            "compute_capability", [](const DeviceInfo& info) { return std::pair(info.major, info.minor); },
            "(8, 7) for an Orin, and so on.")
        .def_ro("multiprocessors", &DeviceInfo::multiprocessors)
        .def_ro("memory_bytes", &DeviceInfo::memory)
        .def_ro("integrated", &DeviceInfo::integrated, "Shares the processor's memory, as Jetsons do.")
        .def_ro("can_map_host", &DeviceInfo::can_map_host, "Kernels can use mapped HostBuffers.")
        .def_ro("shared_bytes_per_block", &DeviceInfo::shared_per_block)
        .def_ro("threads_per_block", &DeviceInfo::threads_per_block)
        .def("__repr__", &describe);
    module.attr("emulated") = emulated;
    module.attr("architectures") = EV_CUDA_ARCHITECTURES;
    module.def("device_count", &count_devices, "How many CUDA devices there are; 0 without a driver.");
    module.def("why_no_device", &why_no_device, "Why device_count() is 0; empty where it is not.");
    module.def("driver_version", &driver_version,
               "The CUDA version that the driver serves, 1000 * major + 10 * minor; 0 without a driver.");
    module.def("runtime_version", &runtime_version, "The CUDA runtime's version, linked in.");
    module.def("device_info", &device_info, "device"_a = 0);
    module.def("current_device", &current_device);
    module.def("set_device", &set_device, "device"_a, "This thread's device from now on.");
}

}  // namespace ev::cuda::bind
