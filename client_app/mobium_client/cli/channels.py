"""The commands about channels: making, joining and leaving them, their members and names.

What changes a channel needs the server; what is only shown is what this profile knows. Not its concern:
links into them (`invites`), messages in channels (`talk`, `chat`, `records`), what people are called
(`mobium_client.people`), options and their help (`mobium_client.cli.channel_app`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from enum import StrEnum
from typing import TypeVar

from rich.text import Text

from mobium.client import Channel, Engine, Member
from mobium.client.join_links import parse_join
from mobium.client.labels import name_key
from mobium.client.links import check_server
from mobium.errors import InvalidInput, MobiumError, ServerRefused
from mobium_client.cli import channel_work as work_on
from mobium_client.cli.session import Run
from mobium_client.people import OPEN, People, in_channel, names_of
from mobium_client.plain import one_line, shorten

__all__ = [
    "RoleChoice",
    "ban",
    "banned",
    "create",
    "forget",
    "join",
    "leave",
    "list_all",
    "members",
    "remove",
    "rename",
    "role",
    "topic",
    "unban",
]

T = TypeVar("T")

_WIDE = 60  # columns of a terminal on which every column of a table fits
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

    async def work(engine: Engine) -> tuple[Channel, list[Channel], str]:
        await run.connect(engine)
        made = await engine.create_channel(name.removeprefix("#"), private=not is_open, topic=topic_)
        alike = [one for one in await engine.channels.list() if name_key(one.name) == name_key(made.name)]
        return made, [one for one in alike if one.id != made.id], await engine.name()

    channel, alike, own_name = work_on.with_engine(run, work)
    label = one_line(channel.label)
    run.screen.line(label)
    if alike:
        other = one_line(alike[0].label)
        run.screen.remark(f"There is another channel of that name, {other}; the new one is {label}.")
    if is_open:
        run.screen.remark(OPEN)
    else:
        run.screen.remark(f"Only invite links lead into {label}: mobium channel invite '{label}'")
    _hint_at_name(run, own_name)


def join(run: Run, link: str) -> None:
    """Come into the channel of a link and print what it is called."""
    parsed = parse_join(link)

    async def work(engine: Engine) -> tuple[Channel, str]:
        await work_on.connect(await _at_home(run, engine, parsed.server), engine)
        return await engine.join(link), await engine.name()

    channel, own_name = work_on.with_engine(run, work)
    count = work_on.counted(channel.members, "member")
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
        found = await work_on.to_change(run, engine, channel)
        try:
            await engine.leave(f"#{found.id}")
        except ServerRefused as error:
            if error.code != "forbidden" or found.role != "owner":
                raise
            raise MobiumError(f"{error} (mobium channel role '{found.label}' WHO owner)") from error
        return f"You have left {found.label}. Its history stays until: mobium channel forget '{found.label}'"

    run.screen.remark(work_on.with_engine(run, work))


def forget(run: Run, channel: str) -> None:
    """Delete a channel that was left, and everything said there."""

    async def work(engine: Engine) -> str:
        found = await engine.channels.get(channel)
        await engine.channels.forget(f"#{found.id}")
        return f"{found.label} and what was said there are deleted from this machine."

    run.screen.remark(work_on.with_engine(run, work))


# ---------------------------------------------------------------- looking


def list_all(run: Run, as_json: bool) -> None:
    """Print every channel of the profile."""

    async def work(engine: Engine) -> tuple[list[Channel], bool]:
        return await engine.channels.list(), await engine.server() is None

    found, is_new = work_on.with_engine(run, work)
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
    width = screen.width or 80
    titles = ("name", "you", "members", "new", "access", "topic")
    table = work_on.table(*titles[: len(titles) if width >= _WIDE else -2])
    table.columns[2].justify = table.columns[3].justify = "right"
    for channel in found:
        standing = Text(_standing(channel), "" if channel.state == "member" else "red")
        cells = (
            Text(shorten(one_line(channel.label), 32), "bold"),
            standing,
            str(channel.members) if channel.role else "",
            str(channel.unread or ""),
            _access(channel),
            Text(shorten(one_line(channel.topic), max(12, width - 60))),
        )
        table.add_row(*cells[: len(table.columns)])
    screen.show(table)
    _say_how_old(run, [channel for channel in found if channel.state == "member"])
    for channel in found:
        if channel.reason and channel.state in {"member", "broken", "joining"}:
            screen.remark(f"{one_line(channel.label)}: {one_line(channel.reason)}", style="bold red")


def members(run: Run, channel: str, as_json: bool) -> None:
    """Print who is in a channel."""

    async def work(engine: Engine) -> tuple[Channel, list[Member]]:
        of = await engine.channels.get(channel)
        return of, await engine.members(f"#{of.id}")

    of, found = work_on.with_engine(run, work)
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
    table = work_on.table("name", "role", "verified", "key")
    for member in found:
        trust = {"unverified": "no", "verified": "yes", "changed": "KEY CHANGED"}[member.trust]
        table.add_row(
            Text(shorten(_member_name(member, names), 40)),
            Text(member.role, _ROLE_STYLE[member.role]),
            Text("" if member.me else trust, _TRUST[member.trust]),
            Text(member.key if (screen.width or 0) >= 110 else f"{member.key[:16]}…"),
        )
    screen.show(table)
    _say_how_old(run, [of])
    if any(name.startswith("~") for name in names.values()):
        screen.remark("A name with ~ is what somebody calls himself: nobody has checked it.")


def banned(run: Run, channel: str) -> None:
    """Print who may not join."""

    async def work(engine: Engine) -> list[tuple[str, str]]:
        found = await engine.channels.get(channel)
        people = People(engine, f"#{found.id}")
        return [(key, await people.name(key)) for key in await engine.channels.banned(f"#{found.id}")]

    found = work_on.with_engine(run, work)
    if not found:
        run.screen.remark("Nobody is banned from this channel.")
    for key, name in found:
        if run.screen.is_terminal:
            run.screen.line(Text.assemble(key, "" if key.startswith(name) else f"  {one_line(name)}"))
        else:
            run.screen.fields(key, "" if key.startswith(name) else one_line(name))


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
        found = await work_on.to_change(run, engine, channel)
        where = f"#{found.id}"
        people, _ = await in_channel(engine, found)
        key = await people.key(peer, await engine.channels.banned(where))
        await act(engine, where, key)
        named = await people.name(await _key_of(engine, key))
        links = " Invite links made before are worthless." if found.private else ""
        return said.format(name=one_line(named), label=one_line(found.label), links=links)

    run.screen.remark(work_on.with_engine(run, work))


async def _key_of(engine: Engine, peer: str) -> str:
    try:
        return (await engine.contacts.get(peer)).key
    except InvalidInput:
        return peer.lower()


def rename(run: Run, channel: str, name: str) -> None:
    """Give a channel another name."""

    async def work(engine: Engine) -> str:
        found = await work_on.to_change(run, engine, channel)
        where = f"#{found.id}"
        await engine.rename(where, name.removeprefix("#"))
        return f"{found.label} is called {(await engine.channels.get(where)).label} now."

    run.screen.remark(work_on.with_engine(run, work))


def topic(run: Run, channel: str, text: str | None) -> None:
    """Print the topic of a channel, or give it another one."""

    async def work(engine: Engine) -> Channel:
        if text is None:
            return await engine.channels.get(channel)
        found = await work_on.to_change(run, engine, channel)
        where = f"#{found.id}"
        await engine.channels.set_topic(where, text)
        return await engine.channels.get(where)

    found = work_on.with_engine(run, work)
    if text is not None:
        run.screen.remark(f"The topic of {found.label} was {'changed' if found.topic else 'taken away'}.")
    elif found.topic:
        run.screen.line(one_line(found.topic))
    else:
        run.screen.remark("This channel has no topic.")


def _say_how_old(run: Run, shown: list[Channel]) -> None:
    """What is shown was not asked for just now."""
    moments = [channel.as_of for channel in shown if channel.as_of is not None]
    if moments:
        when = min(moments).astimezone().strftime("%Y-%m-%d %H:%M")
        run.screen.remark(
            f"As of the last connection, {when}; what is new comes with the next: mobium listen", style="dim"
        )


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
        "as_of": None if channel.as_of is None else channel.as_of.isoformat(),
    }
