"""Messages on the command line: send, listen, history, export, retry; and bad input that loses nothing."""

from __future__ import annotations

import asyncio
import errno
import json
import os
import random
import re
import signal
import stat
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from mobium.signing import SigningKey
from mobium_client.cli.app import run
from mobium_client.cli.failures import guarded
from tests.cli.conftest import Made, log_in
from tests.support.certificates import certificate
from tests.support.commands import PASSWORD, Desk
from tests.support.engines import tx
from tests.support.server import ServerProcess

Talking = tuple[Desk, Desk, ServerProcess]
STRANGER = SigningKey.from_seed(bytes(range(32))).public.hex()
PATIENCE = 60.0


class Ear:
    """A running `listen --json`."""

    def __init__(self, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.heard: list[dict[str, Any]] = []
        self.raw = b""

    def until(self, **wanted: object) -> dict[str, Any]:
        """Read lines until one has these fields."""
        assert self.process.stdout is not None
        watchdog = threading.Timer(PATIENCE, self.process.kill)
        watchdog.start()
        try:
            for line in self.process.stdout:
                self.raw += line
                event = json.loads(line)
                self.heard.append(event)
                if wanted.items() <= event.items():
                    return dict(event)
        finally:
            watchdog.cancel()
        raise AssertionError(f"{wanted} was not heard, but {self.heard}")

    def interrupt(self) -> tuple[int, str]:
        """Ctrl-C; the exit code and what was said on standard error."""
        self.process.send_signal(signal.SIGINT)
        _, err = self.process.communicate(timeout=PATIENCE)
        return self.process.returncode, err.decode()


@contextmanager
def listening(desk: Desk, *arguments: str) -> Iterator[Ear]:
    """`mobium listen --json` while the context is open."""
    process = desk.start("listen", "--json", *arguments)
    try:
        yield Ear(process)
    finally:
        process.kill()
        process.communicate()


def _texts(desk: Desk, peer: str) -> list[str]:
    return [json.loads(line)["text"] for line in desk.run("history", peer, "--json").out.splitlines()]


# ---------------------------------------------------------------- what works


def test_a_message_goes_from_one_command_line_to_another(talking: Talking, made: dict[str, Made]) -> None:
    anna, bob, _ = talking
    first = anna.run("send", "bob", "hello\nbob").out
    assert first.split()[1] == "sent"
    anna.run("send", "bob", "-", given="from a pipe: ü 漢 שלום \x1b[31m\n".encode())
    with listening(bob) as ear:
        message = ear.until(event="message")
        assert message == {
            "event": "message",
            "id": first.split()[0],
            "peer": made["anna"].key,
            "nickname": "anna",
            "channel": None,
            "text": "hello\nbob",
            "sent_at": message["sent_at"],
            "request": False,
        }
        assert datetime.fromisoformat(message["sent_at"]).utcoffset() is not None
        assert ear.until(event="message")["text"] == "from a pipe: ü 漢 שלום \x1b[31m"
        assert ear.heard[0] == {
            "event": "connection",
            "state": "connecting",
            "reason": None,
            "retry_in": None,
        }
        assert ear.raw.isascii()
        assert b"\x1b" not in ear.raw
        # now that bob is there, the answer is delivered while anna waits
        assert anna.run("send", "bob", "third", "--wait", "delivered").out.split()[1] == "delivered"
        assert ear.until(event="message")["text"] == "third"
        code, err = ear.interrupt()
        assert code == 130
        assert err.strip() == ""
    assert _texts(bob, "anna") == ["hello\nbob", "from a pipe: ü 漢 שלום \x1b[31m", "third"]
    assert _texts(anna, made["bob"].key) == _texts(bob, "anna")


def test_listen_tells_states_and_leaves_after_a_count(talking: Talking) -> None:
    anna, bob, _ = talking
    sent = anna.run("send", "bob", "one").out.split()[0]
    anna.run("send", "bob", "two")
    done = bob.run("listen", "--json", "--count", "2")
    assert [
        event["text"] for event in map(json.loads, done.out.splitlines()) if event["event"] == "message"
    ] == [
        "one",
        "two",
    ]
    bob.run("send", "anna", "thanks")
    with listening(bob), listening(anna) as ear:
        state = ear.until(event="state", id=sent, state="delivered")
        assert state == {"event": "state", "id": sent, "state": "delivered", "reason": None}
    assert _texts(anna, "bob") == ["one", "two", "thanks"]


def test_listen_for_people_and_history(talking: Talking) -> None:
    anna, bob, _ = talking
    anna.run("send", "bob", "a line\n12:34  bob  not from bob")
    done = bob.run("listen", "--count", "1")
    assert done.out.splitlines()[0].endswith("anna  a line")
    assert done.out.splitlines()[1].strip() == "│ 12:34  bob  not from bob"
    assert done.err == "connected\n"
    rows = bob.run("history").out.splitlines()
    assert len(rows) == 1
    assert "  1 new  " in rows[0]
    assert rows[0].endswith("anna  a line␊12:34  bob  not from bob")
    bob.run("history", "anna")
    assert "new" not in bob.run("history").out
    assert anna.run("history", "bob", "--limit", "1").out.startswith("✓")


def test_export_is_private_and_never_overwrites(
    talking: Talking, made: dict[str, Made], tmp_path: Path
) -> None:
    anna, _, server = talking
    anna.run("send", "bob", "to be kept: ü")
    file = tmp_path / "export.jsonl"
    assert anna.run("export", str(file)).sentence.startswith("3 lines")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    rows = [json.loads(line) for line in file.read_text("utf-8").splitlines()]
    assert [row["type"] for row in rows] == ["profile", "contact", "message"]
    assert rows[0] == {"type": "profile", "key": made["anna"].key, "server": server.url}
    assert rows[2]["text"] == "to be kept: ü"
    before = file.read_bytes()
    assert "--force" in anna.run("export", str(file), code=2).sentence
    assert file.read_bytes() == before
    file.chmod(0o644)
    anna.run("export", str(file), "--force")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert [json.loads(line) for line in anna.run("export", "-").out.splitlines()] == rows
    anna.password = "not the right one"
    assert "password" in anna.run("export", str(tmp_path / "other"), code=4).sentence
    assert "cannot be written" in anna.run("export", str(tmp_path / "no" / "where"), code=5).sentence
    assert sorted(
        path.name for path in tmp_path.iterdir() if "export" in path.name or "other" in path.name
    ) == ["export.jsonl"]


def test_export_replaces_nothing_but_files(anna: Desk, tmp_path: Path) -> None:
    """Least of all a device, which whoever is root would lose."""
    pipe = tmp_path / "pipe"
    os.mkfifo(pipe)
    for name in (str(pipe), str(tmp_path), "."):
        for force in ((), ("--force",)):
            assert "is there and no file" in anna.run("export", name, *force, code=2).sentence
    assert pipe.is_fifo()
    assert "name is empty" in anna.run("export", "", "--force", code=2).sentence


@pytest.mark.parametrize("made_meanwhile", [False, True])
def test_export_to_a_file_system_without_hard_links(
    anna: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, made_meanwhile: bool
) -> None:
    """As most memory sticks have one."""
    stick = tmp_path / "stick.jsonl"

    def refuse(source: Path, target: Path) -> None:
        if made_meanwhile:
            target.write_text("somebody's")
        raise OSError(errno.EPERM, os.strerror(errno.EPERM), source, None, target)

    monkeypatch.setattr(os, "link", refuse)
    for name, value in anna.environment.items():
        monkeypatch.setenv(name, value)
    code = guarded(lambda: run(["export", str(stick)]))
    assert code == (5 if made_meanwhile else 0)
    text = stick.read_text()
    assert text == "somebody's" if made_meanwhile else json.loads(text.splitlines()[0])["type"] == "profile"
    assert [path.name for path in tmp_path.iterdir() if path.name.endswith(".part")] == []


# ---------------------------------------------------------------- what a stranger types


def test_what_is_not_delivered_in_time_need_not_be_sent_again(talking: Talking) -> None:
    anna, _, _ = talking
    late = anna.run("send", "bob", "hello", "--wait", "delivered", "--timeout", "0.5", code=3)
    assert "it is on the server" in late.sentence


def test_a_choice_that_is_none_is_told_the_others(anna: Desk) -> None:
    assert anna.run("send", "bob", "hello", "--wait", "read", code=2).sentence == (
        "mobium: Invalid value for '--wait': 'read' is not one of 'sent', 'delivered'. (mobium --help)"
    )


def test_a_nickname_before_the_key_is_told_the_order(anna: Desk, made: dict[str, Made]) -> None:
    assert anna.run("contact", "add", "bob", made["bob"].key, code=2).sentence == (
        "mobium: The key or link comes first: mobium contact add KEY NICKNAME"
    )
    assert "names no contact" in anna.run("contact", "add", "bob", "not a key", code=2).sentence


def test_a_call_to_a_channel_is_told_of_its_voice_room(anna: Desk) -> None:
    assert anna.run("call", "#garden", code=2).sentence.endswith("mobium voice '#garden'")


def test_a_certificate_of_ones_own_is_trusted_where_it_is_named(
    anna: Desk, made: dict[str, Made], tmp_path: Path
) -> None:
    cert, key = certificate(tmp_path / "tls", "localhost", "127.0.0.1")
    anna.run("contact", "add", made["bob"].key, "bob")
    with ServerProcess(tmp_path / "server", {"SC_TLS_CERT": str(cert), "SC_TLS_KEY": str(key)}) as server:
        hello = ("--server", server.url, "send", "bob", "hello", "--timeout", "5")
        refused = anna.run(*hello, code=3).sentence
        assert "is not trusted (self-signed certificate)" in refused
        assert "SSL_CERT_FILE" in refused
        anna.extra["SSL_CERT_FILE"] = str(cert)
        assert "Nobody with this key has connected" in anna.run(*hello, code=3).sentence


# ---------------------------------------------------------------- bad input


def test_a_peer_that_nobody_knows(talking: Talking) -> None:
    anna, _, _ = talking
    assert "carl" in anna.run("send", "carl", "hello", code=2).sentence
    assert "key" in anna.run("send", "00" * 32, "hello", code=2).sentence
    assert "link" in anna.run("send", "mobium://contact/xyz", "hello", code=2).sentence
    assert "empty" in anna.run("send", "bob", "", code=2).sentence
    assert "UTF-8" in anna.run("send", "bob", "-", given=b"\xff\xfe", code=2).sentence
    assert anna.run("history").out == "", "nothing was queued"


def test_the_first_conversation_begins_before_the_other_one_has_connected(
    anna: Desk, bob: Desk, made: dict[str, Made], server: ServerProcess
) -> None:
    key = made["bob"].key
    said = anna.run("--server", server.url, "send", key, "one", code=3).sentence
    assert "Nobody with this key has connected to this server yet" in said
    assert said.endswith("The message stays queued.")
    given = anna.run("chat", key, given=b"two\nthree\n", code=3).sentence
    assert "compare the key" in given
    assert given.endswith("2 messages stay queued.")
    waiting = [json.loads(line) for line in anna.run("history", key, "--json").out.splitlines()]
    assert [(row["text"], row["state"]) for row in waiting] == [
        (text, "queued") for text in ("one", "two", "three")
    ]
    with anna.terminal("history", key, columns=40) as history:
        assert history.wait() == 0
        assert "-- queued: Nobody with this key" in "\n".join(history.everything)
    assert "Nothing has failed" in anna.run("retry").sentence
    with bob.terminal("--server", server.url, "chat", made["anna"].key) as chat:
        chat.expect("(?m)^anna.*>$|^[0-9a-f]{16}>$")
        anna.run("send", key, "four")
        for text in ("one", "two", "three", "four"):
            chat.expect(f"(?m)  {text}$")
        chat.type("\x04")
        chat.wait()
    rows = [json.loads(line) for line in bob.run("history", "--json").out.splitlines()]
    assert [row["request"] for row in rows] == [True]
    assert _texts(bob, made["anna"].key) == ["one", "two", "three", "four"]


def test_no_server_yet(anna: Desk, made: dict[str, Made]) -> None:
    for command in (("send", made["bob"].key, "hello"), ("listen",), ("chat", made["bob"].key)):
        assert "--server" in anna.run(*command, code=2).sentence
    for wrong in ("http://chat.example.org", "not a server", "ftp://x", ""):
        assert anna.run("--server", wrong, "send", made["bob"].key, "hello", code=2).sentence
    assert anna.run("history").out == "", "nothing was queued"


@pytest.mark.parametrize(
    ("table", "arguments"),
    [
        ("outbox", ("send", "bob", "hello")),  # met before there is a connection
        ("sent", ("send", "bob", "hello")),  # met by the engine that is connected
        ("sent", ("chat", "bob")),
        ("message", ("listen", "--json", "--count", "2")),
    ],
)
def test_a_damaged_database_is_no_matter_of_the_connection(
    talking: Talking, table: str, arguments: tuple[str, ...]
) -> None:
    anna, bob, _ = talking
    anna.run("send", "bob", "before")
    bob.run("send", "anna", "an answer")
    path = anna.profile("anna") / "mobium.db"

    async def place() -> int:
        async with Engine.open(path.parent, PASSWORD) as engine:
            size = await tx(engine, lambda tx: tx.value("PRAGMA page_size"))
            root = "SELECT rootpage FROM sqlite_schema WHERE name = ?"
            page = await tx(engine, lambda tx: tx.value(root, table))
            return (int(page) - 1) * int(size)

    begin = asyncio.run(place())
    with path.open("r+b") as file:
        file.seek(begin)
        file.write(random.Random(begin).randbytes(4_000))
    done = anna.run(*arguments, given=b"hello\n", code=5)
    assert "mobium.db is damaged; put a copy in its place, or recover with the 24 words." in done.sentence
    assert "queued" not in done.err


def test_an_unreachable_server_queues_and_the_order_holds(talking: Talking) -> None:
    anna, bob, server = talking
    server.stop()
    said = anna.run("send", "bob", "first", code=3).sentence
    assert "cannot be reached" in said
    assert "queued" in said
    assert "queued" in anna.run("send", "bob", "second", code=3).sentence
    assert "queued" in anna.run("chat", "bob", given=b"third\n", code=3).err.splitlines()[-1]
    server.start()
    anna.run("send", "bob", "fourth")
    bob.run("listen", "--count", "4")
    assert _texts(bob, "anna") == ["first", "second", "third", "fourth"]


def test_a_changed_server_key_is_refused_until_a_person_accepts_it(talking: Talking, tmp_path: Path) -> None:
    anna, bob, server = talking
    server.stop()
    with ServerProcess(tmp_path / "impostor", {"SC_PORT": str(server.port)}) as impostor:
        assert impostor.url == server.url
        said = anna.run("send", "bob", "for the real one", code=3).sentence
        assert "another key" in said
        assert "trust-server" in said
        assert "queued" in said
        listen = anna.run("listen", "--json", code=3)
        assert json.loads(listen.out.splitlines()[-1])["state"] == "offline"
        assert "another key" in listen.sentence
        asked = anna.run("trust-server", given=b"no\n", code=1)
        assert "shown now:" in asked.out
        assert "not accepted" in asked.err
    server.start()
    anna.run("send", "bob", "and one more")
    bob.run("listen", "--count", "2")
    assert _texts(bob, "anna") == ["for the real one", "and one more"]


def test_a_new_server_key_can_be_accepted(anna: Desk, tmp_path: Path) -> None:
    with ServerProcess(tmp_path / "one") as one:
        log_in(anna, one.url)
        assert "nothing to accept" in anna.run("trust-server").sentence
        port = one.port
    with ServerProcess(tmp_path / "two", {"SC_PORT": str(port)}) as two:
        done = anna.run("trust-server", "--yes")
        assert "accepted" in done.sentence
        old, new = (line.split(":")[1] for line in done.out.splitlines())
        assert old != new
        log_in(anna, two.url)


def test_a_full_mailbox_keeps_the_message(
    anna: Desk, bob: Desk, made: dict[str, Made], tmp_path: Path
) -> None:
    with ServerProcess(tmp_path / "server", {"SC_MAX_OFFLINE_MESSAGES": "10"}) as server:
        log_in(anna, server.url, made["bob"].key, "bob")
        log_in(bob, server.url, made["anna"].key, "anna")
        anna.run("send", "bob", "fits")
        said = anna.run("send", "bob", "waits", code=3).sentence
        assert "mailbox is full" in said
        assert "queued" in said
        said = anna.run("send", "bob", "waits behind it", code=3).sentence
        assert "mailbox is full" in said, "the reason of the first is the second's too"
        bob.run("listen", "--count", "1")
        with listening(bob) as ear:
            anna.run("send", "bob", "goes on", "--timeout", "60", code=None)
            ear.until(event="message", text="waits")
            assert [event["text"] for event in ear.heard if event["event"] == "message"] == ["waits"]


def test_an_oversized_message_is_refused_before_anything_is_queued(
    anna: Desk, bob: Desk, made: dict[str, Made], tmp_path: Path
) -> None:
    with ServerProcess(tmp_path / "server", {"SC_MAX_MESSAGE_SIZE": "2048"}) as server:
        log_in(bob, server.url)
        log_in(anna, server.url)
        said = anna.run("send", made["bob"].key, "x" * 3000, code=2).sentence
        assert re.search(r"too large: it takes 30\d\d bytes, and this server allows \d{4}\.", said)
        assert anna.run("history").out == ""
        assert "too large" in anna.run("send", made["bob"].key, "-", given=b"x" * (9 << 20), code=2).sentence
        anna.run("send", made["bob"].key, "x" * 1000)


def test_what_failed_is_sent_again(talking: Talking, made: dict[str, Made]) -> None:
    anna, bob, server = talking
    server.stop()
    anna.run("send", "bob", "x" * 3000, code=3)
    server.settings["SC_MAX_MESSAGE_SIZE"] = "2048"
    server.start()
    assert anna.run("send", "bob", "held up by nothing").out.split()[1] == "sent"
    failed, _ = map(json.loads, anna.run("history", "bob", "--json").out.splitlines())
    assert failed["state"] == "failed"
    again = anna.run("retry", code=1).err
    assert "larger than this server allows. (mobium retry)" in again
    assert "1 of 1" in again
    server.stop()
    del server.settings["SC_MAX_MESSAGE_SIZE"]
    server.start()
    assert anna.run("retry").out.split()[1] == "sent"
    assert "Nothing has failed" in anna.run("retry").sentence
    assert "failed or expired" in anna.run("retry", failed["id"], code=2).sentence
    assert "no message" in anna.run("retry", "00" * 16, code=2).sentence
    assert "32" in anna.run("retry", "nonsense", code=2).sentence
    bob.run("listen", "--count", "2")
    assert _texts(bob, made["anna"].key) == ["held up by nothing", "x" * 3000]


def test_a_profile_in_use_is_told(talking: Talking) -> None:
    anna, _, _ = talking
    with listening(anna) as ear:
        ear.until(event="connection", state="online")
        assert "open in another program" in anna.run("send", "bob", "hello", code=5).sentence


def test_a_newer_login_ends_the_older_one(talking: Talking, desk_of: Callable[[str], Desk]) -> None:
    anna, _, server = talking
    with listening(anna) as ear:
        ear.until(event="connection", state="online")
        anna.profile("anna").rename(anna.profile("elsewhere"))
        second = Desk(anna.home.with_name("second"))
        second.data.parent.mkdir()
        second.take(anna.profile("elsewhere"), "anna")
        log_in(second, server.url)
        last = ear.until(event="connection", state="offline")
        assert "somewhere else" in last["reason"]
        _, err = ear.process.communicate(timeout=PATIENCE)
        assert ear.process.returncode == 3
        assert "somewhere else" in err.decode()


# ---------------------------------------------------------------- output that nobody reads


@pytest.mark.parametrize("command", [("--help",), ("export", "-"), ("whoami",)])
def test_a_reader_that_leaves_is_no_drama(anna: Desk, command: tuple[str, ...]) -> None:
    process = anna.start(*command)
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.close()
    err = process.stderr.read().decode()
    assert process.wait(PATIENCE) == 141, err
    assert err == ""
    process.stderr.close()
