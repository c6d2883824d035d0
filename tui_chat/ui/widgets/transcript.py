"""The path in view, turn by turn, with a cursor on one answer.

Turns are mounted from the end: a screenful at once, older ones when the loop is idle or the user scrolls up, while the
view stays where it is. Following the end is a state (Textual's anchor), never inferred from pixels.
"""

from collections.abc import Sequence

from textual import events
from textual.containers import VerticalScroll
from textual.message import Message
from textual.reactive import Reactive, ReactiveType
from textual.timer import Timer
from textual.widget import Widget

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn, on_path
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.completion_view import CompletionView
from tui_chat.ui.widgets.turn_view import TurnView

FIRST_TURNS = 6
MORE_TURNS = 10
MOST_TURNS = 200
HELD_S = 0.3
"""How long a letter after a stop waits for a second one: people who stop an answer go on typing what they meant."""


class Transcript(VerticalScroll, can_focus=True):
    """The scrolling list of turns."""

    DEFAULT_CSS = "Transcript { height: 1fr; width: 1fr; }"
    BLANK = True  # see covered.py

    class Typed(Message):
        """A printable key without a meaning here: it belongs to the prompt."""

        def __init__(self, character: str) -> None:
            super().__init__()
            self.character = character

    class Pasted(Message):
        """A paste: it belongs to the prompt."""

        def __init__(self, text: str) -> None:
            super().__init__()
            self.text = text

    class CursorMoved(Message):
        """The cursor stands on another answer."""

    def __init__(self, glyphs: Glyphs, keymap: dict[str, str]) -> None:
        super().__init__()
        self._glyphs, self._keymap = glyphs, keymap
        self._turns: list[Turn] = []
        self._mounted_from = 0
        self._cursor: CompletionView | None = None
        self._filling = False
        self._offered = self._typing = False
        self._held: tuple[str, str] | None = None
        """A letter that waits to be a command or the start of a prompt: key and character."""
        self._held_timer: Timer | None = None

    # what is shown

    async def show(self, turns: Sequence[Turn]) -> None:
        """Show a path from its end."""
        self._turns = list(turns)
        self._cursor = None
        await self.remove_children()
        self._mounted_from = max(0, len(self._turns) - FIRST_TURNS)
        await self.mount_all(self._views(self._mounted_from, len(self._turns)))
        self.anchor()
        self._cursor_to_last()
        if self._mounted_from:
            self.set_timer(0.05, self._fill)

    def _views(self, start: int, end: int) -> list[TurnView]:
        pairs = on_path(self._turns)[start:end]
        return [TurnView(turn, completion, self._glyphs, self._keymap) for turn, completion in pairs]

    async def _fill(self) -> None:
        """Mount older turns above, keeping the view still."""
        shown = len(self._turns) - self._mounted_from
        if self._filling or not self._mounted_from or shown >= MOST_TURNS or not self.is_attached:
            return
        self._filling = True
        start = max(0, self._mounted_from - MORE_TURNS)
        before = self.virtual_size.height
        views = self._views(start, self._mounted_from)
        self._mounted_from = start
        await self.mount_all(views, before=0)
        self._filling = False
        if not self.following:
            self.call_after_refresh(self._keep_still, before)
        if start:
            self.set_timer(0.05, self._fill)

    def _keep_still(self, height_before: int) -> None:
        grown = self.virtual_size.height - height_before
        self.scroll_to(y=self.scroll_y + grown, animate=False, force=True, immediate=True)

    async def add(self, turn: Turn) -> None:
        """Append a turn and move the cursor to its answer."""
        self._turns.append(turn)
        view = TurnView(turn, turn.chosen, self._glyphs, self._keymap)
        await self.mount(view)
        self.anchor()
        self._cursor_to_last()

    async def cut(self, turn: Turn) -> None:
        """Take a turn and everything after it out of view, before a branch is shown in its place."""
        at = self._turns.index(turn)
        gone = [view for view in self.turn_views if view.turn in self._turns[at:]]
        del self._turns[at:]
        self._cursor = None
        await self.remove_children(gone)

    async def show_answer(self, turn: Turn, completion: Completion) -> None:
        """Show another answer of a turn in place of the one in view."""
        view = self.view_of(turn)
        if view is None:
            return
        answer = await view.show(completion)
        self._move_cursor(answer)

    @property
    def turn_views(self) -> list[TurnView]:
        return [child for child in self.children if isinstance(child, TurnView)]

    def view_of(self, turn: Turn) -> TurnView | None:
        return next((view for view in self.turn_views if view.turn is turn), None)

    def _turn_of(self, answer: CompletionView) -> TurnView:
        return next(view for view in self.turn_views if view.answer is answer)

    @property
    def answers(self) -> list[CompletionView]:
        return [view.answer for view in self.turn_views if view.answer is not None]

    @property
    def active_answers(self) -> list[CompletionView]:
        """The answers that need frames; they stand near the end."""
        return [answer for answer in self.answers if answer.is_mounted and answer.active]

    # following the end

    def set_reactive(self, reactive: Reactive[ReactiveType], value: ReactiveType) -> None:
        """Keep a short conversation at the top: Textual's anchor would push it down to the last row."""
        if isinstance(value, int | float) and value < 0 and reactive in (Widget.scroll_y, Widget.scroll_target_y):
            super().set_reactive(reactive, type(value)(0))
        else:
            super().set_reactive(reactive, value)

    @property
    def following(self) -> bool:
        """True while new text keeps the end in view."""
        return self._anchored and not self._anchor_released

    @property
    def more_below(self) -> bool:
        """True when there is text below the view."""
        return not self.following and self.scroll_y < self.max_scroll_y

    def follow(self) -> None:
        self.anchor()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        super().watch_scroll_y(old_value, new_value)
        if new_value < old_value and new_value < self.size.height and self._mounted_from:
            self.call_later(self._fill)

    # the cursor

    @property
    def cursor(self) -> CompletionView | None:
        return self._cursor

    def _cursor_to_last(self) -> None:
        answers = self.answers
        self._move_cursor(answers[-1] if answers else None)

    def _move_cursor(self, to: CompletionView | None) -> None:
        if self._cursor is not None and self._cursor is not to:
            self._cursor.set_cursor(on=False)
        self._cursor = to
        if to is not None:
            to.set_cursor(on=True)
        self.post_message(self.CursorMoved())

    def move_cursor(self, step: int) -> None:
        """Move the cursor by `step` answers and bring it into view."""
        answers = self.answers
        if not answers:
            return
        at = answers.index(self._cursor) if self._cursor in answers else len(answers) - 1
        to = answers[max(0, min(len(answers) - 1, at + step))]
        self._move_cursor(to)
        if (to is answers[-1] and step > 0) or not self.max_scroll_y:
            self.anchor()
        else:
            self.release_anchor()
            self.scroll_to_widget(self._turn_of(to) if step < 0 else to, animate=False, top=step < 0)

    def on_completion_view_picked(self, event: CompletionView.Picked) -> None:
        event.stop()
        self._move_cursor(event.view)

    def _step(self, step: int) -> None:
        """Scroll within a long answer, and go to the next one from its edge."""
        cursor = self._cursor
        if cursor is None:
            return
        region, view = cursor.virtual_region_with_margin, self.scrollable_content_region
        top = self._turn_of(cursor).virtual_region.y + region.y
        if step > 0 and top + region.height > self.scroll_y + view.height:
            self.scroll_relative(y=3, animate=False)
        elif step < 0 and top < self.scroll_y:
            self.scroll_relative(y=-3, animate=False)
        else:
            self.move_cursor(step)

    # keys

    def offer_keys(self) -> None:
        """Take the focus without being asked, after a stop: letters act only when nothing else is typed right after."""
        self._offered = True

    def on_blur(self) -> None:
        self._offered = self._typing = False
        self._forget_held()

    def on_key(self, event: events.Key) -> None:
        held = self._forget_held()
        printable = event.character if event.is_printable else None
        if held is not None and printable is not None:
            self._type(held[1] + printable)
        elif printable is not None and (self._typing or not self._bound(event.key)):
            self._type(printable)
        elif printable is not None and self._offered:
            self._held = event.key, printable
            self._held_timer = self.set_timer(HELD_S, self._act)
        elif not self._moves(event.key):
            return
        event.stop()
        event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.post_message(self.Pasted(event.text))

    def _moves(self, key: str) -> bool:
        match key:
            case "up":
                self._step(-1)
            case "down":
                self._step(1)
            case "end":
                self._cursor_to_last()
                self.anchor()
            case _:
                return False
        return True

    def _type(self, characters: str) -> None:
        """Hand characters to the prompt; those that follow before it has the focus go the same way."""
        self._typing = True
        self.post_message(self.Typed(characters))

    async def _act(self) -> None:
        """Nothing was typed after the letter: it was meant as a command."""
        held, self._held = self._held, None
        if held is not None and (active := self.app.active_bindings.get(held[0])) is not None:
            self._offered = False
            await self.app.run_action(active.binding.action, active.node)

    def _forget_held(self) -> tuple[str, str] | None:
        held, self._held = self._held, None
        if self._held_timer is not None:
            self._held_timer.stop()
            self._held_timer = None
        return held

    def _bound(self, key: str) -> bool:
        return key in self.app.active_bindings
