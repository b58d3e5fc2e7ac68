"""Fetches what building for a Raspberry Pi takes, into build/pi: Debian's Rust with the library for arm64,
and the Python of Raspberry Pi OS 12 (bookworm), which qemu runs.

Debian's packages are fetched and unpacked there and nowhere else: nothing is registered with dpkg, so nothing
collides with a Rust that is installed otherwise, and no root is needed. Deleting the folder undoes it. Not
its concern: the cross compiler and qemu (tools/system_packages.sh), building and running (tools/pi.py).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
PI = ROOT / "build" / "pi"
RUST = PI / "rust"
SYSTEM = PI / "system"
PYTHON = SYSTEM / "usr" / "bin" / "python3.11"
QEMU = "qemu-aarch64-static"
ABOUT = 600  # seconds for one step of apt; the whole takes half a minute on a fast line

# What every Debian system has; a second libc6 beside the host's own would stop every program.
HAS = re.compile(
    r"(libc6|libgcc-s1|libstdc\+\+6|libcrypt1|gcc-\d+-base|debconf|perl|dpkg|tar|zlib1g)(:\w+)?$"
)
WRAPPER = """\
#!/bin/sh
D=$(dirname "$(readlink -f "$0")")/usr
LD_LIBRARY_PATH="$D/lib/x86_64-linux-gnu${{LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}}" \\
    exec "$D/bin/{name}" --sysroot "$D" "$@"
"""


class PiError(Exception):
    """A step failed, and the sentence says which."""


class Apt:
    """apt with lists and a cache of its own, for packages of amd64 and arm64 that are not to be installed."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._settings = folder / "settings"
        for name in ("lists/partial", "archives/partial"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        (folder / "status").touch()
        self._settings.write_text(
            'APT::Architectures { "amd64"; "arm64"; };\n'
            f'Dir::State::Lists "{folder}/lists";\n'
            f'Dir::State::status "{folder}/status";\n'
            f'Dir::Cache "{folder}";\n'
            'Debug::NoLocking "1";\n'
            f'APT::Sandbox::User "{os.environ.get("USER", "root")}";\n'
        )

    def run(self, tool: str, *arguments: str) -> str:
        """Run one of apt's tools. Raises PiError."""
        done = subprocess.run(
            [tool, *arguments],
            cwd=self.folder / "archives",
            env={**os.environ, "APT_CONFIG": str(self._settings), "LC_ALL": "C"},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=ABOUT,
            check=False,
        )
        if done.returncode != 0:
            raise PiError(f"{tool} {arguments[0]} failed: {done.stderr.strip()}")
        return done.stdout

    def needs(self, name: str) -> set[str]:
        """What a package takes, directly or not, without what every system has."""
        hide = [
            f"--no-{kind}"
            for kind in ("recommends", "suggests", "conflicts", "breaks", "replaces", "enhances")
        ]
        said = self.run("apt-cache", "depends", "--recurse", *hide, name)
        found = set(re.findall(r"^[a-z][\w.+:-]*$", said, re.MULTILINE))
        return {one for one in found if not HAS.match(one)}

    def unpack(self, into: Path) -> None:
        """Unpack all that was fetched, and forget it."""
        into.mkdir(parents=True)
        for package in sorted((self.folder / "archives").glob("*.deb")):
            subprocess.run(["dpkg-deb", "-x", str(package), str(into)], check=True, timeout=ABOUT)
            package.unlink()


def rust(apt: Apt) -> None:
    """Debian's Rust with the standard library for arm64; it says its version."""
    own = apt.run("apt-cache", "depends", "libstd-rust-web-dev")
    library = re.search(r"Depends: (libstd-rust-web-\d[\d.]*)$", own, re.MULTILINE)
    if library is None:
        raise PiError(
            "Debian's package lists have no libstd-rust-web-dev; Debian 12 with its security updates has it."
        )
    names = ["rustc-web", "libstd-rust-web-dev", "libstd-rust-web-dev:arm64", *apt.needs(library[1])]
    apt.run("apt-get", "download", "-q", *sorted({*names, library[1]}))
    shutil.rmtree(RUST, ignore_errors=True)
    apt.unpack(RUST)
    for name in ("rustc", "rustdoc"):
        (RUST / name).write_text(WRAPPER.format(name=name))
        (RUST / name).chmod(0o755)


def system(apt: Apt) -> None:
    """The arm64 Python and what it loads, of Debian 12, which Raspberry Pi OS 12 is made of."""
    apt.run(
        "apt-get", "-q", "-y", "-o", "APT::Architecture=arm64",
        "--no-install-recommends", "--download-only", "install",
        "python3", "python3-venv", "ca-certificates", "libgcc-s1",
    )  # fmt: skip
    shutil.rmtree(SYSTEM, ignore_errors=True)
    apt.unpack(SYSTEM)
    # Whatever absolute path is in there is looked up there by emulated programs, and elsewhere on the host.
    for name in ("tmp", "var", "root", "home"):
        shutil.rmtree(SYSTEM / name, ignore_errors=True)
    (SYSTEM / "proc").mkdir(exist_ok=True)


def fetch() -> None:
    """Fetch what is not there yet. Raises PiError."""
    if (RUST / "rustc").exists() and PYTHON.exists():
        return
    for tool in ("apt-get", "apt-cache", "dpkg-deb"):
        if shutil.which(tool) is None:
            raise PiError(f"Building for a Raspberry Pi takes Debian's packages, and {tool} is not here.")
    apt = Apt(PI / "apt")
    print("Fetching Debian's Rust and the Python of Raspberry Pi OS into build/pi", flush=True)
    apt.run("apt-get", "update", "-q")
    rust(apt)
    system(apt)
