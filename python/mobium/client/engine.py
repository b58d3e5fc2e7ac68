"""The engine: one open profile, the way in for every program (docs/ARCHITECTURE.md).

    async with Engine.open(dir, password) as engine:
        await engine.connect("chat.example")
        async for event in engine.events():
            if isinstance(event, MessageReceived):
                await engine.send(event.peer, event.text)

Peers and content ids are lower-case hex. Whatever a method returns is stored; whatever it raises has changed
nothing. Not its concern: where profiles lie (`mobium.client.profile`), and what is shown how.
"""

from __future__ import annotations

import asyncio
import gc
import os
import random
import time
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, Final, Literal

from mobium.client import channel_talk, conversation, exports, labels, links, names, profile_files
from mobium.client.calls import Calls
from mobium.client.channels import Channel, Channels, Member, RoleName
from mobium.client.connecting import Connecting, ServerInfo
from mobium.client.contacts import Contacts
from mobium.client.core import Core
from mobium.client.drafts import Drafts
from mobium.client.events import ConnectionState, EventHub, EventStream, MessageState
from mobium.client.live import Live
from mobium.client.maintenance import INTERVAL, maintain
from mobium.client.online import Online
from mobium.client.receipts import DELAY
from mobium.client.recovery import Recovery
from mobium.client.rooms import Rooms
from mobium.client.store import messages, meta, words
from mobium.client.store.messages import Conversation, Message
from mobium.client.together import first_leaf
from mobium.client.transport import Connector, dial
from mobium.crypto import vault
from mobium.crypto.identity import Identity
from mobium.errors import InvalidInput, MobiumError, NotConnected, StoreError

__all__ = ["Engine"]

_END: Final = 1 << 62  # no position lies there


class Engine:
    """An open profile. Made by `Engine.open`; all methods belong to the event loop that opened it."""

    def __init__(
        self,
        directory: Path,
        core: Core,
        hub: EventHub,
        connector: Connector,
        receipt_delay: float,
        release: Callable[[], None],
    ) -> None:
        self._directory = directory
        self._core = core
        self._hub = hub
        self._release = release
        self._me = core.identity.public.hex()
        self.began_anew = False
        """Whether the database was missing: contacts and history are gone, and this identity goes on as if
        it had just been recovered on an empty machine."""
        self._upkeep: asyncio.Task[None] | None = None
        self._calling: asyncio.Task[None] | None = None
        self._group: asyncio.TaskGroup | None = None
        self._closing: asyncio.Task[None] | None = None
        self.contacts = Contacts(core, self._contacts_changed)
        self.recovery = Recovery(core)
        self.channels = Channels(core, lambda: self._online)
        self.drafts = Drafts(core)
        self.rooms = Rooms(core, lambda: self._online, hub.tell, self._spawn)
        proxied = getattr(connector, "proxy", None) is not None
        self.calls = Calls(core, lambda: self._online, hub.tell, self._spawn, proxied=proxied)
        live = Live(self.calls, self.rooms)
        self._connecting = Connecting(core, hub.tell, connector, receipt_delay, live)

    # ------------------------------------------------------------ profiles

    @staticmethod
    async def create(
        dir: str | os.PathLike[str],
        password: str,
        show: Callable[[str], object] | None = None,
        *,
        keep: bool = False,
    ) -> str:
        """Make a new identity in `dir` and return its 24 recovery words: show them once, they are
        stored nowhere; or, with `keep`, in the encrypted database until `recovery.confirmed()`.

        `show(words)` is called before the identity is kept: if it raises, nothing is left, since nobody has
        seen the words. Raises InvalidInput for a weak password, StoreError if there is a profile already or
        the folder cannot be written, and what `show` raises.
        """
        return await profile_files.create(Path(dir), password, show, keep=keep)

    @staticmethod
    async def recover(dir: str | os.PathLike[str], password: str, words: str, passphrase: str = "") -> None:
        """Bring the identity of 24 recovery words back, in `dir`.

        Raises RecoveryError for words that cannot be right, and what `create` raises.
        """
        await profile_files.recover(Path(dir), password, words, passphrase, int(time.time()))

    @classmethod
    @asynccontextmanager
    async def open(
        cls,
        dir: str | os.PathLike[str],
        password: str,
        *,
        clock: Callable[[], float] = time.time,
        entropy: Callable[[int], bytes] = os.urandom,
        uniform: Callable[[float, float], float] = random.uniform,
        connector: Connector = dial,
        receipt_delay: float = DELAY,
    ) -> AsyncIterator[Engine]:
        """Open a profile for the time of an `async with`; it is locked at the end.

        `clock` gives unix seconds, `entropy(n)` random bytes, `uniform(a, b)` a random delay; `connector`
        opens connections; `receipt_delay` is the longest time in seconds that a receipt waits. Raises
        WrongPassword, and StoreError for a profile that is missing, damaged, or open elsewhere.
        """
        hub = EventHub()
        opened = await profile_files.open_profile(Path(dir), password, hub.tell, int(clock()))
        core = Core(opened.identity, opened.store, clock, entropy, uniform)
        engine = cls(Path(dir), core, hub, connector, receipt_delay, opened.lock.release)
        engine.began_anew = opened.began_anew
        failure: Exception | None = None
        try:
            async with asyncio.TaskGroup() as group:
                engine._group = group
                engine._connecting.begin(group)
                engine._upkeep = group.create_task(engine._maintain())
                engine._calling = group.create_task(engine.calls.run())
                try:
                    yield engine
                except Exception as error:  # noqa: BLE001 - it is raised again, as it was, outside the group
                    failure = error
                finally:
                    await engine.lock()
        except* MobiumError as errors:
            failure = failure or first_leaf(errors)
        if failure is not None:
            raise failure

    async def lock(self) -> None:
        """Close the connection, then the store, and let the keys go; after this only `async with` ends.

        What Python has held in `str` and `bytes` may remain in this process's memory until it ends.
        """
        if self._upkeep is not None:
            self._upkeep.cancel()
        try:
            await self.calls.close()
            if self._calling is not None:
                self._calling.cancel()
            await self.disconnect()
        finally:
            self._group = None
            self._connecting.end()
            self._hub.close()
            # To its end, also if the caller is cancelled meanwhile, or a task of ours fails: else whoever
            # opens the profile next finds it in use.
            self._closing = asyncio.create_task(self._close())
            cancelled = False
            while not self._closing.done():
                try:
                    await asyncio.shield(self._closing)
                except asyncio.CancelledError:
                    cancelled = True
            if cancelled:
                raise asyncio.CancelledError
            self._closing.result()

    async def _close(self) -> None:
        try:
            await self._core.store.close()
        finally:
            self._core.forget()
            gc.collect()  # what native code holds is wiped when it is let go
            self._release()

    lock_profile = lock

    async def change_password(self, old: str, new: str) -> None:
        """Seal the profile under another password.

        Raises WrongPassword, InvalidInput for a weak one, StoreError.
        """
        await asyncio.to_thread(vault.change_password, self._directory / profile_files.VAULT, old, new)

    # ------------------------------------------------------------ who and where

    @property
    def me(self) -> str:
        """This identity's public key, 64 hexadecimal digits: what others send to."""
        return self._me

    @property
    def identity(self) -> Identity:
        """This identity, for what only it can sign."""
        return self._core.identity

    async def contact_link(self) -> str:
        """`mobium://contact/…`: this identity, and the server where it is reached, to be shown or scanned."""
        server = await self._core.store.run(meta.current_server)
        return links.contact_link(self._core.identity.public, None if server is None else server.url)

    async def server(self) -> ServerInfo | None:
        """The server of the last login; before the first one, the first that was named, if there was one."""
        return await self._connecting.server()

    @property
    def failure(self) -> MobiumError | None:
        """Why the connection has ended, if it was for something that only a person can mend."""
        return self._connecting.failure

    @property
    def connection(self) -> ConnectionState:
        """The state of the connection."""
        return self._connecting.state

    async def connect(self, url: str | None = None, *, wait: bool = True) -> None:
        """Be connected to a server from now on: to `url`, else to the one of the last login.

        The connection is made again whenever it breaks, until `disconnect`. With `wait`, returns once logged
        in, and raises what the first try ended with; unless only a person can help, further tries go on all
        the same. Raises InvalidInput for an address that is none or if there is none yet, NotConnected,
        ServerKeyChanged, ServerRefused.
        """
        online = await self._connecting.connect(url)
        if wait:
            await online.first()

    async def settled(self, timeout: float | None = None) -> None:  # noqa: ASYNC109 - a caller's word for it
        """Wait until what was missed has come, and nothing waits any more that could go out: a program that
        only does one thing ends then.

        Raises TimeoutError after `timeout` seconds, NotConnected without a connection, and once none is to be
        had.
        """
        online = self._online
        if online is None:
            raise NotConnected("There is no connection to the server, and this needs one.")
        async with asyncio.timeout(timeout):
            await online.settled()

    async def disconnect(self) -> None:
        """Close the connection and make no other. What is queued waits."""
        await self._connecting.disconnect()

    async def accept_server_key(self, key: str | None = None) -> None:
        """Believe another key of the server from now on: `key` in hex, or the one that it has just shown.

        Raises InvalidInput if it has shown none, or another one than `key`.
        """
        await self._connecting.accept_key(key)

    # ------------------------------------------------------------ messages

    async def send(self, peer: bytes | str, text: str) -> str:
        """Queue a text and return its content id; it goes out as soon as it can, and survives restarts.

        `peer` is 32 bytes, hex, a contact link or a nickname, and whoever is written to becomes a contact; or
        a channel, "#name". Raises InvalidInput if nobody is named, the peer is blocked, the channel is not
        one to write to, or the text is empty or too long.
        """
        core = self._core
        content_id = core.entropy(16)
        if labels.is_channel(peer):
            await self._change(channel_talk.queue_text, str(peer), text, content_id, core.now_ms())
            return content_id.hex()
        await self._change(
            conversation.queue_text, core.identity.public, peer, text, content_id, core.now_ms()
        )
        return content_id.hex()

    async def wait(
        self,
        id: str,
        state: Literal["sent", "delivered", "read"] = "sent",
        timeout: float | None = None,  # noqa: ASYNC109 - a caller's word for it
    ) -> MessageState:
        """Wait until a message of one's own is at least `state`, and return its state.

        Raises TimeoutError after `timeout` seconds, InvalidInput if there is no such message or, in a
        channel, for another state than "sent", ServerRefused or MobiumError with the reason if it failed.
        """
        with self._hub.watch(id.strip().lower()) as changed:
            async with asyncio.timeout(timeout):
                while True:
                    changed.clear()
                    message = await self._core.store.run(conversation.find, id)
                    if conversation.reached(message, state):
                        return message.state
                    await changed.wait()

    async def retry(self, message_id: str) -> None:
        """Queue a message that failed or expired again, under its old content id. Raises InvalidInput."""
        await self._change(conversation.retry, message_id, self._core.now())

    async def message(self, message_id: str) -> Message:
        """A message of one's own, by its content id. Raises InvalidInput."""
        return await self._core.store.run(conversation.find, message_id)

    async def history(self, peer: bytes | str, before: int | None = None, limit: int = 50) -> list[Message]:
        """The last `limit` messages with a peer or of a channel ("#name"), oldest first; before the position
        `before`, if given.

        Lines of the kind "missing" stand where numbers of the peer have not arrived for 10 minutes. Raises
        InvalidInput.
        """
        if limit < 1 or (before is not None and not 0 <= before < _END):
            raise InvalidInput("A history has at least one line, and ends before a position that there is.")
        drained = self._online is not None and self._online.drained
        now = self._core.now() if drained else None
        if labels.is_channel(peer):
            return await self._core.store.run(channel_talk.history, str(peer), before, limit, now)
        return await self._core.store.run(conversation.history, peer, before, limit, now)

    async def search(self, text: str, limit: int = 50) -> list[Message]:
        """The last `limit` messages that hold each word of `text`, or one that begins so; latest first."""
        if limit < 1:
            raise InvalidInput("A search finds at least one message.")
        return await self._core.store.run(words.find, text, limit)

    async def conversations(self) -> list[Conversation]:
        """Everybody with whom there are messages, the latest first."""
        return await self._core.store.run(messages.conversations)

    async def unread(self) -> dict[str, int]:
        """How many received messages were not read, by peer (hex); peers without any are left out."""
        return dict(await self._core.store.run(messages.unread))

    async def mark_read(self, peer: bytes | str, position: int | None = None, *, tell: bool = False) -> None:
        """Note that the messages of a peer or a channel ("#name") were read, up to `position` or all; with
        `tell`, a peer learns so.

        What has not arrived yet stays unread, whatever `position` is.
        """
        if labels.is_channel(peer):
            await self._core.store.run(channel_talk.mark_read, str(peer), position)
        else:
            await self._change(conversation.mark_read, peer, position, tell, self._core.now())

    async def call(self, peer: bytes | str) -> str:
        """Call a contact; see `Calls.call`. `calls` has the rest."""
        return await self.calls.call(peer)

    # ------------------------------------------------------------ channels

    async def create_channel(self, name: str, private: bool = True, topic: str = "") -> Channel:
        """Make a channel: private, into which only invite links lead, or open to whoever knows its link.

        Raises InvalidInput, ServerRefused, NotConnected.
        """
        return await self.channels.create(name, private, topic)

    async def invite(self, channel: str, uses: int = 1, ttl: int = 7 * 86_400) -> str:
        """A link by which `uses` people (0: any number) can join within `ttl` seconds (0: for ever).

        Raises InvalidInput, ServerRefused, NotConnected.
        """
        return await self.channels.invite(channel, uses, ttl)

    async def join(self, link: str) -> Channel:
        """Come into the channel of an invite link.

        Raises InvalidInput, ServerRefused with the reason, NotConnected, and ProtocolError if the server
        shows another channel than the link means.
        """
        return await self.channels.join(link)

    async def leave(self, channel: str) -> None:
        """Leave a channel. Raises InvalidInput, ServerRefused, NotConnected."""
        await self.channels.leave(channel)

    async def members(self, channel: str) -> list[Member]:
        """Who is in a channel, in the order of joining. Raises InvalidInput."""
        return await self.channels.members(channel)

    async def remove(self, channel: str, peer: bytes | str) -> None:
        """Remove a member; what is written from then on it cannot read. Raises InvalidInput, ServerRefused,
        NotConnected.
        """
        await self.channels.remove(channel, peer)

    async def set_role(self, channel: str, peer: bytes | str, role: RoleName) -> None:
        """Make a member "admin", "member" again, or "owner", which makes oneself an admin. Raises
        InvalidInput, ServerRefused, NotConnected.
        """
        await self.channels.set_role(channel, peer, role)

    async def rename(self, channel: str, name: str) -> None:
        """Give a channel another name. Raises InvalidInput, ServerRefused, NotConnected."""
        await self.channels.rename(channel, name)

    async def name(self) -> str:
        """What this identity calls itself to the members of its channels; empty for nothing."""
        return await self._core.store.run(meta.own_name)

    async def set_name(self, name: str) -> None:
        """Call oneself something; members of channels learn it with the next sender key. Raises
        InvalidInput.
        """
        await self._core.store.run(meta.put, meta.NAME, names.check_own_name(name))

    def events(self) -> EventStream:
        """What happens from now on; the first stream also has what happened since the profile was opened.

        Ends with the engine.
        """
        return self._hub.stream()

    async def export(self) -> AsyncIterator[dict[str, Any]]:
        """Everything that a person may want to take along, as dictionaries fit for JSON:

        the profile, contacts, then all messages.
        """
        server = await self.server()
        yield exports.profile(self.me, None if server is None else server.url)
        for contact in (*await self.contacts.list(), *await self.contacts.requests()):
            yield exports.contact(contact)
        for channel in await self.channels.list():
            yield exports.channel(channel)
        position = 0
        while page := await self._core.store.run(messages.page, position, 500):
            for message in page:
                yield exports.message(message)
            position = page[-1].position

    # ------------------------------------------------------------ inside

    @property
    def _online(self) -> Online | None:
        return self._connecting.online

    def _spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Run something as long as this engine is open."""
        if self._group is None:
            work.close()
        else:
            self._group.create_task(work)

    async def _change(self, work: Callable[..., None], *args: object) -> None:
        """Run what may leave something to send."""
        try:
            await self._core.store.run(work, *args)
        finally:
            self._wake()  # even if the caller gave up: a transaction that has begun is not undone

    def _wake(self) -> None:
        if self._online is not None:
            self._online.wake()

    def _contacts_changed(self) -> None:
        self.calls.look_again()
        if self._online is not None:
            self._online.recall()

    async def _maintain(self) -> None:
        while True:
            # A disk that is full for a while is no reason to end a conversation; the next hour tries again.
            core = self._core
            with suppress(StoreError):
                await core.store.run(maintain, core.now())
            with suppress(StoreError):
                await core.store.checkpoint()
            with suppress(StoreError):
                await core.store.forget_copies(core.clock())
            await asyncio.sleep(INTERVAL)
