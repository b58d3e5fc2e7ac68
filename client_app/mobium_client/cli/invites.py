"""The commands about the ways into a channel: invite links, those in force, and the secret behind them.

Not its concern: using a link (`mobium_client.cli.channels`).
"""

from __future__ import annotations

import re
from datetime import datetime
from shlex import quote

from rich.text import Text

from mobium.client import Channel, Engine, Invite
from mobium.client.links import qr_code
from mobium.errors import InvalidInput, ServerRefused
from mobium_client.cli import channel_work as work_on
from mobium_client.cli.session import Run
from mobium_client.people import OPEN, People
from mobium_client.plain import one_line, shorten

__all__ = ["invite", "invites", "renew", "revoke"]

_QR_STYLE = "bright_white on black"
_DAY = 86_400
_UNITS = {"m": 60, "h": 3_600, "d": _DAY, "w": 7 * _DAY}
_DURATION = re.compile(r"(\d{1,6})\s*([mhdw])")
_FOR_EVER = {"ever", "forever", "0"}
_TTL = 7 * _DAY


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

    found, link = work_on.with_engine(run, work)
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

    found = work_on.with_engine(run, work)
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
        screen.remark(f"No invite is in force; make one with: mobium channel invite {quote(channel)}")
        return
    if not screen.is_terminal:
        for one, name in found:
            expires = "" if one.expires is None else one.expires.isoformat()
            screen.fields(one.id, "" if one.uses is None else str(one.uses), expires, one_line(name))
        return
    table = work_on.table("invite", "uses left", "until", "made by")
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
            f"The invite lets nobody in any more; {work_on.counted(len(left), 'invite')} left."
            " Whoever has its link still knows the channel's secret, until it is renewed:"
            " mobium channel renew"
        )

    run.screen.remark(work_on.with_engine(run, work))


def renew(run: Run, channel: str) -> None:
    """Draw a new secret, after which every earlier link is worthless."""

    async def work(engine: Engine) -> str:
        await _private(engine, channel)
        found = await work_on.to_change(run, engine, channel)
        await engine.channels.renew(f"#{found.id}")
        return f"{found.label} has a new secret: every invite link made before is worthless."

    run.screen.remark(work_on.with_engine(run, work))


async def _private(engine: Engine, channel: str) -> Channel:
    found = await engine.channels.get(channel)
    if not found.private:
        raise InvalidInput("An open channel has no invites: one link leads everybody in, and stays.")
    return found


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
            return work_on.counted(seconds // unit, word)
    return work_on.counted(seconds, "second")


def _date(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")
