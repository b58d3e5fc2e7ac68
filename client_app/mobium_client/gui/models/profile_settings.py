"""The settings of the profile: its password, one's name in channels, whether calls hide the address.

Not its concern: settings of this machine (`mobium_client.gui.models.preferences`).
"""

from __future__ import annotations

from collections.abc import Coroutine
from dataclasses import dataclass, replace
from typing import Any

from mobium.client import Engine
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.new_password import NewPassword
from mobium_client.gui.models.presenter import Presenter

__all__ = ["ProfileSettings", "ProfileSettingsState"]


@dataclass(frozen=True, slots=True)
class ProfileSettingsState:
    """`said` is a sentence about what went well, `problem` about what did not. `changes` counts the passwords
    that were taken, so that a view can empty its fields.
    """

    profile: str
    key: str
    name: str = ""
    hide_address: bool = False
    loaded: bool = False
    busy: bool = False
    said: str = ""
    problem: str = ""
    changes: int = 0


class ProfileSettings(Presenter[ProfileSettingsState]):
    """Reads and changes them."""

    def __init__(self, opened: Opened) -> None:
        super().__init__(opened.context.bridge, ProfileSettingsState(opened.profile.name, opened.engine.me))
        self._engine = opened.engine
        self.password = NewPassword(opened.context.bridge, opened.context.later)
        self._until_closed(self.password.close)
        self._run(_read(opened.engine), self._known, self._failed)

    def change_password(self, old: str, first: str, second: str) -> None:
        """Replace the password by another one, typed twice."""
        if self.state.busy:
            return
        if not old:
            self._failed("Type the present password first.")
            return
        if self.password.take(first, second):
            self._change(self._engine.change_password(old, first), "The password was changed.", changes=1)

    def rename(self, name: str) -> None:
        """Call oneself something in one's channels; an empty name is none."""
        if not self.state.busy and name.strip() != self.state.name:
            said = "Members of your channels learn it little by little." if name.strip() else ""
            self._change(self._engine.set_name(name.strip()), said, name=name.strip())

    def hide(self, yes: bool) -> None:
        """Whether every call goes through the server's relay: then nobody learns this machine's address."""
        if not self.state.busy:
            self._change(self._engine.calls.set_hide_address(yes), "", hide_address=yes)

    def _change(self, work: Coroutine[Any, Any, object], said: str, changes: int = 0, **fields: Any) -> None:
        self._show(replace(self.state, busy=True, problem="", said=""))

        def done(_: object) -> None:
            count = self.state.changes + changes
            self._show(replace(self.state, busy=False, said=said, changes=count, **fields))

        self._run(work, done, self._failed)

    def _known(self, found: tuple[str, bool]) -> None:
        self._show(replace(self.state, name=found[0], hide_address=found[1], loaded=True))

    def _failed(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem, said=""))


async def _read(engine: Engine) -> tuple[str, bool]:
    return await engine.name(), await engine.calls.hide_address()
