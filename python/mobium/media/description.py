"""Session descriptions of calls (RFC 8866, RFC 8829) in the one form that there is: `write` makes it, `read`
takes nothing else.

    session     ICE user fragment and password, the SHA-256 fingerprint of the DTLS certificate, the DTLS role
    0           sound: Opus
    1           a screen: VP8, with retransmission
    both        the same candidates, since both go over one transport (BUNDLE)

A library for WebRTC parses far more than a call needs, and what it parses comes from somebody else. So it is
given what `write` made of the few values in here, never a text that came in. Related addresses, which would
tell more than a candidate does, are left out. Not its concern: whose description it is, and to which call it
belongs (`mobium.client.calls`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address
from typing import Final, Literal

from mobium.errors import ProtocolError

__all__ = [
    "LARGEST",
    "MOST_CANDIDATES",
    "OPUS",
    "RTX",
    "VP8",
    "Candidate",
    "CandidateType",
    "Description",
    "Role",
    "read",
    "write",
]

LARGEST: Final = 16_384
"""Characters of a description: with all its candidates one has half of that."""

MOST_CANDIDATES: Final = 32
"""What a machine with many networks has; each is tried, so a list without end would be work without end."""

OPUS: Final = 96
VP8: Final = 97
RTX: Final = 98
"""RTP payload types."""

Role = Literal["actpass", "active", "passive"]
CandidateType = Literal["host", "srflx", "relay"]

_ICE = "[A-Za-z0-9+/]"
_UFRAG: Final = re.compile(f"a=ice-ufrag:({_ICE}{{4,32}})")
_PASSWORD: Final = re.compile(f"a=ice-pwd:({_ICE}{{22,64}})")
_FINGERPRINT: Final = re.compile("a=fingerprint:sha-256 ((?:[0-9A-F]{2}:){31}[0-9A-F]{2})")
_SETUP: Final = re.compile("a=setup:(actpass|active|passive)")
_CANDIDATE: Final = re.compile(
    f"a=candidate:({_ICE}{{1,32}}) 1 udp ([1-9][0-9]{{0,9}}) ([0-9A-Fa-f.:]{{2,45}}) ([1-9][0-9]{{0,4}})"
    " typ (host|srflx|relay)(?: raddr [0-9.:]{2,7} rport 9)?"
)
_SSRC: Final = re.compile("a=ssrc:([1-9][0-9]{0,9}) cname:mobium")

_HEAD: Final = ("v=0", "o=- 1 1 IN IP4 0.0.0.0", "s=-", "c=IN IP4 0.0.0.0", "t=0 0", "a=group:BUNDLE 0 1")
_SOUND: Final = (
    f"m=audio 9 UDP/TLS/RTP/SAVPF {OPUS}",
    "a=sendrecv",
    "a=mid:0",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=rtcp-mux",
    f"a=rtpmap:{OPUS} opus/48000/2",
    f"a=fmtp:{OPUS} cbr=1;useinbandfec=1",
)
_PICTURE: Final = (
    f"m=video 9 UDP/TLS/RTP/SAVPF {VP8} {RTX}",
    "a=sendrecv",
    "a=mid:1",
    "a=extmap:1 urn:ietf:params:rtp-hdrext:sdes:mid",
    "a=extmap:3 http://www.webrtc.org/experiments/rtp-hdrext/abs-send-time",
    "a=rtcp-mux",
    f"a=rtpmap:{VP8} VP8/90000",
    f"a=rtcp-fb:{VP8} nack",
    f"a=rtcp-fb:{VP8} nack pli",
    f"a=rtcp-fb:{VP8} goog-remb",
    f"a=rtpmap:{RTX} rtx/90000",
    f"a=fmtp:{RTX} apt={VP8}",
)
_NOWHERE: Final = {4: "0.0.0.0", 6: "::"}  # noqa: S104 - no address
_END: Final = "a=end-of-candidates"
_MOST_PRIORITY: Final = 2**31 - 1  # RFC 8445, section 5.1.2
_STREAMS: Final = 3  # sound, screen, retransmission


@dataclass(frozen=True, slots=True)
class Candidate:
    """An address at which somebody may be reached (RFC 8839, section 5.1): UDP, the only component."""

    foundation: str
    priority: int
    address: IPv4Address | IPv6Address
    port: int
    type: CandidateType


@dataclass(frozen=True, slots=True, repr=False)
class Description:
    """What one side says of itself. `fingerprint` has 32 bytes; `ssrcs` are those of sound, screen, and the
    screen's retransmission.
    """

    ufrag: str
    password: str
    fingerprint: bytes
    setup: Role
    candidates: tuple[Candidate, ...]
    ssrcs: tuple[int, int, int]

    def __repr__(self) -> str:
        return f"<Description: {len(self.candidates)} candidates>"  # addresses do not belong into a log


def write(description: Description) -> str:
    """The text of a description."""
    sound, screen, again = description.ssrcs
    candidates = [_candidate(candidate) for candidate in description.candidates]
    digits = description.fingerprint.hex(":").upper()
    lines = [
        *_HEAD,
        f"a=ice-ufrag:{description.ufrag}",
        f"a=ice-pwd:{description.password}",
        f"a=fingerprint:sha-256 {digits}",
        f"a=setup:{description.setup}",
        *_SOUND,
        f"a=ssrc:{sound} cname:mobium",
        *candidates,
        _END,
        *_PICTURE,
        f"a=ssrc-group:FID {screen} {again}",
        f"a=ssrc:{screen} cname:mobium",
        f"a=ssrc:{again} cname:mobium",
        *candidates,
        _END,
    ]
    return "".join(f"{line}\r\n" for line in lines)


def read(text: str, kind: Literal["offer", "answer"]) -> Description:
    """The values of a description that came from somebody else.

    Raises ProtocolError unless `text` is exactly what `write` makes of some values, and its DTLS role is one
    of this kind.
    """
    if len(text) > LARGEST:
        raise ProtocolError("The session description is too long.")
    lines = text.split("\r\n")
    (setup,) = _values(_SETUP, lines, 1)
    description = Description(
        _values(_UFRAG, lines, 1)[0],
        _values(_PASSWORD, lines, 1)[0],
        bytes.fromhex(_values(_FINGERPRINT, lines, 1)[0].replace(":", "")),
        setup,  # type: ignore[arg-type]
        _candidates(lines[: lines.index(_END)] if _END in lines else []),
        _ssrcs(lines),
    )
    if (setup == "actpass") != (kind == "offer"):
        raise ProtocolError("The session description has a DTLS role that does not fit.")
    if write(description) != text:
        raise ProtocolError("The session description is not of the form that calls have.")
    return description


def _candidate(candidate: Candidate) -> str:
    hidden = ""
    if candidate.type != "host":  # RFC 9429, section 3.5.3
        hidden = f" raddr {_NOWHERE[candidate.address.version]} rport 9"
    return (
        f"a=candidate:{candidate.foundation} 1 udp {candidate.priority} {candidate.address} {candidate.port}"
        f" typ {candidate.type}{hidden}"
    )


def _values(pattern: re.Pattern[str], lines: Iterable[str], count: int) -> list[str]:
    found = [match[1] for match in map(pattern.fullmatch, lines) if match]
    if len(found) != count:
        raise ProtocolError("The session description lacks something, or has it more than once.")
    return found


def _ssrcs(lines: Iterable[str]) -> tuple[int, int, int]:
    sound, screen, again = (int(value) for value in _values(_SSRC, lines, _STREAMS))
    if len({sound, screen, again}) != _STREAMS or max(sound, screen, again) > 0xFFFFFFFF:
        raise ProtocolError("The streams of a session description have no names of their own.")
    return sound, screen, again


def _candidates(lines: Iterable[str]) -> tuple[Candidate, ...]:
    found = []
    for match in map(_CANDIDATE.fullmatch, lines):
        if not match:
            continue
        foundation, priority, address, port, kind = match.groups()
        try:
            where = ip_address(address)
        except ValueError:
            raise ProtocolError("A candidate has an address that is none.") from None
        if where.is_multicast or where.is_unspecified or int(port) > 0xFFFF or int(priority) > _MOST_PRIORITY:
            raise ProtocolError("A candidate has an address that nobody can have.")
        found.append(Candidate(foundation, int(priority), where, int(port), kind))  # type: ignore[arg-type]
    if not 1 <= len(found) <= MOST_CANDIDATES:
        raise ProtocolError("The session description has no candidate, or too many.")
    return tuple(found)
