"""Messages as lines of text: the mark of their state, the time, the name, and the text in its own column.

Not its concern: where the lines are shown.
"""

from __future__ import annotations

from datetime import datetime

from rich.text import Text

from mobium.client import Message
from mobium_client.plain import cells, harmless, layout, one_line, shorten

__all__ = [
    "MARK_CELLS",
    "NAME_CELLS",
    "Marks",
    "key_changed",
    "message_line",
    "notice_line",
    "remark_line",
    "text_of",
    "unshown",
]

NAME_CELLS = 20
MARK_CELLS = 3

# Whoever writes decides how long a message is, so that a screen shows this much of one and says how to see
# the rest. Only so much of it is looked at, too: what is drawn here holds up everything else.
_GLANCE = 40  # lines in a conversation on a terminal
_MOST = 1_000  # lines in the history, and where no person reads along
_LINE_CHARACTERS = (
    256  # looked at for each line; with its marks and unseen ones it may hold more than columns
)


class Marks:
    """The sign of each state, in three columns, and the line that explains them."""

    def __init__(self, can_draw: bool) -> None:
        self._signs = (
            {"queued": "…", "sent": "✓", "delivered": "✓✓", "read": "✓✓", "failed": "✗", "expired": "✗"}
            if can_draw
            else {"queued": ".", "sent": "+", "delivered": "++", "read": "++", "failed": "x", "expired": "x"}
        )

    def __getitem__(self, state: str) -> Text:
        style = {"read": "bold green", "failed": "bold red", "expired": "bold red", "queued": "dim"}.get(
            state, ""
        )
        sign = self._signs.get(state, "")
        return Text(sign, style) + " " * (MARK_CELLS - cells(sign))

    @property
    def legend(self) -> str:
        """What the signs mean."""
        signs = self._signs
        return (
            f"{signs['queued']} queued  {signs['sent']} sent  "
            f"{signs['delivered']} delivered (green: read)  {signs['failed']} not sent"
        )

    @property
    def channel_legend(self) -> str:
        """What they mean in a channel, which has no receipts."""
        signs = self._signs
        return f"{signs['queued']} queued  {signs['sent']} sent  {signs['failed']} not sent"


def message_line(
    mark: Text,
    at: datetime,
    name: str,
    style: str,
    text: str,
    width: int | None,
    *,
    dated: bool = False,
    request: bool = False,
    channel: str | None = None,
    history: bool = False,
) -> list[Text]:
    """The lines of one message. `name`, `text` and `channel` come from outside; a `request` is from no
    contact. Of a long text they are the beginning, and how to see more of it; the `history` shows more.
    """
    shown = shorten(one_line(name), NAME_CELLS) + (" (request)" if request else "")
    where = "" if channel is None else shorten(one_line(channel), NAME_CELLS) + " "
    when = _when(at, dated)
    head = Text.assemble(mark, (when, "dim"), "  ", (where, "dim"), (shown, style), "  ")
    indent = MARK_CELLS + len(when) + 2
    most = _MOST if history or width is None else _GLANCE
    seen = most * _LINE_CHARACTERS
    lines = layout(harmless(text[:seen]), cells(head.plain), indent, width, most + 1)
    rest = []
    if len(text) > seen or len(lines) > most:
        how = "mobium history --json has all of it" if most == _MOST else "mobium history shows more"
        rest = remark_line(f"This is the beginning of {len(text):,} characters; {how}.", width)
    first, *more = lines[:most]
    return [head + Text(first), *(Text(line) for line in more), *rest]


def remark_line(text: str, width: int | None, style: str = "dim") -> list[Text]:
    """The lines of a sentence of the program, which may hold text from outside."""
    head = " " * MARK_CELLS + "-- "
    first, *more = layout(harmless(text), len(head), len(head), width)
    return [Text(head + first, style), *(Text(line, style) for line in more)]


def notice_line(
    at: datetime,
    text: str,
    width: int | None,
    style: str = "dim",
    *,
    dated: bool = False,
    channel: str | None = None,
) -> list[Text]:
    """The lines of a change of a channel. `text` and `channel` come from outside."""
    when = _when(at, dated)
    where = "" if channel is None else shorten(one_line(channel), NAME_CELLS) + " "
    head = Text(f"{' ' * MARK_CELLS}{when}  {where}-- ", style)
    first, *more = layout(one_line(text), cells(head.plain), MARK_CELLS + len(when) + 2, width)
    return [head + Text(first, style), *(Text(line, style) for line in more)]


def _when(at: datetime, dated: bool) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M" if dated else "%H:%M")


def key_changed(name: str) -> str:
    """What is said when a contact's key has changed."""
    return (
        f"The key of {one_line(name)} has changed: a new device, or somebody in between. "
        "Nothing is sent until you accept it (mobium contact accept); compare the safety number first "
        "(mobium contact verify)."
    )


def unshown(kind: str, missing: int) -> str:
    """What stands in the place of a message without a text."""
    if kind == "missing":
        return "(1 message has not arrived)" if missing == 1 else f"({missing} messages have not arrived)"
    if kind == "closed":
        return "(this cannot be read: its key has not reached this machine, or it is damaged)"
    return "(this needs a newer version of mobium)"


def text_of(message: Message) -> str:
    """The text of a message, or what stands in its place."""
    return unshown(message.kind, message.missing) if message.text is None else message.text
