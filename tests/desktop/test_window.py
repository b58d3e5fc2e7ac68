"""The real window on a private display: it opens, sends to and hears from another process, and locks."""

from __future__ import annotations

import json
from pathlib import Path

from mobium.client import Engine
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.desktop import window
from tests.support.display import DISPLAY, Display
from tests.support.server import ServerProcess

pytestmark = [*DISPLAY]


def test_a_window_talks_with_the_command_line_through_a_real_server(
    screen: Display, folder: Path, tmp_path: Path
) -> None:
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST)
    hers: list[str] = []
    with ServerProcess(tmp_path / "server") as server:
        bert.run("profile", "create", "--yes")
        his = json.loads(bert.run("--server", server.url, "whoami", "--json").out)["key"]

        async def fill(engine: Engine) -> None:
            hers.append(engine.me)
            await engine.connect(server.url)
            await engine.contacts.add(his, "Bert")

        make(folder, fill=fill)
        listening = bert.start("--server", server.url, "listen", "--json", "--count", "1")
        with window(folder) as pilot:
            pilot.unlock(PASSWORD)
            main = pilot.screen.presenter
            pilot.until(lambda: main.status.state.words == "Connected", "the connection")
            pilot.open("Bert")
            pilot.write("Hello from a window, grüß dich 🌻")
            pilot.until(lambda: listening.poll() is not None, "the message, in the other process")
            out, _ = listening.communicate(timeout=20)
            said = [json.loads(line) for line in out.splitlines()]
            texts = [one["text"] for one in said if one["event"] == "message"]
            assert texts == ["Hello from a window, grüß dich 🌻"]
            pilot.until(lambda: "· Sent" in pilot.text() or "· Delivered" in pilot.text(), "its state")
            bert.run("--server", server.url, "send", hers[0], "And hello from a terminal.")
            pilot.until(lambda: "And hello from a terminal." in pilot.text(), "the answer")
            pilot.app.event_generate("<Control-l>")
            pilot.until(lambda: pilot.shows("UnlockView"), "the unlock screen")
    history = bert.run("history", hers[0], "--json").out
    assert [json.loads(line)["text"] for line in history.splitlines()] == [
        "Hello from a window, grüß dich 🌻",
        "And hello from a terminal.",
    ]
