"""The promise of delivery (docs/PROTOCOL.md, Delivery): forward at once, tag, window, acknowledgements, group
commit, resends.

Sans-I/O: connections are `Outlet`s, the database is a queue of jobs whose answers come back in order, timers
are given. Everything happens on one thread, so every method is one step that nothing can interleave. Not its
concern: who may send (`mobium_server.handlers`), bytes on sockets (`mobium_server.gateway`), rows
(`mobium_server.storage`), messages of channels (`mobium_server.board`).
"""

from __future__ import annotations

from collections.abc import Callable

from mobium.protocol.codes import ErrorCode
from mobium.protocol.messages import NotTaken
from mobium_server.envelope import Asker, Batch, Desk, Envelope, Outlet, State
from mobium_server.health import Health
from mobium_server.holding import Holding
from mobium_server.looks import Looked, Looks
from mobium_server.pace import BATCH, BATCH_BYTES, FULL_AFTER, RETRY_AFTER, TICK, TIDY, Cancel, Later
from mobium_server.recent import Recent
from mobium_server.space import Space
from mobium_server.storage.base import Gone, Mailbox, NewMessage, Refused, Row, Storage, Taken
from mobium_server.storage.worker import Jobs
from mobium_server.windows import Windows

__all__ = ["PostOffice"]


class PostOffice:
    """All envelopes and all desks. `now` is the server's own clock in seconds; `holding` and `health` are
    shared with whatever else waits for the storage.
    """

    def __init__(
        self,
        storage: Storage,
        jobs: Jobs,
        later: Later,
        *,
        now: Callable[[], int],
        steady: Callable[[], float],
        holding: Holding,
        health: Health,
        space: Space,
    ) -> None:
        self._storage = storage
        self._jobs = jobs
        self._later = later
        self._now = now
        self._desks: dict[bytes, Desk] = {}
        self._live: dict[bytes, Envelope] = {}
        self._waiting: dict[bytes, Envelope] = {}
        self._committing: list[Envelope] = []
        self._looks = Looks(storage, jobs)
        # Rows to be deleted, those in the running transaction included.
        self._acknowledged: dict[int, Taken] = {}
        self._steady = steady
        self._recent = Recent(steady)
        self._answers: list[tuple[Desk, bytes]] = []
        self._tick: Cancel | None = None
        self._tidy: Cancel | None = None
        self._writing = False
        self._due = False
        self._holding = holding
        self._health = health
        self._space = space
        self._windows = Windows(
            storage,
            jobs,
            later,
            health,
            settle=self._settle,
            row=self._row,
            deleted=self._acknowledged,
        )
        self._idle: list[Callable[[], None]] = []
        self.stored = 0
        self.relayed = 0

    @property
    def remembered(self) -> int:
        """How many delivery ids are answered from memory."""
        return len(self._recent)

    @property
    def desks(self) -> dict[bytes, Desk]:
        """Who is online."""
        return self._desks

    # ------------------------------------------------------------ logins

    def look(self, identity: bytes, done: Looked) -> None:
        """Ask what waits for an identity that logs in. What waits in memory is committed before, so that it
        counts, and a repeated message that is a row already counts once.
        """
        waiting = [envelope for envelope in self._waiting.values() if envelope.recipient == identity]
        self._looks.add(identity, waiting, done)
        if waiting:
            self._commit_when_free()
        else:
            self._look_in()

    def _look_in(self) -> None:
        if self._looks.look_in():
            self._due = True

    def unread(self, identity: bytes, mailbox: Mailbox) -> int:
        """How many rows of a mailbox were not acknowledged yet, in the step in which `mailbox` arrives: what
        was deleted before it was looked into is known to be deleted by now.
        """
        taken = sum(taken.recipient == identity for taken in self._acknowledged.values())
        return max(0, mailbox.waiting - taken)  # a row may have expired between its last two moments

    def attach(self, identity: bytes, outlet: Outlet, mailbox: Mailbox) -> tuple[Desk, Desk | None]:
        """Begin delivery on a connection; returns its desk and the one that it replaces. Nothing is handed
        over before `begin`.

        Both are called in the step in which the answer of the storage about the mailbox arrives, so that no
        commit lies between.
        """
        replaced = self._desks.get(identity)
        if replaced is not None:
            self.detach(replaced)
        desk = self._desks[identity] = Desk(identity, outlet, mailbox)
        return desk, replaced

    def begin(self, desk: Desk) -> None:
        """Hand over everything unacknowledged, in order, and go on with what comes."""
        if not desk.open:
            return
        mine = [envelope for envelope in self._committing if envelope.recipient == desk.identity]
        mine += [envelope for envelope in self._waiting.values() if envelope.recipient == desk.identity]
        for envelope in mine:
            if envelope.queued:
                self._windows.enqueue(desk, envelope)
        self._windows.pump(desk)

    def detach(self, desk: Desk) -> None:
        """End delivery on a connection. What it did not acknowledge stays; a desk that was replaced changes
        nothing.
        """
        if not desk.open:
            return
        desk.open = False
        if self._desks.get(desk.identity) is desk:
            del self._desks[desk.identity]
        for envelope in desk.window or ():
            envelope.desk = None
            if envelope.state in (State.STORED, State.REFUSED):
                self._live.pop(envelope.key, None)
        desk.window = desk.queue = None
        self._holding.forget(desk)

    # ------------------------------------------------------------ from senders

    def accept(
        self,
        desk: Desk,
        rid: int | None,
        recipient: bytes,
        delivery: bytes,
        payload: bytes,
        channel: bytes | None = None,
        batch: Batch | None = None,
    ) -> None:
        """Take a message of `desk`'s identity. The answer follows when it is true; that of a batch, when it
        is true of all.
        """
        key = desk.identity + recipient + delivery
        asker = Asker(desk, rid, batch)
        envelope = self._live.get(key)
        if envelope is None:
            digest = self._recent.digest(key)
            envelope = Envelope(desk.identity, recipient, delivery, payload, key, channel)
            if digest in self._recent:
                self._answer(desk, asker.accepted(envelope))
                return
            envelope.digest = digest
            self._live[key] = envelope
            self._wait(envelope, asker)
            to = self._desks.get(recipient)
            if to is not None and to.known:
                self._windows.offer(to, envelope)
        elif envelope.state is State.STORED:
            self._answer(desk, asker.accepted(envelope))
        elif envelope.state is State.REFUSED:
            # It was handed over already and only its storing failed: try that again, and hand nothing over
            # twice.
            envelope.payload = payload
            envelope.state = State.WAITING
            self._wait(envelope, asker)
        elif asker not in envelope.answers:
            self._ask(envelope, asker)

    def distribute(
        self,
        desk: Desk,
        rid: int | None,
        channel: bytes,
        delivery: bytes,
        parts: list[tuple[bytes, bytes]],
        failed: list[NotTaken],
    ) -> None:
        """Take a batch of distributions, each a recipient (once at most) and a payload, with one answer for
        all; `failed` are others of the same frame that are not taken.
        """
        batch = Batch(delivery, rid, len(parts), failed)
        if not parts:
            self._answer(desk, batch.answer())
        for recipient, payload in parts:
            self.accept(desk, rid, recipient, delivery, payload, channel, batch)

    def is_away(self, recipient: bytes, size: int) -> bool:
        """Whether a payload of `size` bytes for `recipient` would have to lie on the disk until it is
        fetched.
        """
        desk = self._desks.get(recipient)
        return desk is None or not desk.known or desk.behind or bool(desk.queue) or not desk.room_for(size)

    def _wait(self, envelope: Envelope, asker: Asker) -> None:
        self._waiting[envelope.key] = envelope
        self._ask(envelope, asker)
        if len(self._waiting) >= BATCH:
            self._commit_when_free()
        elif self._tick is None:
            self._tick = self._later(TICK, self._on_tick)

    def _ask(self, envelope: Envelope, asker: Asker) -> None:
        envelope.answers.append(asker)
        self._holding.take(asker.desk, envelope.size)

    # ------------------------------------------------------------ to recipients

    def acknowledge(self, desk: Desk, tag: int) -> bool:
        """Everything on this connection up to `tag` is with the client. False if the tag was never sent
        there.
        """
        return self._windows.acknowledge(desk, tag)

    def pump(self, desk: Desk) -> None:
        """Hand over what the window and the socket allow."""
        self._windows.pump(desk)

    def _settle(self, envelope: Envelope) -> None:
        """The recipient has it."""
        self.relayed += 1
        state = envelope.state
        envelope.desk = None
        envelope.state = State.DONE
        self._live.pop(envelope.key, None)
        self._recent.add(envelope.digest or self._recent.digest(envelope.key))
        if state is State.STORED:
            self._delete(envelope)
        elif state is State.WAITING:
            del self._waiting[envelope.key]
        self._answer_all(envelope)

    def _delete(self, envelope: Envelope) -> None:
        self._acknowledged[envelope.seq] = Taken(envelope.seq, envelope.recipient, envelope.sender)
        self._arm_tidy()

    def _arm_tidy(self) -> None:
        if self._tidy is None:
            self._tidy = self._later(RETRY_AFTER if self._health.failing else TIDY, self._on_tidy)

    def _row(self, desk: Desk, row: Row) -> Envelope:
        """The envelope of a row: the one that is here already if its sender sends it again just now."""
        key = row.sender + desk.identity + row.delivery
        envelope = self._live.get(key)
        if envelope is None:
            envelope = self._live[key] = Envelope(
                row.sender, desk.identity, row.delivery, row.payload, key, row.channel
            )
        elif envelope.state is State.COMMITTING:
            return envelope  # the commit finds the row, and answers
        elif envelope.state is State.WAITING:
            del self._waiting[envelope.key]
            self._answer_all(envelope)
        envelope.seq = row.seq
        envelope.state = State.STORED
        return envelope

    def _answer_all(self, envelope: Envelope) -> None:
        """Answer everybody who sent it: it is with its recipient, or durable."""
        for asker in envelope.answers:
            self._answer(asker.desk, asker.accepted(envelope))
            self._holding.give_back(asker.desk, envelope.size)
        envelope.answers.clear()

    # ------------------------------------------------------------ the commit

    def _on_tick(self) -> None:
        self._tick = None
        self._flush_answers()
        if self._waiting:
            self._commit_when_free()

    def _on_tidy(self) -> None:
        self._tidy = None
        if self._acknowledged:
            self._commit_when_free()

    def _commit_when_free(self) -> None:
        if self._writing:
            self._due = True
        else:
            self._commit()

    def _commit(self) -> None:
        """Write what waits in one transaction. Its answers leave when it is durable, never before."""
        self._due = False
        if self._waiting and self._space.low:
            self._turn_away()
        batch: list[Envelope] = []
        size = 0
        for envelope in self._waiting.values():
            if size >= BATCH_BYTES:
                break
            batch.append(envelope)
            size += envelope.size
        deletes = list(self._acknowledged.values())
        if not batch and not deletes:
            self._look_in()
            self._report_idle()
            return
        for envelope in batch:
            del self._waiting[envelope.key]
            envelope.state = State.COMMITTING
        self._committing = batch
        self._writing = True
        inserts = [
            NewMessage(one.recipient, one.sender, one.delivery, one.payload, one.channel) for one in batch
        ]
        began = self._steady()

        def done(outcome: list[int | Refused] | None, error: Exception | None) -> None:
            self._writing = False
            self._committing = []
            if outcome is None:
                self._not_committed(batch, error)
            else:
                self._health.works()
                self._health.commits.add(self._steady() - began)
                for taken in deletes:
                    del self._acknowledged[taken.seq]
                self._committed(batch, outcome)
            self._flush_answers()
            self._go_on()

        self._jobs.submit(done, self._storage.apply, inserts, deletes, self._now())
        self._look_in()

    def _turn_away(self) -> None:
        """Refuse what would lie on the disk until its recipient fetches it. What a connection has in its
        window is on its way, and bounded by that.
        """
        for envelope in [one for one in self._waiting.values() if one.desk is None]:
            del self._waiting[envelope.key]
            self._refuse(envelope, ErrorCode.STORAGE, FULL_AFTER)

    def _committed(self, batch: list[Envelope], outcome: list[int | Refused]) -> None:
        behind: dict[Desk, None] = {}
        for envelope, result in zip(batch, outcome, strict=True):
            if isinstance(result, Refused):
                code = ErrorCode.QUEUE_FULL if result is Refused.FULL else ErrorCode.UNKNOWN_RECIPIENT
                self._refuse(envelope, code, FULL_AFTER if result is Refused.FULL else None)
                continue
            self.stored += 1
            envelope.seq = result
            if envelope.state is State.DONE:
                self._delete(envelope)  # acknowledged while it was being written
                continue
            envelope.state = State.STORED
            envelope.payload = b""
            if envelope.desk is None:
                del self._live[envelope.key]
                desk = self._desks.get(envelope.recipient)
                if desk is not None:
                    desk.behind = True
                    behind[desk] = None
            self._answer_all(envelope)
        for desk in behind:
            self._windows.skip(desk)
            self._windows.pump(desk)

    def _not_committed(self, batch: list[Envelope], error: Exception | None) -> None:
        self._health.fails("Messages could not be stored; their senders were told to try again", error)
        for envelope in batch:
            self._refuse(envelope, ErrorCode.STORAGE, RETRY_AFTER)

    def _refuse(self, envelope: Envelope, code: ErrorCode, retry_after: float | None) -> None:
        """Tell the senders that a message was not taken. A copy that was handed over stays until it is
        acknowledged or its connection ends.
        """
        if envelope.state is State.DONE:
            return
        envelope.payload = b""
        if envelope.desk is not None:
            envelope.state = State.REFUSED
        else:
            envelope.state = State.DONE
            del self._live[envelope.key]
        for asker in envelope.answers:
            self._answer(asker.desk, asker.refused(envelope, code, retry_after))
            self._holding.give_back(asker.desk, envelope.size)
        envelope.answers.clear()

    def _go_on(self) -> None:
        if self._due or len(self._waiting) >= BATCH:
            self._commit()
        elif self._waiting:
            if self._tick is None:
                self._tick = self._later(TICK, self._on_tick)
        elif self._acknowledged:
            self._arm_tidy()
        if not self._writing and not self._waiting:
            self._report_idle()

    # ------------------------------------------------------------ answers

    def _answer(self, desk: Desk, frame: bytes | None) -> None:
        if frame is None:
            return
        self._answers.append((desk, frame))
        if self._tick is None:
            self._tick = self._later(TICK, self._on_tick)

    def _flush_answers(self) -> None:
        answers, self._answers = self._answers, []
        for desk, frame in answers:
            if desk.open:
                desk.outlet.send(frame)

    # ------------------------------------------------------------ expiry and the end

    def forget(self, gone: list[Gone]) -> None:
        """Messages expired: their delivery ids stay answered for a while."""
        for recipient, sender, delivery in gone:
            self._recent.add(self._recent.digest(sender + recipient + delivery))

    def drain(self, done: Callable[[], None]) -> None:
        """Commit and answer everything that waits, without waiting for a tick, then call `done`."""
        self._idle.append(done)
        for timer in (self._tick, self._tidy):
            if timer is not None:
                timer.cancel()
        self._tick = self._tidy = None
        self._flush_answers()
        self._commit_when_free()

    def _report_idle(self) -> None:
        if self._idle:
            self._flush_answers()
            idle, self._idle = self._idle, []
            for done in idle:
                done()
