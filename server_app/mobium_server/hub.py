"""Who is logged in, and what their requests come to: sessions, rates, the way to the handlers.

Not its concern: sockets (`mobium_server.gateway`), envelopes (`mobium_server.delivery`), channels
(`mobium_server.board`, `mobium_server.channels`), what a request does (`mobium_server.handlers`).
"""

from __future__ import annotations

from typing import Protocol

from mobium.protocol import codec
from mobium.protocol.codes import CloseCode, ErrorCode, sentence
from mobium.protocol.connection import LoggedIn, Refusal, ServerConnection
from mobium.protocol.cost import answer_cost, request_cost
from mobium.protocol.media_frames import MediaUp
from mobium.protocol.messages import (
    AckDeliveries,
    Auth,
    ChannelPost,
    ClientMessage,
    Distribute,
    Error,
    JoinVoice,
    Limits,
    Ping,
    Pong,
    SendMessage,
    ServerMessage,
)
from mobium_server.board import Board, Seat
from mobium_server.channels import Channels
from mobium_server.clock import Clock
from mobium_server.config import Settings
from mobium_server.delivery import PostOffice
from mobium_server.envelope import Desk
from mobium_server.handlers import HANDLERS
from mobium_server.invites import Invites
from mobium_server.limits import HOUR, AddressRates, Allowance, HandOuts, Rate, Rates
from mobium_server.pace import RETRY_AFTER
from mobium_server.pages import Pages
from mobium_server.rooms import Rooms
from mobium_server.space import Space
from mobium_server.stats import Counters
from mobium_server.storage.base import Mailbox, Storage
from mobium_server.storage.worker import Jobs
from mobium_server.voice import Ear, Participant, Voice

__all__ = ["INTERNAL_ERROR", "Hub", "Line", "Session"]

_FREE = (AckDeliveries, Ping, Pong)  # what keeps a connection going is no request
_DELIVERED = (SendMessage, ChannelPost, Distribute)  # an answer names their delivery id
# First publications, a second and at once, for each identity that an address stands for (by default ten):
# each costs the disk for months.
NEWCOMERS = Rate(6 / HOUR, 2)
# Credentials for the TURN server, an hour and at once: for an identity, and, since identities cost nothing,
# for each one that an address stands for.
TURN_USERS = 10
# Bytes that lie on the disk until somebody fetches them, a second and at once, for each identity that an
# address stands for: by default 60 MiB an hour, which is 10 GiB in the week that they may lie there.
KEPT = Rate((6 << 20) / HOUR, 24 << 20)
# TLS handshakes, a second and at once, for each identity that an address stands for: by default 3 and 40.
# Each is a signature of the server's, and costs whoever asks for it next to nothing.
HANDSHAKES = Rate(0.3, 4)
SIGNALS_MOST = 64 << 10  # bytes of signals that a slow socket may be owed: nobody stores them
INTERNAL_ERROR = 1011  # the WebSocket's own code for a fault of the server


class Line(Ear, Protocol):
    """A connection, as the hub sees it."""

    @property
    def alive(self) -> bool:
        """Whether it is open and nobody has begun to close it."""

    def admit(self, session: Session) -> None:
        """The login succeeded: `session` gets this connection's requests and its end."""

    def tolerate(self) -> bool:
        """Count a frame that no rate counts. False: there were far too many, and the connection ends."""

    def close(self, code: int) -> None:
        """Close with a WebSocket close code."""


class Session:
    """A logged-in device on one connection."""

    __slots__ = ("connection", "desk", "joining", "line", "login", "participant", "seat", "unread")

    def __init__(
        self, login: LoggedIn, line: Line, connection: ServerConnection, desk: Desk, seat: Seat
    ) -> None:
        self.login = login
        self.line = line
        self.connection = connection
        self.desk = desk
        self.seat = seat
        self.participant: Participant | None = None
        """In a voice room, or having been in one."""
        self.joining: JoinVoice | None = None
        """The voice room that was asked for last, while its roster is being read."""
        self.unread = 0
        """Bytes of signals that were written though the socket is slow."""

    @property
    def identity(self) -> bytes:
        """The Ed25519 public key of who this is, 32 bytes."""
        return self.login.identity

    def reply(self, message: ServerMessage) -> None:
        """Send a message, if the connection still stands."""
        if self.line.alive:
            self.line.send(codec.encode(message))

    def refuse(
        self,
        code: ErrorCode,
        *,
        rid: int | None = None,
        delivery: bytes | None = None,
        retry_after: float | None = None,
    ) -> None:
        """Send an error of the closed list."""
        self.reply(Error(code.value, sentence(code), rid, delivery, retry_after))

    def takes_signal(self, size: int) -> bool:
        """Whether a signal of `size` bytes may be written now: to a slow socket only few."""
        self.unread = 0 if self.line.writable() else self.unread + size
        return self.unread <= SIGNALS_MOST

    def malformed(self) -> None:
        """The request broke a rule that only its meaning shows."""
        self.carry_out(self.connection.malformed())

    def carry_out(self, refusal: Refusal) -> None:
        """Send a refusal, and close if it says so."""
        self.line.send(refusal.frame)
        if refusal.close is not None:
            self.line.close(refusal.close)


class Hub:
    """Every session, by identity."""

    def __init__(
        self,
        settings: Settings,
        storage: Storage,
        jobs: Jobs,
        office: PostOffice,
        board: Board,
        rooms: Rooms,
        pages: Pages,
        voice: Voice,
        space: Space,
        clock: Clock,
        counters: Counters,
    ) -> None:
        self.settings = settings
        self.storage = storage
        self.jobs = jobs
        self.office = office
        self.board = board
        self.rooms = rooms
        self.pages = pages
        self.voice = voice
        self.space = space
        self.clock = clock
        self.counters = counters
        self.channels = Channels(storage, board, rooms, pages, voice, wall=clock.wall, steady=clock.steady)
        self.invites = Invites(storage, rooms, clock.wall)
        self.hand_outs = HandOuts(clock.steady)
        self.sessions: dict[bytes, Session] = {}
        of_address = settings.rate_general.times(settings.rate_address_factor)
        self._by_identity = Rates(settings.rate_general, clock.steady)
        self._by_address = AddressRates(of_address, clock.steady)
        factor = settings.rate_address_factor if of_address.per_second else 0
        self._newcomers = AddressRates(NEWCOMERS.times(factor), clock.steady)
        self._handshakes = AddressRates(HANDSHAKES.times(factor), clock.steady)
        self._kept = AddressRates(KEPT.times(factor), clock.steady)
        self._turn_users = Allowance(TURN_USERS, HOUR, clock.steady)
        self._turn_users_of = AddressRates(Rate(TURN_USERS / HOUR, TURN_USERS).times(factor), clock.steady)
        self.limits = Limits(
            message_size=settings.max_message_size,
            offline_messages=settings.max_offline_messages,
            message_ttl=settings.message_ttl,
            rate=settings.rate_general.per_second,
            burst=settings.rate_general.burst,
            media_rate=settings.rate_media.per_second,
            media_burst=settings.rate_media.burst,
            ping_interval=settings.ws_ping_interval,
        )

    def log_in(self, line: Line, connection: ServerConnection, login: LoggedIn) -> None:
        """Somebody proved who they are: look into the mailbox, welcome them, replace their older login, begin
        delivery.
        """

        def done(mailbox: Mailbox | None, _error: Exception | None) -> None:
            if not line.alive:
                return
            if mailbox is None:
                line.send(
                    codec.encode(Error("storage", sentence(ErrorCode.STORAGE), retry_after=RETRY_AFTER))
                )
                line.close(INTERNAL_ERROR)
                return
            self._welcome(line, connection, login, mailbox)

        self.office.look(login.identity, done)

    def _welcome(self, line: Line, connection: ServerConnection, login: LoggedIn, mailbox: Mailbox) -> None:
        self.counters.logins += 1
        older = self.sessions.get(login.identity)
        desk, _ = self.office.attach(login.identity, line, mailbox)
        seat = self.board.sit_down(desk, mailbox.channels)
        session = self.sessions[login.identity] = Session(login, line, connection, desk, seat)
        line.admit(session)
        line.send(connection.welcome(self.office.unread(login.identity, mailbox), self.limits))
        if older is not None:
            self._leave_voice(older)
            older.line.close(CloseCode.REPLACED)
        self.office.begin(desk)
        self.voice.greet(seat)

    def log_out(self, session: Session) -> None:
        """The connection ended. The late end of a replaced login changes nothing of the newer one."""
        self.office.detach(session.desk)
        self.board.get_up(session.seat)
        self.pages.go_on(session.desk)
        self._leave_voice(session)
        self.voice.forget(session.line)
        if self.sessions.get(session.identity) is session:
            del self.sessions[session.identity]

    def _leave_voice(self, session: Session) -> None:
        if session.participant is not None:
            self.voice.leave(session.participant)

    def writable(self, session: Session) -> None:
        """The connection's socket takes more."""
        self.office.pump(session.desk)
        self.board.catch_up(session.seat)
        self.voice.catch_up(session.line)
        self.pages.go_on(session.desk)

    def request(self, session: Session, message: ClientMessage) -> None:
        """Carry out a request, within the rates."""
        if isinstance(message, Auth):
            session.malformed()  # the connection refuses a second login already
            return
        if isinstance(message, _FREE):
            # An acknowledgement that says something was earned by a delivery.
            earned = isinstance(message, AckDeliveries) and message.tag > session.desk.acknowledged
            if not earned and not session.line.tolerate():
                return
        else:
            cost = request_cost(message)
            # What the identity's own rate refuses is not charged to those who share its address.
            wait = self._by_identity.take(session.identity, cost)
            if not wait:
                wait = self.admission(session.line.address, cost)
                if wait:
                    self._by_identity.give_back(session.identity, cost)
            if wait:
                self.counters.limited += 1
                if session.line.tolerate():
                    delivery = message.id if isinstance(message, _DELIVERED) else None
                    session.refuse(
                        ErrorCode.RATE_LIMITED, rid=message.rid, delivery=delivery, retry_after=wait
                    )
                return
        HANDLERS[type(message)](self, session, message)

    def media(self, session: Session, frame: MediaUp) -> None:
        """Relay a media frame; what is dropped is not answered."""
        if not self.voice.relay(session.participant, frame):
            session.line.tolerate()

    def admission(self, address: str, cost: float = 1.0) -> float:
        """Count a request of an address, or as many as it costs: 0.0, or the seconds until it may have it."""
        return self._by_address.take(address, cost)

    def answer(self, session: Session, page: ServerMessage) -> None:
        """Send a page, and count what it turned out to be: whoever asked for it has it, and waits longer for
        the next.
        """
        cost = answer_cost(page)
        if cost:
            self._by_identity.charge(session.identity, cost)
            self._by_address.charge(session.line.address, cost)
        session.reply(page)

    def owes(self, desk: Desk) -> float:
        """The seconds until a connection's identity and address have paid for the pages that they got."""
        session = self.sessions.get(desk.identity)
        if session is None or session.desk is not desk:
            return 0.0
        by_identity = self._by_identity.wait(session.identity, 0)
        return max(by_identity, self._by_address.wait(session.line.address, 0))

    def penalize(self, address: str) -> None:
        """A connection of this address was closed as a flood: the next ones have to wait."""
        self._by_address.charge(address, self.settings.rate_general.burst)

    def may_shake_hands(self, address: str) -> bool:
        """Count a TLS handshake of an address. False: there were too many."""
        wait = self._handshakes.take(address)
        self.counters.limited += bool(wait)
        return not wait

    def newcomer(self, address: str) -> float:
        """Count an identity that publishes for the first time: 0.0, or the seconds until it may."""
        return self._newcomers.take(address)

    def turn_user(self, session: Session) -> float:
        """Count credentials for the TURN server: 0.0, or the seconds until there are more."""
        address = session.line.address
        wait = self._turn_users_of.wait(address) or self._turn_users.take(session.identity)
        if not wait:
            self._turn_users_of.charge(address)
        return wait

    def may_keep(self, address: str, size: int) -> float:
        """Whether an address may have `size` bytes more kept on the disk: 0.0, or the seconds until it may.

        It is asked whether the recipient is away or not, so that the answer tells nobody that.
        """
        return self._kept.wait(address, size)

    def keeps(self, address: str, size: int) -> None:
        """Count bytes of an address that lie on the disk until somebody fetches them."""
        self._kept.charge(address, size)
