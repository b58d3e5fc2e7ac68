"""What a call is, and what its machine wants done (`mobium.client.call_state`): values, and nothing else."""

from __future__ import annotations

from enum import Enum
from typing import Final, Literal

import msgspec

from mobium.client.events import CallState

__all__ = ["REASONS", "Apply", "Drop", "Effect", "Missed", "Phase", "Prepare", "Say", "Step", "Talk", "Tell"]

Step = Literal["offer", "ringing", "answer", "decline", "busy", "cancel", "hangup", "again"]


REASONS: Final = {
    "declined": "The call was declined.",
    "not_taken": "The other side could not take the call.",
    "busy": "The other side is in another call.",
    "no_answer": "Nobody answered.",
    "unreachable": "The other side cannot be reached at the moment.",
    "missed": "The call was missed.",
    "failed": "The call could not be set up.",
    "no_relay": (
        "This call must not show an address, and there is no relay to go through: verify the contact, or ask "
        "the server's operator for a TURN server."
    ),
    "no_network": "This machine has no network over which it could be called.",
    "not_connected": (
        "The two sides could not be connected: a network on the way lets no calls through. A TURN server "
        "at the server, which its operator can add, would help."
    ),
    "forged": "The connection was not the other side's, so it was ended: somebody on the way meddles.",
    "lost": "The connection was lost.",
}
"""Why a call ended, as a word and as a sentence; what a person did takes none."""


class Phase(Enum):
    """Where a call is."""

    PREPARING = "preparing"
    CALLING = "calling"
    RINGING = "ringing"
    INCOMING = "incoming"
    ANSWERING = "answering"
    CONNECTING = "connecting"
    ACTIVE = "active"
    RECONNECTING = "reconnecting"


# ---------------------------------------------------------------- effects


class Say(msgspec.Struct, frozen=True):
    """Send this step to `peer`. A `reply` only answers one of that peer's, and need not be said each time."""

    peer: bytes
    call: bytes
    step: Step
    attempt: int = 0
    sdp: str | None = None
    reason: str | None = None
    reply: bool = False


class Prepare(msgspec.Struct, frozen=True):
    """Make a link and describe it: as an offer, or as the answer to `offer`."""

    peer: bytes
    call: bytes
    attempt: int
    offer: str | None = None


class Apply(msgspec.Struct, frozen=True):
    """The other side has answered the offer of this link."""

    call: bytes
    attempt: int
    answer: str


class Drop(msgspec.Struct, frozen=True):
    """Close this link, if there is one."""

    call: bytes
    attempt: int


class Tell(msgspec.Struct, frozen=True):
    """The call that the program knows as `key` is in another state. `code` says why it ended, and is empty
    before that.
    """

    key: bytes
    peer: bytes
    state: CallState
    code: str = ""


class Missed(msgspec.Struct, frozen=True):
    """`peer` called with the call `call` while there was another one, and was told so."""

    call: bytes
    peer: bytes


Effect = Say | Prepare | Apply | Drop | Tell | Missed


# ---------------------------------------------------------------- the call


class Talk(msgspec.Struct, frozen=True):
    """The call that there is.

    `key` is its name for the program and stays; `call` is its name for the two sides, which changes if both
    called at once. `attempt` is the link in use, `pending` the one that is to replace it. `description` is
    what was said of the newest link, with its attempt.
    """

    key: bytes
    call: bytes
    peer: bytes
    offers: bool
    phase: Phase
    deadline: float
    attempt: int = 0
    offer: str = ""
    description: tuple[int, str] | None = None
    heard: float = 0.0
    repeat: float | None = None
    pending: int | None = None
    pending_until: float = 0.0
    newest: int = 0
    unheard: bool = False
    """Whether it is the other side that hears nothing."""
