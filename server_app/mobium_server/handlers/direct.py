"""Direct messages: taken from senders, acknowledged by recipients. Not here: how they are delivered
(`mobium_server.delivery`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from mobium.protocol.messages import AckDeliveries, SendMessage
from mobium_server.handlers.payloads import may_keep, wrong_direct_size

if TYPE_CHECKING:
    from mobium_server.hub import Hub, Session

__all__ = ["acknowledge", "send"]


def send(hub: Hub, session: Session, message: SendMessage) -> None:
    """Take a message, if its payload has the size of a padded one; the answer follows when it is true."""
    hub.counters.messages += 1
    size = len(message.payload)
    code = wrong_direct_size(size, hub.settings.max_message_size)
    if code is not None:
        session.refuse(code, rid=message.rid, delivery=message.id)
        return
    if not may_keep(hub, session, size, message.rid, message.id):
        return
    if hub.office.is_away(message.recipient, size):
        hub.keeps(session.line.address, size)
    hub.office.accept(session.desk, message.rid, message.recipient, message.id, message.payload)


def acknowledge(hub: Hub, session: Session, message: AckDeliveries) -> None:
    """Take an acknowledgement; of a tag that was never sent on this connection it is malformed."""
    if not hub.office.acknowledge(session.desk, message.tag):
        session.malformed()
