"""Making a profile: its name, a new identity or one from 24 recovery words, a password.

What follows once it is open, the words of a new one and the server, is in `confirm_words` and
`choose_server`. Not its concern: how the fields look.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from mobium.client import Engine
from mobium.client.profile import Profile, Profiles, check_name
from mobium.errors import InvalidInput
from mobium_client.gui.models.context import Context
from mobium_client.gui.models.new_password import NewPassword
from mobium_client.gui.models.presenter import Presenter, told
from mobium_client.gui.models.recover_words import RecoverWords
from mobium_client.gui.models.session import Session

__all__ = ["FirstRun", "FirstRunState", "Step"]

Step = Literal["welcome", "words", "password"]


@dataclass(frozen=True, slots=True)
class FirstRunState:
    """`step` is what is asked now; `problem` a sentence; `busy` while the profile is made. `back` says that
    there is a way back to other profiles, `unreadable` that those on the disk could not be read.
    """

    step: Step = "welcome"
    name: str = ""
    recover: bool = False
    problem: str = ""
    busy: bool = False
    back: bool = False
    unreadable: bool = False


class FirstRun(Presenter[FirstRunState]):
    """Makes a profile and opens it."""

    def __init__(
        self,
        context: Context,
        session: Session,
        again: Callable[[], object],
        *,
        problem: str = "",
        others: Callable[[], object] | None = None,
    ) -> None:
        """`again` looks for profiles once more, `others` shows those that there are. `problem` is a sentence
        about why they cannot be read.
        """
        state = FirstRunState(problem=problem, back=others is not None, unreadable=bool(problem))
        super().__init__(context.bridge, state)
        self._context = context
        self._session = session
        self._again = again
        self._others = others
        self._words: str | None = None
        self.password = NewPassword(context.bridge, context.later)
        self.words = RecoverWords(context.bridge)
        self._until_closed(self.password.close)
        self._until_closed(self.words.close)

    def begin(self, name: str, *, recover: bool) -> None:
        """Make a profile of this name; `recover` brings an identity back instead of making a new one."""
        if self.state.busy:
            return
        try:
            clean = check_name(name.strip())
        except InvalidInput as error:
            problem = told(error) if name.strip() else "Give the profile a name; your first name will do."
            self._show(replace(self.state, name=name, problem=problem))
            return
        self._show(replace(self.state, name=clean, recover=recover, problem="", busy=True))

        def free(taken: bool) -> None:
            if taken:
                problem = f"There is a profile called {clean} already; give this one another name."
                self._show(replace(self.state, busy=False, problem=problem))
            else:
                self._show(replace(self.state, busy=False, step="words" if recover else "password"))

        self._run(_taken(self._context.profiles, clean), free, self._failed)

    def recover(self, text: str) -> None:
        """Take these recovery words."""
        words = self.words.take(text)
        if words is not None:
            self._words = words
            self._show(replace(self.state, step="password", problem=""))

    def make(self, first: str, second: str) -> None:
        """Take this password, typed twice: the profile is made and opened."""
        if self.state.busy or not self.password.take(first, second):
            return
        self._show(replace(self.state, busy=True, problem=""))

        def made(profile: Profile) -> None:
            self._session.open(profile, first, self._failed)

        work = _make(self._context.profiles, self.state.name, first, self._words)
        self._run(work, made, self._failed)

    def back(self) -> None:
        """One step back; from the first one to the other profiles."""
        state = self.state
        if state.busy:
            return
        if state.step == "welcome":
            if self._others is not None:
                self._others()
        elif state.step == "password" and state.recover:
            self._show(replace(state, step="words", problem=""))
        else:
            self._words = None
            self._show(replace(state, step="welcome", problem=""))

    def look_again(self) -> None:
        """Look for profiles once more."""
        self._again()

    def close(self) -> None:
        """The end; the words that were typed are let go."""
        self._words = None
        super().close()

    def _failed(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))


async def _taken(profiles: Profiles, name: str) -> bool:
    there = await asyncio.to_thread(profiles.all)
    return any(profile.name.casefold() == name.casefold() for profile in there)


async def _make(profiles: Profiles, name: str, password: str, words: str | None) -> Profile:
    """Make a profile on the disk; nothing is left of it if that fails."""
    profile = await asyncio.to_thread(profiles.new, name)
    try:
        if words is None:
            await Engine.create(profile.folder, password, keep=True)
        else:
            await Engine.recover(profile.folder, password, words)
    except BaseException:
        profiles.discard(profile)
        raise
    return profile
