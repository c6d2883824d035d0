"""Choose what the next prompt goes to: type to narrow, Enter to use; several marked ones are asked together.

The list is filled from what is known at once. Meanwhile the providers are asked for theirs, and what they have comes in
under the cursor without moving it.
"""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from functools import partial
from typing import ClassVar

from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.screen import ModalScreen
from textual.widget import Widget
from textual.widgets import Input

from tui_chat.core.errors import ChatError
from tui_chat.core.keymap import keys_of, shown
from tui_chat.core.model import Model
from tui_chat.core.services import Services
from tui_chat.core.usage import Usage
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.bindings import binding
from tui_chat.ui.widgets.model_list import ModelList
from tui_chat.ui.widgets.model_rows import Models, like_the_last
from tui_chat.ui.widgets.row import fit, hints, joined, row, styled, text

_UNITS = ((72, 44, "   $ per million tokens"), (46, 28, "   $/Mtok"), (0, 18, ""))
"""From which width of the screen on: cells beside the search, and the unit of the figures in words that fit there."""
_AIRY = 22
"""Rows of the screen from which the box has blank rows in it."""
_BARE = 12
"""Below it the box is the search, the list and the keys."""


class _Line(Widget):
    """One row of the box that is set from outside."""

    DEFAULT_CSS = "_Line { height: 1; width: 1fr; }"

    _shown = Content("")

    def show(self, content: Content) -> None:
        if not content.is_same(self._shown):
            self._shown = content
            self.refresh()

    def render(self) -> Content:
        return fit(self._shown, self.size.width)


class _Search(Input):
    """The field for the search. Keys that mean something else are taken here, in the order in which they were typed.

    Textual runs the bindings of a key when it has bubbled up, and letters that came with it in one burst are typed
    before: a slow line makes `x Backspace y` of it `x y Backspace`, and an Enter would use what is typed behind it.
    """

    def __init__(self, taken: Mapping[str, Callable[[], object]]) -> None:
        super().__init__(placeholder="type to narrow", compact=True)
        self.cursor_blink = False
        self._taken = {"backspace": self.action_delete_left, **taken}

    def _on_key(self, event: events.Key) -> None:  # type: ignore[override]  # Input's own is called behind it
        if (act := self._taken.get(event.key)) is not None:
            event.stop()
            event.prevent_default()
            act()


class ModelPicker(ModalScreen[list[Model] | None]):
    """A box over the chat. Its result: the models to ask, the first one first; `None` leaves all as it is."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "dismiss(None)", "Close", show=False),
        binding("model.pick", "dismiss(None)"),
        binding("compare.open", "mark"),
        binding("model.favourite", "favourite"),
        binding("model.sort", "sort"),
    ]

    def __init__(
        self,
        services: Services,
        chosen: Sequence[Model],
        glyphs: Glyphs,
        keys: dict[str, str],
        *,
        like: Usage | None = None,
        comparing: bool = False,
    ) -> None:
        """`chosen` is what the next prompt goes to now, `like` what the last answer used.

        With `comparing` those chosen are marked at once.
        """
        super().__init__()
        self._services, self._glyphs, self._keys = services, glyphs, keys
        self._like = like
        self._favourites = self._read(services.store.favourite_models)
        self._recent = self._read(services.store.recent_models)
        self._liked: list[Model] = []
        """Favourites and models used lately, which the one under the cursor is compared with."""
        self._input = _Search(self._other_keys())
        self._count = _Line(id="count")
        self._list = ModelList(self._models(), chosen[0].name if chosen else "", self._favourites, glyphs)
        if comparing:
            self._list.mark(*chosen)
        self._heading = _Line(id="heading")
        self._about = _Line(id="about")
        self._hints = _Line(id="hints")
        self._units = _UNITS[0]
        self._said = ""
        """Why something could not be done; stands until the next key."""

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            with Horizontal(id="search"):
                yield self._input
                yield self._count
            yield self._heading
            yield self._list
            yield self._about
            yield self._hints

    def on_mount(self) -> None:
        self.set_class(self._glyphs is ASCII, "ascii")
        self._fit(*self.app.size)
        self.set_focus(self._input)  # at once: the next key may be on its way
        self._draw()
        for asking in (self._services.lists.refresh(), self._services.lists.find_local()):
            # on the app: what was asked of a provider is kept, also when the box is closed before it answers
            self.app.run_worker(self._take_in(asking), group="lists", exit_on_error=False)

    def on_resize(self, event: events.Resize) -> None:
        self._fit(*event.size)
        self.call_after_refresh(self._draw)

    def _fit(self, width: int, height: int) -> None:
        """Give the list the rows that the screen has for it, however many are found: the box does not jump."""
        airy, bare = height >= _AIRY, height < _BARE
        self.set_class(not airy, "-short")
        self.set_class(bare, "-bare")
        most = height * 11 // 20 if airy else height - (2 if bare else 4)
        self._units = next(each for each in _UNITS if width >= each[0])
        self._count.styles.width = self._units[1]
        self._list.styles.height = max(1, min(most, self._list.count))

    def _read(self, names: Callable[[], list[str]]) -> list[str]:
        try:
            return names()
        except ChatError:
            return []  # the history cannot be read, and says so elsewhere

    def _models(self) -> Models:
        models = Models(self._services.catalog.known(), self._favourites, self._recent)
        liked = {*self._favourites, *self._recent}
        self._liked = [model for name, model in zip(models.names, models.models, strict=True) if name in liked]
        return models

    async def _take_in(self, asking: Coroutine[None, None, bool]) -> None:
        if await asking and self.is_attached:
            self._list.show(self._models())
            self._fit(*self.app.size)
            self._draw()

    # keys

    def _other_keys(self) -> dict[str, Callable[[], object]]:
        """Return the keys that are no part of the search, with what they do."""
        steps = {"up": -1, "down": 1, "tab": 1, "shift+tab": -1}
        keys: dict[str, Callable[[], object]] = {key: partial(self._move, step) for key, step in steps.items()}
        keys |= {"pageup": partial(self._page, -1), "pagedown": partial(self._page, 1), "enter": self._use}
        for binding_id, act in (
            ("compare.open", self.action_mark),
            ("model.favourite", self.action_favourite),
            ("model.sort", self.action_sort),
        ):
            keys |= dict.fromkeys(keys_of(binding_id, self._keys).split(","), act)
        return keys

    def _move(self, step: int) -> None:
        self._in_time()
        self._list.move(step)

    def _page(self, direction: int) -> None:
        self._move(direction * max(1, self._list.size.height - 1))

    def _in_time(self) -> None:
        """Search for what was typed before this key: the news of it may still be on its way."""
        self._said = ""
        self._list.search(self._input.value)

    @on(Input.Changed)
    def _typed(self, event: Input.Changed) -> None:
        event.stop()
        self._in_time()
        self._draw()

    @on(ModelList.Moved)
    def _moved(self, event: ModelList.Moved) -> None:
        event.stop()
        self._draw()

    @on(ModelList.Taken)
    def _taken(self, event: ModelList.Taken) -> None:
        event.stop()
        self._use()

    def _use(self) -> None:
        """End with the marked models, else with the one under the cursor."""
        self._in_time()
        selected = self._list.selected
        as_typed = self._as_typed
        chosen = self._list.marked or [each for each in (selected or as_typed,) if each is not None]
        if chosen:
            _ = self.dismiss(chosen)  # awaiting it in a handler of its own screen would never end

    @property
    def _as_typed(self) -> Model | None:
        """The model that was typed out, `provider/model`, when no list has it: the server knows best."""
        name = self._input.value.strip()
        if self._list.selected is not None or "/" not in name or " " in name:
            return None
        try:
            return self._services.catalog.resolve(name)
        except ChatError:
            return None

    def action_mark(self) -> None:
        """Add the model to those that are asked together, or take it out."""
        self._in_time()
        self._said = self._list.toggle_mark()
        self._draw()

    def action_favourite(self) -> None:
        """Keep the model at the head of the list, or no more."""
        self._in_time()
        self._list.toggle_favourite()
        self._services.store.save_favourites(self._list.favourites)
        self._draw()

    def action_sort(self) -> None:
        """Sort by what comes next: price, context, provider, as found."""
        self._in_time()
        self._list.sort()
        self._draw()

    # what it says

    def _draw(self) -> None:
        models = self._list
        width = self._about.size.width
        _, cells, unit = self._units
        found = styled(f"{len(models):,} of {models.count:,}{unit}  ", "$fg2")
        self._count.show(row(Content(""), found, cells))
        self._heading.show(models.heading())
        about = self._about_model()
        if about.cell_length > width - 5:
            about = self._about_model(brief=True)
        self._about.show(joined("    ", about))
        self._hints.show(joined("    ", self._hint(width - 5)))

    def _about_model(self, *, brief: bool = False) -> Content:
        selected = self._list.selected
        if self._said:
            return styled(self._said, "$stop")
        if selected is None:
            typed = self._as_typed
            return text(f"No list has it; {typed.provider} is asked for it as it is.", "$fg2") if typed else Content("")
        return like_the_last(selected, self._like, self._liked, brief=brief)

    def _hint(self, width: int) -> Content:
        """Return the keys that work now; what there is no room for goes, the least wanted first."""
        selected, marked = self._list.selected, self._list.marked
        lacking = selected is not None and selected.missing is not None
        use = "use" if not lacking else "set its key" if selected is not None and selected.needs else "say why not"
        if marked:
            use = f"ask {len(marked)} model{'s' if len(marked) > 1 else ''}"
        out = selected is not None and self._list.is_marked(selected)
        own = selected is not None and selected.name in self._list.favourites

        def key(binding_id: str, words: str) -> tuple[str, str]:
            return shown(keys_of(binding_id, self._keys)), words

        pairs = [("enter", use)] if selected is not None or marked else []
        if selected is None and not marked and (typed := self._as_typed) is not None:
            pairs = [("enter", f"use {typed.id}")]
        if selected is not None and not lacking:
            pairs.append(key("compare.open", "take out" if out else "add to compare"))
        if selected is not None:
            pairs.append(key("model.sort", "sort" if self._list.order == "found" else f"by {self._list.order}"))
            pairs.append(key("model.favourite", "no favourite" if own else "favourite"))
        pairs.append(("esc", "close"))
        while len(pairs) > 2 and hints(pairs).cell_length > width:
            pairs.pop(-2)
        return hints(pairs)
