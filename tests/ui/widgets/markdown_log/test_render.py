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


@settings(max_examples=80, deadline=None, suppress_health_check=list(HealthCheck))
@given(documents(), st.integers(2, 60))
def test_links_and_code_starts_of_rows_tell_where_they_are(source: str, width: int) -> None:
    document = MarkdownDocument.whole(source)
    renderer = Renderer(width, Palette())
    rows = [row for block in document.sealed for row in renderer.rows(block)]
    assert sum(row.code_start for row in rows) == len(document.code_blocks)
    for row in rows:
        end = 0
        for link in row.links:
            assert end <= link.start < link.end <= width
            assert link.target.startswith(("http://", "https://", "mailto:"))
            assert row.strip.crop(link.start, link.end).text.strip()
            end = link.end
        assert row.copied(0) == row.text
        for swap in row.swaps:
            assert row.copied(swap.start, swap.end) == row.copied(swap.start, swap.start + 1) == swap.source


LINKED = "see https://a.example/日本 or [the **text**](https://b.example) (at http://c.example/x_(y)), $x$"


@pytest.mark.parametrize("frame", ["{}", "# {}", "> - {}", "1. > {}", "| a | b |\n|--|--|\n| 日本 | {} |", "[^1]: {}"])
@pytest.mark.parametrize("width", [14, 30, 120])
def test_the_cells_of_a_link_hold_its_text(frame: str, width: int) -> None:
    found: dict[str, str] = {}
    renderer = Renderer(width, Palette())
    for block in MarkdownDocument.whole(frame.format(LINKED)).sealed:
        for row in renderer.rows(block):
            for link in row.links:
                found[link.target] = found.get(link.target, "") + row.strip.crop(link.start, link.end).text
    assert {target: text.replace(" ", "") for target, text in found.items()} == {
        "https://a.example/日本": "https://a.example/日本",
        "https://b.example": "thetext(https://b.example)",
        "http://c.example/x_(y)": "http://c.example/x_(y)",
    }


@pytest.mark.parametrize(
    ("source", "targets"),
    [
        ("https://a.example.", ["https://a.example"]),
        ("(https://a.example/b)", ["https://a.example/b"]),
        ("https://a.example/b_(c), **https://d.example**!", ["https://a.example/b_(c)", "https://d.example"]),
        ("<https://a.example/x)> <me@a.example>", ["https://a.example/x)", "mailto:me@a.example"]),
        ("见https://a.example。然后", ["https://a.example"]),
        ("`https://a.example` $https://b.example$ xhttp://c.example https:// ftp://d.example", []),
        ("[x](javascript:alert) [y](file:///etc) [z](<https://a b>)", []),
        ("![i](https://a.example/p.png)", ["https://a.example/p.png"]),
        ('<a href="https://a.example">x</a>', ["https://a.example"]),
    ],
)
def test_only_addresses_are_links(source: str, targets: list[str]) -> None:
    rows = [row for block in MarkdownDocument.whole(source).sealed for row in Renderer(200, Palette()).rows(block)]
    assert [link.target for row in rows for link in row.links] == targets


def test_columns_stand_by_cells() -> None:
    source = (
        "| 名前 | b | c |\n|---|:-:|---|\n| `日本` | [é](https://a.example) | x |\n"
        "| 👩‍👩‍👧 $\\vec{v}$ | **w** | https://b.example |\n"
    )
    renderer = Renderer(90, Palette())
    (block,) = MarkdownDocument.whole(source).sealed
    rows = [row.strip for row in renderer.rows(block)]
    start = rows[1].cell_length - len("https://b.example")
    assert [row.crop(start, start + 1).text for row in (rows[0], *rows[2:])] == ["c", "x", "h"]


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


HOSTILE |= {
    "dollars": "$" * 20_000,
    "open formulas": "$x^{ " * 10_000,
    "open displays": "$$\nx\n" * 6_000 + "\\[\n" * 5_000,
    "brackets of formulas": "\\(" * 20_000,
    "nested fractions": "$" + "\\frac" * 5_000 + "$",
    "addresses": "https://a.b/(((" * 8_000,
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


SPANNING = {
    "css": "/* if\n   for */\na { color: red; /* x */ }\n",
    "javascript": "/**\n * for\n */\nconst f = `a ${b}\nc`; // x\nlet y = a /* b\n c */ + 1;\n",
    "cpp": "/* a\n int x;\n*/\nint main() { return 0; }\n",
    "java": "/**\n * Doc if\n */\nclass A { int x = 1; /* a\n b */ }\n",
    "html": "<!-- a\n <b>\n-->\n<p class='x'>text</p>\n",
    "lua": "--[[ a\n for ]]\nlocal x = 1\n",
    "rust": "/* a\n /* nested */ fn\n*/\nfn main() {}\n",
}


@pytest.mark.parametrize("language", SPANNING)
def test_comments_over_lines_are_coloured_while_they_grow(language: str) -> None:
    source = SPANNING[language] * 3
    follower = Follower()
    for end in range(0, len(source), 5):
        follower.lines(Code(source[:end], language, growing=True))
    lines = follower.lines(Code(source, language))
    assert [tuple(line) for line in lines] == list(highlight(source.removesuffix("\n"), language))
    assert follower.lines(Code(SPANNING[language].partition("\n")[0], language, growing=True))[0][0][1] == "comment"


def test_code_that_grows_is_highlighted_as_the_whole_is() -> None:
    source = 'def f(x):\n    """Text\n    over lines."""\n    return [x, "s"]  # done\n' * 30
    follower = Follower()
    for end in range(0, len(source), 7):
        follower.lines(Code(source[:end], "python", growing=True))
    lines = follower.lines(Code(source, "python"))
    assert [tuple(line) for line in lines] == list(highlight(source.removesuffix("\n"), "python"))
