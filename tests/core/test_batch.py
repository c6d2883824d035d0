"""The prompts of a file, what is left of a run, and its sums."""

import json
from decimal import Decimal

import pytest

from tests.core.doubles import NOON, PRICE
from tui_chat.core.batch import Batch, Figures, Progress, Prompt, answers_well, ratios, read_prompts, run_key, spending
from tui_chat.core.completion import Completion, Log
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError, ConfigurationError
from tui_chat.core.events import FinishReason
from tui_chat.core.model import Model
from tui_chat.core.pricing import UNKNOWN_COST, Charge, Cost, Price
from tui_chat.core.usage import CountedUsage, Usage

A, B = Model("work", "a", price=PRICE), Model("work", "b", price=PRICE)
PROMPTS = (Prompt(1, "one"), Prompt(2, "two"), Prompt(3, "one"))


def cost(usd: str, *, quality: str = "reported", play: bool = False) -> Cost:
    return Cost(Decimal(usd), "USD", Decimal(usd), quality, "config", None, play)  # type: ignore[arg-type]


def ended(model: Model, reason: FinishReason | None = "stop", text: str = "text", usd: str = "0.1") -> Completion:
    error = ChatError("server", "oops") if reason == "error" else None
    return Completion(
        f"{model.id}{next(NUMBERS)}",
        "turn",
        model,
        NOON,
        text_log=Log(text),
        finish_reason=reason,
        error=error,
        final_usage=CountedUsage(Usage(10, 5), "reported"),
        final_cost=cost(usd),
        ttft_s=0.5,
        total_s=1.5,
    )


NUMBERS = iter(range(1_000_000))


def turn(prompt: str, *completions: Completion, continues: str | None = None) -> Turn:
    return Turn(
        f"t{next(NUMBERS)}", "conversation", prompt, NOON, continues=continues, completions=[*completions]
    )  # fmt: skip


# the file


def test_text_is_one_prompt_a_line():
    found = read_prompts("\ufeffone\r\n\r\n  two  \nthree\u2028still three".encode(), "x.txt")
    assert found == (Prompt(1, "one"), Prompt(2, "two"), Prompt(3, "three\u2028still three"))


def test_a_first_line_that_begins_as_an_object_makes_it_json_lines():
    lines = [{"prompt": " a\n", "id": "x"}, {"prompt": "b", "system": "s", "other": [1]}, {"prompt": "c", "id": None}]
    content = "\n".join(map(json.dumps, lines)).encode()
    assert read_prompts(content, "x.txt") == (Prompt("x", " a\n"), Prompt(2, "b", "s"), Prompt(3, "c"))
    assert read_prompts(b"{braces} are text\n", "x.txt") == (Prompt(1, "{braces} are text"),)


@pytest.mark.parametrize(
    "line",
    [
        "text",
        "[]",
        '"text"',
        "{}",
        '{"prompt": ""}',
        '{"prompt": null}',
        '{"prompt": "a", "system": 1}',
        '{"prompt": "a", "id": true}',
        '{"prompt": "a", "id": {}}',
        "[" * 100_000,
    ],
)
def test_a_wrong_line_is_named(line):
    with pytest.raises(ConfigurationError, match=r"f\.jsonl, line 3: "):
        read_prompts(f'{{"prompt": "a"}}\n\n{line}\n'.encode(), "f.jsonl")
    with pytest.raises(ConfigurationError, match=r"f\.jsonl, line 1: "):
        read_prompts(f"{line}\n".encode(), "f.jsonl")


@pytest.mark.parametrize("content", [b"", b"\n \r\n", b"\xef\xbb\xbf"])
def test_a_file_without_a_prompt_is_refused(content):
    with pytest.raises(ConfigurationError, match="holds no prompt"):
        read_prompts(content, "x")


def test_the_key_is_of_file_models_parameters_and_system():
    warm = Model("work", "a", params={"temperature": 1})
    key = run_key(b"x", [A, B], None)
    assert key == run_key(b"x", [B, A], None)
    others = [(b"y", [A, B], None), (b"x", [A], None), (b"x", [warm, B], None), (b"x", [A, B], "s")]
    assert len({key, *(run_key(*each) for each in others)}) == 5


# what is left


@pytest.mark.parametrize("reason", ["stop", "length", "tool_calls", "content_filter"])
def test_an_answer_that_came_to_its_end_is_not_asked_again(reason):
    assert answers_well(ended(A, reason))
    assert answers_well(ended(A, reason, "")) == (reason != "content_filter")


@pytest.mark.parametrize("reason", [None, "cancelled", "interrupted", "budget", "error"])
def test_one_that_was_cut_is(reason):
    assert not answers_well(ended(A, reason))


def test_turns_are_found_by_their_prompts_in_order():
    first, second, third = turn("one"), turn("two"), turn("one")
    batch = Batch.over(PROMPTS, (A,), [turn("one", continues="x"), turn("foreign"), first, second, third])
    assert batch.turns == [first, second, third]
    assert Batch.over(PROMPTS, (A,), [first]).turns == [first, None, None]


def test_what_is_left_is_what_has_no_good_answer_whatever_came_later():
    good, failed = ended(A), ended(A, "error", "")
    batch = Batch.over(PROMPTS, (A, B), [turn("one", good, failed, ended(B, "cancelled")), turn("two", ended(B))])
    assert batch.result(0, A) is good
    assert (batch.left(A), batch.left(B)) == ([1, 2], [0, 2])
    assert batch.size == 6


# sums


def test_every_charge_counts_for_its_model_and_sums_are_exact():
    good, failed, other = ended(A), ended(A, "error"), ended(B, usd="7")
    batch = Batch.over(PROMPTS, (A, B), [turn("one", failed, good, other)])
    tiny = "0.1000000000000000000000000000000000000000001"
    charges = [
        Charge(failed.id, 1, "work/a", Usage(10, 1), NOON, cost("0.2", quality="estimated")),
        Charge(good.id, 1, "work/a", Usage(10, 0), NOON, cost("0.3")),
        Charge(good.id, 2, "work/a", Usage(10, 5, None, None, 3), NOON, cost(tiny)),
        Charge("of another turn", 1, "work/a", Usage(99, 99), NOON, cost("99")),
    ]
    a, b = batch.figures(charges)
    assert (a.answers, a.failed, a.spent.input_tokens, a.spent.output_tokens) == (1, 0, 30, 6)
    assert a.spent.reasoning_tokens == 3
    assert a.cost_usd == Decimal("0.6000000000000000000000000000000000000000001")
    assert a.spent.estimated_usd == Decimal("0.2"), "what failed is paid for too"
    assert a.per_answer_usd is not None
    assert round(a.per_answer_usd, 9) == Decimal("0.4"), "but is no part of what an answer costs"
    assert (a.first_token_s, a.total_s, a.tokens_per_s) == (0.5, 1.5, 5)
    assert (b.answers, b.cost_usd) == (1, Decimal(7)), "without a charge, as after an import, its own cost counts"


def test_what_was_never_sent_is_no_charge_and_an_unknown_price_is_no_zero():
    nothing = ended(A, "error")
    nothing.final_cost = Cost(Decimal(0), "USD", Decimal(0), "reported")
    unknown = ended(B)
    unknown.final_cost = UNKNOWN_COST
    a, b = Batch.over(PROMPTS, (A, B), [turn("one", nothing, unknown)]).figures([])
    assert (a.failed, a.spent.charges, a.cost_usd, a.per_answer_usd) == (1, 0, Decimal(0), None)
    assert (b.answers, b.spent.unknown, b.cost_usd, b.per_answer_usd) == (1, 1, None, None)


def test_ratios_are_to_the_cheapest_that_costs_anything():
    def row(usd: str) -> Figures:
        spent = spending("x", [(Usage(1, 1), cost(usd)), (Usage(1, 1), cost(usd))])
        return Figures("x", 2, 0, spent, spent, play=False, first_token_s=None, total_s=None, tokens_per_s=None)

    assert ratios([row("0"), row("0.5"), row("0.25")]) == [None, 2, 1]
    assert ratios([row("0")]) == [None]


# while it runs


def test_what_is_to_come_is_the_mean_of_each_model_times_the_rest():
    batch = Batch.over(PROMPTS, (A, B), [turn("one", ended(A, usd="0.2"), ended(B, "error", usd="0"))])
    progress = Progress.of(batch)
    assert (progress.done, progress.failed) == (1, 0), "what failed before is asked again"
    assert progress.so_far == (Decimal("0.2"), True)
    assert progress.to_come == (Decimal("0.4"), False), "nobody knows what b will cost"
    progress.end(ended(B, usd="0.1"))
    assert progress.to_come == (Decimal("0.6"), True)
    progress.end(ended(A, "error", usd="1"))
    progress.end(ended(A, "cancelled", usd="0"))
    assert (progress.done, progress.failed, progress.to_come) == (2, 1, (Decimal("0.6"), True))
    assert progress.so_far == (Decimal("1.3"), True)


def test_play_money_is_left_out_unless_there_is_no_other():
    demo = Model("demo", "quick", price=Price(Decimal(1), Decimal(1), source="play", play=True))
    played = [ended(demo, usd="5") for _ in range(3)]
    assert Progress.of(Batch.over(PROMPTS, (demo, A), [turn("one", played[0])])).so_far == (Decimal(0), True)
    alone = Progress.of(Batch.over(PROMPTS, (demo,), [turn("one", played[0])]))
    assert (alone.so_far, alone.to_come, alone.play) == ((Decimal(5), True), (Decimal(10), True), True)
