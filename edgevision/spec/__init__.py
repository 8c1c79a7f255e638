"""The model spec: what a network expects and what its outputs mean."""

from edgevision.spec.bundle import Bundle, BundleFile, bundle_part, is_bundle, read_bundle
from edgevision.spec.decoders import DECODERS, TASKS, DecoderInfo, ParamInfo, decoder_params, extra_channels
from edgevision.spec.engine import (
    EngineHeader,
    EngineKey,
    engine_sidecar_path,
    read_engine_header,
    write_engine_sidecar,
)
from edgevision.spec.forms import FORM_ORDER
from edgevision.spec.image_input import COLORS, DTYPES, FILTERS, LAYOUTS, ImageInput
from edgevision.spec.json_codec import SPEC_FORMAT, SPEC_VERSION, spec_from_json, spec_to_json
from edgevision.spec.load import (
    METADATA_KEY,
    ModelFile,
    find_model,
    find_part,
    load_spec,
    resolve_model,
    write_spec,
)
from edgevision.spec.model_spec import Decoder, ModelSpec, Source, Thresholds
from edgevision.spec.onnx_io import read_onnx_io
from edgevision.spec.onnx_metadata import OnnxHeader, read_onnx_header, write_onnx_metadata
from edgevision.spec.onnx_numbers import OnnxNumbers, read_onnx_numbers
from edgevision.spec.tensor_info import TensorInfo
from edgevision.spec.ultralytics import is_ultralytics, spec_from_ultralytics

__all__ = [
    "COLORS",
    "DECODERS",
    "DTYPES",
    "FILTERS",
    "FORM_ORDER",
    "LAYOUTS",
    "METADATA_KEY",
    "SPEC_FORMAT",
    "SPEC_VERSION",
    "TASKS",
    "Bundle",
    "BundleFile",
    "Decoder",
    "DecoderInfo",
    "EngineHeader",
    "EngineKey",
    "ImageInput",
    "ModelFile",
    "ModelSpec",
    "OnnxHeader",
    "OnnxNumbers",
    "ParamInfo",
    "Source",
    "TensorInfo",
    "Thresholds",
    "bundle_part",
    "decoder_params",
    "engine_sidecar_path",
    "extra_channels",
    "find_model",
    "find_part",
    "is_bundle",
    "is_ultralytics",
    "load_spec",
    "read_bundle",
    "read_engine_header",
    "read_onnx_header",
    "read_onnx_io",
    "read_onnx_numbers",
    "resolve_model",
    "spec_from_json",
    "spec_from_ultralytics",
    "spec_to_json",
    "write_engine_sidecar",
    "write_onnx_metadata",
    "write_spec",
]
