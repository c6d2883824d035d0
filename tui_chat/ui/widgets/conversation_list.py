"""The sidebar's list: drawn by line over rows, so that its cost does not grow with the number of conversations."""

from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import ClassVar

from textual import events
from textual.binding import BindingType
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import RenderOptions

from tui_chat.core.conversation import ConversationRow
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.row import fit, joined, row, styled, text

_WIDE = 34
"""Cells from which the list has a column for costs."""


def grouped(rows: Sequence[ConversationRow], today: date) -> list[ConversationRow | str]:
    """Return the rows with a heading before each group, and a blank line (`""`) between groups."""
    out: list[ConversationRow | str] = []
    heading = ""
    for conversation in rows:
        day = conversation.updated_at.astimezone().date()
        group = (
            "pinned"
            if conversation.pinned
            else "today"
            if day >= today
            else "yesterday"
            if day == today - timedelta(days=1)
            else "earlier"
        )
        if group != heading:
            out += ["", group] if heading else [group]
            heading = group
        out.append(conversation)
    return out


class ConversationList(ScrollView, can_focus=True):
    """Conversations grouped by day; the open one stays marked, the cursor is where the keys go."""

    BINDINGS: ClassVar[list[BindingType]] = [binding("chat.delete", "delete")]

    class Chosen(Message):
        def __init__(self, conversation_id: str) -> None:
            super().__init__()
            self.conversation_id = conversation_id

    class Deleted(Message):
        def __init__(self, row: ConversationRow) -> None:
            super().__init__()
            self.row = row

    class Typed(Message):
        """A printable key: it belongs to the filter."""

        def __init__(self, character: str) -> None:
            super().__init__()
            self.character = character

    def __init__(self, glyphs: Glyphs, mark: Callable[[str], str], cost: Callable[[str], str]) -> None:
        super().__init__(id="conversations")
        self._cost = cost
        """Conversation id → what it cost, as text; asked only for rows in view of a wide list."""
        self._costs: dict[str, str] = {}
        self._glyphs = glyphs
        self._mark = mark
        """Conversation id → `running`, `done`, `failed` or nothing."""
        self._all: Sequence[ConversationRow] = ()
        self._lines: list[ConversationRow | str] = []
        self._filter = ""
        self._at = 0
        self._marks: tuple[tuple[str, str], ...] = ()
        self.open_id: str | None = None

    def show(self, rows: Sequence[ConversationRow]) -> None:
        """Show these conversations, keeping filter and cursor where they are."""
        self._all = rows
        self._costs.clear()
        self._apply()

    def filter(self, words: str) -> int:
        """Show only titles that hold every word; return how many there are."""
        self._filter = words
        self._at = 0
        self._apply()
        self._first()
        return sum(not isinstance(line, str) for line in self._lines)

    def _apply(self) -> None:
        words = self._filter.casefold().split()
        rows = [r for r in self._all if all(word in r.title.casefold() for word in words)] if words else self._all
        chosen = self.selected
        self._lines = grouped(rows, datetime.now(UTC).astimezone().date())
        if chosen is not None:
            self._at = next((i for i, r in enumerate(self._lines) if not isinstance(r, str) and r.id == chosen.id), 0)
        self.virtual_size = Size(self.size.width or 20, len(self._lines))
        self.refresh()

    @property
    def selected(self) -> ConversationRow | None:
        line = self._lines[self._at] if 0 <= self._at < len(self._lines) else None
        return line if isinstance(line, ConversationRow) else None

    def _first(self) -> None:
        self._at = next((i for i, line in enumerate(self._lines) if not isinstance(line, str)), 0)

    def _move(self, step: int) -> None:
        at, direction = self._at, 1 if step > 0 else -1
        for _ in range(abs(step)):
            to = at + direction
            while 0 <= to < len(self._lines) and isinstance(self._lines[to], str):
                to += direction
            if not 0 <= to < len(self._lines):
                break
            at = to
        self._at = at
        if isinstance(self._lines[at] if self._lines else "", str):
            self._first()
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)
        self.refresh()

    def on_focus(self) -> None:
        if self.open_id is not None:
            self._at = next(
                (i for i, r in enumerate(self._lines) if not isinstance(r, str) and r.id == self.open_id), self._at
            )
        if self.selected is None:
            self._first()
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_key(self, event: events.Key) -> None:
        page = max(1, self.size.height - 2)
        steps = {
            "up": -1,
            "down": 1,
            "pageup": -page,
            "pagedown": page,
            "home": -len(self._lines),
            "end": len(self._lines),
        }
        if event.key in steps:
            self._move(steps[event.key])
        elif event.key == "enter" and self.selected is not None:
            self.post_message(self.Chosen(self.selected.id))
        elif event.is_printable and event.character and event.character != " ":
            self.post_message(self.Typed(event.character))
        else:
            return
        event.stop()
        event.prevent_default()

    def action_delete(self) -> None:
        if self.selected is not None:
            self.post_message(self.Deleted(self.selected))

    def on_click(self, event: events.Click) -> None:
        at = int(event.y + self.scroll_y)
        if 0 <= at < len(self._lines) and isinstance(self._lines[at], ConversationRow):
            self._at = at
            self.post_message(self.Chosen(self._lines[at].id))  # type: ignore[union-attr]

    def render_line(self, y: int) -> Strip:
        at = y + int(self.scroll_offset.y)
        width = self.size.width
        content = self._draw(at, width)
        options = RenderOptions(self._get_style, {"text_wrap": "nowrap"})
        strips = content.render_strips(width, 1, self.visual_style, options)
        return strips[0] if strips else Strip.blank(width, self.visual_style.rich_style)

    def _draw(self, at: int, width: int) -> Content:
        line = self._lines[at] if at < len(self._lines) else ""
        if isinstance(line, str):
            return fit(styled(f"   {line}", "$fg2"), width)
        kind = self._mark(line.id)
        glyphs = self._glyphs
        mark = {
            "running": styled(glyphs.streaming, "$run"),
            "done": styled(glyphs.done, "$fg2"),
            "failed": styled(glyphs.failed, "$fail"),
        }.get(kind, Content(" "))
        here = line.id == self.open_id
        cursor = at == self._at and self.has_focus
        title = text(line.title, "b $fg" if here or kind == "done" else "$fg")
        edge = styled(glyphs.bar, "$acc") if cursor else Content(" ")
        content = row(joined(edge, mark, " ", title), joined(self._cost_of(line.id, width), " "), width)
        return content.stylize_before("on $sel") if here or cursor else content

    def _cost_of(self, conversation_id: str, width: int) -> Content:
        if width < _WIDE:
            return Content("")
        if conversation_id not in self._costs:
            self._costs[conversation_id] = self._cost(conversation_id)
        return styled(self._costs[conversation_id], "$fg2")

    def redraw_marks(self) -> None:
        """Repaint if a mark changed: something started, ended or was seen."""
        top = int(self.scroll_offset.y)
        seen = self._lines[top : top + self.size.height]
        marks = tuple((line.id, self._mark(line.id)) for line in seen if not isinstance(line, str))
        if marks != self._marks:
            self._marks = marks
            self.refresh()
