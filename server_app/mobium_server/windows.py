"""Messages on their way to connections: what is handed over when, tags, windows, pages of the mailbox, and
what a tag acknowledges.

Sans-I/O, as all of delivery is. Not its concern: what becomes of an envelope whose recipient has it, and its
answers (`mobium_server.delivery`).
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container

from mobium.protocol import codec, limits
from mobium_server.envelope import Desk, Envelope, State
from mobium_server.health import Health
from mobium_server.pace import RETRY_AFTER, Later
from mobium_server.storage.base import Page, Row, Storage
from mobium_server.storage.worker import Jobs

__all__ = ["Windows"]


class Windows:
    """Hands over what each connection's window and socket allow.

    `settle` is told of each envelope that its recipient has acknowledged, `row` gives the envelope of a row,
    `deleted` has the numbers of rows that were acknowledged and are about to go.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: Jobs,
        later: Later,
        health: Health,
        *,
        settle: Callable[[Envelope], None],
        row: Callable[[Desk, Row], Envelope],
        deleted: Container[int],
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._later = later
        self._health = health
        self._settle = settle
        self._row = row
        self._deleted = deleted

    def acknowledge(self, desk: Desk, tag: int) -> bool:
        """Everything on this connection up to `tag` is with the client. False if the tag was never sent
        there.
        """
        if tag > desk.tag:
            return False
        window = desk.window
        if not desk.open or window is None:
            return True
        while desk.acknowledged < tag:
            desk.acknowledged += 1
            desk.blocked = False
            envelope = window.popleft()
            desk.window_bytes -= envelope.size
            self._settle(envelope)
        self.pump(desk)
        return True

    def offer(self, desk: Desk, envelope: Envelope) -> None:
        """A message that has just come: hand it over at once if it is its turn, else queue it."""
        if not desk.behind and not desk.queue and desk.room_for(envelope.size) and desk.outlet.writable():
            self.hand_over(desk, envelope)
        else:
            self.enqueue(desk, envelope)
            self.pump(desk)

    @staticmethod
    def enqueue(desk: Desk, envelope: Envelope) -> None:
        """Put it behind what waits in memory for this connection."""
        if desk.queue is None:
            desk.queue = deque()
        desk.queue.append(envelope)

    @staticmethod
    def hand_over(desk: Desk, envelope: Envelope) -> None:
        """Send it under the next tag."""
        if desk.window is None:
            desk.window = deque()
        desk.tag += 1
        desk.window.append(envelope)
        desk.window_bytes += envelope.size
        envelope.desk = desk
        desk.outlet.send(
            codec.encode_delivery(
                desk.tag, envelope.delivery, envelope.sender, envelope.payload, envelope.channel
            )
        )

    def pump(self, desk: Desk) -> None:
        """Hand over what the window and the socket allow: rows first, then what is in memory."""
        while desk.open and desk.outlet.writable():
            if desk.behind:
                self._load(desk)
                return
            queue = desk.queue
            if not queue:
                return
            envelope = queue[0]
            if not envelope.queued:
                queue.popleft()
            elif desk.room_for(envelope.size):
                self.hand_over(desk, queue.popleft())
            else:
                return

    def _load(self, desk: Desk) -> None:
        window = len(desk.window) if desk.window is not None else 0
        # Not for each place that becomes free: reading half a window at a time is cheaper.
        full = window > limits.WINDOW_DELIVERIES // 2 or desk.window_bytes > limits.WINDOW_BYTES // 2
        if desk.loading or desk.blocked or (window and full):
            return
        desk.loading = True

        def done(page: Page | None, error: Exception | None) -> None:
            desk.loading = False
            if not desk.open:
                return
            if page is None:
                self._health.fails("A mailbox could not be read", error)
                self._later(RETRY_AFTER, lambda: self.pump(desk))
            else:
                self._health.works()
                self._take_page(desk, page)

        self._jobs.submit(
            done,
            self._storage.page,
            desk.identity,
            desk.cursor,
            limits.WINDOW_DELIVERIES - window,
            limits.WINDOW_BYTES - desk.window_bytes,
        )

    def _take_page(self, desk: Desk, page: Page) -> None:
        handed = {envelope.seq for envelope in desk.window or () if envelope.state is State.STORED}
        for row in page.rows:
            if row.seq not in handed and row.seq not in self._deleted:
                if not desk.room_for(len(row.payload)):
                    desk.blocked = True
                    return
                envelope = self._row(desk, row)
                if envelope.desk is None:
                    self.hand_over(desk, envelope)
                if envelope.state is State.STORED:
                    envelope.payload = b""
            desk.cursor = row.seq
        desk.behind = not page.end
        self.pump(desk)

    @staticmethod
    def skip(desk: Desk) -> None:
        """Drop what waits in memory at the head of the queue and has become a row, or is with the client."""
        while desk.queue and not desk.queue[0].queued:
            desk.queue.popleft()
