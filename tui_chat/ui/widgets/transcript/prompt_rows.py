"""The user's words in a raised band. Very long prompts are folded; `e` opens the whole text."""

from datetime import UTC, datetime

from textual.content import Content
from textual.strip import Strip

from tui_chat.core.conversation import Turn
from tui_chat.core.safe_text import safe
from tui_chat.ui.widgets.markdown_log.render import Row
from tui_chat.ui.widgets.markdown_log.wrap import Piece, wrap
from tui_chat.ui.widgets.row import row, styled, text
from tui_chat.ui.widgets.transcript.look import Look
from tui_chat.ui.widgets.transcript.sections import Lines

_LONGEST = 40
_READ = 20_000
"""Characters of a prompt that are looked at."""


def clock_text(at: datetime, now: datetime | None = None) -> str:
    """Return a time as people say it: `14:02` today, `19 Nov` this year, `2 Oct 2025` before."""
    here, today = at.astimezone(), (now or datetime.now(UTC)).astimezone()
    if here.date() == today.date():
        return f"{here:%H:%M}"
    if here.year == today.year:
        return f"{here.day} {here:%b %H:%M}"
    return f"{here.day} {here:%b %Y}"


class PromptRows(Lines):
    """Who, when, and what was asked."""

    def __init__(self, turn: Turn) -> None:
        super().__init__("band")
        self._turn = turn

    def lay_out(self, look: Look) -> None:
        super().lay_out(look)
        self.gap_below = 1
        turn, width = self._turn, look.width
        when = clock_text(turn.created_at)
        if len(turn.siblings) > 1 and turn.id in turn.siblings:
            when = f"branch {turn.siblings.index(turn.id) + 1}/{len(turn.siblings)}   {when}"
        contents = [row(styled(" you", "b $fg"), styled(f"{when} ", "$fg2"), width)]
        texts = [Row(Strip([]), "", 0, "\n")]
        if turn.prompt:
            wrapped = wrap([Piece(safe(turn.prompt[:_READ]).expandtabs(4), None)], max(1, width - 2), keep_spaces=True)
            for line in wrapped[:_LONGEST]:
                contents.append(Content(f" {line.text}"))
                texts.append(Row(Strip([]), line.text, 1, line.glue))
            if len(wrapped) > _LONGEST:
                more = len(wrapped) - _LONGEST + turn.prompt.count("\n", _READ)
                contents.append(styled(f" {look.glyphs.ellipsis} {more} more lines", "$fg2"))
        contents += [text(f" + {a.name}, {len(a.data):,} bytes", "$fg2") for a in turn.attachments]
        self.show(contents, texts)


def estimated_height(turn: Turn, width: int) -> int:
    """Guess the rows of a prompt without drawing it."""
    lines = turn.prompt[: _LONGEST * max(1, width)].split("\n")
    return 2 + min(_LONGEST, sum(1 + len(line) // max(1, width) for line in lines)) + len(turn.attachments)
