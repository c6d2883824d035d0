"""The meter: tokens, rate, first token and cost of an answer in slots of fixed width.

Pure functions from a completion and the time to content, pulled by whoever paints. The cost stands at the right edge
and is never dropped; digits do not move while they count.
"""

from textual.content import Content

from tui_chat.core.completion import Completion, State
from tui_chat.core.format import cost as cost_text
from tui_chat.core.format import seconds, tokens
from tui_chat.core.record import record
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, styled

_COLOUR = {
    State.WAITING: "$run",
    State.THINKING: "$run",
    State.STREAMING: "$run",
    State.RETRY: "$stop",
    State.QUEUED: "$stop",
    State.PAUSED: "$stop",
    State.STOPPED: "$stop",
    State.BUDGET: "$stop",
    State.FAILED: "$fail",
    State.DONE: "$fg2",
    State.SETTLED: "$fg2",
}
_WORD = {State.DONE: "", State.SETTLED: "", State.PAUSED: "look"}
SETTLING_S = 3.0
_FASTEST = 9_999
"""Tokens per second; above it the whole answer came at once and the figure says nothing."""


@record
class Slots:
    """The texts of one meter; empty = nothing to say."""

    word: str
    tokens: str
    rate: str
    first: str
    cost: str


def glyph(state: State, glyphs: Glyphs) -> Content:
    """Return the state's glyph in the state's colour."""
    shape = {
        State.WAITING: glyphs.waiting,
        State.RETRY: glyphs.waiting,
        State.QUEUED: glyphs.waiting,
        State.THINKING: glyphs.thinking,
        State.STREAMING: glyphs.streaming,
        State.PAUSED: glyphs.budget,
        State.BUDGET: glyphs.budget,
        State.STOPPED: glyphs.stopped,
        State.FAILED: glyphs.failed,
    }.get(state, glyphs.done)
    return styled(shape, _COLOUR[state])


def state_word(state: State) -> tuple[str, str]:
    """Return the word for a state where every answer has one, and its colour."""
    return _WORD.get(state) or state.value, _COLOUR[state]


def cost_of(completion: Completion) -> str:
    """Return the cost as the screen says it; play money says so."""
    if not completion.running and completion.finish_reason is None:
        return ""
    shown = cost_text(completion.cost)
    play = completion.cost.play or bool(completion.model.price and completion.model.price.play)
    return f"play {shown}" if play and shown not in ("–", "$?", "free") else shown


def slots(completion: Completion, now_s: float) -> Slots:
    """Return what the meter of `completion` says at `now_s` on the monotonic clock."""
    state = completion.state
    elsewhere = not completion.running and completion.finish_reason is None
    word = "elsewhere" if elsewhere else _WORD.get(state, state.value)
    came_to_nothing = state is State.FAILED and not completion.text_log and not completion.output_tokens
    if came_to_nothing or state in (State.RETRY, State.QUEUED):
        return Slots(word, "", "", "", cost_of(completion))
    count = completion.output_tokens
    rate = completion.rate(now_s)
    first = completion.ttft_s
    if first is None and state is State.WAITING and completion.started_at_s is not None:
        first = now_s - completion.started_at_s
    more = "+" if state is State.THINKING and not completion.reasoning_log else ""
    return Slots(
        word,
        f"{tokens(count)}{more} tok" if count is not None and (count or state is not State.WAITING) else "",
        f"{tokens(round(rate))} tok/s" if rate is not None and rate < _FASTEST else "",
        seconds(first) if first is not None else "",
        cost_of(completion),
    )


def meter(completion: Completion, now_s: float, width: int, glyphs: Glyphs, settled_from: str | None = None) -> Content:
    """Return the loud meter within `width` cells: it drops first, rate, word, tokens in this order, the cost never.

    `settled_from` is the estimate that was shown before the bill came: then both are shown, `~$0.0031 → $0.0029`.
    """
    state, slot = completion.state, slots(completion, now_s)
    colour = _COLOUR[state]
    cost = slot.cost
    if settled_from:
        play = "play " if cost.startswith("play ") else ""
        cost = f"{play}{settled_from} {glyphs.arrow} {cost.removeprefix('play ')}"
    parts = [
        ("word", styled(slot.word, colour), bool(slot.word)),
        ("tokens", styled(f"{slot.tokens:>9}", "$fg2"), True),
        ("rate", styled(f"{slot.rate:>9}", "$fg2"), not settled_from),
        ("first", styled(f"{slot.first:>7}", "$fg2"), not settled_from),
        ("cost", styled(f"{cost:>11}", "b $fg"), True),
    ]
    content = Content("")
    dropped: set[str] = set()
    for drop in ("", "first", "rate", "word", "tokens"):
        dropped.add(drop)
        kept = [part for name, part, on in parts if on and name not in dropped]
        content = joined(glyph(state, glyphs), " ", Content("  ").join(kept))
        if content.cell_length <= width:
            return content
    return joined(glyph(state, glyphs), " ", styled(cost, "b $fg"))


def quiet(completion: Completion, glyphs: Glyphs) -> Content:
    """Return the short meter of an answer that is not under the cursor: state, tokens, cost."""
    state = completion.state
    count = completion.output_tokens
    shown = f"{tokens(count)} tok" if count else ""
    word = styled(f"{state.value}  ", _COLOUR[state]) if state in (State.FAILED, State.STOPPED, State.BUDGET) else ""
    return joined(glyph(state, glyphs), " ", word, styled(f"{shown:>8}  {cost_of(completion):>11}", "$fg2"))
