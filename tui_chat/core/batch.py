"""A file of prompts over several models: what it asks, what is answered already, and what it came to.

Pure: who runs it asks for what is left and hands back what came. Turns are found again by their prompts, in the order
of the file, because each prompt of a run became a first turn in that order.
"""

import hashlib
import json
import re
from collections import Counter, deque
from collections.abc import Iterable, Sequence
from dataclasses import field
from decimal import Decimal, localcontext

from tui_chat.core.calibration import median
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import ChatError, ConfigurationError
from tui_chat.core.model import Model
from tui_chat.core.pricing import Charge, Cost
from tui_chat.core.record import entity, record
from tui_chat.core.usage import Usage
from tui_chat.core.usage_report import EXACT_DIGITS, Foreign, UsageRow, exact_sum

TAG = "compare:"
"""What the tag of a run begins with; its key follows."""
HOPELESS = ("authentication", "payment", "not_found")
"""Kinds of errors that the next prompt would meet too."""
_JSON_LINES = (".jsonl", ".ndjson")
_OBJECT = re.compile(r'\s*\{\s*"')
_CUT = (None, "cancelled", "interrupted", "error", "budget")


@record
class Prompt:
    id: str | int | float
    """What the file calls it, else its number, counted from 1."""
    text: str
    system: str | None = None
    """Its own system prompt; `None` = that of the run, empty = none at all."""


def read_prompts(content: bytes, name: str) -> tuple[Prompt, ...]:
    """Return the prompts of a file: JSON Lines, or text with one prompt a line.

    JSON Lines are known by the file's name, or by a first line that begins as an object does. Raises
    ConfigurationError, which names the line.
    """
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError as wrong:
        line = content.count(b"\n", 0, wrong.start) + 1
        raise ConfigurationError(f"{name}, line {line}: it is not UTF-8 text; save it as UTF-8") from None
    # only LF ends a line: the other separators of Unicode may stand inside a prompt
    lines = [(number, line.strip()) for number, line in enumerate(text.split("\n"), 1)]
    lines = [(number, line) for number, line in lines if line]
    if not lines:
        raise ConfigurationError(f'{name} holds no prompt; write one a line, or JSON Lines with a "prompt" each')
    if name.lower().endswith(_JSON_LINES) or _OBJECT.match(lines[0][1]):
        return tuple(_from_json(line, name, number, at) for at, (number, line) in enumerate(lines, 1))
    return tuple(Prompt(at, line) for at, (_, line) in enumerate(lines, 1))


def _from_json(line: str, name: str, number: int, at: int) -> Prompt:
    where = f"{name}, line {number}"
    try:
        found = json.loads(line)
    except (ValueError, RecursionError):
        raise ConfigurationError(f'{where}: no JSON object; write {{"prompt": "…"}}') from None
    if not isinstance(found, dict):
        raise ConfigurationError(f'{where}: no JSON object; write {{"prompt": "…"}}')
    prompt, system, given = found.get("prompt"), found.get("system"), found.get("id")
    if not isinstance(prompt, str) or not prompt.strip():
        raise ConfigurationError(f'{where}: "prompt" must be there, a text that is not empty')
    if not isinstance(system, str | None):
        raise ConfigurationError(f'{where}: "system" must be a text')
    if isinstance(given, bool) or not isinstance(given, str | int | float | None):
        raise ConfigurationError(f'{where}: "id" must be a text or a number')
    return Prompt(at if given is None else given, prompt, system)


def run_key(content: bytes, models: Iterable[Model], system: str | None) -> str:
    """Return what a run is found by: a hash of the file, the models in any order, their parameters, the system."""
    asked = sorted((model.name, json.dumps(model.params, sort_keys=True, default=str)) for model in models)
    digest = hashlib.sha256(content)
    digest.update(json.dumps([len(content), asked, system]).encode())
    return digest.hexdigest()


def answers_well(completion: Completion) -> bool:
    """Say whether a completion is an answer that need not be asked for again."""
    if completion.running or completion.error is not None or completion.finish_reason in _CUT:
        return False
    return completion.finish_reason != "content_filter" or bool(completion.text)


@record
class Figures:
    """What one model did in a run."""

    model: str
    answers: int
    failed: int
    """Prompts that were asked, or would have been in vain, and have no answer."""
    spent: UsageRow
    """Everything that was charged for it: stopped and failed attempts too."""
    answered: UsageRow
    """What its answers were charged, the retries before them included."""
    play: bool
    """It is play money."""
    first_token_s: float | None
    """The median over its answers, as the next two."""
    total_s: float | None
    tokens_per_s: float | None

    @property
    def cost_usd(self) -> Decimal | None:
        """What is known in USD; `None` when nothing is."""
        return self.spent.usd if self.spent.priced or not self.spent.charges else None

    @property
    def per_answer_usd(self) -> Decimal | None:
        """What an answer costs, without those that were cut; `None` when that is not known."""
        if not self.answers or not self.answered.cost_known:
            return None
        return self.answered.usd / self.answers


def ratios(rows: Sequence[Figures]) -> list[Decimal | None]:
    """Return how many times as much as the cheapest that costs anything each model costs for an answer."""
    costs = [row.per_answer_usd for row in rows]
    cheapest = min((cost for cost in costs if cost), default=None)
    return [None if not cost or cheapest is None else cost / cheapest for cost in costs]


@entity
class Batch:
    """Prompts times models, and the turns in which they are answered."""

    prompts: tuple[Prompt, ...]
    models: tuple[Model, ...]
    turns: list[Turn | None]
    """For each prompt its turn, `None` before it is asked."""
    hopeless: dict[str, ChatError]
    """Models that no more is asked of, and why."""
    limited: dict[str, ChatError] = field(default_factory=dict)
    """Models that nothing is left for, and the limit that says so."""

    @classmethod
    def over(cls, prompts: tuple[Prompt, ...], models: tuple[Model, ...], turns: Iterable[Turn] = ()) -> "Batch":
        """Return the run of some prompts over some models; `turns` are those of its conversation, in their order."""
        waiting: dict[str, deque[Turn]] = {}
        for turn in turns:
            if turn.continues is None:
                waiting.setdefault(turn.prompt, deque()).append(turn)
        found = [waiting[each.text].popleft() if waiting.get(each.text) else None for each in prompts]
        return cls(prompts, models, found, {})

    @property
    def size(self) -> int:
        """How many answers there are to be."""
        return len(self.prompts) * len(self.models)

    def result(self, at: int, model: Model) -> Completion | None:
        """Return a model's answer to a prompt, else its last attempt; `None` when it was not asked."""
        turn = self.turns[at]
        asked = [] if turn is None else [each for each in turn.completions if each.model.name == model.name]
        return next(filter(answers_well, asked), asked[-1] if asked else None)

    def left(self, model: Model) -> list[int]:
        """Return the prompts that a model still has to answer, in their order."""
        results = ((at, self.result(at, model)) for at in range(len(self.prompts)))
        return [at for at, found in results if found is None or not answers_well(found)]

    def completions(self) -> list[Completion]:
        """Return everything that was asked of these models, failed attempts too."""
        names = {model.name for model in self.models}
        return [each for turn in self.turns if turn for each in turn.completions if each.model.name in names]

    def figures(self, charges: Iterable[Charge]) -> list[Figures]:
        """Return what each model did; `charges` are those of the conversation.

        A completion without a charge, as after an import, counts with its own cost.
        """
        own = {each.id: each for each in self.completions()}
        paid: dict[str, list[_Paid]] = {model.name: [] for model in self.models}
        charged = set()
        for charge in charges:
            if (each := own.get(charge.completion_id)) is not None:
                charged.add(each.id)
                paid[each.model.name].append((each, charge.usage, charge.cost))
        for each in own.values():
            if each.id not in charged and (each.cost.amount != 0 or each.cost.price_source is not None):
                paid[each.model.name].append((each, each.usage.usage, each.cost))
        return [self._of(model, paid[model.name]) for model in self.models]

    def _of(self, model: Model, paid: Sequence["_Paid"]) -> Figures:
        results = [self.result(at, model) for at in range(len(self.prompts))]
        good = {each for each in results if each is not None and answers_well(each)}
        asked = len(results) - results.count(None)
        return Figures(
            model.name,
            len(good),
            (len(results) if model.name in self.hopeless else asked) - len(good),
            spending(model.name, [(usage, cost) for _, usage, cost in paid]),
            spending(model.name, [(usage, cost) for each, usage, cost in paid if each in good]),
            play=all(cost.play for _, _, cost in paid) if paid else is_play(model),
            first_token_s=_median(each.ttft_s for each in good),
            total_s=_median(each.total_s for each in good),
            tokens_per_s=_median(each.rate(0) for each in good),
        )


_Paid = tuple[Completion, Usage, Cost]


def spending(key: str, paid: Sequence[tuple[Usage, Cost]]) -> UsageRow:
    """Return what some calls used and cost together, with exact sums."""
    costs = [cost for _, cost in paid]
    thought = [usage.reasoning_tokens for usage, _ in paid if usage.reasoning_tokens is not None]
    settled = [cost.usd for cost in costs if cost.usd is not None and cost.quality == "reported"]
    guessed = [cost.usd for cost in costs if cost.usd is not None and cost.quality != "reported"]
    return UsageRow(
        key,
        key,
        answers=len(paid),
        input_tokens=sum(usage.input_tokens or 0 for usage, _ in paid),
        output_tokens=sum(usage.output_tokens or 0 for usage, _ in paid),
        reasoning_tokens=sum(thought) if thought else None,
        settled_usd=exact_sum(settled),
        estimated_usd=exact_sum(guessed),
        charges=len(paid),
        priced=len(settled) + len(guessed),
        free=sum(cost.amount == 0 and cost.price_source not in (None, "billed") for cost in costs),
        unknown=sum(cost.amount is None for cost in costs),
        foreign=_foreign(costs),
    )


def _foreign(costs: Iterable[Cost]) -> tuple[Foreign, ...]:
    amounts: Counter[str] = Counter()
    sums: dict[str, list[Decimal]] = {}
    for cost in costs:
        if cost.usd is None and cost.amount is not None:
            sums.setdefault(cost.currency, []).append(cost.amount)
            amounts[cost.currency] += cost.quality != "reported"
    return tuple(Foreign(unit, exact_sum(each), bool(amounts[unit])) for unit, each in sorted(sums.items()))


def is_play(model: Model) -> bool:
    """Say whether what a model costs is play money."""
    return model.price is not None and model.price.play


def _median(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return median(known) if known else None


@entity
class Progress:
    """Where a run stands, followed answer by answer: cheap enough to be drawn ten times a second."""

    batch: Batch
    answered: dict[str, int]
    failed: int
    usd: dict[str, Decimal]
    """What ended, by model."""
    answered_usd: dict[str, Decimal]
    """The answers in it."""
    unpriced: set[str]
    """Models of which something has no known cost in USD."""
    running: dict[str, Completion]

    @classmethod
    def of(cls, batch: Batch) -> "Progress":
        """Return where a run stands before it goes on; earlier failures are asked again, so they do not count."""
        names = [model.name for model in batch.models]
        done = {model.name: len(batch.prompts) - len(batch.left(model)) for model in batch.models}
        progress = cls(batch, done, 0, dict.fromkeys(names, Decimal(0)), dict.fromkeys(names, Decimal(0)), set(), {})
        for each in batch.completions():
            progress.count(each)
        return progress

    def start(self, completion: Completion) -> None:
        self.running[completion.id] = completion

    def end(self, completion: Completion) -> None:
        self.running.pop(completion.id, None)
        if completion.running:  # it never began
            return
        self.count(completion)
        if answers_well(completion):
            self.answered[completion.model.name] += 1
        elif completion.finish_reason != "cancelled":
            self.failed += 1

    def put_back(self) -> None:
        """Take back that an answer failed, which is asked for again."""
        self.failed -= 1

    def count(self, completion: Completion) -> None:
        """Add the cost of an ended completion."""
        usd, name = completion.cost.usd, completion.model.name
        if usd is None:
            self.unpriced.add(name)
        with localcontext() as context:
            context.prec = EXACT_DIGITS
            self.usd[name] += usd or 0
            self.answered_usd[name] += (usd or 0) if answers_well(completion) else 0

    @property
    def done(self) -> int:
        return sum(self.answered.values())

    @property
    def queued_until_s(self) -> float | None:
        """When the next request will be sent, on the monotonic clock; `None` unless all that run are queued."""
        ends = [each.queued_until_s for each in self.running.values()]
        known = [end_s for end_s in ends if end_s is not None]
        return min(known) if known and len(known) == len(ends) else None

    @property
    def play(self) -> bool:
        """All of it is play money."""
        return all(is_play(model) for model in self.batch.models)

    def _counts(self, model: Model) -> bool:
        return self.play or not is_play(model)

    @property
    def so_far(self) -> tuple[Decimal, bool]:
        """Return what is spent in USD, running answers included, and whether that is all of it."""
        counted = [model for model in self.batch.models if self._counts(model)]
        names = {model.name for model in counted}
        now = [each.cost.usd for each in self.running.values() if each.model.name in names]
        spent = [self.usd[name] for name in names] + [usd for usd in now if usd is not None]
        return exact_sum(spent), not (None in now or names & self.unpriced)

    @property
    def to_come(self) -> tuple[Decimal, bool]:
        """Return what the rest will probably cost in USD, and whether that is known of every model.

        For each model the mean of its answers so far, times those that it has not given.
        """
        total, known = Decimal(0), True
        for model in self.batch.models:
            answered, rest = self.answered[model.name], len(self.batch.prompts) - self.answered[model.name]
            given_up = model.name in self.batch.hopeless or model.name in self.batch.limited
            if not rest or given_up or not self._counts(model):
                continue
            if not answered or model.name in self.unpriced:
                known = False
                continue
            running = [each.cost.usd or Decimal(0) for each in self.running.values() if each.model.name == model.name]
            total += max(Decimal(0), self.answered_usd[model.name] / answered * rest - sum(running, Decimal(0)))
        return total, known
