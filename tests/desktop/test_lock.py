"""Locking, in the real window: what it says is gone, from the widgets, from the presenters, from every object
of the process, and, with the process's image, from the memory that another process reads.
"""

from __future__ import annotations

import gc
import secrets
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from tests.attacks.test_a22_locked_memory import memory
from tests.desktop.profiles import PASSWORD, know_a_server, make
from tests.support.commands import ROOT
from tests.support.desktop import PATIENCE, Pilot, window
from tests.support.display import Display
from tests.support.hands import HANDS, Hands
from tests.support.programs import where
from tools.scenes.stage import say

pytestmark = [*HANDS]

SECRET = "The tulips are blue, said the heron"


async def _talk(engine: Engine) -> None:
    await say(engine, "Bert", [(False, SECRET, 5), (True, f"Why? {SECRET}!", 3)])


def _texts_of(widget: Any) -> Iterator[str]:
    """Everything that a widget, and those inside it, could show or bring back."""
    kind = widget.winfo_class()
    if kind == "Text":
        yield str(widget.tk.call(widget._w, "get", "1.0", "end"))
    elif kind in {"Entry", "Label"}:
        yield str(
            widget.tk.call(widget._w, "get")
            if kind == "Entry"
            else widget.tk.call(widget._w, "cget", "-text")
        )
    elif kind == "Canvas":
        for item in widget.tk.splitlist(widget.tk.call(widget._w, "find", "all")):
            if widget.tk.call(widget._w, "type", item) == "text":
                yield str(widget.tk.call(widget._w, "itemcget", item, "-text"))
    for child in widget.winfo_children():
        yield from _texts_of(child)


def _strings_of_the_process() -> Iterator[str]:
    """Every string that an object which the collector knows refers to."""
    gc.collect()
    seen: set[int] = set()
    for one in gc.get_objects():
        for referent in gc.get_referents(one):
            if type(referent) is str and id(referent) not in seen:
                seen.add(id(referent))
                yield referent


def _holders(text: str, but: set[int]) -> list[str]:
    return [found for found in _strings_of_the_process() if text in found and id(found) not in but]


def _draft_and_copy(pilot: Pilot, hands: Hands) -> None:
    box = pilot.screen.conversation.composer.text
    hands.click(box)
    hands.type(f"Draft: {SECRET}")
    pilot.until(lambda: SECRET in box.get("1.0", "end"), "the draft")
    lines = pilot.screen.conversation.lines.text
    lines.tag_add("sel", "1.0", "end")
    lines.event_generate("<<Copy>>")
    assert SECRET in pilot.app.clipboard_get()


def _clipboard(pilot: Pilot) -> str:
    return str(pilot.app.tk.eval("if {[catch {clipboard get} text]} {set text {}}; set text"))


def test_after_a_lock_nothing_of_the_process_holds_what_was_said(screen: Display, folder: Path) -> None:
    make(folder, fill=_talk)
    ours = {id(SECRET)} | {id(one) for one in _strings_of_the_process() if SECRET in one}  # this module's own
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        pilot.open("Bert")
        pilot.until(lambda: SECRET in pilot.text(), "the messages")
        hands = Hands(pilot)
        _draft_and_copy(pilot, hands)
        assert any(SECRET in text for text in _texts_of(pilot.app))
        assert _holders(SECRET, ours), "what is looked for is found while it is there"
        hands.keys("ctrl+l")
        pilot.until(lambda: pilot.shows("UnlockView"), "the unlock screen")
        pilot.until(lambda: not pilot.screen.presenter.state.locking, "the end of locking")
        pilot.rest(0.3)
        assert [text for text in _texts_of(pilot.app) if SECRET in text] == []
        assert _holders(SECRET, ours) == []
        assert not _clipboard(pilot)


@contextmanager
def _process(folder: Path, shown: Display, *arguments: str) -> Iterator[subprocess.Popen[bytes]]:
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.support.fast_desktop", *arguments],
        env={"PYTHONPATH": str(ROOT), **shown.environ, "MOBIUM_DATA_DIR": str(folder)},
        stdin=subprocess.DEVNULL,
    )
    try:
        yield process
    finally:
        process.terminate()
        process.wait(PATIENCE)


def _xdotool(shown: Display, *words: str) -> str:
    done = subprocess.run(
        [where("xdotool") or "xdotool", *words], env=shown.environ, capture_output=True, text=True,
        timeout=PATIENCE, check=False,
    )  # fmt: skip
    return done.stdout.strip()


def _eventually(true: Any, what: str) -> None:
    end = time.monotonic() + PATIENCE
    while not true():
        assert time.monotonic() < end, f"it never came to: {what}"
        time.sleep(0.05)


@pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/PID/mem")
@pytest.mark.parametrize("replaced", [True, False])
def test_another_process_finds_nothing_in_the_memory_of_a_locked_desktop(
    screen: Display, folder: Path, replaced: bool
) -> None:
    """As A22 has it. Where the process image stays, the same look finds something: Python cannot wipe it."""
    secret = f"only {secrets.token_hex(16)} was said"

    async def talk(engine: Engine) -> None:
        await say(engine, "Bert", [(False, secret, 5)])
        await know_a_server(engine)

    make(folder, fill=talk)
    password = PASSWORD.encode()
    with _process(folder, screen, *([] if replaced else ["--keep-process"])) as process:

        def wide() -> bool:
            found = _xdotool(screen, "search", "--onlyvisible", "--class", "Mobium").split()
            return bool(found) and bool(_xdotool(screen, "windowfocus", "--sync", found[-1]) or True)

        def line() -> str:
            return Path(f"/proc/{process.pid}/cmdline").read_text().replace("\0", " ")

        _eventually(wide, "a window")

        def opened() -> bool:
            _xdotool(screen, "type", "--delay", "4", "--", PASSWORD)
            _xdotool(screen, "key", "Return")
            time.sleep(0.5)
            return secret.encode() in memory(process.pid)

        _eventually(opened, "the list with the message")
        assert password in memory(process.pid)
        _xdotool(screen, "key", "ctrl+l")
        if replaced:
            _eventually(lambda: "--profile=anna" in line(), "another process image")
            _eventually(wide, "its window")
            time.sleep(0.5)
            left = memory(process.pid)
            assert secret.encode() not in left
            assert password not in left
            _eventually(opened, "the profile, unlocked again")
        else:
            time.sleep(1.5)
            assert password in memory(process.pid) or secret.encode() in memory(process.pid)


def test_a_mistake_on_the_way_out_keeps_nothing_from_ending(screen: Display, folder: Path) -> None:
    make(folder)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        engine, close = pilot.screen.presenter.opened.engine, pilot.app.desktop.close

        def failing() -> None:
            close()
            raise ValueError("a mistake")

        setattr(pilot.app.desktop, "close", failing)  # noqa: B010 - a method is not assigned to
        with pytest.raises(ValueError, match="a mistake"):
            pilot.app.close()
        assert not pilot.app.bridge._thread.is_alive(), "what was open is locked"
        assert engine.connection == "offline"
