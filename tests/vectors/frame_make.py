"""Makes what is in frame.json; kernels_make.py writes it, and what is said there holds here."""

from __future__ import annotations

from collections.abc import Callable

from mobium.errors import MobiumError
from tests.kernels.kernels import AnyOpener, Kernels
from tests.vectors.common import Entropy, Json, counting, put, sha256


class _Stream:
    """Writes down what a sealer and its openers do."""

    def __init__(self, kernels: Kernels, name: str, kid: int, counter: int, base: int = 32) -> None:
        self._kernels = kernels
        fresh = Entropy(name)
        self.base_key = b"".join(fresh(16) for _ in range(base // 16))
        self.kid = kid
        self.sealer = kernels.FrameSealer(self.base_key, kid, counter)
        self.openers: dict[str, AnyOpener] = {}
        self.frames: list[tuple[bytes, bytes]] = []
        self.steps: list[Json] = []
        start = {"name": name, "base_key": self.base_key.hex(), "kid": kid, "counter": counter}
        self.json: Json = {**start, "steps": self.steps}

    def seal(self, size: int, metadata: bytes = b"") -> int:
        """Notes the frame and returns its index."""
        frame = self.sealer.seal(counting(size), metadata)
        self.frames.append((frame, metadata))
        said = {"hex": frame.hex()} if size < 200 else {"size": len(frame), "sha256": sha256(frame)}
        self.steps.append({"do": "seal", "size": size, "metadata": metadata.hex(), "frame": said})
        return len(self.frames) - 1

    def burn(self, count: int) -> None:
        """Empty frames that nobody gets."""
        for _ in range(count):
            self.sealer.seal(b"")
        self.steps.append({"do": "burn", "count": count})

    def used_up(self) -> None:
        """What a sealer without numbers answers."""
        try:
            self.sealer.seal(b"")
        except MobiumError as error:
            self.steps.append({"do": "used_up", "error": type(error).__name__})

    def open(
        self,
        opener: str,
        index: int,
        what: str = "",
        edit: Callable[[bytes], bytes] | None = None,
        metadata: bytes | None = None,
    ) -> None:
        """Opens a frame, or notes the error; `edit` changes it first, `metadata` is another than its own."""
        if opener not in self.openers:
            self.openers[opener] = self._kernels.FrameOpener(self.base_key, self.kid)
        frame, own = self.frames[index]
        more: Json = {"do": "open", "opener": opener, "frame": index}
        if what:
            more["what"] = what
        if edit is not None:
            frame = edit(frame)
            more["edited"] = frame.hex()
        if metadata is not None:
            own = metadata
            more["metadata"] = metadata.hex()
        try:
            plaintext = self.openers[opener].open(frame, own)
        except MobiumError as error:
            more["error"] = type(error).__name__
        else:
            more["opens"] = len(plaintext)
            assert plaintext == counting(len(plaintext))
        self.steps.append(more)


def _voice(kernels: Kernels) -> Json:
    stream = _Stream(kernels, "voice", 0x8123_4501, 1 << 24)
    frames = [stream.seal(120, bytes(range(65))) for _ in range(6)]
    for at in (3, 1, 3, 5, 0, 1, 2, 4, 0):
        stream.open("early", frames[at])
    for at in (4, 5, 3):
        stream.open("late", frames[at])
    return stream.json


def _framed(kernels: Kernels) -> Json:
    stream = _Stream(kernels, "framed", 2**64 - 1, 0, 64)
    sizes = [(0, 0), (1, 1), (15, 65), (16, 111), (17, 112), (199, 300), (512 * 1024, 65), (1_000_000, 0)]
    for size, more in sizes:
        stream.open("opener", stream.seal(size, bytes(more)))
    return stream.json


def _windowed(kernels: Kernels) -> Json:
    stream = _Stream(kernels, "windowed", 7, 0, 16)
    first, second = stream.seal(1), stream.seal(2)
    stream.burn(1022)
    edge, above = stream.seal(3), stream.seal(4)
    stream.burn(5000)
    far = stream.seal(5)
    for index in (edge, second, first, above, second, second, edge, far, above, far):
        stream.open("opener", index)
    stream.open("forgery", second)
    stream.open("forgery", far, "forged far ahead", lambda frame: frame[:-1] + bytes([frame[-1] ^ 1]))
    stream.open("forgery", first)
    return stream.json


def _last(kernels: Kernels) -> Json:
    stream = _Stream(kernels, "last", 0, 2**64 - 2)
    frames = [stream.seal(3), stream.seal(4)]
    stream.used_up()
    for index in (1, 0, 0, 1):
        stream.open("opener", frames[index])
    return stream.json


def _altered(kernels: Kernels) -> Json:
    stream = _Stream(kernels, "altered", 0x8000_0000, 300)
    index = stream.seal(5, b"room")
    kid = b"\x80\0\0\0"
    for what, edit in (
        ("empty", lambda frame: frame[:0]),
        ("header cut off", lambda frame: frame[:6]),
        ("tag cut off", lambda frame: frame[:22]),
        ("cut off", lambda frame: frame[:-1]),
        ("too long", lambda frame: frame + b"\0"),
        ("KID", put(4, b"\1")),
        ("counter", put(6, b"\x2d")),
        ("ciphertext", put(7, b"\0\0")),
        ("tag", put(12, bytes(16))),
        ("KID not in its shortest form", lambda frame: b"\xc9\0" + kid + frame[5:]),
        ("counter not in its shortest form", lambda frame: b"\xba" + kid + b"\0" + frame[5:]),
        ("counter below 8 behind the config byte", lambda frame: b"\xb8" + kid + b"\7" + frame[7:]),
        ("counter of 0 behind the config byte", lambda frame: b"\xb8" + kid + b"\0" + frame[7:]),
    ):
        stream.open("opener", index, what, edit)
    for metadata in (b"", b"rooM", b"room\0"):
        stream.open("opener", index, "metadata", metadata=metadata)
    stream.open("opener", index)
    stream.open("opener", index, "opened, and forged", put(12, bytes(16)))
    return stream.json


def frame(kernels: Kernels) -> Json:
    """The streams."""
    streams = [make(kernels) for make in (_voice, _framed, _windowed, _last, _altered)]
    return {"plaintext": "byte i is i mod 251", "streams": streams}
