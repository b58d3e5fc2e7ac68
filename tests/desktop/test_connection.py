"""The connection, without a display: what is said of it, and what can be done about it, with real servers."""

from __future__ import annotations

import json
from pathlib import Path

from mobium.client import Engine
from mobium_client.gui.models.connection import ConnectionDialog
from mobium_client.gui.models.main import Main
from tests.desktop.profiles import PASSWORD, know_a_server, make
from tests.support.commands import FAST, Desk
from tests.support.seat import Seat
from tests.support.server import ServerProcess


def _dialog(seat: Seat, main: Main) -> ConnectionDialog:
    main.show_connection()
    dialog = seat.context.overlays.state[-1]
    assert isinstance(dialog, ConnectionDialog)
    seat.until(lambda: dialog.state.loaded)
    return dialog


def test_offline_it_says_so_counts_down_and_what_is_written_goes_out_later(
    folder: Path, tmp_path: Path
) -> None:
    bert = Desk(tmp_path / "bert", PASSWORD, command=FAST)
    bert.run("profile", "create", "--yes")
    with ServerProcess(tmp_path / "server") as server:
        his = json.loads(bert.run("--server", server.url, "whoami", "--json").out)["key"]
        listening = bert.start("--server", server.url, "listen", "--json", "--count", "1")

        async def fill(engine: Engine) -> None:
            await engine.connect(server.url)
            await engine.contacts.add(his, "Bert")

        make(folder, fill=fill)
        with Seat(folder) as seat:
            main = seat.unlock(PASSWORD)
            seat.until(lambda: main.status.state.words == "Connected")
            server.stop()
            seat.until(lambda: main.status.state.words.startswith("Next try in "), "the countdown")
            assert main.status.state.tone == "waiting"
            assert main.status.state.reason.endswith(".")
            row = next(row for row in main.list.state.rows if row.title == "Bert")
            main.open(row)
            conversation = main.state.conversation
            assert conversation is not None
            conversation.composer.type("Written offline")
            conversation.composer.send()
            seat.until(
                lambda: any("Queued" in getattr(line, "meta", "") for line in conversation.state.lines)
            )
            server.start()
            seat.until(lambda: main.status.state.words == "Connected", "the connection, by itself")
            seat.until(lambda: listening.poll() is not None, "the message, in the other process")
        out, _ = listening.communicate(timeout=20)
        texts = [json.loads(line).get("text") for line in out.splitlines()]
        assert "Written offline" in texts


def test_another_key_of_the_server_is_told_and_believed_only_by_two_steps(
    folder: Path, tmp_path: Path
) -> None:
    with ServerProcess(tmp_path / "server") as server:
        other = bytes(range(1, 33))
        make(folder, fill=lambda engine: know_a_server(engine, server.url, other))
        with Seat(folder) as seat:
            main = seat.unlock(PASSWORD)
            seat.until(lambda: main.status.state.key_changed, "the warning")
            assert main.status.state.tone == "off"
            assert "another key" in main.status.state.reason
            dialog = _dialog(seat, main)
            seat.until(lambda: dialog.state.offered)
            assert "".join(dialog.state.key) == other.hex()
            offered = "".join(dialog.state.offered)
            dialog.accept(confirmed=True)
            assert not dialog.state.busy, "nothing is believed before both were before the eyes"
            dialog.compare()
            dialog.accept(confirmed=False)
            assert "operator" in dialog.state.problem
            known = seat.do(main.opened.engine.server())
            assert known is not None
            assert known.key == other.hex()
            dialog.accept(confirmed=True)
            seat.until(lambda: main.status.state.words == "Connected")
            assert not main.status.state.key_changed
            seat.until(lambda: "".join(dialog.state.key) == offered)
            assert dialog.state.offered == ()
        shown = Desk(tmp_path / "desk", PASSWORD, command=FAST, extra={"MOBIUM_DATA_DIR": str(folder)})
        said = shown.run("trust-server", "--yes")
        assert "nothing to accept" in said.err + said.out, "the key is pinned"


def test_one_can_disconnect_and_connect_elsewhere(folder: Path, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "one") as one, ServerProcess(tmp_path / "two") as two:
        make(folder, fill=lambda engine: engine.connect(one.url))
        with Seat(folder) as seat:
            main = seat.unlock(PASSWORD)
            seat.until(lambda: main.status.state.words == "Connected")
            dialog = _dialog(seat, main)
            dialog.disconnect()
            seat.until(lambda: main.status.state.words == "Offline")
            assert main.status.state.reason == ""
            seat.until(lambda: not dialog.state.wanted)
            dialog.connect("not an address")
            seat.until(lambda: dialog.state.problem)
            dialog.connect(two.url)
            seat.until(lambda: main.status.state.words == "Connected")
            seat.until(lambda: str(two.port) in dialog.state.host)
            dialog.dismiss()
            assert seat.context.overlays.state == ()
        with Seat(folder) as seat:
            main = seat.unlock(PASSWORD)
            seat.until(lambda: str(two.port) in main.status.state.server)


def test_what_a_full_server_says_is_what_is_shown(folder: Path, tmp_path: Path) -> None:
    bert = tmp_path / "bert"
    with ServerProcess(tmp_path / "server", {"SC_MAX_CONNECTIONS": "1"}) as server:
        make(bert, fill=lambda engine: engine.connect(server.url))
        with Seat(bert) as other:
            main = other.unlock(PASSWORD)
            other.until(lambda: main.status.state.words == "Connected")
            make(folder, fill=lambda engine: know_a_server(engine, server.url, bytes(32)))
            with Seat(folder) as seat:
                main = seat.unlock(PASSWORD)
                seat.until(lambda: main.status.state.reason, "a reason")
                assert main.status.state.reason == "Too many connections."
                seat.until(lambda: main.status.state.lasting == "Too many connections.", "it in the window")
