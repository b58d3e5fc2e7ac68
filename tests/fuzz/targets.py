"""Every fuzz target by its name. One takes any bytes, and raises nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from tests.fuzz import stored, typed, wire

HERE: Final = Path(__file__).parent
KERNELS: Final = HERE.parents[1] / "native" / "core" / "fuzz" / "seeds"

TARGETS: Final[dict[str, Callable[[bytes], None]]] = {
    target.__name__: target
    for target in (
        typed.addresses,
        typed.links,
        typed.words,
        wire.codecs,
        wire.contents,
        wire.media,
        wire.server_connection,
        wire.client_connection,
        wire.statements,
        wire.roster,
        wire.pictures,
        wire.descriptions,
        stored.padding,
        stored.ratchet_state,
        stored.ratchet_parts,
        stored.ratchet_message,
        stored.sender_keys,
        stored.frames,
        stored.session,
        stored.handshake,
        stored.channel_names,
    )
}

#: Targets that begin with the seeds of the kernels' own.
SHARED: Final = {
    "padding": "padding",
    "ratchet_state": "ratchet_state",
    "ratchet_parts": "ratchet_parts",
    "ratchet_message": "ratchet_message",
    "sender_keys": "sender_key_parsers",
    "frames": "frame_parsers",
}


def folders(name: str) -> Iterator[Path]:
    """Where the seeds of a target lie."""
    for folder in (HERE / "seeds" / name, KERNELS / SHARED.get(name, name)):
        if folder.is_dir():
            yield folder


def seeds(name: str) -> list[bytes]:
    """The inputs with which a target begins."""
    return [file.read_bytes() for folder in folders(name) for file in sorted(folder.iterdir())]
