"""The right pane of a channel: what it is, who is in it, and what can be done there.

Not its concern: its invite links (`mobium_client.gui.models.invites`), what is written in it.
"""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

from mobium.client import (
    Channel,
    ChannelChanged,
    ContactKeyChanged,
    Engine,
    Member,
    MessageReceived,
)
from mobium.client.channels import RoleName
from mobium.errors import InvalidInput, MobiumError, ServerRefused
from mobium_client.gui.models.ask import Ask
from mobium_client.gui.models.channel_words import access_words, count_words, standing_of
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.invites import Invites
from mobium_client.gui.models.presenter import Presenter
from mobium_client.gui.models.refresh import Refresh
from mobium_client.people import names_of
from mobium_client.plain import one_line

__all__ = ["ChannelPane", "ChannelPaneState", "Edit", "Host", "MemberRow"]

Edit = Literal["", "name", "topic"]

_ORDER: Final = {"owner": 0, "admin": 1, "member": 2}
_HAND_OVER: Final = (
    "You own this channel, so hand it over before you leave: choose a member, and “Make owner”."
)
_NOW: Final = {
    "member": "{} is a member like others now.",
    "admin": "{} is an admin now: admins invite, remove, ban and rename.",
    "owner": "{} owns this channel now, and you are an admin.",
}


@dataclass(frozen=True, slots=True)
class MemberRow:
    """A member, as it is called here; `trust` is "verified", "unverified" or "changed"."""

    key: str
    name: str
    role: str
    trust: str
    me: bool


@dataclass(frozen=True, slots=True)
class ChannelPaneState:
    """`standing` is a sentence that stays for as long as it is so: the list of members does not verify, or
    one is not in any more. `chosen` is the key of the member of whom more is shown; `edit` what is being
    changed.
    """

    label: str
    key: str
    name: str = ""
    topic: str = ""
    private: bool = True
    access: str = ""
    state: str = "member"
    standing: str = ""
    role: str = ""
    count: str = ""
    as_of: str = ""
    members: tuple[MemberRow, ...] = ()
    banned: tuple[tuple[str, str], ...] = ()
    chosen: str = ""
    edit: Edit = ""
    ask: Ask | None = None
    loaded: bool = False
    busy: bool = False
    problem: str = ""
    said: str = ""

    @property
    def leads(self) -> bool:
        """Whether one may change who is in, and the name."""
        return self.state == "member" and self.role in {"owner", "admin"}

    @property
    def member(self) -> MemberRow | None:
        """The chosen member."""
        return next((one for one in self.members if one.key == self.chosen), None)

    @property
    def outsider(self) -> str:
        """What the chosen one is called, if he is banned."""
        return dict(self.banned).get(self.chosen, "")


class Host(Protocol):
    """What the main screen does for a pane."""

    def write_to(self, key: str, name: str) -> None:
        """Open the conversation with a person."""

    def gone(self, channel: str) -> None:
        """A channel was forgotten, so nothing of it can be shown."""

    def fold(self) -> None:
        """Show no pane."""


@dataclass(frozen=True, slots=True)
class _Found:
    channel: Channel
    members: list[Member] = field(default_factory=list)
    banned: tuple[tuple[str, str], ...] = ()


class ChannelPane(Presenter[ChannelPaneState]):
    """One channel, while it stands on the right."""

    def __init__(self, opened: Opened, channel: str, label: str, host: Host) -> None:
        """`channel` is its id."""
        super().__init__(opened.context.bridge, ChannelPaneState(label, channel))
        self._opened = opened
        self._host = host
        self._target = f"#{channel}"
        self._channel: Channel | None = None
        self._meant: Callable[[], object] | None = None
        self._refresh = Refresh(opened.context.later, self._load)
        self._until_closed(self._refresh.cancel)
        events = opened.context.events
        self._until_closed(events.on(ChannelChanged, self._on_change))
        self._until_closed(events.on(ContactKeyChanged, lambda _: self._refresh.soon()))
        self._until_closed(events.on(MessageReceived, self._on_received))
        self._refresh.now()

    # ------------------------------------------------------------ looking

    def refresh(self) -> None:
        """Read it anew: something changed that no event tells."""
        self._refresh.soon()

    def fold(self) -> None:
        """Do not show it any more."""
        self._host.fold()

    def choose(self, key: str) -> None:
        """Show more of a member, or no more of it."""
        self._show(replace(self.state, chosen="" if key == self.state.chosen else key, ask=None, problem=""))

    def edit(self, what: Edit) -> None:
        """Change the name or the topic; "" leaves them."""
        self._show(replace(self.state, edit=what, problem="", said=""))

    def write(self) -> None:
        """Write to the chosen member."""
        member = self.state.member
        if member is not None and not member.me:
            self._host.write_to(member.key, member.name)

    def invites(self) -> None:
        """Show the ways in."""
        if self._channel is not None:
            self._opened.context.overlays.open(Invites(self._opened, self._channel))

    # ------------------------------------------------------------ changing

    def rename(self, name: str) -> None:
        """Give the channel another name."""
        text = name.strip().removeprefix("#")
        self._do(self._opened.engine.rename(self._target, text), "The channel has another name now.")

    def set_topic(self, topic: str) -> None:
        """Give it another topic, or none."""
        said = "The topic was changed." if topic.strip() else "The topic was taken away."
        self._do(self._opened.engine.channels.set_topic(self._target, topic.strip()), said)

    def set_role(self, role: RoleName) -> None:
        """Give the chosen member another role; a new owner is asked about first."""
        member = self.state.member
        if member is None:
            return

        def do() -> None:
            said = _NOW[role].format(member.name)
            self._do(self._opened.engine.set_role(self._target, member.key, role), said)

        if role == "owner":
            question = f"Make {member.name} the owner? You become an admin, and cannot take that back."
            self._ask(question, "Make owner", do)
        else:
            do()

    def remove(self) -> None:
        """Remove the chosen member, once that was confirmed."""
        self._expel(
            "Remove", "is no longer in here, and cannot read what follows.", self._opened.engine.remove
        )

    def ban(self) -> None:
        """Keep the chosen member out for good, once that was confirmed."""
        self._expel("Ban", "is banned, and no link leads in again.", self._opened.engine.channels.ban)

    def unban(self) -> None:
        """Let the chosen one join again."""
        if self.state.outsider:
            said = f"{self.state.outsider} may join again, with a new link."
            self._do(self._opened.engine.channels.unban(self._target, self.state.chosen), said)

    def leave(self) -> None:
        """Leave the channel, once that was confirmed."""
        if self.state.role == "owner" and len(self.state.members) > 1:
            self._show(replace(self.state, problem=_HAND_OVER, ask=None))
            return
        question = "Leave this channel? You read nothing that follows; what was said stays here."
        self._ask(question, "Leave", lambda: self._do(self._leave(), "You have left this channel."))

    def forget(self) -> None:
        """Delete a channel that one is not in, with what was said there, once that was confirmed."""

        def do() -> None:
            self._begin()
            self._run(
                self._opened.engine.channels.forget(self._target),
                lambda _: self._host.gone(self.state.key),
                self._refused,
            )

        self._ask("Delete this channel and everything said there from this machine?", "Delete", do)

    def confirm(self) -> None:
        """Do what was asked about."""
        meant, self._meant = self._meant, None
        self._show(replace(self.state, ask=None))
        if meant is not None:
            meant()

    def take_back(self) -> None:
        """Leave everything as it is."""
        self._meant = None
        self._show(replace(self.state, ask=None))

    # ------------------------------------------------------------ inside

    def _ask(self, question: str, word: str, meant: Callable[[], object]) -> None:
        self._meant = meant
        self._show(replace(self.state, ask=Ask(question, word), problem="", said=""))

    def _expel(self, word: str, done: str, act: Callable[[str, str], Coroutine[Any, Any, None]]) -> None:
        member = self.state.member
        if member is None or member.me:
            return
        links = " Invite links made before become worthless." if self.state.private else ""

        def do() -> None:
            self._do(act(self._target, member.key), f"{member.name} {done}")

        self._ask(f"{word} {member.name}?{links}", word, do)

    async def _leave(self) -> None:
        try:
            await self._opened.engine.leave(self._target)
        except ServerRefused as error:
            if error.code == "forbidden" and self.state.role == "owner":
                raise MobiumError(_HAND_OVER) from error
            raise

    def _do(self, work: Coroutine[Any, Any, object], said: str) -> None:
        if self.state.busy:
            work.close()
            return
        self._begin()

        def done(_: object) -> None:
            self._show(replace(self.state, busy=False, said=said, edit="", chosen=""))
            self._refresh.now()

        self._run(work, done, self._refused)

    def _begin(self) -> None:
        self._show(replace(self.state, busy=True, problem="", said="", ask=None))

    def _refused(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, problem=problem))

    def _on_received(self, event: MessageReceived) -> None:
        """With his first message a member may have told what he calls himself."""
        nameless = event.peer[:16]
        if any(one.key == event.peer and one.name == nameless for one in self.state.members):
            self._refresh.soon()

    def _on_change(self, event: ChannelChanged) -> None:
        if event.channel == self.state.key:
            self._refresh.soon()

    def _load(self, finished: Callable[[], None]) -> None:
        def shown(found: _Found) -> None:
            self._channel = found.channel
            self._show(_state(self.state, found))
            finished()

        def failed(problem: str) -> None:
            self._show(replace(self.state, loaded=True, problem=problem))
            finished()

        self._run(_read(self._opened.engine, self._target), shown, failed)


async def _read(engine: Engine, target: str) -> _Found:
    channel = await engine.channels.get(target)
    try:
        members = await engine.members(target)
    except InvalidInput:  # of a channel that was left nobody knows who is in
        return _Found(channel)
    banned = []
    if channel.role in {"owner", "admin"}:
        names = await engine.channels.names(target)
        banned = [
            (key, f"~{one_line(names[key])}" if key in names else key[:16])
            for key in await engine.channels.banned(target)
        ]
    return _Found(channel, members, tuple(banned))


def _state(before: ChannelPaneState, found: _Found) -> ChannelPaneState:
    channel = found.channel
    names = names_of(found.members)
    rows = [
        MemberRow(one.key, "You" if one.me else one_line(names[one.key]), one.role, one.trust, one.me)
        for one in found.members
    ]
    rows.sort(key=lambda row: (not row.me, _ORDER[row.role], row.name.lstrip("~").casefold()))
    standing, _ = standing_of(channel)
    return replace(
        before,
        label=one_line(channel.label),
        name=one_line(channel.name),
        topic=one_line(channel.topic),
        private=channel.private,
        access=access_words(private=channel.private),
        state=channel.state,
        standing=standing,
        role=channel.role or "",
        count=count_words(channel.members, "member") if found.members else "",
        as_of="" if channel.as_of is None else channel.as_of.astimezone().strftime("%Y-%m-%d %H:%M"),
        members=tuple(rows),
        banned=found.banned,
        chosen=before.chosen if before.chosen in {*names, *dict(found.banned)} else "",
        loaded=True,
    )
