"""How far our counts are from a provider's bill, and what its own reports teach about it.

A public vocabulary counts a text exactly and the bill only nearly: vendors have vocabularies of their own, put hidden
tokens around messages, and write some that nobody sees. So an estimate is a count times a ratio. A model begins with
the ratio of its family; each report of usage is a sample, and a median of the last ones takes over, in which the
family's ratio keeps two votes: one odd answer changes little, three in a row change nearly everything.

Starting ratios: billed output tokens over a count in o200k_base, medians of recorded answers of real providers
(n from 6 to 106 per family, mostly short English ones, 2026-11).
"""

import re
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Literal

from tui_chat.core.record import record

KEPT = 8
"""Samples of one kind that count."""
LEAST_RAW = 20
"""Tokens of a text that says something about a ratio; below, the hidden ones weigh more than the text."""
_LOWEST, _HIGHEST = 0.5, 2.0

_FAMILIES = (
    (r"claude-(opus-4-[7-9]|[a-z]+-([5-9]|\d\d)(?!\d))", 1.47),
    (r"claude", 1.18),
    (r"gpt-5|(^|[-/])o[1-9]", 1.02),
    (r"gpt|chatgpt", 1.01),
    (r"deepseek", 1.03),
    (r"grok", 0.99),
    (r"qwen|qwq", 1.02),
    (r"gemini", 1.05),
    (r"mistral|mixtral|ministral|codestral|magistral|devstral|pixtral", 1.20),
    (r"llama|gemma|glm", 1.08),
)
"""Patterns of model ids, the first that fits; compiled when they are first needed, not at every start."""

Kind = Literal["input", "first", "output"]
"""What a sample is about: how a prompt grew within a chat, the first prompt of a chat, an answer."""


@record
class Sample:
    """One report beside our count of the same thing."""

    kind: Kind
    raw: int
    """Our count."""
    reported: int


Read = Callable[[str, str], Iterable[Sample]]
"""Returns the samples of a provider and a model id, the oldest first."""


def family_ratio(model_id: str) -> float:
    """Return billed tokens per counted one for a model nobody has used yet; 1 when its family is not known."""
    return next((ratio for pattern, ratio in _FAMILIES if re.search(pattern, model_id, re.IGNORECASE)), 1.0)


class Calibrator:
    """What is known of every model's ratio. Not thread-safe in `learn`; reading is."""

    def __init__(
        self,
        read: Read = lambda _provider, _model: (),
        keep: Callable[[str, str, Sample], None] = lambda _provider, _model, _sample: None,
    ) -> None:
        """`read` is asked once for each model, when it is first needed; `keep` gets each new sample."""
        self._read = read
        self._keep = keep
        self._samples: dict[tuple[str, str], dict[Kind, deque[Sample]]] = {}

    def output_ratio(self, provider: str, model_id: str) -> float:
        """Return billed tokens of an answer per counted one, as far as we know."""
        return self._ratio(provider, model_id, "output")

    def grown_input(self, provider: str, model_id: str, reported: int, growth: int) -> int:
        """Return the tokens of a prompt that is `growth` counted ones longer than the last, which was reported."""
        return reported + round(growth * self._ratio(provider, model_id, "input"))

    def first_input(self, provider: str, model_id: str, raw: int) -> int:
        """Return the tokens of a prompt before which nothing was reported; `raw` is our count."""
        ratio = self._ratio(provider, model_id, "input")
        rests = [sample.reported - ratio * sample.raw for sample in self._of(provider, model_id, "first")]
        hidden = max(0.0, median(rests)) if rests else 0.0
        return round(ratio * raw + hidden)

    def learn(self, provider: str, model_id: str, sample: Sample) -> None:
        """Take a sample that says something; nonsense and tiny ones are left."""
        least = 1 if sample.kind == "first" else LEAST_RAW
        if sample.raw < least or sample.reported < 1:
            return
        self._of(provider, model_id, sample.kind).append(sample)
        self._keep(provider, model_id, sample)

    def _ratio(self, provider: str, model_id: str, kind: Kind) -> float:
        start = family_ratio(model_id)
        found = [clipped(each.reported / each.raw) for each in self._of(provider, model_id, kind)]
        return median([start, start, *found])

    def _of(self, provider: str, model_id: str, kind: Kind) -> deque[Sample]:
        known = self._samples.get((provider, model_id))
        if known is None:
            known = {each: deque(maxlen=KEPT) for each in ("input", "first", "output")}
            for sample in self._read(provider, model_id):
                known[sample.kind].append(sample)
            self._samples[provider, model_id] = known
        return known[kind]


def median(values: Iterable[float]) -> float:
    """Return the middle of some values, which must not be empty; the library's own costs 3 ms of every start."""
    ordered = sorted(values)
    at = len(ordered) // 2
    return ordered[at] if len(ordered) % 2 else (ordered[at - 1] + ordered[at]) / 2


def clipped(ratio: float) -> float:
    return min(_HIGHEST, max(_LOWEST, ratio))


def kept(samples: Sequence[Sample]) -> list[Sample]:
    """Return the samples that still count, of each kind the last ones, in their order."""
    found: list[Sample] = []
    for sample in reversed(samples):
        if sum(each.kind == sample.kind for each in found) < KEPT:
            found.append(sample)
    return found[::-1]
