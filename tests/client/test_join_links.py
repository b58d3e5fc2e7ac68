"""Links into channels: what they say, in which ways they can be damaged, and what a joiner is told."""

from __future__ import annotations

import asyncio
import base64

import pytest

from mobium.client.join_links import JoinLink, format_join, parse_join
from mobium.errors import InvalidInput, NotConnected, ProtocolError, ServerRefused
from mobium.protocol.messages import ClientMessage, GetMembers
from tests.support.channel_world import ChannelWorld, everything, refused, row_of, said, shows, state
from tests.support.engines import PATIENCE

pytestmark = pytest.mark.once

CHANNEL, INVITE, SECRET, HEAD = bytes(range(32)), bytes(range(16)), b"s" * 32, b"h" * 32
PRIVATE = JoinLink(CHANNEL, "wss://chat.example/ws", INVITE, SECRET, HEAD)
OPEN = JoinLink(CHANNEL, "wss://chat.example/ws")


@pytest.mark.parametrize(
    "link", [PRIVATE, OPEN, JoinLink(CHANNEL), JoinLink(CHANNEL, "ws://[::1]:9000/ws", INVITE, SECRET, HEAD)]
)
def test_what_was_written_is_read(link: JoinLink) -> None:
    text = format_join(link)
    assert text.startswith("mobium://join/")
    assert text.isascii()
    assert parse_join(text) == link
    assert parse_join(f"  {text}\n") == link


def test_a_link_whose_end_was_cut_off() -> None:
    """A shell takes what follows an unquoted # for a comment."""
    with pytest.raises(InvalidInput, match="end of this link is missing"):
        parse_join(format_join(PRIVATE).partition("#")[0])


def test_case_of_the_scheme_and_of_ids_does_not_matter() -> None:
    text = format_join(PRIVATE)
    head, _, secret = text.partition("#")
    path, _, query = head.partition("?")
    assert parse_join(f"{path.upper()}?{query}#{secret}") == PRIVATE


def test_a_secret_is_in_no_repr() -> None:
    assert "sss" not in repr(PRIVATE)
    assert format_join(PRIVATE).split("#")[1] == base64.urlsafe_b64encode(SECRET + HEAD).decode().rstrip("=")


def damaged() -> list[str]:
    text, open_text = format_join(PRIVATE), format_join(OPEN)
    head, secret = text.split("#")
    return [
        "", "mobium://join/", "mobium://join", "garden", "https://example.org", "\ud800", "mobium://[",
        text[:-1], text[:-2], text + "A", text + "AAAA", f"{head}#{'A' * 85}", f"{head}#{'!' * 86}",
        f"{head}#{secret[:-1]}=", f"{head}#{secret}#{secret}", f"{head}#{secret} {secret}",
        text.replace("join", "contact"), text.replace("mobium", "http"), text.replace("//", "/"),
        text.replace(CHANNEL.hex(), CHANNEL.hex()[:-1]), text.replace(CHANNEL.hex(), CHANNEL.hex() + "0"),
        text.replace(CHANNEL.hex(), "g" * 64), text.replace(f"/{INVITE.hex()}", f"/{INVITE.hex()[:-1]}"),
        text.replace(f"/{INVITE.hex()}", f"/{INVITE.hex()}/{INVITE.hex()}"),
        text.replace("chat.example", ""), text.replace("wss", "ftp"),
        open_text + "&server=other.example", open_text + "&", open_text + "?x", open_text + "x" * 1_100,
        f"mobium://join/{CHANNEL.hex()}?server", f"mobium://join/{CHANNEL.hex()}?server=a%00b",
        f"mobium://join:1/{CHANNEL.hex()}", f"mobium://x@join/{CHANNEL.hex()}",
    ]  # fmt: skip


@pytest.mark.parametrize("text", damaged())
def test_a_damaged_link_is_refused_in_a_sentence_that_does_not_repeat_it(text: str) -> None:
    with pytest.raises(InvalidInput) as caught:
        parse_join(text)
    said = str(caught.value)
    assert said[0].isupper()
    assert said.endswith(".")
    assert format_join(PRIVATE).split("#")[1][:20] not in said
    assert caught.value.__cause__ is None


async def test_a_private_link_that_does_not_fit_is_refused_and_leaves_nothing(town: ChannelWorld) -> None:
    alice, bob, carol = await town.people("alice", "bob", "carol")
    await alice.create_channel("garden")
    link = await alice.invite("#garden", uses=1)
    good = parse_join(link)
    assert good.secret is not None
    assert good.head is not None

    def other(**fields: object) -> str:
        names = ("channel_id", "server", "invite", "secret", "head")
        return format_join(JoinLink(**{name: fields.get(name, getattr(good, name)) for name in names}))  # type: ignore[arg-type]

    await refused(bob, bob.join(other(secret=bytes(32))), ServerRefused, "wrong_secret")
    await refused(bob, bob.join(other(head=bytes(32))), ProtocolError, "another history")
    await refused(bob, bob.join(other(invite=bytes(16))), ServerRefused, "bad_invite")
    await refused(bob, bob.join(other(channel_id=bytes(32))), ServerRefused, "unknown_channel")
    await refused(bob, bob.join(other(server="ws://elsewhere.example/ws")), InvalidInput, "another server")
    without = f"mobium://join/{good.channel_id.hex()}"
    await refused(bob, bob.join(without), ServerRefused, "not_a_member")
    await refused(bob, bob.join(other(invite=None)), ServerRefused, "bad_invite")
    await bob.join(link)
    await refused(carol, carol.join(link), ServerRefused, "invite_used")
    await refused(bob, bob.join(link), InvalidInput, "You are in this channel already")
    await refused(alice, alice.join(link), InvalidInput, "You are in this channel already")


async def test_an_open_channel_has_one_link_without_a_secret(town: ChannelWorld) -> None:
    alice, bob = await town.people("alice", "bob")
    garden = await alice.create_channel("garden", private=False, topic="for all")
    link = await alice.invite("#garden", uses=3, ttl=5)
    assert link == await alice.invite("#garden")
    assert "#" not in link
    private = format_join(JoinLink(bytes.fromhex(garden.id), None, INVITE, SECRET, HEAD))
    await refused(bob, bob.join(private), InvalidInput, "The link is damaged")
    joined = await bob.join(f"mobium://join/{garden.id}")
    assert (joined.name, joined.topic, joined.private) == ("garden", "for all", False)
    await said(bob, "here")
    await shows(alice, ["here"])


async def test_links_end_by_their_time_a_new_secret_and_a_removal(town: ChannelWorld) -> None:
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    dora = await town.engine("dora")
    soon = await alice.invite("#garden", ttl=60)
    revoked = await alice.invite("#garden")
    assert await alice.channels.revoke("#garden", revoked) != []
    await refused(dora, dora.join(revoked), ServerRefused, "bad_invite")
    town.hands.ahead = 61
    await refused(dora, dora.join(soon), ServerRefused, "invite_expired")
    for work in (
        alice.channels.renew("#garden"),
        alice.remove("#garden", bob.me),
        alice.channels.ban("#garden", carol.me),
    ):
        link = await alice.invite("#garden")
        await work
        await refused(dora, dora.join(link), ServerRefused, "wrong_secret")
        assert await alice.channels.invites("#garden") == []
    assert (await dora.join(await alice.invite("#garden"))).name == "garden"


async def test_whoever_was_refused_is_what_he_was_before(town: ChannelWorld) -> None:
    """A channel in which one is banned stays one in which one is banned, whatever link one tries."""
    alice, bob, carol = await town.gather("alice", "bob", "carol")
    link = await alice.invite("#garden", uses=0)
    await alice.channels.ban("#garden", bob.me)
    await alice.remove("#garden", carol.me)
    for one, now in ((bob, "banned"), (carol, "removed")):
        await state(one, now)
        await refused(one, one.join(link), ServerRefused, "wrong_secret")
    fresh = await alice.invite("#garden")
    await refused(bob, bob.join(fresh), ServerRefused, "banned")
    assert (await bob.channels.get("#garden")).state == "banned"
    await carol.join(fresh)
    assert (await carol.channels.get("#garden")).state == "member"


async def test_nobody_joins_without_a_connection(town: ChannelWorld) -> None:
    alice = await town.engine("alice")
    garden = await alice.create_channel("garden")
    link = await alice.invite("#garden")
    bob = await town.engine("bob", connect=False)
    await refused(bob, bob.join(link), NotConnected, "no connection")
    await bob.connect(town.url)
    asked = asyncio.Event()

    def up(message: ClientMessage) -> ClientMessage | None:
        if not isinstance(message, GetMembers):
            return message
        asked.set()
        return None

    town.tap("bob").up = up
    task = asyncio.ensure_future(bob.join(link))
    await asyncio.wait_for(asked.wait(), PATIENCE)
    before = await everything(bob)
    town.tap("bob").cut()
    with pytest.raises(NotConnected, match="broke"):
        await task
    assert await everything(bob) == before
    town.tap("bob").honest()
    assert (await row_of(alice, garden.id)).state == "member"
