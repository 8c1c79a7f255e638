"""How many threads the native kernels may use."""

from __future__ import annotations

import operator

from edgevision.errors import InputError
from edgevision.ops._dispatch import native

__all__ = ["get_num_threads", "set_num_threads"]

_MAX_THREADS = 64


def get_num_threads() -> int:
    """Threads that one call of a large kernel may use, the calling one included.

    At first EDGEVISION_NUM_THREADS, else as many as processors this process may run on, at most 8; 1 on the NumPy
    reference kernels, which use no threads.
    """
    return 1 if native is None else int(native.num_threads())


def set_num_threads(threads: int) -> None:
    """Lets one call of a large kernel use so many threads, 1 to 64, from now on and in every thread of the process.

    Results do not depend on the number. Small calls stay on the calling thread, and so do all while another thread is
    using the workers, so that an application with a thread for each camera does not run more threads than it asked
    for. A runtime's own threads are set where a model is loaded (ev.load(..., threads=...)).

    Raises InputError for anything but a whole number in that range.
    """
    try:
        count = operator.index(threads)
    except TypeError:
        count = 0
    if isinstance(threads, bool) or not 1 <= count <= _MAX_THREADS:
        raise InputError(f"threads must be a whole number from 1 to {_MAX_THREADS}, got {threads!r}")
    if native is not None:
        native.set_num_threads(count)
