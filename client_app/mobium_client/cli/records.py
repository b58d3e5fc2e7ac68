"""The commands that show what is stored: history and export.

Not its concern: options and their help (`mobium_client.cli.app`).
"""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

from rich.text import Text

from mobium.client import Channel, Conversation, Engine, Message
from mobium.errors import InvalidInput, StoreError
from mobium_client.cli.lines import Marks, message_line, notice_line, remark_line
from mobium_client.cli.partners import InChannel, Partner, WithPerson, partner_of, said_by
from mobium_client.cli.session import Run, run_async
from mobium_client.plain import one_line, shorten

__all__ = ["export", "history"]

# What a file system without hard links says, as on most memory sticks.
_NO_LINKS = {errno.EPERM, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS}
_GLANCE = 1_000  # characters of a last message that are looked at for its one line


def history(run: Run, peer: str | None, limit: int, as_json: bool) -> None:
    """Print the last messages with a peer, or the conversations."""

    async def work() -> None:
        async with run.engine() as engine:
            if peer is None:
                await _show_conversations(run, engine, as_json)
            else:
                await _show_history(run, engine, peer, limit, as_json)

    run_async(work())


async def _show_history(run: Run, engine: Engine, peer: str, limit: int, as_json: bool) -> None:
    partner = await partner_of(engine, peer)
    found = await engine.history(partner.target, limit=limit)
    if as_json:
        for message in found:
            run.screen.json(await _fields(partner, message))
        return
    if not found:
        whom = "in this channel" if isinstance(partner, InChannel) else "with this contact"
        run.screen.remark(f"Nothing was said {whom} yet.")
        return
    marks = Marks(run.screen.can_draw)
    for message in found:
        await _show_message(run, marks, partner, message)
    await engine.mark_read(partner.target)
    if isinstance(partner, InChannel) and partner.channel.reason:
        run.screen.remark(partner.channel.reason)


async def _show_message(run: Run, marks: Marks, partner: Partner, message: Message) -> None:
    if message.kind == "notice" and isinstance(partner, InChannel):
        said = await partner.notice(message)
        for line in notice_line(message.sent_at, said, run.screen.width, dated=True):
            run.screen.line(line)
        return
    who, text = await said_by(partner, message)
    for line in message_line(
        marks[message.state],
        message.sent_at,
        who,
        "bold" if who == "you" else "bold cyan",
        text,
        run.screen.width,
        dated=True,
        history=True,
    ):
        run.screen.line(line)
    if message.outgoing and message.reason:
        why = f"{message.state}: {message.reason} ({message.id})"
        for line in remark_line(why, run.screen.width, "red"):
            run.screen.line(line)


async def _fields(partner: Partner, message: Message) -> dict[str, Any]:
    """A line as a program reads it; in a channel it says more."""
    fields = _message_fields(message)
    if not isinstance(partner, InChannel):
        return fields
    what, _, text = (message.text or "").partition(" ")
    if message.kind == "notice":
        fields |= {"what": what, "text": text or None}
    return fields | {
        "channel": partner.title,
        "shown": await partner.name(message.peer) if message.peer else None,
        "subject": message.subject or None,
    }


def _message_fields(message: Message) -> dict[str, Any]:
    return {
        "id": message.id,
        "peer": message.peer,
        "outgoing": message.outgoing,
        "kind": message.kind,
        "text": message.text,
        "sent_at": message.sent_at.isoformat(),
        "at": message.at.isoformat(),
        "state": message.state,
        "reason": message.reason or None,
        "missing": message.missing,
    }


async def _show_conversations(run: Run, engine: Engine, as_json: bool) -> None:
    rows: list[tuple[datetime, Conversation | Channel, Partner, Message]] = []
    for conversation in await engine.conversations():
        person = WithPerson(conversation.peer, conversation.nickname or conversation.peer[:16])
        rows.append((conversation.last.at, conversation, person, conversation.last))
    for channel in await engine.channels.list():
        inside = InChannel(engine, channel)
        lines = await engine.history(inside.target, limit=1)
        rows += [(last.at, channel, inside, last) for last in lines[-1:]]
    for _, which, partner, last in sorted(rows, key=lambda row: row[0], reverse=True):
        if as_json:
            run.screen.json(await _conversation_fields(which, partner, last))
        else:
            await _show_conversation(run, which, partner, last)
    if not rows and not as_json:
        run.screen.remark("There are no conversations yet.")


async def _conversation_fields(
    which: Conversation | Channel, partner: Partner, last: Message
) -> dict[str, object]:
    fields = {"unread": which.unread, "last": await _fields(partner, last)}
    if isinstance(which, Channel):
        return {"channel": which.label, "id": which.id, **fields}
    return {
        "peer": which.peer,
        "nickname": which.nickname,
        "request": which.request,
        "blocked": which.blocked,
        **fields,
    }


async def _show_conversation(
    run: Run, which: Conversation | Channel, partner: Partner, last: Message
) -> None:
    request = isinstance(which, Conversation) and which.request
    head = Text.assemble(
        (last.sent_at.astimezone().strftime("%Y-%m-%d %H:%M"), "dim"),
        f" {which.unread:4} new  " if which.unread else "           ",
        (shorten(one_line(partner.title) + (" (request)" if request else ""), 30), "bold cyan"),
        "  ",
    )
    if last.kind == "notice" and isinstance(partner, InChannel):
        shown = await partner.notice(last)
    else:
        who, text = await said_by(partner, last)
        named = who == "you" or isinstance(partner, InChannel)
        text = text[:_GLANCE]
        shown = one_line(f"{who}: {text}" if named else text)
    run.screen.line(head + Text(shorten(shown, max(16, (run.screen.width or 200) - head.cell_len - 1))))


def export(run: Run, file: str, *, force: bool) -> None:
    """Write everything as JSON lines, to a new file of mode 0600 or to standard output."""
    if file == "-":
        run_async(_export(run, run.screen.json))
        return
    if not file:
        raise InvalidInput("The file's name is empty; name a file, or - for standard output.")
    target = Path(file)
    if target.exists() and not target.is_file():  # replaced, a device would be one no more
        raise InvalidInput(f"{file} is there and no file; choose another name, or - for standard output.")
    if not force and os.path.lexists(target):
        raise InvalidInput("This file exists; choose another name, or overwrite it with --force.")
    partial = target.with_name(f".{target.name}.{os.getpid()}.part")
    try:
        with open(partial, "x", encoding="utf-8", opener=_private) as out:
            count = run_async(_export(run, lambda row: out.write(json.dumps(row, ensure_ascii=False) + "\n")))
            out.flush()
            os.fsync(out.fileno())
        if force:
            partial.replace(target)
        else:
            _put(partial, target)
    except OSError as error:
        raise StoreError(f"The file {file} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    run.screen.remark(f"{count} lines were written to {file}, in clear text, readable by you alone.")


def _put(partial: Path, target: Path) -> None:
    """Give a file its name. Raises OSError, also if somebody made a file of that name meanwhile."""
    try:
        os.link(partial, target)
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST)) from error
        partial.rename(target)


async def _export(run: Run, write: Callable[[dict[str, Any]], object]) -> int:
    count = 0
    async with run.engine() as engine:
        async for row in engine.export():
            write(row)
            count += 1
    return count


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
