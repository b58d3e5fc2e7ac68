"""Voice: rooms of channels, and signals between two. Not here: what rooms are (`mobium_server.voice`)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobium.protocol.codes import ErrorCode
from mobium.protocol.limits import MAX_SIGNAL
from mobium.protocol.messages import Forwarded, JoinVoice, LeaveVoice, SendSignal, Signal
from mobium_server.handlers.payloads import wrong_direct_size
from mobium_server.rooms import Denied, Room

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["join", "leave", "signal"]

SLOW_AFTER = 1.0  # seconds after which a signal may be tried again whose recipient's socket is slow


def join(hub: Hub, session: Session, message: JoinVoice) -> None:
    """Let a member into the room of a channel. What is asked last holds, if the roster has to be read."""
    session.joining = message

    def found(room: Room | Denied) -> None:
        if not session.desk.open:
            return
        if session.joining is not message:
            session.refuse(ErrorCode.NOT_IN_ROOM, rid=message.rid)
            return
        session.joining = None
        if isinstance(room, Denied):
            session.refuse(room.code, rid=message.rid, retry_after=room.retry_after)
            return
        if room.roster.role(session.identity) is None:
            session.refuse(ErrorCode.NOT_A_MEMBER, rid=message.rid)
            return
        joined = hub.voice.join(session.identity, session.line, message.channel_id, session.participant)
        if isinstance(joined, Denied):
            session.refuse(joined.code, rid=message.rid, retry_after=joined.retry_after)
        else:
            session.participant = joined
            session.reply(hub.voice.state(message.channel_id, message.rid))

    hub.rooms.find(message.channel_id, found)


def leave(hub: Hub, session: Session, message: LeaveVoice) -> None:
    """Let somebody out of the room of a channel."""
    session.joining = None
    one = session.participant
    if one is None or one.room is None or one.room.channel != message.channel_id:
        session.refuse(ErrorCode.NOT_IN_ROOM, rid=message.rid)
        return
    hub.voice.leave(one)
    session.participant = None
    session.reply(hub.voice.state(message.channel_id, message.rid))


def signal(hub: Hub, session: Session, message: SendSignal) -> None:
    """Hand a signal over to who is online; it is never stored."""
    hub.counters.signals += 1
    size = len(message.payload)
    code = wrong_direct_size(size, MAX_SIGNAL)
    if code is not None:
        session.refuse(code, rid=message.rid)
        return
    other = hub.sessions.get(message.recipient)
    if other is None or not other.line.alive:
        session.refuse(ErrorCode.OFFLINE, rid=message.rid)
    elif not other.takes_signal(size):
        session.refuse(ErrorCode.QUEUE_FULL, rid=message.rid, retry_after=SLOW_AFTER)
    else:
        other.reply(Signal(session.identity, message.payload))
        if message.rid is not None:
            session.reply(Forwarded(message.rid))
