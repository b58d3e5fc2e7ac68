"""Channels on the command line: names that try to mislead, names that are taken twice, and large channels."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable

import pytest

from mobium.client import Engine
from mobium.client.store import channels, lines, meta
from mobium.client.store.database import Tx
from mobium.crypto import invite as sealing
from mobium.protocol.limits import MAX_MEMBERS
from mobium.protocol.roster import Access
from mobium_client.plain import harmless
from tests.cli.channels import inside, key_of, rows, said
from tests.support.channels import begin, enter
from tests.support.commands import Desk
from tests.support.engines import tx
from tests.support.server import Client, ServerProcess
from tests.support.server import log_in as raw_login

EVIL_NAME = "ok\x1b[2J\x1b]0;owned\x07\u202eevil\u2066\x7f\n12:00  anna  yes" + "\u0301" * 20


def test_names_cannot_command_a_terminal(
    garden: tuple[Desk, Desk, Desk], monkeypatch: pytest.MonkeyPatch
) -> None:
    """The emulated terminal refuses every sequence that is not the program's own."""
    anna, bob, _ = garden
    evil_name = EVIL_NAME[:40]
    monkeypatch.setattr(sealing, "check_names", lambda name, topic="": (name, topic))
    monkeypatch.setattr("mobium.client.channels.check_names", lambda name, topic="": (name, topic))

    async def attack(engine: Engine) -> None:
        await tx(engine, lambda store: meta.put(store, "name", evil_name))
        sent = await engine.send("#garden", EVIL_NAME)
        await engine.wait(sent, "sent", 30)

    async def rename(engine: Engine) -> None:
        await engine.rename("#garden", evil_name)
        await engine.channels.set_topic((await engine.channels.list())[0].label, EVIL_NAME)

    inside(bob, attack)
    inside(anna, rename)
    carl = garden[2]
    with carl.terminal("listen", "--count", "1") as terminal:
        terminal.expect("ok")
        assert terminal.wait() == 0
    label = rows(carl, "channel", "list")[0]["channel"]
    for arguments in (
        ("channel", "list"), ("channel", "members", label), ("channel", "topic", label),
        ("history",), ("history", label),
    ):  # fmt: skip
        with carl.terminal(*arguments, columns=70) as terminal:
            assert terminal.wait() == 0
            assert terminal.screen
        out = carl.run(*arguments).out.replace("\t", " ")
        assert out == harmless(out)
    with carl.terminal("chat", label) as chat:
        chat.expect(r"Ctrl-D leaves\.")
        assert not [row for row in chat.screen if row.startswith("12:00  anna")]
        chat.type("\x04")
        assert chat.wait() == 0


@pytest.mark.parametrize("columns", [40, 80])
@pytest.mark.parametrize("command", [("list",), ("members", "garden")], ids=["list", "members"])
def test_what_is_shown_without_a_connection_says_how_old_it_is(
    garden: tuple[Desk, Desk, Desk], command: tuple[str, ...], columns: int
) -> None:
    anna, _, _ = garden
    with anna.terminal("channel", *command, columns=columns) as terminal:
        assert terminal.wait() == 0
        shown = terminal.everything
    print("\n".join(shown))
    assert max(map(len, shown)) <= columns
    assert "…" not in "".join(shown).replace("…", "", command[0] == "members"), "but for the key"
    said_of_it = " ".join(" ".join(shown).split())
    assert re.search(r"As of the last connection, \d{4}-\d\d-\d\d \d\d:\d\d; what is new", said_of_it)


def test_channels_of_one_name(garden: tuple[Desk, Desk, Desk], channel_server: ServerProcess) -> None:
    anna, bob, _ = garden
    again = bob.run("channel", "create", "GARDEN")
    label = again.out.strip()
    assert "There is another channel of that name, #garden~" in again.err
    assert f"the new one is {label}." in again.err
    bob.run("channel", "create", "64 digits " + "0" * 54)
    labels = [row["channel"] for row in rows(bob, "channel", "list")]
    assert labels[0].startswith("#garden~")
    assert labels[1].startswith("#GARDEN~")
    refused = bob.run("send", "#garden", "which?", code=2).sentence
    assert labels[0] in refused
    assert labels[1] in refused
    bob.run("send", labels[1], "this one")
    assert said(bob, labels[1])[-1] == "you  this one"
    anna.run("send", "#garden", "and that one")
    assert bob.run("listen", "--count", "1").out.endswith(
        f"  {labels[0]} {key_of(anna)[:16]}  and that one\n"
    )
    with bob.terminal("channel", "list", columns=60) as terminal:
        assert terminal.wait() == 0
        assert max(map(len, terminal.everything)) <= 60


def test_a_full_channel(person: Callable[..., Desk], channel_server: ServerProcess) -> None:
    anna, bob = person("anna", channel_server.url), person("bob", channel_server.url)

    async def fill() -> str:
        owner = await raw_login(channel_server.url)
        room = await begin(owner, Access.OPEN)
        await owner.close()

        async def join(leave_one: int) -> None:
            for _ in range(MAX_MEMBERS - room.roster.size - leave_one):
                one: Client = await raw_login(channel_server.url)
                await enter(one, room)
                await one.close()

        await join(2)
        return f"mobium://join/{room.id.hex()}?server={channel_server.url.removesuffix('/ws')}"

    link = asyncio.run(fill())
    joined = anna.run("channel", "join", link)
    assert "one of 999 members" in joined.err
    label = joined.out.strip()
    inside(bob, lambda engine: engine.join(link))
    carl = person("carl", channel_server.url)
    assert "as many members" in carl.run("channel", "join", link, code=1).sentence
    listed = anna.run("channel", "members", label).out.splitlines()
    assert len(listed) == MAX_MEMBERS - 1, "as of the last connection"
    with bob.terminal("channel", "members", label) as terminal:
        assert terminal.wait() == 0
        assert len(terminal.everything) > MAX_MEMBERS
        assert max(map(len, terminal.everything)) <= 80


def test_lines_that_cannot_be_read(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, _ = garden

    def spoil(store: Tx) -> None:
        row = channels.by_name(store, "garden")[0]
        peer = int(store.value("SELECT id FROM peer WHERE ed = ?", bytes.fromhex(key_of(bob))))
        for number, who in ((7, peer), (8, 0)):
            lines.add(store, row.id, number, who, bytes([number]) * 16, "closed", "", 1, 1)
        lines.add(store, row.id, 9, peer, b"9" * 16, "unknown", "poll", 1, 1)
        channels.update(store, row.id, state="broken", reason="The server shows an older list of members.")

    bob.run("send", "#garden", "so that anna knows of bob")
    anna.run("listen", "--count", "1")
    inside(anna, lambda engine: tx(engine, spoil), connect=False)
    shown = said(anna, "#garden")
    assert shown[-3] == (
        f"{key_of(bob)[:16]}  (this cannot be read: its key has not reached this machine, or it is damaged)"
    )
    assert shown[-2].startswith("you  (this cannot be read")
    assert shown[-1] == f"{key_of(bob)[:16]}  (this needs a newer version of mobium)"
    assert "older list" in anna.run("history", "#garden").err
    assert "older list" in anna.run("channel", "rename", "garden", "x", code=2).sentence
    with anna.terminal("channel", "list") as terminal:
        assert terminal.wait() == 0
        assert "older list" in terminal.raw
    with anna.terminal("chat", "#garden") as chat:
        chat.expect("older list")
        chat.expect(r"\(this cannot be read")
        chat.type("\x04")
        chat.wait()
