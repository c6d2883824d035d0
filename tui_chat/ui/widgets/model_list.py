"""The list of models with its cursor and its marks. It draws the rows in view and keeps what it drew."""

from collections.abc import Sequence
from decimal import Decimal

from rich.segment import Segment
from rich.style import Style as RichStyle
from textual import events
from textual.cache import LRUCache
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.style import Style

from tui_chat.core.fuzzy import Word, matched, words_of
from tui_chat.core.model import Model
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.model_rows import ORDERS, Columns, Models, Order, Row, draw, heading
from tui_chat.ui.widgets.row import fit, styled, text

MOST = 6
"""Models that can be asked at once."""
_STRIPS_KEPT = 512


class ModelList(ScrollView, can_focus=False):
    """The models that the search leaves, as rows. Keys go to the search; this one is told what they mean."""

    DEFAULT_CSS = "ModelList { width: 1fr; overflow-x: hidden; }"

    class Moved(Message):
        """The cursor stands on another row, or the row has another mark."""

    class Taken(Message):
        """A row was clicked twice."""

    def __init__(self, models: Models, chosen: str, favourites: Sequence[str], glyphs: Glyphs) -> None:
        """Show `models`, the cursor on the one with the name `chosen`."""
        super().__init__()
        self._models = models
        self._shapes = models.shapes()
        self._glyphs = glyphs
        self._typed = ""
        self._words: list[Word] = []
        self._letters: dict[int, tuple[int, ...]] = {}
        """Which letters of a name were searched for, of those that were drawn."""
        self.order: Order = "found"
        self.favourites = list(favourites)
        """Names, in the order in which they were marked."""
        self._marked: dict[str, Model] = {}
        self._places: Sequence[int] = models.found([], "found")
        self._cheapest: Decimal | None = models.cheapest(self._places)
        self._at = self._row_of(chosen) or 0
        self._columns = Columns.within(0, self._shapes)
        self._styles: dict[Style, RichStyle] = {}
        self._strips: LRUCache[tuple[int, Columns, Row], Strip] = LRUCache(_STRIPS_KEPT)

    # what is shown

    def __len__(self) -> int:
        return len(self._places)

    @property
    def count(self) -> int:
        """How many models there are, found or not."""
        return len(self._models.models)

    @property
    def selected(self) -> Model | None:
        return self._models.models[self._places[self._at]] if self._places else None

    @property
    def marked(self) -> list[Model]:
        """The marked models, in the order in which they were marked."""
        return list(self._marked.values())

    def _row_of(self, name: str) -> int | None:
        names = self._models.names
        return next((row for row, place in enumerate(self._places) if names[place] == name), None)

    def show(self, models: Models) -> None:
        """Show other models in the place of these; words, order, marks and the cursor's model stay."""
        selected = self.selected
        self._models, self._shapes = models, models.shapes()
        now = {model.name: model for model in models.models}
        self._marked = {name: now[name] for name in self._marked if name in now}
        self._columns = self._columns_now()
        self._strips.clear()
        self._lay_out(selected.name if selected is not None else "")

    def search(self, words: str) -> None:
        """Show the models that match all words, the cursor on the first."""
        if words != self._typed:
            self._typed, self._words = words, words_of(words)
            self._lay_out("")

    def sort(self) -> None:
        """Go to the next order; the cursor stays at its place, and what comes first is in view."""
        self.order = ORDERS[(ORDERS.index(self.order) + 1) % len(ORDERS)]
        self._lay_out("")

    def _lay_out(self, chosen: str) -> None:
        self._places = self._models.found(self._words, self.order)
        self._cheapest = self._models.cheapest(self._places)
        self._at = (self._row_of(chosen) or 0) if chosen else 0
        self._letters.clear()
        self.virtual_size = Size(1, len(self._places))
        self.move(0)

    # cursor and marks

    def move(self, step: int) -> None:
        """Move the cursor; it stops at both ends."""
        self._at = max(0, min(len(self._places) - 1, self._at + step))
        self.scroll_to_region(Region(0, self._at, 1, 1), animate=False, force=True)
        self.refresh()
        self.post_message(self.Moved())

    def mark(self, *models: Model) -> None:
        """Mark models for being asked together."""
        self._marked.update((model.name, model) for model in models[:MOST] if model.missing is None)

    def toggle_mark(self) -> str:
        """Mark the row under the cursor, or take its mark off; return why not where it cannot be, else nothing."""
        model = self.selected
        if model is None:
            return ""
        if model.name in self._marked:
            del self._marked[model.name]
        elif model.missing is not None:
            return f"{model.name} cannot be asked: {model.missing}"
        elif len(self._marked) >= MOST:
            return f"{MOST} models at once are the most."
        else:
            self._marked[model.name] = model
        self.move(0)
        return ""

    def is_marked(self, model: Model) -> bool:
        return model.name in self._marked

    def toggle_favourite(self) -> None:
        """Make the model under the cursor a favourite, or none; it goes to its new place when the list opens again."""
        if (model := self.selected) is not None:
            if model.name in self.favourites:
                self.favourites.remove(model.name)
            else:
                self.favourites.append(model.name)
            self.move(0)

    def on_click(self, event: events.Click) -> None:
        row = int(event.y + self.scroll_offset.y)
        if 0 <= row < len(self._places):
            self.move(row - self._at)
            if event.chain > 1:
                self.post_message(self.Taken())

    # drawing

    def _columns_now(self) -> Columns:
        return Columns.within(self.size.width - 1, self._shapes)  # a bar at the right moves nothing

    def on_mount(self) -> None:
        self.virtual_size = Size(1, len(self._places))

    def on_resize(self) -> None:
        self._columns = self._columns_now()
        self.virtual_size = Size(1, len(self._places))
        self.call_after_refresh(self.move, 0)

    def notify_style_update(self) -> None:
        """Another theme: every strip has other colours."""
        super().notify_style_update()
        self._strips.clear()
        self._styles.clear()

    def heading(self) -> Content:
        """Return the names of the columns."""
        return heading(self._columns, self.order, self._glyphs)

    def render_line(self, y: int) -> Strip:
        row, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        if row < len(self._places):
            shown = self._row(row)
            key = (width, self._columns, shown)
            strip = self._strips.get(key)
            if strip is None:
                strip = self._strips[key] = self._strip(draw(shown, self._columns, width, self._glyphs), width)
            return strip
        empty = f"    No model matches “{self._typed.strip()}”." if row == 0 and self.count else ""
        return self._strip(fit(text(empty.strip(), "$fg2").pad_left(4) if empty else styled(" "), width), width)

    def _row(self, row: int) -> Row:
        place = self._places[row]
        model, name = self._models.models[place], self._models.names[place]
        if place not in self._letters:
            self._letters[place] = matched(name, self._models.own_at(place), self._words)
        return Row(
            model,
            name,
            self._letters[place],
            here=row == self._at,
            marked=name in self._marked,
            favourite=name in self.favourites,
            cheapest=self._models.is_cheapest(place, self._cheapest),
        )

    def _strip(self, content: Content, width: int) -> Strip:
        """Return a line; without the offsets that `Content` adds for selections, which take half of the time."""
        base, styles = self.visual_style, self._styles
        segments: list[Segment] = []
        for piece, style in content.render(base, end="", parse_style=self._get_style):
            if (known := styles.get(style)) is None:
                known = styles[style] = style.rich_style
            same = bool(segments) and segments[-1].style is known
            segments.append(Segment(segments.pop().text + piece if same else piece, known))
        return Strip(segments, width)
