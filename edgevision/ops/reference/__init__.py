"""NumPy reference of every kernel: the oracle of the native ones, and the fallback without a compiler."""
