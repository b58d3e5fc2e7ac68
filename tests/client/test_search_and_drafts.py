"""Messages are found by their words, drafts outlive a restart, and both are encrypted."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from mobium.client import Engine
from mobium.client.store import messages, peers
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput
from tests.support.channel_world import ChannelWorld
from tests.support.engines import PASSWORD, fast_vault, tx

pytestmark = pytest.mark.once

FRIEND = "ab" * 32


@pytest.fixture
async def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Engine]:
    fast_vault(monkeypatch)
    await Engine.create(tmp_path / "anna", PASSWORD)
    async with Engine.open(tmp_path / "anna", PASSWORD) as opened:
        yield opened


def _said(tx: Tx, *texts: str, kind: str = "text") -> list[int]:
    now = int(time.time())
    ed = bytes.fromhex(FRIEND)
    peer = peers.by_key(tx, ed) or peers.add(tx, ed, "request", now)
    first = messages.last_position(tx, peer.id)
    return [
        messages.add_incoming(tx, peer.id, (first + n).to_bytes(16, "big"), kind, text, now, now)
        for n, text in enumerate(texts)
    ]


async def found(engine: Engine, text: str, limit: int = 50) -> list[str | None]:
    return [message.text for message in await engine.search(text, limit)]


async def test_words_are_found_from_their_beginning_whatever_their_case_and_accents(engine: Engine) -> None:
    await tx(engine, _said, "Die Bohnen sind gepflanzt", "Grüße aus Köln", "beans and bones", "שלום עולם")
    assert await found(engine, "BOHN") == ["Die Bohnen sind gepflanzt"]
    assert await found(engine, "grusse kol") == []  # ß is no accent
    assert await found(engine, "gruße kol") == ["Grüße aus Köln"]
    assert await found(engine, "bo") == ["beans and bones", "Die Bohnen sind gepflanzt"]
    assert await found(engine, "bo", 1) == ["beans and bones"]
    assert await found(engine, "bones beans") == ["beans and bones"]
    assert await found(engine, "עולם") == ["שלום עולם"]


@pytest.mark.parametrize("text", ["", "  ", '"', "*", "-", "()", "\x00", "…"])
async def test_what_holds_no_word_finds_nothing(engine: Engine, text: str) -> None:
    await tx(engine, _said, "some words")
    assert await found(engine, text) == []


@pytest.mark.parametrize(
    "text", ['some" OR "x', "some AND words", "text:some", "NOT some", "some NEAR words", "s^ome"]
)
async def test_nothing_that_is_typed_is_a_command_of_the_index(engine: Engine, text: str) -> None:
    await tx(engine, _said, "some words and more, near or not, text and ome s x")
    assert await found(engine, text) == ["some words and more, near or not, text and ome s x"]


async def test_only_what_is_shown_is_found_and_what_is_deleted_is_not(engine: Engine) -> None:
    await tx(engine, lambda tx: _said(tx, "hidden treasure", kind="unknown"))
    (row,) = await tx(engine, _said, "open treasure")
    assert await found(engine, "treasure") == ["open treasure"]
    await tx(engine, lambda tx: tx.execute("UPDATE message SET text = 'open sea' WHERE id = ?", row))
    assert await found(engine, "treasure") == []
    await tx(engine, lambda tx: tx.execute("UPDATE message SET kind = 'text' WHERE kind = 'unknown'"))
    assert await found(engine, "treasure") == ["hidden treasure"]
    await engine.drafts.put(FRIEND, "what I wanted to say")
    await engine.contacts.decline(FRIEND)
    assert await found(engine, "sea") == []
    assert await engine.drafts.all() == {}
    await tx(engine, lambda tx: tx.execute("INSERT INTO words (words) VALUES ('integrity-check')"))


async def test_drafts_outlive_the_engine_and_lie_encrypted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fast_vault(monkeypatch)
    await Engine.create(tmp_path / "anna", PASSWORD)
    async with Engine.open(tmp_path / "anna", PASSWORD) as engine:
        await tx(engine, _said, "extraordinary words")
        await engine.drafts.put(FRIEND, "an unfinished sentence")
        await engine.drafts.put(f"#{FRIEND}", "to a channel")
        await engine.drafts.put(f"#{FRIEND}", "")
    async with Engine.open(tmp_path / "anna", PASSWORD) as engine:
        assert await engine.drafts.all() == {FRIEND: "an unfinished sentence"}
    files = b"".join(file.read_bytes() for file in (tmp_path / "anna").rglob("*") if file.is_file())
    assert b"unfinished" not in files
    assert b"extraordinary" not in files


@pytest.mark.parametrize(
    ("target", "text"),
    [("bert", "x"), ("#garden", "x"), ("AB" * 32, "x"), (FRIEND, "x" * 1_048_577), (FRIEND, "\ud800")],
)
async def test_a_draft_that_cannot_be_is_refused(engine: Engine, target: str, text: str) -> None:
    with pytest.raises(InvalidInput):
        await engine.drafts.put(target, text)


async def test_of_a_channel_that_is_forgotten_no_draft_is_kept(town: ChannelWorld) -> None:
    anna = await town.engine("anna")
    garden, shed = [await anna.create_channel(name) for name in ("garden", "shed")]
    for channel in (garden, shed):
        await anna.drafts.put(f"#{channel.id}", "what I wanted to say")
    await anna.leave("#garden")
    await anna.channels.forget("#garden")
    assert await anna.drafts.all() == {f"#{shed.id}": "what I wanted to say"}
