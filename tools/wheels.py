"""Builds everything that can be installed elsewhere into dist/, and installs each of it as a stranger would:
three distributions' wheels, and the sdist.

`mobium` comes as a native abi3 wheel for this kind of machine, where Rust is found, and as a pure one for
every other; pip takes the native one where it fits. Each Python from 3.11 on that is found here gets it in
an environment of its own, in which tools/smoke.py has to do well. `--build` leaves that out. Not its concern:
the wheel for a Raspberry Pi (tools/pi.py), and where wheels are published.
"""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
import tempfile
import time
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
DIST = ROOT / "dist"
SMOKE = ROOT / "tools" / "smoke.py"
MANYLINUX = "manylinux_2_28"  # Debian 11, Ubuntu 20.04, RHEL 8 and all that is newer
NATIVE = f"mobium-*-abi3-*{platform.machine().lower()}.whl"  # there may be a Raspberry Pi's beside it
LARGEST = 2_000_000  # bytes of the native wheel
VERSIONS = (11, 12, 13, 14)

sys.path.insert(0, str(ROOT / "native"))
import backend  # noqa: E402


def run(command: list[str], folder: Path, **env: str) -> str:
    """Runs one step and returns what it printed; a failure ends the script with the step's exit code."""
    done = subprocess.run(
        command,
        cwd=folder,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        print(done.stdout)
        sys.exit(done.returncode)
    return done.stdout


def pip(python: Path | str, *arguments: str, **env: str) -> None:
    quiet = ["--quiet", "--disable-pip-version-check"]
    run([str(python), "-m", "pip", "install", *quiet, *arguments], ROOT, **env)


def tools() -> None:
    """What only wheels take: pyproject's extra of that name."""
    if find_spec("ziglang") is None or find_spec("auditwheel") is None:
        project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
        pip(sys.executable, *project["optional-dependencies"]["wheels"])


# ---------------------------------------------------------------- making


def native() -> None:
    """The abi3 wheel for this kind of machine.

    By maturin itself rather than the build backend: only so it fits other Linux machines. There zig links,
    since it knows the symbols of each glibc; on other systems their own linker does.
    """
    command = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--strip", "--quiet"]
    env = {}
    if platform.system() == "Linux":
        tools()
        command += ["--zig", "--compatibility", MANYLINUX]
        # zig is a package of this environment, whose python maturin asks for it; and to what is compiled
        # without optimisation it adds checks of undefined behaviour, whose functions nothing here has
        env = {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}", "CFLAGS": "-fno-sanitize=all"}
    run([*command, "--out", str(DIST)], ROOT, **env)


def build() -> None:
    """Everything, into dist/."""
    DIST.mkdir(exist_ok=True)
    for pattern in (NATIVE, "mobium*-none-any.whl", "mobium-*.tar.gz"):
        for old in DIST.glob(pattern):
            old.unlink()
    choice = backend.choose()
    print(choice.sentence, flush=True)
    if choice.native:
        native()
    # a call for each, as a frontend does it: builders keep what they read about the tree
    for what in ("build_wheel", "build_sdist"):
        code = f"import backend; backend.{what}({str(DIST)!r})"
        run([sys.executable, "-c", code], ROOT, MOBIUM_BUILD="pure", PYTHONPATH="native")
    programs()


def programs() -> None:
    """The wheels of server and client, which fit everywhere."""
    for folder in ("server_app", "client_app"):
        run([sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(DIST)], ROOT / folder)


# ---------------------------------------------------------------- trying


def found(pattern: str) -> Path:
    """The only file of dist/ with such a name."""
    files = sorted(DIST.glob(pattern))
    if len(files) != 1:
        sys.exit(f"dist/ has {len(files)} files {pattern}, and one is expected.")
    return files[0]


def pythons() -> dict[str, Path]:
    """The interpreters from 3.11 on that really run here, by version; of each version one."""
    versions = Path.home() / ".pyenv" / "versions"
    known = {}
    for minor in VERSIONS:
        name = f"python3.{minor}"
        for candidate in (shutil.which(name), *map(str, versions.glob(f"3.{minor}.*/bin/{name}"))):
            code = "import ensurepip, sys, venv; print(*sys.version_info[:2], sys.executable)"
            command = [candidate or "", "-c", code]
            try:
                said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True).stdout
            except (OSError, subprocess.SubprocessError):
                continue  # a shim of a version that was not chosen, or one without venv
            major, found_minor, path = said.split(maxsplit=2)
            if (major, found_minor) == ("3", str(minor)):
                known[f"3.{minor}"] = Path(path.strip())
                break
    return known


def size(python: Path) -> int:
    """Bytes of what was installed into an environment, pip and compiled modules not counted."""
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    folder = Path(run([str(python), "-c", code], ROOT).strip())
    ours = [
        file
        for file in folder.rglob("*")
        if file.is_file()
        and not file.relative_to(folder).parts[0].startswith(("pip", "setuptools", "pkg_res"))
    ]
    return sum(file.stat().st_size for file in ours if file.suffix != ".pyc")


class Environment:
    """A fresh virtual environment into which things are installed one after the other."""

    def __init__(self, folder: Path, interpreter: Path | str) -> None:
        run([str(interpreter), "-m", "venv", str(folder)], ROOT)
        self.python = folder / ("Scripts" if os.name == "nt" else "bin") / "python"
        self._away = folder / "elsewhere"  # so that nothing of the tree is imported
        self._away.mkdir()

    def install(self, *files: Path | str, **env: str) -> None:
        """Install these files with all that they take; a string is one with its extras."""
        pip(self.python, *map(str, files), **env)

    def smoke(self, *arguments: str) -> None:
        """Run tools/smoke.py."""
        kept = {name: "" for name in os.environ if name == "MOBIUM_BACKEND"} | {"PYTHONPATH": ""}
        print("   ", run([str(self.python), str(SMOKE), *arguments], self._away, **kept).strip(), flush=True)


def without_rust(folder: Path) -> str:
    """A PATH on which nothing is found."""
    folder.mkdir()
    return str(folder)


def audit(wheel: Path) -> None:
    """Holds the native wheel to its tag and its size."""
    said = run([sys.executable, "-m", "auditwheel", "show", str(wheel)], ROOT)
    if f'"{MANYLINUX}_' not in " ".join(said.split()):
        sys.exit(f"The wheel does not fit {MANYLINUX}:\n{said}")
    if wheel.stat().st_size > LARGEST:
        sys.exit(f"{wheel.name} has {wheel.stat().st_size:,} bytes, and {LARGEST:,} are the limit.")


def check(folder: Path) -> None:
    """Installs everything that was built, each in an environment of its own."""
    server, client = found("mobium_server-*.whl"), found("mobium_client-*.whl")
    pure, sdist = found("mobium-*-none-any.whl"), found("mobium-*.tar.gz")
    rust = backend.choose().native
    if rust:
        wheel = found(NATIVE)
        if platform.system() == "Linux":
            audit(wheel)
        for version, interpreter in pythons().items():
            print(f"{wheel.name} on Python {version}", flush=True)
            one = Environment(folder / f"native{version}", interpreter)
            one.install(wheel, server)
            one.smoke("native", "serve")
            print(f"    library and server take {size(one.python) / 1e6:.1f} MB", flush=True)
            one.install(wheel, server, client)
            one.smoke("native", "talk")
    print(pure.name, flush=True)
    one = Environment(folder / "pure", sys.executable)
    one.install(pure, server, client)
    one.smoke("pure", "talk")
    print(f"{client.name}[desktop]", flush=True)
    one.install(pure, f"{client}[desktop]")
    if shutil.which("Xvfb") and shutil.which("xdotool"):
        one.smoke("pure", "window")
    else:
        print("    its window was not looked at: Xvfb and xdotool are missing", flush=True)
    print(f"{sdist.name} without Rust", flush=True)
    one = Environment(folder / "sdist", sys.executable)
    one.install(sdist, PATH=without_rust(folder / "empty"))
    one.smoke("pure")
    if rust:
        print(f"{sdist.name} with Rust", flush=True)
        one = Environment(folder / "compiled", sys.executable)
        # where the tree's own build lies, so that what is in there already is not compiled once more
        one.install(sdist, CARGO_TARGET_DIR=str(ROOT / "target"))
        one.smoke("native")


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--build"]):
        print("usage: wheels.py [--build]", file=sys.stderr)
        return 2
    start = time.monotonic()
    build()
    print(f"built in {time.monotonic() - start:.0f} s", flush=True)
    if not arguments:
        with tempfile.TemporaryDirectory() as folder:
            check(Path(folder))
        print(f"built and tried in {time.monotonic() - start:.0f} s")
    for file in sorted(DIST.iterdir()):
        print(f"{file.stat().st_size:10,}  {file.relative_to(ROOT)}")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
