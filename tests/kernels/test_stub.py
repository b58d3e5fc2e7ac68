"""Twin, extension and stub say the same: names, order and kinds of arguments, types."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

from mobium._pure import frame, padding, ratchet, sender_key
from tests.kernels.kernels import NATIVE, PURE
from tests.support.needs import require_extension

PACKAGE = Path(padding.__file__).parents[1]
STUB = ast.parse((PACKAGE / "_native.pyi").read_text())
CLASSES = {
    "Ratchet": ratchet,
    "SenderChain": sender_key,
    "ReceiverChain": sender_key,
    "FrameSealer": frame,
    "FrameOpener": frame,
}
NEW = "__new__"


def _functions(body: list[ast.stmt]) -> dict[str, ast.FunctionDef]:
    return {node.name: node for node in body if isinstance(node, ast.FunctionDef)}


def _class(tree: ast.Module, name: str) -> ast.ClassDef:
    (found,) = (node for node in tree.body if isinstance(node, ast.ClassDef) and node.name == name)
    return found


def _signature(function: ast.FunctionDef) -> str:
    """Arguments with their types, result, static or not."""
    kinds = [ast.unparse(decorator) for decorator in function.decorator_list]
    returns = ast.unparse(function.returns) if function.returns else ""
    return f"{kinds} ({ast.unparse(function.args)}) -> {returns}"


def test_the_stub_is_that_of_the_extension() -> None:
    require_extension()
    result = subprocess.run(
        [sys.executable, "-m", "mypy.stubtest", "mobium._native"],
        cwd=PACKAGE.parent,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert result.returncode == 0, result.stdout + result.stderr


METHODS = [(name, method) for name in CLASSES for method in _functions(_class(STUB, name).body)]


@pytest.mark.parametrize("name", CLASSES)
def test_the_stub_has_the_types_of_the_twins(name: str) -> None:
    twin = _functions(_class(ast.parse(inspect.getsource(CLASSES[name])), name).body)
    public = {
        name: _signature(node) for name, node in twin.items() if not name.startswith("_") or name == NEW
    }
    stub = {name: _signature(node) for name, node in _functions(_class(STUB, name).body).items()}
    assert list(stub) == list(public)
    assert stub == public


def test_the_stub_has_the_functions_of_the_twins() -> None:
    twin = {
        name: _signature(node)
        for module in (padding, sender_key, frame)
        for name, node in _functions(ast.parse(inspect.getsource(module)).body).items()
        if not name.startswith("_")
    }
    assert {name: _signature(node) for name, node in _functions(STUB.body).items()} == twin


@pytest.mark.parametrize("name", CLASSES)
def test_the_extension_has_what_the_stub_has(name: str) -> None:
    names = [found for found in vars(getattr(NATIVE, name)) if not found.startswith("_")]
    assert sorted(names) == sorted(set(_functions(_class(STUB, name).body)) - {NEW})


@pytest.mark.parametrize(("name", "method"), METHODS)
def test_arguments_have_the_names_of_the_twins(name: str, method: str) -> None:
    classes = [getattr(kernels, name) for kernels in (NATIVE, PURE)]
    found = classes if method == NEW else [getattr(one, method) for one in classes]
    assert len({inspect.isroutine(one) for one in found}) == 1
    if not inspect.isroutine(found[0]) and method != NEW:
        return  # a property
    native, pure = (
        [
            (parameter.name, parameter.kind, parameter.default)
            for parameter in inspect.signature(one).parameters.values()
            if parameter.name != "self"
        ]
        for one in found
    )
    assert native == pure


def test_the_module_lists_what_it_has() -> None:
    require_extension()
    import mobium._native

    names = ["BUCKETS", "KERNEL_VERSION", *CLASSES, "frame_header", "pad", "read_head", "unpad"]
    assert sorted(mobium._native.__all__) == sorted(names)
