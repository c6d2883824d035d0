"""Nothing that a model says reaches the terminal as a control."""

import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.safe_text import one_line, safe

any_text = st.text(st.characters())  # surrogates and controls included
nasty = st.text(
    st.sampled_from("a\x00\x07\x08\t\n\r\x1b\x7f\x9b\xad\u061c\u200b\u200d\u202e\u2066\u2028\ufeff\U000e0041[ ;m")
)


@pytest.mark.parametrize(
    ("raw", "shown"),
    [
        ("\x1b[31mred\x1b[0m", "␛[31mred␛[0m"),
        ("\x9b2J", "\ufffd2J"),  # C1 CSI
        ("\x00\x07\x08\x7f", "␀␇␈␡"),
        ("a\tb\r\nc\rd", "a    b\ncd"),
        ("\u202eevil\u2066", "\ufffdevil\ufffd"),
        ("a\u2028b\u2029c\x85d", "a\ufffdb\ufffdc\ufffdd"),
        ("\ufeff\u200b\u200e\u061c\u2060\ufff9", "\ufffd" * 6),
        ("\U000e0049\U000e007f", "\ufffd\ufffd"),
        ("\ud800x\udfff", "\ufffdx\ufffd"),
    ],
)
def test_controls_become_visible(raw, shown):
    assert safe(raw) == shown


def test_what_people_write_stays():
    text = "naïve — 你好 · שלום · क्षि · می‌خواهم · 👩‍💻 · e\u0301 · soft\xadhyphen\n"
    assert safe(text) == text


def test_no_code_point_of_a_control_class_gets_through():
    through = {safe(chr(code)) for code in range(0x110000)} - {"\n", "    ", ""}
    assert not {unicodedata.category(c) for c in through} & {"Cc", "Cs", "Zl", "Zp"}
    turning = {"LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI"}
    assert not {unicodedata.bidirectional(c) for c in through} & turning


@given(any_text | nasty)
def test_cleaning_twice_changes_nothing(text):
    assert safe(safe(text)) == safe(text)


@given(nasty | any_text, nasty | any_text)
def test_it_does_not_matter_where_a_text_is_split(one, other):
    assert safe(one + other) == safe(one) + safe(other)


@given(nasty | any_text, st.integers(1, 40))
def test_one_line_is_one_line_and_short(text, limit):
    line = one_line(text, limit)
    assert len(line) <= limit
    assert safe(line) == line
    assert len(line.splitlines()) <= 1


def test_one_line_says_when_it_cut():
    assert one_line("  two\n words\x1b ") == "two words␛"
    assert one_line("abcdef", 4) == "abc…"
    assert one_line(" " * 50 + "far", 4) == "…"
