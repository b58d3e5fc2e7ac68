"""Telling of a message or a call outside the window: that something came, or what, or nothing at all.

Nothing is told of a conversation that is before somebody's eyes. Not its concern: how the system shows it
(`mobium_client.gui.notifier`).
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Final

from mobium.client import CallChanged, CallMissed, Contact, MessageReceived
from mobium_client.gui.models.context import Opened
from mobium_client.plain import one_line

__all__ = ["NotificationClicked", "Notifications", "Notify"]

Notify = Callable[[str, str, Callable[[], object]], Coroutine[Any, Any, None]]
"""Shows a title and a text, and calls what is given when somebody clicks on it; raises nothing."""

_LONGEST: Final = 200  # characters of a message that are shown
_APART: Final = 3.0  # seconds in which further messages of the same conversation are not told again


@dataclass(frozen=True, slots=True)
class NotificationClicked:
    """Somebody has clicked on what was told of a conversation: a key (hex), or what a channel is called; ""
    of a call.
    """

    target: str


class Notifications:
    """Hears what comes while a profile is open, until `close`."""

    def __init__(
        self,
        opened: Opened,
        notify: Notify,
        before_eyes: Callable[[str], bool],
        clock: Callable[[], float],
    ) -> None:
        """`before_eyes(target)` is whether this conversation is open in a window that has the focus; `clock`
        gives seconds.
        """
        self._opened = opened
        self._notify = notify
        self._before_eyes = before_eyes
        self._clock = clock
        self._told: dict[str, float] = {}
        events = opened.context.events
        self._endings = (
            events.on(MessageReceived, self._on_message),
            events.on(CallChanged, self._on_call),
            events.on(CallMissed, lambda event: self._on_called(event.peer, "called during another call")),
        )

    def close(self) -> None:
        """Tell nothing any more."""
        for ending in self._endings:
            ending()

    def _on_message(self, event: MessageReceived) -> None:
        how = self._opened.context.preferences.state.notifications
        target = event.channel or event.peer
        if how == "off" or self._before_eyes(target) or not self._due(target):
            return
        self._opened.context.bridge.submit(self._tell(event, target, full=how == "full"))

    def _on_call(self, event: CallChanged) -> None:
        if event.state == "incoming":
            self._on_called(event.peer, "calls")

    def _on_called(self, peer: str, what: str) -> None:
        """Somebody calls; whoever looks at the window sees it there."""
        context = self._opened.context
        how = context.preferences.state.notifications
        if how != "off" and not context.attention.state:
            context.bridge.submit(self._tell_call(peer, what, full=how == "full"))

    async def _tell_call(self, peer: str, what: str, *, full: bool) -> None:
        name = await self._name(peer) if full else "Somebody"
        await self._show("mobium", f"{name} {what}", "")

    async def _show(self, title: str, text: str, target: str) -> None:
        bridge = self._opened.context.bridge
        await self._notify(title, text, lambda: bridge.tell(NotificationClicked(target)))

    async def _name(self, peer: str) -> str:
        contacts: list[Contact] = await self._opened.engine.contacts.list()
        names = {contact.key: contact.name for contact in contacts}
        return one_line(names.get(peer) or peer[:16])

    def _due(self, target: str) -> bool:
        now = self._clock()
        # a clock that was set back keeps nothing from being told
        self._told = {one: at for one, at in self._told.items() if 0 <= now - at < _APART}
        if target in self._told:
            return False
        self._told[target] = now
        return True

    async def _tell(self, event: MessageReceived, target: str, *, full: bool) -> None:
        if not full:
            await self._show("mobium", "A new message", target)
            return
        name = await self._name(event.peer)
        title = f"{name} in {one_line(event.channel)}" if event.channel else name
        if event.request:
            title, text = "mobium", "Somebody who is no contact has written"
        else:
            text = "Something new" if event.text is None else one_line(event.text[:_LONGEST])
        await self._show(title, text, target)
