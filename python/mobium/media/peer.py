"""The real link: WebRTC by aiortc, which nothing else in here imports (`mobium.media.link` says what a link
is).

    out     packets of Opus and pictures -> RTP -> SRTP -> DTLS and ICE
    in      RTP of sound goes out as packets, in the order in which it comes; pictures are decoded

aiortc's own jitter buffer holds sound back for a third of a second after the first loss, and its decoder
conceals nothing; so sound passes it by, and is coded and played as in rooms (`mobium.media.pipeline`). It
asks a STUN server of Google's unless it is given a list: it always is. It never sees a text that came from
the other side, only what `mobium.media.description` made of it. What it leaves hanging has an end in here, or
is closed by whoever uses the link.

Where the library has no way in, private names of it are used; they are in `_Insides` alone, and the
contract's tests notice when they change.
"""

from __future__ import annotations

import asyncio
import datetime as dt
import queue
import re
import threading
import time
from collections import deque
from contextlib import suppress
from fractions import Fraction
from ipaddress import ip_address
from typing import TYPE_CHECKING, Any, Final

from aiortc import (
    RTCBundlePolicy,
    RTCConfiguration,
    RTCIceServer,
    RTCPeerConnection,
    RTCRtpSender,
    RTCSessionDescription,
)
from aiortc.exceptions import InvalidStateError
from aiortc.mediastreams import MediaStreamError, MediaStreamTrack
from aiortc.rtcconfiguration import RTCIceTransportPolicy
from aiortc.rtcdtlstransport import RTCCertificate, State
from aiortc.rtcicetransport import RTCIceCandidate, RTCIceGatherer
from av.packet import Packet
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec

from mobium.errors import CallError, Invalid
from mobium.media.description import MOST_CANDIDATES, OPUS, Candidate, Description, read, write
from mobium.media.form import FRAME_SAMPLES, RATE
from mobium.media.fragments import HIGHEST, WIDEST
from mobium.media.link import LinkListener, Pictures, Terms
from mobium.media.screen import read_vp8

if TYPE_CHECKING:
    from av import VideoFrame

__all__ = ["RtcLink"]

_GATHER: Final = 8.0
"""Seconds for candidates; the library gives up on a server after 5."""

_CLOSE: Final = 2.0
"""Seconds until what does not close by itself is cut off: a relay that is gone is asked for a minute."""

_HELD_BACK: Final = 10
"""Packets (0.2 s) that wait to be sent; beyond that the oldest go, since nobody wants to hear them later."""

_LARGEST_PACKET: Final = 1_275  # RFC 6716, section 3.4
_MOST_UNDECODED: Final = 30  # pictures: whoever sends faster than that is not listened to for a while
_PICTURE_CLOCK: Final = 90_000
_PRESENTED: Final = Fraction(1, RATE)
_SSRC: Final = re.compile(r"a=ssrc:(\d+) cname:")
_SETUP: Final = re.compile(r"a=setup:(\w+)")


class RtcLink:
    """One attempt, on one RTCPeerConnection. The class is a `LinkMaker`."""

    def __init__(self, terms: Terms, listener: LinkListener) -> None:
        self._terms = terms
        self._listener: LinkListener | None = listener
        self._voice = _Voice()
        self._screen = _Screen()
        self._inside: _Insides | None = None
        self._setting_up: asyncio.Task[Any] | None = None
        self._watching: asyncio.Task[None] | None = None
        self._closing: asyncio.Task[None] | None = None
        self._numbers = _Numbers()
        self._loopback = False

    async def offer(self) -> str:
        """As `PeerLink` has it."""
        connection = await self._begin()
        await self._do(connection.setLocalDescription(await connection.createOffer()))
        return self._text(connection)

    async def answer(self, offer: str) -> str:
        """As `PeerLink` has it."""
        theirs = read(offer, "offer")
        connection = await self._begin()
        await self._do(connection.setRemoteDescription(self._foreign(theirs, "offer")))
        await self._do(connection.setLocalDescription(await connection.createAnswer()))
        return self._text(connection)

    async def accept(self, answer: str) -> None:
        """As `PeerLink` has it."""
        theirs = read(answer, "answer")
        assert self._inside is not None
        await self._do(self._inside.connection.setRemoteDescription(self._foreign(theirs, "answer")))

    def send(self, packet: bytes) -> None:
        """As `PeerLink` has it."""
        if self._inside is not None and self._inside.connection.connectionState == "connected":
            self._voice.put(packet)

    def show(self, pictures: Pictures | None) -> None:
        """As `PeerLink` has it."""
        self._screen.show(pictures)

    async def close(self) -> None:
        """As `PeerLink` has it."""
        self._listener = None
        if self._closing is None:
            self._closing = asyncio.create_task(self._close())
        await asyncio.shield(self._closing)

    # ------------------------------------------------------------ setting up

    async def _begin(self) -> RTCPeerConnection:
        """A connection with its candidates. Raises CallError where there are none."""
        servers = [RTCIceServer(one.url, one.username, one.credential) for one in self._terms.servers]
        if self._terms.relay_only and not any(one.url.startswith("turn") for one in self._terms.servers):
            raise CallError("There is no relay to call through.", "no_relay")
        policy = RTCIceTransportPolicy.RELAY if self._terms.relay_only else RTCIceTransportPolicy.ALL
        configuration = RTCConfiguration(servers, policy, RTCBundlePolicy.MAX_BUNDLE)
        try:
            self._inside = inside = _Insides(self, configuration, self._terms, self._voice, self._screen)
        except ValueError as error:
            raise CallError("The server names a relay in a form that nobody reads.", "failed") from error
        await self._do(inside.gatherer.gather())
        found = inside.gatherer.getLocalCandidates()
        if not found and self._terms.relay_only:
            raise CallError("The relay did not answer, or did not take the credentials.", "no_relay")
        if not found:
            raise CallError("This machine has no network over which it could be reached.", "no_network")
        if self._terms.relay_only and any(one.type != "relay" for one in found):
            raise CallError("An address would be shown that is not to be shown.", "failed")
        self._loopback = any(ip_address(one.ip).is_loopback for one in found)
        return inside.connection

    async def _do(self, work: Any) -> None:
        """Let the library do something, within bounds.

        It is not cancelled: what it waits for it would leave behind. `close` waits for it.
        """
        self._setting_up = task = asyncio.ensure_future(work)
        done, _ = await asyncio.wait((task,), timeout=_GATHER)
        if not done:
            raise CallError("The servers for calls did not answer in time.", "failed")
        try:
            task.result()
        except asyncio.CancelledError:
            raise
        except Exception as error:
            raise CallError("The call could not be set up.", "failed") from error

    def _text(self, connection: RTCPeerConnection) -> str:
        assert self._inside is not None
        sdp: str = connection.localDescription.sdp
        sound, screen, again = (int(value) for value in _SSRC.findall(sdp))
        setup = _SETUP.findall(sdp)[0]
        own = self._inside.gatherer.getLocalParameters()
        return write(
            Description(
                str(own.usernameFragment), str(own.password), self._inside.fingerprint, setup,
                _candidates(self._inside.gatherer.getLocalCandidates()), (sound, screen, again),
            )
        )  # fmt: skip

    def _foreign(self, theirs: Description, kind: str) -> RTCSessionDescription:
        """What the library is told of the other side.

        An address of this very machine is the other side's only if it is ours as well: else somebody would
        have us knock at our own doors.
        """
        kept = tuple(one for one in theirs.candidates if self._loopback or not one.address.is_loopback)
        if not kept:
            raise CallError("The other side named no address at which it could be.", "not_connected")
        changed = Description(
            theirs.ufrag, theirs.password, theirs.fingerprint, theirs.setup, kept, theirs.ssrcs
        )
        return RTCSessionDescription(write(changed), kind)

    # ------------------------------------------------------------ what comes

    def _state_changed(self, state: str, *, forged: bool) -> None:
        listener = self._listener
        if listener is None:
            return
        if state == "connected" and self._watching is None:
            assert self._inside is not None
            self._watching = asyncio.create_task(self._watch(self._inside.pictures))
            listener.connected()
        elif state in {"failed", "closed"}:
            code = "forged" if forged else "not_connected" if self._watching is None else "lost"
            self._listener = None
            listener.failed(code)

    def _heard(self) -> None:
        if self._listener is not None:
            self._listener.heard()

    def _sound(self, number: int, packet: bytes) -> None:
        if self._listener is not None and 0 < len(packet) <= _LARGEST_PACKET:
            self._listener.heard()
            self._listener.packet(self._numbers.whole(number), packet)

    async def _watch(self, track: MediaStreamTrack) -> None:
        """Take every picture: what nobody takes would pile up."""
        with suppress(MediaStreamError):
            while True:
                frame: Any = await track.recv()
                if self._listener is not None:
                    self._listener.picture(frame)

    # ------------------------------------------------------------ closing

    async def _close(self) -> None:
        self._screen.show(None)
        inside = self._inside
        if inside is None:
            return
        if self._setting_up is not None:
            await asyncio.wait((self._setting_up,), timeout=_GATHER)
        closing = asyncio.ensure_future(inside.connection.close())
        done, _ = await asyncio.wait((closing,), timeout=_CLOSE)
        if not done:
            inside.cut_off()
            await asyncio.wait((closing,), timeout=_CLOSE)
        await inside.settle()
        self._voice.stop()
        self._screen.stop()
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.wait((self._watching,))


class _Insides:
    """A connection of the library, with what it does not offer."""

    def __init__(
        self, link: RtcLink, configuration: RTCConfiguration, terms: Terms, voice: _Voice, screen: _Screen
    ) -> None:
        """Raises ValueError for servers that the library does not take."""
        self.connection = connection = RTCPeerConnection(configuration)
        certificate, self.fingerprint = _certificate(terms.ours)
        connection._RTCPeerConnection__certificates = [certificate]  # type: ignore[attr-defined]
        sound = connection.addTransceiver(voice, "sendrecv")
        pictures = connection.addTransceiver(screen, "sendrecv")
        sound.setCodecPreferences(_codecs("audio", "audio/opus"))
        pictures.setCodecPreferences(_codecs("video", "video/vp8", "video/rtx"))
        self._sound, self._pictures = sound, pictures
        self._dtls = sound.receiver.transport
        self._forged = False
        self._terms = terms
        self._check_identity = self._dtls._validate_peer_identity
        self._dtls._validate_peer_identity = self._validate  # type: ignore[method-assign, assignment]
        self._connect = connection._RTCPeerConnection__connect  # type: ignore[attr-defined]
        connection._RTCPeerConnection__connect = self._connecting  # type: ignore[attr-defined]
        self._link = link
        sound.receiver._handle_rtp_packet = self._on_sound  # type: ignore[method-assign]
        self._on_report = sound.receiver._handle_rtcp_packet
        sound.receiver._handle_rtcp_packet = self._on_control  # type: ignore[method-assign]
        spoilt = pictures.receiver._RTCRtpReceiver__decoder_error  # type: ignore[attr-defined]
        pictures.receiver._RTCRtpReceiver__decoder_queue = _Frames(spoilt)  # type: ignore[attr-defined]

        @connection.on("connectionstatechange")
        def changed() -> None:
            link._state_changed(connection.connectionState, forged=self._forged)

    @property
    def gatherer(self) -> RTCIceGatherer:
        """What finds candidates: one, since all goes over one transport."""
        return self._dtls.transport.iceGatherer

    @property
    def pictures(self) -> MediaStreamTrack:
        """What the other side shows."""
        return self._pictures.receiver.track

    async def _connecting(self) -> None:
        """The library leaves this to itself, also where it is closed in the middle."""
        with suppress(InvalidStateError):
            await self._connect()

    def _validate(self, parameters: Any) -> None:
        """The certificate has the fingerprint that was told, and is made for this attempt of this call."""
        self._check_identity(parameters)
        if self._dtls.state != "failed":
            certificate: Any = self._dtls._ssl.get_peer_certificate(as_cryptography=True)  # type: ignore[union-attr]
            names = certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)
            if [name.value for name in names] != [self._terms.theirs]:
                self._forged = True
                self._dtls._set_state(State.FAILED)
        else:
            self._forged = True

    async def _on_sound(self, packet: Any, arrival_time_ms: int) -> None:
        del arrival_time_ms
        if packet.payload_type == OPUS:
            self._link._sound(packet.sequence_number, bytes(packet.payload))

    async def _on_control(self, packet: Any) -> None:
        """Reports come once a second, also of somebody who is muted."""
        self._link._heard()
        await self._on_report(packet)

    async def settle(self) -> None:
        """A connection that came about while it was closed would ask for ever whether the other side is
        there.
        """
        transport = self._dtls.transport
        connecting = transport._RTCIceTransport__start  # type: ignore[attr-defined]
        if connecting is not None:
            with suppress(TimeoutError):
                async with asyncio.timeout(_CLOSE):
                    await connecting.wait()
            await transport._connection.close()

    def cut_off(self) -> None:
        """End what `close` waits for: relays that do not answer."""
        for protocol in self.gatherer._connection._protocols:
            tasks = [getattr(protocol.transport, "_TurnTransport__close_task", None)]
            tasks += getattr(protocol.transport, "_TurnTransport__send_tasks", ())
            for task in tasks:
                if task is not None:
                    task.cancel()


class _Frames(queue.Queue[Any]):
    """What waits to be decoded: not much, and no picture that would take more memory than any screen that is
    shown.
    """

    def __init__(self, spoilt: threading.Event) -> None:
        """`spoilt` is set when what follows cannot be decoded: the library asks for a keyframe then."""
        super().__init__()
        self._spoilt = spoilt

    def put(self, item: Any, block: bool = True, timeout: float | None = None) -> None:
        if item is None or (self.qsize() < _MOST_UNDECODED and _fits(item[1].data)):
            super().put(item, block, timeout)
        else:
            self._spoilt.set()


def _fits(data: bytes) -> bool:
    try:
        head = read_vp8(data)
    except Invalid:
        return False
    return head.width <= WIDEST and head.height <= HIGHEST


class _Voice(MediaStreamTrack):
    """Packets on their way out."""

    kind = "audio"

    def __init__(self) -> None:
        super().__init__()
        self._packets: deque[bytes] = deque(maxlen=_HELD_BACK)
        self._some = asyncio.Event()
        self._count = 0

    def put(self, packet: bytes) -> None:
        self._packets.append(packet)
        self._some.set()

    async def recv(self) -> Packet[Any]:
        """The library asks for the next packet."""
        while not self._packets:
            self._some.clear()
            await self._some.wait()
        packet = Packet(self._packets.popleft())
        packet.pts, packet.time_base = self._count * FRAME_SAMPLES, _PRESENTED
        self._count += 1
        return packet


class _Screen(MediaStreamTrack):
    """Pictures on their way out.

    One track for all that is ever shown, since the encoder ends for good when a picture is older than the one
    before it: time is that of one clock.
    """

    kind = "video"

    def __init__(self) -> None:
        super().__init__()
        self._pictures: Pictures | None = None
        self._changed = asyncio.Event()
        self._began = time.monotonic()
        self._last = -1

    def show(self, pictures: Pictures | None) -> None:
        self._pictures = pictures
        self._changed.set()

    async def recv(self) -> VideoFrame:
        """The library asks for the next picture."""
        while True:
            self._changed.clear()
            pictures = self._pictures
            if pictures is None:
                await self._changed.wait()
                continue
            frame = await self._next(pictures)
            if frame is not None:
                self._last = max(self._last + 1, int((time.monotonic() - self._began) * _PICTURE_CLOCK))
                frame.pts, frame.time_base = self._last, Fraction(1, _PICTURE_CLOCK)
                return frame

    async def _next(self, pictures: Pictures) -> VideoFrame | None:
        """The next one, or None where something else is to be shown, or nothing any more."""
        waits = [asyncio.ensure_future(pictures.picture()), asyncio.ensure_future(self._changed.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
            if self._pictures is not pictures or not waits[0].done():
                return None
            frame: VideoFrame = waits[0].result()  # type: ignore[assignment]
        except Exception:  # noqa: BLE001 - whoever shows knows what went wrong; the call goes on
            self._pictures = None
            return None
        else:
            return frame
        finally:
            for wait in waits:
                wait.cancel()
            await asyncio.gather(*waits, return_exceptions=True)


class _Numbers:
    """Sequence numbers of 16 bits (RFC 3550, section 5.1) as numbers that go on."""

    def __init__(self) -> None:
        self._newest: int | None = None

    def whole(self, number: int) -> int:
        if self._newest is None:
            self._newest = number + 0x10000  # so that those before the first one are not negative
            return self._newest
        ahead = (number - self._newest + 0x8000) % 0x10000 - 0x8000
        whole = self._newest + ahead
        self._newest = max(self._newest, whole)
        return whole


def _codecs(kind: str, *names: str) -> list[Any]:
    known = RTCRtpSender.getCapabilities(kind)
    assert known is not None
    return [codec for codec in known.codecs if codec.mimeType.lower() in names]


def _certificate(name: str) -> tuple[RTCCertificate, bytes]:
    """A certificate for one link, which says nothing but `name`; and its SHA-256 fingerprint (32 bytes)."""
    key = ec.generate_private_key(ec.SECP256R1())
    called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])
    today = dt.datetime.now(dt.UTC).replace(hour=0, minute=0, second=0, microsecond=0)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(called)
        .issuer_name(called)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(today - dt.timedelta(days=1))
        .not_valid_after(today + dt.timedelta(days=30))
        .sign(key, hashes.SHA256())
    )
    return RTCCertificate(key, certificate), certificate.fingerprint(hashes.SHA256())


def _candidates(found: list[RTCIceCandidate]) -> tuple[Candidate, ...]:
    """Our candidates as they are told: those that help most first, and no base address in a foundation."""
    told = []
    bases: dict[str, str] = {}
    order = {"relay": 0, "srflx": 1, "host": 2}
    for one in sorted(found, key=lambda one: order.get(one.type, 3))[:MOST_CANDIDATES]:
        base = bases.setdefault(one.foundation, str(len(bases) + 1))
        kind: Any = one.type
        told.append(Candidate(base, one.priority, ip_address(one.ip), one.port, kind))
    return tuple(told)
