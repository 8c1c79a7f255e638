"""One part of a network in each of its forms: made, compared with PyTorch, and amended until it agrees."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import onnx

from edgevision.backends.registry import open_session
from edgevision.export.errors import ExportError
from edgevision.export.float_islands import add_float_islands
from edgevision.export.forms import FORMS, file_name
from edgevision.export.golden import PartReference, first_runs, prepare_frame
from edgevision.export.half_rounding import round_like_half
from edgevision.export.int8 import Calibrated, calibrate, quantise
from edgevision.export.int8_graph import weight_layers
from edgevision.export.judge import FormParity, check_form, installed_runtimes, judge_form
from edgevision.export.network import Feeds, Part
from edgevision.export.onnx_graph import trace_part
from edgevision.export.onnx_write import is_large, write_model
from edgevision.export.options import ExportOptions, Progress
from edgevision.export.parity import run_session
from edgevision.export.pictures import Pictures
from edgevision.export.precision import half_part
from edgevision.export.sensitivity import Damage, fewest_left_out, measure_damage
from edgevision.spec import ModelSpec, write_spec

__all__ = ["BuiltForm", "PartBuilder"]

_DAMAGE_FRAMES = 2
"""Frames that a layer's damage is measured on: the ranking settles with few, and each costs a run of every trial."""

_ROUNDED_RUNS = 2
"""Runs of the graph that rounds like a float16 device: an overflow or a bad sum shows in any picture."""


@dataclass(slots=True, eq=False)
class BuiltForm:
    """A form of a part, written and judged.

    spec: the model's, in this form. parity: one row a runtime. runtimes: those that run it as PyTorch does (or that
    could not be tried here). nodes: of the graph. seconds: what each step took. islands: operators kept in float32 in a
    float16 graph, counted. left_out: layers kept in float in an int8 graph, with the damage that each does.
    """

    path: Path
    role: str
    form: str
    spec: ModelSpec
    tracer: str
    opset: int = 0
    nodes: int = 0
    parity: list[FormParity] = field(default_factory=list)
    runtimes: tuple[str, ...] = ()
    seconds: dict[str, float] = field(default_factory=dict)
    islands: dict[str, int] = field(default_factory=dict)
    left_out: tuple[Damage, ...] = ()
    layers: int = 0
    notes: list[str] = field(default_factory=list)


class PartBuilder:
    """Makes the forms of one part; what several forms need (the float graph, the ranges) is made once."""

    def __init__(
        self,
        spec: ModelSpec,
        reference: PartReference,
        judged: PartReference,
        pictures: Pictures,
        folder: Path,
        options: ExportOptions,
        progress: Progress,
    ) -> None:
        """reference: on the golden frames. judged: on these and those that int8 is judged on too. The attribute `file` names
        the file to write, where the form does not."""
        self.spec = spec
        self.reference = reference
        self.judged = judged
        self.pictures = pictures
        self.folder = folder
        self.options = options
        self.progress = progress
        self.model_calibration: list[Feeds] | None = None
        self.file: str | None = None

    @property
    def part(self) -> Part:
        return self.reference.part

    @cached_property
    def float_model(self) -> onnx.ModelProto:
        """The float32 graph."""
        if self.part.graph is not None:
            given: onnx.ModelProto = self.part.graph
            return given
        return trace_part(self.part, batch=self.spec.inputs[0].batch, opset=self.options.opset)

    @cached_property
    def calibrated(self) -> Calibrated:
        """The float32 graph with its ranges."""
        return calibrate(self.float_model, self._calibration_feeds())

    @cached_property
    def damages(self) -> list[Damage]:
        """What each layer costs, the worst first."""
        wants = self.judged.outputs[:_DAMAGE_FRAMES]
        return measure_damage(
            self.calibrated, self.judged.feeds[:_DAMAGE_FRAMES], wants, progress=self.progress
        )

    def build(self, form: str) -> BuiltForm:
        """The form, written into the folder. Raises ExportError when it does not compute what PyTorch computes."""
        self.progress(f"{self.part.role}: {form}", 0, 1)
        path = self.folder / (self.file or file_name(self.part.role, form))
        built = BuiltForm(path, self.part.role, form, self.spec, self.part.tracer)
        started = time.perf_counter()
        {"fp32": self._build_float, "fp16": self._build_half, "int8": self._build_int8}[
            FORMS[form].precision
        ](built)
        built.seconds["total"] = time.perf_counter() - started
        self._compare_elsewhere(built)
        self.progress(f"{self.part.role}: {form}", 1, 1)
        return built

    def _build_float(self, built: BuiltForm) -> None:
        self._write(built, self.float_model)
        check_form(self._judge(built))

    def _build_half(self, built: BuiltForm) -> None:
        half = half_part(self.part, self.options.half_io)
        if self.options.half_io:
            inputs = tuple(replace(one, dtype="float16") for one in self.spec.inputs)
            built.spec = replace(self.spec, inputs=inputs)
        model = trace_part(half, batch=self.spec.inputs[0].batch, opset=self.options.opset)
        if self.options.float_islands:
            model, built.islands = add_float_islands(model)
        failed = self._try_half(built, model)
        if failed and not built.islands:
            model, built.islands = add_float_islands(model)
            if built.islands:
                built.notes.append(
                    f"Normalisation and softmax compute in float32, as in half precision {failed}"
                )
                self._try_half(built, model)
        for parity in built.parity:
            check_form(parity)

    def _try_half(self, built: BuiltForm, model: onnx.ModelProto) -> str:
        """The first limit that is not kept, "" when all are, once the graph is written and judged: as the runtime
        computes it, and as a device does that rounds every value to float16."""
        self._write(built, model)
        failed = list(self._judge(built).failures)
        rounded = round_like_half(model)
        if rounded is None:
            built.notes.append("Not tried with every value rounded to float16: the graph has subgraphs.")
        else:
            few = first_runs(self.reference, _ROUNDED_RUNS)
            with tempfile.TemporaryDirectory(prefix="edgevision.fp16.") as folder:
                path = write_model(rounded, Path(folder) / built.path.name)
                parity = judge_form(path, built.spec, few, built.form)
            built.parity.append(replace(parity, runtime="float16 rounding"))
            failed += parity.failures
        return failed[0] if failed else ""

    def _build_int8(self, built: BuiltForm) -> None:
        if is_large(self.float_model):
            raise ExportError(
                f"{self.part.role} cannot be quantised to int8: its weights are more than the 2 GiB of one ONNX file, "
                f"which the quantiser works on; export it in fp16"
            )
        built.layers = len(weight_layers(self.float_model))
        reduce_range = self.options.reduce_range

        def attempt(excluded: Sequence[str]) -> FormParity:
            model = quantise(self.calibrated, built.form, excluded=excluded, reduce_range=reduce_range)
            self._write(built, model)
            return self._judge(built)

        excluded = tuple(self.options.int8_exclude)
        first = attempt(excluded)
        if not first.failures:
            return
        found = fewest_left_out(self.damages, lambda names: not attempt((*excluded, *names)).failures)
        if found is None:
            worst = ", ".join(one.layers[0] for one in self.damages[:3])
            raise ExportError(
                f"{built.path.name} does not keep its limits with half of its layers in float (the costliest: {worst}); "
                f"all quantised: {first.failures[0]}; calibrate on more and likelier pictures, or export fp16"
            )
        check_form(attempt((*excluded, *(name for one in found for name in one.layers))))
        built.left_out = found
        built.notes.append(f"Layers stay in float, as with all of them quantised {first.failures[0]}")

    def _write(self, built: BuiltForm, model: onnx.ModelProto) -> None:
        built.nodes = len(model.graph.node)
        built.opset = next((one.version for one in model.opset_import if one.domain == ""), 0)
        write_model(model, built.path)
        if self.part.role == "model":
            write_spec(built.path, built.spec)

    def _judge(self, built: BuiltForm) -> FormParity:
        reference = self.judged if FORMS[built.form].precision == "int8" else self.reference
        parity = judge_form(built.path, built.spec, reference, built.form)
        built.parity = [parity]
        return parity

    def _compare_elsewhere(self, built: BuiltForm) -> None:
        """The other runtimes that are installed: one that disagrees is taken off the form's list, and that is said."""
        built.runtimes = FORMS[built.form].runtimes
        for runtime in installed_runtimes():
            if runtime == "onnxruntime" or runtime not in built.runtimes:
                continue
            try:
                parity = judge_form(built.path, built.spec, self.reference, built.form, runtime)
                reason = parity.failures[0] if parity.failures else ""
                built.parity.append(parity)
            except ExportError as error:
                reason = str(error)
            if reason:
                built.runtimes = tuple(one for one in built.runtimes if one != runtime)
                built.notes.append(f"Not for {runtime}: {reason}")

    def _calibration_feeds(self) -> Iterator[Feeds]:
        frames = self.pictures.calibration
        if self.part.role != "model":
            yield from self.model_calibration or self.reference.feeds
            return
        for index, frame in enumerate(frames):
            self.progress("calibrating int8", index, len(frames))
            yield prepare_frame(self.spec, frame.image)[0]
        self.progress("calibrating int8", len(frames), len(frames))

    def run_calibration(self) -> list[dict[str, Any]]:
        """What the float32 graph of "model" gives for each calibration picture: other parts are fed with it."""
        with tempfile.TemporaryDirectory(prefix="edgevision.fp32.") as folder:
            path = write_model(self.float_model, Path(folder) / "model.onnx")
            with closing(open_session(path, backend="onnxruntime")) as session:
                return [run_session(session, [feeds])[0] for feeds in self._calibration_feeds()]
