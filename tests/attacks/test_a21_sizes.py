"""A21: what the sizes and numbers of frames tell about texts and words: the bucket, and nothing else
(docs/CRYPTO.md section 5). Voice and its silences: test_a21_voice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import AsyncIterator
from pathlib import Path
from secrets import randbelow

import pytest

from mobium._pure.ratchet import Ratchet
from mobium.client.store.database import Tx
from mobium.client.transport import dial
from mobium.errors import PaddingError
from mobium.protocol import codec
from mobium.protocol import messages as m
from tests.attacks.people import Person, Scene, acquainted
from tests.support.engines import World, settle, tx, until
from tests.support.server import server

SHORT = ["y", "yes", "no", "a much longer sentence", "日本語のテキスト", "🙂", "x" * 380]
LONG = ["x" * 460, "y" * 700, "z" * 930]
Shape = Counter[tuple[str, int]]


async def shape_of(
    scene: Scene, writer: Person, reader: Person, text: str, until: str = "delivered"
) -> Shape:
    """The frames between the two and the server for one text and its receipt: whose, which way, how long."""
    server, names = scene.server, {writer.key: "writer", reader.key: "reader"}
    marks = len(server.arrived), len(server.left)
    await writer.says(reader, text, until)
    if until == "delivered":
        await server.drained(writer.key)
        await server.drained(reader.key)
        # The reader's client is told that its receipt was taken; a ping behind it has to wait for that.
        await server.until(lambda: len(server.left) >= marks[1] + 4, "four frames")
    up = [(f"{names[who]} up", len(frame)) for who, frame in server.arrived[marks[0] :]]
    down = [(f"{names[who]} down", len(frame)) for who, frame in server.left[marks[1] :]]
    return Counter(up + down)


async def talking(scene: Scene) -> tuple[Person, Person]:
    alice, bob = await scene.pair()
    await alice.says(bob, "hello", "delivered")
    await bob.says(alice, "hello too", "delivered")
    await alice.says(bob, "established", "delivered")
    for person in (alice, bob):
        await scene.server.drained(person.key)
    await scene.server.until(lambda: len(scene.server.sent) == 6, "three texts and three receipts")
    return alice, bob


async def test_texts_of_one_bucket_look_alike(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await talking(scene)
        shapes = {text: await shape_of(scene, alice, bob, text) for text in SHORT}
        assert len(set(map(str, shapes.values()))) == 1, shapes
        [shape] = {str(shape): shape for shape in shapes.values()}.values()
        assert (
            sum(shape.values()) == 8
        )  # text, answer, delivery, acknowledgement; and the same for the receipt
        longer = {text: await shape_of(scene, alice, bob, text) for text in LONG}
        assert len(set(map(str, longer.values()))) == 1, longer
        # Only the bucket differs, on the way there and on the way on.
        [long] = {str(shape): shape for shape in longer.values()}.values()
        grown = sorted((long - shape).elements()), sorted((shape - long).elements())
        # MessagePack writes the length of either in two bytes.
        assert [size for _, size in grown[0]] == [size + 512 for _, size in grown[1]]
        assert [who for who, _ in grown[0]] == ["reader down", "writer up"]


async def test_a_receipt_looks_like_a_short_text(folder: Path) -> None:
    async with Scene(folder) as scene:
        alice, bob = await talking(scene)
        text = await alice.says(bob, "a text", "delivered")
        assert text
        sizes = {len(envelope.payload) for envelope in scene.server.sent[-2:]}
        assert {envelope.sender for envelope in scene.server.sent[-2:]} == {alice.key, bob.key}
        assert sizes == {512 + 57}


async def test_first_messages_look_alike(folder: Path) -> None:
    async with Scene(folder) as scene:
        bob = await scene.person("bob")
        sizes = set()
        for number, text in enumerate(SHORT):
            friend = await scene.person(f"friend {number}")
            await acquainted(friend, bob)
            await friend.says(bob, text)
            frames = [frame for who, frame in scene.server.arrived if who == friend.key]
            [frame] = [each for each in frames if isinstance(codec.decode_client(each), m.SendMessage)]
            sizes.add(len(frame))
        assert len(sizes) == 1


def bare(plaintext: bytes) -> bytes:
    return len(plaintext).to_bytes(4, "big") + bytes(4) + plaintext


async def test_without_padding_each_length_shows(
    folder: Path, pure_kernel: type[Ratchet], monkeypatch: pytest.MonkeyPatch
) -> None:
    async with Scene(folder) as scene:
        alice, bob = await talking(scene)
        scene.server.cheat.forward = lambda _: ()  # nobody could open it
        monkeypatch.setattr("mobium._pure.ratchet.pad", bare)  # the defence, off
        shapes = [str(await shape_of(scene, alice, bob, text, "sent")) for text in SHORT]
        lengths = {len(text.encode()) for text in SHORT}
        assert len(set(shapes)) == len(lengths) > 4


def test_what_is_larger_than_the_largest_bucket_is_an_error(kernel: type[Ratchet]) -> None:
    state = kernel.initiate(bytes(range(32)), bytes([9]) + bytes(31), b"", bytes(range(32)))
    with pytest.raises(PaddingError):
        state.encrypt(bytes((4 << 20) - 23), bytes(16))


# ---------------------------------------------------------------- on a real wire


class Tap:
    """A wire between clients and a server on which every byte is counted, by connection and way."""

    def __init__(self) -> None:
        self.counts: list[list[int]] = []

    @contextlib.asynccontextmanager
    async def into(self, port: int) -> AsyncIterator[int]:
        listener = await asyncio.start_server(lambda r, w: self._carry(r, w, port), "127.0.0.1", 0)
        async with listener:
            yield listener.sockets[0].getsockname()[1]

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, port: int) -> None:
        counts = [0, 0]
        self.counts.append(counts)
        there_reader, there_writer = await asyncio.open_connection("127.0.0.1", port)

        async def pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, way: int) -> None:
            with contextlib.suppress(ConnectionError):
                while data := await source.read(65_536):
                    counts[way] += len(data)
                    sink.write(data)
                    await sink.drain()
            sink.close()

        await asyncio.gather(pump(reader, there_writer, 0), pump(there_reader, writer, 1))


async def bytes_for(folder: Path, texts: list[str]) -> list[list[int]]:
    """The bytes that each of two clients sent and received from its login to its end, for a conversation."""
    tap = Tap()
    async with (
        server(folder, ws_ping_interval=3_600.0) as running,
        tap.into(running.port) as port,
        World(folder, dial, f"ws://127.0.0.1:{port}/ws") as world,
    ):
        alice = await world.engine("alice")
        await settle(alice)
        bob = await world.engine("bob")
        await settle(bob)
        await alice.contacts.add(bob.me)
        await bob.contacts.add(alice.me)
        for text in texts:
            for one, other in ((alice, bob), (bob, alice)):
                await one.wait(await one.send(other.me, text), "delivered", 15)
        for engine in (bob, alice):
            await until(lambda engine=engine: tx(engine, nothing_waits))  # type: ignore[misc]
            await engine.disconnect()
    return tap.counts


def nothing_waits(tx: Tx) -> bool:
    return tx.one("SELECT 1 FROM outbox UNION SELECT 1 FROM receipt") is None


async def test_every_byte_of_a_conversation_is_counted_the_same(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # MessagePack writes small numbers shorter, and a prekey's id is random.
    monkeypatch.setattr("mobium.crypto.prekeys.secrets.randbelow", lambda n: n // 2 + randbelow(n // 2))
    counts = []
    for number, texts in enumerate((["y"] * 5, ["x" * 380] * 5, SHORT[:5])):
        (folder / str(number)).mkdir()
        counts.append(await bytes_for(folder / str(number), texts))
    assert counts[0] == counts[1] == counts[2]
    assert min(map(min, counts[0])) > 20 * 512 / 4
