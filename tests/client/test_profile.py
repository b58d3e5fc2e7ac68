"""Profiles: names that are safe folder names everywhere, one folder each, a single one chosen by itself."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from mobium.client.profile import Profiles, check_name, data_folder
from mobium.errors import InvalidInput, StoreError

pytestmark = pytest.mark.once


def _make(profiles: Profiles, name: str) -> None:
    (profiles.new(name).folder / "vault").write_bytes(b"MBV1")


@pytest.mark.parametrize(
    "name", ["anna", "Anna B.C", "Анна", "安娜", "שרה", "work-2", "a", "x" * 64, "con2", "O'Neil"]
)
def test_good_names_stay_as_they_are(name: str) -> None:
    assert check_name(name) == name


@pytest.mark.parametrize(
    ("name", "word"),
    [
        ("", "empty"),
        ("   ", "empty"),
        ("../other", "must not contain any"),
        ("a/b", "must not contain any"),
        ("a\\b", "must not contain any"),
        ("C:", "must not contain any"),
        ("a*?", "must not contain any"),
        ("..", "begin with a dot"),
        (".hidden", "begin with a dot"),
        ("-rf", "dash"),
        ("dot.", "end with a dot"),
        (" anna", "blank"),
        ("anna ", "blank"),
        ("an  na", "single spaces"),
        ("an\u00a0na", "single spaces"),
        ("a\x00b", "control"),
        ("a\nb", "control"),
        ("a\x1b[31mb", "control"),
        ("a\x9bb", "control"),
        ("anna\u202egpj", "cannot be seen"),
        ("anna\u2066x\u2069", "cannot be seen"),
        ("an\u200bna", "cannot be seen"),
        ("\ufeffanna", "cannot be seen"),
        ("a\u2028b", "cannot be seen"),
        ("a\udcffb", "cannot be seen"),
        ("\u0301anna", "begin with a letter"),
        ("x" * 65, "at most"),
        ("安" * 64 + "x", "at most"),
        ("CON", "reserved"),
        ("nul.txt", "reserved"),
        ("Com1", "reserved"),
        ("lpt¹", "reserved"),
    ],
)
def test_bad_names_are_refused_with_the_reason(name: str, word: str) -> None:
    with pytest.raises(InvalidInput, match=word) as caught:
        check_name(name)
    assert str(caught.value).isprintable()


def test_names_are_normalised() -> None:
    assert check_name("Ange\u0301lique") == "Angélique"


def test_the_data_folder_can_be_chosen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert data_folder({"MOBIUM_DATA_DIR": str(tmp_path)}) == tmp_path
    monkeypatch.chdir(tmp_path)
    assert data_folder({"MOBIUM_DATA_DIR": "here"}) == tmp_path / "here"
    assert data_folder({"MOBIUM_DATA_DIR": " "}) == data_folder({})
    assert data_folder({}).name == "Mobium"


@pytest.mark.parametrize(
    ("platform", "expected"),
    [("linux", ".local/share/Mobium"), ("darwin", "Library/Application Support/Mobium")],
)
def test_the_data_folder_of_each_system(platform: str, expected: str, tmp_path: Path) -> None:
    code = (
        "import sys, mobium.client\n"
        f"sys.platform = {platform!r}\n"
        "from mobium.client.profile import data_folder; print(data_folder({}))"
    )
    environment = {"HOME": str(tmp_path), "PATH": os.environ["PATH"], "PYTHONPATH": os.pathsep.join(sys.path)}
    done = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, timeout=60, check=True
    )
    assert done.stdout.strip() == str(tmp_path / expected)


def test_a_single_profile_is_chosen_by_itself(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path / "data")
    with pytest.raises(InvalidInput, match="no profile yet"):
        profiles.choose()
    _make(profiles, "anna")
    assert profiles.choose().name == "anna"
    _make(profiles, "bert")
    with pytest.raises(InvalidInput, match=r"several profiles.*anna, bert"):
        profiles.choose()
    assert profiles.choose("BERT").folder == tmp_path / "data" / "profiles" / "bert"
    with pytest.raises(InvalidInput, match=r"no profile called carl.*anna, bert"):
        profiles.choose("carl")


def test_two_names_for_one_folder_are_refused(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path)
    _make(profiles, "Straße")
    for same in ("strasse", "STRASSE", "straße"):
        with pytest.raises(InvalidInput, match="already"):
            profiles.new(same)


def test_folders_are_private_and_an_empty_one_can_be_discarded(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path / "a" / "b")
    made = profiles.new("anna")
    for folder in (profiles.root, made.folder.parent, made.folder):
        assert stat.S_IMODE(folder.stat().st_mode) == 0o700
    profiles.discard(made)
    assert not made.folder.exists()
    _make(profiles, "bert")
    profiles.discard(profiles.choose())
    assert profiles.choose().name == "bert"


def test_what_is_no_profile_is_left_out(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path)
    _make(profiles, "anna")
    folder = tmp_path / "profiles"
    (folder / "half-made").mkdir()
    (folder / "file").write_text("x")
    hidden = folder / ".trash"
    hidden.mkdir()
    (hidden / "vault").write_text("x")
    assert [profile.name for profile in profiles.all()] == ["anna"]


def test_a_data_folder_that_is_a_file_is_told(tmp_path: Path) -> None:
    blocked = tmp_path / "file"
    blocked.write_text("x")
    with pytest.raises(StoreError, match="cannot be"):
        Profiles(blocked).new("anna")
