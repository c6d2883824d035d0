"""Votes on answers, and how the models stand by them.

A winner beats each of the others once; in a tie each two of them share a win. Out of these pairs comes a strength by
the model of Bradley and Terry: the odds of two models are as their strengths. Before any vote all are held for nearly
middling (a normal distribution of the logarithms), so that few votes say little and none is ever infinitely strong.
"""

from collections import Counter
from collections.abc import Iterable
from datetime import datetime
from itertools import combinations
from math import fsum, log, tanh

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.core.ids import new_id
from tui_chat.core.record import record

FEW = 5
"""Votes below which a standing says next to nothing."""
MIDDLE = 1000.0
"""The strength of a middling model, and of all before any vote."""
_TENFOLD = 400.0
"""Points that make the odds ten to one, as chess players count."""
_SPREAD = 2.0
"""Standard deviation of the natural logarithms of the odds before any vote: 350 points."""
_CLOSE, _ROUNDS = 1e-8, 500


@record
class Vote:
    """Which of several models gave the best answer to one prompt."""

    id: str
    turn_id: str
    """The turn voted on; of a batch its first one."""
    at: datetime
    models: tuple[str, ...]
    """Those that took part, each once, as `provider/model`."""
    winner: str | None
    """One of `models`; `None` = a tie."""


@record
class Standing:
    """What all votes say of one model."""

    model: str
    n: int
    """Votes that it took part in."""
    wins: int
    ties: int
    losses: int
    strength: float
    """1000 = as good as the middling one; 400 points more make the odds ten times as good."""

    @property
    def rate(self) -> float:
        """The share of its votes that it won, ties left out of the wins."""
        return self.wins / self.n

    @property
    def few(self) -> bool:
        """There are too few votes to say anything."""
        return self.n < FEW


def vote_on(turn: Turn, winner: Completion | None, at: datetime) -> Vote:
    """Return a vote among the models of a turn, or of all turns of its batch; `None` = a tie.

    Answers without a word were not judged, so their models do not take part.
    """
    turns = turn.mates or (turn,)
    answers = [each for one in turns for each in one.completions]
    judged = [each for each in answers if each is winner or each.text.strip()]
    models = tuple(dict.fromkeys(each.model.name for each in judged))
    return Vote(new_id(), turns[0].id, at, models, winner.model.name if winner is not None else None)


def standing(votes: Iterable[Vote]) -> list[Standing]:
    """Return how each model stands, the strongest first; votes between fewer than two models say nothing."""
    counts: dict[str, Counter[str]] = {}
    halves: Counter[tuple[str, str]] = Counter()
    for vote in votes:
        models = dict.fromkeys(vote.models)
        if len(models) < 2:
            continue
        for model in models:
            outcome = "ties" if vote.winner is None else "wins" if model == vote.winner else "losses"
            counts.setdefault(model, Counter())[outcome] += 1
        halves.update(_pairs(list(models), vote.winner))
    strengths = _strengths(sorted(counts), halves)
    stands = [
        Standing(model, each.total(), each["wins"], each["ties"], each["losses"], strengths[model])
        for model, each in counts.items()
    ]
    return sorted(stands, key=lambda each: (-each.strength, -each.n, each.model))


def _pairs(models: list[str], winner: str | None) -> Counter[tuple[str, str]]:
    """Return the half wins of one model over another that a vote comes to."""
    if winner is None:
        shared = Counter[tuple[str, str]]()
        for one, other in combinations(models, 2):
            shared[one, other] = shared[other, one] = 1
        return shared
    return Counter({(winner, other): 2 for other in models if other != winner})


def _strengths(models: list[str], halves: Counter[tuple[str, str]]) -> dict[str, float]:
    """Return the strengths under which these half wins are the likeliest, rounded to a tenth of a point.

    Newton's method: the many votes on a few strong models and the few that tie them to the rest are of very different
    weight, which simpler steps take thousands of rounds for.
    """
    pairs = [
        (at, beyond, halves[one, other] / 2, halves[other, one] / 2)
        for (at, one), (beyond, other) in combinations(enumerate(models), 2)
        if halves[one, other] or halves[other, one]
    ]
    logs = [0.0] * len(models)
    for _ in range(_ROUNDS):
        change = _step(logs, pairs)
        farthest = max(map(abs, change), default=0.0)
        slowed = max(1.0, farthest)  # far from the top the curve says little about the way
        logs = [each + moved / slowed for each, moved in zip(logs, change, strict=True)]
        if farthest < _CLOSE:
            break
    return {model: round(MIDDLE + _TENFOLD * each / log(10), 1) for model, each in zip(models, logs, strict=True)}


def _step(logs: list[float], pairs: list[tuple[int, int, float, float]]) -> list[float]:
    """Return Newton's step towards the likeliest logarithms of the odds against a middling model.

    A pair: two places, and how often the first beat the second and the other way round.
    """
    slope = [-each / _SPREAD**2 for each in logs]
    curve = [[0.0] * len(logs) for _ in logs]
    for at in range(len(logs)):
        curve[at][at] = 1 / _SPREAD**2
    for one, other, won, lost in pairs:
        chance = 0.5 + 0.5 * tanh((logs[one] - logs[other]) / 2)
        surplus = won - (won + lost) * chance
        slope[one] += surplus
        slope[other] -= surplus
        bend = (won + lost) * chance * (1 - chance)
        curve[one][one] += bend
        curve[other][other] += bend
        curve[one][other] -= bend
        curve[other][one] -= bend
    return _solved(curve, slope)


def _solved(rows: list[list[float]], values: list[float]) -> list[float]:
    """Return x with rows · x = values, for symmetric rows whose diagonal outweighs the rest; both are used up."""
    size = len(values)
    for at in range(size):
        pivot = rows[at]
        for below in range(at + 1, size):
            share = rows[below][at] / pivot[at]
            if share:
                rows[below] = [value - share * above for value, above in zip(rows[below], pivot, strict=True)]
                values[below] -= share * values[at]
    found = [0.0] * size
    for at in reversed(range(size)):
        known = fsum(rows[at][right] * found[right] for right in range(at + 1, size))
        found[at] = (values[at] - known) / rows[at][at]
    return found
