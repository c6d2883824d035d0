"""One turn on the screen: the prompt in a band, and the answer that is on the path."""

from datetime import UTC, datetime

from textual.app import ComposeResult
from textual.content import Content
from textual.geometry import Size
from textual.widget import Widget

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.core.safe_text import safe
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.completion_view import CompletionView
from tui_chat.ui.widgets.covered import CoveredVertical
from tui_chat.ui.widgets.row import joined, row, styled, text

_LONGEST = 40


def clock_text(at: datetime, now: datetime | None = None) -> str:
    """Return a time as people say it: `14:02` today, `19 Nov` this year, `2 Oct 2025` before."""
    here, today = at.astimezone(), (now or datetime.now(UTC)).astimezone()
    if here.date() == today.date():
        return f"{here:%H:%M}"
    if here.year == today.year:
        return f"{here.day} {here:%b %H:%M}"
    return f"{here.day} {here:%b %Y}"


class PromptView(Widget):
    """The user's words in a raised band. Very long prompts are folded; `e` opens the whole text."""

    DEFAULT_CSS = "PromptView { height: auto; width: 1fr; }"

    def __init__(self, turn: Turn) -> None:
        super().__init__()
        self._turn = turn
        self._wrapped: tuple[int, list[Content]] = (0, [])

    def _lines(self, width: int) -> list[Content]:
        if self._wrapped[0] == width:
            return self._wrapped[1]
        turn = self._turn
        when = clock_text(turn.created_at)
        if len(turn.siblings) > 1 and turn.id in turn.siblings:
            when = f"branch {turn.siblings.index(turn.id) + 1}/{len(turn.siblings)}   {when}"
        lines = [row(styled(" you", "b $fg"), styled(f"{when} ", "$fg2"), width)]
        body = Content(safe(turn.prompt[:20_000])).wrap(max(1, width - 2)) if turn.prompt else []
        folded = len(body) - _LONGEST
        if folded > 0:
            body = body[:_LONGEST]
        lines += [joined(" ", line) for line in body]
        if folded > 0:
            lines.append(styled(f" … {folded} more lines", "$fg2"))
        lines += [text(f" + {a.name}, {len(a.data):,} bytes", "$fg2") for a in turn.attachments]
        self._wrapped = (width, lines)
        return lines

    def get_content_height(self, container: Size, viewport: Size, width: int) -> int:  # noqa: ARG002
        return len(self._lines(width))

    def render(self) -> Content:
        return Content("\n").join(self._lines(self.size.width))


class TurnView(CoveredVertical):
    """A prompt and the one of its answers that is in view."""

    DEFAULT_CSS = "TurnView { height: auto; width: 1fr; }"

    def __init__(self, turn: Turn, shown: Completion | None, glyphs: Glyphs, keymap: dict[str, str]) -> None:
        super().__init__()
        self.turn = turn
        self._glyphs, self._keymap = glyphs, keymap
        self._prompt = PromptView(turn)
        self.answer = CompletionView(turn, shown, glyphs, keymap) if shown is not None else None

    def compose(self) -> ComposeResult:
        yield self._prompt
        if self.answer is not None:
            yield self.answer

    async def show(self, completion: Completion) -> CompletionView:
        """Put another answer to the same prompt in view; return its view."""
        if self.answer is not None:
            if self.answer.completion is completion:
                return self.answer
            await self.answer.remove()
        self.answer = CompletionView(self.turn, completion, self._glyphs, self._keymap)
        await self.mount(self.answer)
        return self.answer
