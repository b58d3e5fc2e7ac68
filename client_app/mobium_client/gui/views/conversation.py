"""A conversation: who it is with, what was said, and where one writes."""

from __future__ import annotations

from typing import Final

import customtkinter as ctk

from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.view import View
from mobium_client.gui.widgets.banner import Banner, Choice
from mobium_client.gui.widgets.composer_box import ComposerBox
from mobium_client.gui.widgets.message_text import MessageText
from mobium_client.gui.widgets.rule import Rule
from mobium_client.gui.widgets.sentence import Sentence, Tone

__all__ = ["ConversationView"]

_NAME = 90  # pixels that a title has before there is a word beside the icon of a verified contact
_APART = 24  # pixels between what stands in the head, at most
_REQUEST = "You do not know this person yet. Until you accept, they do not learn that you have read this."
_BLOCKED = "You have blocked this contact: nothing is sent, and nothing is taken."
_CHANGED = (
    "The key of this contact has changed: a new device, or somebody in between. "
    "Nothing is sent until you accept it."
)
_DECISIONS: Final[dict[str, tuple[str, Tone]]] = {
    "request": (_REQUEST, "muted"),
    "blocked": (_BLOCKED, "warning"),
    "changed": (_CHANGED, "danger"),
}


class ConversationView(View[Conversation]):
    """Draws one conversation."""

    def _build(self) -> None:
        theme = self.kit.theme
        colors = theme.colors
        state = self.presenter.state
        self._writable = True
        self.head = ctk.CTkFrame(self, corner_radius=0, fg_color=colors.base)
        self.head.pack(fill="x", padx=24, pady=12)
        picture = self.kit.avatars.image(state.key, theme.grown(36), square=state.kind == "channel")
        ctk.CTkLabel(self.head, text="", image=picture).pack(side="left", padx=(0, 12))
        self._title = ctk.CTkLabel(
            self.head, text="", font=theme.font("title"), text_color=colors.text, anchor="w"
        )
        if self.presenter.actions is not None:
            self.actions = self.kit.make(self.head, self.presenter.actions)
            self.actions.pack(side="right", padx=(12, 0))
        self._title.pack(side="left")
        icon = self.kit.icons.image("shield_check_outline", 16, colors.good)
        self._verified = ctk.CTkLabel(self.head, text="", image=icon)
        self._word = ctk.CTkLabel(
            self.head, text="Verified", font=theme.font("small"), text_color=colors.good
        )
        Rule(self, self.kit).pack(fill="x")
        self.composer = ComposerBox(self, self.kit, self.presenter.composer)
        self.composer.pack(side="bottom", fill="x")
        self._problem = Sentence(self, self.kit)
        self._problem.pack(side="bottom", fill="x", padx=28)
        self._standing = Sentence(self, self.kit, 640, fills=True)
        self._standing.pack(side="bottom", fill="x", padx=28, pady=(4, 12))
        self.banner = Banner(self, self.kit)
        self.lines = MessageText(self, self.kit, self.presenter.older, self._acted)
        self.lines.pack(fill="both", expand=True)

    def _connect(self) -> None:
        self.lines.text.bind("<Key>", self._typed, add=True)
        self.head.bind("<Configure>", lambda _event: self._fit(), add=True)

    def _fit(self) -> None:
        """As much of the title as there is room for beside the rest."""
        if self.presenter.state.verified:
            self._word.pack(side="left", padx=(4, 0), after=self._verified)
            if self._room() < self.kit.theme.raw(self.kit.theme.grown(_NAME)):
                self._word.pack_forget()
        room = self._room()
        if room > 0:
            title = self.kit.theme.ruler("title").short(self.presenter.state.title, room)
            self._title.configure(text=self.kit.theme.order.seen(title))

    def _room(self) -> int:
        """How many pixels the title has."""
        others = [child for child in self.head.winfo_children() if child is not self._title]
        taken = sum(child.winfo_reqwidth() + _APART for child in others if child.winfo_manager())
        return int(self.head.winfo_width() - taken - _APART)

    def render(self) -> None:
        """Show what was said."""
        state = self.presenter.state
        if state.verified:
            self._verified.pack(side="left", padx=(12, 0))
        else:
            self._verified.pack_forget()
            self._word.pack_forget()
        self._fit()
        self._problem.say(state.problem)
        self._standing.say(state.standing, "warning" if state.writable else "danger")
        if state.writable != self._writable:
            self._writable = state.writable
            if state.writable:
                self.composer.pack(side="bottom", fill="x", before=self._problem)
            else:
                self.composer.pack_forget()
        self._render_decision()
        self.lines.show(state.lines)
        if state.focus is not None and self.lines.reveal(state.focus):
            self.presenter.revealed()

    def _render_decision(self) -> None:
        presenter, decision = self.presenter, self.presenter.state.decision
        choices: dict[str, tuple[Choice, ...]] = {
            "request": (
                ("Decline", "danger", presenter.decline),
                ("Block", "danger", presenter.block),
                ("Accept", "primary", presenter.accept),
            ),
            "blocked": (("Unblock", "quiet", presenter.unblock),),
            "changed": (("Look at the key", "primary", presenter.look),),
        }
        if not decision:
            if str(self.tk.call("focus")).startswith(f"{self.banner}."):
                self.focus_set()
            self.banner.pack_forget()
            return
        text, tone = _DECISIONS[decision]
        self.banner.ask(text, tone, choices[decision])
        self.banner.pack(side="bottom", fill="x", padx=20, pady=(0, 12), before=self.lines)

    def destroy(self) -> None:
        """The conversation goes."""
        super().destroy()

    def focus_set(self) -> None:
        """Begin to write."""
        self.composer.focus_set()

    def _acted(self, action: str, value: str) -> None:
        if action == "retry":
            self.presenter.retry(value)
        elif action == "join":
            self.presenter.join(value)

    def _typed(self, event: object) -> None:
        """Whoever types over the messages means the composer."""
        character = getattr(event, "char", "")
        if character and character.isprintable() and not getattr(event, "state", 0) & 0x4:
            self.composer.focus_set()
            self.composer.text.insert("insert", character)
