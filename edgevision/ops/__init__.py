"""Python face of the kernels: validate, then call the native code or its NumPy reference."""
