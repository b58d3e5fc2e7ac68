"""The choice of a profile, where there are several."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from mobium.client.profile import Profile
from mobium_client.gui.models.context import Context
from mobium_client.gui.models.presenter import Presenter

__all__ = ["Picker", "PickerState"]


@dataclass(frozen=True, slots=True)
class PickerState:
    """The names of the profiles, the one that was used last first."""

    profiles: tuple[str, ...]


class Picker(Presenter[PickerState]):
    """Lets a person choose; `chosen` is called with the profile."""

    def __init__(
        self,
        context: Context,
        profiles: list[Profile],
        chosen: Callable[[Profile], object],
        another: Callable[[], object],
    ) -> None:
        """`another` makes one more."""
        last = context.preferences.state.last_profile
        self._profiles = sorted(profiles, key=lambda profile: profile.name != last)
        self._chosen = chosen
        self._another = another
        super().__init__(context.bridge, PickerState(tuple(profile.name for profile in self._profiles)))

    def choose(self, name: str) -> None:
        """Take the profile with this name."""
        for profile in self._profiles:
            if profile.name == name:
                self._chosen(profile)
                return

    def make(self) -> None:
        """Make another profile, or bring one back."""
        self._another()
