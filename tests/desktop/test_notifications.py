"""What is told outside the window: as the settings say, and nothing of what is before somebody's eyes."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest

from mobium.client import Engine, MessageReceived
from mobium_client.gui.models.notifications import Notifications
from mobium_client.gui.settings import Notify, Settings
from tests.desktop.profiles import PASSWORD, make
from tests.support.seat import Seat

BERT = "ab" * 32
CORA = "cd" * 32


async def _contacts(engine: Engine) -> None:
    await engine.contacts.add(bytes.fromhex(BERT), "Bert")


class Told:
    """A seat whose notifications are kept."""

    def __init__(self, seat: Seat) -> None:
        self.seat = seat
        self.said: list[tuple[str, str]] = []
        self.eyes: str | None = None
        self.now = 0.0
        self.notifications = Notifications(
            seat.unlock(PASSWORD).opened, self._notify, lambda target: target == self.eyes, lambda: self.now
        )

    async def _notify(self, title: str, text: str, _clicked: object) -> None:
        self.said.append((title, text))

    def comes(self, peer: str = BERT, text: str | None = "A secret", **fields: object) -> None:
        """A message comes, and a moment passes."""
        event = MessageReceived("00" * 16, peer, fields.get("channel"), text, datetime.now(UTC),  # type: ignore[arg-type]
                                bool(fields.get("request")))  # fmt: skip
        self.seat.events.tell(event)
        self.seat.do(self._nothing())  # what was submitted before it has been done
        self.seat.do(self._nothing())

    async def _nothing(self) -> None:
        for _ in range(5):
            await self.seat.main.opened.engine.name()


@pytest.mark.parametrize(
    ("how", "said"),
    [("quiet", [("mobium", "A new message")]), ("full", [("Bert", "A secret")]), ("off", [])],
)
def test_as_much_is_told_as_was_chosen(folder: Path, how: Notify, said: list[tuple[str, str]]) -> None:
    make(folder, fill=_contacts)
    with Seat(folder, Settings(notifications=how)) as seat:
        told = Told(seat)
        told.comes()
        assert told.said == said


def test_nothing_is_told_of_what_is_before_the_eyes_or_was_just_told_or_after_the_end(folder: Path) -> None:
    make(folder, fill=_contacts)
    with Seat(folder) as seat:
        told = Told(seat)
        told.eyes = BERT
        told.comes()
        assert told.said == []
        told.comes(CORA)
        assert len(told.said) == 1
        told.eyes = None
        told.comes()
        assert len(told.said) == 2
        told.comes()
        assert len(told.said) == 2, "ten messages of one person are no ten notifications"
        told.now += 10
        told.comes()
        assert len(told.said) == 3
        told.now -= 3_600
        told.comes()
        assert len(told.said) == 4, "a clock that was set back keeps nothing from being told"
        told.notifications.close()
        told.now += 10
        told.comes()
        assert len(told.said) == 4


def test_what_strangers_write_and_what_texts_hold_is_made_harmless(folder: Path) -> None:
    make(folder, fill=_contacts)
    with Seat(folder, Settings(notifications="full")) as seat:
        told = Told(seat)
        told.comes(CORA, "Buy this!", request=True)
        assert told.said == [("mobium", "Somebody who is no contact has written")]
        told.comes(BERT, "one\ntwo\x1b[2J\u202e" + "x" * 5_000, channel="#garden")
        title, text = told.said[-1]
        assert title == "Bert in #garden"
        assert "\n" not in text
        assert "\x1b" not in text
        assert "\u202e" not in text
        assert len(text) < 300
