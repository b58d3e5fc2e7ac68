"""What packages of the desktop are made from says one thing everywhere, and is what the standards want."""

from __future__ import annotations

import configparser
import re
from importlib.metadata import metadata, requires
from io import BytesIO
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from mobium import __version__
from mobium_client.gui.app_icon import drawn
from tests.meta.tree import ROOT

PACKAGING = ROOT / "packaging"
RECIPES = ("appimage.sh", "macos.sh", "windows.ps1", "mobium.wxs")


@pytest.mark.parametrize("name", RECIPES)
def test_a_recipe_that_nobody_has_run_says_so_in_its_head_and_in_the_table(name: str) -> None:
    head = (PACKAGING / name).read_text("utf-8")[:400]
    assert "NOT RUN" in head
    if name != "mobium.wxs":
        row = next(line for line in (ROOT / "README.md").read_text("utf-8").splitlines() if name in line)
        assert "not run" in row


def test_the_version_is_the_same_everywhere() -> None:
    spec = (PACKAGING / "mobium-desktop.spec").read_text("utf-8")
    assert re.findall(r'^VERSION = "(.+)"$', spec, re.MULTILINE) == [__version__]
    installer = (PACKAGING / "mobium.wxs").read_text("utf-8")
    assert re.findall(r' Version="(.+?)"', installer) == [__version__]


def test_the_desktop_entry_has_what_menus_want() -> None:
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str  # type: ignore[assignment,method-assign]
    parser.read(PACKAGING / "mobium.desktop", "utf-8")
    entry = parser["Desktop Entry"]
    assert entry["Type"] == "Application"
    assert entry["Exec"] == "mobium-desktop"
    assert entry["StartupWMClass"] == "Mobium", "the class of the window, or it has no icon in the panel"
    assert {"Network", "InstantMessaging"} <= set(entry["Categories"].split(";"))
    assert entry["Categories"].endswith(";")


@pytest.mark.parametrize("size", [16, 32, 256])
def test_the_icon_is_a_square_with_round_corners_at_each_size(size: int) -> None:
    picture = drawn(size)
    assert picture.size == (size, size)
    assert picture.getpixel((0, 0))[3] == 0  # type: ignore[index]
    assert picture.getpixel((size // 2, size // 16))[3] == 255  # type: ignore[index]
    packed = BytesIO()
    picture.save(packed, "PNG")
    assert packed.tell() < 40_000


def test_packages_hold_no_path_of_the_machine_that_made_them() -> None:
    for file in sorted(PACKAGING.iterdir()):
        assert str(Path.home()) not in file.read_text("utf-8"), file


def _taken(name: str, extras: tuple[str, ...], found: set[str]) -> set[str]:
    """A distribution that is installed, and all that it takes."""
    if name not in found:
        found.add(name)
        for text in requires(name) or []:
            requirement = Requirement(text)
            wanted = ({"extra": extra} for extra in ("", *extras))
            if requirement.marker is None or any(requirement.marker.evaluate(one) for one in wanted):
                _taken(requirement.name, tuple(requirement.extras), found)
    return found


def test_whoever_passes_a_package_on_is_told_of_each_licence_that_asks_for_something() -> None:
    said = (PACKAGING / "THIRD-PARTY.md").read_text("utf-8")
    for name in sorted(_taken("mobium-client", ("desktop",), set())):
        licence = metadata(name).json
        words = " ".join(
            [str(licence.get("license_expression", "")), *map(str, licence.get("classifier", []))]
        )
        if re.search(r"GPL|MPL|GNU|Mozilla", words):
            assert name.lower() in said.lower(), f"{name}: {words}"
    assert {"x264", "x265", "GnuTLS", "GMP", "ALSA", "LAME"} <= set(re.findall(r"\w+", said))
    assert '"bidi": "py"' in (PACKAGING / "mobium-desktop.spec").read_text("utf-8")
