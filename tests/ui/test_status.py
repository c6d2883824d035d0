"""What the meter and the footer say, and what they drop first when there is little room."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal

import pytest

from tui_chat.core.completion import Completion, State
from tui_chat.core.events import Finished, Queued, TextDelta, UsageUpdate, Waiting
from tui_chat.core.format import Spent
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price
from tui_chat.core.request import Request
from tui_chat.core.savings import Saved
from tui_chat.core.usage import Usage
from tui_chat.tokens import TiktokenCounter
from tui_chat.ui.screens.status import Situation, footer_figures, footer_keys
from tui_chat.ui.theme import UNICODE
from tui_chat.ui.widgets.row import hint_lines, row, styled, text
from tui_chat.ui.widgets.transcript.answer_foot import foot_lines
from tui_chat.ui.widgets.usage_meter import meter, quiet

PRICE = Price(Decimal("0.28"), Decimal("0.42"), source="bundled")


def streaming(price: Price | None = PRICE) -> Completion:
    completion = Completion("c", "t", Model("work", "a", price=price), datetime(2026, 11, 21, tzinfo=UTC))
    completion.start(0.0, TiktokenCounter(), 100)
    for step in range(40):
        completion.apply(TextDelta("some words here "), 0.38 + step / 10)
    return completion


def test_the_meter_shows_state_tokens_rate_first_token_and_cost_with_the_cost_at_the_right_edge():
    completion = streaming()
    completion.rate(1.0)
    line = meter(completion, 4.5, 80, UNICODE).plain
    assert line.startswith("● streaming")
    assert " tok " in line
    assert "tok/s" in line
    assert "0.38 s" in line
    assert line.endswith("~$0.000095")


@pytest.mark.parametrize(
    ("width", "gone"),
    [(50, ["0.38 s"]), (40, ["0.38 s", "tok/s"]), (26, ["0.38 s", "tok/s", "streaming"]), (12, [" tok"])],
)
def test_a_narrow_meter_drops_first_rate_word_tokens_in_this_order_and_never_the_cost(width, gone):
    completion = streaming()
    completion.rate(1.0)
    line = meter(completion, 4.5, width, UNICODE).plain
    assert len(line) <= width
    assert "~$0.000095" in line
    assert not [piece for piece in gone if piece in line]


def test_digits_do_not_move_while_they_count():
    completion = streaming()
    widths = set()
    for step in range(60):
        completion.apply(TextDelta("word " * 10), 5 + step / 5)
        widths.add(len(meter(completion, 5 + step / 5, 100, UNICODE).plain))
    assert len(widths) == 1


def test_an_unknown_price_is_never_shown_as_zero():
    line = meter(streaming(price=None), 4.5, 80, UNICODE).plain
    assert line.endswith("$?")
    assert "$0" not in line


def test_a_settled_answer_is_quiet_and_loses_its_tilde():
    completion = streaming()
    completion.apply(UsageUpdate(Usage(100, 130)), 5)
    completion.end(5, "stop")
    assert completion.state is State.SETTLED
    assert quiet(completion, UNICODE).plain.split() == ["✓", "130", "tok", "$0.000083"]


def test_a_stopped_answer_says_where_it_was_stopped_what_it_saved_and_which_keys_help():
    completion = streaming()
    completion.request = Request(completion.model, (), {})
    completion.end(5, "cancelled")
    completion.saved = Saved(Decimal("0.0012"), Decimal("0.0061"))
    lines = [line.plain for line in foot_lines(completion, UNICODE, {}, under_cursor=True)]
    assert lines[0] == "■ stopped at 160 tok   saved $0.0012–$0.0061   may still be billed in full"
    completion.model = replace(completion.model, stops_billing="no")
    completion.saved = None
    stopped = foot_lines(completion, UNICODE, {}, under_cursor=True)[0].plain
    assert stopped == "■ stopped at 160 tok   this provider bills the whole answer all the same"
    assert lines[-1] == "e edit and retry  ·  r again  ·  d leave out  ·  R continue"


def test_an_answer_that_waits_for_a_retry_counts_down():
    completion = Completion("c", "t", Model("work", "a"), datetime.now(UTC))
    completion.start(0.0, TiktokenCounter(), 1)
    completion.apply(Waiting("rate_limit", "work: too many requests", 20.0, 2, 3), 0.0)
    lines = [line.plain for line in foot_lines(completion, UNICODE, {}, under_cursor=True)]
    assert "until try 2 of 3" in lines[1]
    assert lines[-1] == "esc give up  ·  ^r now  ·  ^l other model"


def test_an_answer_that_waits_for_its_turn_counts_down_and_offers_no_retry(monkeypatch):
    completion = Completion("c", "t", Model("work", "a"), datetime.now(UTC))
    completion.start(0.0, TiktokenCounter(), 1)
    completion.apply(Queued(12.0, 2, "the limit of 5 requests a minute has room"), 0.0)
    for passed_s, clock in ((0.0, "0:12"), (5.0, "0:07"), (99.0, "0:00")):
        monkeypatch.setattr("tui_chat.ui.widgets.transcript.answer_foot.monotonic", lambda now_s=passed_s: now_s)
        lines = [line.plain for line in foot_lines(completion, UNICODE, {}, under_cursor=True)]
        assert lines[0] == f"◌ queued   {clock}   2 ahead   until the limit of 5 requests a minute has room"
    assert lines[-1] == "esc leave the queue  ·  ^l other model"
    assert meter(completion, 5.0, 80, UNICODE).plain.split() == ["◌", "queued", "–"]


def test_the_footer_shows_only_what_works_now():
    idle = footer_keys(Situation("prompt", False, None, has_text=False, editing=False), {})
    assert ("enter", "send") in idle
    assert "stop" not in dict(idle).values()
    busy = footer_keys(Situation("prompt", True, streaming(), has_text=False, editing=False), {})
    assert busy[0][1] == "stop"
    assert ("enter", "queue") in busy


def test_the_footer_names_the_users_own_keys():
    keys = footer_keys(Situation("prompt", False, None, has_text=False, editing=False), {"model.pick": "f2"})
    assert ("f2", "model") in keys


def test_inside_tmux_the_footer_offers_the_stop_key_that_is_not_delayed(monkeypatch):
    monkeypatch.setenv("TMUX", "/tmp/tmux-0/default,1,0")
    assert footer_keys(Situation("prompt", True, streaming(), has_text=False, editing=False), {})[0] == ("^c", "stop")


def test_the_footer_drops_today_then_rate_then_tokens_then_the_chat_and_keeps_the_cost():
    figures = [f.plain for f in footer_figures(streaming(), [], Spent(Decimal("0.01"), answers=1), Spent(), UNICODE)]
    assert "today" in figures[0]
    assert "today" not in figures[1]
    assert "chat" in figures[3]
    assert "tok" not in figures[3]
    assert figures[-1].strip() == "~$0.000095"
    assert [len(f) for f in figures] == sorted((len(f) for f in figures), reverse=True)


def test_text_gives_way_to_figures_and_wide_characters_are_counted_by_cells():
    for width in range(1, 60):
        line = row(text("会話の題名はとても長い 🙂 and on"), styled("$0.01"), width)
        assert line.cell_length == width


def test_a_title_is_neither_markup_nor_control():
    assert "\x1b" not in text("[red]x[/red]\x1b[31m").plain
    assert text("[red]x[/]").plain == "[red]x[/]"


def test_a_finished_event_alone_does_not_settle():
    completion = streaming()
    completion.apply(Finished("stop"), 5)
    completion.end(5, "stop")
    assert completion.state is State.DONE
    assert quiet(completion, UNICODE).plain.rstrip().endswith("~$0.000095")


def test_settling_shows_the_estimate_and_the_bill_and_the_right_edge_stays():
    completion = streaming()
    completion.apply(UsageUpdate(Usage(100, 130)), 5)
    completion.end(5, "stop")
    assert meter(completion, 5, 80, UNICODE, "~$0.000095").plain.endswith("~$0.000095 → $0.000083")


def test_the_hints_below_an_answer_name_the_users_own_keys():
    completion = streaming()
    completion.end(5, "cancelled")
    lines = [line.plain for line in foot_lines(completion, UNICODE, {"prompt.edit": "x"}, under_cursor=True)]
    assert lines[-1].startswith("x edit and retry  ·  r again")
    keys = footer_keys(Situation("transcript", False, completion, has_text=False, editing=False), {"prompt.edit": "x"})
    assert ("x", "edit") in keys


@pytest.mark.parametrize("width", [12, 20, 26, 40, 108])
def test_in_a_narrow_column_no_key_is_parted_from_its_word(width):
    pairs = [("e", "edit and retry"), ("r", "again"), ("d", "leave out"), ("R", "continue")]
    lines = [line.plain for line in hint_lines(pairs, width)]
    assert [hint for line in lines for hint in line.split("   ")] == [f"{key} {word}" for key, word in pairs]
    assert all(len(line) <= width or "   " not in line for line in lines)
