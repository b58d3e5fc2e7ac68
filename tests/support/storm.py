"""Storms over channels: many engines do at random what members can do, while they and the server die; then
everybody comes back, and what each shows is held against the server's own sequence.

Not its concern: how an engine dies (tests/support/storm_engine.py), and the sequence
(tests/support/channel_model.py).
"""

from __future__ import annotations

import asyncio
import random
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from mobium.client import Engine
from mobium.errors import InvalidInput, NotConnected, ServerRefused
from tests.support.channel_model import Sequence, Stay, read, waiting
from tests.support.engines import PASSWORD, fast_vault
from tests.support.nursery import Nursery
from tests.support.server import ServerProcess
from tests.support.storm_engine import CHILDREN, Died, Here, There, watch_seals

__all__ = ["Storm", "Weather", "storm"]

CALM = 60.0  # seconds until everything has settled, or never will
UNPLACED = 1 << 40  # positions from here on are no numbers

# What an honest server may answer to somebody who does not know yet what happened.
_HONEST = frozenset(
    (
        "not_a_member", "forbidden", "banned", "already_member", "wrong_secret", "bad_invite", "invite_used",
        "stale_roster", "rate_limited", "unknown_channel", "shutting_down", "too_many_invites",
        "bad_statement",
    )
)  # fmt: skip


@dataclass(frozen=True)
class Weather:
    """How bad it gets. `deeds` of each player; `pause` seconds at most between two."""

    channels: int = 1
    deeds: int = 6
    pause: float = 0.15
    burst: int = 5
    kills: int = 1
    """How often the server is killed, at most."""


@dataclass
class Player:
    """Somebody with an engine. `queued`: the texts that it was told are stored, by content id."""

    name: str
    me: str
    engine: Here | There
    queued: dict[str, dict[str, str]] = field(default_factory=dict)
    up: bool = True


@dataclass
class Arena:
    """A channel of one schedule, by its id; `links` that are known to lead into it."""

    key: str
    private: bool
    link: str

    @property
    def name(self) -> str:
        """What the engines know it by, whatever it is called."""
        return f"#{self.key}"


@dataclass(repr=False)
class Storm:
    """The server and the players, who stay from one schedule to the next."""

    server: ServerProcess
    players: list[Player]
    sealed: dict[str, tuple[str, str]]
    """(content id, text) by delivery id."""
    done: Counter[str] = field(default_factory=Counter)
    shown: int = 0
    posts: int = 0
    log: list[str] = field(default_factory=list)

    def __repr__(self) -> str:
        done = ", ".join(f"{what} {count}" for what, count in self.done.most_common())
        return f"{self.posts} numbers compared with {self.shown} lines shown; {done}"

    # ------------------------------------------------------------ one schedule

    async def schedule(self, label: str, chance: random.Random, weather: Weather) -> None:
        """One storm. Raises AssertionError with everything that differs, and the schedule."""
        self.log = []
        self._began = time.monotonic()
        try:
            arenas = [await self._arena(label, number, chance) for number in range(weather.channels)]
            async with asyncio.TaskGroup() as group:
                group.create_task(self._fate(chance, weather))
                for player in self.players:
                    script = random.Random(chance.random())
                    group.create_task(self._play(player, arenas, script, label, weather))
            await self._calm(arenas)
            wrong = [each for arena in arenas for each in await self._compare(arena)]
        except BaseException as error:
            error.add_note("\n".join([f"schedule {label}", *self.log]))
            raise
        assert not wrong, "\n".join([f"schedule {label}:", *wrong, "", *self.log])

    async def _arena(self, label: str, number: int, chance: random.Random) -> Arena:
        private = chance.random() < 0.8
        for owner in chance.sample(self.players, len(self.players)):
            if found := await self._try(owner, "create_channel", f"storm {label} {number}", private):
                break
        else:
            raise AssertionError("nobody could make a channel")
        arena = Arena(found["id"], private, await owner.engine.call("invite", f"#{found['id']}", 0, 0))
        joiners = [player for player in self.players if player is not owner and chance.random() < 0.7]
        await asyncio.gather(*(self._try(player, "join", arena.link) for player in joiners))
        for admin in joiners[: len(self.players) // 6]:
            await self._try(owner, "set_role", arena.name, admin.me, "admin")
        return arena

    async def _fate(self, chance: random.Random, weather: Weather) -> None:
        for _ in range(chance.randint(0, weather.kills)):
            await asyncio.sleep(chance.uniform(0.1, 1.0) * weather.deeds * weather.pause / 2)
            self._note("server", "killed")
            await asyncio.to_thread(self.server.kill)
            await asyncio.sleep(chance.uniform(0, 0.2))
            await asyncio.to_thread(self.server.start)
            self._note("server", "back")
            self.done["server killed"] += 1
            for player in self.players:
                if player.up and chance.random() < 0.8:
                    await self._try(player, "go")

    def _note(self, who: str, what: str) -> None:
        self.log.append(f"{time.monotonic() - self._began:7.3f} {who:7} {what}")

    async def _try(self, player: Player, method: str, *arguments: Any) -> Any:
        """Call a method; None if it was refused for a reason that there may be."""
        shown = " ".join(str(each)[:40] for each in arguments[1:])
        try:
            result = await player.engine.call(method, *arguments)
        except ServerRefused as error:
            if error.code not in _HONEST:
                raise AssertionError(f"{player.name} {method}: {error.code}") from error
            self._note(player.name, f"{method} {shown}: {error.code}")
            self.done[f"refused {error.code}"] += 1
        except (InvalidInput, NotConnected, Died) as error:
            self._note(player.name, f"{method} {shown}: {type(error).__name__} {str(error)[:60]}")
            self.done[type(error).__name__] += 1
        else:
            self._note(player.name, f"{method} {shown}")
            self.done[method] += 1
            return result if result is not None else True
        return None

    # ------------------------------------------------------------ what players do

    async def _play(
        self, player: Player, arenas: list[Arena], chance: random.Random, label: str, weather: Weather
    ) -> None:
        for _ in range(weather.deeds):
            await asyncio.sleep(chance.uniform(0, weather.pause))
            if not player.up:
                await self._revive(player)
                continue
            arena = chance.choice(arenas)
            roll = chance.random()
            if roll < 0.10:
                await self._crash_while(player, self._deed(player, arena, chance, weather), chance)
            elif roll < 0.16:
                self._note(player.name, "disconnects")
                await self._try(player, "disconnect")
                player.up = chance.random() < 0.5
                if player.up:
                    await self._try(player, "go")
            else:
                await self._deed(player, arena, chance, weather)

    async def _crash_while(self, player: Player, deed: Awaitable[None], chance: random.Random) -> None:
        task = asyncio.ensure_future(deed)
        await asyncio.sleep(chance.expovariate(50))
        self._note(player.name, "crashes")
        self.done["crash"] += 1
        await player.engine.crash()
        await task
        player.up = False
        if chance.random() < 0.6:
            await self._revive(player)

    async def _revive(self, player: Player) -> None:
        with suppress(Died):
            connection = await player.engine.call("connection") if not self._is_closed(player) else None
            if connection is None:
                await player.engine.open()
        self._note(player.name, "is back")
        await self._try(player, "go", self.server.url)
        player.up = True

    @staticmethod
    def _is_closed(player: Player) -> bool:
        return player.engine._life.done()

    async def _deed(self, player: Player, arena: Arena, chance: random.Random, weather: Weather) -> None:
        channel = await self._look(player, arena)
        if channel is None or channel["state"] != "member":
            await self._come_in(player, arena)
            return
        deeds = [(self._burst, 60), (self._leave, 6)]
        if channel["role"] in {"admin", "owner"}:
            deeds += [(self._govern, 30)]
        if channel["role"] == "owner":
            deeds += [(self._hand_over, 10)]
        deed = chance.choices([each for each, _ in deeds], [weight for _, weight in deeds])[0]
        await deed(player, arena, chance, weather)

    async def _look(self, player: Player, arena: Arena) -> Any:
        try:
            return await player.engine.call("channels.get", arena.name)
        except (InvalidInput, Died):
            return None

    async def _come_in(self, player: Player, arena: Arena) -> None:
        if await self._try(player, "join", arena.link) is not None or not arena.private:
            return
        for inviter in self.players:
            if inviter.up and inviter is not player:
                channel = await self._look(inviter, arena)
                if channel is not None and channel["role"] in {"admin", "owner"}:
                    link = await self._try(inviter, "invite", arena.name, 0, 0)
                    if link is not None:
                        arena.link = link
                        await self._try(player, "join", link)
                        return

    async def _burst(self, player: Player, arena: Arena, chance: random.Random, weather: Weather) -> None:
        mine = player.queued.setdefault(arena.key, {})
        for _ in range(chance.randint(1, weather.burst)):
            text = f"{player.name} {arena.key[:4]} {len(mine)} {chance.getrandbits(32):08x}"
            sent = await self._try(player, "send", arena.name, text)
            if sent is None:
                return
            mine[sent] = text
            if chance.random() < 0.3:
                await asyncio.sleep(chance.uniform(0, 0.02))

    async def _leave(self, player: Player, arena: Arena, chance: random.Random, weather: Weather) -> None:
        await self._try(player, "leave", arena.name)

    async def _govern(self, player: Player, arena: Arena, chance: random.Random, weather: Weather) -> None:
        what = chance.choices(
            ["remove", "channels.ban", "channels.unban", "rename", "channels.set_topic", "channels.renew"],
            [30, 10, 15, 25, 10, 10],
        )[0]
        if what in {"rename", "channels.set_topic"}:
            await self._try(player, what, arena.name, f"name {chance.getrandbits(16)}")
        elif what == "channels.renew":
            await self._try(player, what, arena.name)
        elif what == "channels.unban":
            banned = await self._try(player, "channels.banned", arena.name)
            if isinstance(banned, list) and banned:
                await self._try(player, what, arena.name, chance.choice(banned))
        elif (other := await self._other(player, arena, chance)) is not None:
            await self._try(player, what, arena.name, other)

    async def _hand_over(self, player: Player, arena: Arena, chance: random.Random, weather: Weather) -> None:
        other = await self._other(player, arena, chance)
        if other is not None:
            role = chance.choices(["admin", "member", "owner"], [6, 3, 1])[0]
            await self._try(player, "set_role", arena.name, other, role)

    async def _other(self, player: Player, arena: Arena, chance: random.Random) -> str | None:
        members = await self._try(player, "members", arena.name)
        others = [each["key"] for each in members or () if not each["me"]]
        return chance.choice(others) if others else None

    # ------------------------------------------------------------ afterwards

    async def _calm(self, arenas: list[Arena]) -> None:
        """Bring everybody back, and wait until nothing moves any more."""
        self._note("all", "come back")
        for player in self.players:
            assert player.engine.failure is None, f"{player.name} ended: {player.engine.failure!r}"
            if not player.up:
                await self._revive(player)
        end = time.monotonic() + CALM
        poked, last = 0.0, ""
        while open_ := await self._unsettled(arenas):
            if open_ != last:
                self._note("all", open_)
                last = open_
            if time.monotonic() > end:
                raise AssertionError(f"never settles: {open_}")
            if time.monotonic() > poked + 0.5:
                poked = time.monotonic()
                for player in self.players:
                    await self._try_quietly(player)
            await asyncio.sleep(0.02)
        for player in self.players:
            player.engine.tell()
        self._note("all", "is settled")

    async def _try_quietly(self, player: Player) -> None:
        if await player.engine.call("connection") != "online":
            await player.engine.call("go", self.server.url)

    async def _unsettled(self, arenas: list[Arena]) -> str:
        """What is still under way; empty for nothing."""
        for player in self.players:
            connection = await player.engine.call("connection")
            if connection != "online":
                return f"{player.name} is {connection}"
        database = self.server.folder / "mobium.db"
        for arena in arenas:
            sequence = read(database, arena.key)
            for player in self.players:
                status = await player.engine.call("status", arena.key)
                if status["queued"]:
                    return f"{player.name} has {status['queued']} direct messages to send"
                stays = sequence.stays.get(player.me)
                if not stays:
                    continue
                head = sequence.next - 1 if stays[-1].end is None else stays[-1].end
                if status["cursor"] < head and status["state"] not in {"left", "removed", "banned"}:
                    return f"{player.name} ({status['state']}) is at {status['cursor']} of {head}"
                if stays[-1].end is None and (status["posts"] or status["handouts"]):
                    return f"{player.name} ({status['state']}, {status['reason']}) has {status} to send"
        count = waiting(database)
        return f"{count} messages wait in mailboxes" if count else ""

    async def _compare(self, arena: Arena) -> list[str]:
        """Everything that differs from what it should be."""
        sequence = read(self.server.folder / "mobium.db", arena.key)
        self.posts += len(sequence.posts)
        wrong = sequence.wrong()
        texts: dict[str, list[int]] = {}
        for post in sequence.posts:
            content = self.sealed.get(post.delivery)
            if content is None:
                wrong.append(f"number {post.number} was encrypted by nobody")
            else:
                texts.setdefault(content[0], []).append(post.number)
        wrong += [
            f"content {key[:8]} has the numbers {found}" for key, found in texts.items() if len(found) > 1
        ]
        for player in self.players:
            wrong += [f"{player.name}: {each}" for each in await self._check(player, arena, sequence, texts)]
        return wrong

    async def _check(
        self, player: Player, arena: Arena, sequence: Sequence, texts: dict[str, list[int]]
    ) -> list[str]:
        stays = sequence.stays.get(player.me)
        status = await player.engine.call("status", arena.key)
        if not stays:
            return [] if status["state"] in {"", "joining"} else [f"is {status['state']} and never came in"]
        wrong = [f"says {what}" for what, channel in player.engine.alarms if channel == arena.key]
        inside = stays[-1].end is None
        if inside != (status["state"] == "member"):
            wrong.append(f"is {status['state']}, {status['reason']}; stays {stays}")
        lines = await player.engine.call("history", arena.name, None, 1_000_000)
        wrong += self._check_lines(player, lines, sequence, stays)
        wrong += self._check_own(player, arena, lines, texts, inside)
        if inside:
            members = [
                (each["key"], each["role"]) for each in await player.engine.call("members", arena.name)
            ]
            there = [(ed.hex(), role.name.lower()) for ed, role in sequence.roster.members.items()]
            if members != there:
                wrong.append(f"shows other members: {members} for {there}")
            if not status["secret"]:
                wrong.append("has not got the secret")
        return wrong

    def _check_lines(
        self, player: Player, lines: list[dict[str, Any]], sequence: Sequence, stays: list[Stay]
    ) -> list[str]:
        """Hold what is shown against what has numbers."""
        wrong = []
        shown = [
            (line["position"], player.me if line["outgoing"] else line["peer"], line["text"])
            for line in lines
            if line["kind"] == "text" and line["position"] < UNPLACED and line["position"]
        ]
        self.shown += len(shown)
        there = [
            (post.number, post.sender, self.sealed.get(post.delivery, ("", "?"))[1])
            for post in sequence.posts
            if any(stay.holds(post.number) for stay in stays)
        ]
        last = stays[-1]
        wanted = [each for each in there if last.holds(each[0])]
        got = [each for each in shown if each[0] > last.start]
        wrong += [f"does not show {_named(each)}" for each in wanted if each not in got]
        wrong += [f"shows {_named(each)}, which is not so" for each in shown if each not in there]
        if got != sorted(got) or len(set(shown)) < len(shown):
            wrong.append("shows a number twice, or out of order")
        ids = Counter((line["id"], line["peer"]) for line in lines if line["kind"] == "text")
        wrong += [f"shows content {key[0][:8]} twice" for key, count in ids.items() if count > 1]
        odd = [line for line in lines if line["kind"] in {"closed", "unknown", "missing"}]
        wrong += [
            f"shows {line['kind']} at {line['position']} of {line['peer'][:8]}, who was in"
            f" {[(stay.start, stay.end) for stay in sequence.stays.get(line['peer'], [])]}, itself {stays}"
            for line in odd
            if last.holds(line["position"])
        ]
        notices = [
            line["position"] for line in lines if line["kind"] == "notice" and line["position"] > last.start
        ]
        changes = [
            number
            for number in set(sequence.numbers) - {post.number for post in sequence.posts}
            if last.holds(number)
        ]
        if missing := set(changes) - set(notices):
            wrong.append(f"does not show the changes {sorted(missing)}")
        return wrong

    @staticmethod
    def _check_own(
        player: Player, arena: Arena, lines: list[dict[str, Any]], texts: dict[str, list[int]], inside: bool
    ) -> list[str]:
        """Hold the states of one's own messages against what has numbers."""
        wrong = []
        own = {line["id"]: line for line in lines if line["outgoing"]}
        queued = player.queued.get(arena.key, {})
        wrong += [f"lost its own {text}" for key, text in queued.items() if key not in own]
        wrong += [
            f"saw {key[:8]} acknowledged, which has no number"
            for key in player.engine.sent & own.keys()
            if key not in texts
        ]
        for key, line in own.items():
            taken, state = texts.get(key), line["state"]
            if state == "sent" and taken != [line["position"]]:
                wrong.append(
                    f"says {line['text']} is sent at {line['position']}, and its numbers are {taken}"
                )
            elif state != "sent" and taken:
                wrong.append(f"says {line['text']} is {state} ({line['reason']}), and it is number {taken}")
            elif inside and state == "queued":
                wrong.append(f"has {line['text']} queued")
            elif state not in {"sent", "queued"} and line["code"] != "not_a_member":
                wrong.append(f"has {line['text']} {state}: {line['code']} {line['reason']}")
        return wrong


def _named(line: tuple[int, str, str]) -> str:
    number, sender, text = line
    return f"number {number} of {sender[:8]}, {text}"


@asynccontextmanager
async def storm(
    folder: Path, patch: pytest.MonkeyPatch, here: int, there: int = 0, fault: str | None = None
) -> AsyncIterator[Storm]:
    """A server process, `here` players in this process and `there` in children, all connected."""
    fast_vault(patch)
    sealed: dict[str, tuple[str, str]] = {}

    def tell(delivery: str, content: str, text: str) -> None:
        sealed[delivery] = (content, text)

    watch_seals(patch, tell)
    settings = {"SC_RATE_GENERAL": "0", "SC_MAX_OFFLINE_MESSAGES": "100000", "SC_WS_PING_INTERVAL": "600"}
    async with AsyncExitStack() as stack:
        server = stack.enter_context(ServerProcess(folder / "server", settings, fault))
        players: list[Player] = []
        for number in range(here + there):
            profile = folder / f"player{number}"
            await Engine.create(profile, PASSWORD)
            engine: Here | There = Here(profile, server.url)
            if number >= here:
                nursery = await stack.enter_async_context(Nursery(CHILDREN))
                engine = There(nursery, profile, server.url, tell)
            await engine.open()
            stack.push_async_callback(engine.close)
            await engine.call("connect", server.url)
            me = await engine.call("me")
            players.append(Player(f"{'n' if number < here else 'c'}{number}", me, engine))
        yield Storm(server, players, sealed)
