"""The unlock screen: a profile's password opens it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace

from mobium.client.profile import Profile
from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.session import Session

__all__ = ["Unlock", "UnlockState"]


@dataclass(frozen=True, slots=True)
class UnlockState:
    """`busy` while the password is tried; `problem` is a sentence; `tries` counts failures, so that a view
    can select what is in its field after each; `locking` until the keys of the last session are gone.
    """

    profile: str
    others: bool = False
    locking: bool = False
    busy: bool = False
    problem: str = ""
    notice: str = ""
    tries: int = 0


class Unlock(Presenter[UnlockState]):
    """Asks for the password of one profile."""

    def __init__(
        self,
        context: Context,
        session: Session,
        profile: Profile,
        *,
        others: Callable[[], object] | None = None,
        notice: str = "",
        locking: bool = False,
    ) -> None:
        """`others` shows the picker; `notice` says why one is here."""
        state = UnlockState(profile.name, others=others is not None, notice=notice, locking=locking)
        super().__init__(context.bridge, state)
        self._session = session
        self._profile = profile
        self._others = others

    def open(self, password: str) -> None:
        """Try a password."""
        if self.state.busy or self.state.locking:
            return
        if not password:
            self._show(replace(self.state, problem="Type the password of this profile."))
            return
        self._show(replace(self.state, busy=True, problem="", notice=""))
        self._session.open(self._profile, password, self._failed)

    def choose_another(self) -> None:
        """Back to the list of profiles."""
        if self._others is not None and not (self.state.busy or self.state.locking):
            self._others()

    def locked(self) -> None:
        """The keys of the last session are gone."""
        self._show(replace(self.state, locking=False))

    def _failed(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem, tries=self.state.tries + 1))
