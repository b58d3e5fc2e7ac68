"""Typing as people know it from everywhere else: what is selected is replaced, an answer stays to be read,
Tab stops nowhere where nothing can be done, and what was typed can be read.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from pathlib import Path

import pytest

from tests.desktop.profiles import PASSWORD, know_a_server, make
from tests.support.desktop import Pilot, window
from tests.support.display import Display
from tests.support.hands import HANDS, Hands
from tests.support.programs import where

pytestmark = [*HANDS, pytest.mark.needs("setxkbmap")]


def _at(pilot: Pilot) -> str:
    return str(pilot.app.focus_get())


def test_select_all_and_pasting_replace_what_was_typed(screen: Display, folder: Path) -> None:
    with window(folder) as pilot:
        pilot.until(lambda: pilot.shows("FirstRunView"))
        hands, name = Hands(pilot), pilot.screen.name
        hands.fill(name, "anna")
        hands.keys("ctrl+a")
        hands.type("bert")
        pilot.until(lambda: name.text == "bert", "the other name in its place")
        pilot.app.clipboard_clear()
        pilot.app.clipboard_append("carla")
        hands.keys("ctrl+a", "ctrl+v")
        pilot.until(lambda: name.text == "carla", "what was pasted in its place")


def test_tab_goes_from_field_to_field(screen: Display, folder: Path) -> None:
    """Labels and frames between them are no places for it."""
    with window(folder) as pilot:
        pilot.until(lambda: pilot.shows("FirstRunView"))
        hands = Hands(pilot)
        hands.fill(pilot.screen.name, "anna")
        hands.keys("Return")
        pilot.until(lambda: pilot.screen.presenter.state.step == "password", "the password")
        pilot.rest(0.2)
        fields = pilot.screen.password
        hands.fill(fields.first, PASSWORD)
        hands.keys("Tab")
        pilot.until(lambda: _at(pilot) == str(fields.second.entry._entry), "the second field")
        hands.keys("Tab")
        pilot.until(lambda: _at(pilot) == str(pilot.screen.buttons[0]._canvas), "the button")
        hands.keys("shift+Tab", "shift+Tab")
        pilot.until(lambda: _at(pilot) == str(fields.first.entry._entry), "the first field again")


def test_the_answer_to_enter_stays_until_something_else_is_typed(screen: Display, folder: Path) -> None:
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        hands = Hands(pilot)
        hands.keys("ctrl+n")
        pilot.until(lambda: pilot.app._overlays.view is not None, "the dialog")
        dialog = pilot.app._overlays.view
        hands.fill(dialog.who, "nobody")
        hands.keys("Return")
        pilot.until(lambda: dialog.presenter.state.problem, "the sentence")
        pilot.rest(0.2)  # the key was let go by then
        assert dialog.presenter.state.problem
        hands.type("x")
        pilot.until(lambda: not dialog.presenter.state.problem, "its end")


_MEASURE = """
from mobium_client.gui.app import App  # CustomTkinter brings the fonts into HOME
from mobium_client.gui.faces import drawn_faces
import tkinter
assert drawn_faces()
window = tkinter.Tk()
for weight in ("normal", "bold"):
    # hinted letters are whole pixels wide: in some sizes the two faces are alike
    print(sum(window.tk.call("font", "measure", ("Roboto", -size, weight), "increase, faith and taxi")
              for size in range(12, 33)))
"""


def test_bold_text_is_a_face_that_was_drawn(screen: Display, tmp_path: Path) -> None:
    """What fontconfig makes bold by itself is wider than Medium, and its letters run together. In a process
    of its own: fontconfig looks for fonts once.
    """
    told = subprocess.run(
        [sys.executable, "-c", _MEASURE], env={**os.environ, "HOME": str(tmp_path)}, timeout=60, check=True,
        stdout=subprocess.PIPE, text=True,
    )  # fmt: skip
    plain, bold = map(int, told.stdout.split())
    assert plain < bold < 1.05 * plain


@contextmanager
def _layout(screen: Display, *name: str) -> Iterator[None]:
    """The display's keyboard has this layout meanwhile."""
    program = where("setxkbmap") or "setxkbmap"
    with ExitStack() as after:
        after.callback(subprocess.run, [program, "us"], env=screen.environ, timeout=10, check=True)
        subprocess.run([program, *name], env=screen.environ, timeout=10, check=True)
        yield


def test_a_sign_where_others_have_a_letter_is_no_shortcut(screen: Display, folder: Path) -> None:
    """On a Dvorak keyboard the apostrophe is where others have the Q, which ends the program."""
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        hands = Hands(pilot)
        with _layout(screen, "us", "dvorak"):
            hands.fill(pilot.screen.side.search, "o")
            hands.keys("ctrl+24")
            assert not pilot.app._closing
            hands.keys("ctrl+57")  # the B
            pilot.rest(0.1)
            assert pilot.app.overlay is None
            hands.keys("ctrl+46")  # the N
            pilot.until(lambda: type(pilot.app.overlay).__name__ == "NewMessageView", "the dialog")


@pytest.mark.parametrize("layout", ["us", "ru", "gr", "il", "ara"])
def test_shortcuts_work_on_every_layout_and_with_caps_lock(
    screen: Display, folder: Path, layout: str
) -> None:
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        hands = Hands(pilot)

        def shows(view: str) -> bool:
            return type(pilot.app.overlay).__name__ == view

        with _layout(screen, layout):
            for place, view in (("57", "NewMessageView"), ("59", "SettingsView")):
                hands.keys(f"ctrl+{place}")
                pilot.until(partial(shows, view), f"{view}, on {layout}")
                hands.keys("Escape")
                pilot.until(lambda: pilot.app.overlay is None)
            hands.keys("Caps_Lock", "ctrl+57")
            pilot.until(lambda: shows("NewMessageView"), "the same with Caps Lock")
            hands.keys("Caps_Lock", "Escape", "ctrl+45")
            pilot.until(lambda: pilot.app.overlay is None)
            hands.keys("ctrl+shift+45")
            pilot.until(lambda: shows("ConnectionView"), "what Shift belongs to")


@pytest.mark.parametrize("layout", ["us", "ru", "gr", "il", "ara"])
def test_what_is_selected_is_copied_cut_and_pasted_on_every_layout(
    screen: Display, folder: Path, layout: str
) -> None:
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        pilot.screen.presenter.write_to("ab" * 32, "Bert")
        pilot.until(lambda: pilot.screen.conversation is not None, "the conversation")
        hands, search = Hands(pilot), pilot.screen.side.search
        hands.fill(search, "anna")
        box = pilot.screen.conversation.composer.text
        everything, cut, copy, paste = (f"ctrl+{place}" for place in (38, 53, 54, 55))
        with _layout(screen, layout):
            hands.keys(everything, copy)
            pilot.until(lambda: pilot.app.clipboard_get() == "anna", "what is copied")
            hands.keys("End", paste)
            pilot.until(lambda: search.text == "annaanna", "pasted, once")
            hands.keys(everything, cut)
            pilot.until(lambda: search.text == "", "cut")
            box.focus_set()
            hands.keys(paste)
            pilot.until(lambda: box.get("1.0", "end-1c") == "annaanna", "pasted")
            hands.keys("ctrl+52")
            pilot.until(lambda: box.get("1.0", "end-1c") == "", "taken back")
            hands.keys("ctrl+shift+52")
            pilot.until(lambda: box.get("1.0", "end-1c") == "annaanna", "and done again")
