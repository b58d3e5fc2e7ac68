"""Settings: profile and recovery."""

from __future__ import annotations

from mobium_client.gui.models.profile_settings import ProfileSettings
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.choices import Switch
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.new_password_fields import NewPasswordFields
from mobium_client.gui.widgets.section import Section
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["ProfileSection"]

_WORDS = (
    "The 24 words that you wrote down when this identity was made bring it back on another machine, or if "
    "you forget the password: choose “Another profile” on the first screen, and bring it back from 24 words. "
    "They are not kept on this machine, so they cannot be shown again. Contacts and messages are not in "
    "them."
)
_NAME = (
    "What members of your channels see, unless they call you something else. Empty: the digits of your key."
)
_HIDE = (
    "In calls, contacts whose safety number you have compared learn your address. With this on nobody does: "
    "every call goes through the server's relay, if it has one."
)


class ProfileSection(Section[ProfileSettings]):
    """Draws the settings of the profile."""

    def _build(self) -> None:
        self._changes = 0
        self._loaded = False
        self.title(f"Profile “{self.presenter.state.profile}”", first=True)
        self._said = Sentence(self, self.kit, self.room)
        self._said.pack(fill="x", pady=(0, 8))
        self.paragraph(_NAME)
        self.name = Field(self, self.kit, "Name in channels", width=self.room, done=self.presenter.rename)
        self.name.pack(fill="x")
        Button(self, self.kit, "Take this name", lambda: self.presenter.rename(self.name.text)).pack(
            anchor="w", pady=(8, 0)
        )
        self.title("Calls")
        self.paragraph(_HIDE)
        self.hide = Switch(self, self.kit, "Hide my address in every call", self.presenter.hide)
        self.hide.pack(anchor="w")
        self.title("Password")
        self.old = Field(self, self.kit, "Present password", secret=True, width=self.room)
        self.old.pack(fill="x", pady=(0, 12))
        self.fresh = NewPasswordFields(self, self.kit, self.presenter.password, self._change, self.room)
        self.fresh.configure(fg_color=self.kit.theme.colors.base)
        self.fresh.pack(fill="x")
        self.button = Button(self, self.kit, "Change the password", self._change)
        self.button.pack(anchor="w", pady=(12, 0))
        self.title("Recovery words")
        self.paragraph(_WORDS)

    def render(self) -> None:
        """Show how it is."""
        state = self.presenter.state
        if state.loaded and not self._loaded:
            self._loaded = True
            self.name.put(state.name)
        self.hide.show(on=state.hide_address, enabled=state.loaded and not state.busy)
        self.button.change(enabled=not state.busy)
        if state.changes != self._changes:
            self._changes = state.changes
            self.old.clear()
            self.fresh.clear()
            self.presenter.password.type("")
        self._said.say(state.problem or state.said, "danger" if state.problem else "good")

    def destroy(self) -> None:
        """What was typed goes."""
        self.old.clear()
        super().destroy()

    def _change(self) -> None:
        self.presenter.change_password(self.old.text, self.fresh.first.text, self.fresh.second.text)
