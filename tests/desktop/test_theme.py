"""Contrast of every text with what it stands on, names in channels, icons, avatars."""

from __future__ import annotations

from dataclasses import fields

import pytest

from mobium_client.gui import avatars, theme
from mobium_client.gui.icons import Icons
from mobium_client.gui.theme import DARK, LIGHT, PAIRS, Colors, contrast
from mobium_client.gui.writers import WRITERS, writer_color

TEXTS = {
    "text",
    "muted",
    "accent",
    "on_fill",
    "own_text",
    "own_muted",
    "own_link",
    "link",
    "danger",
    "good",
    "warning",
}


def test_contrast_is_what_wcag_says() -> None:
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    assert contrast("#ffffff", "#777777") == pytest.approx(4.48, abs=0.01)


@pytest.mark.parametrize("colors", [DARK, LIGHT], ids=lambda colors: colors.name)
@pytest.mark.parametrize("pair", PAIRS, ids=" on ".join)
def test_every_text_can_be_read(colors: Colors, pair: tuple[str, str]) -> None:
    text, ground = (getattr(colors, name) for name in pair)
    assert contrast(text, ground) >= 4.5, f"{contrast(text, ground):.2f}"


def test_every_text_colour_stands_on_something() -> None:
    assert {text for text, _ in PAIRS} == TEXTS
    grounds = {field.name for field in fields(Colors)} - TEXTS - {"name", "line"}
    assert {ground for _, ground in PAIRS} == grounds


def test_text_sizes_grow_with_the_scale() -> None:
    assert set(theme.SIZES.values()) <= {size for size in range(12, 33) if size % 2 == 0}


def test_an_icon_has_the_colour_that_was_asked_for() -> None:
    drawn = Icons.drawn("lock_outline", 24, "#ff0000")
    assert drawn.size == (24, 24)
    assert drawn.getpixel((12, 14)) is not None
    assert max(drawn.getchannel("A").tobytes()) > 200
    with pytest.raises(AttributeError):
        Icons.drawn("no_such_icon", 24, "#ff0000")


def test_an_impostor_looks_different() -> None:
    keys = [f"{number:064x}" for number in range(200)]
    pictures = {avatars.drawn(key, 40).tobytes() for key in keys}
    assert len(pictures) == len(keys)
    assert avatars.drawn(keys[0], 40).tobytes() == avatars.drawn(keys[0], 40).tobytes()


@pytest.mark.parametrize("colors", [DARK, LIGHT], ids=lambda colors: colors.name)
def test_names_of_writers_can_be_read_on_a_bubble(colors: Colors) -> None:
    for color in WRITERS[colors.name]:
        assert contrast(color, colors.other) >= 4.5, color
        assert contrast(color, colors.base) >= 4.5, color


def test_a_writer_keeps_his_colour_and_all_colours_are_used() -> None:
    assert writer_color("ab" * 32, "dark") == writer_color("ab" * 32, "dark")
    assert {writer_color(f"{n:064x}", "dark") for n in range(100)} == set(WRITERS["dark"])
