"""Tabs for answers that have no room beside one another: the one in view is always there, and a click finds its own."""

from hypothesis import given
from hypothesis import strategies as st

from tests.core.test_comparison import ended, priced
from tui_chat.ui.theme import UNICODE
from tui_chat.ui.widgets.transcript.tabs import tab_ends, tab_line

NAMES = ["deepseek", "gemini", "gpt", "claude", "漢字モデル", "mistral-large-latest"]
ANSWERS = [ended(f"work/{name}", priced("0.001"), tokens) for tokens, name in enumerate(NAMES, 100)]


@given(count=st.integers(2, 6), at=st.integers(0, 5), width=st.integers(20, 200))
def test_the_tab_in_view_is_whole_and_ends_where_a_click_says(count, at, width):
    answers, at = ANSWERS[:count], at % count
    line = tab_line(answers, at, width, UNICODE, {}, blind=False)
    ends = tab_ends(answers, at, width, UNICODE, {}, blind=False)
    assert line.cell_length <= width
    assert ends == sorted(ends)
    chosen = [line.plain[span.start : span.end] for span in line.spans if str(span.style) == "on $sel"]
    begin = ends[at - 1] if at and ends[at - 1] else int(line.plain.startswith("…"))
    assert len(chosen) == 1
    if width >= 40:
        assert ends[at] - begin - 1 == line[line.plain.index(chosen[0]) :][: len(chosen[0])].cell_length
        assert "$" in chosen[0]


def test_names_are_cut_only_when_the_costs_of_the_others_are_gone():
    wide = tab_line(ANSWERS[:4], 0, 200, UNICODE, {}, blind=False).plain
    assert wide.count("$") == 4
    narrow = tab_line(ANSWERS[:4], 0, 60, UNICODE, {}, blind=False).plain
    assert narrow.count("$") == 1
    assert all(name in narrow for name in NAMES[:4])


def test_blind_tabs_show_aliases_and_no_cost():
    names = {answer.id: f"answer {letter}" for answer, letter in zip(ANSWERS, "ABC", strict=False)}
    line = tab_line(ANSWERS[:3], 1, 120, UNICODE, names, blind=True).plain
    assert "$" not in line
    assert "answer B" in line
