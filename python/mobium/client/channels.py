"""Channels as a program sees them: which there are, who is in them, invites, and what may be changed.

Not its concern: statements (`mobium.client.membership`), messages (`mobium.client.conversation`).
"""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import Callable
from contextlib import suppress
from datetime import datetime
from typing import Final, Literal

import msgspec

from mobium.client import labels
from mobium.client.contacts import resolve
from mobium.client.core import Core
from mobium.client.events import from_ms
from mobium.client.join_links import JoinLink, format_join, parse_join
from mobium.client.membership import Change
from mobium.client.online import Online
from mobium.client.rosters import disputed, roster_of
from mobium.client.store import channels, lines, meta, peers
from mobium.client.store.channels import ChannelRow, ChannelStatus
from mobium.client.store.database import Tx
from mobium.client.store.messages import Message
from mobium.client.store.peers import Trust
from mobium.crypto.invite import NONCE_SIZE, SEALED_SIZE, check_names, invite_key, seal_names
from mobium.errors import InvalidInput, NotConnected, ProtocolError
from mobium.protocol.messages import CreateInvite, Invites, ListInvites, RevokeInvite
from mobium.protocol.messages import Invite as WireInvite
from mobium.protocol.roster import Kind, Role, Roster

__all__ = ["Channel", "Channels", "Invite", "Member", "RoleName"]

RoleName = Literal["member", "admin", "owner"]
_ROLES: Final[dict[RoleName, Role]] = {"member": Role.MEMBER, "admin": Role.ADMIN, "owner": Role.OWNER}
_PATIENCE: Final = 10.0  # seconds for what was missed; then the newest that is known must do
_NOT_YET: Final = (
    "The channel's secret has not reached you yet; other members are asked for it, so try again a little"
    " later. An owner or admin can also rename the channel, which draws another one."
)
_NAMELESS: Final = "The channel's name is not known here: rename it first."


class Channel(msgspec.Struct, frozen=True):
    """A channel of this profile. `id` is its 64 hexadecimal digits, `label` what it is called here, "#name".

    `state` is "member"; "joining" before the server has answered; "left", "removed" or "banned" afterwards;
    or "broken", when what the server shows does not add up. `reason` is a sentence where there is one to say.
    `role` is one's own, or None for no member. `as_of` is when its server last had nothing more to tell:
    so old is all of it without a connection.
    """

    id: str
    label: str
    name: str
    topic: str
    private: bool
    state: ChannelStatus
    reason: str
    role: RoleName | None
    members: int
    unread: int
    host: str
    as_of: datetime | None = None


class Member(msgspec.Struct, frozen=True):
    """Somebody in a channel. `nickname` is what this profile calls a contact, `name` what the member calls
    itself, which nobody checks; `me` is oneself.
    """

    key: str
    nickname: str | None
    name: str
    role: RoleName
    trust: Trust
    me: bool


class Invite(msgspec.Struct, frozen=True):
    """An invite in force. `uses` are left, None without a limit; `expires` is None without an end."""

    id: str
    uses: int | None
    expires: datetime | None
    made_by: str


class Channels:
    """The channels of an open engine. `online()` gives the connection, or None."""

    def __init__(self, core: Core, online: Callable[[], Online | None]) -> None:
        self._core = core
        self._online = online

    # ------------------------------------------------------------ looking

    async def list(self) -> list[Channel]:
        """Every channel, those that were left included, in the order in which they were met."""
        return await self._core.store.run(_list, self._core.identity.public)

    async def latest(self) -> dict[str, Message]:
        """The last message of each channel that has any, by the channel's id in hex."""
        return await self._core.store.run(lines.latest)

    async def get(self, channel: str) -> Channel:
        """One channel, by "#name" or "#" and its id. Raises InvalidInput."""
        return await self._core.store.run(_get, self._core.identity.public, channel)

    async def members(self, channel: str) -> builtins.list[Member]:
        """Who is in a channel, in the order of joining. Raises InvalidInput."""
        return await self._core.store.run(_members, self._core.identity.public, channel)

    async def names(self, channel: str) -> dict[str, str]:
        """How everybody calls itself who is or was in a channel and has said so, by key (hex); nobody checks
        that. Raises InvalidInput.
        """
        return await self._core.store.run(_names, channel)

    async def banned(self, channel: str) -> builtins.list[str]:
        """Who may not join a channel, in hex. Raises InvalidInput."""
        return await self._core.store.run(_banned, channel)

    # ------------------------------------------------------------ coming and going

    async def create(self, name: str, private: bool = True, topic: str = "") -> Channel:
        """Make a channel. Raises InvalidInput, ServerRefused, NotConnected."""
        name, topic = check_names(name, topic)
        online = await self._reachable()
        return await self._shown(await online.membership.create(name, topic, private))

    async def join(self, link: str) -> Channel:
        """Come into the channel of an invite link, which must be on the server that is connected to.

        Raises InvalidInput, ServerRefused with the reason, NotConnected, ProtocolError.
        """
        parsed = parse_join(link)
        online = await self._reachable()
        if parsed.server is not None and online.address.url != parsed.server:
            raise InvalidInput("This channel is on another server than the one you are connected to.")
        return await self._shown(await online.membership.join(parsed))

    async def leave(self, channel: str) -> None:
        """Leave a channel; its history stays until it is forgotten. Raises InvalidInput, ServerRefused,
        NotConnected.
        """
        row = await self._core.store.run(labels.resolve, channel)
        if row.state == "broken":
            await (await self._connected()).membership.abandon(row)
        else:
            await self._change(channel, Change(Kind.LEAVE, self._core.identity.public))

    async def forget(self, channel: str) -> None:
        """Delete a channel that was left, with everything that is kept of it. Raises InvalidInput."""
        unanswered = await self._core.store.run(_forget, self._core.identity.public, channel)
        online = self._online()
        if unanswered is not None and online is not None:
            await online.membership.renounce(unanswered)

    # ------------------------------------------------------------ members

    async def remove(self, channel: str, peer: bytes | str) -> None:
        """Remove a member; earlier invite links are worthless then. Raises InvalidInput, ServerRefused,
        NotConnected.
        """
        await self._expel(channel, peer, Kind.REMOVE)

    async def ban(self, channel: str, peer: bytes | str) -> None:
        """Remove somebody for good, or keep out who is not in yet. Raises what `remove` raises."""
        await self._expel(channel, peer, Kind.BAN)

    async def unban(self, channel: str, peer: bytes | str) -> None:
        """Let somebody join again. Raises what `remove` raises."""
        await self._change(channel, Change(Kind.UNBAN, await self._other(peer)))

    async def set_role(self, channel: str, peer: bytes | str, role: RoleName) -> None:
        """Make a member an admin, a member again, or the owner, which makes oneself an admin. Raises what
        `remove` raises.
        """
        if role not in _ROLES:
            raise InvalidInput("A role is member, admin or owner.")
        key, given = await self._other(peer), bytes((_ROLES[role],))
        await self._change(channel, Change(Kind.ROLE, key, lambda _row, _roster, _secret: given))

    async def _expel(self, channel: str, peer: bytes | str, kind: Kind) -> None:
        key = await self._other(peer)
        await self._change(channel, Change(kind, key, self._keyed, fresh_secret=True))

    async def _other(self, peer: bytes | str) -> bytes:
        key = await self._core.store.run(_key_of, peer)
        if key == self._core.identity.public:
            raise InvalidInput("This is yourself: leave the channel, or hand it over to another member.")
        return key

    # ------------------------------------------------------------ names and secrets

    async def rename(self, channel: str, name: str) -> None:
        """Give a channel another name; where its secret is not known, it gets a new one with it. Raises
        InvalidInput, ServerRefused, NotConnected.
        """
        name, _ = check_names(name)
        row = await self._core.store.run(labels.resolve, channel)
        if row.secret is not None:
            await self._change(channel, self._names(lambda row: (name, row.topic)))
            return

        def keyed(row: ChannelRow, roster: Roster, secret: bytes | None) -> bytes:
            secret = _known_secret(secret)
            return _key(roster, secret) + self._seal(roster, secret, name, row.topic)

        await self._change(channel, Change(Kind.SECRET, self._core.identity.public, keyed, fresh_secret=True))

    async def set_topic(self, channel: str, topic: str) -> None:
        """Give a channel another topic, or none. Raises InvalidInput, ServerRefused, NotConnected."""
        _, topic = check_names("name", topic)
        await self._change(channel, self._names(lambda row: (_known_name(row), topic)))

    async def renew(self, channel: str) -> None:
        """Draw a new secret: every earlier invite link is worthless. Raises InvalidInput, ServerRefused,
        NotConnected.
        """
        await self._change(
            channel, Change(Kind.SECRET, self._core.identity.public, self._keyed, fresh_secret=True)
        )

    def _keyed(self, row: ChannelRow, roster: Roster, secret: bytes | None) -> bytes:
        """A new key, and the names sealed under it; runs in the store's transaction.

        Names that are not known here cannot be sealed: what nobody can open leaves everybody those that he
        knows, until somebody renames the channel.
        """
        secret = _known_secret(secret)
        if not row.name:
            return _key(roster, secret) + self._core.entropy(SEALED_SIZE)
        return _key(roster, secret) + self._seal(roster, secret, row.name, row.topic)

    def _names(self, names: Callable[[ChannelRow], tuple[str, str]]) -> Change:
        def data(row: ChannelRow, roster: Roster, secret: bytes | None) -> bytes:
            return self._seal(roster, _known_secret(secret), *names(row))

        return Change(Kind.NAMES, self._core.identity.public, data)

    def _seal(self, roster: Roster, secret: bytes, name: str, topic: str) -> bytes:
        core = self._core
        return seal_names(
            secret, name, topic, core.identity.public, roster.index + 1, core.entropy(NONCE_SIZE)
        )

    # ------------------------------------------------------------ invites

    async def invite(self, channel: str, uses: int = 1, ttl: int = 7 * 86_400) -> str:
        """A link by which `uses` people (0: any number) can join within `ttl` seconds (0: for ever).

        An open channel has one link for all, which always works. Raises InvalidInput, ServerRefused,
        NotConnected.
        """
        row, head, url = await self._core.store.run(_for_link, channel)
        if not row.private:
            return format_join(JoinLink(row.key, url))
        _known_secret(row.secret)
        if not 0 <= uses <= 10_000 or not 0 <= ttl <= 2**40:
            raise InvalidInput("An invite is for 0 to 10,000 uses, and for a time of 0 seconds or more.")
        answer = await (await self._connected(row)).request(CreateInvite(row.key, uses, ttl))
        if not isinstance(answer, WireInvite) or answer.channel_id != row.key:
            raise ProtocolError("The server answered a question about invites with something else.")
        return format_join(JoinLink(row.key, url, answer.id, row.secret, head))

    async def invites(self, channel: str) -> builtins.list[Invite]:
        """The invites of a private channel that are in force. Raises InvalidInput, ServerRefused,
        NotConnected.
        """
        row = await self._core.store.run(labels.resolve, channel)
        return _shown_invites(await (await self._connected(row)).request(ListInvites(row.key)))

    async def revoke(self, channel: str, invite_id: str) -> builtins.list[Invite]:
        """End an invite, named by its id or its link; returns those that are left. Whoever has the secret of
        the link keeps it: `renew` makes that worthless too. Raises what `invites` raises.
        """
        row = await self._core.store.run(labels.resolve, channel)
        asked = RevokeInvite(row.key, _invite_id(invite_id))
        return _shown_invites(await (await self._connected(row)).request(asked))

    # ------------------------------------------------------------ inside

    async def _connected(self, row: ChannelRow | None = None) -> Online:
        """The connection, which is to the server of `row` if one is named, once what was missed before it is
        known: a roster of yesterday says too little.
        """
        online = self._online()
        if online is not None and online.link.online:
            with suppress(TimeoutError):
                async with asyncio.timeout(_PATIENCE):
                    await online.sync.caught_up.wait()
        if online is None or not online.link.online:
            raise NotConnected("There is no connection to the server, and this needs one.")
        if row is not None and row.host != online.address.host:
            raise InvalidInput("This channel is on another server than the one you are connected to.")
        return online

    async def _reachable(self) -> Online:
        """The connection, once prekeys are published: who has none can be handed no sender key."""
        online = await self._connected()
        with suppress(TimeoutError):
            async with asyncio.timeout(_PATIENCE):
                await online.published.wait()
        return online

    async def _change(self, channel: str, change: Change) -> None:
        row = await self._core.store.run(labels.resolve, channel)
        await (await self._connected(row)).membership.change(row, change)

    async def _shown(self, channel: int) -> Channel:
        return await self._core.store.run(_by_id, self._core.identity.public, channel)


def _channel(tx: Tx, me: bytes, row: ChannelRow) -> Channel:
    roster = tx.rosters.of(tx, row.id)
    role = None if roster is None or row.state not in ("member", "broken") else roster.role(me)
    return Channel(
        row.hex,
        labels.label(tx, row),
        row.name,
        row.topic,
        row.private,
        row.state,
        row.reason or _standing_reason(tx, row),
        None if role is None else _role_name(role),
        0 if roster is None else roster.size,
        lines.unread(tx, row.id, row.read_to),
        row.host,
        from_ms(row.drained_at * 1_000) if row.drained_at else None,
    )


def _standing_reason(tx: Tx, row: ChannelRow) -> str:
    if row.state == "joining":
        return "The server has not said whether you are in: use the invite link again, or forget the channel."
    return disputed(tx, row) if row.state == "member" else ""


def _role_name(role: Role) -> RoleName:
    return next(name for name, value in _ROLES.items() if value is role)


def _list(tx: Tx, me: bytes) -> list[Channel]:
    return [_channel(tx, me, row) for row in channels.every(tx)]


def _get(tx: Tx, me: bytes, channel: str) -> Channel:
    return _channel(tx, me, labels.resolve(tx, channel))


def _by_id(tx: Tx, me: bytes, channel: int) -> Channel:
    return _channel(tx, me, channels.by_id(tx, channel))


def _members(tx: Tx, me: bytes, channel: str) -> list[Member]:
    row = labels.resolve(tx, channel)
    if row.state not in ("member", "broken"):
        raise InvalidInput(row.reason or "You are not in this channel.")
    names = channels.member_names(tx, row.id)
    found = []
    for ed, role in roster_of(tx, row).members.items():
        peer = peers.by_key(tx, ed)
        nickname = None if peer is None else peer.nickname
        trust: Trust = "unverified" if peer is None else peer.trust
        name = meta.own_name(tx) if ed == me else names.get(ed, "")
        found.append(Member(ed.hex(), nickname, name, _role_name(role), trust, ed == me))
    return found


def _names(tx: Tx, channel: str) -> dict[str, str]:
    row = labels.resolve(tx, channel)
    known = channels.absent_names(tx, row.id) | channels.member_names(tx, row.id)
    return {ed.hex(): name for ed, name in known.items() if name}


def _banned(tx: Tx, channel: str) -> list[str]:
    return sorted(ed.hex() for ed in roster_of(tx, labels.resolve(tx, channel)).banned)


def _forget(tx: Tx, me: bytes, channel: str) -> bytes | None:
    """Returns the channel's id if nobody has said whether this identity is in."""
    row = labels.resolve(tx, channel)
    if row.state == "member" and roster_of(tx, row).role(me) is not None:
        raise InvalidInput("Leave the channel before you forget it.")
    unanswered = row.state == "joining"
    channels.note_forgotten(tx, row.key, row.host if unanswered else None)
    channels.forget(tx, row.id)
    tx.rosters.remove(tx, row.id)
    return row.key if unanswered else None


def _key_of(tx: Tx, peer: bytes | str) -> bytes:
    return resolve(tx, peer)[0]


def _known_secret(secret: bytes | None) -> bytes:
    if secret is None:
        raise InvalidInput(_NOT_YET)
    return secret


def _known_name(row: ChannelRow) -> str:
    if not row.name:
        raise InvalidInput(_NAMELESS)
    return row.name


def _key(roster: Roster, secret: bytes) -> bytes:
    """The key that a statement with this secret carries."""
    return secret if roster.access else invite_key(secret).public


def _for_link(tx: Tx, channel: str) -> tuple[ChannelRow, bytes, str | None]:
    row = labels.resolve(tx, channel)
    if row.state != "member":
        raise InvalidInput(row.reason or "You are not in this channel.")
    server = meta.server(tx, row.host)
    return row, roster_of(tx, row).head, None if server is None else server.url


def _shown_invites(answer: object) -> list[Invite]:
    if not isinstance(answer, Invites):
        raise ProtocolError("The server answered a question about invites with something else.")
    return [
        Invite(
            row.id.hex(),
            row.uses or None,
            from_ms(row.expires * 1000) if row.expires else None,
            row.made_by.hex(),
        )
        for row in answer.invites
    ]


def _invite_id(text: str) -> bytes:
    if "://" in text:
        invite = parse_join(text).invite
        if invite is not None:
            return invite
    try:
        invite = bytes.fromhex(text.strip())
    except ValueError:
        invite = b""
    if len(invite) != 16:
        raise InvalidInput("An invite is named by its 32 hexadecimal digits, or by its link.")
    return invite
