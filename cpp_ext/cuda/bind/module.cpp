#include "bind.h"

NB_MODULE(EV_CUDA_MODULE, module) {
    // Other libraries (PyTorch, ONNX Runtime) keep what a program has in its globals beyond the interpreter's
    // end; a user would be told of leaks that are none.
    nanobind::set_leak_warnings(false);
    module.doc() =
        "CUDA kernels of edgevision and the wrappers that its runtime needs. Private.\n\n"
        "Pointers are integers, of the device unless a name says host; nothing checks them. Whatever takes a "
        "stream only puts work on it: memory must live until the work is done.";
    nanobind::exception<ev::cuda::Error>(module, "CudaError", PyExc_RuntimeError);
    ev::cuda::bind::bind_device(module);
    ev::cuda::bind::bind_memory(module);
    ev::cuda::bind::bind_streams(module);
    ev::cuda::bind::bind_image(module);
    ev::cuda::bind::bind_boxes(module);
    ev::cuda::bind::bind_nms(module);
    ev::cuda::bind::bind_scores(module);
    ev::cuda::bind::bind_masks(module);
}
