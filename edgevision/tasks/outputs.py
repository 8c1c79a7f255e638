"""Which of a network's outputs a decoder reads."""

from __future__ import annotations

from collections.abc import Sequence

from edgevision.errors import SpecError
from edgevision.spec import ModelSpec

__all__ = ["select_outputs"]


def select_outputs(spec: ModelSpec, outputs: Sequence[str], count: int) -> tuple[str, ...]:
    """The names of the `count` outputs that the spec's decoder reads, in its order.

    Raises SpecError when the spec names an output that the network lacks, or the network has too few.
    """
    names = spec.decoder.outputs or tuple(outputs[:count])
    missing = [name for name in names if name not in outputs]
    if missing or len(names) < count:
        wanted = ", ".join(missing) or f"{count} outputs"
        raise SpecError(
            f"decoder {spec.decoder.name!r} reads {wanted}, which the network does not have; "
            f"its outputs: {', '.join(outputs)}"
        )
    return names[:count]
