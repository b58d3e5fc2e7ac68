"""What every link does: one suite over the reference in memory and the real one by aiortc."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator

import pytest

from mobium.errors import CallError, ProtocolError
from mobium.media.description import Description, read, write
from mobium.media.link import IceServer, LinkMaker, MemoryNetwork
from tests.support.links import ANNA, BEN, Hearer, Slides, ice_on_loopback, joined, nothing_left, terms


@pytest.fixture(params=["memory", "aiortc"])
def make(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[LinkMaker]:
    """Links of either kind."""
    if request.param == "memory":
        yield MemoryNetwork().maker
        return
    pytest.importorskip("aiortc")
    from mobium.media.peer import RtcLink

    ice_on_loopback(monkeypatch)
    yield RtcLink


async def test_packets_arrive_with_numbers_that_grow(make: LinkMaker) -> None:
    async with nothing_left(), joined(make) as (one, first, other, second):
        for number in range(20):
            one.send(bytes([number]) * 80)
            other.send(bytes([100 + number]) * 80)
            await asyncio.sleep(0.005)
        for hearer, begin in ((second, 0), (first, 100)):
            await hearer.until(lambda hearer=hearer: len(hearer.packets) == 20)  # type: ignore[misc]
            numbers = [number for number, _ in hearer.packets]
            assert numbers == list(range(numbers[0], numbers[0] + 20))
            assert [packet for _, packet in hearer.packets] == [bytes([begin + n]) * 80 for n in range(20)]


async def test_a_silent_side_is_heard_all_the_same(make: LinkMaker) -> None:
    async with nothing_left(), joined(make) as (_, first, _, second):
        await first.until(lambda: first.signs >= 2)
        await second.until(lambda: second.signs >= 2)
        assert not first.packets


async def test_a_screen_is_shown_changed_taken_away_and_shown_again(make: LinkMaker) -> None:
    pytest.importorskip("av")
    async with nothing_left(), joined(make) as (one, first, other, second):
        one.show(Slides())
        await second.until(lambda: len(second.pictures) > 3)
        other.show(Slides(640, 360))  # both at once
        await first.until(lambda: len(first.pictures) > 3)
        one.show(Slides(160, 90))
        await second.until(lambda: (160, 90) in second.pictures)
        for _ in range(3):
            one.show(None)
            await asyncio.sleep(0.3)
            second.pictures.clear()
            one.show(Slides(count=20))
            await second.until(lambda: len(second.pictures) > 3)
        assert set(first.pictures) == {(640, 360)}


async def test_a_screen_that_ends_by_itself_ends_no_call(make: LinkMaker) -> None:
    pytest.importorskip("av")
    async with nothing_left(), joined(make) as (one, _, _, second):
        one.show(Slides(count=5))
        await second.until(lambda: len(second.pictures) >= 3)
        await asyncio.sleep(0.2)
        one.send(b"x" * 80)
        await second.until(lambda: second.packets)
        one.show(Slides())
        await second.until(lambda: len(second.pictures) > 8)


async def test_pictures_that_are_larger_than_any_screen_are_not_decoded(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Sixteen thousand pixels square take a gigabyte, and a few bytes to say."""
    pytest.importorskip("aiortc")
    from mobium.media.peer import RtcLink

    ice_on_loopback(monkeypatch)
    async with nothing_left(), joined(RtcLink) as (one, _, _, second):
        one.show(Slides(2_048, 1_152, count=10))
        await asyncio.sleep(1.5)
        assert not second.pictures
        one.show(Slides())
        await second.until(lambda: len(second.pictures) > 3)
        assert set(second.pictures) == {(320, 180)}


async def test_packets_before_the_connection_and_after_the_end_are_dropped(make: LinkMaker) -> None:
    async with nothing_left():
        hearer = Hearer()
        link = make(terms(), hearer)
        link.send(b"x")
        await link.offer()
        link.send(b"x")
        await link.close()
        link.send(b"x")
        assert not hearer.codes


@pytest.mark.parametrize("state", ["new", "offered", "answered", "connecting", "connected", "shown"])
async def test_closed_in_any_state_it_leaves_nothing(make: LinkMaker, state: str) -> None:
    async with nothing_left():
        first, second = Hearer(), Hearer()
        one, other = make(terms(), first), make(terms(BEN, ANNA), second)
        offer = answer = ""
        if state != "new":
            offer = await one.offer()
        if state not in {"new", "offered"}:
            answer = await other.answer(offer)
        if state not in {"new", "offered", "answered"}:
            await one.accept(answer)
        if state in {"connected", "shown"}:
            await first.until(lambda: first.is_connected)
        if state == "shown":
            pytest.importorskip("av")
            one.show(Slides())
            await second.until(lambda: second.pictures)
        async with asyncio.timeout(4):
            await asyncio.gather(one.close(), one.close(), other.close())
            await one.close()
        told = first.is_connected, first.codes, first.signs
        await asyncio.sleep(0.1)
        assert (first.is_connected, first.codes, first.signs) == told, "nobody is told anything afterwards"


@pytest.mark.parametrize("who", [0, 1])
@pytest.mark.parametrize("state", ["checking", "connecting", "connected"])
async def test_closed_in_the_middle_of_a_handshake_the_library_complains_of_nothing(
    monkeypatch: pytest.MonkeyPatch, who: int, state: str
) -> None:
    pytest.importorskip("aiortc")
    from mobium.media.peer import RtcLink

    ice_on_loopback(monkeypatch)
    async with nothing_left():
        links = RtcLink(terms(), Hearer()), RtcLink(terms(BEN, ANNA), Hearer())
        await links[0].accept(await links[1].answer(await links[0].offer()))
        inside = links[who]._inside
        assert inside is not None
        async with asyncio.timeout(5):
            while state not in {inside._dtls.state, inside._dtls.transport.state}:  # noqa: ASYNC110
                await asyncio.sleep(0)
        for link in (links[who], *links):
            await link.close()


@pytest.mark.parametrize("step", ["offer", "answer"])
async def test_given_up_while_it_is_described_it_leaves_nothing(make: LinkMaker, step: str) -> None:
    async with nothing_left():
        one, other = make(terms(), Hearer()), make(terms(BEN, ANNA), Hearer())
        offer = await one.offer() if step == "answer" else ""
        work = asyncio.ensure_future(other.answer(offer) if step == "answer" else one.offer())
        await asyncio.sleep(0)
        work.cancel()
        await asyncio.gather(work, return_exceptions=True)
        await asyncio.gather(one.close(), other.close())


async def test_one_side_that_goes_is_not_heard_any_more(make: LinkMaker) -> None:
    async with nothing_left(), joined(make) as (_, first, other, _):
        await first.until(lambda: first.signs)
        await other.close()
        signs = first.signs
        await asyncio.sleep(2.5)
        assert first.signs <= signs + 1


# ---------------------------------------------------------------- what must not connect


async def attempt(
    make: LinkMaker, tamper: object, ours: str = ANNA, theirs: str = BEN
) -> tuple[Hearer, Hearer]:
    """Two links whose descriptions are changed on the way; what became of them."""
    first, second = Hearer(), Hearer()
    one, other = make(terms(ours, theirs), first), make(terms(BEN, ANNA), second)
    try:
        answer = await other.answer(tamper("offer", await one.offer()))  # type: ignore[operator]
        await one.accept(tamper("answer", answer))  # type: ignore[operator]
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1.5):
                await first.until(lambda: first.is_connected and second.is_connected)
    finally:
        await asyncio.gather(one.close(), other.close())
    return first, second


async def test_a_certificate_of_another_call_does_not_connect(make: LinkMaker) -> None:
    """Somebody who passes on what he was told by a third connects the two, each taking the other for him."""
    async with nothing_left():
        first, second = await attempt(make, lambda _, text: text, ours="c" * 64)
        assert "forged" in second.codes
        first, second = await attempt(make, lambda _, text: text, theirs="c" * 64)
        assert "forged" in first.codes


@pytest.mark.parametrize("which", ["offer", "answer"])
async def test_another_fingerprint_does_not_connect(make: LinkMaker, which: str) -> None:
    def tamper(kind: str, text: str) -> str:
        given = read(text, kind)  # type: ignore[arg-type]
        if kind != which:
            return text
        return write(
            Description(given.ufrag, given.password, bytes(32), given.setup, given.candidates, given.ssrcs)
        )

    async with nothing_left():
        first, second = await attempt(make, tamper)
        assert not first.packets + second.packets


@pytest.mark.parametrize("text", ["", "v=0\r\n", "x" * 20_000])
async def test_what_is_no_description_is_refused(make: LinkMaker, text: str) -> None:
    async with nothing_left():
        link = make(terms(), Hearer())
        with pytest.raises(ProtocolError):
            await link.answer(text)
        await link.offer()
        with pytest.raises(ProtocolError):
            await link.accept(text)
        await link.close()


async def test_relay_only_without_a_relay_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("aiortc")
    from mobium.media.peer import RtcLink

    network = MemoryNetwork(relay=False)
    async with nothing_left():
        for make in (network.maker, RtcLink):
            link = make(terms(relay_only=True, servers=(IceServer("stun:127.0.0.1:9"),)), Hearer())
            with pytest.raises(CallError) as caught:
                await link.offer()
            assert caught.value.code == "no_relay"
            await link.close()
