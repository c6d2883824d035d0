"""What differs between two answers, as the user sees it over the chat."""

from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from tests.core.test_comparison import ended, priced, running
from tests.core.test_difference import LONG
from tui_chat.core.difference import Run, difference
from tui_chat.core.safe_text import safe
from tui_chat.ui.screens.difference_box import DifferenceBox, below_rows, beside_rows, unified, wrapped
from tui_chat.ui.theme import ASCII, UNICODE

LEFT = (
    "The browser keeps one request open.\n\n```python\nasync def events():\n    buffer = b''\n    return buffer\n```\n"
)
RIGHT = "The browser keeps that connection open.\n\n```python\ndef events():\n  buffer = b''\n  return buffer\n```\n"
texts = st.text() | st.lists(st.sampled_from(["word ", "wörter", "\n", "日本語", "\t", "e\u0301", "👍🏽 "])).map(
    "".join
)


class Opened:
    """The box over the chat, and what was copied from it."""

    def __init__(self, left, right, *, glyphs=UNICODE, answers=None):
        self.copied: list[str] = []
        one, other = answers or (ended("a/one", priced("1")), ended("b/two", priced("2"), reason="cancelled"))
        self.box = DifferenceBox(one, other, left, right, glyphs, self.copied.append)

    async def over(self, driver):
        await driver.app.push_screen(self.box)
        await driver.until(lambda: driver.app.screen is self.box and driver.shows("esc close"))
        return self


def styles_of(driver, words):
    """The styles in which some words are drawn."""
    strips = driver.app.screen._compositor.render_strips()
    return [segment.style for strip in strips for segment in strip if segment.text.strip() == words]


async def test_wide_terminals_have_the_answers_side_by_side(program):
    async with program.running(size=(120, 40)) as driver:
        await Opened(LEFT, RIGHT).over(driver)
        row = next(line for line in driver.lines() if "The browser keeps one" in line)
        assert "The browser keeps that connection open." in row
        head = next(line for line in driver.lines() if "$1.00" in line)
        assert head.split() == [
            "one",
            "bold",
            "is",
            "only",
            "here",
            "$1.00",
            "two",
            "bold",
            "is",
            "only",
            "here",
            "$2.00",
        ]
        assert [style.bold for style in styles_of(driver, "that connection")] == [True]
        assert not any(style.bold for style in styles_of(driver, "The browser keeps"))


async def test_narrow_ones_have_one_text_with_the_removed_struck_and_the_added_underlined(program):
    async with program.running(size=(80, 24)) as driver:
        await Opened(LEFT, RIGHT).over(driver)
        assert driver.shows("The browser keeps one requestthat connection open.")
        assert [style.strike for style in styles_of(driver, "one request")] == [True]
        assert [(style.underline, style.bold) for style in styles_of(driver, "that connection")] == [(True, True)]
        assert not any(style.strike or style.underline for style in styles_of(driver, "The browser keeps"))


async def test_a_plain_terminal_has_brackets(program):
    async with program.running(size=(80, 24)) as driver:
        await Opened(LEFT, RIGHT, glyphs=ASCII).over(driver)
        assert driver.shows("The browser keeps [-one request-]{+that connection+} open.")


async def test_a_key_shows_the_lines_of_code_that_both_have_and_another_the_words_again(program):
    async with program.running(size=(120, 40)) as driver:
        await Opened(LEFT, RIGHT).over(driver)
        await driver.press("l")
        await driver.until(lambda: driver.shows("2 lines of code in both"))
        assert [line.split("  ")[0].strip() for line in driver.lines() if "return buffer" in line] != []
        marked = [" ".join(line.split()) for line in driver.lines() if line.count("= ") and "buffer" in line]
        assert "= buffer = b'' = buffer = b''" in marked[0]
        assert "= return buffer = return buffer" in marked[1]
        assert not driver.shows("The browser keeps")
        await driver.press("w")
        await driver.until(lambda: driver.shows("The browser keeps"))


async def test_it_copies_both_texts_as_one(program):
    async with program.running(size=(120, 40)) as driver:
        opened = await Opened("one cat\n", "one dog\n").over(driver)
        await driver.press("y")
        assert opened.copied == ["--- a/one $1.00\n+++ b/two $2.00\n\none [-cat-]{+dog+}\n\n"]
        await driver.press("escape")
        await driver.until(lambda: driver.app.screen is driver.screen)


async def test_it_scrolls_by_lines_and_pages(program):
    async with program.running(size=(80, 24)) as driver:
        text = "\n".join(f"line {n}" for n in range(200))
        await Opened(text, text + " more").over(driver)
        assert first_line(driver) == 0
        await driver.press("end")
        await driver.until(lambda: driver.shows("line 199 more"))
        await driver.press("home")
        await driver.until(lambda: first_line(driver) == 0)
        await driver.press("down", "j")
        await driver.until(lambda: first_line(driver) == 2)
        await driver.press("pagedown")
        await driver.until(lambda: first_line(driver) > 15)


def first_line(driver):
    return next(int(line.split("line ")[1].split()[0]) for line in driver.lines() if "line " in line)


async def test_words_of_models_are_neither_markup_nor_controls(program):
    async with program.running(size=(80, 24)) as driver:
        await Opened("[red]x[/] \x1b[2J\tend", "[red]x[/] \u202eabc end").over(driver)
        assert driver.shows("[red]x[/]")
        assert driver.shows("␛[2J")
        assert not any("\x1b" in line or "\u202e" in line for line in driver.lines())


@pytest.mark.parametrize(
    ("left", "right", "words"),
    [
        ("", "", "Both answers are empty."),
        ("same words", "same words", "nothing: they are the same, word for word"),
        ("a", "b", "0 % of the words in both"),
    ],
)
async def test_it_says_how_much_is_the_same(program, left, right, words):
    async with program.running(size=(120, 40)) as driver:
        await Opened(left, right).over(driver)
        assert driver.shows(words)
        await driver.press("l")
        await driver.until(lambda: driver.shows("There is no code in these answers."))


async def test_a_running_answer_says_that_this_is_how_far_it_came(program):
    async with program.running(size=(120, 40)) as driver:
        await Opened("a", "b", answers=(running("a/x", priced("1")), ended("b/x", priced("2")))).over(driver)
        head = next(line for line in driver.lines() if "so far" in line)
        assert "a/x   so far" in head
        assert "b/x" in head


@pytest.mark.parametrize("size", [(10, 4), (40, 10), (60, 15), (99, 24), (100, 24), (200, 60)])
async def test_it_works_at_every_size_and_the_keys_stay_in_view(program, size):
    async with program.running(size=size) as driver:
        opened = Opened(LEFT, RIGHT)
        await driver.app.push_screen(opened.box)
        await driver.until(lambda: driver.app.screen is opened.box)
        await driver.press("l", "w", "j", "k")
        if size[0] >= 60:
            assert driver.shows("esc close")
            assert driver.shows("$2.00")
        await driver.pilot.resize_terminal(120, 40)
        await driver.until(lambda: driver.shows("bold is only here"))
        await driver.pilot.resize_terminal(*size)
        await driver.press("q")
        await driver.until(lambda: driver.app.screen is driver.screen)


async def test_two_answers_of_twenty_thousand_words_open_at_once(program):
    async with program.running(size=(120, 40)) as driver:
        began = perf_counter()
        opened = await Opened(*LONG["prose in lines"]).over(driver)
        took_s = perf_counter() - began
        assert len(opened.box._rows._strips) < 100  # only what is in view was drawn
        assert took_s < 3  # a tenth of it on a free machine


# rows


def plain(rows, side=0):
    return ["".join(part for part, _ in drawn[side]) for drawn in rows]


@given(texts, st.integers(2, 30))
def test_rows_fit_and_lose_nothing_but_space(text, width):
    rows = wrapped([(text, "same")], width)
    shown = ["".join(part for part, _ in row) for row in rows]
    assert all(sum(map(cell_len, row)) <= width for row in shown)
    assert "".join("".join(shown).split()) == "".join(safe(text).split())


def test_rows_are_cut_at_spaces_and_words_with_their_points_stay_whole():
    assert plain([(row,) for row in wrapped([("a cat", "left"), (", and more", "same")], 7)]) == [
        "a cat, ",
        "and ",
        "more",
    ]
    assert plain([(row,) for row in wrapped([("    indented word", "same")], 12)]) == ["    indented", "word"]
    assert plain([(row,) for row in wrapped([("日本語の文", "same")], 5)]) == ["日本", "語の", "文"]
    assert plain([(row,) for row in wrapped([("unbreakable", "same")], 4)]) == ["unbr", "eaka", "ble"]


def test_lines_that_end_in_both_begin_again_on_one_row():
    rows = beside_rows(difference("a\nlong tale of old\nz", "a\nnew\nz"), 9)
    assert plain(rows, 0) == ["a", "long tale", "of old", "z"]
    assert plain(rows, 1) == ["a", "new", "", "z"]


def test_a_line_that_only_one_has_stands_beside_nothing():
    rows = beside_rows(difference("a\nz\n", "a\nmore\nz\n"), 9)
    assert plain(rows, 0)[:3] == ["a", "", "z"]
    assert plain(rows, 1)[:3] == ["a", "more", "z"]


@given(texts, texts)
def test_each_column_has_the_words_of_its_answer(left, right):
    rows = beside_rows(difference(left, right), 10_000)
    for side, text in enumerate((left, right)):
        assert "".join("".join(plain(rows, side)).split()) == "".join(safe(text).split())


def test_one_text_has_both_in_order():
    runs = [Run("same", "a "), Run("left", "b"), Run("right", "c")]
    assert plain(below_rows(runs, 80, brackets=True)) == ["a [-b-]{+c+}"]
    assert unified("a/x $?", "b/y $?", runs) == "--- a/x $?\n+++ b/y $?\n\na [-b-]{+c+}\n"
