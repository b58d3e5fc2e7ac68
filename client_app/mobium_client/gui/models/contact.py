"""The pane of a contact: who it is, how surely, and what can be done about it."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, replace
from typing import Any

from mobium.client import Contact, ContactKeyChanged, MessageStateChanged
from mobium.errors import InvalidInput
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.plain import one_line

__all__ = ["CHANGED", "ContactPane", "ContactState"]

CHANGED = (
    "The key of this contact has changed: a new device, or somebody in between. Nothing is sent until you "
    "accept it. Compare the safety number below by other means first: in a call, or face to face."
)


@dataclass(frozen=True, slots=True)
class ContactState:
    """`number` is the safety number in groups, or empty with `no_number` saying why. `known` is false for
    somebody who is nobody's contact yet.
    """

    key: str
    name: str = ""
    nickname: str = ""
    known: bool = False
    verified: bool = False
    changed: bool = False
    blocked: bool = False
    number: str = ""
    no_number: str = ""
    problem: str = ""
    loaded: bool = False


class ContactPane(Presenter[ContactState]):
    """Shows a contact; `changed` is called after what others show too, `fold` when the pane is to go."""

    def __init__(
        self, opened: Opened, key: str, changed: Callable[[], object], fold: Callable[[], object]
    ) -> None:
        super().__init__(opened.context.bridge, ContactState(key, name=key[:16]))
        self._opened = opened
        self._contacts = opened.engine.contacts
        self._changed = changed
        self._fold = fold
        self._until_closed(opened.context.events.on(ContactKeyChanged, self._on_key))
        self._until_closed(opened.context.events.on(MessageStateChanged, self._on_state))
        self._load()

    def rename(self, nickname: str) -> None:
        """Call it something else, or nothing."""
        if nickname.strip() != self.state.nickname:
            self._do(self._contacts.rename(self.state.key, nickname.strip() or None))

    def verify(self) -> None:
        """The numbers that are shown here and there were compared and are equal."""
        self._do(self._contacts.verify(self.state.key, self.state.number))

    def unverify(self) -> None:
        """Take the mark back."""
        self._do(self._contacts.unverify(self.state.key))

    def accept_key(self) -> None:
        """Take the changed key whose number is shown."""
        self._do(self._contacts.accept_key(self.state.key, self.state.number))

    def block(self) -> None:
        """Take nothing any more, and send nothing."""
        self._do(self._contacts.block(self.state.key))

    def unblock(self) -> None:
        """Undo it."""
        self._do(self._contacts.unblock(self.state.key))

    def fold(self) -> None:
        """The pane is closed."""
        self._fold()

    def _on_key(self, event: ContactKeyChanged) -> None:
        if event.peer == self.state.key:
            self._load()

    def _on_state(self, _: MessageStateChanged) -> None:
        if not self.state.number:  # the first exchange brings it
            self._load()

    def _do(self, work: Coroutine[Any, Any, Contact]) -> None:
        def done(_: Contact) -> None:
            self._load()
            self._changed()

        self._run(work, done, lambda problem: self._show(replace(self.state, problem=problem)))

    def _load(self) -> None:
        self._run(self._read(), self._show)

    async def _read(self) -> ContactState:
        key = self.state.key
        try:
            contact = await self._contacts.get(key)
        except InvalidInput as error:
            return ContactState(key, name=key[:16], no_number=str(error), loaded=True)
        number = no_number = ""
        try:
            number = await self._contacts.safety_number(key)
        except InvalidInput as error:
            no_number = str(error)
        return ContactState(
            key=key,
            name=one_line(contact.name),
            nickname=contact.nickname or "",
            known=not contact.request,
            verified=contact.trust == "verified",
            changed=contact.trust == "changed",
            blocked=contact.blocked,
            number=number,
            no_number=no_number,
            loaded=True,
        )
