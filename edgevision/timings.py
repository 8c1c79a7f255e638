"""How long the stages of a call took."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["Timings"]


@dataclass(frozen=True, slots=True)
class Timings:
    """Milliseconds that the last call spent in each stage, summed over its runs.

    preprocess:  what was given (an image, prompts) to the network's input.
    inference:   the network.
    postprocess: outputs to results.
    """

    preprocess: float = 0.0
    inference: float = 0.0
    postprocess: float = 0.0

    def __add__(self, other: Timings) -> Timings:
        return Timings(
            self.preprocess + other.preprocess,
            self.inference + other.inference,
            self.postprocess + other.postprocess,
        )

    @property
    def total(self) -> float:
        """The three stages together, ms."""
        return self.preprocess + self.inference + self.postprocess
