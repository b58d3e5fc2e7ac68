"""What a person does in the desktop, from the first start to a message, by keys and clicks.

Not its concern: in which process that is (tests/support/remote_desktop.py).
"""

from __future__ import annotations

from typing import Any

from tests.support.desktop import Pilot
from tests.support.hands import Hands

__all__ = ["confirm_words", "first_run", "known", "me", "reach", "read", "recover", "unlock", "write"]


def first_run(pilot: Pilot, name: str, password: str) -> None:
    """Name a profile, choose a password: up to the words."""
    hands = Hands(pilot)
    pilot.until(lambda: pilot.shows("FirstRunView"), "the first run")
    hands.fill(pilot.screen.name, name)
    hands.keys("Return")
    _choose_password(pilot, hands, password)
    pilot.until(lambda: pilot.shows("ConfirmWordsView"), "the words")


def recover(pilot: Pilot, name: str, words: str, password: str) -> None:
    """Bring an identity back: up to the server."""
    hands = Hands(pilot)
    pilot.until(lambda: pilot.shows("FirstRunView"), "the first run")
    hands.fill(pilot.screen.name, name)
    hands.click(pilot.screen.buttons[1])
    pilot.until(lambda: pilot.screen.presenter.state.step == "words", "the field for the words")
    pilot.app.clipboard_clear()
    pilot.app.clipboard_append(words)
    hands.click(pilot.screen.words.box)
    hands.keys("ctrl+v")
    pilot.until(lambda: pilot.screen.presenter.words.state.ready, "the judgement of the words")
    hands.click(pilot.screen.buttons[0])
    _choose_password(pilot, hands, password)
    pilot.until(lambda: pilot.shows("ChooseServerView"), "the server")


def _choose_password(pilot: Pilot, hands: Hands, password: str) -> None:
    pilot.until(lambda: pilot.screen.presenter.state.step == "password", "the password")
    hands.fill(pilot.screen.password.first, password)
    hands.fill(pilot.screen.password.second, password)
    hands.keys("Return")


def confirm_words(pilot: Pilot) -> str:
    """Go on from the words, answer the three; the words are returned."""
    hands = Hands(pilot)
    pilot.until(lambda: pilot.shows("ConfirmWordsView"), "the words")
    presenter = pilot.screen.presenter
    words: tuple[str, ...] = presenter.state.words
    hands.click(pilot.screen.button)
    pilot.until(lambda: presenter.state.step == "ask", "the question")
    for field, place in zip(pilot.screen.fields, presenter.state.places, strict=True):
        hands.fill(field, words[place])
    hands.keys("Return")
    pilot.until(lambda: not pilot.shows("ConfirmWordsView"), "what follows on the words")
    return " ".join(words)


def reach(pilot: Pilot, address: str) -> None:
    """Name the server, see its key, go on to the main screen."""
    hands = Hands(pilot)
    pilot.until(lambda: pilot.shows("ChooseServerView"), "the server")
    hands.fill(pilot.screen.address, address)
    hands.keys("Return")
    pilot.until(lambda: pilot.screen.presenter.state.step == "shown", "the server's key")
    assert len(pilot.screen.presenter.state.key) == 8
    hands.click(pilot.screen.button)
    pilot.until(lambda: pilot.shows("MainView"), "the main screen")
    pilot.until(lambda: pilot.screen.presenter.status.state.words == "Connected", "the connection")


def unlock(pilot: Pilot, password: str) -> None:
    """Type the password."""
    hands = Hands(pilot)
    pilot.until(lambda: pilot.shows("UnlockView"), "the unlock screen")
    pilot.until(lambda: not pilot.screen.presenter.state.locking, "the end of locking")
    hands.fill(pilot.screen.password, password)
    hands.keys("Return")
    pilot.until(lambda: not pilot.shows("UnlockView"), "what follows on the password")


def me(pilot: Pilot) -> str:
    """One's own key."""
    return str(pilot.screen.presenter.opened.engine.me)


def known(pilot: Pilot, key: str, name: str) -> None:
    """Somebody becomes a contact."""
    main = pilot.screen.presenter
    done: list[Any] = []
    pilot.app.bridge.submit(main.opened.engine.contacts.add(key, name), done.append)
    pilot.until(lambda: done, "the contact")
    main.list.refresh()


def write(pilot: Pilot, title: str, text: str) -> None:
    """Open a conversation, type a text and send it."""
    hands = Hands(pilot)
    pilot.open(title)
    box = pilot.screen.conversation.composer.text
    hands.click(box)
    hands.type(text)
    pilot.until(lambda: box.get("1.0", "end-1c") == text, "what was typed")
    hands.keys("Return")


def read(pilot: Pilot, title: str, text: str) -> None:
    """Open a conversation and find a text there."""
    pilot.open(title)
    pilot.until(lambda: text in pilot.text(), f"the text {text!r}")
