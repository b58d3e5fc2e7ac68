"""The main screen: three columns."""

from __future__ import annotations

from typing import Any

import customtkinter as ctk

from mobium_client.gui.models.conversation import Conversation
from mobium_client.gui.models.main import Main
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.view import View
from mobium_client.gui.views.call_bar import CallBar
from mobium_client.gui.views.sidebar import Sidebar
from mobium_client.gui.views.status_bar import StatusBar
from mobium_client.gui.widgets.first_steps_box import FirstStepsBox
from mobium_client.gui.widgets.rule import Rule

__all__ = ["MainView"]

_FILLING: dict[str, Any] = {"fill": "both", "expand": True}
_SIDE = 300
_WIDEST_SIDE = 420  # with large text, too, the conversation needs the larger part
_PANE = 300
_LEAST = 300  # for a conversation beside the pane; with less the pane takes its place


class MainView(View[Main]):
    """The list on the left, the conversation in the middle, the pane on the right."""

    def _build(self) -> None:
        colors = self.kit.theme.colors
        self.columnconfigure(2, weight=1)
        self.rowconfigure(0, weight=1)
        self.side = Sidebar(self, self.kit, self.presenter, color=colors.side)
        self.side.configure(width=min(self.kit.theme.grown(_SIDE), _WIDEST_SIDE))
        self.side.grid(row=0, column=0, sticky="ns")
        self.side.pack_propagate(False)
        Rule(self, self.kit, upright=True).grid(row=0, column=1, sticky="ns")
        self._middle = ctk.CTkFrame(self, corner_radius=0, fg_color=colors.base)
        self._middle.grid(row=0, column=2, sticky="nsew")
        self._bars = ctk.CTkFrame(self._middle, corner_radius=0, fg_color=colors.base, height=0)
        self._bars.pack(fill="x")
        self._bars.columnconfigure(0, weight=1)
        ctk.CTkFrame(self._bars, height=0, fg_color=colors.base).grid(
            row=0
        )  # so that it can become flat again
        self.status_bar = StatusBar(
            self._bars, self.kit, self.presenter.status, self.presenter.show_connection
        )
        self.call_bar = CallBar(self._bars, self.kit, self.presenter.talk)
        self.voice_bar = self.kit.make(self._bars, self.presenter.talk.voice)
        for row, bar in enumerate((self.status_bar, self.call_bar, self.voice_bar), 1):
            bar.grid(row=row, column=0, sticky="ew")
            bar.render()
        self._edge = Rule(self, self.kit, upright=True)
        self._right = ctk.CTkFrame(
            self, width=self.kit.theme.grown(_PANE), corner_radius=0, fg_color=colors.side
        )
        self._right.pack_propagate(False)
        self._empty = FirstStepsBox(self._middle, self.kit, self.presenter, self.presenter.steps)
        self._shown: dict[str, tuple[Presenter[Any] | None, Any]] = {}
        self._narrow = False

    def _connect(self) -> None:
        self.bind("<Configure>", lambda _: self._fit(), add=True)
        self.side.chosen = self._write
        self.follow(self.presenter.talk, self.render)

    def render(self) -> None:
        """Show what is open."""
        state, stage = self.presenter.state, self.presenter.talk.state.stage
        self._put("middle", self._middle, state.conversation)
        self._put("stage", self._middle, stage)
        instead = state.pane is not None and self._narrow
        staged = self._shown.get("stage", (None, None))[1]
        for view, there in ((staged, not instead), (self.conversation, not (stage or instead))):
            if view is not None:
                (view.pack if there else view.pack_forget)(**_FILLING if there else {})
        if state.conversation is None and stage is None:
            self._empty.place(relx=0.5, rely=0.47, anchor="center")
        else:
            self._empty.place_forget()
        self._edge.grid_forget()
        self._right.grid_forget()
        self._right.pack_forget()
        if instead:
            self._right.pack(in_=self._middle, **_FILLING)
            self._right.lift()
        elif state.pane is not None:
            self._edge.grid(row=0, column=3, sticky="ns")
            self._right.grid(row=0, column=4, sticky="ns")
        self._put("right", self._right, state.pane)

    def _fit(self) -> None:
        """Whether the conversation and the pane have room beside each other."""
        pane = self.kit.theme.grown(_PANE)
        room = self.winfo_width() - self.side.winfo_width() - self.kit.theme.raw(pane + _LEAST)
        if (room < 0) is not self._narrow:
            self._narrow = room < 0
            self.presenter.cover(self._narrow)
            self.render()

    def destroy(self) -> None:
        """The screen goes."""
        super().destroy()

    @property
    def conversation(self) -> Any:
        """The view of the conversation that is open, or None."""
        return self._shown.get("middle", (None, None))[1]

    def _write(self) -> None:
        """Begin to write in the conversation that is open."""
        if self.conversation is not None:
            self.conversation.focus_set()

    def _put(self, place: str, parent: Any, presenter: Presenter[Any] | None) -> None:
        """Show the view of a presenter in a column, in place of the one before."""
        before, view = self._shown.get(place, (None, None))
        if presenter is before:
            return
        within = False
        if view is not None:
            within = str(self.focus_get()).startswith(f"{view}.")
            view.destroy()
        made = None if presenter is None else self.kit.make(parent, presenter)
        self._shown[place] = (presenter, made)
        if made is not None:
            made.pack(fill="both", expand=True)
            if isinstance(presenter, Conversation) and not self.side.list.by_key:
                made.focus_set()
        elif within:  # whoever has closed it by the keyboard goes on from here
            self._write()
