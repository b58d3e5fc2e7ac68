"""The commands about channels: making, joining and leaving them, their members, invites and names.

What changes a channel needs the server; what is only shown is what this profile knows. Not its concern:
messages in channels (`talk`, `chat`, `records`), what people are called (`people`), options and their help
(`mobium_client.cli.app`).
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from enum import StrEnum
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from mobium.client import Channel, Engine, Invite, Member
from mobium.client.join_links import parse_join
from mobium.client.links import check_server, qr_code
from mobium.errors import InvalidInput, NotConnected, ServerRefused
from mobium_client.cli.people import OPEN, People, in_channel, names_of
from mobium_client.cli.session import Run, run_async
from mobium_client.plain import one_line, shorten

__all__ = [
    "RoleChoice",
    "ban",
    "banned",
    "create",
    "forget",
    "invite",
    "invites",
    "join",
    "leave",
    "list_all",
    "members",
    "remove",
    "rename",
    "renew",
    "revoke",
    "role",
    "topic",
    "unban",
]

T = TypeVar("T")

_QR_STYLE = "bright_white on black"
_DAY = 86_400
_UNITS = {"m": 60, "h": 3_600, "d": _DAY, "w": 7 * _DAY}
_DURATION = re.compile(r"(\d{1,6})\s*([mhdw])")
_FOR_EVER = {"ever", "forever", "0"}
_TTL = 7 * _DAY
_NEWS = 10.0  # seconds for what happened while nobody was connected
_PATIENCE = 60.0  # and for what is to go out
_TRUST = {"verified": "green", "changed": "bold red", "unverified": ""}
_ROLE_STYLE = {"owner": "bold", "admin": "bold", "member": ""}


class RoleChoice(StrEnum):
    """What a member may be."""

    MEMBER = "member"
    ADMIN = "admin"
    OWNER = "owner"


# ---------------------------------------------------------------- coming and going


def create(run: Run, name: str, topic_: str, *, is_open: bool) -> None:
    """Make a channel and print what it is called."""

    async def work(engine: Engine) -> tuple[Channel, str]:
        await run.connect(engine)
        made = await engine.create_channel(name.removeprefix("#"), private=not is_open, topic=topic_)
        return made, await engine.name()

    channel, own_name = _with_engine(run, work)
    label = one_line(channel.label)
    run.screen.line(label)
    if is_open:
        run.screen.remark(OPEN)
    else:
        run.screen.remark(f"Only invite links lead into {label}: mobium channel invite '{label}'")
    _hint_at_name(run, own_name)


def join(run: Run, link: str) -> None:
    """Come into the channel of a link and print what it is called."""
    parsed = parse_join(link)

    async def work(engine: Engine) -> tuple[Channel, str]:
        await _connect(await _at_home(run, engine, parsed.server), engine)
        return await engine.join(link), await engine.name()

    channel, own_name = _with_engine(run, work)
    count = _counted(channel.members, "member")
    run.screen.line(one_line(channel.label))
    run.screen.remark(f"You are in, as one of {count}. What was said before stays closed to you.")
    if channel.topic:
        run.screen.remark(f"Topic: {one_line(channel.topic)}")
    if not channel.private:
        run.screen.remark(OPEN)
    _hint_at_name(run, own_name)


async def _at_home(run: Run, engine: Engine, server: str | None) -> Run:
    """The run with the server that a link names, where nothing says otherwise. Raises InvalidInput."""
    known = await engine.server()
    if server is None or (run.server is None and known is None):
        return run if server is None else replace(run, server=server)
    used = check_server(run.server) if run.server is not None else known.url if known is not None else ""
    if used != server:
        there, here = server.removesuffix("/ws"), used.removesuffix("/ws")
        raise InvalidInput(
            f"This channel is on the server {there}, and you are using {here}; "
            f"to join it there, add --server {there}."
        )
    return run


def _hint_at_name(run: Run, own_name: str) -> None:
    if not own_name:
        run.screen.remark("Members see you under your key until you choose a name: mobium profile name NAME")


def leave(run: Run, channel: str) -> None:
    """Leave a channel."""

    async def work(engine: Engine) -> str:
        found = await _to_change(run, engine, channel)
        await engine.leave(f"#{found.id}")
        return f"You have left {found.label}. Its history stays until: mobium channel forget '{found.label}'"

    run.screen.remark(_with_engine(run, work))


def forget(run: Run, channel: str) -> None:
    """Delete a channel that was left, and everything said there."""

    async def work(engine: Engine) -> str:
        found = await engine.channels.get(channel)
        await engine.channels.forget(f"#{found.id}")
        return f"{found.label} and what was said there are deleted from this machine."

    run.screen.remark(_with_engine(run, work))


# ---------------------------------------------------------------- looking


def list_all(run: Run, as_json: bool) -> None:
    """Print every channel of the profile."""

    async def work(engine: Engine) -> tuple[list[Channel], bool]:
        return await engine.channels.list(), await engine.server() is None

    found, is_new = _with_engine(run, work)
    screen = run.screen
    if as_json:
        for channel in found:
            screen.json(_channel_fields(channel))
        return
    if not found:
        back = "; those of a recovered profile come back with its first connection" if is_new else ""
        screen.remark(f"There are no channels yet; make one with: mobium channel create NAME{back}")
        return
    if not screen.is_terminal:
        for channel in found:
            screen.fields(
                channel.id,
                one_line(channel.label),
                _access(channel),
                _standing(channel),
                str(channel.members),
                str(channel.unread),
                one_line(channel.topic),
            )
        return
    table = _table("name", "access", "you", "members", "new", "topic")
    table.columns[3].justify = table.columns[4].justify = "right"
    for channel in found:
        standing = Text(_standing(channel), "" if channel.state == "member" else "red")
        table.add_row(
            Text(shorten(one_line(channel.label), 32), "bold"),
            _access(channel),
            standing,
            str(channel.members) if channel.role else "",
            str(channel.unread or ""),
            Text(shorten(one_line(channel.topic), max(12, (screen.width or 80) - 60))),
        )
    screen.show(table)
    for channel in found:
        if channel.reason and channel.state in {"member", "broken", "joining"}:
            screen.remark(f"{one_line(channel.label)}: {one_line(channel.reason)}", style="bold red")


def members(run: Run, channel: str, as_json: bool) -> None:
    """Print who is in a channel."""

    async def work(engine: Engine) -> list[Member]:
        found = await engine.channels.get(channel)
        return await engine.members(f"#{found.id}")

    found = _with_engine(run, work)
    screen = run.screen
    if as_json:
        for member in found:
            screen.json(
                {
                    "key": member.key,
                    "nickname": member.nickname,
                    "name": member.name or None,
                    "role": member.role,
                    "trust": member.trust,
                    "me": member.me,
                }
            )
        return
    names = names_of(found)
    if not screen.is_terminal:
        for member in found:
            name = _member_name(member, names)
            screen.fields(member.key, name, member.role, "" if member.me else member.trust)
        return
    table = _table("name", "role", "verified", "key")
    for member in found:
        trust = {"unverified": "no", "verified": "yes", "changed": "KEY CHANGED"}[member.trust]
        table.add_row(
            Text(shorten(_member_name(member, names), 40)),
            Text(member.role, _ROLE_STYLE[member.role]),
            Text("" if member.me else trust, _TRUST[member.trust]),
            Text(member.key if (screen.width or 0) >= 110 else f"{member.key[:16]}…"),
        )
    screen.show(table)
    if any(name.startswith("~") for name in names.values()):
        screen.remark("A name with ~ is what somebody calls himself: nobody has checked it.")


def banned(run: Run, channel: str) -> None:
    """Print who may not join."""

    async def work(engine: Engine) -> list[tuple[str, str]]:
        found = await engine.channels.get(channel)
        people = People(engine, f"#{found.id}")
        return [(key, await people.name(key)) for key in await engine.channels.banned(f"#{found.id}")]

    found = _with_engine(run, work)
    if not found:
        run.screen.remark("Nobody is banned from this channel.")
    for key, name in found:
        if run.screen.is_terminal:
            run.screen.line(Text.assemble(key, "" if key.startswith(name) else f"  {one_line(name)}"))
        else:
            run.screen.fields(key, "" if key.startswith(name) else one_line(name))


# ---------------------------------------------------------------- invites


def invite(run: Run, channel: str, uses: int | None, lasting: str | None, *, qr: bool) -> None:
    """Make a link into a channel and print it."""
    ttl = _TTL if lasting is None else _seconds(lasting)

    async def work(engine: Engine) -> tuple[Channel, str]:
        found = await engine.channels.get(channel)
        if not found.private and (uses is not None or lasting is not None):
            raise InvalidInput(
                "An open channel has one link for everybody, for ever; --uses and --for are for private ones."
            )
        if found.private:
            await run.check_home(engine, found)
            await run.connect(engine)
        return found, await engine.invite(f"#{found.id}", 1 if uses is None else uses, ttl)

    found, link = _with_engine(run, work)
    run.screen.line(link)
    if qr:
        _show_qr(run, link)
    if not found.private:
        run.screen.remark(f"This link stays the same for everybody. {OPEN}")
        return
    whom = "anybody who has it" if uses == 0 else "one person" if uses in {None, 1} else f"{uses} people"
    end = "until it is revoked" if ttl == 0 else f"for {_told(ttl)}"
    run.screen.remark(
        f"It lets {whom} in, {end}. It holds the channel's secret: send it only where nobody else reads it."
    )


def _show_qr(run: Run, link: str) -> None:
    code = qr_code(link)
    wide = len(code[0]) + 2
    if run.screen.width is not None and run.screen.width < wide:
        run.screen.remark(f"This window is too narrow for the QR code, which takes {wide} columns.")
        return
    for line in code:
        run.screen.line(Text("  ").append(line, _QR_STYLE))


def invites(run: Run, channel: str, as_json: bool) -> None:
    """Print the invites in force."""

    async def work(engine: Engine) -> list[tuple[Invite, str]]:
        found = await _private(engine, channel)
        await run.check_home(engine, found)
        await run.connect(engine)
        in_force = await engine.channels.invites(f"#{found.id}")
        people = People(engine, f"#{found.id}")
        return [(one, await people.name(one.made_by)) for one in in_force]

    found = _with_engine(run, work)
    screen = run.screen
    if as_json:
        for one, _ in found:
            screen.json(
                {
                    "id": one.id,
                    "uses": one.uses,
                    "expires": None if one.expires is None else one.expires.isoformat(),
                    "made_by": one.made_by,
                }
            )
        return
    if not found:
        screen.remark("No invite is in force; make one with: mobium channel invite")
        return
    if not screen.is_terminal:
        for one, name in found:
            expires = "" if one.expires is None else one.expires.isoformat()
            screen.fields(one.id, "" if one.uses is None else str(one.uses), expires, one_line(name))
        return
    table = _table("invite", "uses left", "until", "made by")
    for one, name in found:
        table.add_row(
            one.id,
            "any number" if one.uses is None else str(one.uses),
            "it is revoked" if one.expires is None else _date(one.expires),
            Text(shorten(one_line(name), 24)),
        )
    screen.show(table)


def revoke(run: Run, channel: str, which: str) -> None:
    """End an invite."""

    async def work(engine: Engine) -> str:
        found = await _private(engine, channel)
        await run.check_home(engine, found)
        await run.connect(engine)
        try:
            left = await engine.channels.revoke(f"#{found.id}", which)
        except ServerRefused as error:
            if error.code != "bad_invite":
                raise
            raise InvalidInput(f"No such invite is in force in {found.label}.") from error
        return (
            f"The invite lets nobody in any more; {_counted(len(left), 'invite')} left. Whoever has its link "
            "still knows the channel's secret, until it is renewed: mobium channel renew"
        )

    run.screen.remark(_with_engine(run, work))


def renew(run: Run, channel: str) -> None:
    """Draw a new secret, after which every earlier link is worthless."""

    async def work(engine: Engine) -> str:
        await _private(engine, channel)
        found = await _to_change(run, engine, channel)
        await engine.channels.renew(f"#{found.id}")
        return f"{found.label} has a new secret: every invite link made before is worthless."

    run.screen.remark(_with_engine(run, work))


async def _private(engine: Engine, channel: str) -> Channel:
    found = await engine.channels.get(channel)
    if not found.private:
        raise InvalidInput("An open channel has no invites: one link leads everybody in, and stays.")
    return found


# ---------------------------------------------------------------- members, names


def remove(run: Run, channel: str, peer: str) -> None:
    """Remove a member."""
    _to_member(
        run,
        channel,
        peer,
        lambda engine, where, key: engine.remove(where, key),
        "{name} is no longer in {label}, and cannot read what follows.{links}",
    )


def ban(run: Run, channel: str, peer: str) -> None:
    """Keep somebody out for good."""
    _to_member(
        run,
        channel,
        peer,
        lambda engine, where, key: engine.channels.ban(where, key),
        "{name} is banned from {label}.{links}",
    )


def unban(run: Run, channel: str, peer: str) -> None:
    """Let somebody join again."""
    _to_member(
        run,
        channel,
        peer,
        lambda engine, where, key: engine.channels.unban(where, key),
        "{name} may join {label} again, with a new link.",
    )


def role(run: Run, channel: str, peer: str, chosen: RoleChoice) -> None:
    """Give a member another role."""
    said = {
        RoleChoice.MEMBER: "{name} is a member of {label} like others now.",
        RoleChoice.ADMIN: "{name} is an admin of {label} now: they invite, remove, ban and rename.",
        RoleChoice.OWNER: "{name} owns {label} now, and you are an admin.",
    }[chosen]
    _to_member(
        run,
        channel,
        peer,
        lambda engine, where, key: engine.set_role(where, key, chosen.value),
        said,
    )


def _to_member(
    run: Run,
    channel: str,
    peer: str,
    act: Callable[[Engine, str, str], Awaitable[None]],
    said: str,
) -> None:
    async def work(engine: Engine) -> str:
        found = await _to_change(run, engine, channel)
        where = f"#{found.id}"
        people, _ = await in_channel(engine, found)
        key = await people.key(peer, await engine.channels.banned(where))
        await act(engine, where, key)
        named = await people.name(await _key_of(engine, key))
        links = " Invite links made before are worthless." if found.private else ""
        return said.format(name=one_line(named), label=one_line(found.label), links=links)

    run.screen.remark(_with_engine(run, work))


async def _key_of(engine: Engine, peer: str) -> str:
    try:
        return (await engine.contacts.get(peer)).key
    except InvalidInput:
        return peer.lower()


def rename(run: Run, channel: str, name: str) -> None:
    """Give a channel another name."""

    async def work(engine: Engine) -> str:
        found = await _to_change(run, engine, channel)
        where = f"#{found.id}"
        await engine.rename(where, name.removeprefix("#"))
        return f"{found.label} is called {(await engine.channels.get(where)).label} now."

    run.screen.remark(_with_engine(run, work))


def topic(run: Run, channel: str, text: str | None) -> None:
    """Print the topic of a channel, or give it another one."""

    async def work(engine: Engine) -> Channel:
        if text is None:
            return await engine.channels.get(channel)
        found = await _to_change(run, engine, channel)
        where = f"#{found.id}"
        await engine.channels.set_topic(where, text)
        return await engine.channels.get(where)

    found = _with_engine(run, work)
    if text is not None:
        run.screen.remark(f"The topic of {found.label} was {'changed' if found.topic else 'taken away'}.")
    elif found.topic:
        run.screen.line(one_line(found.topic))
    else:
        run.screen.remark("This channel has no topic.")


# ---------------------------------------------------------------- what they share


def _with_engine(run: Run, work: Callable[[Engine], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with run.engine() as engine:
            done = await work(engine)
            if engine.connection != "offline":
                await _send_the_rest(run, engine)
            return done

    return run_async(opened())


async def _send_the_rest(run: Run, engine: Engine) -> None:
    """What was done may bring more along, such as a new secret for every member."""
    try:
        await engine.settled(_PATIENCE)
    except (TimeoutError, NotConnected):
        run.screen.remark(
            "Something still waits to be sent, and goes out while mobium is connected next: mobium listen"
        )


async def _to_change(run: Run, engine: Engine, channel: str) -> Channel:
    """A channel at its server, once what was missed is known: names and roles are those of now."""
    found = await engine.channels.get(channel)
    await run.check_home(engine, found)
    await _connect(run, engine)
    return await engine.channels.get(f"#{found.id}")


async def _connect(run: Run, engine: Engine) -> None:
    await run.connect(engine)
    with suppress(TimeoutError):
        await engine.settled(_NEWS)


def _table(*titles: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    for title in titles:
        table.add_column(title, no_wrap=True)
    return table


def _access(channel: Channel) -> str:
    return "private" if channel.private else "open"


def _standing(channel: Channel) -> str:
    return channel.role or "" if channel.state == "member" else channel.state


def _member_name(member: Member, names: dict[str, str]) -> str:
    name = one_line(names[member.key])
    if not member.me:
        return name
    return f"you ({name})" if member.name else "you"


def _channel_fields(channel: Channel) -> dict[str, object]:
    return {
        "id": channel.id,
        "channel": channel.label,
        "name": channel.name,
        "topic": channel.topic,
        "private": channel.private,
        "state": channel.state,
        "reason": channel.reason or None,
        "role": channel.role,
        "members": channel.members,
        "unread": channel.unread,
        "server": channel.host,
    }


def _seconds(lasting: str) -> int:
    text = lasting.strip().lower()
    if text in _FOR_EVER:
        return 0
    found = _DURATION.fullmatch(text)
    if found is None or int(found[1]) == 0:
        raise InvalidInput("A time is a number with m, h, d or w behind it, such as 12h or 7d; or ever.")
    return int(found[1]) * _UNITS[found[2]]


def _told(seconds: int) -> str:
    for unit, word in ((_DAY, "day"), (3_600, "hour"), (60, "minute")):
        if seconds % unit == 0:
            return _counted(seconds // unit, word)
    return _counted(seconds, "second")


def _counted(count: int, what: str) -> str:
    return f"1 {what}" if count == 1 else f"{count} {what}s"


def _date(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")
