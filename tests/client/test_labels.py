"""What channels are called here: names, labels that are nobody else's, and what a person may write."""

from __future__ import annotations

import pytest

from mobium.client import Engine
from mobium.client.labels import is_channel, name_key
from mobium.client.store import channels, peers
from mobium.client.store.database import Tx
from mobium.errors import InvalidInput
from tests.support.channel_world import ChannelWorld, enter, everything, row_of, said, shows
from tests.support.engines import World, tx

pytestmark = pytest.mark.once


def put(tx: Tx, key: bytes, name: str, state: str = "member") -> str:
    """A channel of any name, as hostile members can seal one."""
    row = channels.add(tx, key, "server.test", True, None, 1)
    return channels.update(tx, row.id, name=name, name_key=name_key(name), state=state).hex


async def labels_of(world: World, *named: tuple[bytes, str]) -> tuple[Engine, list[str]]:
    engine = await world.engine("alice", connect=False)
    for key, name in named:
        await tx(engine, put, key, name)
    return engine, [channel.label for channel in await engine.channels.list()]


A, B, C = b"\xab\xcd\x01" + bytes(29), b"\xab\xcd\x02" + bytes(29), b"\xcd" + bytes(31)


async def test_a_name_alone_is_a_label_while_it_is_the_only_one(world: World) -> None:
    _, labels = await labels_of(world, (A, "garden"), (C, "Orchard"))
    assert labels == ["#garden", "#Orchard"]


async def test_equal_names_are_told_apart_by_as_many_digits_as_that_takes(world: World) -> None:
    alice, labels = await labels_of(world, (A, "garden"), (B, "GARDEN"), (C, "ｇａｒｄｅｎ"))
    assert labels == [f"#garden~{A.hex()[:6]}", f"#GARDEN~{B.hex()[:6]}", f"#ｇａｒｄｅｎ~{C.hex()[:4]}"]
    for key, label in zip((A, B, C), labels, strict=True):
        for written in (label, label.upper(), f" {label} ", label.removeprefix("#"), f"#{key.hex()}"):
            assert (await alice.channels.get(written)).id == key.hex(), written
    with pytest.raises(InvalidInput, match="several channels") as caught:
        await alice.channels.get("#Garden")
    assert labels[0] in str(caught.value)
    with pytest.raises(InvalidInput, match="several"):
        await alice.channels.get("#garden~abcd")


@pytest.mark.parametrize(
    "written", ["", "#", "nothing", "#nothing", "#garden~ffff", "#~", "##", "#" + "0" * 64, "#a\nb\u202e"]
)
async def test_what_names_no_channel_is_refused_in_a_sentence(world: World, written: str) -> None:
    alice, _ = await labels_of(world, (A, "garden"))
    before = await everything(alice)
    for work in (
        alice.channels.get, alice.members, alice.leave, alice.invite, alice.channels.banned,
        alice.channels.renew, alice.channels.forget, alice.channels.invites,
    ):  # fmt: skip
        with pytest.raises(InvalidInput) as caught:
            await work(written)
        said = str(caught.value)
        assert said.startswith("There is no channel “#")
        assert said.endswith("” in this profile.")
        assert said.isprintable()
    assert await everything(alice) == before


async def test_what_is_no_text_names_no_channel(world: World) -> None:
    alice, _ = await labels_of(world, (A, "garden"))
    for wrong in (None, 5, A, ["#garden"]):
        assert not is_channel(wrong)
        with pytest.raises(InvalidInput, match="is named by"):
            await alice.channels.get(wrong)  # type: ignore[arg-type]


async def test_a_name_that_imitates_a_label_or_an_id_does_not_stand_for_another(world: World) -> None:
    imitation = f"garden~{A.hex()[:4]}"
    alice, labels = await labels_of(world, (A, "garden"), (B, imitation), (C, A.hex()))
    assert labels == ["#garden", f"#{imitation}~{B.hex()[:4]}", f"#{A.hex()}~{C.hex()[:4]}"]
    for written, key in (
        ("#garden", A),
        (f"#{A.hex()}", A),
        (f"#{imitation}", A),
        (labels[1], B),
        (labels[2], C),
    ):
        assert (await alice.channels.get(written)).id == key.hex(), written


async def test_every_label_names_its_channel_however_hostile_the_name(world: World) -> None:
    names = [
        "#x",
        "x",
        "a~",
        "~",
        "a~b",
        "a",
        "mobium://join/x",
        "~~",
        "A~B",
        "ß",
        "ss",
        "İ",
        "i̇",
        "#",
        "ab~cd~",
    ]
    keys = [bytes([n, 1]) + bytes(30) for n in range(len(names))]
    alice, labels = await labels_of(world, *zip(keys, names, strict=True))
    assert len(set(labels)) == len(labels)
    for key, label in zip(keys, labels, strict=True):
        assert (await alice.channels.get(label)).id == key.hex(), label


async def test_a_channel_that_was_left_does_not_stand_in_the_way(world: World) -> None:
    alice, _ = await labels_of(world)
    await tx(alice, put, A, "garden", "left")
    assert (await alice.channels.get("#garden")).id == A.hex()
    await tx(alice, put, B, "garden")
    assert (await alice.channels.get("#garden")).id == B.hex()


async def test_a_channel_without_a_name_is_called_by_its_id(world: World) -> None:
    _, labels = await labels_of(world, (A, ""), (B, ""))
    assert labels == [f"#{A.hex()}", f"#{B.hex()}"]


async def test_an_old_nickname_that_begins_with_a_number_sign_is_no_channel(town: ChannelWorld) -> None:
    """Nobody can choose such a nickname any more; one from before is reached by its key."""
    alice, bob = await town.gather("alice", "bob")

    def rename(tx: Tx) -> None:
        peer = peers.by_key(tx, bytes.fromhex(bob.me))
        assert peer is not None
        peers.update(tx, peer, relation="contact", nickname="#garden", nickname_key=name_key("#garden"))

    await tx(alice, rename)
    await said(alice, "to all")
    await shows(bob, ["to all"])
    with pytest.raises(InvalidInput, match="look like a key, a link or a channel"):
        await alice.contacts.rename(bob.me, "#other")
    assert (await alice.members("#garden"))[1].nickname == "#garden"


async def test_two_channels_of_one_name_go_on_side_by_side(town: ChannelWorld) -> None:
    alice, bob = await town.people("alice", "bob")
    first = await enter(alice, bob)
    second = await enter(alice, bob)
    with pytest.raises(InvalidInput, match="several"):
        await alice.send("#garden", "to which?")
    for number, channel in enumerate((first, second)):
        label = (await alice.channels.get(f"#{channel}")).label
        assert label == f"#garden~{channel[:4]}"
        await said(alice, str(number), label)
        await shows(bob, [str(number)], f"#{channel}")
    await alice.rename(f"#{second}", "orchard")
    assert [channel.label for channel in await alice.channels.list()] == ["#garden", "#orchard"]
    assert "secret" not in repr(await row_of(alice, first))
