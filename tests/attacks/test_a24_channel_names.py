"""A24 in channels: control characters and bidi tricks in names, topics and what members call themselves; a
name that looks like another channel's label, or like an id.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from mobium.client import labels
from mobium.client.store import meta
from mobium.crypto import invite
from mobium.text import misleads
from tests.attacks.people import Person, Scene
from tests.attacks.rooms import Room, gather
from tests.support.engines import tx

pytestmark = pytest.mark.once

HOSTILE = (
    "a\0b", "a\nb", "a\x1b[2Jb", "a\x9b31mb", "\u202egpj.exe", "a\u2066b\u2069", "a\u200fb", "\u0301a",
    "a  b", "a\u00a0b", "a\u2028b", "\ufeffa", "\u3164a", "x\U000e0100", "\ue000a",
)  # fmt: skip
NAMELESS = ("\u200b\u200b", "\u202e", "\n", "\u3164")


async def hostile_room(scene: Scene, monkeypatch: pytest.MonkeyPatch, name: str, *people: Person) -> Room:
    """A channel of the first, whose client seals any name and topic."""
    with monkeypatch.context() as patch:
        for module in ("mobium.crypto.invite", "mobium.client.channels"):
            patch.setattr(f"{module}.check_names", lambda name, topic="": (name, topic))
        return await gather(scene, name=name, people=people)


@pytest.mark.parametrize("name", [*HOSTILE, *NAMELESS])
async def test_a_name_that_misleads_is_shown_harmlessly_or_not_at_all(
    name: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        mallory, bob = await scene.person("mallory"), await scene.person("bob")
        await tx(mallory.engine, meta.put, "name", name)
        room = await hostile_room(scene, monkeypatch, name, mallory, bob)
        await room.told(mallory, "hello", bob)
        seen = await room.at(bob)
        [other] = [each for each in await bob.engine.members(room.name) if not each.me]
        for shown in (seen.name, seen.topic, seen.label, other.name):
            assert not misleads(shown), ascii(shown)
            assert shown == shown.strip()
        if name in NAMELESS:
            assert (seen.name, seen.label) == ("", f"#{room.id.hex()}")
        assert (await bob.engine.channels.get(seen.label)).id == room.id.hex()
        await room.told(bob, "hello too", mallory)


async def test_without_the_cleaning_a_name_turns_around(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(invite, "cleaned", lambda text: text)  # the defence, off
    async with Scene(folder) as scene:
        mallory, bob = await scene.person("mallory"), await scene.person("bob")
        room = await hostile_room(scene, monkeypatch, "\u202egpj.exe", mallory, bob)
        assert misleads((await room.at(bob)).label)


TILDES = ("~", "\uff5e", "\u223c", "\u02dc", "\u301c")


async def imitated(scene: Scene, monkeypatch: pytest.MonkeyPatch, mark: str) -> tuple[Person, Room, Room]:
    """A channel "garden" of Alice's with Bob, and one of Mallory's that is named like its longer label."""
    alice, bob, mallory = [await scene.person(name) for name in ("alice", "bob", "mallory")]
    honest = await gather(scene, people=[alice, bob])
    false = await hostile_room(
        scene, monkeypatch, f"garden{mark}{honest.id.hex()[:4]}", mallory, bob
    )  # fmt: skip
    return bob, honest, false


@pytest.mark.parametrize("mark", TILDES)
async def test_a_name_that_looks_like_anothers_label(
    mark: str, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        bob, honest, false = await imitated(scene, monkeypatch, mark)
        label = (await false.at(bob)).label
        assert label.endswith(f"~{false.id.hex()[:4]}")
        assert (await bob.engine.channels.get(label)).id == false.id.hex()
        for written in ("#garden", f"#garden~{honest.id.hex()[:4]}"):
            assert (await bob.engine.channels.get(written)).id == honest.id.hex()


async def test_without_the_digits_a_name_is_anothers_label(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(labels, "_MARKS", labels._HEX_ID)  # the defence, off
    async with Scene(folder) as scene:
        bob, honest, false = await imitated(scene, monkeypatch, "\u223c")
        assert (await false.at(bob)).label == f"#garden\u223c{honest.id.hex()[:4]}"


@pytest.mark.parametrize("wide", [False, True])
async def test_a_name_that_looks_like_anothers_id(
    wide: bool, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        alice, bob, mallory = [await scene.person(name) for name in ("alice", "bob", "mallory")]
        honest = await gather(scene, people=[alice, bob])
        name = honest.id.hex()
        if wide:  # as many as fit in a name
            name = "".join(chr(ord(digit) + 0xFEE0) for digit in name)[:42]
        false = await hostile_room(scene, monkeypatch, name, mallory, bob)
        label = (await false.at(bob)).label
        assert label != f"#{honest.id.hex()}"
        assert (await bob.engine.channels.get(label)).id == false.id.hex()
        assert (await bob.engine.channels.get(honest.name)).id == honest.id.hex()
        sent = await bob.engine.send(honest.name, "to Alice")
        await bob.engine.wait(sent, "sent", timeout=15)
        await honest.hear("to Alice", alice)
