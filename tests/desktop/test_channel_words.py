"""What stands in the desktop about a channel that does not verify or that one is not in, and names that try
to mislead.
"""

from __future__ import annotations

from typing import Any

import pytest

from mobium.client import Channel, Member
from mobium_client.gui.models.channel_pane import ChannelPaneState, _Found, _state
from mobium_client.gui.models.channel_words import standing_of

EVIL = "ok\x1b[2J\u202eevil\u2066\n12:00 anna"


def channel(**fields: Any) -> Channel:
    """A channel of which one is a member."""
    known: dict[str, Any] = {
        "id": "ab" * 32, "label": "#garden", "name": "garden", "topic": "", "private": True,
        "state": "member", "reason": "", "role": "member", "members": 2, "unread": 0, "host": "localhost",
    }  # fmt: skip
    return Channel(**(known | fields))


def test_a_channel_that_verifies_says_nothing() -> None:
    assert standing_of(channel()) == ("", True)


@pytest.mark.parametrize("state", ["broken", "left", "removed", "banned", "joining"])
def test_whatever_is_wrong_is_said_and_nothing_can_be_written(state: str) -> None:
    sentence, writable = standing_of(channel(state=state))
    assert sentence
    assert not writable
    assert standing_of(channel(state=state, reason="So it is."))[0] == "So it is."


def test_a_dispute_stands_in_a_channel_that_one_is_in_and_what_is_written_waits() -> None:
    said = "~Bert has another list of members."
    assert standing_of(channel(reason=said)) == (said, True)


def test_names_and_sentences_from_outside_are_harmless() -> None:
    members = [
        Member("01" * 32, None, EVIL, "member", "unverified", False),
        Member("02" * 32, None, "Bert", "member", "unverified", False),
        Member("03" * 32, None, "bert", "member", "unverified", False),
        Member("04" * 32, "Bert", "Cora", "owner", "verified", False),
        Member("05" * 32, None, "You", "member", "unverified", True),
    ]
    found = _Found(channel(label=f"#{EVIL}", topic=EVIL, reason=EVIL), members)
    state = _state(ChannelPaneState("#x", "ab" * 32), found)
    names = [row.name for row in state.members]
    for text in (state.label, state.topic, state.standing, *names):
        assert text.isprintable(), text
    assert names[:2] == ["You", "Bert"], "oneself, then the owner, who has one's own nickname"
    assert len(set(names)) == len(names), "no two are called the same"
    assert all(name.startswith("~") for name in names[2:])
