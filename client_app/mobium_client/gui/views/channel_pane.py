"""The right pane of a channel."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.channel_pane import ChannelPane, Edit, MemberRow
from mobium_client.gui.models.channel_words import ROLES, TRUST
from mobium_client.gui.view import View
from mobium_client.gui.widgets.button import Button
from mobium_client.gui.widgets.field import Field
from mobium_client.gui.widgets.item_list import Item, ItemList, Tone
from mobium_client.gui.widgets.sentence import Sentence

__all__ = ["ChannelPaneView"]

_WIDE = 260
_CLOSE = 48  # what the button beside the title takes
_MARKS: dict[str, tuple[str, Tone]] = {
    "verified": ("shield_check_outline", "good"),
    "unverified": ("shield_outline", "muted"),
    "changed": ("shield_alert_outline", "danger"),
}


class ChannelPaneView(View[ChannelPane]):
    """Draws what a channel is, its members, and what can be done."""

    def _build(self) -> None:
        colors = self.kit.theme.colors
        self._edit: Edit = ""
        self._asks = False
        self.configure(fg_color=colors.side)
        self._build_head()
        self._build_feet()
        self._members_head = self._label("small", colors.muted)
        self._members_head.pack(fill="x", padx=20, pady=(8, 4))
        self._card = self._build_member()
        self.list = ItemList(self, self.kit, self.presenter.choose, colors.side)
        self.list.pack(fill="both", expand=True, padx=4)
        for widget in (self._card, self._feet):
            widget.lift()  # Tab goes by this order

    def _build_head(self) -> None:
        colors, presenter = self.kit.theme.colors, self.presenter
        top = ctk.CTkFrame(self, fg_color="transparent")
        top.pack(fill="x", padx=(20, 12), pady=(12, 0))
        self.close = Button(top, self.kit, "", presenter.fold, look="plain", icon="close", tone=colors.muted)
        self.close.pack(side="right", anchor="n")
        self._title = ctk.CTkLabel(
            top, text="", font=self.kit.theme.font("title"), text_color=colors.text, justify="left",
            anchor="w", wraplength=self.kit.theme.grown(_WIDE) - _CLOSE,
        )  # fmt: skip
        self._title.pack(side="left", fill="x", expand=True, pady=(4, 0))
        self._access = self._label("small", colors.text)
        self._access.configure(compound="left")
        self._access.pack(fill="x", padx=20, pady=(4, 0))
        self._meaning = self._label("small", colors.muted)
        self._meaning.pack(fill="x", padx=20)
        self._topic = self._label("body", colors.text)
        self._topic.pack(fill="x", padx=20, pady=(8, 0))
        self._standing = Sentence(self, self.kit, self.kit.theme.grown(_WIDE))
        self._standing.pack(fill="x", padx=20, pady=(4, 0))
        self.field = Field(self, self.kit, done=self._edited, width=_WIDE)
        self._lead = ctk.CTkFrame(self, fg_color="transparent")
        self._lead.pack(fill="x", padx=16, pady=(8, 0))
        self.invite = Button(self._lead, self.kit, "Invite", presenter.invites, icon="account_plus_outline")
        self.rename = Button(
            self._lead, self.kit, "Name", lambda: presenter.edit("name"), look="plain", icon="pencil_outline"
        )
        self.retopic = Button(
            self._lead, self.kit, "Topic", lambda: presenter.edit("topic"), look="plain", icon="text"
        )

    def _build_feet(self) -> None:
        feet = self._feet = ctk.CTkFrame(self, fg_color="transparent")
        feet.pack(side="bottom", fill="x", padx=16, pady=(4, 12))
        self._said = Sentence(feet, self.kit, self.kit.theme.grown(_WIDE))
        self._said.pack(fill="x", padx=4, pady=(0, 4))
        self._asking = ctk.CTkFrame(feet, fg_color="transparent")
        self._question = ctk.CTkLabel(
            self._asking, text="", font=self.kit.theme.font("body"), text_color=self.kit.theme.colors.text,
            justify="left", anchor="w", wraplength=self.kit.theme.grown(_WIDE),
        )  # fmt: skip
        self._question.pack(fill="x", padx=4, pady=(0, 8))
        self.no = Button(self._asking, self.kit, "Cancel", self.presenter.take_back)
        self.no.pack(side="right")
        self.yes = Button(self._asking, self.kit, "", self.presenter.confirm, look="danger")
        self.yes.pack(side="right", padx=8)
        self.leave = Button(feet, self.kit, "", self._leave, look="danger", icon="exit_to_app")

    def _build_member(self) -> Any:
        presenter, theme = self.presenter, self.kit.theme
        card = ctk.CTkFrame(self, corner_radius=8, fg_color=theme.colors.raised)
        self._who = ctk.CTkLabel(
            card, text="", font=theme.font("strong"), text_color=theme.colors.text, anchor="w",
            justify="left", wraplength=self.kit.theme.grown(_WIDE - 24),
        )  # fmt: skip
        self._who.pack(fill="x", padx=12, pady=(10, 0))
        self._key = ctk.CTkLabel(
            card, text="", font=theme.font("small"), text_color=theme.colors.muted, anchor="w",
            justify="left", wraplength=self.kit.theme.grown(_WIDE - 24),
        )  # fmt: skip
        self._key.pack(fill="x", padx=12, pady=(0, 6))
        self._acts = ctk.CTkFrame(card, fg_color="transparent")
        self._acts.pack(fill="x", padx=8, pady=(0, 8))
        kit = self.kit
        self.acts = {
            "write": Button(self._acts, kit, "Write", presenter.write, icon="message_outline"),
            "admin": Button(self._acts, kit, "Make admin", lambda: presenter.set_role("admin")),
            "member": Button(self._acts, kit, "Make member", lambda: presenter.set_role("member")),
            "owner": Button(self._acts, kit, "Make owner", lambda: presenter.set_role("owner")),
            "remove": Button(self._acts, kit, "Remove", presenter.remove, look="danger"),
            "ban": Button(self._acts, kit, "Ban", presenter.ban, look="danger"),
            "unban": Button(self._acts, kit, "Lift the ban", presenter.unban),
        }
        for column in (0, 1):
            self._acts.columnconfigure(column, weight=1, uniform="acts")
        return card

    def _label(self, role: Any, color: str) -> Any:
        return ctk.CTkLabel(
            self, text="", font=self.kit.theme.font(role), text_color=color, justify="left", anchor="w",
            wraplength=self.kit.theme.grown(_WIDE),
        )  # fmt: skip

    # ------------------------------------------------------------ drawing

    def render(self) -> None:
        """Show the channel."""
        state, colors = self.presenter.state, self.kit.theme.colors
        self._title.configure(text=_short(state.label))
        icon = "lock_outline" if state.private else "lock_open_variant_outline"
        word = " Private channel" if state.private else " Open channel"
        tone = colors.text if state.private else colors.warning
        self._access.configure(text=word, text_color=tone, image=self.kit.icons.image(icon, 14, tone))
        self._meaning.configure(text=state.access)
        self._topic.configure(text=state.topic or ("No topic" if state.loaded else ""))
        self._topic.configure(text_color=colors.text if state.topic else colors.muted)
        self._standing.say(state.standing)
        self._render_lead()
        self._render_members()
        self._render_feet()

    def _render_lead(self) -> None:
        state = self.presenter.state
        for button in (self.invite, self.rename, self.retopic):
            button.pack_forget()
        invites = state.state == "member" and (state.leads or not state.private)
        if invites:
            self.invite.pack(side="left")
        if state.leads:
            self.rename.pack(side="left", padx=(4, 0))
            self.retopic.pack(side="left")
        if invites:
            self._lead.pack(fill="x", padx=16, pady=(8, 0), before=self._members_head)
        else:
            self._lead.pack_forget()
        if state.edit != self._edit:
            self._edit = state.edit
            if state.edit:
                self.field.put(state.name if state.edit == "name" else state.topic)
                self.field.pack(fill="x", padx=20, pady=(8, 0), before=self._members_head)
                self.field.focus_set()
            else:
                self.field.pack_forget()

    def _render_members(self) -> None:
        state = self.presenter.state
        items = [self._item(member) for member in state.members]
        items += [Item(key, name, "Banned", "cancel", "danger", key) for key, name in state.banned]
        heading = f"{state.count} · as of {state.as_of}" if state.count and state.as_of else state.count
        self._members_head.configure(text=heading)
        self.list.show(items, state.chosen)
        self._render_member()

    def _item(self, member: MemberRow) -> Item:
        role = ROLES[member.role]
        if member.me:
            return Item(member.key, member.name, role, "account_outline", picture=member.key)
        icon, tone = _MARKS[member.trust]
        words = TRUST[member.trust] if member.role == "member" else f"{role} · {TRUST[member.trust]}"
        return Item(member.key, member.name, words, icon, tone, member.key)

    def _render_member(self) -> None:
        state, member = self.presenter.state, self.presenter.state.member
        for button in self.acts.values():
            button.grid_forget()
        if member is None and not state.outsider:
            self._card.pack_forget()
            return
        self._who.configure(text=_short(state.outsider if member is None else member.name))
        self._key.configure(text=" ".join(state.chosen[at : at + 8] for at in range(0, 64, 8)))
        shown = ["unban"] if member is None else [] if member.me else ["write"]
        if state.leads and member is not None and not member.me:
            if state.role == "owner":
                shown += ["admin" if member.role == "member" else "member", "owner"]
            if member.role != "owner":
                shown += ["remove", "ban"]
        for place, name in enumerate(shown):
            row, column = divmod(place, 2)
            self.acts[name].grid(row=row, column=column, sticky="ew", padx=4, pady=2)
            self.acts[name].change(enabled=not state.busy)
        self._card.pack(fill="x", padx=16, pady=(0, 8), before=self.list)

    def _render_feet(self) -> None:
        state = self.presenter.state
        self._said.say(state.problem or state.said, "danger" if state.problem else "good")
        if state.ask is None:
            self._asking.pack_forget()
            inside = state.state in {"member", "broken"}
            self.leave.change(
                text="Leave the channel" if inside else "Delete from this machine",
                icon="exit_to_app" if inside else "delete_outline",
                enabled=state.loaded and not state.busy,
            )
            self.leave.pack(fill="x")
        else:
            self.leave.pack_forget()
            self._question.configure(text=state.ask.question)
            self.yes.change(text=state.ask.word)
            self._asking.pack(fill="x")
        if (state.ask is not None) is not self._asks:
            self._asks = state.ask is not None
            self.update_idletasks()  # the focus goes to what has its place
            (self.no if self._asks else self.list.canvas).focus_set()

    # ------------------------------------------------------------ doing

    def _leave(self) -> None:
        if self.presenter.state.state in {"member", "broken"}:
            self.presenter.leave()
        else:
            self.presenter.forget()

    def _edited(self, text: str) -> None:
        if self.presenter.state.edit == "name":
            self.presenter.rename(text)
        else:
            self.presenter.set_topic(text)


def _short(text: str) -> str:
    return text if len(text) <= 80 else f"{text[:79]}…"
