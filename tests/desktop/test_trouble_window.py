"""What goes wrong, in the real window, with the command line as the other side: a contact whose key has
changed, a server that dies, another server in its place. In each of them what is written waits, goes to
nobody else, and goes out in order once that is right.
"""

from __future__ import annotations

import json
import os
import sqlite3
import subprocess
from pathlib import Path

from mobium.client import Engine
from mobium.client.store import peers
from mobium.client.store.database import Tx
from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.models.contact import ContactPane
from mobium_client.gui.models.main import Main
from tests.desktop.profiles import PASSWORD, make
from tests.support.commands import FAST, Desk
from tests.support.desktop import Pilot, window
from tests.support.display import Display
from tests.support.engines import tx
from tests.support.hands import HANDS, Hands
from tests.support.server import ServerProcess

pytestmark = [*HANDS]

FIRST = "One, grüß dich 🌻"


class Listener:
    """Another process that listens; what it has heard until now."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self._process = process
        self._said = b""
        assert process.stdout is not None
        os.set_blocking(process.stdout.fileno(), False)

    def texts(self) -> list[str]:
        """The texts of the messages."""
        assert self._process.stdout is not None
        self._said += self._process.stdout.read() or b""
        whole = self._said.rpartition(b"\n")[0].splitlines()
        said = [json.loads(line) for line in whole]
        return [one["text"] for one in said if one["event"] == "message"]


def say(pilot: Pilot, hands: Hands, text: str) -> None:
    """Click into the composer, type, press Enter; it is queued."""
    box = pilot.screen.conversation.composer.text
    hands.click(box)
    hands.type(text)
    pilot.until(lambda: box.get("1.0", "end-1c") == text, "what was typed")
    hands.keys("Return")
    pilot.until(lambda: text in pilot.text(), "the message in the conversation")


def state_of(pilot: Pilot, text: str) -> str:
    """What the conversation shows behind the last message, which has this text."""
    return pilot.text().rpartition(text)[2].strip()


def users(server: ServerProcess) -> int:
    """How many people a server knows."""
    with sqlite3.connect(server.folder / "mobium.db") as database:
        (count,) = database.execute("SELECT count(*) FROM devices").fetchone()
    database.close()
    return int(count)


def test_changed_keys_and_a_dead_server(screen: Display, folder: Path, tmp_path: Path) -> None:
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST)
    hers: list[str] = []

    def another_x(tx: Tx) -> None:
        """As if an earlier key of Bert's had been pinned."""
        peer = peers.by_key(tx, bytes.fromhex(his))
        assert peer is not None
        peers.update(tx, peer, x=bytes(range(32)))

    async def fill(engine: Engine) -> None:
        hers.append(engine.me)
        await engine.connect(server.url)
        await engine.contacts.add(his, "Bert")
        await tx(engine, another_x)

    with ServerProcess(tmp_path / "server") as server, ServerProcess(tmp_path / "other") as other:
        other.stop()
        bert.run("profile", "create", "--yes")
        his = json.loads(bert.run("--server", server.url, "whoami", "--json").out)["key"]
        make(folder, fill=fill)
        bert.run("contact", "add", hers[0], "Anna")
        listening = bert.start("--server", server.url, "listen", "--json")
        heard = Listener(listening)
        try:
            with window(folder) as pilot:
                hands = Hands(pilot)
                pilot.unlock(PASSWORD)
                main: Main = pilot.screen.presenter
                status = main.status
                pilot.until(lambda: status.state.words == "Connected", "the connection")
                view = pilot.open("Bert")

                # his key is another one than that which was pinned
                pilot.write(FIRST)
                pilot.until(lambda: FIRST in pilot.text(), "the message in the conversation")
                pilot.until(view.banner.winfo_ismapped, "the warning")
                assert "key of this contact has changed" in view.banner._said._label.cget("text")
                pilot.until(lambda: state_of(pilot, FIRST).endswith("Queued"))
                hands.click(view.banner._row.winfo_children()[0])
                pane = main.state.pane
                assert isinstance(pane, ContactPane)
                pilot.until(lambda: pane.state.changed and pane.state.number, "both numbers")
                accept = pilot.screen._shown["right"][1]._buttons.winfo_children()[0]
                assert accept.cget("text") == "Accept this key"
                assert heard.texts() == []
                hands.click(accept)
                pilot.until(lambda: heard.texts() == [FIRST], "the message, in the other process")
                pilot.until(lambda: not view.banner.winfo_ismapped(), "the end of the warning")
                hands.click(pilot.screen.conversation.actions.about)

                # the server dies, and comes back
                server.kill()
                pilot.until(lambda: status.state.words.startswith("Next try in "), "the break")
                pilot.until(lambda: pilot.screen.side.state.cget("text").startswith("Next try in "))
                say(pilot, hands, "Two")
                pilot.until(lambda: state_of(pilot, "Two").endswith("Queued"))
                pilot.until(pilot.screen.status_bar.winfo_ismapped, "why, once it is no short break")
                assert heard.texts() == [FIRST]
                server.start()
                pilot.until(lambda: status.state.words == "Connected", "the connection, by itself")
                pilot.until(lambda: heard.texts() == [FIRST, "Two"], "the message, in the other process")
                pilot.until(lambda: state_of(pilot, "Two").endswith(("Sent", "Delivered")))
                assert not pilot.screen.status_bar.winfo_ismapped()

                # another server has its address: nothing goes there
                server.stop()
                other.port = server.port
                other.start()
                bar = pilot.screen.status_bar
                pilot.until(lambda: status.state.key_changed, "the warning")
                say(pilot, hands, "Three")
                assert pilot.screen.side.state.cget("text") == "Another server key"
                assert "another key than before" in bar.said._label.cget("text")
                assert bar.button.cget("text") == "Compare the keys"
                pilot.until(lambda: state_of(pilot, "Three").endswith("Queued"))
                hands.click(bar.button)
                pilot.until(lambda: pilot.app.overlay is not None, "the connection dialog")
                panel, dialog = pilot.app.overlay.panel, pilot.app.overlay.presenter
                assert isinstance(dialog, ConnectionDialog)
                pilot.until(lambda: dialog.state.offered, "the other key")
                assert not panel.accept.winfo_ismapped(), "nothing to believe before both are compared"
                hands.click(panel.compare)
                pilot.until(panel.accept.winfo_ismapped, "both keys")
                hands.click(panel.accept)
                pilot.until(lambda: "operator" in dialog.state.problem, "the operator was not asked")
                hands.click(panel.refuse)
                pilot.until(lambda: not dialog.state.comparing)
                assert users(other) == 0
                listening.wait(20)  # it has seen another key too
                assert heard.texts() == [FIRST, "Two"]

                # the one that she knows is back
                other.stop()
                server.start()
                hands.click(panel.connect)
                pilot.until(lambda: status.state.words == "Connected", "the known server")
                out = bert.run("listen", "--json", "--count", "1").out
                assert [one["text"] for one in map(json.loads, out.splitlines()) if "text" in one] == [
                    "Three"
                ]
                assert not dialog.state.offered

                # and goes for good: its operator has told of the new key
                server.stop()
                other.start()
                pilot.until(lambda: status.state.key_changed and dialog.state.offered, "the warning")
                hands.click(panel.compare)
                pilot.until(panel.accept.winfo_ismapped)
                hands.click(panel.confirmed)
                hands.click(panel.accept)
                pilot.until(lambda: status.state.words == "Connected", "the new server")
                assert users(other) == 1
                with sqlite3.connect(other.folder / "mobium.db") as database:
                    (known,) = database.execute("SELECT identity FROM devices").fetchone()
                database.close()
                assert known.hex() == hers[0]
        finally:
            listening.kill()
            listening.communicate()
    history = [json.loads(line) for line in bert.run("history", hers[0], "--json").out.splitlines()]
    assert [one["text"] for one in history] == [FIRST, "Two", "Three"]
