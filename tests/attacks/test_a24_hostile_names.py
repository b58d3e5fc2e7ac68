"""A24: path and control characters in the names of profiles and contacts, bidi tricks in names, terminal
commands in texts. (Channels and files come with their own rows.)
"""

from __future__ import annotations

import unicodedata
from pathlib import Path

import pytest

from mobium.client import names, profile
from mobium.client.profile import Profiles
from mobium.errors import InvalidInput
from mobium_client import plain

pytestmark = pytest.mark.once

PATHS = (
    "../evil",
    "..",
    ".",
    "/etc/evil",
    "a/b",
    "a\\b",
    "C:\\evil",
    "\\\\host\\share",
    "-rf",
    "con",
    "NUL.txt",
)
CONTROLS = ("a\0b", "a\nb", "a\rb", "a\tb", "a\x1b[2Jb", "a\x7fb", "a\x9bb", "a\u2028b", "a\ud800b")
BIDI = ("\u202egpj.exe", "a\u2066b\u2069", "a\u200fb", "a\u200bb", "a\u2060b", "\ufeffa", "a\u00adb")
UNSEEN = ("", " ", "  ", "a  b", "\u0301a", "a\u00a0b", "\ue000", "\u0378")


def everything_below(folder: Path) -> set[str]:
    return {path.relative_to(folder).as_posix() for path in folder.rglob("*")}


@pytest.mark.parametrize("name", [*PATHS, *CONTROLS, *BIDI, *UNSEEN])
def test_a_profile_name_stays_in_its_folder(name: str, tmp_path: Path) -> None:
    root = tmp_path / "outer" / "data"
    for act in (Profiles(root).new, Profiles(root).choose):
        with pytest.raises(InvalidInput) as refused:
            act(name)
        assert all(c.isprintable() for c in str(refused.value))
    assert everything_below(tmp_path) <= {"outer", "outer/data", "outer/data/profiles"}
    Profiles(root).new("an honest name")


def test_a_tilde_is_expanded_by_nobody(tmp_path: Path) -> None:
    assert Profiles(tmp_path).new("~").folder == tmp_path / "profiles" / "~"


def test_without_the_check_a_name_leaves_the_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(profile, "check_name", lambda name: name)  # the defence, off
    Profiles(tmp_path / "outer" / "data").new("../../../evil")
    assert (tmp_path / "evil").is_dir()


def test_names_that_a_file_system_takes_for_one_are_one(tmp_path: Path) -> None:
    profiles = Profiles(tmp_path)
    first = profiles.new("Straße")
    (first.folder / "vault").write_bytes(b"")
    for alike in ("STRASSE", "strasse", unicodedata.normalize("NFD", "Straße"), "Ｓtraße"):
        with pytest.raises(InvalidInput):
            profiles.new(alike)


@pytest.mark.parametrize("name", [*CONTROLS, *BIDI, *UNSEEN, "0" * 64, "mobium://contact/x", "x" * 65])
def test_a_nickname_cannot_mislead(name: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        names.check_nickname(name)
    assert all(c.isprintable() for c in str(refused.value))


def test_nicknames_that_look_alike_are_one() -> None:
    for alike in ("ALICE", "alice ", "Ａlice", "alıce".replace("ı", "i")):
        assert names.nickname_key(alike) == names.nickname_key("Alice")


def test_without_the_check_a_nickname_turns_around(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mobium.text._REFUSED", frozenset())  # the defence, off
    assert names.check_nickname(BIDI[0]) == BIDI[0]


HOSTILE_TEXTS = (
    "\x1b[2J\x1b[H",  # clears the screen
    "\x1b]0;title\x07",
    "\x1b]52;c;ZXZpbA==\x07",  # writes the clipboard
    "\x9b31m",
    "over\rwritten",
    "back\b\b\b\bspaced",
    "\u202eevil\u202c",
    "\u2066evil",
    "line\u2028line",
    "z" + "\u0335" * 500,
)


def obeyed(text: str) -> list[str]:
    """What a terminal would obey, or what changes the direction of writing."""
    return [c for c in text if c != "\n" and unicodedata.category(c) in {"Cc", "Zl", "Zp", "Cs"}] + [
        c for c in text if c in "\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069"
    ]


@pytest.mark.parametrize("text", HOSTILE_TEXTS)
def test_a_text_gives_the_terminal_no_orders(text: str) -> None:
    shown = plain.harmless(text)
    assert not obeyed(shown)
    assert not obeyed(plain.one_line(text))
    assert "\n" not in plain.one_line("a name\nand another line")
    assert sum(unicodedata.category(c) == "Mn" for c in shown) <= 8


def test_no_line_of_a_text_looks_like_one_of_the_program() -> None:
    lines = plain.layout(plain.harmless("hello\n12:00 bob: I owe you\r\n\n12:01 you: agreed"), 10, 4, 80)
    assert all(line.startswith("  │ ") for line in lines[1:])


def test_without_the_filter_the_terminal_obeys(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plain, "_SHOWN_AS_NUMBER", frozenset())  # the defence, off
    assert obeyed(plain.harmless("\u202eevil")) == ["\u202e"]
    assert obeyed(plain.harmless("\x9b31m")) == ["\x9b"]
