#include "bind.h"

NB_MODULE(_native, module) {
    // Other libraries (PyTorch, ONNX Runtime) keep what a program has in its globals beyond the interpreter's
    // end; a user would be told of leaks that are none.
    nanobind::set_leak_warnings(false);
    module.doc() = "Native kernels of edgevision. Private: edgevision.ops validates and calls these.";
    ev::bind::bind_runtime(module);
    ev::bind::bind_image(module);
    ev::bind::bind_color(module);
    ev::bind::bind_boxes(module);
    ev::bind::bind_masks(module);
    ev::bind::bind_scores(module);
}
