"""A19, with requests that are small and cost much: pages of a history, of a roster and of channels, and
publications of prekeys. They count by what they cost, so that a rate bounds the work (docs/PROTOCOL.md,
Limits).
"""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path

import pytest

from mobium.protocol import messages as m
from mobium.protocol.limits import KEM_ONE_TIME_STOCK, ONE_TIME_STOCK
from mobium.protocol.roster import Kind
from mobium_server import hub
from mobium_server.limits import Rate
from tests.support.channels import Room, append, begin, sealed, tell
from tests.support.engines import PATIENCE
from tests.support.server import Client, Person, client, publication, server

pytestmark = [pytest.mark.once, pytest.mark.xdist_group("pages")]

ENTRIES = 300
BURST = 20
RATE = Rate(0.001, BURST)
"""So few a second that what a burst does not hold is refused."""

Ask = Callable[[Client, int], Awaitable[None]]


async def fill(folder: Path) -> tuple[Person, Room]:
    """A channel with a long history and a long roster, and its owner, who is in as many channels."""
    async with server(folder) as running, client(running.url) as anna:
        room = await begin(anna)
        for _ in range(ENTRIES):
            await tell(anna, room)
        for _ in range(ENTRIES):
            await append(anna, room, room.make(anna.person, Kind.NAMES, data=sealed()))
        for _ in range(ENTRIES - 1):
            await begin(anna)
        return anna.person, room


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Person, Room]:
    """A server's folder, filled once, in a thread where no loop runs."""
    folder = tmp_path_factory.mktemp("filled")
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(1) as pool:
        patch.setattr("mobium_server.channels.CREATIONS", ENTRIES)  # which take her two weeks
        person, room = pool.submit(lambda: asyncio.run(fill(folder))).result()
    return folder, person, room


@pytest.fixture
def filled(made: tuple[Path, Person, Room], tmp_path: Path) -> tuple[Person, Room]:
    """The owner and the channel; `tmp_path` is a copy of the server's folder."""
    folder, person, room = made
    shutil.copytree(folder, tmp_path, dirs_exist_ok=True)
    return person, room


async def work(folder: Path, person: Person, ask: Ask) -> int:
    """How much the server does for somebody who asks 40 times, one after the other: entries and statements
    that it reads, and keys that it stores.
    """
    done = 0
    async with (
        server(folder, rate_general=RATE) as running,
        client(running.url, person, publish=False) as greedy,
    ):
        for number in range(2 * BURST):
            await ask(greedy, number)
            answer = await greedy.receive()
            if isinstance(answer, m.History):
                done += len(answer.entries)
            elif isinstance(answer, m.RosterPage):
                done += len(answer.statements)
            elif isinstance(answer, m.Channels):
                done += len(answer.channels)
            elif isinstance(answer, m.PrekeyCount):
                done += ONE_TIME_STOCK + KEM_ONE_TIME_STOCK
            else:
                assert isinstance(answer, m.Error)
                assert answer.code == "rate_limited"
    return done


async def at_once(folder: Path, person: Person, room: Room, patience: float, enough: int) -> int:
    """How many entries the server reads for somebody who asks for a page 20 times before it looks at the
    first: until that is `enough`, or nothing more has come for `patience` seconds.
    """
    done = 0
    async with (
        server(folder, rate_general=RATE) as running,
        client(running.url, person, publish=False) as greedy,
    ):
        greedy.send_late(*[m.GetHistory(room.id, 0, 500)] * BURST)
        with suppress(TimeoutError):
            while done < enough:
                async with asyncio.timeout(patience):
                    answer = await greedy.receive()
                assert isinstance(answer, m.History)
                done += len(answer.entries)
    return done


def history(room: Room) -> Ask:
    """Asks for the first page of the history."""
    return lambda one, _: one.send(m.GetHistory(room.id, 0, 500))


def roster(room: Room) -> Ask:
    """Asks for the first page of the roster."""
    return lambda one, _: one.send(m.GetMembers(room.id, 0))


async def publishes(one: Client, number: int) -> None:
    """Puts new one-time prekeys in the place of all that there were."""
    await one.send(publication(ONE_TIME_STOCK, KEM_ONE_TIME_STOCK, 10 + 1_000 * number, reset=True))


@pytest.mark.parametrize("pages", [history, roster])
async def test_pages_count_by_what_is_on_them(
    tmp_path: Path, filled: tuple[Person, Room], pages: Callable[[Room], Ask]
) -> None:
    person, room = filled
    read = await work(tmp_path, person, pages(room))
    print(f"{read} entries read")
    assert ENTRIES <= read <= (BURST / 4 + 1) * 2 * (ENTRIES + 1)


@pytest.mark.parametrize("pages", [history, roster])
async def test_without_their_cost_a_page_is_as_cheap_as_a_ping(
    tmp_path: Path,
    filled: tuple[Person, Room],
    monkeypatch: pytest.MonkeyPatch,
    pages: Callable[[Room], Ask],
) -> None:
    person, room = filled
    monkeypatch.setattr(hub, "answer_cost", lambda _: 0)  # the defence, off
    assert await work(tmp_path, person, pages(room)) >= BURST * ENTRIES


async def lists(one: Client, _: int) -> None:
    """Asks for the list of channels."""
    await one.send(m.GetChannels())


async def test_lists_of_channels_count_by_what_is_on_them(
    tmp_path: Path, filled: tuple[Person, Room]
) -> None:
    read = await work(tmp_path, filled[0], lists)
    print(f"{read} channels read")
    assert ENTRIES <= read <= (BURST / 4 + 1) * ENTRIES


async def test_without_their_cost_a_list_is_as_cheap_as_a_ping(
    tmp_path: Path, filled: tuple[Person, Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "answer_cost", lambda _: 0)  # the defence, off
    assert await work(tmp_path, filled[0], lists) == BURST * ENTRIES


async def test_pages_that_are_asked_for_all_at_once_count_no_less(
    tmp_path: Path, filled: tuple[Person, Room]
) -> None:
    person, room = filled
    read = await at_once(tmp_path, person, room, 2.0, BURST * ENTRIES)
    print(f"{read} entries read")
    assert ENTRIES <= read <= (BURST / 4 + 1) * 2 * (ENTRIES + 1)


async def test_if_nobody_waits_until_they_are_paid_they_do(
    tmp_path: Path, filled: tuple[Person, Room], monkeypatch: pytest.MonkeyPatch
) -> None:
    person, room = filled
    monkeypatch.setattr(hub.Hub, "owes", lambda _hub, _desk: 0.0)  # the defence, off
    assert await at_once(tmp_path, person, room, PATIENCE, BURST * ENTRIES) >= BURST * ENTRIES


async def test_publications_count_by_their_keys(tmp_path: Path) -> None:
    stored = await work(tmp_path, Person(), publishes)
    assert 0 < stored <= (BURST / 7) * (ONE_TIME_STOCK + KEM_ONE_TIME_STOCK)


async def test_without_their_cost_a_publication_is_as_cheap_as_a_ping(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(hub, "request_cost", lambda _: 1)  # the defence, off
    assert await work(tmp_path, Person(), publishes) == BURST * (ONE_TIME_STOCK + KEM_ONE_TIME_STOCK)
