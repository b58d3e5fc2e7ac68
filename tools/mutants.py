"""Changes the kernels one place at a time and looks whether their tests notice.

    python tools/mutants.py [--rust] [--sample N] [--seed S] [KERNEL...]

Draws N mutants of each file by the seed, or takes all. The pure twins are changed by cosmic-ray (the extra
`mutants`), the Rust sources by cargo-mutants (`cargo install cargo-mutants`). A mutant is built where it has
to be, put in a copy of the package, and tried in a process of its own by the tests of its kernel, which end
at the first that fails; those that noticed most until then come first, and cases of the other back end alone
are left out. One in Rust that passes these is tried by the crate's own tests. Prints those that survive;
exit code 1 when one does. Not its concern: whether a survivor is equivalent (docs/QUALITY.md says).
"""

from __future__ import annotations

import argparse
import ast
import difflib
import json
import multiprocessing
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any, Final

import cryptography_vectors

ROOT: Final = Path(__file__).resolve().parent.parent
PACKAGE: Final = ROOT / "python" / "mobium"
TREE: Final = ROOT / "build" / "mutants"  # a copy of the Rust workspace, whose files are changed
TARGET: Final = ROOT / "target" / "mutants"
LIMIT: Final = 60  # seconds of the processor for one mutant's tests, which take 10 when nothing is changed
LONGEST: Final = 1_200.0  # seconds of the clock, for what waits and does not work
BUILD: Final = 1_800.0  # and of building it; the first one builds all

_RATCHET: Final = (
    "inside",
    "ratchet_limits",
    "ratchet",
    "ratchet_refused",
    "ratchet_arguments",
    "ratchet_twins",
    "ratchet_machine",
    "ratchet_state",
    "vectors",
)
_SENDER_KEY: Final = (
    "inside",
    "sender_key",
    "sender_key_forgeries",
    "sender_key_state",
    "sender_key_twins",
    "sender_key_machine",
    "vectors",
)

#: Each file of a kernel with the tests that are to notice, the quick ones first.
KERNELS: Final[dict[str, tuple[str, ...]]] = {
    "padding": ("padding", "vectors"),
    "kdf": ("vectors",),
    "fields": ("ratchet_state", "sender_key", "sender_key_state", "sender_key_twins", "vectors"),
    "skipped": _RATCHET,
    "state": (
        "inside",
        "ratchet_state",
        "ratchet",
        "ratchet_refused",
        "ratchet_arguments",
        "ratchet_twins",
        "ratchet_machine",
        "vectors",
    ),
    "ratchet": _RATCHET,
    "sender_key": _SENDER_KEY,
    "frame": ("frame", "frame_machine", "vectors"),
}
#: Those that Rust alone has.
PRIMITIVES: Final = dict.fromkeys(
    ("aead", "ed25519", "error", "hmac", "secret", "x25519"),
    (
        "frame",
        "sender_key",
        "sender_key_forgeries",
        "sender_key_state",
        "sender_key_twins",
        "ratchet",
        "ratchet_refused",
        "ratchet_arguments",
        "vectors",
    ),
)

#: One other operator stands for all others where arithmetic is changed; comparisons are not made identities.
_ARITHMETIC: Final = frozenset(
    f"core/ReplaceBinaryOperator_{pair}"
    for pair in (
        "Add_Sub", "Sub_Add", "Mul_Add", "FloorDiv_Mul", "Mod_Mul", "Pow_Mul",
        "RShift_LShift", "LShift_RShift", "BitOr_BitAnd", "BitAnd_BitOr", "BitXor_BitOr",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Mutant:
    """One change of one file, whose content is then `code`."""

    what: str
    file: Path
    code: str

    def __str__(self) -> str:
        """What was changed, line by line."""
        before = (ROOT / self.file).read_text("utf-8").splitlines()
        changed = difflib.unified_diff(before, self.code.splitlines(), n=0, lineterm="")
        lines = [line for line in changed if not line.startswith(("---", "+++"))]
        return f"{self.file}, {self.what}\n" + "\n".join(f"    {line}" for line in lines)


# ---------------------------------------------------------------- the pure twins


def python_mutants(kernel: str) -> list[Mutant]:
    """Every change of a twin that is one once annotations, which nothing reads, are left out."""
    from cosmic_ray.mutating import mutate_code
    from cosmic_ray.plugins import get_operator, operator_names

    file = Path("python", "mobium", "_pure", f"{kernel}.py")
    unchanged = (ROOT / file).read_text("utf-8")
    seen, found = {_meaning(unchanged)}, []
    for name in filter(_used, sorted(operator_names())):
        occurrence = 0
        while (code := mutate_code(unchanged, get_operator(name)(), occurrence)) is not None:
            occurrence += 1
            meaning = _meaning(code)
            if meaning is not None and meaning not in seen:
                seen.add(meaning)
                found.append(Mutant(name.removeprefix("core/"), file, code))
    return found


def _used(operator: str) -> bool:
    if "ReplaceBinaryOperator" in operator:
        return operator in _ARITHMETIC
    if operator.endswith(("_Is", "_IsNot")):
        return operator.endswith(("_Is_IsNot", "_IsNot_Is"))
    return "Variable" not in operator  # those take arguments


class _Bare(ast.NodeTransformer):
    """Leaves annotations out."""

    def visit_arg(self, node: ast.arg) -> ast.arg:
        node.annotation = None
        return node

    def visit_FunctionDef(self, node: ast.FunctionDef) -> ast.AST:
        node.returns = None
        return self.generic_visit(node)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> ast.AST:
        node.annotation = ast.Constant(0)
        return node


def _meaning(code: str) -> str | None:
    try:
        return ast.dump(_Bare().visit(ast.parse(code)))
    except SyntaxError:  # a star before an argument is no operator
        return None


def python_survives(mutant: Mutant) -> bool | None:
    """Whether no test of its kernel fails."""
    with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
        package = _package(Path(folder), "_pure")
        shutil.copytree(PACKAGE / "_pure", package / "_pure", ignore=shutil.ignore_patterns("__pycache__"))
        (package / "_pure" / mutant.file.name).write_text(mutant.code, "utf-8")
        return _passes(folder, mutant, "pure")


# ---------------------------------------------------------------- the Rust sources


def rust_mutants(kernel: str) -> list[Mutant]:
    """What cargo-mutants would change in a file of the crate."""
    command = ["cargo", "mutants", "--list", "--json", "-p", "mobium-core"]
    file = Path("native", "core", "src", f"{kernel}.rs")
    done = subprocess.run([*command, "-f", str(file)], cwd=ROOT, capture_output=True, text=True, check=True)
    lines = (ROOT / file).read_text("utf-8").splitlines(keepends=True)
    return [
        Mutant(one["name"].partition(": ")[2], file, _changed(lines, one)) for one in json.loads(done.stdout)
    ]


def _changed(lines: list[str], one: dict[str, Any]) -> str:
    start, end = one["span"]["start"], one["span"]["end"]
    before = "".join(lines[: start["line"] - 1]) + lines[start["line"] - 1][: start["column"] - 1]
    after = lines[end["line"] - 1][end["column"] - 1 :] + "".join(lines[end["line"] :])
    return f"{before}{one['replacement']}{after}"


def rust_survives(mutant: Mutant) -> bool | None:
    """Whether no test of its kernel or of the crate fails; None where it cannot be built."""
    changed = TREE / mutant.file
    unchanged = changed.read_text("utf-8")
    changed.write_text(mutant.code, "utf-8")
    try:
        if not _cargo("build", "-p", "mobium-native", "--features", "pyo3/extension-module", limit=BUILD):
            return None
        with tempfile.TemporaryDirectory(prefix="mutant-") as folder:
            package = _package(Path(folder), "_native.abi3.so")
            shutil.copy(TARGET / "debug" / "lib_native.so", package / "_native.abi3.so")
            if not _passes(folder, mutant, "native"):
                return False
        return _cargo("test", "-p", "mobium-core", limit=BUILD)
    finally:
        changed.write_text(unchanged, "utf-8")


def _cargo(command: str, *arguments: str, limit: float) -> bool:
    settings = {
        "CARGO_TARGET_DIR": str(TARGET),
        "CARGO_PROFILE_DEV_OPT_LEVEL": "1",
        "CARGO_PROFILE_DEV_OVERFLOW_CHECKS": "false",  # as in what is released
        "CARGO_PROFILE_DEV_DEBUG": "false",
        # where the crate's tests look, which .venv beside the copy would have
        "MOBIUM_CRYPTOGRAPHY_VECTORS": str(Path(cryptography_vectors.__file__).parent),
    }
    process = subprocess.Popen(
        ["cargo", command, "--locked", "--quiet", *arguments],
        cwd=TREE,
        env={**os.environ, **settings},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        start_new_session=True,
    )
    try:
        return process.wait(limit) == 0
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, 9)
        process.wait()
        return False


def _copy_workspace() -> None:
    """The parts of the tree that cargo reads."""
    shutil.rmtree(TREE, ignore_errors=True)
    for name in ("native", "benches/native", "tests/vectors"):
        shutil.copytree(ROOT / name, TREE / name, ignore=shutil.ignore_patterns("target", "__pycache__"))
    for name in ("Cargo.toml", "Cargo.lock"):
        shutil.copy(ROOT / name, TREE / name)


# ---------------------------------------------------------------- both


def _package(folder: Path, left_out: str) -> Path:
    """The package in a folder of its own, but for one name; the other back end is left out of it too."""
    package = folder / "mobium"
    package.mkdir()
    for file in PACKAGE.iterdir():
        if file.name not in (left_out, "__pycache__"):
            (package / file.name).symlink_to(file)
    return package


def _passes(folder: str, mutant: Mutant, backend: str) -> bool:
    names = (KERNELS | PRIMITIVES)[mutant.file.stem]
    tests = [str(ROOT / "tests" / "kernels" / f"test_{name}.py") for name in names]
    process = multiprocessing.get_context("fork").Process(target=_run, args=(folder, tests, backend))
    process.start()
    process.join(LONGEST)
    if process.is_alive():  # noticed: something does not end any more
        process.kill()
        process.join()
        return False
    if process.exitcode != 0 and (noticed := Path(folder, "noticed")).exists():
        _NOTICED[noticed.read_text("utf-8")] += 1
    return process.exitcode == 0


#: How many mutants each test has noticed so far.
_NOTICED: Final = Counter[str]()


class _Plugin:
    """What pytest does otherwise than in `make test`."""

    def __init__(self, folder: str, backend: str) -> None:
        self._noticed = Path(folder, "noticed")
        self._backend = backend

    def pytest_collection_modifyitems(self, items: list[Any]) -> None:
        items[:] = sorted(filter(self._concerns, items), key=lambda item: -_NOTICED[item.nodeid])

    def _concerns(self, item: Any) -> bool:
        """Whether a test runs on the changed back end at all, as far as its parameters tell."""
        given = item.callspec.params if hasattr(item, "callspec") else {}
        chosen = given.get("sides") or [given["kernels"]] if {"sides", "kernels"} & given.keys() else []
        return not chosen or self._backend in {kernels.name for kernels in chosen}

    def pytest_runtest_logreport(self, report: Any) -> None:
        if report.failed:
            self._noticed.write_text(report.nodeid, "utf-8")


def _run(folder: str, tests: list[str], backend: str) -> None:
    """In the mutant's process: its tests, without a word."""
    os.environ.update(MOBIUM_BACKEND=backend, MOBIUM_SCHEDULES="3", MOBIUM_TEST_SEED="1")
    resource.setrlimit(resource.RLIMIT_CPU, (LIMIT, LIMIT))
    silent = os.open(os.devnull, os.O_WRONLY)
    os.dup2(silent, 1)
    os.dup2(silent, 2)
    os.chdir(ROOT)
    sys.path.insert(0, folder)
    import pytest

    options = ["-x", "-q", "-p", "no:cacheprovider", "--hypothesis-profile=mutants"]
    options += ["-W", "ignore:Module already imported"]  # by `_warm`
    os._exit(int(pytest.main([*tests, *options], plugins=[_Plugin(folder, backend)])))


def _warm() -> None:
    """What every mutant's process would import again, and which knows nothing of mobium."""
    aead = "cryptography.hazmat.primitives.ciphers.aead"
    for name in ("pytest", "hypothesis.stateful", "doubleratchet", aead):
        import_module(name)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rust", action="store_true", help="the Rust sources, not their twins")
    parser.add_argument(
        "--sample", type=int, default=sys.maxsize, help="so many mutants of each file; else all"
    )
    parser.add_argument("--seed", type=int, default=1, help="draws the sample (1)")
    parser.add_argument("kernel", nargs="*", help=f"of {', '.join(KERNELS)}; else all")
    asked = parser.parse_args()
    known = KERNELS | PRIMITIVES if asked.rust else KERNELS
    if unknown := [name for name in asked.kernel if name not in known]:
        print(f"There is no kernel {unknown[0]}; there are {', '.join(known)}.", file=sys.stderr)
        return 2
    make = rust_mutants if asked.rust else python_mutants
    survives: Callable[[Mutant], bool | None] = rust_survives if asked.rust else python_survives
    if asked.rust:
        _copy_workspace()
    _warm()
    clean = True
    for kernel in asked.kernel or known:
        found, began = make(kernel), time.monotonic()
        file = found[0].file
        if not survives(Mutant("nothing", file, (ROOT / file).read_text("utf-8"))):
            print(f"The tests of {kernel} fail where nothing is changed.", file=sys.stderr)
            return 2
        drawn = random.Random(asked.seed).sample(found, min(asked.sample, len(found)))
        count = Counter[bool | None]()
        try:
            for mutant in drawn:
                survived = survives(mutant)
                count[survived] += 1
                if survived:
                    print(mutant, flush=True)
        finally:  # whoever interrupts it sees how far it got
            print(
                f"{file}: {count[False]} noticed, {count[True]} survived, {count[None]} that cannot be built;"
                f" {count.total()} of {len(found)} in {time.monotonic() - began:.0f} s",
                flush=True,
            )
        clean = clean and not count[True]
    return 0 if clean else 1


if __name__ == "__main__":
    sys.exit(main())
