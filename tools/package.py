"""Packs the desktop for machines without Python: one folder by PyInstaller, and on Debian and Ubuntu a .deb.

    python tools/package.py            into dist/: mobium-VERSION-linux-ARCH.tar.gz, mobium_VERSION_ARCH.deb
    python tools/package.py --icons    the icons alone, into build/package, as the recipes in packaging/ want

What is packed is what this environment has, so the C library of this machine is the oldest that it runs on.
Not its concern: other systems (packaging/, whose recipes say whether anybody has run them).
"""

from __future__ import annotations

import argparse
import gzip
import os
import shutil
import subprocess
import sys
import tarfile
import tomllib
from importlib.util import find_spec
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
BUILD = ROOT / "build" / "package"
DIST = ROOT / "dist"
SIZES = (16, 32, 48, 64, 128, 256, 512)
# What the folder takes of the system: fonts, and X11 in a version of the machine's own. Opus comes with it.
NEEDS = "libc6 (>= {libc}), fontconfig, libfontconfig1, libx11-6, libxft2, libxss1, libxext6, libxrender1"
BETTER = "libportaudio2, fonts-dejavu-core, fonts-noto-color-emoji, xdg-utils"

CONTROL = """\
Package: mobium
Version: {version}
Architecture: {arch}
Maintainer: The mobium project <mobium@localhost>
Installed-Size: {size}
Depends: {needs}
Recommends: {better}
Section: net
Priority: optional
Description: encrypted messenger that people host themselves (desktop client)
 Direct messages, channels, calls and voice rooms, encrypted from end to end,
 through a server that you or a friend hosts and that can read none of it.
"""


def version() -> str:
    text: str = tomllib.loads((ROOT / "Cargo.toml").read_text("utf-8"))["workspace"]["package"]["version"]
    return text


def icons() -> None:
    """PNG of each size, an .ico for Windows and an .icns for macOS."""
    from mobium_client.gui.app_icon import drawn

    BUILD.mkdir(parents=True, exist_ok=True)
    made = {size: drawn(size) for size in SIZES}
    for size, picture in made.items():
        picture.save(BUILD / f"mobium-{size}.png", optimize=True)
    made[256].save(BUILD / "mobium.ico", sizes=[(size, size) for size in (16, 32, 48, 256)])
    made[512].save(BUILD / "mobium.icns")


def run(what: str, command: list[str]) -> None:
    print(what, flush=True)
    done = subprocess.run(command, cwd=ROOT, stdin=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        sys.exit(f"{what}: failed.")


def one_folder() -> Path:
    """The program with all that it takes; returns the folder."""
    run(
        "Packing the desktop into one folder",
        [
            *(sys.executable, "-m", "PyInstaller", "--noconfirm", "--log-level", "ERROR"),
            *("--distpath", str(BUILD), "--workpath", str(BUILD / "work")),
            str(ROOT / "packaging" / "mobium-desktop.spec"),
        ],
    )
    folder = BUILD / "mobium"
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        shutil.copyfile(ROOT / name, folder / name)
    shutil.copyfile(ROOT / "packaging" / "THIRD-PARTY.md", folder / "THIRD-PARTY.md")
    return folder


def archive(folder: Path) -> Path:
    """The folder as a .tar.gz, for every Linux."""
    file = DIST / f"mobium-{version()}-{sys.platform}-{os.uname().machine}.tar.gz"
    with tarfile.open(file, "w:gz", compresslevel=6) as packed:
        packed.add(folder, "mobium")
        packed.add(ROOT / "packaging" / "mobium.desktop", "mobium/mobium.desktop")
        packed.add(BUILD / "mobium-256.png", "mobium/mobium.png")
    return file


def output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


def deb(folder: Path) -> Path:
    """The folder as a package of Debian."""
    tree = BUILD / "deb"
    shutil.rmtree(tree, ignore_errors=True)
    share = tree / "usr" / "share"
    shutil.copytree(folder, tree / "opt" / "mobium", symlinks=True)
    (tree / "usr" / "bin").mkdir(parents=True)
    (tree / "usr" / "bin" / "mobium-desktop").symlink_to("/opt/mobium/mobium-desktop")
    (share / "applications").mkdir(parents=True)
    shutil.copyfile(ROOT / "packaging" / "mobium.desktop", share / "applications" / "mobium.desktop")
    for size in SIZES:
        place = share / "icons" / "hicolor" / f"{size}x{size}" / "apps"
        place.mkdir(parents=True)
        shutil.copyfile(BUILD / f"mobium-{size}.png", place / "mobium.png")
    documents = share / "doc" / "mobium"
    documents.mkdir(parents=True)
    texts = [(ROOT / name).read_text("utf-8") for name in ("LICENSE-MIT", "LICENSE-APACHE")]
    texts.append((ROOT / "packaging" / "THIRD-PARTY.md").read_text("utf-8"))
    (documents / "copyright").write_text("\n\n".join(["mobium, under either of these licences:", *texts]))
    with gzip.GzipFile(documents / "changelog.gz", "wb", mtime=0) as packed:
        packed.write((ROOT / "CHANGELOG.md").read_bytes())
    for path in (tree, *tree.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o755 if path.is_dir() or os.access(path, os.X_OK) else 0o644)
    size = sum(path.lstat().st_size for path in tree.rglob("*")) // 1024
    libc = output("getconf", "GNU_LIBC_VERSION").split()[-1]
    arch = output("dpkg", "--print-architecture")
    (tree / "DEBIAN").mkdir(mode=0o755)
    (tree / "DEBIAN" / "control").write_text(
        CONTROL.format(version=version(), arch=arch, size=size, needs=NEEDS.format(libc=libc), better=BETTER)
    )
    file = DIST / f"mobium_{version()}_{arch}.deb"
    run("Making the .deb", ["dpkg-deb", "--root-owner-group", "-Zxz", "-z1", "--build", str(tree), str(file)])
    shutil.rmtree(tree)
    return file


def main() -> int:
    parser = argparse.ArgumentParser(description="Packs the desktop for machines without Python.")
    parser.add_argument("--icons", action="store_true", help="draw the icons alone")
    chosen = parser.parse_args()
    if find_spec("PIL") is None or (find_spec("PyInstaller") is None and not chosen.icons):
        sys.exit("Packing takes more than a checkout has: pip install . './client_app[desktop,package]'")
    icons()
    if chosen.icons:
        return 0
    DIST.mkdir(exist_ok=True)
    folder = one_folder()
    made = [archive(folder)]
    if shutil.which("dpkg-deb"):
        made.append(deb(folder))
    for file in made:
        print(f"{file.relative_to(ROOT)}  {file.stat().st_size / 1e6:.0f} MB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
