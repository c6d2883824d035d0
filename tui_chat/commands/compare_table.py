"""What a run of `tui-chat compare` came to: for people, for a document, for programs; and the line while it runs."""

import csv
import io
import json
import math
from collections.abc import Sequence
from decimal import Decimal

from tui_chat.commands.answers import Answer
from tui_chat.commands.text_tables import cells, exact, formula_safe
from tui_chat.core import format as fmt
from tui_chat.core.batch import Batch, Figures, Progress, Prompt, is_play, ratios, spending
from tui_chat.core.errors import ChatError
from tui_chat.core.model import Model
from tui_chat.core.pricing import NOTHING
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.core.usage_report import UsageRow, exact_sum, money, tokens_text
from tui_chat.interchange.records import NO_USAGE, Json, error_record, timings_record, usage_record, usd_record

_HEADS = (
    "model", "answers", "failed", "in", "out", "reasoning", "first token", "total time", "tok/s", "cost", "per answer",
    "ratio",
)  # fmt: skip
_DROPPED = ("reasoning", "total time", "in", "tok/s", "first token", "out")
"""Columns that go when a terminal is too narrow, the first one first."""
_CSV_COLUMNS = (
    "model", "answers", "failed", "input_tokens", "output_tokens", "reasoning_tokens", "first_token_s", "total_s",
    "tokens_per_s", "cost_usd", "cost_known", "cost_per_answer_usd", "ratio", "play",
)  # fmt: skip
_NARROWEST_NAME = 12
_BAR = 16


@record
class Outcome:
    """A run as it is told."""

    run: str
    """Its key."""
    file: str
    conversation_id: str | None
    batch: Batch
    figures: list[Figures]


# for programs


def json_text(outcome: Outcome) -> str:
    batch = outcome.batch
    document: Json = {
        "run": outcome.run,
        "file": outcome.file,
        "models": [_model_record(row) for row in outcome.figures],
        "prompts": [_prompt_record(batch, at, prompt) for at, prompt in enumerate(batch.prompts)],
        "conversation_id": outcome.conversation_id,
    }
    return json.dumps(document, ensure_ascii=True, indent=1) + "\n"


def _model_record(row: Figures) -> Json:
    return {
        "model": row.model,
        "answers": row.answers,
        "failed": row.failed,
        "input_tokens": row.spent.input_tokens,
        "output_tokens": row.spent.output_tokens,
        "reasoning_tokens": row.spent.reasoning_tokens,
        "first_token_s": _rounded(row.first_token_s),
        "total_s": _rounded(row.total_s),
        "tokens_per_s": _rounded(row.tokens_per_s),
        "cost_usd": None if row.cost_usd is None else float(row.cost_usd),
        "cost_known": row.spent.cost_known,
        "play": row.play,
    }


def _prompt_record(batch: Batch, at: int, prompt: Prompt) -> Json:
    return {"id": prompt.id, "prompt": prompt.text, "answers": [_answer_record(batch, at, m) for m in batch.models]}


def _answer_record(batch: Batch, at: int, model: Model) -> Json:
    completion = batch.result(at, model)
    if completion is None:
        why = batch.hopeless.get(model.name) or batch.limited.get(model.name)
        refused = why or ChatError("cancelled", "it was not asked; run it again to ask")
        return {
            "model": model.name,
            "message_id": None,
            "text": "",
            "finish_reason": None,
            "usage": usage_record(NO_USAGE),
            "cost_usd": usd_record(NOTHING),
            "play": is_play(model),
            "timings": {"first_token_s": None, "total_s": None},
            "error": error_record(refused),
        }
    return {
        "model": model.name,
        "message_id": completion.id,
        "text": completion.text,
        "finish_reason": completion.finish_reason,
        "usage": usage_record(completion.usage),
        "cost_usd": usd_record(completion.cost),
        "play": is_play(model),
        "timings": timings_record(completion),
        "error": error_record(Answer(model.name, completion).error),
    }


def csv_text(outcome: Outcome) -> str:
    """Return a line for each model, decimals exact; what is not known is empty, and no cell is a formula."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    writer.writerow(_CSV_COLUMNS)
    for row, ratio in zip(outcome.figures, ratios(outcome.figures), strict=True):
        writer.writerow(
            [
                formula_safe(one_line(row.model)),
                row.answers,
                row.failed,
                row.spent.input_tokens,
                row.spent.output_tokens,
                row.spent.reasoning_tokens,
                _rounded(row.first_token_s),
                _rounded(row.total_s),
                _rounded(row.tokens_per_s),
                exact(row.cost_usd),
                "true" if row.spent.cost_known else "false",
                exact(row.per_answer_usd),
                _ratio_text(ratio),
                "true" if row.play else "false",
            ]
        )
    return out.getvalue()


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)


# for people


def markdown_text(outcome: Outcome) -> str:
    head, *rows = _rows(outcome.figures, plain=False)
    marks = ["---", *["---:"] * (len(head) - 1)]
    escaped = [[cell.replace("\\", "\\\\").replace("|", "\\|") for cell in row] for row in rows]
    return "".join(f"| {' | '.join(row)} |\n" for row in (head, marks, *escaped))


def table_text(outcome: Outcome, width: int, *, plain: bool = False) -> str:
    """Return the table for a terminal of `width` cells; `plain` where only ASCII can be drawn."""
    rows = _rows(outcome.figures, plain=plain)
    shown = list(range(len(_HEADS)))
    widths = [max(cells(row[column]) for row in rows) for column in shown]
    for name in _DROPPED:
        if sum(widths[column] + 2 for column in shown) - 2 > width:
            shown.remove(_HEADS.index(name))
    room = width - sum(widths[column] + 2 for column in shown[1:])
    widths[0] = min(widths[0], max(_NARROWEST_NAME, room))
    mark = "..." if plain else "…"
    lines = []
    for row in rows:
        name = row[0]
        if cells(name) > widths[0]:  # the end of a name tells more than its provider
            while name and cells(name) > widths[0] - len(mark):
                name = name[1:]
            name = mark + name
        figures = [" " * (widths[column] - cells(row[column])) + row[column] for column in shown[1:]]
        lines.append("  ".join([name + " " * (widths[0] - cells(name)), *figures]).rstrip())
    rule = ("-" if plain else "─") * max(cells(line) for line in lines)
    lines.insert(1, rule)
    if len(outcome.figures) > 1:
        lines.insert(-1, rule)
    return "\n".join(lines) + "\n"


def _rows(figures: Sequence[Figures], *, plain: bool) -> list[list[str]]:
    """Return head, models, and of several models the total, as cells."""
    dash = "-" if plain else "–"
    rows = [list(_HEADS)]
    for row, ratio in zip(figures, ratios(figures), strict=True):
        each = row.per_answer_usd
        mark = "~" if row.answered.estimated_usd else ""
        shown = _ratio_text(ratio)
        rows.append(
            [
                one_line(row.model, 200),
                f"{row.answers:,}",
                f"{row.failed:,}",
                *_token_cells(row.spent, dash),
                dash if row.first_token_s is None else fmt.seconds(row.first_token_s),
                dash if row.total_s is None else fmt.seconds(row.total_s),
                dash if row.tokens_per_s is None else f"{row.tokens_per_s:.1f}",
                _money(row.spent, dash, play=row.play, plain=plain),
                dash if not each else mark + fmt.amount(each),
                f"{'x' if plain else '×'}{shown}" if shown else dash,
            ]
        )
    if len(figures) > 1:
        rows.append(_total(figures, dash, plain=plain))
    return [[cell.encode("ascii", "replace").decode() for cell in row] for row in rows] if plain else rows


def _total(figures: Sequence[Figures], dash: str, *, plain: bool) -> list[str]:
    """Return the last line; play money is only added up among itself."""
    play = all(row.play for row in figures)
    spent = _together([row.spent for row in figures if play or not row.play])
    whole = _together([row.spent for row in figures])
    answers, failed = sum(row.answers for row in figures), sum(row.failed for row in figures)
    cost = _money(spent, dash, play=play, plain=plain)
    return ["total", f"{answers:,}", f"{failed:,}", *_token_cells(whole, dash), "", "", "", cost, "", ""]


def _together(rows: Sequence[UsageRow]) -> UsageRow:
    empty = spending("total", ())
    thought = [row.reasoning_tokens for row in rows if row.reasoning_tokens is not None]
    return UsageRow(
        empty.key,
        empty.title,
        input_tokens=sum(row.input_tokens for row in rows),
        output_tokens=sum(row.output_tokens for row in rows),
        reasoning_tokens=sum(thought) if thought else None,
        settled_usd=exact_sum(row.settled_usd for row in rows),
        estimated_usd=exact_sum(row.estimated_usd for row in rows),
        charges=sum(row.charges for row in rows),
        priced=sum(row.priced for row in rows),
        free=sum(row.free for row in rows),
        unknown=sum(row.unknown for row in rows),
        foreign=tuple(each for row in rows for each in row.foreign),
    )


def _token_cells(row: UsageRow, dash: str) -> list[str]:
    thought = dash if row.reasoning_tokens is None else tokens_text(row.reasoning_tokens)
    return [tokens_text(row.input_tokens), tokens_text(row.output_tokens), thought]


def _money(row: UsageRow, dash: str, *, play: bool, plain: bool) -> str:
    if not row.charges:
        return dash
    return ("play " if play else "") + "".join(money(row, signs=not plain))


def _ratio_text(ratio: Decimal | None) -> str:
    """Return a ratio as a bare number that programs can read; empty when there is none."""
    return "" if ratio is None else fmt.ratio(ratio).removeprefix("×").replace(",", "")


# while it runs


def progress_text(progress: Progress, elapsed_s: float, now_s: float, width: int, *, plain: bool = False) -> str:
    """Return `37/150  ███─────  $0.0123 so far, ~$0.04 to come   2 failed   12 s` in at most `width` cells.

    While all wait for a limit it says for how long: `next in 42 s`. `now_s` is on the monotonic clock.
    """
    done, size = progress.done, progress.batch.size
    tail = f"{progress_money(progress)}{_failed(progress, '   ')}{_queued(progress, now_s)}   {duration(elapsed_s)}"
    room = min(_BAR, width - cells(f"{done}/{size}    {tail}"))
    full = round(room * done / size) if room >= 4 else 0
    bar = ("#" * full + "-" * (room - full) if plain else "█" * full + "─" * (room - full)) if room >= 4 else ""
    return "  ".join(filter(None, (f"{done}/{size}", bar, tail)))[:width]


def end_text(progress: Progress, elapsed_s: float) -> str:
    """Return the one line for a log: `150/150 answered, 2 failed, $0.0412, 12 s`."""
    spent, known = progress.so_far
    cost = _amount(progress, spent) + ("" if known else " + ?")
    return f"{progress.done}/{progress.batch.size} answered{_failed(progress, ', ')}, {cost}, {duration(elapsed_s)}"


def progress_money(progress: Progress) -> str:
    """Return `$0.0123 so far, ~$0.04 to come`; `+ ?` where a part is not known."""
    spent, known = progress.so_far
    text = f"{_amount(progress, spent)}{'' if known else ' + ?'} so far"
    coming, sure = progress.to_come
    if not coming and sure:
        return text
    more = ("~" + fmt.amount(coming) + ("" if sure else " + ?")) if coming else "?"
    return f"{text}, {more} to come"


def duration(elapsed_s: float) -> str:
    """Return whole seconds, and minutes from the second on: `12 s`, `3 min 05 s`."""
    minutes, seconds = divmod(int(elapsed_s), 60)
    return f"{minutes} min {seconds:02} s" if minutes > 1 else f"{int(elapsed_s)} s"


def _amount(progress: Progress, usd: Decimal) -> str:
    return ("play " if progress.play else "") + fmt.amount(usd)


def _queued(progress: Progress, now_s: float) -> str:
    until_s = progress.queued_until_s
    return "" if until_s is None else f"   next in {duration(math.ceil(max(0.0, until_s - now_s)))}"


def _failed(progress: Progress, before: str) -> str:
    return f"{before}{progress.failed} failed" if progress.failed else ""
