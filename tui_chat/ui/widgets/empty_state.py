"""What stands above the prompt before the first answer: what was found, each model with its price, one key to start."""

from collections.abc import Sequence
from decimal import Decimal

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui_chat.core.keymap import letter_of
from tui_chat.core.model import Model
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import fit, hints, joined, row, styled, text

SAMPLE_PROMPT = "Explain SSE in two sentences"
_MOST = 12


def price_of(model: Model) -> str:
    """Return the prices per million tokens in and out, as the list shows them."""
    price = model.price
    if price is None or not price.known:
        return "$?"
    if price.play:
        return "play money"
    if price.free:
        return "free     free"
    return f"{_figure(price.input_per_mtok)}  {_figure(price.output_per_mtok):>8}"


def _figure(value: Decimal | None) -> str:
    return "$?" if value is None else f"${value:.2f}" if value >= Decimal("0.1") or not value else f"${value}"


class EmptyState(Widget, can_focus=True):
    """A list of models that answer now; the chosen one answers the first prompt."""

    DEFAULT_CSS = "EmptyState { height: 1fr; width: 1fr; }"

    class Chosen(Message):
        """A model was chosen for the first prompt."""

        def __init__(self, model: Model) -> None:
            super().__init__()
            self.model = model

    class Entered(Message):
        """Enter: start with the chosen model."""

    class Typed(Message):
        def __init__(self, character: str) -> None:
            super().__init__()
            self.character = character

    def __init__(self, glyphs: Glyphs, keymap: dict[str, str]) -> None:
        super().__init__(id="empty")
        self._pick = letter_of("model.pick", keymap)
        self._glyphs = glyphs
        self._models: Sequence[Model] = ()
        self._chosen: str | None = None
        self._newcomer = True
        self._notes: Sequence[str] = ()

    def show(self, models: Sequence[Model], chosen: Model | None, *, newcomer: bool, notes: Sequence[str] = ()) -> None:
        """Show these models, the chosen one marked; `newcomer` adds a word of welcome."""
        known = chosen is None or any(model.name == chosen.name for model in models)
        self._models = models if known or chosen is None else [chosen, *models]
        self._chosen = chosen.name if chosen else None
        self._newcomer, self._notes = newcomer, notes
        self.refresh()

    @property
    def _listed(self) -> list[Model]:
        """One row per place where models were found, the chosen model always among them."""
        if all(model.scripted for model in self._models):
            return list(self._models)[:_MOST]
        firsts: dict[str, Model] = {}
        for model in self._models:
            firsts.setdefault(model.provider, model)
        for model in self._models:
            if model.name == self._chosen:
                firsts[model.provider] = model
        return list(firsts.values())[:_MOST]

    def on_key(self, event: events.Key) -> None:
        match event.key:
            case "up":
                self.move(-1)
            case "down":
                self.move(1)
            case "enter":
                self.post_message(self.Entered())
            case _ if event.is_printable and event.character:
                self.post_message(self.Typed(event.character))
            case _:
                return
        event.stop()
        event.prevent_default()

    def move(self, step: int) -> None:
        """Mark another model for the first prompt."""
        models = self._listed
        if not models:
            return
        names = [model.name for model in models]
        at = names.index(self._chosen) if self._chosen in names else 0
        to = models[max(0, min(len(models) - 1, at + step))]
        self._chosen = to.name
        self.post_message(self.Chosen(to))
        self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = event.y - self._first_row
        if 0 <= at < len(self._listed):
            self._chosen = self._listed[at].name
            self.post_message(self.Chosen(self._listed[at]))
            self.refresh()

    def _text(self, width: int) -> tuple[list[Content], list[Content], list[Content]]:
        listed = self._listed
        real = any(not model.scripted for model in listed)
        if real:
            title = joined(styled("Nothing to set up.", "b $fg"), " Type below and press Enter.")
            second = styled("These answer now, priced per million tokens in and out.", "$fg2")
        else:
            title = joined(styled("Try it now.", "b $fg"), " Type below and press Enter; no key, no network.")
            second = styled("The built-in models are scripted and cost play money.", "$fg2")
        choose = (
            joined("   ", hints([("↑↓", "another"), (self._pick, "all models")])) if len(listed) > 1 else Content("")
        )
        above = [title, joined(second, choose) if second.cell_length + choose.cell_length <= width else second]
        rows = []
        for model in listed:
            here = model.name == self._chosen
            edge = styled(self._glyphs.bar, "$acc") if here and self.has_focus else Content(" ")
            found = text(f"{model.found or model.provider:<26}"[:26], "$fg2")
            name = text(model.name, "b $fg" if here else "$fg")
            left = joined(edge, found.pad_right(max(0, 27 - found.cell_length)), name)
            line = row(left, joined(styled(price_of(model), "$fg2"), " "), width)
            rows.append(line.stylize_before("on $sel") if here else line)
        below = []
        if not real:
            below = [
                _pair("use a key", "set OPENAI_API_KEY, start again"),
                _pair("use a local server", "name it in config.toml (see README)"),
            ]
        below += [joined(" ", text(note, "$stop")) for note in self._notes]
        return above, rows, below

    _first_row = 0

    def render(self) -> Content:
        width, height = self.size.width - 2, self.size.height
        above, rows, below = self._text(width)
        airy = height >= len(above) + len(rows) + len(below) + 6
        gap = [Content(""), Content("")] if airy else [Content("")]
        if self._newcomer:
            lines = [*above, *gap, *rows, *(gap if below else []), *below]
        else:
            said = styled("The next prompt goes to the marked model.   ", "$fg2")
            lines = [joined(said, hints([(self._pick, "all models")])), *gap, *rows]
        if height < len(lines):
            lines = [*above, *rows][:height]
        top = max(0, (height - len(lines)) // 3)
        self._first_row = top + next((i for i, line in enumerate(lines) if rows and line is rows[0]), 0)
        return Content("\n").join([*([Content("")] * top), *(joined("  ", fit(line, width)) for line in lines)])


def _pair(what: str, how: str) -> Content:
    return joined(" ", styled(f"{what:<26}", "$fg2"), how)
