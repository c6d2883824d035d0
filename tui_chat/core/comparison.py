"""What several answers to one prompt say of their models: cost, speed and length beside one another.

A pure look at completions, asked anew at every frame while they run: nothing here is kept, so nothing can be stale.
Ranked is what can be compared: an answer that was cut says nothing of what the whole would have cost, an unknown price
is not a price of zero, and play money is no money. One answer alone is the best at nothing.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from decimal import Decimal, localcontext
from typing import Literal

from tui_chat.core.completion import Completion, State
from tui_chat.core.elsewhere import sum_of
from tui_chat.core.format import Spent, ratio, seconds, total
from tui_chat.core.format import cost as cost_text
from tui_chat.core.pricing import EXACT, Cost, Price
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.core.usage import CountedUsage, Usage

Best = Literal["cheapest", "first", "fastest", "longest"]

HEADS = (
    "model", "first token", "total time", "tok/s", "tokens in", "tokens out", "reasoning", "cost", "ratio", "verdict",
)  # fmt: skip
"""The columns of `row_of`."""
_FASTEST = 9_999
"""Tokens per second; above it the whole answer came at once and the figure says nothing."""
_CUT = {
    State.STOPPED: "stopped answers are not ranked",
    State.BUDGET: "what a budget stopped is not ranked",
    State.FAILED: "failed answers are not ranked",
}


@record
class Compared:
    """One answer beside the others."""

    id: str
    """Of the completion."""
    name: str
    """As `provider/model`, safe for one line of the screen."""
    label: str
    """The short name, or the whole one where two of them would be called the same."""
    state: State
    word: str
    """The state for people; empty when the answer came to its end."""
    first_s: float | None
    """Seconds to the first token."""
    total_s: float | None
    """Seconds in all; those so far while it runs."""
    tokens_per_s: float | None
    usage: CountedUsage
    cost: Cost
    """`estimated` as long as it runs, whatever was reported by then."""
    price: Price | None
    play: bool
    """What it costs is play money."""
    parts: int = 1
    """Of how many answers it is made: more than one where it goes on from those that were cut."""
    value: Decimal | None = None
    """What it is ranked by; `None` = not ranked."""
    why_not: str = ""
    """Why it is not ranked."""
    rank: int | None = None
    """From 1; equal costs share it. `None` = not ranked."""
    ratio: Decimal | None = None
    """How many times the cheapest; `None` when not ranked or the cheapest costs nothing."""
    best_at: tuple[Best, ...] = ()
    voted: bool = False
    """The user found it the best."""

    @property
    def input_tokens(self) -> int | None:
        return self.usage.usage.input_tokens

    @property
    def output_tokens(self) -> int | None:
        return self.usage.usage.output_tokens

    @property
    def reasoning_tokens(self) -> int | None:
        """Tokens of the output that were reasoning; `None` = not reported, it is never estimated."""
        return self.usage.usage.reasoning_tokens

    @property
    def estimated(self) -> bool:
        return self.cost.quality == "estimated"

    @property
    def verdict(self) -> str:
        """What it is best at, else what became of it: `cheapest, first`, `stopped`, or nothing."""
        return ", ".join((*(("your vote",) if self.voted else ()), *self.best_at)) or self.word

    @property
    def money(self) -> str:
        """The cost as the screen says it; play money says so."""
        shown = cost_text(self.cost)
        return f"play {shown}" if self.play and shown not in ("–", "$?", "free") else shown


@record
class Comparison:
    """All answers of one turn."""

    answers: tuple[Compared, ...]
    """In the order in which they were asked."""
    besides: tuple[Compared, ...]
    """Other answers to the same prompt, which are not in view: earlier tries, those that were put away."""
    running: bool
    """One of them still runs: all that is said holds so far."""
    total: Spent
    """What the turn cost; play money only where there is nothing else."""
    play: Spent
    """The play money beside it; without answers where there is none."""

    @property
    def ranked(self) -> list[Compared]:
        """The ranked ones, the cheapest first; what costs the same stays in the order in which it was asked."""
        return sorted((each for each in self.answers if each.rank is not None), key=lambda each: each.rank or 0)

    @property
    def unranked(self) -> list[Compared]:
        return [each for each in self.answers if each.rank is None]

    def best(self, what: Best) -> list[Compared]:
        """Return who is best at something: nobody where only one could be, several where they are equal."""
        return [each for each in self.answers if what in each.best_at]


# looking


def compared(
    completions: Sequence[Completion], now_s: float, besides: Sequence[Completion] = (), won_by: str | None = None
) -> Comparison:
    """Return what there is to say of answers at `now_s` on the monotonic clock.

    `besides` are answers to the same prompt that are not compared, but were paid for; `won_by` is the model that the
    user voted for.
    """
    short = Counter(each.model.short_name for each in completions)
    plays = [_is_play(each) for each in completions]
    parts = [_parts_before(each, besides) for each in completions]
    found = [
        _with_parts(_look(each, now_s, twice=short[each.model.short_name] > 1, play=play), before)
        for each, play, before in zip(completions, plays, parts, strict=True)
    ]
    counted = {part.id for before in parts for part in before}
    besides = [each for each in besides if each.id not in counted]
    lengths = {each.id: each.text_log.size for each in completions}
    real = not all(plays)
    found = [replace(each, voted=each.name == won_by) for each in found]
    answers = _with_best(_ranked([_judged(each, real=real) for each in found]), lengths)
    others = [_look(each, now_s, twice=False, play=_is_play(each)) for each in besides]
    money = [each.cost for each in (*answers, *others) if not (real and each.play)]
    apart = [each.cost for each in (*answers, *others) if real and each.play]
    return Comparison(
        tuple(answers),
        tuple(others),
        any(each.running for each in completions),
        replace(sum_of(money), play=not real and bool(answers)),
        replace(sum_of(apart), play=True) if apart else Spent(),
    )


def _is_play(completion: Completion) -> bool:
    """Say whether it costs play money; the cost alone does not know before something was charged."""
    price = completion.model.price
    return completion.model.scripted or completion.cost.play or (price is not None and price.play)


def _look(completion: Completion, now_s: float, *, twice: bool, play: bool) -> Compared:
    model, state = completion.model, completion.state
    elsewhere = not completion.running and completion.finish_reason is None
    whole = state in (State.DONE, State.SETTLED)
    began, rate, cost = completion.started_at_s, completion.rate(now_s), completion.cost
    if completion.running and cost.quality == "reported" and cost.amount:
        cost = replace(cost, quality="estimated")  # what was reported so far is not the end of it
    return Compared(
        completion.id,
        one_line(model.name, 200),
        one_line(model.name if twice else model.short_name, 200),
        state,
        "elsewhere" if elsewhere else "" if whole else state.value,
        completion.ttft_s,
        now_s - began if completion.running and began is not None else completion.total_s,
        rate if rate is not None and rate < _FASTEST else None,
        completion.usage,
        cost,
        model.price,
        play,
    )


def _parts_before(completion: Completion, others: Sequence[Completion]) -> list[Completion]:
    """Return the cut answers that one goes on from, its text with theirs being one."""
    found: list[Completion] = []
    wanted = completion.resumes_id
    while wanted is not None and (part := next((each for each in others if each.id == wanted), None)) is not None:
        if part in found:
            break
        found.append(part)
        wanted = part.resumes_id
    return found


def _with_parts(answer: Compared, before: Sequence[Completion]) -> Compared:
    """Return it with what the parts before it took: they are one answer to who reads, and were all paid for."""
    if not before:
        return answer
    usage, cost = answer.usage, answer.cost
    for part in before:
        usage, cost = _both(usage, part.usage), _sum_of_two(cost, part.cost)
    return replace(answer, usage=usage, cost=cost, first_s=before[-1].ttft_s, parts=len(before) + 1)


def _both(left: CountedUsage, right: CountedUsage) -> CountedUsage:
    figures = {
        name: None if a is None and b is None else (a or 0) + (b or 0)
        for name in ("input_tokens", "output_tokens", "reasoning_tokens")
        for a, b in [(getattr(left.usage, name), getattr(right.usage, name))]
    }
    return CountedUsage(Usage(**figures), left.source, tuple({*left.estimated, *right.estimated}))


def _sum_of_two(left: Cost, right: Cost) -> Cost:
    """Return both costs as one; of two currencies only what both are in USD."""
    with localcontext(EXACT):
        usd = None if left.usd is None or right.usd is None else left.usd + right.usd
        same = left.currency == right.currency and left.amount is not None and right.amount is not None
        amount = left.amount + right.amount if same and left.amount is not None and right.amount is not None else usd
    quality = left.quality if left.quality != "reported" else right.quality
    return replace(left, amount=amount, usd=usd, quality=quality, currency=left.currency if same else "USD")


def _judged(answer: Compared, *, real: bool) -> Compared:
    """Return it with the reason why it is not ranked, where there is one."""
    cost = answer.cost
    if answer.word == "elsewhere":
        why = "not ranked while it runs elsewhere"
    elif answer.state in _CUT:
        why = _CUT[answer.state]
    elif answer.play and real:
        why = "play money is not ranked beside money"
    elif cost.amount is None:
        priced = answer.price is not None and answer.price.known
        why = f"not ranked: {'its tokens are' if priced else 'its price is'} not known"
    elif not cost.amount and cost.price_source is None:
        why = "nothing was charged yet" if answer.state.running else "nothing was charged"
    else:
        return answer
    return replace(answer, why_not=why)


def _ranked(answers: list[Compared]) -> list[Compared]:
    """Return them with rank and ratio by what they cost in USD, or in the one currency that all of them have."""
    single = len({each.cost.currency for each in answers if not each.why_not}) == 1
    valued = []
    for each in answers:
        value = None if each.why_not else each.cost.amount if single else each.cost.usd
        lost = not each.why_not and value is None
        why = f"not ranked: {each.cost.currency} has no usd_rate" if lost else each.why_not
        valued.append(replace(each, value=value, why_not=why))
    values = sorted(each.value for each in valued if each.value is not None)
    return [each if each.value is None else _placed(each, each.value, values) for each in valued]


def _placed(answer: Compared, value: Decimal, values: Sequence[Decimal]) -> Compared:
    least = values[0]
    return replace(answer, rank=values.index(value) + 1, ratio=value / least if least else None)


def _with_best(answers: Sequence[Compared], lengths: dict[str, int]) -> list[Compared]:
    """Return them with what each is best at; those that were cut do not take part."""
    racing = [each for each in answers if each.state not in _CUT]
    winners: list[tuple[Best, set[str]]] = [
        ("cheapest", _extreme(((each.id, each.value) for each in racing), min)),
        ("first", _extreme(((each.id, each.first_s) for each in racing), min)),
        ("fastest", _extreme(((each.id, each.tokens_per_s) for each in racing), max)),
        # characters: tokens of one model are not those of another
        ("longest", _extreme(((each.id, lengths[each.id] or None) for each in racing), max)),
    ]
    return [replace(each, best_at=tuple(what for what, ids in winners if each.id in ids)) for each in answers]


def _extreme(figures: Iterable[tuple[str, float | Decimal | None]], pick: Callable[..., object]) -> set[str]:
    known = [(name, figure) for name, figure in figures if figure is not None]
    if len(known) < 2:
        return set()
    best = pick(figure for _, figure in known)
    return {name for name, figure in known if figure == best}


# as text


def row_of(answer: Compared) -> tuple[str, ...]:
    """Return the cells of one answer, one for each of `HEADS`; what is not known is a dash."""
    used, estimated = answer.usage.usage, answer.usage.estimated
    return (
        answer.name,
        "–" if answer.first_s is None else seconds(answer.first_s),
        "–" if answer.total_s is None else seconds(answer.total_s),
        "–" if answer.tokens_per_s is None else f"{answer.tokens_per_s:,.0f}",
        _count(used.input_tokens, estimated="input_tokens" in estimated),
        _count(used.output_tokens, estimated="output_tokens" in estimated),
        _count(used.reasoning_tokens),
        answer.money,
        "–" if answer.ratio is None else ratio(answer.ratio),
        answer.verdict,
    )


def total_rows(comparison: Comparison) -> list[tuple[str, ...]]:
    """Return the cells below the answers: the total, and what was play money beside it."""
    rows = []
    if others := comparison.besides:
        cost = total(sum_of([each.cost for each in others if each.play is all(other.play for other in others)]))
        rows.append((f"{len(others)} not shown", "", "", "", *_sums(others), cost, "", ""))
    rows.append(("total", "", "", "", *_sums((*comparison.answers, *others)), total(comparison.total), "", ""))
    if comparison.play.answers:
        rows.append(("play money", "", "", "", "", "", "", total(comparison.play), "", ""))
    return rows


def _sums(answers: Sequence[Compared]) -> list[str]:
    return [_sum(answers, name) for name in ("input_tokens", "output_tokens", "reasoning_tokens")]


def _sum(answers: Sequence[Compared], name: str) -> str:
    used = [each.usage for each in answers]
    known = [count for each in used if (count := getattr(each.usage, name)) is not None]
    return _count(sum(known) if known else None, estimated=any(name in each.estimated for each in used))


def _count(tokens: int | None, *, estimated: bool = False) -> str:
    return "–" if tokens is None else f"{'~' if estimated else ''}{tokens:,}"


def as_markdown(comparison: Comparison) -> str:
    """Return the table as markdown: head, a row for each answer in the order they were asked, the total."""
    marks = ["---", *["---:"] * (len(HEADS) - 2), "---"]
    rows = [row_of(each) for each in comparison.answers] + total_rows(comparison)
    escaped = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (HEADS, marks, *escaped))
