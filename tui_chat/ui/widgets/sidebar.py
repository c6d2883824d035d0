"""The panel at the left: filter, conversations, and what was spent today and this month."""

from collections.abc import Callable, Sequence

from textual import events
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.widget import Widget
from textual.widgets import Input

from tui_chat.core.caps import Balance, Level
from tui_chat.core.conversation import Listing
from tui_chat.core.format import Spent, amount, total
from tui_chat.core.ports import Store
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.conversation_list import ConversationList
from tui_chat.ui.widgets.row import joined, row, styled

_AT_ONCE = 1000
"""So many conversations are read before the first paint, which takes a millisecond; more than that in a thread."""


class Spending(Widget):
    """Today and this month, pulled when the clock ticks; with limits a gauge of the one that is nearest."""

    DEFAULT_CSS = "Spending { height: 2; width: 1fr; }"

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self.today, self.month, self.empty = Spent(), Spent(), True
        self.caps: tuple[tuple[Balance, Level], ...] = ()

    def show(self, today: Spent, month: Spent, *, empty: bool, caps: Sequence[tuple[Balance, Level]] = ()) -> None:
        """Show what was spent; `caps` are the limits on the day and on the month, with how loud they are."""
        now = (today, month, empty, tuple(caps))
        if now == (self.today, self.month, self.empty, self.caps):
            return
        self.today, self.month, self.empty, self.caps = now
        height = 3 if self.caps and not empty else 2
        if self.styles.height is None or self.styles.height.value != height:
            self.styles.height = height
        self.refresh()

    def render(self) -> Content:
        if self.empty:
            return styled(" no chats yet", "$fg2")
        return Content("\n").join(spending_lines(self.today, self.month, self.caps, self.size.width, self._glyphs))


def spending_lines(
    today: Spent, month: Spent, caps: Sequence[tuple[Balance, Level]], width: int, glyphs: Glyphs
) -> list[Content]:
    """Return today and month against their limits, and how the one stands that is nearest to its own."""
    known = {balance.span.scope: (amount(balance.span.cap_usd), level) for balance, level in caps}
    limits = [known.get("day"), known.get("month")]
    wide = max((len(limit[0]) for limit in limits if limit), default=0)
    if wide + max(len(total(spent)) for spent in (today, month)) + 11 > width:
        wide = 0  # what was spent is never cut
    lines = []
    for name, spent, limit in (("today", today, limits[0]), ("month", month, limits[1])):
        red = limit is not None and limit[1] == "reached"
        shown = styled(total(spent), "b $fail" if red else "b $fg")
        if wide:
            shown = joined(shown, styled(f" / {limit[0]:>{wide}}" if limit else " " * (wide + 3), "$fg2"))
        lines.append(row(styled(f" {name}", "$fg2"), joined(shown, " "), width))
    if caps:
        lines.append(_gauge(*max(caps, key=lambda cap: cap[0].share), width, glyphs))
    return lines


def _gauge(balance: Balance, level: Level, width: int, glyphs: Glyphs) -> Content:
    """Return how full a limit is; once it is reached, in words: what is left, and until when."""
    if level == "reached":
        return row(styled(f" {glyphs.budget} nothing left{_until(balance)}", "$fail"), Content(""), width)
    from tui_chat.ui.widgets.bars import thin  # only who has limits loads it

    colour = "$stop" if level == "warn" else "$bar"
    percent = styled(f"{int(balance.share * 100):>4}% ", colour if level == "warn" else "$fg2")
    return joined(" ", thin(min(balance.share, 1.0), max(1, width - 7), glyphs, colour), percent)


def _until(balance: Balance) -> str:
    if balance.span.until is None:
        return ""
    at = balance.span.until.astimezone()
    return f" until {at:%H:%M}" if balance.span.scope == "day" else f" until {at.day} {at:%b}"


class Filter(Input, inherit_css=False):
    """Filters while it is typed. Of Textual's styles only those are here that it shows, see `PromptInput`."""

    DEFAULT_CSS = """
    Filter {
        width: 100%; height: 1; scrollbar-size-horizontal: 0; pointer: text;
        &:focus { background-tint: $foreground 5%; }
        .input--cursor { background: $input-cursor-background; color: $input-cursor-foreground; }
        .input--cursor { text-style: $input-cursor-text-style; }
        .input--selection { background: $input-selection-background; color: $input-selection-foreground; }
        &:ansi .input--placeholder { text-style: dim; }
        &:ansi .input--cursor { background: ansi_white; color: ansi_black; }
    }
    """

    COMPONENT_CLASSES = Input.COMPONENT_CLASSES

    def __init__(self) -> None:
        super().__init__(placeholder="/ filter", id="filter", compact=True, select_on_focus=False)
        self.cursor_blink = False


class Sidebar(Vertical):
    """Filter, list and spending."""

    DEFAULT_CSS = """
    Sidebar { width: 28; height: 1fr; }
    Sidebar ConversationList { height: 1fr; overflow-x: hidden; }
    """

    def __init__(self, glyphs: Glyphs, mark: Callable[[str], str], cost: Callable[[str], str]) -> None:
        super().__init__(id="sidebar")
        self.filter = Filter()
        self.list = ConversationList(glyphs, mark, cost)
        self.spending = Spending(glyphs)
        self._whole = False
        """False while the list has only the beginning of a long history."""

    def compose(self) -> ComposeResult:
        yield self.filter
        yield self.list
        yield self.spending

    def follow(self, store: Store, open_id: str | None) -> bool:
        """Bring the list up to date; False when the whole of a long list has to be read, in a thread, for `show`.

        Raises StorageError.
        """
        self.list.open_id = open_id
        changes = store.conversations_since(self.list.listing.version)
        if changes is not None:
            self.list.apply(changes)
        elif self.list.listing:
            self._whole = False
        else:
            beginning = store.conversations(_AT_ONCE)
            self._whole = len(beginning) < _AT_ONCE
            self.list.show(beginning)
        return self._whole

    def show(self, listing: Listing) -> None:
        """Show a whole list."""
        self._whole = True
        self.list.show(listing)

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
