"""`make wheel-pi`: the wheel for a Raspberry Pi with a 64-bit system, cross-built into dist/ and then run.

Debian's Rust and cross compiler build it (tools/pi_tools.py, tools/system_packages.sh). An emulated arm64
Python of Raspberry Pi OS 12 then has the wheels installed, passes the tests of kernels and vectors on the
native back end, once as a Pi 5 runs it and once without the AES instructions that a Pi 4 has not, and starts
the server, to which a client of this machine talks. `--build` leaves the running out. What emulation cannot
show: how fast it is, and the hardware itself. Everything made lies in build/pi and dist/.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools import wheels
from tools.pi_tools import PI, PYTHON, QEMU, ROOT, RUST, SYSTEM, PiError, fetch

SITE = PI / "site"
TARGET = "aarch64-unknown-linux-gnu"
MANYLINUX = "manylinux_2_34"  # Debian's cross compiler links with the glibc 2.36 that Raspberry Pi OS 12 has
SCHEDULES = "3"  # random ones of each test that has them, where `make test` runs 20
TIME_LIMIT = 1_800  # seconds of one emulated step
READY = "mobium-server listening on "

# pip takes a list of tags as it is: it does not work out which older ones a newer one includes.
GLIBC = ("2_36", "2_34", "2_31", "2_28", "2_27", "2_26", "2_24", "2_17")
PLATFORMS = [*(f"manylinux_{version}_aarch64" for version in GLIBC), "manylinux2014_aarch64", "linux_aarch64"]
# what the tests below take of pyproject's extra `dev`
TESTING = [
    "pytest>=9.2,<10",
    "pytest-asyncio>=1.5,<2",
    "hypothesis>=6.170,<7",
    "DoubleRatchet>=1.3,<2",
    "cryptography-vectors>=50.0,<51",
    "psutil>=7.2,<8",
]
TESTS = ["tests/kernels", "tests/crypto/test_vectors.py"]
# Each starts Python once more, which the kernel does not do for a program of another machine.
CHILDREN = [f"tests/kernels/test_{name}.py" for name in ("backend", "frame_memory", "stub")]

NEON_ONLY = {"OPENSSL_armcap": "0x1"}
"""What a Pi 4 has: vectors, and no instructions for AES or SHA. OpenSSL and aws-lc both heed it."""


def run(command: list[str], **env: str) -> None:
    """Run a step that prints for itself. Raises PiError."""
    done = subprocess.run(
        command,
        cwd=ROOT,
        env={**os.environ, **env},
        stdin=subprocess.DEVNULL,
        timeout=TIME_LIMIT,
        check=False,
    )
    if done.returncode != 0:
        raise PiError(f"{' '.join(command[:4])} ... failed with exit code {done.returncode}.")


def build() -> Path:
    """The wheel, in dist/."""
    wheels.DIST.mkdir(exist_ok=True)
    for old in wheels.DIST.glob("mobium-*aarch64.whl"):
        old.unlink()
    command = [sys.executable, "-m", "maturin", "build", "--release", "--locked", "--strip", "--quiet"]
    run(
        [*command, "--target", TARGET, "--compatibility", MANYLINUX, "--out", str(wheels.DIST)],
        RUSTC=str(RUST / "rustc"),
        RUSTDOC=str(RUST / "rustdoc"),
        CARGO_TARGET_DIR=str(PI / "target"),  # another compiler: in target/ each would undo the other's work
        CARGO_TARGET_AARCH64_UNKNOWN_LINUX_GNU_LINKER="aarch64-linux-gnu-gcc",
    )
    (wheel,) = wheels.DIST.glob("mobium-*aarch64.whl")
    if wheel.stat().st_size > wheels.LARGEST:
        raise PiError(
            f"{wheel.name} has {wheel.stat().st_size:,} bytes, and {wheels.LARGEST:,} are the limit."
        )
    return wheel


def pip(*arguments: str) -> None:
    """Install for the emulated Python, from wheels alone, as nothing can be compiled for it here."""
    tags = [argument for name in PLATFORMS for argument in ("--platform", name)]
    tags += ["--implementation", "cp", "--python-version", "3.11"]
    tags += [argument for name in ("cp311", "abi3", "none") for argument in ("--abi", name)]
    quiet = ["--quiet", "--disable-pip-version-check", "--only-binary=:all:"]
    run([sys.executable, "-m", "pip", "install", *quiet, *tags, "--target", str(SITE), *arguments])


def install(wheel: Path) -> int:
    """Install the wheels, and what the tests take; returns the bytes that the library and the server take."""
    shutil.rmtree(SITE, ignore_errors=True)
    wheels.programs()
    server, client = (str(wheels.found(f"mobium_{name}-*.whl")) for name in ("server", "client"))
    pip(str(wheel), server)
    taken = sum(file.stat().st_size for file in SITE.rglob("*") if file.is_file() and file.suffix != ".pyc")
    shutil.rmtree(SITE)
    pip(str(wheel), server, client, *TESTING)
    return taken


def emulated(*arguments: str) -> list[str]:
    """The command that runs the arm64 Python."""
    return [QEMU, "-L", str(SYSTEM), str(PYTHON), *arguments]


def environment(**env: str) -> dict[str, str]:
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("MOBIUM_", "SC_", "PYTHON"))
    }
    return {**kept, "PYTHONPATH": str(SITE), "MOBIUM_BACKEND": "native", **env}


def python(*arguments: str, **env: str) -> None:
    """Run the arm64 Python. Raises PiError."""
    done = subprocess.run(
        emulated(*arguments),
        cwd=ROOT,
        env=environment(**env),
        stdin=subprocess.DEVNULL,
        timeout=TIME_LIMIT,
        check=False,
    )
    if done.returncode != 0:
        raise PiError(f"The emulated Python failed: {' '.join(arguments)}")


@contextmanager
def server() -> Iterator[str]:
    """The URL of an emulated server."""
    folder = PI / "server"
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    settings = {"SC_HOST": "127.0.0.1", "SC_PORT": "0", "SC_REQUIRE_TLS": "false"}
    process = subprocess.Popen(
        emulated("-m", "mobium_server"),
        cwd=folder,
        env=environment(**settings),
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout is not None
        line = next((line for line in process.stdout if line.startswith(READY)), "")
        if not line:
            raise PiError("The emulated server did not start.")
        yield line.removeprefix(READY).strip()
    finally:
        process.terminate()
        process.communicate(timeout=TIME_LIMIT)
    if process.returncode != 0:
        raise PiError(f"The emulated server ended with exit code {process.returncode}.")


def try_it(wheel: Path) -> None:
    """Install and run it emulated."""
    taken = install(wheel)
    print(f"Library and server take {taken / 1e6:.1f} MB", flush=True)
    python("-m", "compileall", "-q", str(SITE))  # starting takes three times as long without
    python("tools/smoke.py", "native")
    pytest = ["-m", "pytest", "-q", "-p", "no:cacheprovider", *TESTS]
    pytest += [argument for name in CHILDREN for argument in ("--ignore", name)]
    for what, env in (("with AES instructions, as a Pi 5", {}), ("without, as a Pi 4", NEON_ONLY)):
        print(f"Tests of kernels and vectors {what}", flush=True)
        python(*pytest, MOBIUM_SCHEDULES=SCHEDULES, **env)
        with server() as url:
            run([sys.executable, "tools/smoke.py", "native", "talk", url])


def main(arguments: list[str]) -> int:
    if arguments not in ([], ["--build"]):
        print("usage: pi.py [--build]", file=sys.stderr)
        return 2
    start = time.monotonic()
    try:
        run(["sh", "tools/system_packages.sh", "pi"])
        fetch()
        wheel = build()
        seconds = time.monotonic() - start
        print(f"{wheel.stat().st_size:,} bytes: {wheel.relative_to(ROOT)}, after {seconds:.0f} s", flush=True)
        if not arguments:
            try_it(wheel)
    except PiError as error:
        print(error, file=sys.stderr)
        return 1
    print(f"The Raspberry Pi's wheel is well, after {time.monotonic() - start:.0f} s.")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
