"""The keyboard alone, in the real window: Tab reaches everything that can be pressed or typed into, what has
the focus shows it, and the shortcuts of the help do what it says.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from tests.desktop.profiles import PASSWORD, know_a_server, make
from tests.support.desktop import Pilot, window
from tests.support.display import Display
from tests.support.hands import HANDS, Hands

pytestmark = [*HANDS]


def _usable(widget: Any) -> Iterator[tuple[str, Any]]:
    """What can be pressed or typed into, by what it says, with the widget that takes the focus."""
    for child in widget.winfo_children():
        if not child.winfo_viewable():
            continue
        if isinstance(child, Button):
            if child.cget("state") == "normal":
                yield f"button {child.cget('text') or child.cget('image')}", child._canvas
        elif isinstance(child, Field):
            if str(child.entry.cget("state")) == "normal":
                yield "field", child.entry._entry
        else:
            yield from _usable(child)


def _all_are_reached(pilot: Pilot, hands: Hands, parent: Any) -> None:
    pilot.rest(0.2)
    wanted = {str(widget): words for words, widget in _usable(parent)}
    assert wanted
    pilot.app.focus_force()
    reached: list[str] = []
    for _ in range(3 * len(wanted) + 12):
        hands.keys("Tab")
        at = str(pilot.app.focus_get())
        if reached and at == reached[0]:
            break
        reached.append(at)
    assert {words for widget, words in wanted.items() if widget not in reached} == set()


def test_tab_reaches_everything_of_the_first_run_and_shows_where_it_is(screen: Display, folder: Path) -> None:
    with window(folder) as pilot:
        pilot.until(lambda: pilot.shows("FirstRunView"))
        hands = Hands(pilot)
        _all_are_reached(pilot, hands, pilot.screen)
        button = pilot.screen.buttons[0]
        assert button.cget("border_width") == 0
        button.focus_set()
        pilot.rest(0.1)
        assert button.cget("border_width") == 2


@pytest.mark.parametrize("section", ["profile", "notifications", "look", "server"])
def test_tab_reaches_everything_of_the_settings(screen: Display, folder: Path, section: Any) -> None:
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        pilot.screen.presenter.show_settings(section)
        hands = Hands(pilot)
        _all_are_reached(pilot, hands, pilot.app._overlays.view)


def test_a_wrong_password_is_told_and_typing_goes_on_at_once(screen: Display, folder: Path) -> None:
    async def fill(engine: Engine) -> None:
        await know_a_server(engine)

    make(folder, fill=fill)
    with window(folder) as pilot:
        pilot.until(lambda: pilot.shows("UnlockView"))
        hands = Hands(pilot)
        hands.fill(pilot.screen.password, "not the password")
        hands.keys("Return")
        pilot.until(lambda: pilot.screen.presenter.state.problem, "the sentence")
        entry = pilot.screen.password.entry._entry
        pilot.until(entry.selection_present, "the selection of what was typed")
        hands.type(PASSWORD)
        pilot.until(lambda: pilot.screen.password.text == PASSWORD, "the password in its place")
        hands.keys("Return")
        pilot.until(lambda: pilot.shows("MainView"), "the main screen")
        overlays = pilot.app.desktop.context.overlays
        for key, name in (
            ("F1", "Help"),
            ("ctrl+comma", "SettingsDialog"),
            ("ctrl+shift+k", "ConnectionDialog"),
        ):
            hands.keys(key)
            pilot.until(lambda name=name: [type(one).__name__ for one in overlays.state] == [name], name)  # type: ignore[misc]
            hands.keys("Escape")
            pilot.until(lambda: not overlays.state, "its end")
        hands.keys("ctrl+l")
        pilot.until(lambda: pilot.shows("UnlockView"), "the unlock screen")


def test_the_look_is_changed_while_it_is_looked_at(screen: Display, folder: Path) -> None:
    make(folder, fill=know_a_server)
    with window(folder) as pilot:
        pilot.unlock(PASSWORD)
        pilot.screen.presenter.show_settings("look")
        pilot.rest(0.2)
        before = pilot.app.theme.colors.name
        part = pilot.app._overlays.view.part
        part.looks.rows[2 if before == "dark" else 1].invoke()
        pilot.until(lambda: pilot.app.theme.colors.name != before, "the other look")
        part = pilot.app._overlays.view.part
        part.scales.rows[-1].invoke()
        pilot.until(lambda: pilot.app.theme.scale == 2.0, "the largest text")
        assert pilot.app._overlays.view.part is not part
        assert pilot.shows("MainView")
