"""Rows that are drawn where somebody looks are the rows that would be drawn at once."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rich.style import Style
from textual.strip import Strip

from tests.ui.widgets.markdown_log.constructs import chunked
from tui_chat.ui.widgets.markdown_log import log_rows as log_rows_module
from tui_chat.ui.widgets.markdown_log.document import MarkdownDocument
from tui_chat.ui.widgets.markdown_log.log_rows import LogRows
from tui_chat.ui.widgets.markdown_log.render import Palette, Renderer, Row

ALL = 10**9


def laid_out(rows: LogRows, width: int = 30) -> LogRows:
    rows.lay_out(Renderer(width, Palette()), lambda strip: strip.adjust_cell_length(width))
    return rows


def every(rows: LogRows) -> list[Row | None]:
    rows.ensure(0, ALL)
    return [rows.row(y) for y in range(rows.height)]


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunked(), st.integers(0, 2**16))
def test_looking_here_and_there_while_it_arrives_changes_nothing_in_the_end(
    case: tuple[str, list[str]], seed: int
) -> None:
    text, pieces = case
    chance = random.Random(seed)
    rows = laid_out(LogRows(finished=False))
    for piece in pieces:
        rows.feed(piece)
        rows.refill()
        match chance.randrange(5):
            case 0:
                rows.ensure(chance.randrange(40), chance.randrange(60))
            case 1:
                rows.ensure_above(chance.randrange(rows.height + 1), 10)
            case 2:
                laid_out(rows, chance.choice((12, 30)))
            case 3:
                strips = [rows.strip(y) for y in range(rows.height)]
                assert all(isinstance(strip, Strip) for strip in strips)
    rows.finalise()
    whole = laid_out(LogRows(text))
    assert every(laid_out(rows)) == every(whole)
    assert [rows.strip(y) for y in range(rows.height)] == [whole.strip(y) for y in range(whole.height)]
    assert rows.code_blocks == whole.code_blocks
    assert len(rows.code_marks()) == len(rows.code_blocks)
    assert rows.has_code == bool(rows.code_blocks)


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunked(), st.integers(0, 2**16))
def test_a_place_is_found_again_when_guesses_above_it_are_corrected(case: tuple[str, list[str]], seed: int) -> None:
    rows = laid_out(LogRows(case[0]), 12)
    chance = random.Random(seed)
    for _ in range(5):
        y = chance.randrange(rows.height + 1)
        rows.ensure(y, y + 4)
        mark = rows.mark(y)
        there = rows.row(rows.row_of(mark))
        rows.ensure_above(rows.row_of(mark), chance.randrange(50))
        assert rows.row(rows.row_of(mark)) == there


def test_only_what_is_looked_at_is_drawn_and_what_is_far_is_let_go() -> None:
    text = "\n\n".join(f"Paragraph number {n}." for n in range(3_000))
    rows = laid_out(LogRows(text))
    assert rows.height == 5_999
    rows.ensure_above(rows.height, 40)
    assert rows._count_drawn < 30
    for top in range(0, 5_000, 40):
        rows.ensure(top, top + 40)
        rows.forget_far(top, top + 40)
    assert rows._count_drawn <= log_rows_module.MOST_DRAWN
    assert rows.height == 5_999


def test_rows_that_did_not_change_keep_their_strips_while_a_paragraph_grows() -> None:
    rows = laid_out(LogRows(finished=False))
    rows.feed("A first sentence that fills the row. ")
    rows.refill()
    first = rows.strip(0)
    for word in range(40):
        rows.feed(f"word{word} ")
        rows.refill()
        assert rows.strip(0) is first
    assert rows.height > 8


@pytest.mark.parametrize(
    "source",
    [
        "```python\n" + "".join(f'def f{n}():\n    """One\n    of {n}.\n    """\n' for n in range(400)) + "```",
        "```css\n" + "".join(f"/* many\n   lines {n} */\na {{ b: {n} }}\n" for n in range(400)) + "```",
        "| n | text |\n|---|---|\n" + "".join(f"| {n} | row **{n}** |\n" for n in range(500)),
    ],
    ids=["code", "comments", "table"],
)
def test_a_long_block_looks_in_parts_as_it_looks_whole_from_whatever_end_it_is_drawn(source: str) -> None:
    rows = laid_out(LogRows(source), 40)
    for y in range(rows.height, 0, -30):
        rows.ensure_above(y, 30)
    whole = Renderer(40, Palette(keyword=Style(bold=True), literal=Style(italic=True))).rows(rows.document.sealed[0])
    rows.lay_out(Renderer(40, Palette(keyword=Style(bold=True), literal=Style(italic=True))), lambda strip: strip)
    for y in range(rows.height, 0, -30):
        rows.ensure_above(y, 30)
    assert rows.height == len(whole)
    assert len(rows._blocks) > 10
    assert [rows.row(y) for y in range(rows.height)] == whole


def test_code_that_arrives_has_the_colours_of_the_whole_all_along_and_is_not_drawn_again_at_its_end() -> None:
    source = "```python\n" + "".join(f'def f{n}():\n    """One\n    of {n}.\n    """\n' for n in range(300)) + "```\n"
    palette = Palette(keyword=Style(bold=True), literal=Style(italic=True))
    whole = Renderer(60, palette).rows(MarkdownDocument.whole(source).sealed[0])
    rows = LogRows(finished=False)
    rows.lay_out(Renderer(60, palette), lambda strip: strip)
    for at in range(0, len(source) - 4, 300):
        rows.feed(source[at : min(at + 300, len(source) - 4)])
        rows.refill()
        rows.ensure_above(rows.height, 20)
        last = rows.height - 3
        assert [rows.row(y) for y in range(max(0, last - 60), last)] == whole[max(0, last - 60) : last]
    drawn = [rows.strip(y) for y in range(900, 1_100)]
    rows.feed(source[-4:])
    rows.finalise()
    rows.refill()
    assert all(rows.strip(y) is strip for y, strip in enumerate(drawn, 900))
    assert rows.row_of(rows.mark(500)) == 500
