"""The ranking below answers in columns: right at every width, and quiet but for the cheapest."""

from decimal import Decimal
from time import perf_counter

import pytest
from textual.content import Content

from tests.core.test_comparison import FREE, PLAY, ended, look, priced, running
from tui_chat.core.pricing import Price
from tui_chat.ui.theme import ASCII, UNICODE
from tui_chat.ui.widgets.transcript.ranking import ranking_lines, records_line, table_lines


def four():
    def answer(name, out, tokens, first, took, **more):
        return ended(
            name,
            Price(Decimal(0), Decimal(out), source="bundled"),
            tokens,
            first=first,
            took=took,
            text="x" * tokens,
            **more,
        )

    return look(
        answer("deepseek/deepseek-chat", "0.42", 212, 0.38, 3.4),
        answer("gemini/gemini-2.5-flash", "2.50", 190, 0.21, 1.6),
        answer("openai/gpt-4.1", "8", 50, 0.52, 1.3, reason="cancelled", estimated=("output_tokens",)),
        answer("anthropic/claude-sonnet-4-5", "15", 88, 1.84, 12.3, estimated=("output_tokens",)),
    )


def words(lines):
    return [" ".join(line.plain.split()) for line in lines]


def green(lines):
    """What is drawn in the colour of the cheapest."""
    return [
        line.plain[span.start : span.end].strip() for line in lines for span in line.spans if "$best" in str(span.style)
    ]


def test_a_line_tells_the_order_with_costs():
    assert words(ranking_lines(four(), 149, UNICODE)) == [
        "cheapest 1 deepseek-chat $0.000089 2 gemini-2.5-flash $0.00048 3 claude-sonnet-4-5 ~$0.0013"
    ]


@pytest.mark.parametrize(
    ("width", "said"),
    [
        (90, "total ~$0.0023 first gemini 0.21 s fastest gemini 137 tok/s longest deepseek 212 tok"),
        (60, "total ~$0.0023 first gemini 0.21 s"),
        (26, "total ~$0.0023"),
    ],
)
def test_another_tells_the_total_of_the_turn_and_who_is_best_at_what_else(width, said):
    (line,) = words([records_line(four(), width, UNICODE)])
    assert line == said
    assert records_line(four(), width, ASCII).plain.isascii()


def test_a_narrow_line_tells_how_many_times_dearer_by_first_names():
    assert [line.plain for line in ranking_lines(four(), 70, UNICODE)] == [
        "cheapest deepseek-chat ×1.0   gemini ×5.33   claude ×14.8"
    ]


def test_models_with_the_same_first_name_keep_their_names():
    found = look(ended("o/gpt-4o", priced("1")), ended("o/gpt-4.1", priced("2")))
    assert words(ranking_lines(found, 36, UNICODE)) == ["cheapest gpt-4o ×1.0 gpt-4.1 ×2.0"]


def test_a_wide_ranking_has_bars_as_long_as_the_costs_and_says_who_is_left_out():
    lines = ranking_lines(four(), 150, UNICODE)
    assert words(lines)[0] == "cheapest answer of 1 M such tokens"
    assert words(lines)[1].startswith("1 deepseek-chat $0.000089 $0.42 ×1.0 ━")
    assert words(lines)[4] == "– gpt-4.1 stopped answers are not ranked"
    bars = [line.plain.count("━") for line in lines[1:4]]
    assert bars == [2, 14, 40]


def test_only_the_cheapest_is_green():
    assert set(green(ranking_lines(four(), 120, UNICODE))) == {"deepseek-chat"}
    assert green(ranking_lines(four(), 150, UNICODE)) == ["1 deepseek-chat", "━━╸"]
    assert green(table_lines(four(), 150, UNICODE)) == ["deepseek-chat", "×1.0", "cheapest, longest"]


def test_while_one_runs_it_holds_only_so_far():
    found = look(running("a/x", priced("1")), ended("b/y", priced("1")))
    assert words(ranking_lines(found, 100, UNICODE)) == ["cheapest so far 1 y $1.00"]
    assert words(ranking_lines(look(running("a/x", priced("1"))), 150, UNICODE)) == ["no cost to rank yet"]
    assert words(ranking_lines(look(ended("a/x", None)), 100, UNICODE)) == ["no cost to rank"]
    assert ranking_lines(look(), 100, UNICODE) == table_lines(look(), 100, UNICODE) == []


def test_a_free_answer_leaves_the_others_their_costs_in_place_of_ratios():
    found = look(ended("a/long-name", priced("1")), ended("here/local-model", FREE))
    assert words(ranking_lines(found, 38, UNICODE)) == ["cheapest local-model free long $1.00"]


@pytest.mark.parametrize("draw", [ranking_lines, table_lines])
def test_amounts_stand_below_one_another_by_their_points(draw):
    lines = [line.plain for line in draw(four(), 160, UNICODE) if "$0.0" in line.plain]
    assert len({line.index("$0.") + 2 for line in lines}) == 1
    assert (
        len({line.rindex("×") + len(line[line.rindex("×") :].partition(".")[0]) for line in lines if "×" in line}) == 1
    )


@pytest.mark.parametrize(
    ("width", "heads"),
    [
        (150, "model first s time s tok/s in out reasoning cost ratio verdict"),
        (90, "model first s tok/s in out cost ratio verdict"),
        (76, "model first s tok/s cost ratio verdict"),
        (60, "model first s tok/s cost ratio"),
        (40, "model cost ratio"),
        (30, "model cost"),
    ],
)
def test_columns_fall_away_from_the_least_important(width, heads):
    lines = table_lines(four(), width, UNICODE)
    assert words(lines)[0] == heads
    assert all(line.cell_length <= width for line in lines)
    assert words(lines)[-1].startswith("total ")
    assert lines[-1].plain.rstrip().rpartition("$")[2].strip() == "0.0023"


def test_play_money_has_a_line_of_its_own_below_the_total():
    lines = words(table_lines(look(ended("a/x", priced("1")), ended("demo/y", PLAY)), 150, UNICODE))
    assert lines[-2].endswith("$1.00")
    assert lines[-1] == "play money play $1.00"


@pytest.mark.parametrize("width", [1, 2, 7, 13, 30, 64, 150, 400])
def test_no_line_is_wider_than_its_place_and_no_name_is_markup(width):
    found = look(ended("a/[red]模型", priced("0.1")), ended("b/y", priced("20000"), took=99), ended("b/z\x1b[2J", None))
    for lines in (ranking_lines(found, width, UNICODE), table_lines(found, width, UNICODE)):
        assert all(line.cell_length <= width for line in lines)
        assert "\x1b" not in Content("").join(lines).plain
    if width >= 150:
        assert any("[red]模型" in line.plain for line in ranking_lines(found, width, UNICODE))


def test_a_plain_terminal_gets_plain_characters():
    for lines in (ranking_lines(four(), 150, ASCII), ranking_lines(four(), 30, ASCII), table_lines(four(), 120, ASCII)):
        assert all(line.plain.isascii() for line in lines)


def test_it_is_cheap_enough_for_every_frame():
    answers = [running(f"p/m{n}", priced("1")) for n in range(6)]
    began = perf_counter()
    for _ in range(10):
        ranking_lines(look(*answers), 200, UNICODE)
        ranking_lines(look(*answers), 80, UNICODE)
    assert perf_counter() - began < 1  # a second's worth of frames; a hundredth of it on a free machine


@pytest.mark.parametrize("width", [60, 70, 86, 100, 140])
@pytest.mark.parametrize("glyphs", [UNICODE, ASCII])
def test_a_verdict_is_cut_before_it_goes_and_never_costs_a_name_a_letter(width, glyphs):
    lines = [line.plain for line in table_lines(four(), width, glyphs)]
    assert all(len(line) <= width for line in lines)
    assert all(any(line.startswith(f"{name} ") for line in lines) for name in ("claude-sonnet-4-5", "gemini-2.5-flash"))
    assert glyphs is UNICODE or all(line.isascii() for line in lines)
    if width >= 86:
        assert any("verdict" in line for line in lines)
        assert any("stopped" in line for line in lines)
