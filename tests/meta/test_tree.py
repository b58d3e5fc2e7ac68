"""The tree as a whole: what is tracked, what `make` knows, and that nothing in it is of one machine."""

import re
import subprocess
from pathlib import Path

import pytest

from tests.meta.tree import ROOT, load, tracked

TARGETS = [
    "help",
    "run",
    "native",
    "desktop",
    "demo",
    "test",
    "test-long",
    "coverage",
    "lint",
    "bench",
    "bench-quick",
    "wheels",
    "wheel-pi",
    "docs",
    "clean",
]


@pytest.mark.needs("git")
def test_no_tracked_file_names_a_path_of_somebodys_machine() -> None:
    homes = "home|Users|root|work|mnt"  # without slashes, or this file would name them itself
    pattern = re.compile(rf"(?<![\w.:/-])/(?:{homes})/\w".encode())
    here = (str(ROOT).encode(), str(Path.home()).encode())
    found = [
        f"{file.relative_to(ROOT)}:{number}: {line[:120]!r}"
        for file in tracked()
        for number, line in enumerate(file.read_bytes().splitlines(), 1)
        if pattern.search(line) or any(path in line for path in here if len(path) > 1)
    ]
    assert found == []


@pytest.mark.needs("git")
def test_nothing_made_is_tracked() -> None:
    names = {str(file.relative_to(ROOT)) for file in tracked()}
    assert "Cargo.lock" in names
    made = re.compile(r"(^|/)(uv\.lock|\.env|__pycache__/.*|.*\.so|.*\.pyc|dist/.*|target/.*|data/.*)$")
    assert [name for name in names if made.search(name)] == []


def test_each_distribution_carries_both_licences_and_its_types() -> None:
    for name in ("LICENSE-MIT", "LICENSE-APACHE"):
        text = (ROOT / name).read_bytes()
        assert (ROOT / "server_app" / name).read_bytes() == text
        assert (ROOT / "client_app" / name).read_bytes() == text
    for path in ("pyproject.toml", "server_app/pyproject.toml", "client_app/pyproject.toml"):
        project = load(path)["project"]
        assert project["license"] == "MIT OR Apache-2.0"
        assert project["license-files"] == ["LICENSE-MIT", "LICENSE-APACHE"]
    for package in ("python/mobium", "server_app/mobium_server", "client_app/mobium_client"):
        assert (ROOT / package / "py.typed").is_file()


@pytest.mark.needs("make")
@pytest.mark.parametrize("target", TARGETS)
def test_make_knows_the_target_and_its_scripts_are_there(target: str) -> None:
    command = ["make", "--no-print-directory", "-n", target]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    scripts = re.findall(r"\b(?:tools|benches)/[\w./]+\.(?:sh|py)\b", done.stdout)
    assert [name for name in scripts if not (ROOT / name).is_file()] == []


@pytest.mark.needs("make")
def test_make_help_names_every_target() -> None:
    done = subprocess.run(["make", "help"], cwd=ROOT, capture_output=True, text=True, timeout=60, check=True)
    named = re.findall(r"^make ([\w-]+)", done.stdout, re.MULTILINE)
    assert sorted([*named, "help"]) == sorted(TARGETS)


def test_the_makefile_takes_nothing_newer_than_make_3_81() -> None:
    text = (ROOT / "Makefile").read_text("utf-8")
    newer = r"\.ONESHELL|!=|\$\(file |^undefine|^private |::=|\.RECIPEPREFIX|\$\(guile"
    assert re.findall(newer, text, re.MULTILINE) == []
    # 3.81 has no grouped targets and gives a pattern rule no order of closeness; there is none here
    assert "&:" not in text
    assert "%" not in text


def test_every_folder_of_tests_is_a_package() -> None:
    folders = {file.parent for file in (ROOT / "tests").rglob("*.py")}
    assert [str(folder) for folder in folders if not (folder / "__init__.py").is_file()] == []
