"""What runs while an engine wants to be connected: the link, and around it inbox, outbox, receipts, repair
and upkeep, in one task group.

Not its concern: what each of them does, and which server was chosen (`mobium.client.connecting`).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final, Protocol

from mobium.client.address import Address
from mobium.client.core import Core
from mobium.client.events import ConnectionChanged, Event
from mobium.client.inbox import Inbox
from mobium.client.link import Link, LinkState
from mobium.client.membership import Membership
from mobium.client.outbox import Outbox
from mobium.client.pace import Pace
from mobium.client.postbox import Postbox
from mobium.client.receipts import Receipts
from mobium.client.repair import Repair
from mobium.client.signals import Said, Signals
from mobium.client.store import channels, incoming, meta, outgoing, posts
from mobium.client.store.database import Tx
from mobium.client.sync import Sync
from mobium.client.together import first_leaf, together
from mobium.client.transport import Connector
from mobium.client.upkeep import Upkeep
from mobium.errors import (
    MobiumError,
    NotConnected,
    ProtocolError,
    ServerKeyChanged,
    ServerRefused,
    StoreDamaged,
    StoreError,
)
from mobium.protocol.connection import Welcome
from mobium.protocol.cost import answer_cost, request_cost
from mobium.protocol.media_frames import MediaDown
from mobium.protocol.messages import (
    Accepted,
    ChannelHead,
    ChannelMessage,
    ClientMessage,
    Delivery,
    Error,
    RosterPage,
    ServerMessage,
    Signal,
    VoiceState,
)

__all__ = ["Online", "Realtime"]

_UPKEEP_INTERVAL: Final = 3_600.0
_UPKEEP_RETRY: Final = 30.0
_FIRST_PAUSE: Final = 1.0  # seconds after an error of the store; doubled up to
_LONGEST_PAUSE: Final = 30.0


class Realtime(Protocol):
    """What lives in the moment: calls and voice rooms. Nothing here may wait."""

    def heard(self, sender: bytes, said: Said) -> None:
        """A signal has come."""

    def media(self, frame: MediaDown) -> None:
        """A media frame has come."""

    def told(self, state: VoiceState) -> None:
        """The server says who is in a voice room."""

    def look_again(self) -> None:
        """There is a connection, or a roster or a contact may have changed."""

    def offline(self) -> None:
        """The connection is gone."""

    def over(self, reason: str) -> None:
        """And there will be no other one before somebody acts; `reason` is a sentence, or empty."""


class Online:
    """One wish to be connected to one server, from `run` until it is cancelled or only a person can help."""

    def __init__(
        self,
        core: Core,
        address: Address,
        pinned: bytes | None,
        tell: Callable[[list[Event]], None],
        connector: Connector,
        receipt_delay: float,
        realtime: Realtime,
    ) -> None:
        self.address = address
        self._core = core
        self._tell = tell
        self._realtime = realtime
        self.link = Link(
            core.identity,
            address,
            pinned,
            on_open=self._on_open,
            on_message=self._on_message,
            on_state=self._on_state,
            on_media=realtime.media,
            connector=connector,
            uniform=core.uniform,
        )
        self._time = asyncio.get_running_loop().time
        self._retry_now = asyncio.Event()
        self._moved = asyncio.Event()
        self._pace = Pace(self._time)
        self.outbox = Outbox(
            core, address.host, self._pace, self.link.send, self.link.request, self._moved.set
        )
        self.inbox = Inbox(core, self.link.send, self._stored)
        self.receipts = Receipts(core, receipt_delay, self.outbox.wake)
        self.repair = Repair(core, self.link.request, self.outbox.wake, lambda: self.inbox.drained)
        self.upkeep = Upkeep(core, self.request, address.host)
        self.signals = Signals(core, self.request, realtime.heard, self.wake)
        self.sync = Sync(
            core,
            address.host,
            self.request,
            self._synced,
            self._hold_posts,
            self._adopt,
            lambda: self.inbox.drained,
        )
        self.postbox = Postbox(
            core, address.host, self._pace, self.link.send, self.link.request, self.sync.fetch_rosters,
            self.sync.unseen, self._moved.set,
        )  # fmt: skip
        self.membership = Membership(core, address.host, self.request, lambda: self.link.nonce, self.sync)
        self._noted_drained = False
        self.published = asyncio.Event()
        """Whether others can begin sessions with this identity here."""
        self._first: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.offered_key: bytes | None = None
        self.failure: MobiumError | None = None  # what only a person can mend
        self.state: LinkState = "connecting"

    @property
    def drained(self) -> bool:
        """Whether everything that waited on the server has been received."""
        return self.inbox.drained

    async def run(self) -> None:
        """Be connected until cancelled; ends by itself, having told why, where trying again cannot help.

        What the store refuses, as on a full disk, passes: it was not acknowledged, so it comes again. A
        database that is damaged does not.
        """
        failure: MobiumError | None = None
        pause, began = _FIRST_PAUSE, self._time()
        try:
            while isinstance(failure := await self._run_parts(), StoreError):
                if isinstance(failure, StoreDamaged):
                    break
                if self._time() - began > _LONGEST_PAUSE:
                    pause = _FIRST_PAUSE  # it went well for a while
                self._retry_now.clear()
                self._change("waiting", failure, pause)
                failure = None  # nor is it the reason if the user ends the wait
                with suppress(TimeoutError):
                    async with asyncio.timeout(pause):
                        await self._retry_now.wait()
                pause, began = min(2 * pause, _LONGEST_PAUSE), self._time()
        finally:
            if isinstance(failure, ServerKeyChanged):
                self.offered_key = failure.offered
            self.end(failure)

    async def _run_parts(self) -> MobiumError | None:
        """Run every part until one ends with an error, and return it."""
        parts = (
            self.link, self.inbox, self.outbox, self.receipts, self.repair, self.sync, self.postbox,
            self.signals,
        )  # fmt: skip
        return _first_of(await together(part.run() for part in parts))

    def end(self, failure: MobiumError | None = None) -> None:
        """Tell that it is over, once."""
        self._pace.end()
        if self.state != "offline":
            self.failure = failure
            self._change("offline", failure, None)
            self._realtime.over("" if failure is None else str(failure))

    def retry_now(self) -> None:
        """End the present wait between two tries; `first` waits for the outcome of the next one."""
        if self.state != "online" and self._first.done():
            self._first = asyncio.get_running_loop().create_future()
        self._retry_now.set()
        self.link.retry_now()

    async def first(self) -> None:
        """Wait for the outcome of the first try. Raises what it ended with."""
        await asyncio.shield(self._first)

    async def settled(self) -> None:
        """Wait until what was missed has come, and nothing waits that could go out. Raises NotConnected once
        no connection is to be had, StoreDamaged where that is why.
        """
        while not await self._is_settled():
            await self._moved.wait()

    async def _is_settled(self) -> bool:
        self._moved.clear()
        if self.state == "offline":
            if isinstance(self.failure, StoreError):
                raise self.failure
            raise NotConnected("There is no connection to the server, and this needs one.")
        if not (self.link.online and self.inbox.drained and self.sync.idle):
            return False
        held = (self.sync.unseen() or frozenset()) | self.sync.held | self.postbox.full
        return not await self._core.store.run(
            _open_count, self.address.host, self._core.now(), held, self.outbox.refused
        )

    async def request(self, message: ClientMessage) -> ServerMessage:
        """Ask the server, at the pace that it allows. Raises ServerRefused, NotConnected."""
        await self._pace.take(request_cost(message))
        answer = await self.link.request(message)
        self._pace.charge(answer_cost(answer))
        return answer

    async def _adopt(self, key: bytes) -> None:
        await self.membership.adopt(key)

    def _hold_posts(self, channel: int, yes: bool) -> None:
        self.postbox.hold(channel, yes)

    def _synced(self) -> None:
        self._moved.set()
        self._realtime.look_again()
        self.postbox.recall()  # what waits for its turn may not go out to whom it was for
        self.wake()

    def wake(self) -> None:
        """Something was queued."""
        self.outbox.wake()
        self.postbox.wake()
        self.receipts.wake()
        self.repair.wake()

    def recall(self) -> None:
        """Contacts have changed."""
        self._realtime.look_again()
        self.outbox.recall()
        self.postbox.recall()
        self.sync.wake()  # somebody may be asked who might not before
        self.wake()

    def _on_state(self, state: LinkState, error: MobiumError | None, retry_in: float | None) -> None:
        if state != "offline":  # the end is told once, when every part has ended, with the reason
            self._change(state, error, retry_in)

    def _change(self, state: LinkState, error: MobiumError | None, retry_in: float | None) -> None:
        self.state = state
        self._moved.set()
        self._noted_drained = False
        self.inbox.reset()
        self.signals.reset()
        self._realtime.offline()
        self.outbox.go_offline()
        self.postbox.go_offline()
        self.sync.go_offline(coming=state == "online")
        if state == "online":
            return  # told when the login's outcome is stored
        if not self._first.done() and (error is not None or state == "offline"):
            self._first.set_exception(error or NotConnected("The connection was given up."))
            self._first.exception()  # nobody need ask
        self._tell([ConnectionChanged(state, "" if error is None else str(error), retry_in)])

    async def _on_open(self, welcome: Welcome) -> None:
        self.inbox.expect(welcome.offline_count)
        await self._core.store.run(_note_login, self.address, welcome)
        self._pace.limit(welcome.limits.rate, welcome.limits.burst)
        self.outbox.go_online(welcome.limits)
        self.sync.go_online()
        self.postbox.go_online(welcome.limits.message_size)
        self.repair.wake()
        self.receipts.wake()
        self._tell([ConnectionChanged("online")])
        self._realtime.look_again()
        await self._note_drained()
        await self._keep_prekeys(welcome.limits.message_size)

    async def _on_message(self, message: ServerMessage) -> None:
        if isinstance(message, Delivery):
            await self.inbox.put(message)
        elif isinstance(message, ChannelMessage | RosterPage | ChannelHead):
            self.sync.put(message)
        elif isinstance(message, Signal):
            self.signals.put(message)
        elif isinstance(message, VoiceState):
            self._realtime.told(message)
        elif isinstance(message, Accepted):
            self.outbox.answer(message.id, None)
            self.postbox.answer(message)
        elif isinstance(message, Error) and message.id is not None:
            self.outbox.answer(message.id, message)
            self.postbox.answer(message)

    async def _stored(self, key_changed: bool) -> None:
        if key_changed:
            self.outbox.recall()
            self.postbox.recall()
        self.wake()
        self.sync.wake()
        if not self._noted_drained:
            await self._note_drained()

    async def _note_drained(self) -> None:
        self._moved.set()
        if self.inbox.drained:
            self._noted_drained = True
            seen = self.sync.listed.is_set() and self.sync.caught_up.is_set()
            await self._core.store.run(_drained, self.address.host, self._core.now(), seen)

    async def _keep_prekeys(self, message_size: int) -> None:
        """As long as the connection lasts."""
        while True:
            delay = _UPKEEP_INTERVAL
            try:
                await self.upkeep.run_once(message_size)
                self.published.set()
            except StoreDamaged:
                raise
            except (NotConnected, ServerRefused, ProtocolError, StoreError):
                delay = _UPKEEP_RETRY
            # Only now can others write to somebody who has come for the first time.
            if not self._first.done() and self.link.online:
                self._first.set_result(None)
            await asyncio.sleep(delay)
            await self._note_drained()


def _first_of(ends: Sequence[object]) -> MobiumError | None:
    """The first error of ours with which a part ended. Raises what is none of ours."""
    errors = [end for end in ends if isinstance(end, Exception)]
    if not errors:
        return None
    ours, others = ExceptionGroup("", errors).split(MobiumError)
    if others is not None:
        raise others
    assert ours is not None
    return first_leaf(ours)


def _note_login(tx: Tx, address: Address, welcome: Welcome) -> None:
    limits = welcome.limits
    meta.choose_server(tx, address.host, address.url)
    meta.set_server_key(tx, address.host, welcome.server_key, limits.message_size, limits.message_ttl)


def _open_count(tx: Tx, host: str, now: int, held: frozenset[int], refused: frozenset[int]) -> int:
    owed = len(incoming.owed_peers(tx))  # receipts, which wait for a moment so that they go together
    return owed + outgoing.open_count(tx, host, refused) + posts.open_count(tx, host, held, now)


def _drained(tx: Tx, host: str, now: int, channels_seen: bool) -> None:
    meta.note_drained(tx, host, now)
    if channels_seen:
        channels.note_current(tx, host, now)
