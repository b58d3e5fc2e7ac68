"""Fuzz targets of what people type and paste: addresses, links, recovery words."""

from __future__ import annotations

from contextlib import suppress

from mobium.client import address
from mobium.client.join_links import format_join, parse_join
from mobium.client.links import contact_link, is_nickname, parse_contact
from mobium.crypto.mnemonic import check_words, numbered, words_from_entropy
from mobium.errors import InvalidInput, RecoveryError
from mobium.protocol.host import split_host
from mobium_server.limits import address_key, parse_address, site_key
from tests.fuzz.drawn import Input, text

_LIST = [words_from_entropy((number << 245).to_bytes(32, "big")).split()[0] for number in range(2_048)]


def addresses(data: bytes) -> None:
    """An address that is taken is dialled as it is written, and signed as a host that both sides write so."""
    given = text(data)
    with suppress(InvalidInput):
        found = address.parse(given)
        assert address.parse(found.url) == found
        assert found.host.isascii()
        assert split_host(found.host)[0]
    with suppress(InvalidInput):
        name, port = split_host(given)
        assert name.isascii()
        assert 0 < port < 65_536
    peer = parse_address(given)
    if peer is not None:
        site_key(address_key(peer))


def links(data: bytes) -> None:
    """A link that is taken is written and read again as the same."""
    given = text(data)
    is_nickname(given)
    with suppress(InvalidInput):
        contact = parse_contact(given)
        assert parse_contact(contact_link(contact.public, contact.server)) == contact
    with suppress(InvalidInput):
        join = parse_join(given)
        assert parse_join(format_join(join)) == join


def words(data: bytes) -> None:
    """Words that are taken are 24, and taken again as they are; the others have a sentence.

    Two bytes draw a word of the list, or a text of up to 7 bytes: each that is unknown takes a while.
    """
    drawn = Input(data)
    tokens: list[str] = []
    while drawn and len(tokens) < 30:
        number = drawn.number(2)
        tokens.append(_LIST[number % 2_048] if number < 0xF000 else text(drawn.take(number % 8)))
    given = " ".join(tokens)
    assert all(word for _, word in numbered(given))
    with suppress(RecoveryError):
        found = check_words(given)
        assert len(found.split()) == 24
        assert check_words(found) == found
