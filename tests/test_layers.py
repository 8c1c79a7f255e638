"""Imports go down only (docs/architecture.md): each module may import its own layer and those below."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).parent.parent / "edgevision"

# Lower number, lower layer. A module's layer is that of the longest entry its name starts with.
LAYERS = {
    "errors": 0,
    "timings": 0,
    "geometry": 1,
    "spec": 1,
    "imageio": 1,
    "ops": 2,
    "_native": 2,
    "_cuda": 2,
    "results": 3,
    "overlay": 3,
    "backends": 4,
    "tasks": 4,
    "engine_loading": 5,
    "frame_graph": 5,
    "submission": 5,
    "loading": 5,
    "model": 5,
    "engines": 5,
    "promptable": 5,
    "texts": 5,
    "stream": 6,
    "bench": 6,
    "demo": 6,
    "doctor": 6,
    "cli": 7,
    "__main__": 8,
}
STRANGERS = {("backends", "tasks"), ("tasks", "backends")}
RUNTIMES = {"torch", "onnxruntime", "cv2", "tensorrt", "tensorrt_rtx", "openvino", "onnx", "supervision"}

# The only modules that may import these libraries, and only inside functions unless they are backends.
OWNERS = {
    "cv2": {"imageio", "demo"},
    "supervision": {"results"},
    "onnxruntime": {"backends"},
    "openvino": {"backends"},
}

MODULES = sorted(
    path for path in PACKAGE.rglob("*.py") if "export" not in path.relative_to(PACKAGE).parts[:1]
)


def module_name(path: Path) -> str:
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def imports_of(path: Path) -> list[tuple[str, bool, int]]:
    """(module, whether at the top of the module, line) of each import."""
    tree = ast.parse(path.read_text())
    inside = {
        id(node)
        for function in ast.walk(tree)
        if isinstance(function, (ast.FunctionDef, ast.AsyncFunctionDef))
        for node in ast.walk(function)
    }
    typing_only = {
        id(node)
        for branch in ast.walk(tree)
        if isinstance(branch, ast.If) and ast.unparse(branch.test) == "TYPE_CHECKING"
        for node in ast.walk(branch)
    }
    found = []
    for node in ast.walk(tree):
        if id(node) in typing_only:
            continue
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}:{node.lineno}: relative import"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        found += [(name, id(node) not in inside, getattr(node, "lineno", 0)) for name in names]
    return found


def layer_of(name: str) -> int:
    return LAYERS[name.split(".")[0]]


@pytest.mark.parametrize("path", MODULES, ids=module_name)
def test_module_imports_only_its_own_layer_and_those_below(path: Path) -> None:
    name = module_name(path)
    if name == "":
        return_imports = [item for item, top, _ in imports_of(path) if item.startswith("edgevision") and top]
        assert return_imports == [], "the package itself imports nothing until a name is used"
        return
    own = name.split(".")[0]
    for imported, top, line in imports_of(path):
        root = imported.split(".")[0]
        if root == "edgevision":
            target = imported.removeprefix("edgevision").lstrip(".")
            where = f"{path.name}:{line}: {name} imports edgevision.{target}"
            if target.startswith("export"):
                assert own in {"cli"}, f"{where}: only the CLI's export command may import export"
                assert not top, f"{where}: only inside the function"
                continue
            head = target.split(".")[0]
            if head not in LAYERS:  # `from edgevision import __version__`, or the package itself for the CLI
                assert head in {"", "__version__"} or layer_of(own) >= LAYERS["stream"], where
                continue
            assert layer_of(head) <= layer_of(own), f"{where}, which lies above it"
            assert (own, head) not in STRANGERS, f"{where}: backends and tasks never see each other"
        elif root in RUNTIMES:
            where = f"{path.name}:{line}: {name} imports {root}"
            assert own in OWNERS.get(root, set()), f"{where}; only {OWNERS.get(root, 'nobody')} may"
            if own != "backends":
                assert not top, f"{where} at the top: importing it must not load {root}"


def test_every_module_has_a_layer() -> None:
    heads = {module_name(path).split(".")[0] for path in MODULES} - {""}
    assert heads <= set(LAYERS), f"without a layer: {heads - set(LAYERS)}"
