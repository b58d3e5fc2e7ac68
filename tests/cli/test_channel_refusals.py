"""Channels on the command line: every refusal with its sentence and exit code."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.join_links import format_join, parse_join
from mobium.errors import NotConnected
from mobium_client.plain import harmless
from tests.cli.channels import inside, key_of, link_into, open_link, rows
from tests.support.commands import Desk
from tests.support.server import ServerProcess


def test_refusals_of_a_link(
    garden: tuple[Desk, Desk, Desk], person: Callable[..., Desk], channel_server: ServerProcess
) -> None:
    anna, bob, _ = garden
    dora = person("dora", channel_server.url)

    def join(link: str, code: int) -> str:
        return dora.run("channel", "join", link, code=code).sentence

    old = link_into(anna)

    async def quick(engine: Engine) -> str:
        return await engine.invite("#garden", ttl=1)

    short = inside(anna, quick)
    time.sleep(1.2)
    assert "expired" in join(short, 1)
    assert "already" in bob.run("channel", "join", old, code=2).sentence
    for damaged in (old[:-3], old.replace("join", "contact"), "hello"):
        assert "invite link" in join(damaged, 2)
    assert "from the # on" in join(old.partition("#")[0], 2)
    assert (
        "no secret for a private channel"
        in bob.run("channel", "join", open_link(anna) + "#" + old.partition("#")[2], code=2).sentence
    )
    unknown = format_join(replace(parse_join(old), channel_id=bytes(32)))
    assert "no such channel" in join(unknown, 1)
    assert "unknown or was revoked" in join(format_join(replace(parse_join(old), invite=bytes(16))), 1)
    anna.run("channel", "renew", "garden")
    assert "ask for a new link" in join(old, 1)
    new = link_into(anna)
    mixed = replace(parse_join(new), secret=parse_join(old).secret)
    assert "secret is not the one in force" in join(format_join(mixed), 1)
    forked = replace(parse_join(new), head=bytes(32))
    assert "another history" in join(format_join(forked), 1)
    anna.run("channel", "ban", "garden", key_of(dora))
    assert "banned" in join(link_into(anna), 1)
    anna.run("channel", "unban", "garden", key_of(dora))
    last = link_into(anna)
    assert rows(dora, "channel", "list") == [], "nothing is left of what was refused"
    dora.run("channel", "join", last)
    assert (
        "as often as it may be"
        in person("emil", channel_server.url).run("channel", "join", last, code=1).sentence
    )


def test_refusals_of_a_change(garden: tuple[Desk, Desk, Desk]) -> None:
    anna, bob, carl = garden

    def refused(desk: Desk, *arguments: str, code: int = 1) -> str:
        return desk.run("channel", *arguments, code=code).sentence

    assert "not allow" in refused(bob, "remove", "garden", key_of(carl))
    assert refused(anna, "leave", "garden").endswith("first. (mobium channel role '#garden' WHO owner)")
    assert "role already" in refused(anna, "role", "garden", key_of(bob), "member")
    assert "yourself" in refused(anna, "remove", "garden", key_of(anna), code=2)
    assert "not banned" in refused(anna, "unban", "garden", key_of(bob))
    assert "Only members" in refused(anna, "remove", "garden", "ab" * 32, code=1)
    assert "called “~nobody”" in refused(anna, "remove", "garden", "~nobody", code=2)
    assert "nickname" in refused(anna, "remove", "garden", "nobody", code=2)
    assert "Leave the channel" in refused(anna, "forget", "garden", code=2)
    assert "#nothing" in refused(anna, "members", "nothing", code=2)
    assert "king" in refused(anna, "role", "garden", key_of(bob), "king", code=2)
    assert "such as 12h" in refused(anna, "invite", "garden", "--for", "soon", code=2)
    assert "--uses" in refused(anna, "invite", "garden", "--uses", "10001", code=2)
    for name in ("", "x" * 65, "a\nb", "a\u202eb", "00" * 32, "##x"):
        shown = refused(anna, "rename", "garden", name, code=2)
        assert shown == harmless(shown, name=True)
    assert "at most 380 bytes" in refused(anna, "topic", "garden", "ü" * 200, code=2)
    assert "receipts" in anna.run("send", "#garden", "x", "--wait", "delivered", code=2).sentence
    for line in (("send", "#nothing", "x"), ("chat", "#nothing"), ("history", "#nothing")):
        assert "“#nothing”" in anna.run(*line, code=2).sentence
    for name in ("\x1b[31m", "#x", "00" * 32, "a\u202eb"):
        assert anna.run("profile", "name", name, code=2).sentence
    assert "first digits" in anna.run("profile", "name", "").sentence
    assert rows(anna, "channel", "list")[0]["name"] == "garden"


def test_without_a_server_and_on_another(
    garden: tuple[Desk, Desk, Desk], person: Callable[..., Desk], tmp_path: Path
) -> None:
    anna, _, _ = garden
    link = link_into(anna)
    nowhere = format_join(replace(parse_join(link), server=None))
    emil = person("emil")
    assert "--server" in emil.run("channel", "create", "x", code=2).sentence
    assert "--server" in emil.run("channel", "join", nowhere, code=2).sentence
    with ServerProcess(tmp_path / "other") as other:
        emil.run("--server", other.url, "channel", "create", "elsewhere")
        refused = emil.run("channel", "join", link, code=2).sentence
        here = other.url.removesuffix("/ws")
        there = parse_join(link).server
        assert there is not None
        assert here in refused
        assert f"--server {there.removesuffix('/ws')}." in refused
        emil.run("--server", there, "channel", "join", link)
        for line in (("send", "#elsewhere", "x"), ("channel", "leave", "elsewhere"), ("chat", "#elsewhere")):
            assert f"--server {here.partition('//')[2]}" in emil.run(*line, code=2).sentence
        emil.run("--server", other.url, "send", "#elsewhere", "nothing is lost")
    assert rows(emil, "history", "#elsewhere")[-1]["text"] == "nothing is lost"
    for line in (("topic", "elsewhere", "x"), ("invite", "elsewhere"), ("create", "y")):
        assert "cannot be reached" in emil.run("channel", *line, code=3).sentence
    assert "queued" in emil.run("send", "#elsewhere", "later", code=3).sentence
    assert emil.run("channel", "members", "elsewhere").out


def test_news_end(garden: tuple[Desk, Desk, Desk]) -> None:
    """Without a connection nothing is waited for."""
    _, bob, _ = garden

    async def leave(engine: Engine) -> None:
        with pytest.raises(NotConnected):
            await engine.leave("#garden")

    inside(bob, leave, connect=False)
