"""The last lines of an answer: how it ended, what went wrong, and the keys that help now."""

from time import monotonic

from textual.content import Content

from tui_chat.core.completion import Completion, State
from tui_chat.core.format import amount, tokens
from tui_chat.core.keymap import keys_of, letter_of, shown
from tui_chat.core.savings import Saved
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import hint_lines, joined, styled, text

_GAUGE = 24
_BILLING = {
    "yes": "",
    "no": "this provider bills the whole answer all the same",
    "unknown": "may still be billed in full",
}
_ENDINGS = {
    "length": "cut at the longest answer the model may give",
    "content_filter": "the provider's content filter ended it",
    "tool_calls": "it asked for a tool; tui-chat has none",
    "pause": "the provider paused it",
    "interrupted": "tui-chat ended while it was running",
}


_TOLD_BLIND = (State.STOPPED, State.BUDGET, State.FAILED, State.RETRY, State.QUEUED)
"""What is said of an answer whose words would name its provider: the state alone."""


def foot_lines(
    completion: Completion,
    glyphs: Glyphs,
    keymap: dict[str, str],
    *,
    under_cursor: bool,
    blind: bool = False,
    width: int = 200,
    lead: str = "",
) -> list[Content]:
    """Return the lines below the text of an answer; none for an answer that simply ended.

    `keymap` holds the user's own keys by binding id. `blind` leaves out whatever names a model or a price.
    Keys are kept within `width` cells, everything else is left to be wrapped. `lead` is the key that goes to where they
    act, where that is not here.
    """
    if blind and completion.state is not State.PAUSED:
        state = completion.state
        lines = [styled(state.value, "$stop")] if state in _TOLD_BLIND else []
    else:
        lines = _status(completion, glyphs)
        lines += [text(f"warning: {warning}", "$stop") for warning in completion.warnings]
    if completion.discarded:
        lines.append(joined(styled(glyphs.dash, "$fg2"), styled(" left out: not sent on", "$fg2")))
    keys = _keys(completion, keymap)
    if keys and (under_cursor or completion.state in (State.PAUSED, State.RETRY, State.QUEUED)):
        if lead and completion.state not in (State.PAUSED, State.RETRY, State.QUEUED):  # theirs act from the prompt too
            keys = [(lead, "then"), *keys]
        lines += hint_lines(keys, width, f"  {glyphs.dot}  ")
    return lines


def _status(completion: Completion, glyphs: Glyphs) -> list[Content]:
    state = completion.state
    match state:
        case State.RETRY:
            return _retry(completion, glyphs)
        case State.QUEUED:
            return _queued(completion, glyphs)
        case State.PAUSED:
            return [
                joined(
                    styled(f"{glyphs.budget} held", "$stop"),
                    styled(f" at {tokens(completion.output_tokens)} tok: is it worth going on?", "$fg2"),
                )
            ]
        case State.STOPPED | State.BUDGET:
            return [_stopped(completion, glyphs)]
        case State.FAILED if completion.error is not None:
            return _failed(completion)
    if not completion.running and completion.finish_reason == "stop" and not completion.text.strip():
        asked = completion.asked_for_tool
        return [styled(_ENDINGS["tool_calls"] if asked else "the model sent no text", "$stop")]
    reason = _ENDINGS.get(completion.finish_reason or "")
    return [styled(reason, "$stop")] if reason and not completion.running else []


def _stopped(completion: Completion, glyphs: Glyphs) -> Content:
    if completion.state is State.BUDGET:
        why = completion.error.message if completion.error else "the budget was reached"
        return joined(styled(f"{glyphs.budget} budget", "$stop"), "  ", text(why, "$fg2"), *_billed(completion))
    word = "interrupted" if completion.finish_reason == "interrupted" else "stopped"
    count = completion.output_tokens
    where = f" at {tokens(count)} tok" if count else " before the first token"
    cost, saved = completion.cost, completion.saved
    parts = [styled(f"{glyphs.stopped} {word}", "$stop"), styled(where, "$fg2")]
    if saved is not None:
        play = "play " if cost.play else ""
        parts += [styled("   saved ", "$fg2"), styled(play + savings(saved, glyphs), "b $fg")]
    return joined(*parts, *_billed(completion))


def _billed(completion: Completion) -> list[Content]:
    """Return what its provider may bill for an answer that was stopped, where that can be more than what came."""
    cost, asked = completion.cost, completion.request is not None  # the history does not know how its provider bills
    billing = _BILLING[completion.model.stops_billing]
    if not (asked and cost.amount and billing) or cost.play:
        return []
    upper = completion.billed_at_most
    most = f", up to {amount(upper)}" if upper is not None else ""
    return [styled(f"   {billing}{most}", "$fg2")]


def savings(saved: Saved, glyphs: Glyphs) -> str:
    """Return what a stop saved: `$0.0012–$0.0061`, `≤ $0.0061`, `~$0.0012`."""
    if saved.ceiling is None:
        return f"~{amount(saved.low)}"
    if saved.typical is None:
        return f"{glyphs.at_most} {amount(saved.high)}"
    low, high = amount(saved.low), amount(saved.high)
    return low if low == high else f"{low}{glyphs.dash}{high}"


def _failed(completion: Completion) -> list[Content]:
    error = completion.error
    if error is None:
        return []
    status = getattr(error, "status", None)
    code = f"{status} {error.kind}" if status else error.kind
    what, _, step = error.message.rpartition("; ")  # an error's last words are what to do about it
    lines = [joined(text(what or error.message), styled(f" ({code})", "$fg2"))]
    known = [f"{step[0].upper()}{step[1:]}."] if what and step else []
    if not completion.output_tokens and completion.cost.amount == 0:
        known.append("Nothing was charged.")
    if known:
        lines.append(text(" ".join(known), "$fg2"))
    return lines


def _retry(completion: Completion, glyphs: Glyphs) -> list[Content]:
    waiting = completion.waiting
    if waiting is None:
        return []
    left = max(0.0, (completion.waiting_until_s or 0) - monotonic())
    full = round(_GAUGE * (1 - left / waiting.wait_s)) if waiting.wait_s > 0 else _GAUGE
    full = max(0, min(_GAUGE, full))
    return [
        joined(text(waiting.message), styled(f" ({waiting.reason})", "$fg2")),
        joined(
            styled(glyphs.gauge * full, "$stop"),
            styled(glyphs.track * (_GAUGE - full), "$rule"),
            styled(f"  {_clock(left)}", "b $fg"),
            styled(f" until try {waiting.attempt} of {waiting.attempts}", "$fg2"),
        ),
    ]


def _queued(completion: Completion, glyphs: Glyphs) -> list[Content]:
    queued = completion.queued
    if queued is None:
        return []
    left = max(0.0, (completion.queued_until_s or 0) - monotonic())
    ahead = f"   {queued.before} ahead  " if queued.before else ""  # before the reason: there a narrow column wraps
    return [
        joined(
            styled(f"{glyphs.waiting} {State.QUEUED.value}", "$stop"),
            styled(f"   {_clock(left)}", "b $fg"),
            styled(f"{ahead} until {queued.reason}", "$fg2"),
        )
    ]


def _clock(seconds: float) -> str:
    """Return a countdown: `0:12`."""
    whole = int(seconds + 0.99)
    return f"{whole // 60}:{whole % 60:02}"


def _keys(completion: Completion, keymap: dict[str, str]) -> list[tuple[str, str]]:
    def key(binding_id: str, label: str) -> tuple[str, str]:
        return letter_of(binding_id, keymap), label

    state = completion.state
    discard = key("answer.discard", "take back in" if completion.discarded else "leave out")
    match state:
        case State.PAUSED:
            return [key("answer.keep", "go on"), key("chat.cancel", "stop")]
        case State.RETRY:
            now = shown(keys_of("answer.again", keymap)), "now"  # the key that works from the prompt too
            return [key("chat.cancel", "give up"), now, key("model.pick", "other model")]
        case State.QUEUED:
            return [key("chat.cancel", "leave the queue"), key("model.pick", "other model")]
        case State.BUDGET:
            raised = "raise it and go on" if completion.text_log else "raise it and send"
            return [key("budget.raise", raised), key("prompt.edit", "edit"), key("answer.again", "again"), discard]
        case State.STOPPED:
            more = [key("answer.continue", "continue")] if completion.text_log else []
            return [key("prompt.edit", "edit and retry"), key("answer.again", "again"), discard, *more]
        case State.FAILED if completion.error is not None and completion.error.kind == "authentication":
            return [key("key.paste", "set another key"), key("model.pick", "other model"), key("answer.again", "again")]
        case State.FAILED if completion.error is not None:
            more = [key("answer.continue", "continue")] if completion.text_log else []
            return [key("answer.again", "again"), key("prompt.edit", "edit"), key("model.pick", "other model"), *more]
        case _ if completion.finish_reason == "length":
            return [key("answer.continue", "continue"), key("answer.again", "again")]
        case _ if completion.finish_reason == "stop" and not completion.text.strip():
            return [key("answer.again", "again"), key("model.pick", "other model")]
        case _ if completion.discarded:
            return [discard]
    return []
