"""Pictures of a screen as frames of VP8 (RFC 6386) and back, by PyAV: one picture in, one frame out, at once.

    fit             the size that is sent: the screen's own shape, within the preset, never enlarged
    scaled          what was captured, in that size
    ScreenEncoder   keyframes when asked for one, kept small; never a frame of more than 512 KiB
    ScreenDecoder   looks at size and kind before it decodes, and shows nothing that is built on what is
                    missing

No WebM around the frames: it would hand them out in clusters, half a second late. Not its concern: capturing
(`mobium.media.capture`), heads and fragments (`mobium.media.fragments`), when which picture is sent
(`mobium.media.broadcast`) and decoded (`mobium.media.follow`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from fractions import Fraction
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from mobium.errors import Invalid
from mobium.media.capture import Shot
from mobium.media.form import needed
from mobium.media.fragments import HIGHEST, LARGEST_FRAME, WIDEST, Encoded, Picture

if TYPE_CHECKING:
    from av import VideoCodecContext, VideoFrame

__all__ = [
    "FPS",
    "PRESETS",
    "Preset",
    "ScreenDecoder",
    "ScreenEncoder",
    "Shown",
    "Vp8Head",
    "fit",
    "read_vp8",
    "scaled",
]

FPS: Final = 15
"""Pictures a second."""


class Preset(NamedTuple):
    """How large a screen is sent, at most, and how many bits a second it takes, on average."""

    width: int
    height: int
    bit_rate: int


PRESETS: Final[Mapping[str, Preset]] = MappingProxyType(
    {
        "360p": Preset(640, 360, 400_000),
        "720p": Preset(1_280, 720, 1_200_000),
        "1080p": Preset(1_920, 1_080, 2_500_000),
    }
)

SMALLEST: Final = 16
"""Pixels of a side: one macroblock. A screen of a stranger shape than that loses its shape."""

CLOCK: Final = 90_000
"""Ticks of a second."""

HALVED: Final = 5_000
"""Milliseconds for which pictures have half their size after one that was too large for a frame."""

_SETTINGS: Final = {
    "deadline": "realtime",
    "cpu-used": "8",
    "lag-in-frames": "0",  # one in, one out
    "error-resilient": "1",
    "static-thresh": "100",  # what does not change costs next to nothing
    "screen-content-mode": "1",
    "max-intra-rate": "300",  # percent of an average frame, as far as `qmax` lets it
    "qmin": "2",
    "qmax": "45",  # of 63: fewer pictures rather than letters that cannot be read
}


def fit(width: int, height: int, preset: Preset) -> tuple[int, int]:
    """The size in pixels, both even, in which a screen of `width` by `height` is sent."""
    if width * preset.height >= height * preset.width:
        wide = min(width, preset.width)
        high = round(height * wide / width)
    else:
        high = min(height, preset.height)
        wide = round(width * high / height)
    return max(SMALLEST, wide // 2 * 2), max(SMALLEST, high // 2 * 2)


def scaled(shot: Shot, preset: Preset) -> VideoFrame:
    """What was captured as YUV 4:2:0, in the size that `fit` says. Raises MediaUnavailable without PyAV."""
    av, numpy = needed("av", "Showing the screen"), needed("numpy", "Showing the screen")
    pixels = numpy.frombuffer(shot.data, numpy.uint8).reshape(shot.height, shot.width, 4)
    frame: VideoFrame = av.VideoFrame.from_ndarray(pixels, format="bgra")
    width, height = fit(shot.width, shot.height, preset)
    return frame.reformat(width, height, format="yuv420p", interpolation="AREA")


class Vp8Head(NamedTuple):
    """What a frame of VP8 says about itself; only a keyframe has a size (in pixels), others have 0."""

    keyframe: bool
    width: int
    height: int


def read_vp8(data: bytes) -> Vp8Head:
    """The head of a frame of VP8 (RFC 6386, section 9.1). Raises Invalid."""
    if len(data) < 4:  # an empty one would end FFmpeg's decoder for good
        raise Invalid("This is no frame of VP8: it is too short.")
    if data[0] & 1:
        return Vp8Head(False, 0, 0)
    if data[3:6] != b"\x9d\x01\x2a" or len(data) < 10:
        raise Invalid("This is no keyframe of VP8: its start code is missing.")
    sides = (int.from_bytes(data[at : at + 2], "little") & 0x3FFF for at in (6, 8))
    return Vp8Head(True, *sides)


class ScreenEncoder:
    """One share's encoder. It has a state: pictures are encoded in their order, by one thread at a time."""

    def __init__(self, bit_rate: int) -> None:
        """`bit_rate` is in bits a second, on average. Raises MediaUnavailable without PyAV."""
        self._av: Any = needed("av", "Showing the screen")
        self._bit_rate = bit_rate
        self._context: VideoCodecContext | None = None
        self._ticks = -1
        self._halved_until = 0

    def encode(self, frame: VideoFrame, time: int, *, keyframe: bool = False) -> Encoded | None:
        """One picture (YUV 4:2:0, even sides) as one frame of at most 524,224 bytes; None if it is left out.

        `time` is in milliseconds since the share began. The first frame, one of another size than the one
        before it, and one for which `keyframe` is set are keyframes.
        """
        if time >= self._halved_until:
            encoded = self._encode(frame, time, keyframe)
            if encoded is None or len(encoded.data) <= LARGEST_FRAME:
                return encoded
            self._halved_until = time + HALVED
        smaller = frame.reformat(frame.width // 4 * 2, frame.height // 4 * 2, interpolation="AREA")
        encoded = self._encode(smaller, time, keyframe)
        if encoded is not None and len(encoded.data) > LARGEST_FRAME:
            self._context = None  # nothing is built on what is not sent
            return None
        return encoded

    def _encode(self, frame: VideoFrame, time: int, keyframe: bool) -> Encoded | None:
        context = self._context
        if context is None or (context.width, context.height) != (frame.width, frame.height):
            context = self._context = self._open(frame.width, frame.height)
        # VP8 refuses, once and for all, what is not later than the picture before
        self._ticks = max(self._ticks + 1, time * CLOCK // 1000)
        frame.pts, frame.time_base = self._ticks, Fraction(1, CLOCK)
        kind = self._av.video.frame.PictureType
        frame.pict_type = kind.I if keyframe else kind.NONE
        packets = context.encode(frame)
        if not packets:
            return None
        data = bytes(packets[0])
        return Encoded(read_vp8(data).keyframe, time, frame.width, frame.height, data)

    def _open(self, width: int, height: int) -> VideoCodecContext:
        context: VideoCodecContext = self._av.CodecContext.create("libvpx", "w")
        context.width, context.height, context.pix_fmt = width, height, "yuv420p"
        context.bit_rate, context.time_base, context.framerate = (
            self._bit_rate, Fraction(1, CLOCK), Fraction(FPS),
        )  # fmt: skip
        context.gop_size = 1 << 20  # keyframes come when they are asked for
        context.thread_count = 1
        steady = dict.fromkeys(("minrate", "maxrate", "bufsize"), str(self._bit_rate))
        context.options = {**_SETTINGS, **steady}
        return context


@dataclass(frozen=True, slots=True)
class Shown:
    """A decoded picture; `time` is in milliseconds since the share began."""

    time: int
    frame: VideoFrame

    @property
    def width(self) -> int:
        """Pixels."""
        return self.frame.width

    @property
    def height(self) -> int:
        """Pixels."""
        return self.frame.height

    def rgb(self, width: int = 0, height: int = 0) -> bytes:
        """Its pixels, three bytes each, row by row; scaled to this size where one is given."""
        frame = self.frame.reformat(width or self.width, height or self.height, format="rgb24")
        pixels: bytes = frame.to_ndarray().tobytes()
        return pixels


class ScreenDecoder:
    """One sender's decoder. It has a state: pictures are decoded in their order, by one thread at a time."""

    def __init__(self) -> None:
        """Raises MediaUnavailable without PyAV."""
        self._av: Any = needed("av", "Showing a screen")
        self._context: VideoCodecContext | None = None

    def decode(self, picture: Picture) -> Shown | None:
        """The picture, or None for one that is not to be shown.

        Raises Invalid for what is no picture, or not what its head says, or built on one that is missing;
        then only a keyframe can follow.
        """
        encoded = picture.encoded
        try:
            frame = self._decode(encoded)
        except Invalid:
            self._context = None
            raise
        return None if frame is None else Shown(encoded.time, frame)

    def _decode(self, encoded: Encoded) -> VideoFrame | None:
        head, size = read_vp8(encoded.data), (encoded.width, encoded.height)
        if head.keyframe != encoded.keyframe:
            raise Invalid("The picture is of another kind than its head says.")
        if head.keyframe and (head.width, head.height) != size:
            raise Invalid("The picture has another size than its head says.")
        if not head.keyframe and self._context is None:
            raise Invalid("The picture is built on one that is missing.")
        if self._context is None:
            self._context = self._open()
        try:
            frames = self._context.decode(self._av.Packet(encoded.data))
        except self._av.error.FFmpegError as error:
            raise Invalid("The picture cannot be decoded.") from error
        if not frames:
            return None
        if (frames[-1].width, frames[-1].height) != size:
            raise Invalid("The picture has another size than its head says.")
        return frames[-1]

    def _open(self) -> VideoCodecContext:
        context: VideoCodecContext = self._av.CodecContext.create("vp8", "r")
        context.thread_count = 1  # a thread for each frame would hold back as many pictures
        context.options = {"max_pixels": str(WIDEST * HIGHEST)}
        return context
