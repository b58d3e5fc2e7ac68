"""Notifications of the real window, on a real session bus, taken by another process as a desktop does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium_client.gui.models import notifications
from mobium_client.gui.models.main import Main
from mobium_client.gui.settings import Settings
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.desktop import window
from tests.support.display import DISPLAY, Display
from tests.support.engines import settle
from tests.support.server import ServerProcess
from tests.support.session_bus import BUS, session_bus

pytestmark = [*DISPLAY, *BUS]


def test_what_comes_is_told_as_much_as_was_chosen_and_a_click_shows_it(
    screen: Display, folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(notifications, "_APART", 0.0)  # one may follow the other at once
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST)
    hers: list[str] = []

    async def fill(engine: Engine) -> None:
        hers.append(engine.me)
        await engine.connect(server.url)
        await engine.contacts.add(his, "Bert")
        await settle(engine)

    with ServerProcess(tmp_path / "server") as server, session_bus(tmp_path) as bus:
        monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", bus.address)
        bert.run("profile", "create", "--yes")
        his = json.loads(bert.run("--server", server.url, "whoami", "--json").out)["key"]
        make(folder, fill=fill)
        with window(folder, Settings(notifications="quiet")) as pilot:
            pilot.unlock(PASSWORD)
            main: Main = pilot.screen.presenter
            pilot.until(lambda: main.status.state.words == "Connected", "the connection")
            bert.run("--server", server.url, "send", hers[0], "one that nobody else is to read")
            pilot.until(lambda: bus.shown, "the notification, in the other process")
            assert bus.shown == [("mobium", "A new message")]
            pilot.app.preferences.change(notifications="full")
            bert.run("send", hers[0], 'see <a href="http://evil.example">this</a> & <img src="x"/>')
            pilot.until(lambda: len(bus.shown) == 2)
            written = 'see &lt;a href="http://evil.example"&gt;this&lt;/a&gt; &amp; &lt;img src="x"/&gt;'
            assert bus.shown[1] == ("Bert", written)
            assert not pilot.screen.conversation
            pilot.app.withdraw()
            pilot.until(lambda: pilot.app.focus_displayof() is None, "no window")
            bus.click()
            pilot.until(lambda: pilot.screen.conversation is not None, "the conversation")
            assert pilot.screen.conversation.presenter.state.target == his
            pilot.until(lambda: pilot.app.focus_displayof() is not None and pilot.app.winfo_viewable())
            pilot.until(lambda: "see <a" in pilot.text(), "what was told")
            assert bus.closed == 0
            pilot.app.event_generate("<Control-l>")
            pilot.until(lambda: pilot.shows("UnlockView"))
            pilot.until(lambda: bus.closed == 1, "what nobody has clicked on is taken away")
