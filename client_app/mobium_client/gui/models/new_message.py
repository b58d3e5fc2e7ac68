"""The dialog "New message": a key, a `mobium:` link, or somebody who is known already."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium.client import Contact
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.plain import one_line

__all__ = ["Known", "NewMessage", "NewMessageState"]


@dataclass(frozen=True, slots=True)
class Known:
    """A contact: its key in hex, and what it is called."""

    key: str
    name: str
    verified: bool


@dataclass(frozen=True, slots=True)
class NewMessageState:
    """`known` are the contacts that fit what was typed; `names` says that it is a key or a link, so that a
    nickname can be given.
    """

    text: str = ""
    known: tuple[Known, ...] = ()
    names: bool = False
    busy: bool = False
    problem: str = ""


class NewMessage(Presenter[NewMessageState]):
    """Finds out who is meant; `chosen` is called with the key and the name."""

    def __init__(self, opened: Opened, chosen: Callable[[str, str], object]) -> None:
        super().__init__(opened.context.bridge, NewMessageState())
        self._opened = opened
        self._chosen = chosen
        self._all: tuple[Known, ...] = ()
        self._run(opened.engine.contacts.list(), self._listed)

    def type(self, text: str) -> None:
        """What is typed is now another text."""
        wanted = text.strip()
        self._show(
            replace(self.state, text=wanted, known=self._fitting(wanted), names=_names(wanted), problem="")
        )

    def choose(self, key: str) -> None:
        """Write to a contact of the list."""
        for known in self._all:
            if known.key == key:
                self._end(known.key, known.name)
                return

    def go(self, nickname: str = "") -> None:
        """Write to whom the text names: a key or a link, else the only contact that fits."""
        if self.state.busy:
            return
        if not self.state.names:
            if len(self.state.known) == 1:
                self.choose(self.state.known[0].key)
            else:
                self._show(replace(self.state, problem="Paste a key or a link, or choose somebody below."))
            return
        self._show(replace(self.state, busy=True, problem=""))
        work = self._opened.engine.contacts.add(self.state.text, nickname.strip() or None)
        self._run(work, lambda contact: self._end(contact.key, one_line(contact.name)), self._refused)

    def dismiss(self) -> None:
        """Write to nobody."""
        self._opened.context.overlays.dismiss(self)

    def _end(self, key: str, name: str) -> None:
        self._opened.context.overlays.dismiss(self)
        self._chosen(key, name)

    def _refused(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))

    def _listed(self, contacts: list[Contact]) -> None:
        self._all = tuple(
            sorted(
                (
                    Known(one.key, one_line(one.name), one.trust == "verified")
                    for one in contacts
                    if not one.blocked
                ),
                key=lambda one: one.name.casefold(),
            )
        )
        self._show(replace(self.state, known=self._fitting(self.state.text)))

    def _fitting(self, text: str) -> tuple[Known, ...]:
        wanted = text.casefold()
        return tuple(one for one in self._all if wanted in one.name.casefold() or one.key.startswith(wanted))


def _names(text: str) -> bool:
    """Whether a text is meant as a key or a link, right or wrong."""
    return text.lower().startswith("mobium:") or (
        len(text) >= 32 and all(digit in "0123456789abcdefABCDEF" for digit in text)
    )
