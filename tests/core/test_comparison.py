"""What a comparison says of answers: exact, never of what cannot be compared, and never for sure while one runs."""

from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import NOON, CharacterCounter
from tui_chat.core.comparison import HEADS, as_markdown, compared
from tui_chat.core.completion import Completion
from tui_chat.core.events import ResponseStarted, TextDelta, Waiting
from tui_chat.core.format import Spent, total
from tui_chat.core.model import Model
from tui_chat.core.pricing import NOTHING, Cost, Price, cost_of
from tui_chat.core.usage import CountedUsage, Usage

D = Decimal
PLAY = Price(D(1), D(1000), source="play", play=True)
KRONE = Price(D(1), D(1), currency="SEK", usd_rate=None, source="config")
FREE = Price(D(0), D(0), source="local")


def model(name, price=None):
    provider, _, model_id = name.partition("/")
    return Model(provider, model_id, price=price, scripted=provider == "demo")


def priced(out):
    """Return a price at which an answer of a thousand tokens costs so many dollars."""
    return Price(D(0), D(out) * 1000, source="bundled")


def ended(name, price, tokens=1_000, *, reason="stop", first=1.0, took=3.0, text="text", estimated=()):
    answer = Completion(f"{name} {tokens}", "t", model(name, price), NOON, sent=True)
    answer.final_usage = CountedUsage(Usage(0, tokens), "estimated" if estimated else "reported", estimated)
    answer.final_cost = cost_of(answer.final_usage, price, NOON)
    answer.finish_reason, answer.ttft_s, answer.total_s = reason, first, took
    answer.text_log.append(text)
    return answer


def running(name, price, *events, started_at_s=0.0):
    answer = Completion(name, "t", model(name, price), NOON)
    answer.start(started_at_s, CharacterCounter(), 10)
    for at, event in enumerate(events, 1):
        answer.apply(event, started_at_s + at)
    return answer


def look(*answers, now_s=10.0):
    return compared(answers, now_s)


def ranks(*answers):
    return [each.rank for each in look(*answers).answers]


class TestRanking:
    def test_the_cheapest_is_first_and_the_others_are_so_many_times_dearer(self):
        found = look(ended("a/x", priced("2.5")), ended("b/y", priced("0.5")), ended("c/z", priced("15")))
        assert [each.label for each in found.ranked] == ["y", "x", "z"]
        assert [each.ratio for each in found.answers] == [5, 1, 30]
        assert [each.label for each in found.best("cheapest")] == ["y"]

    def test_equal_costs_share_their_rank(self):
        assert ranks(ended("a/x", priced("2")), ended("b/y", priced("1")), ended("c/z", priced("1"))) == [3, 1, 1]

    @pytest.mark.parametrize(
        ("answer", "why"),
        [
            (ended("p/cut", priced("0.1"), reason="cancelled"), "stopped answers are not ranked"),
            (ended("p/lost", priced("0.1"), reason="error"), "failed answers are not ranked"),
            (ended("p/held", priced("0.1"), reason="budget"), "what a budget stopped is not ranked"),
            (ended("p/other", priced("0.1"), reason=None), "not ranked while it runs elsewhere"),
            (ended("p/unpriced", None), "not ranked: its price is not known"),
            (ended("demo/quick", PLAY), "play money is not ranked beside money"),
            (ended("p/krone", KRONE), "not ranked: SEK has no usd_rate"),
            (running("p/asked", priced("0.1")), "nothing was charged yet"),
        ],
    )
    def test_what_cannot_be_compared_is_not_ranked_and_says_why(self, answer, why):
        found = look(answer, ended("a/x", priced("2")), ended("b/y", priced("4")))
        assert (found.answers[0].rank, found.answers[0].ratio, found.answers[0].why_not) == (None, None, why)
        assert [each.rank for each in found.answers[1:]] == [1, 2]
        assert found.unranked == [found.answers[0]]

    def test_play_money_is_ranked_among_itself(self):
        assert ranks(ended("demo/a", PLAY), ended("demo/b", PLAY, 10)) == [2, 1]

    def test_one_currency_without_a_rate_is_enough_to_compare_in(self):
        assert ranks(ended("a/x", KRONE), ended("b/y", KRONE, 10)) == [2, 1]

    def test_beside_a_free_answer_nothing_is_so_many_times_dearer(self):
        found = look(ended("a/x", priced("2")), ended("here/y", FREE))
        assert [(each.rank, each.ratio) for each in found.answers] == [(2, None), (1, None)]
        assert [each.money for each in found.answers] == ["$2.00", "free"]
        assert found.answers[1].best_at[0] == "cheapest"

    def test_one_answer_alone_is_the_best_at_nothing(self):
        found = look(ended("a/x", priced("2")), ended("b/y", None, reason="error", first=None, took=1))
        assert found.answers[0].rank == 1
        assert found.answers[0].best_at == ()

    @given(st.lists(st.decimals(0, 9, places=3), max_size=6))
    def test_ranks_follow_the_costs(self, prices):
        found = compared([ended(f"p/{n}", priced(price)) for n, price in enumerate(prices)], 0)
        for one in found.answers:
            assert one.value is not None
            assert one.rank == 1 + sum(each.value < one.value for each in found.answers if each.value is not None)
        assert found.total.usd == sum(prices)


class TestVerdicts:
    def test_each_is_told_what_it_is_best_at(self):
        found = look(
            ended("a/cheap", priced("1"), first=1.0, took=9.0, text="short"),
            ended("b/quick", priced("2"), first=0.2, took=1.0, text="short"),
            ended("c/long", priced("3"), first=1.0, took=9.0, text="a long answer"),
            ended("d/nothing", priced("4"), first=1.0, took=9.0, text="short"),
        )
        assert [each.verdict for each in found.answers] == ["cheapest", "first, fastest", "longest", ""]

    def test_what_was_cut_is_told_that_and_wins_nothing(self):
        cut = ended("c/cut", priced("1"), reason="cancelled", first=0.1, took=0.2, text="the longest of them all")
        lost = ended("d/lost", priced("1"), reason="error", first=None)
        found = look(ended("a/x", priced("2")), ended("b/y", priced("2"), first=2.0, text="y"), cut, lost)
        assert [each.verdict for each in found.answers] == [
            "cheapest, first, longest",
            "cheapest, fastest",
            "stopped",
            "failed",
        ]

    def test_an_answer_that_came_all_at_once_has_no_speed(self):
        assert look(ended("a/x", priced("1"), first=1.0, took=1.06)).answers[0].tokens_per_s is None


class TestWhileItRuns:
    def test_running_answers_are_ranked_by_what_they_cost_so_far(self):
        found = look(
            running("a/x", priced("2"), ResponseStarted(None, None), TextDelta("four")),
            running("b/y", priced("2"), ResponseStarted(None, None), TextDelta("two")),
            ended("c/z", priced("2"), 5),
        )
        assert found.running
        assert [each.rank for each in found.answers] == [2, 1, 3]
        assert [each.estimated for each in found.answers] == [True, True, False]
        assert found.answers[0].total_s == 10
        assert found.answers[0].word == "streaming"
        assert found.total.estimated

    def test_a_try_that_failed_costs_nothing_and_is_not_ranked(self):
        wait = Waiting("overloaded", "busy", 8.0, 2, 3)
        found = look(running("a/x", priced("2"), ResponseStarted(None, None), wait), ended("b/y", priced("2")))
        assert (found.answers[0].cost, found.answers[0].rank, found.answers[0].word) == (NOTHING, None, "retry")

    def test_two_models_of_one_name_are_told_apart(self):
        found = look(ended("a/x", priced("1")), ended("b/vendor/x", priced("1")), ended("b/y", priced("1")))
        assert [each.label for each in found.answers] == ["a/x", "b/vendor/x", "y"]


class TestTheTotal:
    def test_it_is_exact_and_says_what_is_missing(self):
        found = look(
            ended("a/x", priced("0.1"), 1), ended("b/y", priced("0.2"), 1, reason="cancelled"), ended("c/z", None)
        )
        assert found.total == Spent(D("0.0003"), estimated=False, unknown=1, answers=3)
        assert total(found.total).endswith(" + ?")

    def test_play_money_stands_apart_from_money(self):
        both = look(ended("a/x", priced("2")), ended("demo/y", PLAY))
        assert (total(both.total), total(both.play)) == ("$2.00", "play $1.00")
        only = look(ended("demo/x", PLAY), ended("demo/y", PLAY))
        assert (total(only.total), only.play.answers) == ("play $2.00", 0)

    def test_nothing_asked_is_nothing_said(self):
        found = look()
        assert (found.answers, found.ranked, found.running, found.total) == ((), [], False, Spent())


class TestMarkdown:
    def test_the_table_has_a_row_for_each_and_the_total(self):
        found = look(
            ended("deepseek/chat", priced("0.0025"), 1_200, first=0.38, took=12.4),
            ended("b/y", priced("0.0050"), 1_200, reason="cancelled", first=None, estimated=("output_tokens",)),
        )
        head, marks, *rows = as_markdown(found).splitlines()
        assert head == f"| {' | '.join(HEADS)} |"
        assert marks.count("---") == len(HEADS)
        assert rows == [
            "| deepseek/chat | 0.38 s | 12.4 s | 100 | 0 | 1,200 | – | $0.0030 | ×1.0 |  |",
            "| b/y | – | 3.00 s | – | 0 | ~1,200 | – | ~$0.0060 | – | stopped |",
            "| total |  |  |  | 0 | ~2,400 | – | ~$0.0090 |  |  |",
        ]

    def test_a_name_can_neither_end_a_cell_nor_begin_a_line(self):
        text = as_markdown(look(ended("a/x|y\\\n\x1b[2J", Price(D(1), D(1)))))
        assert "a/x\\|y\\\\ ␛[2J" in text
        assert text.count("\n") == 4

    def test_play_money_has_a_row_of_its_own(self):
        text = as_markdown(look(ended("a/x", priced("2")), ended("demo/y", PLAY)))
        assert text.splitlines()[-2].split(" | ")[7] == "$2.00"
        assert text.splitlines()[-1].startswith("| play money | ")


def test_a_cost_that_was_billed_as_nothing_is_the_cheapest():
    promised = ended("a/x", priced("2"))
    promised.final_cost = Cost(D(0), "USD", D(0), "reported", "billed")
    assert ranks(promised, ended("b/y", priced("1"))) == [1, 2]


def test_an_answer_that_goes_on_from_a_cut_one_costs_what_both_did():
    cut = ended("a/x", priced("3"), tokens=500, reason="budget", first=0.4, estimated=("output_tokens",))
    rest = ended("a/x", priced("3"), tokens=200, first=0.9)
    rest.resumes_id = cut.id
    other = ended("b/y", priced("2"))
    comparison = compared([rest, other], 0.0, [cut])
    whole, cheaper = comparison.answers
    assert (whole.cost.usd, whole.output_tokens, whole.first_s, whole.parts) == (D("2.1"), 700, 0.4, 2)
    assert (whole.rank, cheaper.rank) == (2, 1), "not by its last piece, which is the shorter one"
    assert whole.cost.quality == "estimated"
    assert not comparison.besides
    assert comparison.total.usd == D("4.1")
