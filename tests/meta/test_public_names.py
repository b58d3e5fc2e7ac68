"""What a module takes of another is in its `__all__`, and modules that docstrings name are there."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest

from tests.meta.tree import ROOT

pytestmark = pytest.mark.once

PACKAGES = ("python", "server_app", "client_app")
NAMED = re.compile(r"`(mobium(?:_server|_client)?(?:\.\w+)+)`")


@cache
def modules() -> dict[str, Path]:
    """Every module of the three distributions, by its dotted name."""
    found = {}
    for base in PACKAGES:
        for path in (ROOT / base).rglob("*.py"):
            parts = path.relative_to(ROOT / base).with_suffix("").parts
            found[".".join(parts[:-1] if parts[-1] == "__init__" else parts)] = path
    return found


@cache
def tree(name: str) -> ast.Module:
    return ast.parse(modules()[name].read_text("utf-8"))


@cache
def listed(name: str) -> frozenset[str] | None:
    """What `__all__` lists; None without one."""
    for node in tree(name).body:
        if isinstance(node, ast.Assign) and [ast.unparse(target) for target in node.targets] == ["__all__"]:
            return frozenset(ast.literal_eval(node.value))
    return None


def taken(name: str) -> Iterator[tuple[str, str]]:
    """(module, name) of everything that a module takes of others of ours."""
    aliases: dict[str, str] = {}
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.ImportFrom) and node.module is not None:
            for alias in node.names:
                whole = f"{node.module}.{alias.name}"
                if whole in modules():
                    aliases[alias.asname or alias.name] = whole
                elif node.module in modules():
                    yield node.module, alias.name
    for node in ast.walk(tree(name)):
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in aliases:
            yield aliases[node.value.id], node.attr


def test_what_others_take_is_listed() -> None:
    missing = {
        f"{module}.{attribute}, taken by {name}"
        for name in modules()
        for module, attribute in taken(name)
        if (public := listed(module)) is not None and attribute not in public and attribute[0] != "_"
    }
    assert not missing


def test_what_is_listed_is_there() -> None:
    for name in modules():
        there = {
            bound
            for node in ast.walk(tree(name))
            for bound in (
                [node.name]
                if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef)
                else [node.id]
                if isinstance(node, ast.Name)
                else [alias.asname or alias.name for alias in node.names]
                if isinstance(node, ast.Import | ast.ImportFrom)
                else []
            )
        }
        assert (listed(name) or frozenset()) <= there, name


def test_modules_that_docstrings_name_are_there() -> None:
    wrong = {}
    for name, path in modules().items():
        for named in NAMED.findall(path.read_text("utf-8")):
            parts = named.split(".")
            module = next(
                (
                    ".".join(parts[:end])
                    for end in range(len(parts), 0, -1)
                    if ".".join(parts[:end]) in modules()
                ),
                "",
            )
            rest = parts[len(module.split(".")) :]
            if named != "mobium.db" and rest and (len(rest) > 2 or rest[0] not in bound_at_top(module)):
                wrong[name] = named
    assert not wrong


@cache
def bound_at_top(module: str) -> frozenset[str]:
    """The names that a module binds at its top."""
    found = set(listed(module) or ())
    for node in tree(module).body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
            found.add(node.name)
        elif isinstance(node, ast.Assign | ast.AnnAssign):
            targets = node.targets if isinstance(node, ast.Assign) else [node.target]
            found |= {target.id for target in targets if isinstance(target, ast.Name)}
    return frozenset(found)
