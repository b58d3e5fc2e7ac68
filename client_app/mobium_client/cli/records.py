"""The commands that show what is stored: history and export.

Not its concern: options and their help (`mobium_client.cli.app`).
"""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from rich.text import Text

from mobium.client import Conversation, Message
from mobium.errors import InvalidInput, StoreError
from mobium_client.cli.lines import MARK_CELLS, Marks, message_line, text_of
from mobium_client.cli.session import Run, name_of, run_async
from mobium_client.plain import harmless, layout, one_line, shorten

__all__ = ["export", "history"]


def history(run: Run, peer: str | None, limit: int, as_json: bool) -> None:
    """Print the last messages with a peer, or the conversations."""

    async def work() -> None:
        async with run.engine() as engine:
            if peer is None:
                _show_conversations(run, await engine.conversations(), as_json)
                return
            found = await engine.history(peer, limit=limit)
            if as_json:
                for message in found:
                    run.screen.json(_message_fields(message))
                return
            if not found:
                run.screen.remark("Nothing was said with this contact yet.")
                return
            name = await name_of(engine, found[0].peer)
            marks = Marks(run.screen.can_draw)
            for message in found:
                _show_message(run, marks, name, message)
            await engine.mark_read(found[0].peer)

    run_async(work())


def _show_message(run: Run, marks: Marks, name: str, message: Message) -> None:
    own = message.outgoing
    for line in message_line(
        marks[message.state],
        message.sent_at,
        "you" if own else name,
        "bold" if own else "bold cyan",
        text_of(message),
        run.screen.width,
        dated=True,
    ):
        run.screen.line(line)
    if own and message.reason:
        head = " " * MARK_CELLS + "-- "
        why = harmless(f"{message.state}: {message.reason} ({message.id})")
        first, *more = layout(why, len(head), len(head), run.screen.width)
        for shown in (head + first, *more):
            run.screen.line(shown, style="red")


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


def _show_conversations(run: Run, found: list[Conversation], as_json: bool) -> None:
    for conversation in found:
        if as_json:
            fields = {
                "peer": conversation.peer,
                "nickname": conversation.nickname,
                "request": conversation.request,
                "blocked": conversation.blocked,
                "unread": conversation.unread,
                "last": _message_fields(conversation.last),
            }
            run.screen.json(fields)
            continue
        last = conversation.last
        name = one_line(conversation.nickname or conversation.peer[:16]) + (
            " (request)" if conversation.request else ""
        )
        head = Text.assemble(
            (last.sent_at.astimezone().strftime("%Y-%m-%d %H:%M"), "dim"),
            f" {conversation.unread:4} new  " if conversation.unread else "           ",
            (shorten(name, 30), "bold cyan"),
            "  ",
        )
        shown = ("you: " if last.outgoing else "") + one_line(text_of(last))
        run.screen.line(head + Text(shorten(shown, max(16, (run.screen.width or 200) - head.cell_len - 1))))
    if not found and not as_json:
        run.screen.remark("There are no conversations yet.")


def export(run: Run, file: str, *, force: bool) -> None:
    """Write everything as JSON lines, to a new file of mode 0600 or to standard output."""
    if file == "-":
        run_async(_export(run, run.screen.json))
        return
    target = Path(file)
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
            os.link(partial, target)  # fails if somebody made the file meanwhile
    except OSError as error:
        raise StoreError(f"The file {file} cannot be written: {error.strerror}.") from error
    finally:
        partial.unlink(missing_ok=True)
    run.screen.remark(f"{count} lines were written to {file}, in clear text, readable by you alone.")


async def _export(run: Run, write: Callable[[dict[str, Any]], object]) -> int:
    count = 0
    async with run.engine() as engine:
        async for row in engine.export():
            write(row)
            count += 1
    return count


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
