"""The sidebar's list: what it costs goes by the rows in view, not by the conversations there are.

A hundred thousand conversations are a `Listing`, which is read once and follows by small changes. Headings and blank
lines are not held but computed from where the groups begin (`Lines`); what a filter leaves is a list of places, and a
longer filter looks only there (`Matches`). Only lines in view are drawn, and drawn again only when they changed.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime, time, timedelta
from typing import ClassVar, NamedTuple

from textual import events
from textual.binding import BindingType
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import RenderOptions

from tui_chat.core.conversation import ConversationRow, Listing, ListingChanges
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.row import fit, joined, row, styled, text

_WIDE = 34
"""Cells from which the list has a column for costs."""
_STRIPS_KEPT = 512


class Matches:
    """Where in a listing the titles hold every word of a filter, which is mostly typed letter by letter."""

    def __init__(self, listing: Listing) -> None:
        self._listing = listing
        self._titles: list[str] | None = None
        """Casefolded; made when there is a filter."""
        self._words = ""
        self._places: Sequence[int] = range(len(listing))

    def of(self, words: str) -> Sequence[int]:
        """Return the places, ascending; all when there are no words."""
        words = words.casefold()
        if not words.strip():
            self._places = range(len(self._listing))
        else:
            places = self._places if words.startswith(self._words) else range(len(self._listing))
            for word in words.split():
                places = self._holding(word, places)
            self._places = places
        self._words = words
        return self._places

    def _holding(self, word: str, places: Sequence[int]) -> list[int]:
        if self._titles is None:
            self._titles = _casefolded(self._listing.titles())
        titles = self._titles
        if len(places) == len(titles):
            return [at for at, title in enumerate(titles) if word in title]
        return [at for at in places if word in titles[at]]


def _casefolded(titles: list[str]) -> list[str]:
    """Return the titles casefolded: all in one go, which is several times faster, unless there are lines in them."""
    whole = "\n".join(titles)
    if whole.count("\n") != len(titles) - 1:
        return [title.casefold() for title in titles]
    return whole.casefold().split("\n")


class _Group(NamedTuple):
    """Rows under one heading."""

    heading: str
    first: int
    """Its first row among those shown."""
    line: int
    """The line of its heading; the rows follow."""


class Lines:
    """Where the rows stand on the screen: a heading before each group, and a blank line between two groups."""

    def __init__(self, listing: Listing, places: Sequence[int], today: date) -> None:
        """Lay out those of `listing` at `places`, which ascend; days are local ones."""
        self._listing, self._places = listing, places
        ends = (
            ("pinned", listing.pinned),
            ("today", listing.updated_since(_midnight(today))),
            ("yesterday", listing.updated_since(_midnight(today - timedelta(days=1)))),
            ("earlier", len(listing)),
        )
        self._groups: list[_Group] = []
        first, self.count = 0, 0
        for heading, end in ends:
            behind = bisect_left(places, end)
            if behind > first:
                line = self.count + bool(self._groups)
                self._groups.append(_Group(heading, first, line))
                self.count = line + 1 + behind - first
                first = behind

    @property
    def rows(self) -> int:
        return len(self._places)

    def row_at(self, line: int) -> int | None:
        """Return the row on a line; `None` on headings, blank lines and outside."""
        group = self._group_at(line)
        if group is None or not 0 <= line < self.count:
            return None
        found = group.first + line - group.line - 1
        return found if group.first <= found < self._end(group) else None

    def _group_at(self, line: int) -> _Group | None:
        at = bisect_right(self._groups, line, key=lambda group: group.line)
        return self._groups[at - 1] if at else None

    def _end(self, group: _Group) -> int:
        return next((other.first for other in self._groups if other.first > group.first), len(self._places))

    def line_of(self, row: int) -> int:
        at = bisect_right(self._groups, row, key=lambda group: group.first)
        group = self._groups[at - 1]
        return group.line + 1 + row - group.first

    def heading_at(self, line: int) -> str:
        """Return the heading on a line; empty on all others."""
        group = self._group_at(line)
        return group.heading if group is not None and group.line == line else ""

    def row_of(self, place: int | None) -> int | None:
        """Return the row that shows a place of the listing."""
        if place is None:
            return None
        at = bisect_left(self._places, place)
        return at if at < len(self._places) and self._places[at] == place else None

    def place_of(self, row: int) -> int:
        return self._places[row]


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time()).astimezone()


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
        self.listing = Listing()
        self._matches = Matches(self.listing)
        self._lines = Lines(self.listing, (), date.min + timedelta(days=2))
        self._filter = ""
        self._cursor: int | None = None
        """The row where the keys go, among those shown."""
        self._marks: tuple[tuple[str, str], ...] = ()
        self._strips: LRUCache[tuple[object, ...], Strip] = LRUCache(_STRIPS_KEPT)
        self.open_id: str | None = None

    def show(self, listing: Listing) -> None:
        """Show these conversations, keeping filter and cursor where they are."""
        chosen = self._selected_id
        self.listing = listing
        self._take_in(chosen)

    def apply(self, changes: ListingChanges) -> None:
        """Take in what changed, keeping filter and cursor where they are."""
        chosen = self._selected_id
        self.listing.apply(changes)
        if changes.changed:
            self._take_in(chosen)
        else:
            self._costs.clear()
            self._lay_out()  # it may be another day by now

    def _take_in(self, chosen: str | None) -> None:
        self._costs.clear()
        self._matches = Matches(self.listing)
        self._lay_out()
        self._put_cursor_on(chosen)

    def filter(self, words: str) -> int:
        """Show only titles that hold every word; return how many there are."""
        self._filter = words
        self._lay_out()
        self._cursor = 0 if self._lines.rows else None
        self.scroll_to(y=0, animate=False, force=True)
        return self._lines.rows

    def _lay_out(self) -> None:
        places = self._matches.of(self._filter)
        self._lines = Lines(self.listing, places, datetime.now(UTC).astimezone().date())
        self.virtual_size = Size(1, self._lines.count)  # as wide as there is room: nothing scrolls sideways
        self.refresh()

    def _put_cursor_on(self, conversation_id: str | None) -> None:
        """Put the cursor on a conversation; where that is not shown any more, on the one that took its place."""
        if conversation_id is None or self._cursor is None:
            return
        row_of_it = self._row_of(conversation_id)
        last = self._lines.rows - 1
        self._cursor = row_of_it if row_of_it is not None else min(self._cursor, last) if last >= 0 else None

    def _row_of(self, conversation_id: str) -> int | None:
        if self._cursor is not None and self._id_of(self._cursor) == conversation_id:  # mostly nothing moved
            return self._cursor
        return self._lines.row_of(self.listing.place(conversation_id))

    def _id_of(self, row_number: int) -> str | None:
        if row_number >= self._lines.rows:
            return None
        return self.listing.listed(self._lines.place_of(row_number))[0]

    @property
    def selected(self) -> ConversationRow | None:
        if self._cursor is None or self._cursor >= self._lines.rows:
            return None
        return self.listing[self._lines.place_of(self._cursor)]

    @property
    def _selected_id(self) -> str | None:
        return None if self._cursor is None else self._id_of(self._cursor)

    def _move(self, step: int) -> None:
        last = self._lines.rows - 1
        if last >= 0:
            start = self._cursor if self._cursor is not None else -1
            self._cursor = max(0, min(last, start + step))
            line = self._lines.line_of(self._cursor)
            # with the first one comes its heading
            seen = Region(0, line, 1, 1) if self._cursor else Region(0, 0, 1, line + 1)
            self.scroll_to_region(seen, animate=False, force=True)
        self.refresh()

    def on_focus(self) -> None:
        if self.open_id is not None:
            found = self._row_of(self.open_id)
            self._cursor = self._cursor if found is None else found
        if self.selected is None:
            self._cursor = 0 if self._lines.rows else None
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
            "home": -self._lines.rows,
            "end": self._lines.rows,
        }
        if event.key in steps:
            self._move(steps[event.key])
        elif event.key == "enter" and (chosen := self._selected_id) is not None:
            self.post_message(self.Chosen(chosen))
        elif event.is_printable and event.character and event.character != " ":
            self.post_message(self.Typed(event.character))
        else:
            return
        event.stop()
        event.prevent_default()

    def action_delete(self) -> None:
        if (selected := self.selected) is not None:
            self.post_message(self.Deleted(selected))

    def on_click(self, event: events.Click) -> None:
        clicked = self._lines.row_at(int(event.y + self.scroll_y))
        if clicked is not None and (chosen := self._id_of(clicked)) is not None:
            self._cursor = clicked
            self.post_message(self.Chosen(chosen))

    def notify_style_update(self) -> None:
        """Another theme: every strip has other colours."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        line = y + int(self.scroll_offset.y)
        width = self.scrollable_content_region.width
        number = self._lines.row_at(line)
        if number is None:
            heading = self._lines.heading_at(line)
            return self._strip(width, (heading,), lambda: fit(styled(f"   {heading}", "$fg2"), width))
        conversation_id, title, _ = self.listing.listed(self._lines.place_of(number))
        here, cursor = conversation_id == self.open_id, number == self._cursor and self.has_focus
        mark, cost = self._mark(conversation_id), self._cost_of(conversation_id, width)
        shown = (title, mark, cost, here, cursor)
        return self._strip(width, shown, lambda: self._draw(title, mark, cost, width, here=here, cursor=cursor))

    def _strip(self, width: int, shown: tuple[object, ...], draw: Callable[[], Content]) -> Strip:
        """Return a line as it was drawn before for the same things shown, else drawn now."""
        strip = self._strips.get((width, *shown))
        if strip is None:
            style = self.visual_style
            options = RenderOptions(self._get_style, {"text_wrap": "nowrap"})
            strips = draw().render_strips(width, 1, style, options)
            strip = strips[0] if strips else Strip.blank(width, style.rich_style)
            self._strips[(width, *shown)] = strip
        return strip

    def _draw(self, title: str, kind: str, cost: str, width: int, *, here: bool, cursor: bool) -> Content:
        glyphs = self._glyphs
        mark = {
            "running": styled(glyphs.streaming, "$run"),
            "done": styled(glyphs.done, "$fg2"),
            "failed": styled(glyphs.failed, "$fail"),
        }.get(kind, Content(" "))
        name = text(title, "b $fg" if here or kind == "done" else "$fg")
        edge = styled(glyphs.bar, "$acc") if cursor else Content(" ")
        content = row(joined(edge, mark, " ", name), joined(styled(cost, "$fg2"), " "), width)
        return content.stylize_before("on $sel") if here or cursor else content

    def _cost_of(self, conversation_id: str, width: int) -> str:
        if width < _WIDE:
            return ""
        if conversation_id not in self._costs:
            self._costs[conversation_id] = self._cost(conversation_id)
        return self._costs[conversation_id]

    def redraw_marks(self) -> None:
        """Repaint if a mark changed: something started, ended or was seen."""
        top = int(self.scroll_offset.y)
        rows = (self._lines.row_at(line) for line in range(top, top + self.size.height))
        seen = [name for number in rows if number is not None and (name := self._id_of(number)) is not None]
        marks = tuple((name, self._mark(name)) for name in seen)
        if marks != self._marks:
            self._marks = marks
            self.refresh()
