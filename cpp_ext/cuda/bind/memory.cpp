// Buffers of the device and of the processor, and arrays that lie in them.
#include <nanobind/ndarray.h>
#include <nanobind/stl/optional.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <limits>
#include <optional>
#include <vector>

#include "bind.h"

using namespace nanobind::literals;

namespace ev::cuda::bind {
namespace {

struct Kind {
    const char* name;
    const char* typestr;  // of the array interface, little endian
    nb::dlpack::dtype_code code;
    std::uint8_t bytes;
};

constexpr Kind kKinds[] = {{"uint8", "|u1", nb::dlpack::dtype_code::UInt, 1},
                           {"int32", "<i4", nb::dlpack::dtype_code::Int, 4},
                           {"int64", "<i8", nb::dlpack::dtype_code::Int, 8},
                           {"float16", "<f2", nb::dlpack::dtype_code::Float, 2},
                           {"float32", "<f4", nb::dlpack::dtype_code::Float, 4}};

const Kind& find_kind(const std::string& dtype) {
    for (const Kind& kind : kKinds) {
        if (dtype == kind.name) return kind;
    }
    const std::string message =
        "unknown dtype '" + dtype + "'; accepted: uint8, int32, int64, float16, float32";
    throw nb::value_error(message.c_str());
}

/// A buffer's size out of any Python integer. Raises ValueError below 1, MemoryError for more than an address
/// counts.
std::size_t count_bytes(const nb::handle& nbytes) {
    const auto number = nb::steal(PyNumber_Index(nbytes.ptr()));
    if (!number.is_valid()) nb::raise_python_error();
    int overflow = 0;
    const long long count = PyLong_AsLongLongAndOverflow(number.ptr(), &overflow);
    if (overflow > 0) {
        PyErr_Format(PyExc_MemoryError, "a buffer of %S bytes is more than any memory; at most 2**63 - 1",
                     number.ptr());
        nb::raise_python_error();
    }
    if (overflow < 0 || count < 1) {
        PyErr_Format(PyExc_ValueError, "nbytes must be 1 or more, got %S", number.ptr());
        nb::raise_python_error();
    }
    return static_cast<std::size_t>(count);
}

using Shape = std::vector<std::size_t>;

/// Where an array of `shape` begins in a buffer of `size` bytes, after checking that it lies inside.
void* place(void* memory, std::size_t size, const Shape& shape, const Kind& kind, std::size_t offset) {
    std::size_t bytes = kind.bytes;
    for (const std::size_t extent : shape) {
        require(extent == 0 || bytes <= std::numeric_limits<std::size_t>::max() / extent,
                "shape is too large");
        bytes *= extent;
    }
    require(offset % kind.bytes == 0, "offset must be a multiple of the element's size");
    require(bytes <= size && offset <= size - bytes, "the array does not lie inside the buffer");
    return static_cast<std::byte*>(memory) + offset;
}

nb::dlpack::dtype dlpack_type(const Kind& kind) {
    return {static_cast<std::uint8_t>(kind.code), static_cast<std::uint8_t>(8 * kind.bytes), 1};
}

/// Another library's memory, lent until this goes.
struct Lent {
    nb::ndarray<nb::ro> array;
};

/// C-contiguous elements in a device buffer, which lives as long as any of its arrays.
struct DeviceArray {
    void* data;
    Shape shape;
    const Kind* kind;
    nb::object owner;
    int device;  // that has them, whichever is current when they are handed on

    std::size_t nbytes() const {
        std::size_t bytes = kind->bytes;
        for (const std::size_t extent : shape) bytes *= extent;
        return bytes;
    }

    nb::tuple shape_tuple() const { return nb::tuple(nb::cast(shape)); }

    nb::dict array_interface() const {
        nb::dict interface;
        interface["shape"] = shape_tuple();
        interface["typestr"] = kind->typestr;
        interface["data"] = nb::make_tuple(as_address(data), false);
        interface["strides"] = nb::none();
        interface["version"] = 3;
        return interface;
    }

    static int device_type() { return emulated ? nb::device::cpu::value : nb::device::cuda::value; }

    /// A capsule for DLPack's consumers. What is on a stream is not waited for.
    nb::object dlpack(const nb::kwargs& /*unused*/) const {
        return nb::cast(nb::ndarray<>(data, shape.size(), shape.data(), owner, nullptr, dlpack_type(*kind),
                                      device_type(), device));
    }

    nb::tuple dlpack_device() const { return nb::make_tuple(device_type(), device); }
};

/// The device that has memory, the current one where CUDA does not know it.
int known_device(const void* memory) {
    const int device = device_of(memory);
    return device < 0 ? current_device() : device;
}

/// Elements at any address, which `owner` keeps alive.
DeviceArray view_memory(std::uint64_t pointer, const Shape& shape, const std::string& dtype,
                        const nb::object& owner) {
    return {as_pointer(pointer), shape, &find_kind(dtype), owner, known_device(as_pointer(pointer))};
}

/// What a DLPack capsule lends: pointer, shape, bytes from element to element along each axis, and what keeps
/// the memory alive.
nb::tuple read_dlpack(const nb::capsule& capsule) {
    const auto array = nb::cast<nb::ndarray<nb::ro>>(capsule);
    require(array.dtype() == nb::dtype<std::uint8_t>(), "the array must be uint8");
    const int type = array.device_type();
    const bool reachable = type == nb::device::cuda::value || type == nb::device::cuda_managed::value;
    require(reachable || (emulated && type == nb::device::cpu::value), "the array is not a CUDA device's");
    require(array.device_id() == (emulated ? 0 : current_device()), "the array is another device's");
    nb::list shape, strides;
    for (std::size_t i = 0; i < array.ndim(); ++i) {
        shape.append(array.shape(i));
        strides.append(array.stride(i));
    }
    return nb::make_tuple(as_address(array.data()), nb::tuple(shape), nb::tuple(strides),
                          nb::cast(Lent{array}));
}

DeviceArray device_array(nb::handle_t<DeviceMemory> self, const Shape& shape, const std::string& dtype,
                         std::size_t offset) {
    const auto& memory = *nb::inst_ptr<DeviceMemory>(self);
    const Kind& kind = find_kind(dtype);
    return {place(memory.get(), memory.size(), shape, kind, offset), shape, &kind, nb::borrow(self),
            known_device(memory.get())};
}

nb::object host_array(nb::handle_t<HostMemory> self, const Shape& shape, const std::string& dtype,
                      std::size_t offset) {
    const auto& memory = *nb::inst_ptr<HostMemory>(self);
    const Kind& kind = find_kind(dtype);
    void* data = place(memory.get(), memory.size(), shape, kind, offset);
    return nb::cast(
        nb::ndarray<nb::numpy>(data, shape.size(), shape.data(), self, nullptr, dlpack_type(kind)));
}

void copy(std::uint64_t destination, std::uint64_t source, std::size_t nbytes, const StreamObject& stream) {
    copy_async(as_pointer(destination), as_pointer(source), nbytes, stream.get());
}

void copy_rows(std::uint64_t destination, std::size_t destination_stride, std::uint64_t source,
               std::size_t source_stride, std::size_t row_bytes, std::size_t rows,
               const StreamObject& stream) {
    require(rows < 2 || (destination_stride >= row_bytes && source_stride >= row_bytes),
            "rows must not overlap: strides must be row_bytes or more");
    copy_rows_async({as_pointer(destination), destination_stride}, {as_pointer(source), source_stride},
                    row_bytes, rows, stream.get());
}

}  // namespace

void bind_memory(nb::module_& module) {
    nb::class_<DeviceArray>(module, "DeviceArray",
                            "C-contiguous elements of the device, whose owner they keep alive.")
        .def_prop_ro("pointer", [](const DeviceArray& self) { return as_address(self.data); })
        .def_prop_ro("nbytes", &DeviceArray::nbytes)
        .def_prop_ro("shape", &DeviceArray::shape_tuple, nb::sig("def shape(self) -> tuple[int, ...]"))
        .def_prop_ro("dtype", [](const DeviceArray& self) { return self.kind->name; })
        .def_prop_ro("__cuda_array_interface__", &DeviceArray::array_interface,
                     nb::sig("def __cuda_array_interface__(self) -> dict[str, object]"))
        .def("__dlpack__", &DeviceArray::dlpack, nb::sig("def __dlpack__(self, **kwargs: object) -> object"))
        .def("__dlpack_device__", &DeviceArray::dlpack_device,
             nb::sig("def __dlpack_device__(self) -> tuple[int, int]"));
    nb::class_<DeviceMemory>(module, "DeviceBuffer", "Bytes on the device, aligned to 256.")
        .def(
            "__init__",
            [](DeviceMemory* self, const nb::handle& nbytes) {
                new (self) DeviceMemory(count_bytes(nbytes));
            },
            "nbytes"_a, nb::sig("def __init__(self, nbytes: int) -> None"))
        .def_prop_ro("pointer", [](const DeviceMemory& self) { return as_address(self.get()); })
        .def_prop_ro("nbytes", &DeviceMemory::size)
        .def("array", &device_array, "shape"_a, "dtype"_a = "float32", "offset"_a = 0,
             "The elements at `offset` bytes.");
    nb::class_<HostMemory>(module, "HostBuffer",
                           "Pinned bytes of the processor. `mapped`: kernels can use them at device_pointer. "
                           "`write_combined`: fast for the device to read, very slow for the processor.")
        .def(
            "__init__",
            [](HostMemory* self, const nb::handle& nbytes, bool mapped, bool write_combined) {
                new (self) HostMemory(count_bytes(nbytes), mapped, write_combined);
            },
            "nbytes"_a, "mapped"_a = false, "write_combined"_a = false,
            nb::sig("def __init__(self, nbytes: int, mapped: bool = False, write_combined: bool = False) -> "
                    "None"))
        .def_prop_ro("pointer", [](const HostMemory& self) { return as_address(self.get()); })
        .def_prop_ro(
            "device_pointer",
            [](const HostMemory& self) {
                require(self.mapped(), "device_pointer needs a HostBuffer made with mapped=True");
                return as_address(device_pointer(self.get()));
            },
            "Where kernels see a mapped buffer.")
        .def_prop_ro("nbytes", &HostMemory::size)
        .def("array", &host_array, "shape"_a, "dtype"_a = "float32", "offset"_a = 0,
             nb::sig("def array(self, shape: Sequence[int], dtype: str = 'float32', offset: int = 0) -> "
                     "numpy.ndarray"),
             "A writable NumPy array of the elements at `offset` bytes.");
    nb::class_<Lent>(module, "Lent", "Another library's memory, lent until this goes.");
    module.def("view_memory", &view_memory, "pointer"_a, "shape"_a, "dtype"_a, "owner"_a,
               "The elements at an address of the device, which `owner` keeps alive.");
    module.def(
        "read_dlpack", &read_dlpack, "capsule"_a,
        nb::sig("def read_dlpack(capsule: object) -> tuple[int, tuple[int, ...], tuple[int, ...], Lent]"),
        "Pointer, shape and strides in bytes of the uint8 array that a DLPack capsule lends, on this "
        "thread's device, and what keeps it.");
    module.def(
        "memory_device", [](std::uint64_t pointer) { return device_of(as_pointer(pointer)); }, "pointer"_a,
        "The device that has memory, or, of pinned memory of the processor's, the current one; -1 of memory "
        "that "
        "CUDA does not know.");
    module.def("copy_async", &copy, NoGil(), "destination"_a, "source"_a, "nbytes"_a, "stream"_a,
               "Copy between any two kinds of memory; in the stream's order where the processor's side is "
               "pinned.");
    module.def("copy_rows_async", &copy_rows, NoGil(), "destination"_a, "destination_stride"_a, "source"_a,
               "source_stride"_a, "row_bytes"_a, "rows"_a, "stream"_a,
               "Copy rows that lie `stride` bytes from one to the next, as copy_async does.");
    module.def(
        "fill_async",
        [](std::uint64_t destination, std::uint8_t value, std::size_t nbytes, const StreamObject& stream) {
            fill_async(as_pointer(destination), value, nbytes, stream.get());
        },
        NoGil(), "destination"_a, "value"_a, "nbytes"_a, "stream"_a, "Set every byte.");
}

}  // namespace ev::cuda::bind
