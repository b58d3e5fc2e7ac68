"""Calls with contacts: sound and screens between two machines, set up by signals inside the ratchet.

    engine.calls.call(peer)      accept, decline, hang_up      mute, share, watch
    CallChanged                  tells of every state

`mobium.client.call_state` decides; here timers run, signals are said and devices follow. An address is shown
to nobody but contacts who were verified, and to none with `hide_address`: all other calls go through a relay
alone (docs/CRYPTO.md section 8). Whoever is called looks for no address before somebody has accepted. Not its
concern: sessions of signals (`mobium.client.signals`), links (`mobium.client.call_links`), sound
(`mobium.client.call_sound`).
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

import msgspec

from mobium.client.call_heard import HeardSteps
from mobium.client.call_ice import IceServers
from mobium.client.call_links import CallLinks, LinkName, real_links
from mobium.client.call_screen import CallScreen
from mobium.client.call_sound import CallVoice, Ringing, SoundChoice
from mobium.client.call_state import CallMachine
from mobium.client.call_steps import CallSteps
from mobium.client.call_values import REASONS, Apply, Drop, Effect, Missed, Phase, Prepare, Say, Talk, Tell
from mobium.client.contacts import resolve
from mobium.client.core import Core
from mobium.client.events import CallChanged, CallMissed, CallScreenChanged, CallState, Event
from mobium.client.online import Online
from mobium.client.screens import SCREEN_PRESETS, ScreenPreset
from mobium.client.sound import sound_changed
from mobium.client.store import meta, peers
from mobium.client.store.database import Tx
from mobium.client.store.peers import Peer
from mobium.crypto.call import call_binding
from mobium.errors import (
    CallError,
    InvalidInput,
    MediaUnavailable,
    NotConnected,
    StoreError,
)
from mobium.media.capture import Capture, ScreenCapture
from mobium.media.devices import AudioDevices
from mobium.media.link import Terms
from mobium.media.pipeline import SpeakerReport
from mobium.protocol.content import Call

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["CallInfo", "Calls"]

log = logging.getLogger(__name__)

_HIDE: Final = "hide_address"
_AFTER_FAULT: Final = 1.0  # seconds before a part that failed is begun again
_LAST_WORD: Final = 2.0  # seconds for the end of a call when the profile is locked


class CallInfo(msgspec.Struct, frozen=True):
    """The call that there is. `call` and `peer` are hex; with `muted` one's own voice is kept back."""

    call: str
    peer: str
    state: CallState
    muted: bool


class Calls:
    """The calls of an open engine: one at a time."""

    def __init__(
        self,
        core: Core,
        online: Callable[[], Online | None],
        tell: Callable[[list[Event]], None],
        start: Callable[[Coroutine[Any, Any, None]], None],
        *,
        proxied: bool = False,
    ) -> None:
        """`tell` hands events out, `start` runs something as long as the engine is open. With `proxied` the
        server is reached through a proxy, which a call would go around.
        """
        self._core = core
        self._online = online
        self._tell = tell
        self._proxied = proxied
        self._machine = CallMachine()
        self._ice = IceServers()
        self.links = CallLinks(self, self._terms, start)
        """The links of calls; a test may give it a `maker` of its own."""
        self._state: CallState = "ended"
        self._sound = SoundChoice()
        self._voice: CallVoice | None = None
        self._ringing = Ringing(self._sound)
        self._heard = HeardSteps()
        self._screen = CallScreen(self.links.show, self._screen_told, start)
        self._why = ("", "")
        self._offered = b""
        self._some_heard = asyncio.Event()
        self._moved = asyncio.Event()
        self._asking = 0  # how often one is being prepared
        self._hung_up = 0  # how often somebody did
        self._time = asyncio.get_running_loop().time
        self._steps = CallSteps(self._say, self._unsaid, self._time)

    # ------------------------------------------------------------ what a person does

    @property
    def current(self) -> CallInfo | None:
        """The call that there is."""
        talk = self._machine.talk
        if talk is None:
            return None
        muted = self._voice is not None and self._voice.muted
        return CallInfo(talk.key.hex(), talk.peer.hex(), self._state, muted)

    async def call(self, peer: bytes | str) -> str:
        """Call a contact, and return the name of the call (hex); `CallChanged` tells what becomes of it. Who
        is just called by that contact accepts.

        Raises InvalidInput for somebody who cannot be called, CallError in another call, where calls are not
        possible, or when it was ended meanwhile, MediaUnavailable for want of a library or a device,
        NotConnected, ServerRefused.
        """
        hung_up = self._hung_up
        self._asking += 1
        try:
            found = await self._core.store.run(_callable, self._core.identity.public, peer)
            await self._prepare(found)
        finally:
            self._asking -= 1
        if self._hung_up != hung_up:
            raise CallError("The call was ended before it began.", "cancelled")
        talk = self._machine.talk
        if talk is not None and (talk.peer, talk.phase) == (found.ed, Phase.INCOMING):
            return await self.accept()
        if talk is not None:
            raise CallError("There is a call already; end it first.", "busy")
        self._open_voice()
        key = self._core.entropy(16)
        self._do(self._machine.dial(key, found.ed, self._time()))
        return key.hex()

    async def accept(self, call: str | None = None) -> str:
        """Take the call that rings, and return its name; with `call`, as `CallChanged` names it, that one
        and no other. Raises what `call` does; then it rings on.
        """
        talk = self._incoming(call)
        peer = await self._core.store.run(_callable, self._core.identity.public, talk.peer)
        await self._prepare(peer)
        self._incoming(talk.key.hex())
        self._open_voice()
        self._do(self._machine.accept(self._time()))
        return talk.key.hex()

    async def decline(self, call: str | None = None) -> None:
        """Refuse the call that rings; with `call`, that one and no other. Raises CallError if none does."""
        self._incoming(call)
        self._do(self._machine.hang_up())

    async def hang_up(self) -> None:
        """End the call, whatever its state, or that which `call` prepares. Raises CallError if there is
        none.
        """
        if self._machine.talk is None and not self._asking:
            raise CallError("There is no call.", "no_call")
        self._hung_up += 1
        self._do(self._machine.hang_up())

    def mute(self, yes: bool = True) -> None:
        """Keep one's own voice back until the call ends, or not any more. Raises CallError without a call."""
        if self._voice is None:
            raise CallError("There is no call.", "no_call")
        self._voice.muted = yes

    def choose(self, *, microphone: str | None, speaker: str | None) -> None:
        """Use these devices from now on, by name; None is the default one.

        Raises AudioUnavailable and InvalidInput; then those before stay in use.
        """
        before = self._sound.microphone, self._sound.speaker
        self._sound.microphone, self._sound.speaker = microphone, speaker
        if self._voice is not None:
            try:
                self._voice.move()
            except BaseException:
                self._sound.microphone, self._sound.speaker = before
                raise
        self._ringing.move()

    def use(
        self, devices: AudioDevices | None, *, microphone: str | None = None, speaker: str | None = None
    ) -> None:
        """Use these devices from the next call on (`sound_devices`), or the machine's own again."""
        self._sound.given, self._sound.microphone, self._sound.speaker = devices, microphone, speaker

    def report(self) -> SpeakerReport | None:
        """How it is with the other side's voice: its delay, what was lost. None before any was heard."""
        return None if self._voice is None else self._voice.report()

    async def share(
        self,
        preset: ScreenPreset = SCREEN_PRESETS["720p"],
        *,
        monitor: str | None = None,
        capture: Callable[[], Capture] = ScreenCapture,
    ) -> None:
        """Show a monitor, by name or the default one, to the other side, in place of what was shown.

        Raises CallError if there is no call, or none any more once the screen is there; CaptureUnavailable
        where nothing can be captured, with a sentence that says why; InvalidInput for a monitor that there is
        not; MediaUnavailable for want of a library.
        """
        if self._machine.talk is None:
            raise CallError("There is no call.", "no_call")
        await self._screen.share(capture, preset, monitor)

    def stop_sharing(self) -> None:
        """Show one's own screen no more."""
        self._screen.stop()

    @property
    def sharing(self) -> bool:
        """Whether one's own screen is shown."""
        return self._screen.sharing

    def watch(self, watcher: Callable[[VideoFrame], None] | None) -> None:
        """`watcher` is given every picture that the other side shows, a frame of PyAV."""
        self._screen.watcher = watcher

    async def hide_address(self) -> bool:
        """Whether all calls go through a relay, those with verified contacts too."""
        return bool(await self._core.store.run(meta.get, _HIDE, 0))

    async def set_hide_address(self, yes: bool) -> None:
        """Let all calls go through a relay from now on, or those with verified contacts not."""
        await self._core.store.run(meta.put, _HIDE, int(yes))

    # ------------------------------------------------------------ inside

    def heard(self, sender: bytes, said: Call) -> None:
        """A step of a call has come."""
        if not self._proxied:  # where no call is possible it is as if nobody were there
            self._heard.put(sender, said)
            self._some_heard.set()

    def look_again(self) -> None:
        """Contacts have changed: whoever may not call any more is not talked with either."""
        self._some_heard.set()

    async def run(self) -> None:
        """Carry out what calls take, until cancelled."""
        async with asyncio.TaskGroup() as group:
            for part in (self._hear_all, self._steps.run, self._watch_time):
                group.create_task(self._keep(part))

    async def _keep(self, part: Callable[[], Coroutine[Any, Any, None]]) -> None:
        while True:
            try:
                await part()
            except Exception as error:  # noqa: BLE001 - the outermost edge: a call ends, the engine goes on
                log.warning("A call went wrong and was ended: %s", type(error).__name__)
                self._do(self._machine.hang_up())
                await asyncio.sleep(_AFTER_FAULT)

    async def _hear_all(self) -> None:
        while True:
            await self._some_heard.wait()
            self._some_heard.clear()
            with suppress(StoreError):
                talk = self._machine.talk
                if talk is not None and not await self._core.store.run(_may_call, talk.peer):
                    self._end(talk.key)
                while heard := self._heard.take():
                    sender, said = heard
                    if await self._core.store.run(_may_call, sender):
                        now_ms = self._core.now_ms()
                        self._do(self._machine.received(sender, said, self._time(), now_ms))

    def _end(self, key: bytes) -> None:
        talk = self._machine.talk
        if talk is not None and talk.key == key:  # and not another one, begun meanwhile
            self._do(self._machine.hang_up())

    async def close(self) -> None:
        """End the call, tell the other side if that takes no time, and leave no link."""
        self._do(self._machine.hang_up())
        self._ringing.stop()
        online = self._online()
        with suppress(TimeoutError):
            async with asyncio.timeout(_LAST_WORD):
                while self._steps.pending and online is not None and online.link.online:  # noqa: ASYNC110
                    await asyncio.sleep(0.01)
        await self.links.closed()
        self._sound.close()

    def _incoming(self, call: str | None = None) -> Talk:
        talk = self._machine.talk
        if talk is None or talk.phase is not Phase.INCOMING:
            raise CallError("No call rings.", "no_call")
        if call not in {None, talk.key.hex()}:
            raise CallError("Another call rings by now.", "no_call")
        return talk

    async def _prepare(self, peer: Peer) -> None:
        """Make sure that a call with this peer is possible. Raises."""
        if self._proxied:
            raise CallError(
                "Calls go from machine to machine, around the proxy, and would show your address; connect "
                "without the proxy to call.",
                "proxied",
            )
        self.links.maker = self.links.maker or real_links()
        online = self._reached()
        servers = await self._ice.ask(online, self._time())
        if await self._hidden(peer) and not any(one.url.startswith("turn") for one in servers):
            raise CallError(REASONS["no_relay"], "no_relay")

    def _reached(self) -> Online:
        online = self._online()
        if online is None or not online.link.online:
            raise NotConnected("There is no connection to the server, and a call takes one.")
        return online

    async def _hidden(self, peer: Peer) -> bool:
        return peer.trust != "verified" or await self.hide_address()

    # ------------------------------------------------------------ effects

    def _do(self, effects: list[Effect]) -> None:
        for effect in effects:
            match effect:
                case Say():
                    self._steps.put(effect)
                case Prepare():
                    self.links.make(effect)
                case Apply():
                    self.links.apply(effect)
                case Drop():
                    self.links.drop(effect)
                case Tell():
                    self._note(effect)
                case Missed():
                    self._tell([CallMissed(effect.call.hex(), effect.peer.hex())])
        self._moved.set()

    def _note(self, told: Tell) -> None:
        """The call is in another state: devices follow, and the program learns it."""
        self._state = told.state
        parts = (self._ringing.note, self._follow)  # one after the other: a device may bear one stream alone
        for part in parts[::-1] if told.state == "ended" else parts:
            try:
                part(told.state, told.code)
            except (MediaUnavailable, InvalidInput) as error:
                log.warning("A call has no sound: %s", error)
            except Exception as error:  # noqa: BLE001 - of devices; the call goes on, and ends as it would
                log.warning("A call has no sound: %s", type(error).__name__)
        code, why = self._why
        reason = why if why and code == told.code else REASONS.get(told.code, "")
        self._why = ("", "")
        self._tell([CallChanged(told.key.hex(), told.peer.hex(), told.state, told.code, reason)])

    async def _terms(self, wanted: Prepare) -> Terms:
        me = self._core.identity.public
        peer = await self._core.store.run(_callable, me, wanted.peer)
        return Terms(
            await self._ice.ask(self._reached(), self._time()),
            await self._hidden(peer),
            call_binding(wanted.call, wanted.attempt, me, peer.ed),
            call_binding(wanted.call, wanted.attempt, peer.ed, me),
        )

    # ------------------------------------------------------------ signals

    async def _say(self, say: Say) -> None:
        online, core = self._online(), self._core
        if online is None:
            return
        said = Call(core.entropy(16), core.now_ms(), say.call, say.step, say.attempt, say.sdp, say.reason)
        # Whether somebody is there is not told: nobody is to learn so who has blocked him.
        await online.signals.send(say.peer, said)

    def _unsaid(self, say: Say, why: str) -> None:
        self.link_failed((say.call, say.attempt), "failed", why)

    # ------------------------------------------------------------ time

    async def _watch_time(self) -> None:
        while True:
            self._moved.clear()
            now = self._time()
            at = self._machine.next_at()
            if at is not None and at <= now:
                self._do(self._machine.tick(now))
                continue
            self._screen.tick(now)
            moments = [at, self._screen.next_at()]
            wait = min((moment - now for moment in moments if moment is not None), default=None)
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._moved.wait()

    # ------------------------------------------------------------ what links tell

    def link_described(self, name: LinkName, sdp: str) -> None:
        """As `LinkOwner` has it."""
        self._do(self._machine.described(*name, sdp, self._time()))

    def link_failed(self, name: LinkName, code: str, why: str) -> None:
        """As `LinkOwner` has it."""
        self._why = (code, why)
        self._do(self._machine.failed(*name, code, self._time()))

    def link_connected(self, name: LinkName) -> None:
        """As `LinkOwner` has it."""
        self._do(self._machine.connected(*name, self._time()))

    def link_heard(self, name: LinkName) -> None:
        """As `LinkOwner` has it."""
        self._do(self._machine.heard(*name, self._time()))

    def link_packet(self, name: LinkName, number: int, packet: bytes) -> None:
        """As `LinkOwner` has it."""
        if self._voice is not None:
            self._voice.put(name[1], number, packet)

    def link_picture(self, name: LinkName, picture: VideoFrame) -> None:
        """As `LinkOwner` has it."""
        del name
        self._screen.seen(picture, self._time())

    def _screen_told(self, mine: bool, shown: bool, reason: str) -> None:
        talk = self._machine.talk
        if talk is not None:
            peer = "" if mine else talk.peer.hex()
            self._tell([CallScreenChanged(talk.key.hex(), peer, shown, reason)])
        self._moved.set()

    # ------------------------------------------------------------ sound

    def _open_voice(self) -> None:
        """Make sure that there are microphone and speaker. Raises MediaUnavailable, InvalidInput."""
        self._voice = self._voice or CallVoice(
            self._sound, self._send, lambda event: self._tell([sound_changed(event)])
        )

    def _follow(self, state: CallState, _code: str) -> None:
        """Microphone and speaker follow the call."""
        if state == "ended":
            self._end_voice()
        elif self._voice is not None and state == "connecting":
            self._voice.listen()
        elif self._voice is not None and state == "active":
            self._voice.speak()

    def _end_voice(self) -> None:
        voice, self._voice = self._voice, None
        self._screen.end()
        if voice is not None:
            voice.close()

    def _send(self, packet: bytes) -> None:
        talk = self._machine.talk
        if talk is not None:
            self.links.send((talk.call, talk.attempt), packet)


def _may_call(tx: Tx, sender: bytes) -> bool:
    """Whether somebody is let through: a contact, and one whose key is the known one."""
    peer = peers.by_key(tx, sender)
    return peer is not None and peer.accepted and peer.trust != "changed"


def _callable(tx: Tx, me: bytes, peer: bytes | str) -> Peer:
    """The contact whom `peer` names. Raises InvalidInput for somebody who cannot be called."""
    key, found = resolve(tx, peer)
    if key == me:
        raise InvalidInput("This is your own key; a call needs two.")
    if found is None or found.relation != "contact":
        raise InvalidInput("Only contacts can be called; add this one first.")
    if found.blocked:
        raise InvalidInput("This contact is blocked; unblock it to call it.")
    if found.trust == "changed":
        raise InvalidInput("This contact's key has changed; accept the new key to call.")
    return found
