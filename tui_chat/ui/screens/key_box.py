"""Paste a key: it is tried with its provider, kept, and used from then on.

The key is in the field and in what is handed on, nowhere else: no message, notification or state of the box holds it.
Nothing is sent to a provider that the user did not see marked, since a key that another vendor was sent is burnt.
"""

import asyncio
import re
from collections.abc import Sequence
from typing import ClassVar, Literal

from rich.text import Text
from textual import events, on
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Region, Size
from textual.message import Message
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.visual import RenderOptions
from textual.widgets import Input, Static
from textual.worker import Worker

from tui_chat.core.errors import ChatError
from tui_chat.core.ports import KeyPlace, Keys
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.row import hints, joined, row, styled, text

_REFUSED = ("authentication", "permission", "invalid_request", "configuration")
"""Kinds of failure that are about the key; after any other nobody knows whether it is good."""
_QUOTES = "\"'`“”‘’«»"
_SETTING = re.compile(
    r"^\s*(?:export\s+|set\s+|setx\s+|\$env:)?(?P<open>[\"']?)(?P<name>[A-Z][A-Z0-9]*_[A-Z0-9_]+)(?P=open)"
    r"(?:\s*[=:]\s*|\s+)(?P<value>\S.*)$"
)
_LOW = 22
"""Rows of the terminal; with fewer nothing is left blank."""
_OTHER_ROWS, _OTHER_ROWS_LOW = 16, 10
"""Rows of the terminal that the list of providers leaves to the rest."""


def key_in(pasted: str) -> tuple[str, str]:
    """Return the key in what was pasted, and the variable that it stood beside; empty when there is none.

    Takes `export NAME=key`, a line of a `.env` file, quotes and white space around, `Bearer key`.
    """
    lines = [line.strip() for line in pasted.splitlines() if line.strip()]
    for line in lines:
        if (found := _SETTING.match(line)) is not None:
            value = found["value"].strip()
            if value[0] in _QUOTES:
                value = re.split(f"[{_QUOTES}]", value[1:])[0]
            else:
                value = re.split(r"\s+#|[;,]?$", value)[0]
            return value.strip(), found["name"]
    joined_up = "\n".join(lines).strip(_QUOTES + "\n ;,")
    return re.sub(r"^(?:authorization:\s*)?bearer\s+", "", joined_up, flags=re.IGNORECASE), ""


@record
class KeyKept:
    """A key was kept."""

    provider: str
    words: str
    """What to tell the user."""


class KeyInput(Input):
    """A field that shows how much stands in it, never what, and hands it to nobody but who asks for it."""

    class Edited(Message):
        """The text changed."""

    class Entered(Message):
        """Enter was pressed."""

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__(password=True, placeholder="the key", compact=True, select_on_focus=False)
        self.cursor_blink = False
        self._mask = "*" if glyphs is ASCII else "•"
        self.variable = ""
        """The variable that the pasted key stood beside."""

    def post_message(self, message: Message) -> bool:
        """Send our own messages in the place of Textual's, which carry the text and show it in their `repr`."""
        match message:
            case Input.Changed():
                message = self.Edited()
            case Input.Submitted():
                message = self.Entered()
            case Input.Blurred():
                return True
        return super().post_message(message)

    @property
    def _value(self) -> Text:
        return Text(self._mask * len(self.value), no_wrap=True, overflow="ignore", end="")

    def take(self, pasted: str) -> None:
        """Put the key in what was pasted at the cursor."""
        key, self.variable = key_in(pasted)
        self.replace(key, *sorted(self.selection))

    def _on_paste(self, event: events.Paste) -> None:
        event.stop()
        event.prevent_default()
        self.take(event.text)

    def action_paste(self) -> None:
        self.take(self.app.clipboard)

    def action_copy(self) -> None:
        """Leave the clipboard alone: Ctrl+C clears, as it does in the prompt."""
        self.clear()

    action_cut = action_copy


class PlaceList(ScrollView, can_focus=False):
    """The providers as lines, with where their keys come from now."""

    class Clicked(Message):
        def __init__(self, at: int) -> None:
            super().__init__()
            self.at = at

    def __init__(self, places: Sequence[KeyPlace], glyphs: Glyphs) -> None:
        super().__init__()
        self._places = places
        self._glyphs = glyphs
        self.at: int | None = None

    def on_mount(self) -> None:
        self.virtual_size = Size(self.size.width, len(self._places))
        self.call_after_refresh(self.mark, self.at)

    def on_resize(self) -> None:
        self.mark(self.at)

    def mark(self, at: int | None) -> None:
        self.at = at
        if at is not None:
            self.scroll_to_region(Region(0, at, 1, 1), animate=False, force=True)
        self.refresh()

    def on_click(self, event: events.Click) -> None:
        at = int(event.y + self.scroll_y)
        if at < len(self._places):
            self.post_message(self.Clicked(at))

    def render_line(self, y: int) -> Strip:
        at, width = y + int(self.scroll_offset.y), self.size.width
        content = self._draw(at, width) if at < len(self._places) else Content(" ")
        strips = content.render_strips(
            width, 1, self.visual_style, RenderOptions(self._get_style, {"text_wrap": "nowrap"})
        )
        return strips[0] if strips else Strip.blank(width, self.visual_style.rich_style)

    def _draw(self, at: int, width: int) -> Content:
        place, here = self._places[at], at == self.at
        edge = styled(self._glyphs.bar, "$acc") if here else Content(" ")
        name = joined(" ", edge, " ", text(place.title, "b $fg" if here else "$fg"))
        line = row(name, joined(text(_source(place), "$fg2"), "   "), width)
        return line.stylize_before("on $sel") if here else line


def _source(place: KeyPlace) -> str:
    """Return where a provider's key comes from, in few words."""
    if not place.source.startswith("providers."):
        return place.source
    return "config.toml" if place.source.endswith("config.toml") else place.source.rpartition(".")[2]


class KeyBox(ModalScreen[KeyKept | None]):
    """A box over the chat; ends with where the key is kept, or with nothing."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape", "close", "Close", show=False),
        Binding("up,shift+tab", "choose(-1)", "Up", show=False, priority=True),
        Binding("down,tab", "choose(1)", "Down", show=False, priority=True),
        Binding("pageup", "choose(-5)", "Up", show=False),
        Binding("pagedown", "choose(5)", "Down", show=False),
    ]

    def __init__(self, keys: Keys, provider: str | None, glyphs: Glyphs, pasted: str = "") -> None:
        """`provider` is marked from the start; `pasted` is put into the field."""
        super().__init__()
        self._keys, self._glyphs = keys, glyphs
        self._places = keys.places()
        self._field = KeyInput(glyphs)
        self._list = PlaceList(self._places, glyphs)
        self._list.at = self._index(provider)
        self._pasted = pasted
        self._guessed: int | None = None
        self._where = keys.where
        self._busy: Literal["", "trying", "keeping"] = ""
        self._unknown = False
        """The provider could not be asked; another Enter keeps the key as it is."""
        self._worker: Worker[None] | None = None

    def compose(self) -> ComposeResult:
        self._fit(self.app.size.height)
        with Vertical(classes="box"):
            yield Static(markup=False, id="title")
            yield self._field
            yield self._list
            yield Static(markup=False, id="about")
            yield Static(markup=False, id="said")
            yield Static(markup=False, id="hints")

    def on_mount(self) -> None:
        self.set_focus(self._field)
        pasted, self._pasted = self._pasted, ""
        if pasted:
            self._field.take(pasted)
        self._show_title()
        self._show_about()
        self._say()
        self.run_worker(self._look_where(), group="keyring", exit_on_error=False)

    def on_resize(self, event: events.Resize) -> None:
        self._fit(event.size.height)

    def _fit(self, height: int) -> None:
        """Give the list of providers what the other lines leave."""
        low = height < _LOW
        self.set_class(low, "-low")
        rows = height - _OTHER_ROWS_LOW if low else min(height - _OTHER_ROWS, height * 2 // 5)
        self._list.styles.height = max(2, min(len(self._places), rows))

    async def _look_where(self) -> None:
        self._where = await asyncio.to_thread(self._keys.look_where)
        self._show_title()

    # what it shows

    def _show_title(self) -> None:
        how = styled(f"   tried, then kept in {self._where}", "$fg2")
        self.query_one("#title", Static).update(joined(styled("Paste a key", "b $fg"), how))

    def _show_about(self) -> None:
        place, lines = self._place, []
        if place is None:
            lines.append(styled("Choose whose key it is: its shape does not tell.", "$fg2"))
        else:
            if place.page:
                lines.append(joined(styled("Keys are made at ", "$fg2"), text(place.page, "$fg")))
            if place.before:
                before = f"{place.before} is set and goes before a stored key"
                lines.append(joined(styled(f"{self._glyphs.budget} ", "$stop"), text(before, "$stop")))
            elif place.source:
                lines.append(joined(styled("Its key comes from ", "$fg2"), text(place.source, "$fg2")))
        self.query_one("#about", Static).update(Content("\n").join(lines))

    def _say(self, content: Content | None = None) -> None:
        """Say how it went, and which keys work now."""
        self.query_one("#said", Static).update(content or Content(""))
        enter = "again keeps it untried" if self._unknown else "try and keep"
        keys = [("enter", enter), ("esc", "close"), ("↑↓", "whose key it is")]
        self.query_one("#hints", Static).update(hints([("esc", "cancel")] if self._busy == "trying" else keys))

    def _say_failed(self, what: str, message: str) -> None:
        self._say(joined(styled(f"{self._glyphs.failed} {what}", "$fail"), text(message, "$fail")))

    # whose key it is

    def _index(self, provider: str | None) -> int | None:
        return next((at for at, place in enumerate(self._places) if place.provider == provider), None)

    @property
    def _place(self) -> KeyPlace | None:
        return self._places[self._list.at] if self._list.at is not None and self._places else None

    def action_choose(self, step: int) -> None:
        """Mark another provider."""
        if self._busy or not self._places:
            return
        at = self._list.at
        last = len(self._places) - 1
        self._mark((0 if step > 0 else last) if at is None else max(0, min(last, at + step)))

    @on(PlaceList.Clicked)
    def _clicked(self, event: PlaceList.Clicked) -> None:
        event.stop()
        if not self._busy:
            self._mark(event.at)

    def _mark(self, at: int) -> None:
        self._unknown = False
        self._list.mark(at)
        self._show_about()
        self._say()

    @on(KeyInput.Edited)
    def _edited(self, event: KeyInput.Edited) -> None:
        event.stop()
        if self._busy:  # what is tried is what stood there at Enter
            self._stop()
        self._unknown = False
        self._say()
        key, variable = key_in(self._field.value)
        if not key:
            self._field.variable = ""
        guessed = self._guess(key, variable or self._field.variable)
        if guessed is not None and guessed != self._guessed:
            self._mark(guessed)
        self._guessed = guessed

    def _guess(self, key: str, variable: str) -> int | None:
        for at, place in enumerate(self._places):
            if variable and variable in (place.variable, *place.other_variables):
                return at
        return self._index(self._keys.guess(key)) if key else None

    # trying and keeping

    @on(KeyInput.Entered)
    def _entered(self, event: KeyInput.Entered) -> None:
        event.stop()
        place = self._place
        if self._busy:
            return
        if not self._field.value.strip():
            self._say(styled("Paste the key first.", "$stop"))
        elif place is None:
            self._say(styled("Choose whose key it is with ↑↓: it is sent to nobody else.", "$stop"))
        else:
            work = self._keep_untried(place) if self._unknown else self._try(place)
            self._worker = self.run_worker(work, group="key", exclusive=True, exit_on_error=False)

    async def _try(self, place: KeyPlace) -> None:
        key, _ = key_in(self._field.value)
        self._busy = "trying"
        self._say(styled(f"{self._glyphs.waiting} trying{self._glyphs.ellipsis}", "$run"))
        try:
            said = await self._keys.try_key(place.provider, key)
        except ChatError as failed:
            self._busy = ""
            self._unknown = failed.kind not in _REFUSED
            self._say_failed("not tried: " if self._unknown else "", failed.message)
            return
        except asyncio.CancelledError:
            self._busy = ""
            raise
        await self._keep(place, key, said)

    async def _keep_untried(self, place: KeyPlace) -> None:
        key, _ = key_in(self._field.value)
        await self._keep(place, key, "not tried")

    async def _keep(self, place: KeyPlace, key: str, said: str) -> None:
        self._busy = "keeping"
        self._say(styled(f"{self._glyphs.waiting} {said}, keeping it{self._glyphs.ellipsis}", "$run"))
        try:
            where = await asyncio.to_thread(self._keys.keep, place.provider, key)
        except ChatError as failed:
            self._busy = ""
            self._say_failed("", failed.message)
            return
        alone = "" if where == "the keyring" else ", readable by you alone"
        words = f"{place.title}: {said}. Kept in {where}{alone}."
        if place.before:
            words += f" It is used in this run; the next one takes {place.before} again unless that is gone."
        _ = self.dismiss(KeyKept(place.provider, one_line(words, 600)))

    def _stop(self) -> None:
        if self._worker is not None:
            self._worker.cancel()
        self._busy = ""

    def action_close(self) -> None:
        """Cancel the trial, else close."""
        if self._busy == "trying":
            self._stop()
            self._say(styled("Cancelled; nothing is kept.", "$fg2"))
        else:
            _ = self.dismiss(None)
