"""The figures: they agree with what is there, cost nobody time, and Prometheus reads them."""

from __future__ import annotations

import asyncio
import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.parser import text_string_to_metric_families

from mobium_server import survey
from mobium_server.stats import BOUNDS, RECENT, Durations
from mobium_server.storage import tally
from mobium_server.storage.base import NewMessage, Storage, Taken, Unavailable, Volume
from mobium_server.storage.memory import MemoryStorage
from mobium_server.storage.sqlite import SqliteStorage
from mobium_server.survey import Survey
from tests.server.test_storage import ANNA, BEN, CARL, NOW, message, publication
from tests.support.channels import begin, tell
from tests.support.office import Jobs
from tests.support.raw import request
from tests.support.server import client, randomness, schedules, server
from tests.support.vfs import disk

TOKEN = "t" * 24
ALLOWED = {"Authorization": f"Bearer {TOKEN}"}


# ---------------------------------------------------------------- what waits


@pytest.fixture(params=["memory", "sqlite"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Storage]:
    one: Storage = MemoryStorage(40) if request.param == "memory" else SqliteStorage(tmp_path / "m.db", 40)
    one.open()
    for identity in (ANNA, BEN, CARL):
        one.publish(identity, publication(), NOW)
    yield one
    one.close()


def waits(storage: Storage) -> tuple[int, int, int, int]:
    """Messages, their bytes, mailboxes and the depth of the deepest."""
    found = storage.volume()
    while not found.complete:
        found = storage.volume()
    return found[:4]


def test_the_volume_is_what_is_there(storage: Storage) -> None:
    assert waits(storage) == (0, 0, 0, 0)
    first = storage.apply([message(1, BEN), message(2, BEN), message(3, CARL)], [], NOW)
    assert waits(storage) == (3, 0, 2, 2)
    # What comes again is there once; what is refused is not.
    storage.apply([message(1, BEN), message(4, CARL, content=b"12345"), message(5, b"n" * 32)], [], NOW)
    assert waits(storage) == (4, 5, 2, 2)
    [seq, *_] = [seq for seq in first if isinstance(seq, int)]
    storage.apply([], [Taken(seq, BEN, ANNA), Taken(seq, BEN, ANNA)], NOW)
    assert waits(storage) == (3, 5, 2, 2)
    storage.expire(NOW, 100)
    assert waits(storage) == (0, 0, 0, 0)


def counted(storage: SqliteStorage) -> tuple[int, int, int, int]:
    """The same by counting all rows."""
    rows = storage.connection.execute(
        "SELECT count(*), coalesce(sum(length(payload)), 0), count(DISTINCT mailbox) FROM messages"
    ).fetchone()
    deepest = storage.connection.execute(
        "SELECT max(n) FROM (SELECT count(*) AS n FROM messages GROUP BY mailbox)"
    ).fetchone()[0]
    return (*rows, deepest or 0)


def turn(storage: SqliteStorage, rng: random.Random) -> None:
    """Something happens to the mailboxes."""
    if rng.random() < 0.3:
        storage.expire(rng.randrange(NOW), rng.randrange(1, 5))
        return
    inserts = {
        (recipient, number): NewMessage(recipient, ANNA, number.to_bytes(16, "big"), bytes(rng.randrange(50)))
        for _ in range(rng.randrange(6))
        for recipient, number in [(rng.choice([ANNA, BEN, CARL]), rng.randrange(30))]
    }
    rows = storage.connection.execute("SELECT seq FROM messages").fetchall()
    deletes = [Taken(seq, BEN, ANNA) for (seq,) in rng.sample(rows, min(len(rows), rng.randrange(4)))]
    storage.apply(list(inserts.values()), deletes, rng.randrange(NOW))


def test_what_happens_while_it_is_counted_is_counted_once(
    tmp_path: Path, seed: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tally, "STEP", 3)
    for schedule in range(schedules()):
        rng = randomness(seed, schedule)
        path = tmp_path / f"{schedule}.db"
        storage = SqliteStorage(path, 1_000)
        storage.open()
        for identity in (ANNA, BEN, CARL):
            storage.publish(identity, publication(), NOW)
        for _ in range(rng.randrange(12)):
            turn(storage, rng)
        storage.close()
        storage = SqliteStorage(path, 1_000)
        storage.open()
        complete = False
        while not complete:
            complete = storage.volume().complete
            turn(storage, rng)
        assert waits(storage) == counted(storage), f"schedule {schedule} of seed {seed}"
        storage.close()


def test_what_was_not_committed_does_not_count(tmp_path: Path) -> None:
    with disk() as watched:
        storage = SqliteStorage(tmp_path / "m.db", 1_000, watched.connect)
        storage.open()
        storage.publish(BEN, publication(), NOW)
        storage.apply([message(1, content=b"abc")], [], NOW)
        watched.full = True
        with pytest.raises(Unavailable):
            storage.apply([message(2)], [Taken(1, BEN, ANNA)], NOW)
        assert waits(storage) == (1, 3, 1, 1)
        watched.full = False
        # The number that was not used is given now.
        assert storage.apply([message(2, content=b"de")], [], NOW) == [2]
        assert waits(storage) == (2, 5, 1, 2) == counted(storage)
        storage.close()


# ---------------------------------------------------------------- the survey


class Counting:
    """A storage that says how often it was asked."""

    def __init__(self, steps: int) -> None:
        self.left = steps
        self.asked = 0

    def volume(self) -> Volume:
        self.asked += 1
        self.left -= 1
        return Volume(self.asked, 0, 0, 0, 0, 0, 0, complete=self.left <= 0)


def test_a_survey_counts_to_the_end_and_then_rests() -> None:
    now = 100.0
    storage, jobs = Counting(3), Jobs()
    one = Survey(storage, jobs, lambda: now)  # type: ignore[arg-type]

    def settle() -> None:
        while jobs.execute() or jobs.report():
            pass

    assert not one.volume.complete
    settle()
    assert (storage.asked, one.volume.messages, one.volume.complete) == (3, 3, True)
    for _ in range(5):
        one.refresh()
    settle()
    assert storage.asked == 3
    now += survey.FRESH
    for _ in range(5):  # while it looks, nothing more is asked
        one.refresh()
    settle()
    assert (storage.asked, one.volume.messages) == (4, 4)
    now += survey.FRESH
    one.refresh()
    jobs.execute(fail=True)
    settle()
    assert one.volume.messages == 4  # the older figures stay


# ---------------------------------------------------------------- durations


def test_durations() -> None:
    some = Durations()
    assert (some.recent(0.5), some.count, some.buckets()[-1]) == (0.0, 0, ("+Inf", 0))
    for number in range(1, 101):
        some.add(number / 1_000)
    assert some.recent(0.5) == pytest.approx(0.051)
    assert some.recent(0.99) == pytest.approx(0.1)
    assert some.sum == pytest.approx(5.05)
    assert dict(some.buckets()) == {
        **{str(bound): min(int(bound * 1_000), 100) for bound in BOUNDS},
        "+Inf": 100,
    }
    for _ in range(RECENT):
        some.add(9.0)
    assert some.recent(0.01) == 9.0
    assert some.buckets()[-1] == ("+Inf", 100 + RECENT)
    assert some.buckets()[-2][1] == 100


# ---------------------------------------------------------------- over HTTP


async def figures(port: int, ready: Callable[[dict[str, Any]], bool]) -> dict[str, Any]:
    """The figures, once they are so."""
    async with asyncio.timeout(15):
        while True:
            reply = await request(port, "/admin/stats", headers=ALLOWED)
            found: dict[str, Any] = json.loads(reply.body)
            if ready(found):
                return found
            await asyncio.sleep(0.05)


async def test_figures_and_metrics_agree_with_what_happened(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(survey, "FRESH", 0.0)
    async with server(tmp_path, admin_token=TOKEN) as one, client(one.url) as anna:
        async with client(one.url) as away:
            pass
        for _ in range(3):
            await anna.post_and_wait(away.public)
        room = await begin(anna)
        await tell(anna, room, b"hello")
        found = await figures(one.port, lambda all_of: all_of["channels"] == 1)
        assert (found["mailbox_messages"], found["mailboxes"], found["mailbox_deepest"]) == (3, 1, 3)
        assert found["mailbox_bytes"] == 3 * 569
        assert (found["sessions"], found["messages"], found["posts"], found["posts_stored"]) == (1, 3, 1, 1)
        assert found["commits"] >= 4
        assert 0 < found["commit_median_seconds"] <= found["commit_99th_seconds"] < 10
        assert found["mailboxes_counted"] == 1
        with sqlite3.connect(tmp_path / "mobium.db") as beside:
            pages = beside.execute("PRAGMA page_count").fetchone()[0]
        assert found["database_bytes"] + found["log_bytes"] > 0
        assert found["database_bytes"] <= pages * 4_096
        assert 0 < found["disk_free_bytes"] < found["disk_total_bytes"]
        assert (found["storage_failing"], found["connections_most"]) == (0, 2_000)
        assert found["uptime_seconds"] > 0

        text = (await request(one.port, "/metrics", headers=ALLOWED)).body.decode()
        families = {family.name: family for family in text_string_to_metric_families(text)}
        assert set(families) == {f"mobium_{name}" for name in found if name != "version"} | {
            "mobium_commit_seconds"
        }
        assert families["mobium_mailbox_messages"].samples[0].value == 3
        samples = {
            sample.labels.get("le"): sample.value for sample in families["mobium_commit_seconds"].samples
        }
        assert samples["+Inf"] == families["mobium_commits"].samples[0].value
