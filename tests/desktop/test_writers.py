"""The colours of names in channels can be read in both looks, and the pictures of keys tell them apart."""

from __future__ import annotations

import pytest

from mobium_client.gui.avatars import drawn
from mobium_client.gui.theme import DARK, LIGHT, Colors, contrast
from mobium_client.gui.writers import WRITERS, writer_color


@pytest.mark.parametrize("colors", [DARK, LIGHT], ids=["dark", "light"])
def test_names_can_be_read_on_a_bubble(colors: Colors) -> None:
    for color in WRITERS[colors.name]:
        assert contrast(color, colors.other) >= 4.5, color
        assert contrast(color, colors.base) >= 4.5, color


def test_a_key_keeps_its_colour_and_an_impostor_looks_different() -> None:
    one, other = "ab" * 32, "ab" * 31 + "ac"
    assert writer_color(one, "dark") == writer_color(one, "dark")
    assert len({writer_color(f"{n:064x}", "dark") for n in range(100)}) == len(WRITERS["dark"])
    assert drawn(one, 32).tobytes() != drawn(other, 32).tobytes()
