"""A24 in the desktop: what others write cannot reorder what stands around it, look like lines of the program,
open another address than it shows, or hold the window up by its length (A30). Each with the defence switched
off, too.
"""

from __future__ import annotations

from datetime import UTC, datetime
from html import unescape
from types import SimpleNamespace

import pytest

from mobium.client import Message
from mobium_client.gui import notifier
from mobium_client.gui.models import lines, links, words
from mobium_client.gui.models.channel_words import Told
from mobium_client.gui.models.lines import Bubble, lines_of

pytestmark = pytest.mark.once

NOW = datetime(2026, 1, 2, 12, tzinfo=UTC)
PRETENDING = (
    "https://bank.example@evil.example/",
    "https://b\u0430nk.example/login",  # a Cyrillic letter
    "https://bank.example\u2044evil.example/",  # a slash that is none
)
HOSTILE = ("pay \u202egpj.exe", "a\x1b[2Jb", "a\u2066b", "a\u200bb", "a\x00b")


def message(text: str) -> Message:
    return Message(1, "00", "ab" * 32, False, "text", text, NOW, NOW, "received")


def shown(text: str) -> Bubble:
    found = [line for line in lines_of(Told([message(text)]), NOW) if isinstance(line, Bubble)]
    return found[0]


@pytest.mark.parametrize("text", HOSTILE)
def test_what_reorders_or_hides_is_shown_as_what_it_is(text: str) -> None:
    for said in (shown(text).text, words.preview(message(text))):
        assert all(character.isprintable() for character in said)
        assert "\u202e" not in said
        assert "‹U+" in said or "␛" in said or "␀" in said


def test_without_the_defence_an_override_would_reach_the_window(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "harmless", lambda text: text)
    assert "\u202e" in shown(HOSTILE[0]).text


def test_a_preview_is_one_line_whatever_was_written() -> None:
    assert "\n" not in words.preview(message("see you\n\nYou: I have paid"))
    assert (
        words.preview(message("You: I have paid")) == "You: I have paid"
    )  # as it is: the picture says whose


@pytest.mark.parametrize("text", PRETENDING)
def test_an_address_that_pretends_opens_nothing(text: str) -> None:
    assert shown(f"look: {text}").links == ()


JOIN = f"mobium://join/{'ab' * 32}"
PRETENDING_TO_INVITE = (
    f"{JOIN}?server=wss://b%D0%B0nk.example",  # a Cyrillic letter, which is not seen
    f"{JOIN}?server=wss://bank.example&server=wss://evil.example",
    f"mobium://evil@join/{'ab' * 32}",
    f"{JOIN}?server=wss://bank.example\u202egro",
)


@pytest.mark.parametrize("text", PRETENDING_TO_INVITE)
def test_an_invite_link_that_pretends_opens_nothing(text: str) -> None:
    assert shown(f"come in: {text}").links == ()


@pytest.mark.parametrize("text", PRETENDING_TO_INVITE[:2])
def test_without_the_defence_it_would_open_the_dialog(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_invites", lambda _: True)
    assert shown(f"come in: {text}").links


@pytest.mark.parametrize("text", PRETENDING)
def test_without_the_defence_it_would_be_opened(text: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(links, "_plain", lambda _: True)
    assert shown(f"look: {text}").links


def test_what_is_opened_is_what_is_shown() -> None:
    said = shown("first https://a.example/x, then (https://b.example/y_(z)).")
    assert [said.text[begin:end] for begin, end, _ in said.links] == [url for _, _, url in said.links]


def test_of_an_endless_message_a_beginning_is_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    endless = "word " * 200_000
    assert len(shown(endless).text) < 9_000
    assert "1,000,000 characters" in shown(endless).text
    assert len(words.preview(message(endless))) < 200
    monkeypatch.setattr(lines, "_GLANCE", 1 << 30)
    assert len(shown(endless).text) == len(endless)


MARKUP = '<a href="http://evil.example">your bank</a> &#x202e; <img src="http://evil.example/seen.png"/>'


class _Shown:
    """A desktop of the machine that reads notifications as markup."""

    def __init__(self) -> None:
        self.texts: list[str] = []
        self._backend = SimpleNamespace(interface=self)

    async def get_capabilities(self) -> frozenset[str]:
        return frozenset()

    async def call_get_capabilities(self) -> list[str]:
        return ["body", "body-markup"]

    async def send(self, title: str, message: str, on_clicked: object) -> None:
        self.texts.append(message)


async def _notified(monkeypatch: pytest.MonkeyPatch) -> str:
    shown = _Shown()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", "unix:path=/nowhere")
    monkeypatch.setattr(notifier.SystemNotifier, "_make", lambda _: shown)
    await notifier.SystemNotifier()("Mallory", MARKUP)
    return shown.texts[0]


async def test_markup_in_a_message_is_none_in_a_notification(monkeypatch: pytest.MonkeyPatch) -> None:
    said = await _notified(monkeypatch)
    assert "<" not in said
    assert unescape(said) == MARKUP, "what was written is what is read"


async def test_without_the_defence_a_notification_would_have_links_and_pictures(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(notifier, "escape", lambda text, **_: text)
    assert "<img src=" in await _notified(monkeypatch)
