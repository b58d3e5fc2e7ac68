"""Who imports what: the contracts of import-linter, and what is loaded with what."""

import subprocess
import sys
from pathlib import Path

import grimp
import pytest

from tests.meta.tree import ROOT

#: What the two programs may import of the library, themselves and in any module below these.
ALLOWED = {
    "mobium_server": ("mobium", "mobium.protocol", "mobium.signing", "mobium.errors"),
    "mobium_client": ("mobium", "mobium.client", "mobium.errors"),
}


def test_import_linter_keeps_every_contract() -> None:
    command = [str(Path(sys.executable).parent / "lint-imports"), "--no-cache"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("program", ALLOWED)
def test_a_program_imports_of_the_library_only_what_it_may(program: str) -> None:
    graph = grimp.build_graph("mobium", program, cache_dir=None)
    found = {
        f"{module} imports {imported}"
        for module in graph.modules
        if module.split(".")[0] == program
        for imported in graph.find_modules_directly_imported_by(module)
        if imported.split(".")[0] == "mobium"
        and imported != "mobium"
        and not any(imported == one or imported.startswith(f"{one}.") for one in ALLOWED[program][1:])
    }
    assert found == set()
    assert any(graph.find_modules_that_directly_import(one) for one in ALLOWED[program])


def loaded_by(module: str) -> set[str]:
    """The modules that a fresh interpreter has once it has imported `module`."""
    command = [sys.executable, "-c", f"import {module}, sys; print(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    return set(done.stdout.split())


def test_importing_the_library_loads_nothing_of_it() -> None:
    assert [name for name in loaded_by("mobium") if name.startswith("mobium.")] == []


@pytest.mark.parametrize(
    "module", ["pipeline", "devices", "portaudio", "sources", "share", "view", "pattern"]
)
def test_media_is_imported_without_the_libraries_that_it_uses(module: str) -> None:
    adapters = {"aiortc", "av", "mss", "numpy", "opuslib_next", "sounddevice"}
    assert loaded_by(f"mobium.media.{module}") & adapters == set()


def test_the_server_loads_no_library_of_the_client() -> None:
    of_the_client = {"mobium.client", "mobium.crypto", "mobium._backend", "sqlcipher3", "mnemonic"}
    loaded = loaded_by("mobium_server.app")
    assert "mobium.protocol" in loaded
    assert loaded & of_the_client == set()
