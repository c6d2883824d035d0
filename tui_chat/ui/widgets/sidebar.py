"""The panel at the left: filter, conversations, and what was spent today and this month."""

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from tui_chat.core.conversation import ConversationRow
from tui_chat.core.format import Spent, total
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.conversation_list import ConversationList
from tui_chat.ui.widgets.row import joined, row, styled


class Spending(Widget):
    """Today and this month, pulled when the clock ticks."""

    DEFAULT_CSS = "Spending { height: 2; width: 1fr; }"

    def __init__(self) -> None:
        super().__init__()
        self.today, self.month, self.empty = Spent(), Spent(), True

    def show(self, today: Spent, month: Spent, *, empty: bool) -> None:
        if (today, month, empty) != (self.today, self.month, self.empty):
            self.today, self.month, self.empty = today, month, empty
            self.refresh()

    def render(self) -> Content:
        width = self.size.width
        if self.empty:
            return styled(" no chats yet", "$fg2")
        lines = [
            row(styled(f" {name}", "$fg2"), joined(styled(total(spent), "b $fg"), " "), width)
            for name, spent in (("today", self.today), ("month", self.month))
        ]
        return Content("\n").join(lines)


class Filter(Input):
    """Filters while it is typed."""

    def __init__(self) -> None:
        super().__init__(placeholder="/ filter", id="filter", compact=True, select_on_focus=False)
        self.cursor_blink = False


class Sidebar(Vertical):
    """Filter, list and spending."""

    DEFAULT_CSS = """
    Sidebar { width: 28; height: 1fr; }
    Sidebar ConversationList { height: 1fr; }
    """

    def __init__(self, glyphs: Glyphs, mark: Callable[[str], str], cost: Callable[[str], str]) -> None:
        super().__init__(id="sidebar")
        self.filter = Filter()
        self.list = ConversationList(glyphs, mark, cost)
        self.spending = Spending()

    def compose(self) -> ComposeResult:
        yield self.filter
        yield self.list
        yield self.spending

    def show(self, rows: Sequence[ConversationRow], open_id: str | None) -> None:
        self.list.open_id = open_id
        self.list.show(rows)

    def on_input_changed(self, event: Input.Changed) -> None:
        event.stop()
        self.list.filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        event.stop()
        if (selected := self.list.selected) is not None:
            self.post_message(ConversationList.Chosen(selected.id))

    def on_key(self, event: events.Key) -> None:
        if event.key in ("down", "up") and self.filter.has_focus:
            self.screen.set_focus(self.list)
            event.stop()

    def on_conversation_list_typed(self, event: ConversationList.Typed) -> None:
        event.stop()
        self.screen.set_focus(self.filter)
        if event.character != "/":
            self.filter.value += event.character
            self.filter.cursor_position = len(self.filter.value)

    def clear_filter(self) -> bool:
        """Empty the filter; False when it was empty."""
        had = bool(self.filter.value)
        self.filter.value = ""
        return had
