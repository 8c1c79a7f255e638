"""Images whose results are not read yet."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from edgevision.errors import BackendError
from edgevision.frame_graph import Pending
from edgevision.results import Result
from edgevision.timings import Timings

__all__ = ["Submission"]


class Submission:
    """What `Model.submit` gives: on a GPU the images are on their way, elsewhere the results are there."""

    def __init__(
        self,
        *,
        single: bool,
        pending: Sequence[Pending] = (),
        results: Sequence[Result] = (),
        timings: Timings | None = None,
    ) -> None:
        """single: of one image, not of a list. pending: the batches on their way; else the results and their times."""
        self._single = single
        self._pending = list(pending)
        self._results = list(results)
        self._timings = timings or Timings()

    def is_done(self) -> bool:
        """Whether `result` will not wait."""
        return all(batch.is_done() for batch in self._pending)

    def wait(self) -> None:
        """Returns once `result` will not wait. Raises BackendError when the runtime failed."""
        for batch in self._pending:
            batch.wait()

    def result(self) -> Any:
        """The result of the image, or the list of results of the list, once they are there; the same each time.

        Raises BackendError when the runtime failed.
        """
        for batch in self._pending:
            self._results += batch.results()
            self._timings += batch.timings
        self._pending = []
        return self._results[0] if self._single else list(self._results)

    @property
    def timings(self) -> Timings:
        """Time of the stages; those of batches on their way count once `result` has them."""
        return self._timings

    def on_device(self) -> dict[str, Any]:
        """What the results are made of, left on the GPU, once it is done; see docs/gpu.md for the arrays' names.

        They hold until `result` is called or as many further images are submitted as the session has slots. Raises
        BackendError for what was computed on the processor, or in more than one batch.
        """
        if len(self._pending) != 1:
            raise BackendError(
                "nothing of these results is on a GPU: the model runs on the processor, `result` was called, or the "
                "images took more than one batch"
            )
        return self._pending[0].on_device()
