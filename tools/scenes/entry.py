"""Scenes of the way in: first run, recovery words, the server, several profiles, locking."""

from __future__ import annotations

import asyncio
from typing import Any

from mobium.client import Engine
from tools.scenes.stage import PASSWORD, Stage, scene

LONG_NAME = "Bartholomäus Freiherr von und zu Lichtenstein-Hohenberg der Jüng"


def _first_run(stage: Stage, name: str = "Anna", *, recover: bool = False, step: str = "password") -> None:
    pilot = stage.open()
    pilot.until(lambda: pilot.shows("FirstRunView"))
    pilot.screen.presenter.begin(name, recover=recover)
    pilot.until(lambda: pilot.screen.presenter.state.step == step)


def _unconfirmed(stage: Stage, **settings: Any) -> None:
    stage.folder.mkdir(parents=True)
    asyncio.run(Engine.create(stage.folder, PASSWORD, keep=True))
    pilot = stage.open(**settings)
    pilot.until(lambda: pilot.shows("UnlockView"))
    pilot.screen.password.put(PASSWORD)
    pilot.screen.button.invoke()
    pilot.until(lambda: pilot.shows("ConfirmWordsView"))


def _server_step(stage: Stage) -> None:
    stage.profile()
    pilot = stage.open()
    pilot.until(lambda: pilot.shows("UnlockView"))
    pilot.screen.password.put(PASSWORD)
    pilot.screen.button.invoke()
    pilot.until(lambda: pilot.shows("ChooseServerView"))


@scene("first-name-problem")
def name_problem(stage: Stage) -> None:
    """A name that cannot be one."""
    pilot = stage.open()
    pilot.until(lambda: pilot.shows("FirstRunView"))
    pilot.screen.name.put("../else")
    pilot.screen.presenter.begin("../else", recover=False)


@scene("first-password")
def password(stage: Stage) -> None:
    """A password that is easy to guess."""
    _first_run(stage)
    stage.pilot.screen.password.first.put("password1234")
    stage.pilot.screen.presenter.password.type("password1234")
    stage.pilot.screen.presenter.make("password1234", "password1235")
    stage.pilot.rest(0.6)


@scene("first-words")
def words(stage: Stage) -> None:
    """Words are typed, one of them wrongly."""
    _first_run(stage, recover=True, step="words")
    stage.pilot.screen.words.put("1. abandon 2. ability 3. circel 4. about")
    stage.pilot.rest(0.3)


@scene("confirm-show")
def confirm_show(stage: Stage) -> None:
    """All words."""
    _unconfirmed(stage)


@scene("confirm-large")
def confirm_large(stage: Stage) -> None:
    """All words in the largest text."""
    _unconfirmed(stage, text_scale=200)


@scene("first-large")
def first_large(stage: Stage) -> None:
    """The first screen in the largest text."""
    stage.open(text_scale=200).until(lambda: stage.pilot.shows("FirstRunView"))


@scene("confirm-ask")
def confirm_ask(stage: Stage) -> None:
    """Three are asked back."""
    _unconfirmed(stage)
    stage.pilot.screen.presenter.ask()


@scene("confirm-wrong")
def confirm_wrong(stage: Stage) -> None:
    """They were wrong."""
    _unconfirmed(stage)
    stage.pilot.screen.presenter.ask()
    stage.pilot.screen.presenter.answer(["abandon", "wrong", "words"])


@scene("server-ask")
def server_ask(stage: Stage) -> None:
    """The server's address is asked for."""
    _server_step(stage)


@scene("server-problem")
def server_problem(stage: Stage) -> None:
    """There is none at that address."""
    _server_step(stage)
    stage.pilot.screen.address.put("localhost:9")
    stage.pilot.screen.presenter.connect("localhost:9")
    stage.pilot.until(lambda: stage.pilot.screen.presenter.state.problem)


@scene("server-shown")
def server_shown(stage: Stage) -> None:
    """It answers, and shows its key."""
    url = stage.server()
    _server_step(stage)
    stage.pilot.screen.presenter.connect(url)
    stage.pilot.until(lambda: stage.pilot.screen.presenter.state.step == "shown")


@scene("picker")
def picker(stage: Stage) -> None:
    """Several profiles."""
    for name in ("Anna", "Work", LONG_NAME):
        folder = stage.data / "profiles" / name
        folder.mkdir(parents=True)
        asyncio.run(Engine.create(folder, PASSWORD))
    stage.open().until(lambda: stage.pilot.shows("PickerView"))


@scene("picker-many")
def picker_many(stage: Stage) -> None:
    """More profiles than fit."""
    for number in range(14):
        folder = stage.data / "profiles" / f"Profile {number:02}"
        folder.mkdir(parents=True)
        asyncio.run(Engine.create(folder, PASSWORD))
    stage.open().until(lambda: stage.pilot.shows("PickerView"))
