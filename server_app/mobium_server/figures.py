"""Which figures there are: where each comes from, and what it says about itself in /metrics.

Reading them costs next to nothing: they are kept where things happen, and what the storage holds is looked up
from time to time (`mobium_server.survey`). Not its concern: their forms (`mobium_server.stats`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

from mobium_server.door import Door
from mobium_server.health import Health
from mobium_server.hub import Hub
from mobium_server.space import Space
from mobium_server.stats import Counters, Figure
from mobium_server.survey import Survey
from mobium_server.tls import Certificates

__all__ = ["all_figures"]

_COUNTED = {
    "accepted": "Connections that came.",
    "refused": "Connections that were turned away.",
    "logins": "Logins that succeeded.",
    "login_failures": "Logins that failed.",
    "messages": "Direct messages that came from senders.",
    "posts": "Channel messages that came from senders.",
    "signals": "Signals of calls and voice rooms that came from senders.",
    "media_in": "Media frames that came from senders.",
    "media_out": "Copies of media frames that went to sockets.",
    "media_slow": "Copies of media frames dropped because a socket was slow.",
    "media_outside": "Media frames dropped because their sender is not in the room.",
    "media_limited": "Media frames dropped because they were over the rate.",
    "malformed": "Frames that broke the protocol.",
    "limited": "Refused as too many: requests, new identities, bytes to keep, TLS handshakes, floods.",
    "bundles": "Prekey bundles handed out.",
    "internal": "Requests that failed by a fault of the server.",
}


def all_figures(
    hub: Hub,
    door: Door,
    health: Health,
    survey: Survey,
    space: Space,
    certificates: Certificates | None,
    counters: Counters,
) -> list[Figure]:
    """Every figure, in the order in which they are shown."""
    began = hub.clock.steady()
    return [
        _gauge("uptime_seconds", "Time since the start.", lambda: hub.clock.steady() - began),
        *_people(hub, door),
        *_messages(hub),
        *_storage(health, survey),
        *_disk(space),
        *_certificate(certificates, hub),
        *(_counted(counters, field.name) for field in fields(Counters)),
    ]


def _gauge(name: str, about: str, read: Callable[[], float]) -> Figure:
    return Figure(name, about, counter=False, read=read)


def _counter(name: str, about: str, read: Callable[[], float]) -> Figure:
    return Figure(name, about, counter=True, read=read)


def _counted(counters: Counters, name: str) -> Figure:
    return _counter(name, _COUNTED[name], lambda: getattr(counters, name))


def _people(hub: Hub, door: Door) -> list[Figure]:
    return [
        _gauge("connections", "Connections that are open.", lambda: door.places),
        _gauge("connections_most", "Connections that may be open; 0 is unlimited.", lambda: door.most),
        _gauge("sessions", "Devices that are logged in.", lambda: len(hub.sessions)),
    ]


def _messages(hub: Hub) -> list[Figure]:
    office, board, channels = hub.office, hub.board, hub.channels
    return [
        _counter("messages_stored", "Messages that were committed to disk.", lambda: office.stored),
        _counter(
            "messages_delivered", "Messages that their recipients acknowledged.", lambda: office.relayed
        ),
        _counter("statements_stored", "Statements that were committed.", lambda: channels.appended),
        _counter("posts_stored", "Channel messages that were committed.", lambda: board.stored),
        _counter("fan_outs", "Copies that went to readers of channels.", lambda: board.shown),
        _counter("behinds", "Times that a reader was not sent everything.", lambda: board.behinds),
        _gauge("channels_loaded", "Rosters in memory.", lambda: len(hub.rooms)),
        _gauge("voice_rooms", "Voice rooms in which somebody is.", lambda: len(hub.voice)),
        _gauge("voice_people", "People in voice rooms.", lambda: hub.voice.people),
        _gauge(
            "answers_remembered",
            "Delivery ids whose answer is remembered.",
            lambda: office.remembered + board.remembered,
        ),
    ]


def _storage(health: Health, survey: Survey) -> list[Figure]:
    commits = health.commits
    return [
        _gauge("mailbox_messages", "Messages that wait.", lambda: survey.volume.messages),
        _gauge("mailbox_bytes", "Bytes of the messages that wait.", lambda: survey.volume.message_bytes),
        _gauge("mailboxes", "Mailboxes in which something waits.", lambda: survey.volume.mailboxes),
        _gauge("mailbox_deepest", "Messages in the fullest mailbox.", lambda: survey.volume.deepest),
        _gauge("mailboxes_counted", "1 once all of that is counted.", lambda: int(survey.volume.complete)),
        _gauge("channels", "Channels.", lambda: survey.volume.channels),
        _gauge("database_bytes", "Size of the database.", lambda: survey.volume.database_bytes),
        _gauge("log_bytes", "Size of the log beside it.", lambda: survey.volume.log_bytes),
        _counter("commits", "Group commits.", lambda: commits.count),
        _gauge("commit_median_seconds", "What half of the newest commits took.", lambda: commits.recent(0.5)),
        _gauge("commit_99th_seconds", "What 99 of 100 of them took.", lambda: commits.recent(0.99)),
        _gauge("storage_failing", "1 while the storage fails.", lambda: int(health.failing)),
        _counter("storage_failures", "Times that the storage failed.", lambda: health.failures),
    ]


def _certificate(certificates: Certificates | None, hub: Hub) -> list[Figure]:
    if certificates is None:
        return []
    return [
        _gauge(
            "certificate_seconds_left",
            "Time until the certificate ends; below 0 it has.",
            lambda: certificates.ends.timestamp() - hub.clock.wall(),
        )
    ]


def _disk(space: Space) -> list[Figure]:
    return [
        _gauge("disk_free_bytes", "What is free on the database's disk.", lambda: space.room.free),
        _gauge("disk_total_bytes", "Its size; 0 is unknown.", lambda: space.room.total),
        _gauge("disk_reserve_bytes", "What has to stay free.", lambda: space.reserve),
        _gauge("disk_low", "1 while less is free than that.", lambda: int(space.low)),
    ]
