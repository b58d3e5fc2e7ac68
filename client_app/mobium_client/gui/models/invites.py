"""The dialog of the ways into a channel: a link to pass on, those in force, and the secret behind them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from mobium.client import Channel, Invite
from mobium_client.gui.models.ask import Ask
from mobium_client.gui.models.channel_words import OPEN, count_words
from mobium_client.gui.models.context import Opened
from mobium_client.gui.models.presenter import Presenter
from mobium_client.people import People
from mobium_client.plain import one_line

__all__ = ["LASTING", "USES", "InviteRow", "Invites", "InvitesState"]

_DAY: Final = 86_400
USES: Final = {"One": 1, "5": 5, "25": 25, "Any": 0}
"""For how many a link can be: the words, and the number that the engine takes."""

_RENEW: Final = Ask(
    "Every link made until now becomes worthless, and cannot be brought back. Whoever is in stays in.",
    "Revoke every link",
)
_CARE: Final = "It holds the channel's secret: send it only where nobody else reads along."
LASTING: Final = {"1 hour": 3_600, "1 day": _DAY, "7 days": 7 * _DAY, "For ever": 0}
"""How long a link can be good: the words, and seconds."""


@dataclass(frozen=True, slots=True)
class InviteRow:
    """An invite in force, in words."""

    id: str
    words: str
    maker: str


@dataclass(frozen=True, slots=True, repr=False)
class InvitesState:
    """`uses` and `lasting` are what is chosen for the next link; `link` is the one that was made, a secret of
    a private channel; `said` what became of the last action; `ask` what is asked before it is done.
    """

    label: str
    private: bool
    uses: str = "One"
    lasting: str = "7 days"
    link: str = ""
    about: str = ""
    rows: tuple[InviteRow, ...] = ()
    loaded: bool = False
    busy: bool = False
    problem: str = ""
    said: str = ""
    ask: Ask | None = None


class Invites(Presenter[InvitesState]):
    """Makes links into one channel, lists and ends them."""

    def __init__(self, opened: Opened, channel: Channel) -> None:
        super().__init__(opened.context.bridge, InvitesState(one_line(channel.label), channel.private))
        self._opened = opened
        self._target = f"#{channel.id}"
        if channel.private:
            self._read()
        else:
            self._run(opened.engine.invite(self._target), self._made_open, self._refused)

    def choose_uses(self, word: str) -> None:
        """For how many the next link is, a word of `USES`."""
        self._show(replace(self.state, uses=word))

    def choose_lasting(self, word: str) -> None:
        """How long the next link is good, a word of `LASTING`."""
        self._show(replace(self.state, lasting=word))

    def make(self) -> None:
        """Make a link."""
        if self.state.busy:
            return
        self._begin()
        uses, lasting = self.state.uses, self.state.lasting
        count, seconds = USES[uses], LASTING[lasting]
        whom = {0: "anybody who has it", 1: "one person"}.get(count, f"{count} people")
        end = "until you revoke it" if seconds == 0 else f"for {lasting}"

        def made(link: str) -> None:
            about = f"It lets {whom} in, {end}. {_CARE}"
            self._show(replace(self.state, link=link, about=about, busy=False))
            self._read()

        self._run(self._opened.engine.invite(self._target, count, seconds), made, self._refused)

    def revoke(self, invite: str) -> None:
        """End an invite."""

        def gone(_: object) -> None:
            said = (
                "That link lets nobody in any more. Whoever has it still knows the channel's secret: "
                "revoke every link to make that worthless too."
            )
            self._show(replace(self.state, busy=False, said=said, link="", about=""))
            self._read()

        self._begin()
        self._run(self._opened.engine.channels.revoke(self._target, invite), gone, self._refused)

    def renew(self) -> None:
        """Draw a new secret, after which every earlier link is worthless, once that was confirmed."""
        if not self.state.busy:
            self._show(replace(self.state, ask=_RENEW, problem="", said=""))

    def take_back(self) -> None:
        """Leave everything as it is."""
        self._show(replace(self.state, ask=None))

    def confirm(self) -> None:
        """Do what was asked."""
        if self.state.ask is None or self.state.busy:
            return

        def renewed(_: object) -> None:
            said = "The channel has a new secret: every link made before is worthless."
            self._show(replace(self.state, busy=False, said=said, link="", about=""))
            self._read()

        self._begin()
        self._run(self._opened.engine.channels.renew(self._target), renewed, self._refused)

    def close_dialog(self) -> None:
        """Take the dialog away."""
        self._opened.context.overlays.dismiss(self)

    def _begin(self) -> None:
        self._show(replace(self.state, busy=True, problem="", said="", ask=None))

    def _made_open(self, link: str) -> None:
        about = f"This link stays the same, for everybody and for ever. {OPEN}"
        self._show(replace(self.state, link=link, about=about, loaded=True))

    def _read(self) -> None:
        self._run(self._rows(), self._listed, self._unread)

    async def _rows(self) -> tuple[InviteRow, ...]:
        engine = self._opened.engine
        people = People(engine, self._target)
        found = await engine.channels.invites(self._target)
        return tuple(
            [InviteRow(one.id, _words(one), one_line(await people.name(one.made_by))) for one in found]
        )

    def _listed(self, rows: tuple[InviteRow, ...]) -> None:
        self._show(replace(self.state, rows=rows, loaded=True))

    def _unread(self, problem: str) -> None:
        self._show(replace(self.state, loaded=True, problem=self.state.problem or problem))

    def _refused(self, problem: str) -> None:
        self._show(replace(self.state, busy=False, loaded=True, problem=problem))


def _words(invite: Invite) -> str:
    uses = "any number of people" if invite.uses is None else count_words(invite.uses, "use") + " left"
    return f"{uses}, {'until revoked' if invite.expires is None else 'until ' + _date(invite.expires)}"


def _date(at: datetime) -> str:
    return at.astimezone().strftime("%Y-%m-%d %H:%M")
