"""Profiles on the command line: words, passwords, names, and everything that can be wrong with them."""

from __future__ import annotations

import os
import re
import signal
import sqlite3
import stat
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import typer

from mobium import _backend
from mobium.client.checks import check_words
from mobium.errors import RecoveryError
from mobium_client.cli.app import app
from tests.cli.conftest import Made
from tests.support.commands import PASSWORD, Desk, descriptor_with

OTHER = "another long password"


@pytest.fixture
def empty(tmp_path: Path) -> Desk:
    """A machine without profiles."""
    return Desk(tmp_path / "empty")


def _files(desk: Desk) -> dict[Path, bytes]:
    return {path: path.read_bytes() for path in desk.data.rglob("*") if path.is_file()}


# ---------------------------------------------------------------- making


def test_a_script_gets_the_words_on_standard_output_and_they_are_stored_nowhere(empty: Desk) -> None:
    descriptor = descriptor_with(f"{PASSWORD}\n")
    empty.password = None
    done = empty.run("profile", "create", "--password-fd", str(descriptor), descriptors=[descriptor])
    os.close(descriptor)
    words = check_words(done.out)
    assert done.out == words + "\n"
    assert "only way" in done.err
    for path, data in _files(empty).items():
        assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
        for word in words.split()[:3]:
            assert word.encode() not in data, path
        assert PASSWORD.encode() not in data
    empty.password = PASSWORD
    assert re.fullmatch(r"[0-9a-f]{64}\nmobium://contact/[0-9a-f]{64}\n", empty.run("whoami").out)


def test_at_a_terminal_words_are_shown_in_columns_and_three_are_asked_back(empty: Desk) -> None:
    empty.password = None
    with empty.terminal("profile", "create", "anna", columns=80, rows=40) as terminal:
        terminal.expect(r"New password \(12 characters or more\):$")
        terminal.type("short\n")
        terminal.expect("at least 12 characters.*\nNew password")
        terminal.type(f"{PASSWORD}\n")
        terminal.expect("The same again:$")
        terminal.type("something else\n")
        terminal.expect("not the same.*\nNew password")
        terminal.type(f"{PASSWORD}\n")
        terminal.expect("same again.*\n.*same.*\nNew password.*\nThe same again:$")
        terminal.type(f"{PASSWORD}\n")
        terminal.expect(r"24\. [a-z]+")
        listed = dict(re.findall(r"(\d+)\. ([a-z]+)", "\n".join(terminal.screen)))
        words = check_words(" ".join(listed[str(n)] for n in range(1, 25)))
        asked: list[int] = []
        for _ in range(3):
            pattern = r"Word (\d+):$" if not asked else rf"Word {asked[-1]}: [a-z]+\nWord (\d+):$"
            asked.append(int(terminal.expect(pattern)[1]))
            if len(asked) == 1:
                terminal.type("wrongly\n")
                terminal.expect(rf"another word.*\nWord {asked[0]}:$")
            terminal.type(listed[str(asked[-1])] + "\n")
        assert terminal.wait() == 0
        assert asked == sorted(set(asked))
        assert PASSWORD not in terminal.raw, "a password is never echoed"
        assert "Good." in terminal.raw
    empty.password = PASSWORD
    again = Desk(empty.home.with_name("again"))
    descriptor = descriptor_with(words)
    again.run("profile", "recover", "--words-fd", str(descriptor), descriptors=[descriptor])
    os.close(descriptor)
    assert again.run("whoami").out == empty.run("whoami").out


@pytest.mark.parametrize("where", ["full", "nobody"])
def test_no_profile_is_kept_whose_words_nobody_saw(empty: Desk, where: str) -> None:
    if where == "full":
        if not Path("/dev/full").exists():
            pytest.skip("this system has no /dev/full")
        out = os.open("/dev/full", os.O_WRONLY)
    else:
        read, out = os.pipe()
        os.close(read)
    done = subprocess.run(
        [*empty.command, "profile", "create"],
        stdin=subprocess.DEVNULL,
        stdout=out,
        stderr=subprocess.PIPE,
        env=empty.environment,
        text=True,
        timeout=30,
        check=False,
    )
    os.close(out)
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert re.fullmatch(r"mobium: The words could not be shown \(.+\), so no profile was made\.", last)
    assert {path.name for path in _files(empty)} <= {"lock"}
    assert "no profile yet" in empty.run("whoami", code=2).sentence
    check_words(empty.run("profile", "create").out)


@pytest.mark.parametrize("end", ["window", signal.SIGTERM, signal.SIGINT])
def test_whoever_goes_while_the_words_are_shown_leaves_no_identity(empty: Desk, end: str | int) -> None:
    """A window that is closed, or a connection to another machine that is lost: the words were not yet typed
    back, and nobody would ever see them again.
    """
    with empty.terminal("profile", "create", "anna", columns=80, rows=40) as terminal:
        terminal.expect(r"Word \d+:$")
        if isinstance(end, str):
            terminal.hang_up()
        else:
            os.kill(terminal.pid, end)
        code = terminal.ended()
    assert code == {"window": -signal.SIGHUP, signal.SIGTERM: -signal.SIGTERM, signal.SIGINT: 130}[end]
    assert {path.name for path in _files(empty)} <= {"lock"}
    check_words(empty.run("profile", "create", "anna").out)


def test_a_weak_password_makes_nothing(empty: Desk) -> None:
    empty.password = "eleven char"
    assert "at least 12" in empty.run("profile", "create", code=2).sentence
    assert not _files(empty)
    empty.password = PASSWORD
    assert "no profile yet" in empty.run("whoami", code=2).sentence


def test_a_profile_is_never_overwritten(anna: Desk, made: dict[str, Made]) -> None:
    before = _files(anna)
    for name in ("anna", "ANNA"):
        assert "already" in anna.run("profile", "create", name, code=2).sentence
    descriptor = descriptor_with(made["bob"].words)
    said = anna.run(
        "profile", "recover", "anna", "--words-fd", str(descriptor), descriptors=[descriptor], code=2
    )
    os.close(descriptor)
    assert "already" in said.sentence
    assert _files(anna) == before


@pytest.mark.parametrize("name", ["../anna", "a\nb", "anna\u202egnp", "NUL", "\x1b[2J", "-x"])
def test_names_that_are_no_names_of_folders(empty: Desk, name: str) -> None:
    said = empty.run("profile", "create", "--", name, code=2).sentence
    assert said.isprintable()
    assert not _files(empty)


# ---------------------------------------------------------------- recovering


def _mistyped(words: str, place: int, wrong: str) -> str:
    listed = words.split()
    listed[place] = wrong
    return " ".join(listed)


def _garbled(word: str) -> str:
    return word[:3] + "qq" + word[3:]


def test_a_mistyped_word_is_named_with_the_nearest_one(empty: Desk, made: dict[str, Made]) -> None:
    words = made["anna"].words
    right = words.split()[6]
    wrong = _garbled(right)
    descriptor = descriptor_with(_mistyped(words, 6, wrong))
    done = empty.run("profile", "recover", "--words-fd", str(descriptor), descriptors=[descriptor], code=4)
    os.close(descriptor)
    assert "Word 7" in done.sentence
    assert re.search(r'did you mean "[a-z]+"', done.sentence)
    assert wrong not in done.err + done.out
    assert not _files(empty)


def _neighbours_swapped(words: list[str]) -> Iterator[list[str]]:
    for place in range(len(words) - 1):
        yield [*words[:place], words[place + 1], words[place], *words[place + 2 :]]


def _fits(words: list[str]) -> bool:
    try:
        check_words(" ".join(words))
    except RecoveryError:
        return False
    return True


@pytest.mark.parametrize(("change", "said"), [("fewer", "24"), ("swapped", "together")])
def test_words_that_cannot_be_right(empty: Desk, made: dict[str, Made], change: str, said: str) -> None:
    words = made["anna"].words.split()
    swapped = next(other for other in _neighbours_swapped(words) if not _fits(other))
    given = " ".join(words[:-1] if change == "fewer" else swapped)
    descriptor = descriptor_with(given)
    done = empty.run("profile", "recover", "--words-fd", str(descriptor), descriptors=[descriptor], code=4)
    os.close(descriptor)
    assert said in done.sentence
    assert words[0] not in done.sentence.split()


def test_recovery_at_a_terminal_corrects_word_by_word(empty: Desk, made: dict[str, Made]) -> None:
    words = made["anna"].words.split()
    with empty.terminal("profile", "recover") as terminal:
        terminal.expect("From word 1 on:$")
        terminal.type(" ".join([*words[:5], _garbled(words[5]), "more", "words"]) + "\n")
        terminal.expect(r'Word 6 is not one of the recovery words; did you\s+mean "[a-z]+"')
        terminal.expect("From word 6 on:$")
        terminal.type(" ".join(words[5:20]).upper() + "\n")
        terminal.expect("From word 21 on:$")
        terminal.type(" ".join(words[20:]) + "\n")
        assert terminal.wait() == 0
    assert empty.run("whoami").out.splitlines()[0] == made["anna"].key


@pytest.mark.parametrize("columns", [40, 80])
def test_the_words_as_they_were_shown_can_be_pasted(empty: Desk, columns: int) -> None:
    with empty.terminal("profile", "create", columns=columns, rows=60) as terminal:
        terminal.expect(r"Word \d+:$")
        shown = [row for row in terminal.screen if re.search(r"\d\. [a-z]", row)]
    words = dict(re.findall(r"(\d+)\. ([a-z]+)", "\n".join(shown)))
    assert sorted(map(int, words)) == list(range(1, 25))
    check_words("\n".join(shown))
    with empty.terminal("profile", "recover", "again", columns=columns, rows=60) as terminal:
        terminal.expect("From word 1 on:$")
        shown[2] = shown[2].replace(words["3"], _garbled(words["3"]))
        for row in shown:
            terminal.type(row + "\n")
        terminal.expect("From word 3 on:$")
        terminal.type(
            " ".join(f"{number}. {words[number]}" for number in re.findall(r"\d+", shown[2])) + "\n"
        )
        assert terminal.wait() == 0


# ---------------------------------------------------------------- passwords


def test_a_wrong_password_is_one_sentence(anna: Desk) -> None:
    before = _files(anna)
    anna.password = "not the right one"
    done = anna.run("whoami", code=4)
    assert "password" in done.sentence
    assert anna.password not in done.err
    assert _files(anna) == before


def test_without_a_terminal_nothing_waits_for_a_password(anna: Desk) -> None:
    anna.password = None
    assert "MOBIUM_PASSWORD" in anna.run("whoami", code=2).sentence
    assert "descriptor 99" in anna.run("whoami", "--password-fd", "99", code=2).sentence
    empty = descriptor_with("")
    assert (
        "no password" in anna.run("whoami", "--password-fd", str(empty), descriptors=[empty], code=2).sentence
    )
    os.close(empty)


def test_a_password_is_asked_for_at_the_terminal_and_not_echoed(anna: Desk, made: dict[str, Made]) -> None:
    anna.password = None
    with anna.terminal("whoami", rows=60) as terminal:
        terminal.expect("Password:$")
        terminal.type(f"{PASSWORD}\n")
        assert terminal.wait() == 0
        assert made["anna"].key in terminal.raw
        assert PASSWORD not in terminal.raw


def test_the_password_can_be_changed(anna: Desk) -> None:
    anna.password = None
    descriptor = descriptor_with(f"{PASSWORD}\n{OTHER}\n")
    anna.run("profile", "passwd", "--password-fd", str(descriptor), descriptors=[descriptor])
    os.close(descriptor)
    anna.password = PASSWORD
    assert "password" in anna.run("whoami", code=4).sentence
    anna.password = OTHER
    anna.run("whoami")
    anna.extra["MOBIUM_NEW_PASSWORD"] = "weak"
    assert "at least 12" in anna.run("profile", "passwd", code=2).sentence
    anna.run("whoami")


def _options(command: Any) -> set[str]:
    found = {
        option for parameter in command.params for option in (*parameter.opts, *parameter.secondary_opts)
    }
    return found.union(*(_options(inner) for inner in getattr(command, "commands", {}).values()))


def test_no_option_takes_a_secret() -> None:
    options = _options(typer.main.get_command(app))
    assert {"--profile", "--server", "--json", "--yes", "--no-read"} <= options
    assert {name for name in options if "pass" in name or "word" in name} == {"--password-fd", "--words-fd"}


# ---------------------------------------------------------------- choosing


def test_several_profiles_need_a_name_which_may_stand_anywhere(anna: Desk, made: dict[str, Made]) -> None:
    assert anna.run("whoami").out.splitlines()[0] == made["anna"].key
    anna.take(made["bob"].folder, "bob")
    assert "--profile" in anna.run("whoami", code=2).sentence
    for arguments in (
        ("--profile", "bob", "whoami"),
        ("whoami", "--profile", "bob"),
        ("whoami", "--profile=bob"),
    ):
        assert anna.run(*arguments).out.splitlines()[0] == made["bob"].key
    assert "no profile called carl" in anna.run("whoami", "--profile", "carl", code=2).sentence
    listed = anna.run("profile", "list").out.splitlines()
    assert listed == [f"{name}  {anna.profile(name)}" for name in ("anna", "bob")]


def test_no_profile_yet(empty: Desk) -> None:
    assert empty.run("profile", "list").out == ""
    assert "profile create" in empty.run("listen", code=2).sentence


# ---------------------------------------------------------------- damaged and foreign files


def _noise(path: Path) -> None:
    path.write_bytes(os.urandom(8192))


def _foreign(path: Path) -> None:
    path.unlink()
    with sqlite3.connect(path) as database:
        database.execute("CREATE TABLE bookmarks (url TEXT)")


def _emptied(path: Path) -> None:
    path.write_bytes(b"")


@pytest.mark.parametrize(
    ("file", "damage"),
    [
        ("mobium.db", _noise),
        ("mobium.db", _foreign),
        ("mobium.db", _emptied),
        ("vault", _noise),
        ("vault", _emptied),
    ],
    ids=["database of noise", "foreign database", "empty database", "vault of noise", "empty vault"],
)
def test_an_unreadable_file_is_told_and_left_alone(
    anna: Desk, file: str, damage: Callable[[Path], None]
) -> None:
    damage(anna.profile("anna") / file)
    before = _files(anna)
    assert file in anna.run("whoami", code=5).sentence
    after = _files(anna)
    assert {path: after[path] for path in before} == before


def test_a_database_that_is_missing_begins_anew_and_says_so_once(anna: Desk, made: dict[str, Made]) -> None:
    (anna.profile("anna") / "mobium.db").unlink()
    done = anna.run("whoami")
    assert made["anna"].key in done.out
    assert "database was missing" in done.sentence
    assert anna.run("whoami").err == ""


def test_a_database_of_another_profile_is_refused(anna: Desk, bob: Desk) -> None:
    (anna.profile("anna") / "mobium.db").write_bytes((bob.profile("bob") / "mobium.db").read_bytes())
    assert "does not belong" in anna.run("whoami", code=5).sentence


# ---------------------------------------------------------------- who am I


def test_whoami_gives_key_link_and_code(anna: Desk, made: dict[str, Made]) -> None:
    key = made["anna"].key
    assert anna.run("whoami", "--json").out == f'{{"key": "{key}", "link": "mobium://contact/{key}"}}\n'
    out = anna.run("--server", "chat.example.org", "whoami").out.splitlines()
    assert out == [key, f"mobium://contact/{key}?server=wss://chat.example.org"]
    with anna.terminal("whoami", columns=80, rows=60) as terminal:
        assert terminal.wait() == 0
        code = [row for row in terminal.everything if row.startswith("  ") and "█" in row]
        assert len(code) > 20
        assert max(map(len, code)) < 80
    assert "http" in anna.run("--server", "https://a.example", "whoami", code=2).sentence


# ---------------------------------------------------------------- the command itself


def test_the_version_names_the_kernels(empty: Desk) -> None:
    assert empty.run("--version").out == f"mobium 0.1.0 ({_backend.NAME} kernels)\n"
    empty.extra["MOBIUM_BACKEND"] = "pure"
    assert "(pure kernels)" in empty.run("--version").out
    empty.extra["MOBIUM_BACKEND"] = "fast"
    assert "MOBIUM_BACKEND" in empty.run("--version", code=1).sentence


@pytest.mark.parametrize(
    "arguments",
    [
        ("--nonsense",),
        ("nonsense",),
        ("send", "bob"),
        ("history", "bob", "--limit", "x"),
        ("history", "--limit", "0"),
    ],
)
def test_a_wrong_command_line_is_one_sentence(empty: Desk, arguments: tuple[str, ...]) -> None:
    assert empty.run(*arguments, code=2).sentence.startswith("mobium: ")


def test_the_help_lists_the_exit_codes(empty: Desk) -> None:
    text = " ".join(empty.run("--help").out.split())
    for code in (
        "0 done",
        "1 refused",
        "2 wrong",
        "3 no connection",
        "4 wrong password",
        "5 unreadable",
        "70",
        "130",
        "141",
    ):
        assert code in text
