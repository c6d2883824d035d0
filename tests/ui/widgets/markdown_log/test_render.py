"""What a text looks like in cells."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.ui.widgets.markdown_log.constructs import documents
from tui_chat.ui.widgets.markdown_log.blocks import Code
from tui_chat.ui.widgets.markdown_log.clean import clean
from tui_chat.ui.widgets.markdown_log.document import MarkdownDocument
from tui_chat.ui.widgets.markdown_log.highlight import Follower, highlight
from tui_chat.ui.widgets.markdown_log.render import Palette, Renderer

HERE = Path(__file__).parent


def drawn(source: str, width: int = 60) -> list[str]:
    renderer = Renderer(width, Palette())
    return [row.strip.text.rstrip() for block in MarkdownDocument.whole(source).sealed for row in renderer.rows(block)]


def test_every_construct_looks_as_recorded() -> None:
    shown = "\n".join(drawn((HERE / "sample.markdown").read_text("utf-8"))) + "\n"
    assert shown == (HERE / "sample.txt").read_text("utf-8")


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents(), st.integers(2, 50))
def test_no_row_is_wider_than_the_width(source: str, width: int) -> None:
    renderer = Renderer(width, Palette())
    for block in MarkdownDocument.whole(source).sealed:
        for row in renderer.rows(block):
            assert row.strip.cell_length <= width
            assert clean(row.strip.text) == row.strip.text
            assert "\n" not in row.strip.text


@pytest.mark.parametrize("width", [12, 24, 40])
def test_a_table_without_room_wraps_or_stacks_its_cells_and_loses_no_word(width: int) -> None:
    words = [f"word{n}" for n in range(24)]
    rows = [" | ".join(" ".join(words[at : at + 3]) for at in range(start, start + 12, 3)) for start in (0, 12)]
    shown = " ".join(drawn("a | b | c | d\n--|--|--|--\n" + "\n".join(rows), width)).split()
    assert sorted(word for word in shown if word.startswith("word")) == sorted(words)


def test_columns_of_figures_stand_right() -> None:
    assert drawn("| a | n |\n|---|---|\n| x | 5 |\n| y | 1,200 |") == [
        "a       n",
        "─────────",
        "x       5",
        "y   1,200",
    ]


def test_controls_bidi_marks_tags_and_surrogates_become_visible() -> None:
    foul = "\x00\x07\x1b\x7f\x85\x9b\u061c\u200e\u200f\u2028\u2029\u202a\u202e\u2066\u2069\U000e0041\ud800\r"
    assert clean(foul) == "␀␇␛␡" + "\ufffd" * 13 + "␍"
    assert clean("a\tb\nc 日本語 👩‍👩‍👧 é") == "a   b\nc 日本語 👩‍👩‍👧 é"
    source = "\n\n".join(
        foul.join(part) for part in (("# a", "b"), ("`a", "b`"), ("[a](http://", "x)"), ("```a", "\nb\n```"))
    )
    assert all(clean(line) == line for line in drawn(source))


HOSTILE = {
    "quotes": ">" * 10_000,
    "spaced quotes": "> " * 10_000,
    "brackets": "[" * 10_000,
    "images": "![" * 10_000,
    "stars": "*a " * 20_000,
    "underscores": "_a" * 20_000,
    "no newline": "a" * 1_000_000,
    "lists on a line": "- " * 5_000,
    "deep lists": "".join(" " * (2 * n) + "- x\n" for n in range(300)),
    "footnotes": "[^1]: " * 5_000,
    "columns": "|" * 20_000 + "\n" + "|-" * 20_000,
    "blank lines": "\n" * 100_000,
    "minified": "```json\n" + '{"a": 1},' * 50_000,
    "open comment": "<!--\n" + "x\n" * 20_000,
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_hostile_text_neither_crashes_nor_hangs(kind: str) -> None:
    source = HOSTILE[kind]
    start = time.process_time()
    document = MarkdownDocument()
    for at in range(0, len(source), len(source) // 20 + 1):
        document.feed(source[at : at + len(source) // 20 + 1])
    document.finalise()
    renderer = Renderer(80, Palette())
    assert sum(len(renderer.rows(block)) for block in document.sealed) >= 0
    assert time.process_time() - start < 5


def test_code_that_grows_is_highlighted_as_the_whole_is() -> None:
    source = 'def f(x):\n    """Text\n    over lines."""\n    return [x, "s"]  # done\n' * 30
    follower = Follower()
    for end in range(0, len(source), 7):
        follower.lines(Code(source[:end], "python", growing=True))
    lines = follower.lines(Code(source, "python"))
    assert [tuple(line) for line in lines] == list(highlight(source.removesuffix("\n"), "python"))
