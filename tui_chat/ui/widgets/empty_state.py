"""What stands above the prompt before the first answer: what was found, each model with its price, one key to start.

One row is marked: the model that the next prompt goes to. Below the models stand rows that open something; the cursor
gets to them with the arrows or Tab, while the mark stays on its model.
"""

from collections.abc import Sequence
from decimal import Decimal

from textual import events
from textual.content import Content
from textual.message import Message
from textual.widget import Widget

from tui_chat.core.format import amount
from tui_chat.core.keymap import keys_of, letter_of, shown
from tui_chat.core.model import Model
from tui_chat.core.record import record
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import fit, hints, joined, row, styled, text

SAMPLE_PROMPT = "Explain SSE in two sentences"
_MOST = 12
_FOUND = 26
"""Cells of the first column; names come first where there is less room."""
_LEAST_FOUND = 10


def _prices(model: Model) -> tuple[str, ...]:
    """Return the prices in and out, or one word for both."""
    price = model.price
    if price is None or not price.known:
        return ("$?",)
    if price.play:
        return ("play money",)
    if price.free:
        return ("free", "free")
    sign = amount(Decimal(0), price.currency).removesuffix("0")
    return _figure(price.input_per_mtok, sign), _figure(price.output_per_mtok, sign)


def _figure(value: Decimal | None, sign: str) -> str:
    if value is None:
        return "$?"
    return f"{sign}{value:.2f}" if value >= Decimal("0.1") or not value else f"{sign}{value.normalize():f}"


def aligned(models: Sequence[Model], gap: int) -> list[str]:
    """Return the prices of some models as a column each for in and out: points below points, words below cents."""
    prices = [_prices(model) for model in models]
    pairs = [pair for pair in prices if len(pair) == 2]
    decimals = [max((len(_behind(pair[at])) for pair in pairs), default=0) for at in (0, 1)]
    padded = [[_padded(figure, decimals[at - len(each)]) for at, figure in enumerate(each)] for each in prices]
    widths = [max((len(each[at]) for each in padded if len(each) == 2), default=0) for at in (0, 1)]
    lines = [
        f"{each[0]:>{widths[0]}}{' ' * gap}{each[1]:>{widths[1]}}" if len(each) == 2 else each[0] for each in padded
    ]
    width = max((len(line) for line in lines), default=0)
    return [line.rjust(width) for line in lines]


def _behind(figure: str) -> str:
    return figure.partition(".")[2]


def _padded(figure: str, decimals: int) -> str:
    return figure + " " * (decimals - (len(_behind(figure)) or min(2, decimals)))


@record
class Action:
    """A row that opens something."""

    binding_id: str
    what: str
    how: str


class EmptyState(Widget, can_focus=True):
    """A list of models that answer now; the marked one answers the first prompt."""

    DEFAULT_CSS = "EmptyState { height: 1fr; width: 1fr; }"

    class Chosen(Message):
        """A model was marked for the first prompt."""

        def __init__(self, model: Model, *, by_hand: bool = True) -> None:
            super().__init__()
            self.model = model
            self.by_hand = by_hand
            """False when the cursor only went past other models, and the mark is back where it was."""

    class Entered(Message):
        """Enter: start with the marked model."""

    class Opened(Message):
        """A row that opens something was entered, or pasted into."""

        def __init__(self, binding_id: str, pasted: str = "") -> None:
            super().__init__()
            self.binding_id = binding_id
            self.pasted = pasted

    class Typed(Message):
        def __init__(self, character: str) -> None:
            super().__init__()
            self.character = character

    class Pasted(Message):
        def __init__(self, words: str) -> None:
            super().__init__()
            self.text = words

    def __init__(self, glyphs: Glyphs, keymap: dict[str, str]) -> None:
        super().__init__(id="empty")
        self._pick = letter_of("model.pick", keymap)
        self._compare = letter_of("compare.open", keymap)
        self._new = letter_of("chat.new", keymap)
        self._next = shown(keys_of("focus.next", keymap))
        self._glyphs = glyphs
        self._models: Sequence[Model] = ()
        self._chosen: str | None = None
        self._settled: Model | None = None
        """The model that was marked before the cursor began to walk."""
        self._action: int | None = None
        """The row below the models that the cursor is on."""
        self._kept_in = ""
        self._newcomer = True
        self._notes: Sequence[str] = ()
        self._rows: dict[int, int] = {}
        """Which row of the list stands at a line: models first, then what opens something."""

    def show(
        self,
        models: Sequence[Model],
        chosen: Model | None,
        *,
        newcomer: bool,
        kept_in: str = "",
        notes: Sequence[str] = (),
    ) -> None:
        """Show these models, the chosen one marked.

        `newcomer` adds a word of welcome and what else can be done; `kept_in` says where a pasted key would be kept.
        """
        known = chosen is None or any(model.name == chosen.name for model in models)
        self._models = models if known or chosen is None else [chosen, *models]
        if chosen is not None and chosen.name != self._chosen:
            self._settled = chosen
        self._chosen = chosen.name if chosen else None
        self._newcomer, self._kept_in, self._notes = newcomer, kept_in, notes
        if not newcomer:
            self._action = None
        self.refresh()

    @property
    def on_action(self) -> bool:
        """The cursor is on a row that opens something."""
        return self._action is not None

    @property
    def _actions(self) -> list[Action]:
        if not self._newcomer:
            return []
        actions = [Action("key.paste", "paste a key", f"tried at once; kept in {self._kept_in or 'config.toml'}")]
        if sum(not model.scripted for model in self._listed) > 1:
            actions.append(Action("compare.open", "compare models", f"one question, several models: {self._compare}"))
        return actions

    @property
    def _listed(self) -> list[Model]:
        """One row per place where models were found, the marked model always among them."""
        if all(model.scripted for model in self._models):
            return list(self._models)[:_MOST]
        firsts: dict[str, Model] = {}
        for model in self._models:
            firsts.setdefault(model.provider, model)
        for model in self._models:
            if model.name == self._chosen:
                firsts[model.provider] = model
        listed = list(firsts.values())
        marked = next((at for at, model in enumerate(listed) if model.name == self._chosen), 0)
        return listed[:_MOST] if marked < _MOST else [*listed[: _MOST - 1], listed[marked]]

    def on_key(self, event: events.Key) -> None:
        match event.key:
            case "up":
                self.move(-1)
            case "down":
                self.move(1)
            case "enter":
                self._enter()
            case _ if event.is_printable and event.character:
                self.post_message(self.Typed(event.character))
            case _:
                return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        """Give what is pasted to the row that asks for it, else to the prompt."""
        event.stop()
        here = self._actions[self._action] if self._action is not None else None
        if here is not None and here.binding_id == "key.paste":
            self.post_message(self.Opened(here.binding_id, event.text))
        else:
            self.post_message(self.Pasted(event.text))

    def _enter(self) -> None:
        if self._action is None:
            self.post_message(self.Entered())
        else:
            self.post_message(self.Opened(self._actions[self._action].binding_id))

    def move(self, step: int) -> None:
        """Move the cursor: among the models that marks another one, below them it leaves the mark where it was."""
        models = self._listed
        names = [model.name for model in models]
        at = names.index(self._chosen) if self._chosen in names else 0
        if self._action is not None:
            at = len(models) + self._action
        to = max(0, min(len(models) + len(self._actions) - 1, at + step))
        if to < len(models):
            self._action = None
            self._mark(models[to])
        elif models or self._actions:
            if self._action is None and self._settled is not None and self._settled.name != self._chosen:
                self._mark(self._settled, by_hand=False)
            self._action = to - len(models)
        self.refresh()

    def _mark(self, model: Model, *, by_hand: bool = True) -> None:
        if model.name != self._chosen:
            self._chosen = model.name
            self.post_message(self.Chosen(model, by_hand=by_hand))

    def settle(self) -> None:
        """Take the marked model for meant: the cursor walks no more."""
        self._settled = next((model for model in self._models if model.name == self._chosen), None)
        if self._action is not None:
            self._action = None
            self.refresh()

    def on_focus(self) -> None:
        self.refresh()

    def on_blur(self) -> None:
        self.settle()
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = self._rows.get(event.y)
        models = self._listed
        if at is None:
            return
        if at < len(models):
            self._mark(models[at])
            self.settle()
        else:
            self._action = at - len(models)
            self._enter()
        self.refresh()

    # what it looks like

    def render(self) -> Content:
        width, height = self.size.width - 2, self.size.height
        above, models, below = self._above(width), self._model_rows(width), self._below(width)
        actions = len(self._actions)
        for gap in (2, 1, 0):
            if len(above) + len(models) + len(below) + gap * (2 if below else 1) + gap <= height:
                break
        else:
            below = [*below[:actions], *self._note_rows()]
            above = above if len(above) + len(models) + len(below) <= height else above[:1]
            below = below if height - len(above) - len(below) >= min(2, len(models)) else below[:actions]
            above = above if height - len(above) - len(below) >= 1 else []
        seen = self._window(len(models), height - len(above) - len(below) - gap * (2 if below else 1))
        lines = [*above, *[Content("")] * gap, *models[seen.start : seen.stop]]
        first = len(lines) - len(seen)
        if below:
            lines += [Content("")] * gap
            second = len(lines)
            lines += below
        top = max(0, (height - len(lines)) // 3)
        self._rows = {top + first + at: index for at, index in enumerate(seen)}
        if below:
            self._rows |= {top + second + at: len(models) + at for at in range(actions)}
        lines = lines[:height] if self._action is None else lines[max(0, second + self._action + 1 - height) :][:height]
        return Content("\n").join([*([Content("")] * top), *(joined("  ", fit(line, width)) for line in lines)])

    def _window(self, count: int, room: int) -> range:
        """Return which models there is room for, the marked one among them."""
        room = max(1, room)
        names = [model.name for model in self._listed]
        at = names.index(self._chosen) if self._chosen in names else 0
        start = max(0, min(at - room + 1, count - room))
        return range(start, min(count, start + room))

    def _above(self, width: int) -> list[Content]:
        if not self._newcomer:
            said = styled("The next prompt goes to the marked model.   ", "$fg2")
            return [joined(said, hints([(self._pick, "all models")]))]
        if any(not model.scripted for model in self._listed):
            title = joined(styled("Nothing to set up.", "b $fg"), " Type below and press Enter.")
            second = "These answer now, priced per million tokens in and out."
            brief = "Priced per million tokens in and out."
        else:
            title = joined(styled("Try it now.", "b $fg"), " Type below and press Enter; no key, no network.")
            second = "The built-in models are scripted and cost play money."
            brief = "Scripted, and they cost play money."
            if title.cell_length > width:
                title = joined(styled("Try it now.", "b $fg"), " Type below and press Enter.")
        choose = joined("   ", hints([(self._next, "choose another")])) if len(self._listed) > 1 else Content("")
        told = [styled(second, "$fg2"), styled(brief, "$fg2")]
        lines = [*(joined(line, choose) for line in told), *told]
        return [title, next((line for line in lines if line.cell_length <= width), lines[-1])]

    def _model_rows(self, width: int) -> list[Content]:
        models, rows = self._listed, []
        column = self._column_width(width)
        for model, prices in zip(models, self._figures(width), strict=True):
            here = model.name == self._chosen
            name = text(model.name, "b $fg" if here else "$fg")
            first = _cell(_found(model), column)
            rows.append(self._row(first, name, styled(prices, "$fg2"), width, marked=here, cursor=self._action is None))
        return rows

    def _figures(self, width: int) -> list[str]:
        return aligned(self._listed, 4 if width >= 80 else 2)

    def _below(self, width: int) -> list[Content]:
        rows, column = [], self._column_width(width)
        for at, action in enumerate(self._actions):
            here = at == self._action
            first, how = _cell(action.what, column or len(action.what) + 2), styled(action.how, "$fg")
            rows.append(self._row(first, how, Content(""), width, marked=here, cursor=here))
        if self._newcomer and all(model.scripted for model in self._listed):
            how = styled(f"start Ollama or LM Studio, then {self._new}", "$fg2")
            first = _cell("or a local server", column or 19)
            rows.append(self._row(first, how, Content(""), width, marked=False, cursor=False))
        return [*rows, *self._note_rows()]

    def _note_rows(self) -> list[Content]:
        return [joined("  ", text(note, "$stop")) for note in self._notes] if self._newcomer else []

    def _row(
        self, first: Content, words: Content, figures: Content, width: int, *, marked: bool, cursor: bool
    ) -> Content:
        edge = styled(self._glyphs.bar, "$acc") if marked and cursor and self.has_focus else Content(" ")
        line = row(joined(edge, " ", first, words), joined(figures, " "), width)
        return line.stylize_before("on $sel") if marked else line

    def _column_width(self, width: int) -> int:
        """Return the cells of the first column: what the names leave of it, nothing when that is too little."""
        names = max((len(model.name) for model in self._listed), default=0)
        left = width - 4 - names - max((len(line) for line in self._figures(width)), default=0)
        hows = max((len(action.how) for action in self._actions), default=0)
        left = min(left, max(_LEAST_FOUND, width - 4 - hows))
        return min(_FOUND, left) if left >= _LEAST_FOUND else 0


def _found(model: Model) -> str:
    """Return where a model was found, in few words."""
    found = model.found or model.provider
    if found.startswith("providers."):  # the full name of a setting
        return "config.toml" if found.endswith("config.toml") else found.rpartition(".")[2]
    return found


def _cell(words: str, width: int) -> Content:
    """Return words as a column of that width, the last cell always blank."""
    return joined(fit(text(words, "$fg2"), width - 1), " ") if width > 1 else Content("")
