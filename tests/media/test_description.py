"""Session descriptions: one form, and everything else is refused, however a library would read it."""

from __future__ import annotations

import random
import re
from dataclasses import replace
from ipaddress import ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

import mobium.protocol
from mobium.errors import ProtocolError
from mobium.media.description import LARGEST, MOST_CANDIDATES, Candidate, Description, Role, read, write

HOST = Candidate("1", 2_130_706_431, ip_address("192.0.2.7"), 50_000, "host")
RELAY = Candidate("2", 16_777_215, ip_address("2001:db8::7"), 49_160, "relay")
OFFER = Description("eHoa", "69xFUPHhSnLW2wAhIz4zHS", bytes(range(32)), "actpass", (HOST, RELAY), (1, 2, 3))
TEXT = write(OFFER)

ice = st.text("abcXYZ019+/")
addresses = st.ip_addresses().filter(lambda ip: not ip.is_multicast and not ip.is_unspecified)
candidates = st.builds(
    Candidate,
    st.text("abcXYZ019+/", min_size=1, max_size=32),
    st.integers(1, 2**31 - 1),
    addresses.filter(lambda ip: ip.version == 4 or not getattr(ip, "scope_id", None)),
    st.integers(1, 65_535),
    st.sampled_from(["host", "srflx", "relay"]),
)
roles: dict[str, list[Role]] = {"offer": ["actpass"], "answer": ["active", "passive"]}


@st.composite
def descriptions(draw: st.DrawFn) -> tuple[str, Description]:
    kind = draw(st.sampled_from(["offer", "answer"]))
    first, second, third = draw(st.lists(st.integers(1, 2**32 - 1), min_size=3, max_size=3, unique=True))
    return kind, Description(
        draw(st.text("abcXYZ019+/", min_size=4, max_size=32)),
        draw(st.text("abcXYZ019+/", min_size=22, max_size=64)),
        draw(st.binary(min_size=32, max_size=32)),
        draw(st.sampled_from(roles[kind])),
        tuple(draw(st.lists(candidates, min_size=1, max_size=MOST_CANDIDATES))),
        (first, second, third),
    )


@given(descriptions())
def test_what_is_written_is_read(made: tuple[str, Description]) -> None:
    kind, description = made
    text = write(description)
    assert len(text) <= LARGEST
    assert read(text, kind) == description  # type: ignore[arg-type]


def test_no_related_address_is_told() -> None:
    lines = [line for line in TEXT.splitlines() if "candidate:" in line]
    assert lines[1::2] == ["a=candidate:2 1 udp 16777215 2001:db8::7 49160 typ relay raddr :: rport 9"] * 2
    assert "192.0.2.7" not in repr(OFFER)


def test_the_library_reads_the_same() -> None:
    sdp = pytest.importorskip("aiortc.sdp")
    parsed = sdp.SessionDescription.parse(TEXT)
    assert [media.kind for media in parsed.media] == ["audio", "video"]
    for media in parsed.media:
        assert [(one.algorithm, one.value) for one in media.dtls.fingerprints] == [
            ("sha-256", OFFER.fingerprint.hex(":").upper())
        ]
        assert (media.ice.usernameFragment, media.ice.password) == (OFFER.ufrag, OFFER.password)
        assert [(one.ip, one.port, one.type) for one in media.ice_candidates] == [
            ("192.0.2.7", 50_000, "host"),
            ("2001:db8::7", 49_160, "relay"),
        ]
        assert media.ice_candidates_complete


def replaced(old: str, new: str) -> str:
    assert old in TEXT
    return TEXT.replace(old, new)


FINGERPRINT = f"a=fingerprint:sha-256 {OFFER.fingerprint.hex(':').upper()}\r\n"
LINE = "a=candidate:1 1 udp 2130706431 192.0.2.7 50000 typ host\r\n"
HOSTILE = {
    "empty": "",
    "no text": "\0" * 100,
    "huge": TEXT + "a=x\r\n" * LARGEST,
    "cut": TEXT[:-30],
    "twice": TEXT + TEXT,
    "no fingerprint": replaced(FINGERPRINT, ""),
    "two fingerprints": replaced(FINGERPRINT, FINGERPRINT + FINGERPRINT.replace("00:01", "FF:FF")),
    "the same fingerprint twice": replaced(FINGERPRINT, FINGERPRINT * 2),
    "a fingerprint for the screen": replaced("a=mid:1\r\n", "a=mid:1\r\n" + FINGERPRINT),
    "SHA-1": replaced(FINGERPRINT, "a=fingerprint:sha-1 " + ":".join(["AA"] * 20) + "\r\n"),
    "SHA-512": replaced(FINGERPRINT, "a=fingerprint:sha-512 " + ":".join(["AA"] * 64) + "\r\n"),
    "and SHA-512": replaced(
        FINGERPRINT, FINGERPRINT + "a=fingerprint:sha-512 " + ":".join(["AA"] * 64) + "\r\n"
    ),
    "a short fingerprint": replaced(":1E:1F", ":1E"),
    "small letters": replaced("0A:0B", "0a:0b"),
    "two roles": replaced("a=setup:actpass\r\n", "a=setup:actpass\r\na=setup:active\r\n"),
    "no role": replaced("a=setup:actpass\r\n", ""),
    "holdconn": replaced("a=setup:actpass", "a=setup:holdconn"),
    "other line ends": TEXT.replace("\r\n", "\n"),
    "ICE lite": replaced("t=0 0\r\n", "t=0 0\r\na=ice-lite\r\n"),
    "a data channel": TEXT
    + "m=application 9 UDP/DTLS/SCTP webrtc-datachannel\r\na=mid:2\r\na=sctp-port:5000\r\n",
    "another codec": replaced("opus/48000/2", "PCMU/8000"),
    "plain RTP": replaced("UDP/TLS/RTP/SAVPF 96", "RTP/AVP 96"),
    "no encryption": replaced("a=rtcp-mux\r\n", ""),
    "an own extension": replaced(
        "a=mid:0\r\n", "a=mid:0\r\na=extmap:2 urn:ietf:params:rtp-hdrext:ssrc-audio-level\r\n"
    ),
    "no candidate": TEXT.replace(LINE, "").replace(TEXT.splitlines(keepends=True)[19], ""),
    "too many candidates": replaced(LINE, LINE * (MOST_CANDIDATES + 1)),
    "other candidates for the screen": TEXT[::-1].replace(LINE[::-1], "", 1)[::-1],
    "a name for an address": replaced("192.0.2.7", "evil.example"),
    "a name of the local network": replaced("192.0.2.7", "0a1b2c3d.local"),
    "no address": replaced("192.0.2.7", "999.0.2.7"),
    "a multicast address": replaced("192.0.2.7", "224.0.0.251"),
    "a broadcast": replaced("192.0.2.7 50000", "0.0.0.0 50000"),
    "an address written otherwise": replaced("2001:db8::7", "2001:0db8::7"),
    "a port out of range": replaced(" 50000 typ", " 65536 typ"),
    "no port": replaced(" 50000 typ", " 0 typ"),
    "TCP": replaced("1 udp 2130706431", "1 tcp 2130706431"),
    "another component": replaced("a=candidate:1 1 udp", "a=candidate:1 2 udp"),
    "a priority out of range": replaced("2130706431", "2147483648"),
    "a related address": replaced("raddr :: rport 9", "raddr 192.168.1.5 rport 9"),
    "a peer-reflexive candidate": replaced("50000 typ host", "50000 typ prflx"),
    "one name for two streams": replaced("a=ssrc:2 cname", "a=ssrc:1 cname"),
    "a stream out of range": TEXT.replace("ssrc:1 ", "ssrc:4294967296 "),
    "a short password": replaced(OFFER.password, OFFER.password[:-1]),
    "a blank in the user fragment": replaced("a=ice-ufrag:eHoa", "a=ice-ufrag:eH oa"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_descriptions_are_refused(name: str) -> None:
    for kind in ("offer", "answer"):
        with pytest.raises(ProtocolError):
            read(HOSTILE[name], kind)


def test_an_answer_is_no_offer() -> None:
    with pytest.raises(ProtocolError, match="role"):
        read(TEXT, "answer")
    with pytest.raises(ProtocolError, match="role"):
        read(replaced("a=setup:actpass", "a=setup:active"), "offer")


def test_random_changes_are_refused_or_harmless(seed: int) -> None:
    """What is read says exactly what came in: nothing in it was passed over."""
    dice = random.Random(seed)
    print(f"seed {seed}")
    taken = 0
    for _ in range(3_000):
        lines = TEXT.splitlines(keepends=True)
        for _ in range(dice.randint(1, 3)):
            at = dice.randrange(len(lines))
            match dice.randrange(5):
                case 0:
                    del lines[at]
                case 1:
                    lines.insert(at, dice.choice(lines))
                case 2:
                    lines[at], lines[0] = lines[0], lines[at]
                case 3:
                    line = list(lines[at])
                    line[dice.randrange(len(line))] = dice.choice("019aAfF:. /=\r\n\0é")
                    lines[at] = "".join(line)
                case _:
                    lines[at] = lines[at] * dice.randint(1, 50)
        text = "".join(lines)
        try:
            found = read(text, "offer")
        except ProtocolError:
            continue
        taken += 1
        assert write(found) == text
    assert taken < 1_000


def test_the_form_is_the_one_that_the_specification_shows() -> None:
    spec = Path(mobium.protocol.__file__).with_name("SPEC.md").read_text("utf-8")
    block = spec.split("## Session descriptions")[1].split("```")[1].strip().splitlines()
    one = write(replace(OFFER, candidates=(HOST,))).split("\r\n")[:-1]
    assert len(block) == len(one)
    for shown, line in zip(block, one, strict=True):
        fixed = [part.split("}")[-1] for part in shown.split("{")]
        assert re.fullmatch(".*".join(map(re.escape, fixed)), line), (shown, line)
