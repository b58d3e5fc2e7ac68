"""What several commands take, and how their help calls it.

Not its concern: the commands (`app`, `channel_app`).
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

__all__ = [
    "Channel",
    "Json",
    "Member",
    "Microphone",
    "Peer",
    "PeerOrChannel",
    "Record",
    "Said",
    "Seconds",
    "ShownScreen",
    "Speaker",
    "Talked",
]

Peer = Annotated[str, typer.Argument(help="A nickname, a key of 64 hexadecimal digits, or a contact link.")]
PeerOrChannel = Annotated[
    str, typer.Argument(help="A nickname, a key or a contact link; or a channel, in quotes: '#name'.")
]
Channel = Annotated[
    str,
    typer.Argument(metavar="'#NAME'", help="The channel; quoted, since a shell takes # for a comment."),
]
Member = Annotated[
    str, typer.Argument(metavar="PEER", help="A nickname, a key or its first digits, or '~name' in quotes.")
]
Said = Annotated[
    Path | None,
    typer.Option(
        "--input", metavar="FILE", help="Say this file with sound once somebody is there, and leave."
    ),
]
Record = Annotated[
    Path | None,
    typer.Option(metavar="FILE", help="Write what is heard into this WAV file, which is replaced."),
]
Microphone = Annotated[str | None, typer.Option(metavar="NAME", help="Which microphone is used.")]
Speaker = Annotated[str | None, typer.Option(metavar="NAME", help="Which speaker is used.")]
Seconds = Annotated[float | None, typer.Option(min=0.0, help="Leave after so many seconds.")]
Talked = Annotated[
    float | None,
    typer.Option("--seconds", min=0.0, help="Hang up after so many seconds of talk; ringing does not count."),
]
ShownScreen = Annotated[
    str | None, typer.Option("--screen", metavar="SIZE", help="Show your screen: 360p, 720p or 1080p.")
]
Json = Annotated[bool, typer.Option("--json", help="One JSON object a line.")]
