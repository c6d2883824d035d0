"""A text that arrives in pieces is the same text."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, example, given, settings

from tests.ui.widgets.markdown_log.constructs import chunked, marks
from tui_chat.ui.widgets.markdown_log import document as document_module
from tui_chat.ui.widgets.markdown_log.document import MarkdownDocument
from tui_chat.ui.widgets.markdown_log.render import Palette, Renderer, Row


def fed(pieces: list[str]) -> MarkdownDocument:
    document = MarkdownDocument()
    for piece in pieces:
        document.feed(piece)
    return document


def finished(pieces: list[str]) -> MarkdownDocument:
    document = fed(pieces)
    document.finalise()
    return document


@settings(max_examples=120, deadline=None, suppress_health_check=list(HealthCheck))
@given(chunked())
@example(("\x0c\r\n| a | b |\r\n|--\r\n\r\n", list("\x0c\r\n| a | b |\r\n|--\r\n\r\n")))
def test_any_chunking_gives_the_blocks_and_rows_of_the_whole(case: tuple[str, list[str]]) -> None:
    text, pieces = case
    streamed = finished(pieces)
    whole = MarkdownDocument.whole(text)
    assert streamed.source == text
    assert streamed.sealed == whole.sealed
    assert streamed.sealed == finished([text]).sealed
    assert streamed.code_blocks == whole.code_blocks
    renderer = Renderer(30, Palette())
    for ours, theirs in zip(streamed.sealed, whole.sealed, strict=True):
        assert renderer.rows(ours) == renderer.rows(theirs)


@settings(max_examples=200, deadline=None, suppress_health_check=list(HealthCheck))
@given(marks)
def test_cutting_at_every_chance_changes_nothing_in_the_end(pieces: list[str]) -> None:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {
            "LONG_TAIL": 60,
            "LONG_TEXT": 40,
            "LONG_CONTAINER": 40,
            "FENCE_LINES": 3,
            "TABLE_ROWS": 3,
            "TABLE_STEP": 2,
            "_KEPT_TEXT": 10,
        }.items():
            patch.setattr(document_module, name, value)
        streamed = finished(pieces)
    whole = MarkdownDocument.whole("".join(pieces))
    assert streamed.sealed == whole.sealed
    assert streamed.code_blocks == whole.code_blocks


def drawn(document: MarkdownDocument, width: int = 40) -> list[str]:
    renderer = Renderer(width, Palette())
    blocks = (*document.sealed, *document.tail)
    return [row.strip.text.rstrip() for block in blocks for row in renderer.rows(block)]


def all_rows(document: MarkdownDocument, width: int) -> list[Row]:
    renderer = Renderer(width, Palette())
    return [row for block in (*document.sealed, *document.tail) for row in renderer.rows(block)]


def frames(source: str) -> list[list[str]]:
    """What is seen after each character."""
    document = MarkdownDocument()
    seen = []
    for character in source:
        document.feed(character)
        seen.append(drawn(document))
    return seen


def test_half_arrived_marks_are_never_seen() -> None:
    for frame in frames("a **bold** and *it* and `code` and ~~gone~~ end"):
        assert not set("*`~") & set("".join(frame))


def test_half_arrived_markers_of_blocks_are_never_seen() -> None:
    source = (
        "text\n\n- one\n- [ ] two\n\n1. three\n2. four\n\n## head\n\n> quote\n\n---\n\n```py\nx\n```\n\nSetext\n---\n"
    )
    for frame in frames(source):
        assert not any(line.strip() in {"-", "#", "##", ">", "--", "---", "`", "``", "[", "[ ]"} for line in frame)


@pytest.mark.parametrize(
    "source",
    [
        "a **b $x^2 + \\alpha$ c**",
        "It is \\(\\frac{a}{b}\\), $n$ and $5",
        "Text\n\n$$\n\\sum_{i=1}^n x\n- 1\n$$\n\nend",
        "- a\n\n  \\[ \\begin{pmatrix} 1 & 2 \\\\ 3 & 4 \\end{pmatrix} \\]",
        "$$ a_{ij} $$.",
    ],
)
def test_half_arrived_formulas_are_never_seen_as_source(source: str) -> None:
    for frame in frames(source):
        assert not set("\\^{}") & set("".join(frame))
        assert "$" not in "".join(frame).replace("$5", "")


def test_a_long_paragraph_looks_the_same_before_and_after_it_is_finished() -> None:
    source = "A sentence with **marks**, `code`, a formula $x^2$ and https://a.example/b in it; 日本語の文章。 " * 60
    document = fed([source[at : at + 37] for at in range(0, len(source), 37)])
    assert len(document.sealed) > 5
    shown = [(row.strip.text, row[1:]) for width in (24, 61, 100) for row in all_rows(document, width)]
    renderer = Renderer(61, Palette())
    backwards = [renderer.rows(block) for block in reversed((*document.sealed, *document.tail))]
    assert [row for rows in reversed(backwards) for row in rows] == all_rows(document, 61)
    document.finalise()
    assert [(row.strip.text, row[1:]) for width in (24, 61, 100) for row in all_rows(document, width)] == shown


def test_a_table_is_a_table_from_its_first_bar_on() -> None:
    seen = frames("Hi\n\n| a | b |\n|---|--:|\n| 1 | 2 |\n")
    assert all("|" not in line for frame in seen[7:] for line in frame)
    assert all("---" not in line for frame in seen for line in frame)


PROSE = "Some **bold** words, a [link](https://example.org) and `code` in a sentence of no great length. "
LONG_TEXTS = {
    "prose": (PROSE * 3 + "\n\n") * 240,
    "one paragraph": PROSE * 700,
    "one code block": "```python\n" + "    value = compute('text', key=1)  # note\n" * 1_600,
    "one list": "".join(f"{n}. item with **some** words\n   - nested\n" for n in range(1, 1_600)),
    "one nested list": "- top\n" + "".join(f"  - item {n} with **some** words\n    - nested\n" for n in range(1_400)),
    "one table": "| n | text |\n|---|---|\n" + "".join(f"| {n} | some **words** in a row |\n" for n in range(2_000)),
    "one quote": "> " + PROSE + "\n>\n" * 1 + ("> " + PROSE + "\n>\n") * 650,
    "code in a list": "1. Do:\n\n   ```python\n" + "       value = compute('text', key=1)  # note\n" * 1_400,
    "indented code": "    value = compute(1)\n" * 3_000,
    "html": "<div>\n" + "<p>some words of text</p>\n" * 2_600,
    "formulas": "Let $x_i^2$ be \\(a\\):\n\n$$\n\\sum_{i=1}^n x_i\n- \\frac{1}{2}\n$$\n\n" * 900,
    "dollars": "It costs $5 or $$ or $x " * 2_600,
    "blank lines": "\n" * 60_000,
}


@pytest.mark.parametrize("kind", LONG_TEXTS)
def test_a_flush_parses_no_more_late_in_a_text_than_early(kind: str) -> None:
    text = LONG_TEXTS[kind]
    document = MarkdownDocument()
    costs: list[int] = []
    for at in range(0, 60_000, 250):
        before = document.parsed_chars
        document.feed(text[at : at + 250])
        costs.append(document.parsed_chars - before)
    assert max(costs) < 40_000
    assert sum(costs[-60:]) / 60 < 12_000
    document.finalise()
    assert document.sealed == MarkdownDocument.whole(text[:60_000]).sealed


def test_numbers_go_on_over_sealed_items() -> None:
    document = fed(["".join("1. item\n" for _ in range(30))])
    assert drawn(document)[-1] == "30. item"
    assert len(document.sealed) > 20


def test_a_part_of_code_joins_the_part_above() -> None:
    source = "".join(f"line {n}\n" for n in range(120))
    document = fed(["```\n", source])
    assert document.code_blocks == [source]
    assert len(document.sealed) == 1
    shown = drawn(document)
    document.finalise()
    assert shown == drawn(document)
