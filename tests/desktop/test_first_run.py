"""The way in, without a display: a profile is made or brought back, its words are confirmed, its server is
found. On real engines, files and servers; what another process sees decides.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.checks import check_words
from mobium_client.gui.models.choose_server import ChooseServer
from mobium_client.gui.models.confirm_words import ConfirmWords
from mobium_client.gui.models.first_run import FirstRun
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.new_password import NewPassword, strength
from mobium_client.gui.models.recover_words import RecoverWords
from mobium_client.gui.models.unlock import Unlock
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.seat import Seat
from tests.support.server import ServerProcess


def _first_run(seat: Seat) -> FirstRun:
    seat.desktop.start()
    seat.until(lambda: isinstance(seat.screen, FirstRun))
    assert isinstance(seat.screen, FirstRun)
    return seat.screen


def _made(seat: Seat, name: str = "anna") -> ConfirmWords:
    """A new identity, up to its words."""
    first = _first_run(seat)
    first.begin(name, recover=False)
    seat.until(lambda: first.state.step == "password")
    first.make(PASSWORD, PASSWORD)
    seat.until(lambda: isinstance(seat.screen, ConfirmWords), "the words")
    assert isinstance(seat.screen, ConfirmWords)
    return seat.screen


def _answers(words: ConfirmWords) -> list[str]:
    return [words.state.words[place] for place in words.state.places]


# ---------------------------------------------------------------- a new identity


def test_a_new_profile_shows_its_words_and_goes_on_once_three_were_typed(folder: Path) -> None:
    with Seat(folder) as seat:
        words = _made(seat)
        said = " ".join(words.state.words)
        assert check_words(said) == said
        words.ask()
        assert len(set(words.state.places)) == 3
        assert list(words.state.places) == sorted(words.state.places)
        words.answer([f"  {word.upper()} " for word in _answers(words)])
        seat.until(lambda: isinstance(seat.screen, ChooseServer))
        seat.screen.finish()
        me = seat.main.opened.engine.me
        assert seat.do(seat.main.opened.engine.recovery.words()) is None

    async def again() -> str:
        other = folder / "other"
        await Engine.recover(other, PASSWORD, said)
        async with Engine.open(other, PASSWORD) as engine:
            return engine.me

    assert asyncio.run(again()) == me, "the words that were shown are those of the identity"


def test_wrong_answers_lead_back_to_the_words_and_lose_nothing(folder: Path) -> None:
    with Seat(folder) as seat:
        words = _made(seat)
        shown = words.state.words
        words.ask()
        typed = _answers(words)
        wrong = words.state.places[1] + 1
        typed[1] = "nonsense"
        words.answer(typed)
        assert words.state.step == "show"
        assert words.state.words == shown
        assert f"Word {wrong} " in words.state.problem
        assert "nonsense" not in words.state.problem
        words.ask()
        assert words.state.problem == ""
        words.answer(["", "", ""])
        assert (words.state.step, words.state.problem) == ("ask", "Type all 3 words.")
        assert seat.do(seat.desktop.opened.engine.recovery.words()) == " ".join(shown)


def test_words_that_nobody_confirmed_are_shown_again_at_the_next_start(folder: Path) -> None:
    with Seat(folder) as seat:
        words = _made(seat)
        shown = words.state.words
        words.later()
        seat.enter()
    with Seat(folder) as seat:
        seat.desktop.start()
        seat.until(lambda: isinstance(seat.screen, Unlock))
        seat.screen.open(PASSWORD)
        seat.until(lambda: isinstance(seat.screen, ConfirmWords))
        again = seat.screen
        assert again.state.words == shown
        again.ask()
        again.answer(_answers(again))
        seat.enter()
    with Seat(folder) as seat:
        seat.unlock(PASSWORD)


def test_the_kept_words_are_nowhere_on_the_disk_in_clear(folder: Path) -> None:
    with Seat(folder) as seat:
        words = _made(seat)
        said = words.state.words
        seat.desktop.lock()
        seat.until(lambda: isinstance(seat.screen, Unlock) and not seat.screen.state.locking)
        assert words.state.words == (), "a presenter that has ended holds no word"
    for file in folder.rglob("*"):
        if file.is_file():
            data = file.read_bytes()
            assert " ".join(said[:3]).encode() not in data
            assert said[0].encode() + b" " + said[1].encode() not in data


@pytest.mark.parametrize(
    ("name", "sentence"),
    [("", "Give the profile a name"), ("  ", "Give the profile a name"), ("../up", "must not contain"),
     ("Anna", "already")],
)  # fmt: skip
def test_a_name_that_cannot_be_one_is_said(folder: Path, name: str, sentence: str) -> None:
    make(folder, "anna")
    with Seat(folder) as seat:
        seat.desktop.pick()
        seat.until(lambda: seat.screen is not None)
        seat.screen.make()
        first = seat.screen
        first.begin(name, recover=False)
        seat.until(lambda: first.state.problem)
        assert sentence in first.state.problem
        assert first.state.step == "welcome"
        first.back()
        seat.until(lambda: not isinstance(seat.screen, FirstRun), "the other profiles")


def test_a_profile_that_cannot_be_made_leaves_nothing_behind(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from mobium.errors import StoreError

    async def full(*_: object, **__: object) -> str:
        raise StoreError("The disk is full.")

    monkeypatch.setattr(Engine, "create", full)
    with Seat(folder) as seat:
        first = _first_run(seat)
        first.begin("anna", recover=False)
        seat.until(lambda: first.state.step == "password")
        first.make(PASSWORD, PASSWORD)
        seat.until(lambda: first.state.problem)
        assert first.state.problem == "The disk is full."
        assert not first.state.busy
    assert not (folder / "profiles" / "anna").exists()


# ---------------------------------------------------------------- passwords


def test_passwords_are_judged_while_they_are_typed(folder: Path) -> None:
    with Seat(folder) as seat:
        password = NewPassword(seat.bridge, seat.later)
        password.type("short")
        assert password.state.words == "7 more characters are needed"
        password.type("eleven char")
        assert password.state.words == "1 more character is needed"
        password.type("password1234")
        seat.until(lambda: password.state.score is not None and "guess" in password.state.words)
        assert password.state.score is not None
        assert password.state.score <= 1
        password.type("velvet otter drums sideways")
        seat.until(lambda: password.state.score == 4)
        password.type("")
        assert password.state.score is None


def test_a_password_is_taken_if_it_is_long_enough_and_typed_twice(folder: Path) -> None:
    with Seat(folder) as seat:
        password = NewPassword(seat.bridge, seat.later)
        assert not password.take("short", "short")
        assert "12" in password.state.problem
        assert not password.take(PASSWORD, "")
        assert "once more" in password.state.problem
        assert not password.take(PASSWORD, PASSWORD + "x")
        assert "not the same" in password.state.problem
        assert password.take(PASSWORD, PASSWORD)
        assert password.state.problem == ""


def test_strength_is_estimated_in_little_time_however_long_the_password_is() -> None:
    assert strength("a" * 12) == 0
    assert strength("correct horse battery staple " * 400) == 4


# ---------------------------------------------------------------- recovery


def test_an_identity_is_brought_back_on_an_empty_machine(folder: Path, tmp_path: Path) -> None:
    words = asyncio.run(Engine.create(tmp_path / "old", PASSWORD))

    async def key() -> str:
        async with Engine.open(tmp_path / "old", PASSWORD) as engine:
            return engine.me

    listed = words.split()
    rows = [f"{n + 1}. {listed[n]}   {n + 13}. {listed[n + 12]}" for n in range(12)]
    with Seat(folder) as seat:
        first = _first_run(seat)
        first.begin("anna", recover=True)
        seat.until(lambda: first.state.step == "words")
        first.recover(" ".join(listed[:-1]))
        assert first.state.step == "words"
        assert "23" in first.words.state.problem
        first.recover("\n".join(rows))
        seat.until(lambda: first.state.step == "password")
        first.make(PASSWORD, PASSWORD)
        seat.enter()
        assert seat.main.opened.engine.me == asyncio.run(key())
    desk = Desk(tmp_path / "desk", PASSWORD, command=FAST, extra={"MOBIUM_DATA_DIR": str(folder)})
    assert json.loads(desk.run("whoami", "--json").out)["key"] == asyncio.run(key())


def test_a_mistyped_word_is_named_with_its_nearest_while_others_are_typed(folder: Path) -> None:
    with Seat(folder) as seat:
        words = RecoverWords(seat.bridge)
        words.type("abandon abil")
        assert words.state.problem == "", "the word that is being typed is not judged"
        assert words.state.count == 2
        words.type("abandon circel ")
        assert words.state.problem.startswith("Word 2 is not")
        assert '"circle"' in words.state.problem
        assert "circel" not in words.state.problem
        words.type("3. circel ")
        assert words.state.problem.startswith("Word 3 is not"), "the number that was written counts"
        words.type("abandon " * 23 + "art")
        assert words.state.ready
        words.type("abandon " * 24)
        assert "ever given out" in words.state.problem
        assert words.take("abandon") is None
        assert words.take("Abandon " * 23 + " ART") == "abandon " * 23 + "art"


# ---------------------------------------------------------------- the server


def test_the_server_is_asked_for_until_one_was_reached_and_its_key_is_shown(
    folder: Path, tmp_path: Path
) -> None:
    make(folder)
    with ServerProcess(tmp_path / "server") as server:
        with Seat(folder) as seat:
            seat.desktop.start()
            seat.until(lambda: isinstance(seat.screen, Unlock))
            seat.screen.open(PASSWORD)
            seat.until(lambda: isinstance(seat.screen, ChooseServer))
            asked = seat.screen
            asked.connect("  ")
            assert "address" in asked.state.problem
            asked.connect("http://localhost")
            seat.until(lambda: asked.state.problem.startswith("http://"))
            assert "ws://localhost:8443" in asked.state.problem
            asked.connect("localhost:9")
            assert asked.state.step == "connecting"
            seat.until(lambda: asked.state.step == "address", "the refusal")
            assert "localhost:9" in asked.state.problem
        with Seat(folder) as seat:
            seat.desktop.start()
            seat.until(lambda: isinstance(seat.screen, Unlock))
            seat.screen.open(PASSWORD)
            seat.until(lambda: isinstance(seat.screen, ChooseServer), "it is asked for again")
            asked = seat.screen
            asked.connect(server.url.removeprefix("ws://").removesuffix("/ws"))
            seat.until(lambda: asked.state.step == "shown")
            engine = seat.desktop.opened.engine
            known = seat.do(engine.server())
            assert known is not None
            assert "".join(asked.state.key) == known.key
            assert {len(group) for group in asked.state.key} == {8}
            asked.finish()
            assert isinstance(seat.screen, Main)
            seat.until(lambda: seat.main.status.state.words == "Connected")
        with Seat(folder) as seat:
            main = seat.unlock(PASSWORD)
            seat.until(lambda: main.status.state.words == "Connected", "it is connected by itself")


def test_a_try_to_connect_can_be_given_up(folder: Path) -> None:
    import socket

    make(folder)
    with socket.socket() as deaf:
        deaf.bind(("127.0.0.1", 0))
        deaf.listen()
        with Seat(folder) as seat:
            seat.desktop.start()
            seat.until(lambda: isinstance(seat.screen, Unlock))
            seat.screen.open(PASSWORD)
            seat.until(lambda: isinstance(seat.screen, ChooseServer))
            asked = seat.screen
            asked.connect(f"localhost:{deaf.getsockname()[1]}")
            seat.until(lambda: seat.desktop.opened.engine.connection == "connecting")
            asked.cancel()
            assert asked.state.step == "address"
            seat.until(lambda: seat.desktop.opened.engine.connection == "offline")
            assert asked.state.problem == ""
