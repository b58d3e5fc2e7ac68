"""The commands about contacts: adding, naming, comparing safety numbers, requests, blocking.

Not its concern: options and their help (`mobium_client.cli.app`).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from typing import TypeVar

from rich.table import Table
from rich.text import Text

from mobium.client import Contact, Engine
from mobium.client.links import ContactLink, is_nickname, parse_contact
from mobium.errors import InvalidInput, MobiumError
from mobium_client.cli.session import Run, run_async
from mobium_client.plain import harmless, one_line

__all__ = ["accept", "add", "block", "list_all", "rename", "verify"]

T = TypeVar("T")

_TRUST = {"verified": "green", "changed": "bold red", "unverified": ""}


def add(run: Run, contact: str, nickname: str | None) -> None:
    """Add a contact by key or link."""

    async def work(engine: Engine) -> str:
        server = _link(contact, nickname).server
        added = await engine.contacts.add(contact, nickname)
        known = await engine.server()
        said = f"{_shown(added)} is a contact now."
        if server is not None and known is None:
            said += f" Their server is {server}: give it once with --server."
        elif server is not None and known is not None and server != known.url:
            said += f" Note: the link names the server {server}, and yours is {known.url}."
        return said

    run.screen.remark(_with_engine(run, work))


def _link(contact: str, nickname: str | None) -> ContactLink:
    try:
        return parse_contact(contact)
    except InvalidInput:
        if nickname is not None and is_nickname(contact) and not is_nickname(nickname):
            raise InvalidInput("The key or link comes first: mobium contact add KEY NICKNAME") from None
        raise


def list_all(run: Run, as_json: bool) -> None:
    """Print contacts and requests."""

    async def work(engine: Engine) -> list[Contact]:
        return [*await engine.contacts.list(), *await engine.contacts.requests()]

    found = _with_engine(run, work)
    screen = run.screen
    if as_json:
        for contact in found:
            screen.json(_fields(contact))
        return
    if not found:
        screen.remark("There are no contacts yet; add one with: mobium contact add LINK NICKNAME")
        return
    if not screen.is_terminal:
        for contact in found:
            name = one_line(contact.nickname or "")
            screen.fields(contact.key, name, contact.trust, _standing(contact))
        return
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("name", overflow="fold", max_width=24)
    table.add_column("verified")
    table.add_column("")
    table.add_column("key", no_wrap=True)
    for contact in found:
        key = contact.key if (screen.width or 0) >= 110 else f"{contact.key[:16]}…"
        trust = {"unverified": "no", "verified": "yes", "changed": "KEY CHANGED"}[contact.trust]
        table.add_row(
            Text(one_line(contact.nickname or "")),
            Text(trust, _TRUST[contact.trust]),
            _standing(contact),
            key,
        )
    screen.show(table)


def verify(run: Run, peer: str, *, yes: bool, undo: bool) -> None:
    """Show the safety number and note that it was compared, or take the note back."""

    async def work(engine: Engine) -> str:
        if undo:
            return f"{_shown(await engine.contacts.unverify(peer))} is no longer marked as verified."
        contact = await engine.contacts.get(peer)
        number = await engine.contacts.safety_number(contact.key)
        _show_number(run, number)
        if not yes and not _agreed(run, contact):
            raise MobiumError("Not confirmed; nothing was changed.")
        return f"{_shown(await engine.contacts.verify(contact.key, number))} is verified."

    run.screen.remark(_with_engine(run, work))


def rename(run: Run, peer: str, nickname: str) -> None:
    """Give a contact another nickname."""

    async def work(engine: Engine) -> str:
        return f"The contact is called {_shown(await engine.contacts.rename(peer, nickname))} now."

    run.screen.remark(_with_engine(run, work))


def accept(run: Run, peer: str) -> None:
    """Accept a request, or the changed key of a contact."""

    async def work(engine: Engine) -> str:
        contact = await engine.contacts.get(peer)
        if contact.trust == "changed":
            number = await engine.contacts.safety_number(contact.key)
            _show_number(run, number)
            contact = await engine.contacts.accept_key(contact.key, number)
            return f"The new key of {_shown(contact)} was accepted; it is not verified."
        return f"{_shown(await engine.contacts.accept(peer))} is a contact now."

    run.screen.remark(_with_engine(run, work))


def block(run: Run, peer: str, *, blocked: bool) -> None:
    """Block or unblock."""

    async def work(engine: Engine) -> str:
        contacts = engine.contacts
        contact = await (contacts.block(peer) if blocked else contacts.unblock(peer))
        return f"{_shown(contact)} is {'blocked' if blocked else 'no longer blocked'}."

    run.screen.remark(_with_engine(run, work))


def _with_engine(run: Run, work: Callable[[Engine], Awaitable[T]]) -> T:
    async def opened() -> T:
        async with run.engine() as engine:
            return await work(engine)

    return run_async(opened())


def _show_number(run: Run, number: str) -> None:
    groups = number.split()
    half = len(groups) // 2
    run.screen.line()
    for part in (groups[:half], groups[half:]):
        run.screen.line("    " + "  ".join(part), style="bold")
    run.screen.line()


def _agreed(run: Run, contact: Contact) -> bool:
    run.screen.remark(
        f"Compare these numbers with those that {_shown(contact)} sees, face to face or in a call you trust. "
        "Only if all of them are equal does nobody sit between you."
    )
    return run.screen.ask("Are they equal? (yes/no) ").strip().lower() in {"y", "yes"}


def _shown(contact: Contact) -> str:
    return one_line(contact.name)


def _standing(contact: Contact) -> str:
    if contact.blocked:
        return "blocked"
    return "request" if contact.request else ""


def _fields(contact: Contact) -> dict[str, object]:
    return {
        "key": contact.key,
        "nickname": None if contact.nickname is None else harmless(contact.nickname, name=True),
        "trust": contact.trust,
        "request": contact.request,
        "blocked": contact.blocked,
        "added_at": contact.added_at.isoformat(),
    }
