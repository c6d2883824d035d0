"""What the header and the footer say, as pure functions of the state of the screen."""

import os
from collections.abc import Sequence
from time import monotonic

from textual.content import Content

from tui_chat.core.completion import Completion, State
from tui_chat.core.format import Spent, tokens, total, window
from tui_chat.core.keymap import keys_of, letter_of, shown
from tui_chat.core.model import Model
from tui_chat.core.record import record
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import joined, styled
from tui_chat.ui.widgets.usage_meter import cost_of, glyph, slots


@record
class Situation:
    """What decides which keys work now."""

    place: str
    """`prompt`, `transcript`, `conversations`, `filter`, `empty`."""
    running: bool
    """An answer of this conversation runs."""
    cursor: Completion | None
    has_text: bool
    """Something stands in the prompt."""
    editing: bool
    has_code: bool = False
    """The answer under the cursor holds a code block."""
    branches: bool = False
    """Its prompt has branches beside it."""
    answers: bool = False
    """There are other answers to its prompt."""
    columns: bool = False
    """They stand side by side."""
    earlier: bool = False
    """It is not the last prompt."""
    blind: bool = False
    """Their names and prices are hidden until there is a vote."""


def footer_keys(now: Situation, overrides: dict[str, str]) -> list[tuple[str, str]]:
    """Return the keys that work now, the most wanted first."""

    def key(binding_id: str, label: str) -> tuple[str, str]:
        return shown(keys_of(binding_id, overrides)), label

    # a lone Esc takes over half a second through default tmux, Ctrl+C takes none
    stop = key("chat.stop_or_clear" if os.environ.get("TMUX") else "chat.cancel", "stop")
    commands, model = key("app.commands", "commands"), key("model.pick", "model")
    match now.place:
        case "transcript":
            return [*([stop] if now.running else []), *_answer_keys(now, overrides), ("tab", "next"), commands]
        case "conversations":
            return [("enter", "open"), ("type", "filter"), key("chat.delete", "delete"), ("esc", "back"), commands]
        case "models":
            return [("enter", "use"), ("esc", "close")]
        case "filter":
            return [("enter", "open"), ("↓", "list"), ("esc", "back")]
        case "empty":
            return [("↑↓", "model"), ("enter", "start"), model, commands]
        case "row":
            return [("↑↓", "move"), ("enter", "open"), model, commands]
    if now.cursor is not None and now.cursor.state is State.PAUSED and not now.has_text:
        return [key("prompt.send", "go on"), stop, commands]
    keys = [stop] if now.running else []
    column = [("alt+←→", "column")] if now.columns else []
    send = "queue" if now.running else "send branch" if now.editing else "send"
    keys.append(key("prompt.send", send))
    if now.editing:
        keys.append(("esc", "keep the old"))
    more = [key("chat.new", "new"), key("app.quit", "quit"), key("app.help", "help"), key("prompt.newline", "new line")]
    return [*keys, *column, model, commands, *more]


def _answer_keys(now: Situation, keymap: dict[str, str]) -> list[tuple[str, str]]:
    def key(binding_id: str, label: str) -> tuple[str, str]:
        return letter_of(binding_id, keymap), label

    cursor = now.cursor
    if cursor is None:
        return []
    column = [("alt+←→", "column"), key("compare.zoom", "zoom")]
    if now.columns and now.blind:
        return [] if cursor.running else [key("compare.vote", "vote for this"), key("compare.tie", "tie"), *column]
    if now.columns:
        keep, hide = ([key("answer.keep", "keep")], [key("compare.hide", "hide")]) if not now.earlier else ([], [])
        keys = [*keep, *column, *hide, key("compare.add", "add")]
        return (
            keys if cursor.running else [*keys, key("compare.difference", "difference"), key("answer.again", "again")]
        )
    if cursor.running:
        return [key("answer.copy", "copy")]
    more = [("[ ]", "branches")] if now.branches else []
    more += [("alt+←→", "answers")] if now.answers else []
    if cursor.state in (State.STOPPED, State.BUDGET):
        more.append(key("answer.discard", "leave out"))
        more += [key("answer.continue", "continue")] if cursor.text_log else []
    again = [key("answer.again", "again")] if cursor.state in (State.FAILED, State.STOPPED, State.BUDGET) else []
    raised = [key("budget.raise", "raise the limit")] if cursor.state is State.BUDGET else []
    return [
        *raised,
        key("prompt.edit", "edit"),
        *again,
        key("answer.copy", "copy"),
        *([key("code.copy", "copy code")] if now.has_code else []),
        *more,
    ]


def footer_figures(
    cursor: Completion | None,
    running: Sequence[Completion],
    chat: Spent,
    today: Spent | None,
    glyphs: Glyphs,
    note: Content | None = None,
    *,
    blind: bool = False,
) -> list[Content]:
    """Return the right part of the footer in falling width: what is dropped first goes first, the cost last.

    `blind` leaves out what the answer under the cursor costs.
    """
    edge = styled(f" {glyphs.separator} ", "$rule")
    chat_part = joined(edge, styled("chat ", "$fg2"), styled(f"{total(chat):>11}", "b $fg"))
    today_part = (
        joined(edge, styled("today ", "$fg2"), styled(total(today), "b $fg")) if today is not None else Content("")
    )
    if cursor is None:
        return (
            [note] if note is not None else [joined(styled("chat ", "$fg2"), styled(total(chat), "b $fg"), today_part)]
        )
    if len(running) > 1:
        count = sum(c.output_tokens or 0 for c in running)
        cost = joined(
            styled(f"{glyphs.streaming} {len(running)}", "$run"),
            styled(f" running  {tokens(count)} tok", "$fg2"),
        )
        return [joined(cost, chat_part, today_part), joined(cost, chat_part), cost]
    if blind:
        return [joined(chat_part, today_part), chat_part]
    slot = slots(cursor, monotonic())
    mark = joined(glyph(cursor.state, glyphs), " ")
    size = styled(f"{slot.tokens:>9}  ", "$fg2")
    rate = styled(f"{slot.rate:>9}  ", "$fg2") if slot.rate else Content("")
    cost = styled(f"{cost_of(cursor):>10}", "b $fg")
    return [
        joined(mark, size, rate, cost, chat_part, today_part),
        joined(mark, size, rate, cost, chat_part),
        joined(mark, size, cost, chat_part),
        joined(mark, cost, chat_part),
        joined(mark, cost),
        cost,
    ]


def context_gauge(count: int, model: Model) -> Content:
    """Return `context 12 % of 128k`, or nothing when the window is unknown."""
    if not model.context_window:
        return Content("")
    share = 100 * count / model.context_window
    shown_share = f"{share:.0f} %" if share >= 1 or not count else "< 1 %"
    colour = "$fail" if share > 100 else "$stop" if share > 80 else "$fg"
    return joined(
        styled("context ", "$fg2"),
        styled(shown_share, colour),
        styled(f" of {window(model.context_window)}", "$fg2"),
    )
