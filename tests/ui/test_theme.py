"""The palettes can be read: WCAG contrast on every surface."""

from dataclasses import fields

import pytest

from tui_chat.ui.theme import ASCII, DARK, LIGHT, UNICODE

SURFACES = ("bg", "side", "rise", "sel")
TEXT = ("fg2", "acc", "run", "stop", "fail", "best", "kw", "lit")


def luminance(colour: str) -> float:
    def linear(part: int) -> float:
        value = part / 255
        return value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4

    red, green, blue = (linear(int(colour[i : i + 2], 16)) for i in (1, 3, 5))
    return 0.2126 * red + 0.7152 * green + 0.0722 * blue


def contrast(one: str, other: str) -> float:
    lighter, darker = sorted((luminance(one), luminance(other)), reverse=True)
    return (lighter + 0.05) / (darker + 0.05)


@pytest.mark.parametrize("palette", [DARK, LIGHT], ids=["dark", "light"])
def test_body_text_has_at_least_seven_to_one_and_every_text_role_four_and_a_half_on_all_surfaces(palette):
    for surface in SURFACES:
        assert contrast(palette["fg"], palette[surface]) >= 7
        for role in TEXT:
            assert contrast(palette[role], palette[surface]) >= 4.5, (role, surface)


def test_each_glyph_has_an_ascii_stand_in():
    for name in (each.name for each in fields(UNICODE)):
        assert getattr(ASCII, name).isascii()
