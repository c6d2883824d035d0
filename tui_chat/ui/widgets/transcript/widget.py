"""The path in view, turn by turn, in one widget with a cursor on one answer.

Textual lays out every mounted widget for each frame in which one of them grows. So nothing is mounted here: turns are
stacks of rows, and a frame repaints the rows of the view that differ from those painted last. Only what is near the
view is parsed and drawn; the rest is a guess at a height. Two things keep the view where it is while heights are
corrected above it: following the end is a state (never inferred from pixels), and otherwise the row at the top is
remembered as a place in the text.
"""

from bisect import bisect_right
from collections.abc import Iterator, Sequence
from typing import ClassVar, NamedTuple

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.timer import Timer
from textual.widget import Widget

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn, on_path
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.markdown_log.render import Row
from tui_chat.ui.widgets.markdown_log.widget import MarkdownLog, highlighted, own_style, palette_of, selected_text
from tui_chat.ui.widgets.transcript.answer_rows import AnswerRows
from tui_chat.ui.widgets.transcript.look import GUTTER, Look
from tui_chat.ui.widgets.transcript.scroll_bar import SteadyScrollBar
from tui_chat.ui.widgets.transcript.sections import Place
from tui_chat.ui.widgets.transcript.turn_rows import TurnRows

HELD_S = 0.3
"""How long a letter after a stop waits for a second one: people who stop an answer go on typing what they meant."""
_KEPT_TURNS = 40
"""Turns on each side of the view whose rows are kept."""


class _Top(NamedTuple):
    """The row at the top of the view, as a place in the conversation."""

    turn: TurnRows
    place: Place | None
    y: int
    """The row within the turn, where nothing is drawn yet."""


class Transcript(ScrollView, can_focus=True):
    """The scrolling turns."""

    DEFAULT_CSS = """
    Transcript {
        height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto;
        .markdown-log--heading, .markdown-log--subheading { text-style: bold; }
        .markdown-log--subheading { text-style: bold italic; }
        .markdown-log--link { text-style: underline; }
        .markdown-log--comment { text-style: italic; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = MarkdownLog.COMPONENT_CLASSES | {
        "transcript--prompt",
        "transcript--cursor",
        "transcript--thinking",
    }

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

    class LinkClicked(Message):
        """A link of an answer was clicked."""

        def __init__(self, answer: AnswerRows, target: str) -> None:
            super().__init__()
            self.answer = answer
            self.target = target

    class EarlierWanted(Message):
        """The view is near the first turn that is shown, and there may be others before it."""

    def __init__(self, glyphs: Glyphs, keymap: dict[str, str]) -> None:
        super().__init__()
        self._glyphs, self._keymap = glyphs, keymap
        self._turns: list[TurnRows] = []
        self._starts: list[int] = [0]
        """First row of each turn, and the row after the last."""
        self._earlier = False
        """There are turns before those that are shown."""
        self._asked_earlier = False
        self._look: Look | None = None
        self._styles_stale = False
        self._top: _Top | None = None
        self._painted: list[Strip] = []
        self._settling = False
        self._cursor: AnswerRows | None = None
        self._code: tuple[TurnRows | None, int] = (None, 0)
        """The code block that was jumped to last."""
        self._offered = self._typing = False
        self._held: tuple[str, str] | None = None
        """A letter that waits to be a command or the start of a prompt: key and character."""
        self._held_timer: Timer | None = None

    # what is shown

    def show(self, turns: Sequence[Turn], *, earlier: bool = False) -> None:
        """Show a path from its end; `earlier` says that there are turns before these."""
        self._turns = self._rows_of(turns)
        self._earlier, self._asked_earlier = earlier, False
        self._cursor = None
        self._code = (None, 0)
        self.anchor()
        self._cursor_to_last()
        self._update(everything=True)

    def _rows_of(self, turns: Sequence[Turn]) -> list[TurnRows]:
        return [TurnRows(turn, completion, self._keymap) for turn, completion in on_path(turns)]

    def prepend(self, turns: Sequence[Turn], *, earlier: bool) -> None:
        """Show turns before those that are shown; the view stays where it is."""
        following = [view.turn for view in self._turns[:1]]
        rows = self._rows_of([*turns, *following])
        self._turns[:0] = rows[: len(turns)]
        self._earlier, self._asked_earlier = earlier, False
        self._update(everything=True)

    def add(self, turn: Turn) -> None:
        """Append a turn and move the cursor to its answer."""
        self._turns.append(TurnRows(turn, turn.chosen, self._keymap))
        self.anchor()
        self._cursor_to_last()
        self._update(everything=True)

    def cut(self, turn: Turn) -> None:
        """Take a turn and everything after it out of view, before a branch is shown in its place."""
        at = next(at for at, view in enumerate(self._turns) if view.turn is turn)
        del self._turns[at:]
        self._cursor = None
        self._update(everything=True)

    def show_answer(self, turn: Turn, completion: Completion) -> None:
        """Show another answer of a turn in place of the one in view."""
        view = next((view for view in self._turns if view.turn is turn), None)
        if view is not None:
            if view.answer is self._cursor:
                self._cursor = None
            view.show(completion)
            self._move_cursor(view.answer)
            self._update(everything=True)

    @property
    def first_turn(self) -> Turn | None:
        """The first turn that is shown."""
        return self._turns[0].turn if self._turns else None

    @property
    def shown(self) -> list[Completion]:
        """The answers that are shown, from the first to the last."""
        return [view.shown for view in self._turns if view.shown is not None]

    def take_frame(self) -> bool:
        """Take what is new into view; true while more frames are needed."""
        active = [view for view in self._turns if view.active_answer is not None]
        for view in active:
            view.take_frame()
        if active:
            self._update(first=self._turns.index(active[0]))
        return any(view.active_answer is not None for view in active)

    def refresh_answer(self, answer: AnswerRows) -> None:
        """Show a change of one answer that did not come with a frame."""
        view = next((view for view in self._turns if view.answer is answer), None)
        if view is not None:
            view.take_frame()
            self._update(everything=True)

    # heights

    @property
    def _view_height(self) -> int:
        return self.scrollable_content_region.height

    def _current_look(self) -> Look | None:
        """The look for the present width and theme; `None` before there is a width."""
        region = self.scrollable_content_region
        width = region.width - GUTTER
        if width < 1:
            return None
        margin = self.size.width - region.width
        known = self._look
        if known is None or self._styles_stale or (known.width, known.margin) != (width, margin):
            self._styles_stale = False
            look = Look(
                width,
                margin,
                self.visual_style,
                self.get_visual_style("transcript--prompt"),
                own_style(self, "transcript--cursor"),
                own_style(self, "markdown-log--running"),
                own_style(self, "transcript--thinking"),
                palette_of(self),
                self._glyphs,
                self._style_of,
            )
            if look != known:
                self._look = look
        return self._look

    def _style_of(self, style: str | VisualStyle) -> VisualStyle:
        return self._get_style(style)

    def _update(self, *, first: int = 0, everything: bool = False) -> None:
        """Bring heights up to date where they matter, keep the view still, and repaint the rows that changed."""
        look = self._current_look()
        if look is None or self._settling:
            return
        self._settling = True
        try:
            if everything:
                for view in self._turns:
                    view.guess_height(look.width)
                first = 0
            self._sum_up(first)
            self._set_scroll(self._settle(look))
        finally:
            self._settling = False
        self._top = self._find_top()
        self._move_thumb()
        self._repaint(look)
        self._let_go()
        self._want_earlier()

    def _settle(self, look: Look) -> int:
        """Make the heights around the view exact; returns the row that has to stand at the top of it."""
        height = self._view_height
        if self.following or self._top is None:
            have, at = 0, len(self._turns)
            while at > 0 and have < 2 * height:
                at -= 1
                self._turns[at].ensure_end(look, 2 * height - have)
                have += self._turns[at].height
            self._sum_up(at)
            return max(0, self._starts[-1] - height)
        top = self._top
        if top.turn not in self._turns:
            self._sum_up(0)
            return min(self.scroll_offset.y, max(0, self._starts[-1] - height))
        index = self._turns.index(top.turn)
        first = self._settle_around(look, index, self._row_in_turn(top), height)
        self._sum_up(first)
        return self._starts[index] + self._row_in_turn(top)

    def _row_in_turn(self, top: _Top) -> int:
        return top.turn.row_of(top.place) if top.place is not None else min(top.y, max(0, top.turn.height - 1))

    def _settle_around(self, look: Look, index: int, y: int, height: int) -> int:
        """Make one view above a row and two below it exact; returns the first turn whose height may have changed."""
        place = self._turns[index].lay_out(look).mark(y)
        have, at = 0, index
        while at < len(self._turns) and have < 2 * height:
            local = y if at == index else 0
            self._turns[at].ensure(look, local, local + 2 * height - have)
            have += self._turns[at].height - local
            at += 1
        y = self._turns[index].row_of(place)
        self._turns[index].ensure_above(look, y, height)
        have, at = self._turns[index].row_of(place), index
        while at > 0 and have < height:
            at -= 1
            self._turns[at].ensure_end(look, height - have)
            have += self._turns[at].height
        return at

    def _sum_up(self, first: int) -> None:
        """Count the first rows of all turns from `first` on, and tell the scroll bar."""
        del self._starts[first + 1 :]
        y = self._starts[first]
        for view in self._turns[first:]:
            y += view.height
            self._starts.append(y)
        size = Size(self.size.width, y)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)  # without the layout of the screen it would ask for
            if (y > self._view_height) != self.show_vertical_scrollbar:
                self._refresh_scrollbars()

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """The scroll bar, made when it is asked for."""
        if self._vertical_scrollbar is None:
            bar = self._vertical_scrollbar = SteadyScrollBar(name="vertical", thickness=self.scrollbar_size_vertical)
            bar.display = False
            self.app._start_widget(self, bar)  # noqa: SLF001  as Textual starts its own
        return self._vertical_scrollbar

    def _move_thumb(self) -> None:
        bar = self._vertical_scrollbar
        if isinstance(bar, SteadyScrollBar):
            bar.show(self._starts[-1], self._view_height, self.scroll_offset.y)

    def _set_scroll(self, y: int) -> None:
        """Put a row at the top of the view; who follows goes on following."""
        y = max(0, min(y, self.max_scroll_y))
        if y != self.scroll_y:
            self.scroll_target_y = self.scroll_y = y

    def _find_top(self) -> _Top | None:
        if not self._turns:
            return None
        y = self.scroll_offset.y
        at = self._turn_at(y)
        view = self._turns[at]
        return _Top(view, view.mark(y - self._starts[at]), y - self._starts[at])

    def _turn_at(self, y: int) -> int:
        return min(max(0, bisect_right(self._starts, y) - 1), len(self._turns) - 1)

    def _let_go(self) -> None:
        """Forget the rows of turns far from the view."""
        if len(self._turns) <= 2 * _KEPT_TURNS:
            return
        first = self._turn_at(self.scroll_offset.y) - _KEPT_TURNS
        last = self._turn_at(self.scroll_offset.y + self._view_height) + _KEPT_TURNS
        for view in (*self._turns[: max(0, first)], *self._turns[last + 1 :]):
            if view.releasable:
                view.release()

    def _want_earlier(self) -> None:
        near = self.scroll_offset.y < 2 * self._view_height
        if self._earlier and not self._asked_earlier and near and not self.text_selection:
            self._asked_earlier = True
            self.post_message(self.EarlierWanted())

    # painting

    def _strip_at(self, look: Look, y: int) -> Strip:
        if not 0 <= y < self._starts[-1]:
            return look.blank()
        at = self._turn_at(y)
        strip = self._turns[at].strip(look, y - self._starts[at])
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            strip = highlighted(strip, *span, self.selection_style)
        return strip

    def _view(self, look: Look) -> list[Strip]:
        top = self.scroll_offset.y
        return [self._strip_at(look, top + y) for y in range(self.size.height)]

    def _repaint(self, look: Look) -> None:
        """Repaint the rows that differ from those painted last, in as few regions as they make."""
        view, before = self._view(look), self._painted
        self._painted = view
        if len(view) != len(before):
            self.refresh()
            return
        changed = [y for y, (now, old) in enumerate(zip(view, before, strict=True)) if now is not old and now != old]
        if changed:
            self.refresh(*_regions(changed, GUTTER + look.width))

    def render_lines(self, crop: Region) -> list[Strip]:
        """Rows as they are kept: nothing is drawn, padded or filtered again that was painted before."""
        look = self._current_look()
        if look is None:
            return [Strip.blank(crop.width, self.rich_style)] * crop.height
        if len(self._painted) != self.size.height:
            self._update(everything=True)
            self._painted = self._view(look)
        return [self._painted[y].crop(crop.x, crop.right) for y in crop.line_range]

    def render_line(self, y: int) -> Strip:
        """One row of the view with its place in the text, for the mouse."""
        look = self._current_look()
        if look is None:
            return Strip.blank(self.size.width)
        y += self.scroll_offset.y
        return self._strip_at(look, y).apply_offsets(0, y)

    def notify_style_update(self) -> None:
        """Look at the styles again once they are all there: the theme or the focus may have changed."""
        super().notify_style_update()
        if not self._styles_stale and self._look is not None:
            self._styles_stale = True
            self.call_next(self._update, everything=True)

    def on_resize(self) -> None:
        self._painted = []
        self._update(everything=True)

    # following the end

    @property
    def following(self) -> bool:
        """True while new text keeps the end in view."""
        return self._anchored and not self._anchor_released

    @property
    def more_below(self) -> bool:
        """True when there is text below the view."""
        return not self.following and self.scroll_y < self.max_scroll_y

    def follow(self) -> None:
        """Go to the end and stay there."""
        self.anchor()
        self._update(everything=True)

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:  # noqa: ARG002
        """Whatever scrolled: keep the place, draw what comes into view."""
        if self._settling:
            return
        if self._anchored and self._anchor_released:
            self._check_anchor()
        self._top = self._find_top()
        self._update(first=len(self._turns))

    # selecting

    def selection_updated(self, selection: Selection | None) -> None:  # noqa: ARG002
        """Repaint: the marked cells differ."""
        look = self._current_look()
        if look is not None:
            self._repaint(look)

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text as it was before wrapping, across messages."""
        look = self._current_look()
        if look is None:
            return None
        return selected_text(self._selected(look, selection), GUTTER), "\n"

    def _selected(self, look: Look, selection: Selection) -> Iterator[tuple[Row, tuple[int, int] | None]]:
        first = selection.start.y if selection.start is not None else 0
        last = selection.end.y if selection.end is not None else self._starts[-1] - 1
        for y in range(max(0, first), min(last, self._starts[-1] - 1) + 1):
            at = self._turn_at(y)
            yield self._turns[at].row(look, y - self._starts[at]), selection.get_span(y)

    # the cursor

    @property
    def cursor(self) -> AnswerRows | None:
        """The answer that keys act on."""
        return self._cursor

    @property
    def _answers(self) -> list[TurnRows]:
        return [view for view in self._turns if view.shown is not None]

    def _cursor_to_last(self) -> None:
        answers = self._answers
        self._move_cursor(answers[-1].answer if answers else None)

    def _move_cursor(self, to: AnswerRows | None) -> None:
        if self._cursor is not None and self._cursor is not to:
            self._cursor.set_cursor(on=False)
        self._cursor = to
        if to is not None:
            to.set_cursor(on=True)
        self.post_message(self.CursorMoved())

    def _view_of(self, answer: AnswerRows | None) -> TurnRows | None:
        return next((view for view in self._turns if answer is not None and view.turn is answer.turn), None)

    def move_cursor(self, step: int) -> None:
        """Move the cursor by `step` answers and bring it into view."""
        answers = self._answers
        if not answers:
            return
        here = self._view_of(self._cursor)
        at = answers.index(here) if here in answers else len(answers) - 1
        to = answers[max(0, min(len(answers) - 1, at + step))]
        self._move_cursor(to.answer)
        if (to is answers[-1] and step > 0) or not self.max_scroll_y:
            self.anchor()
        else:
            self.release_anchor()
            self._top = _Top(to, None, 0)
            if step > 0:  # as far as it takes to see it, not more
                self._top = self._top_to_see(to) or self._top
        self._update(everything=True)

    def _top_to_see(self, view: TurnRows) -> _Top | None:
        """The top of a view whose last row is the last of a turn; `None` when the turn does not fit into it."""
        look = self._current_look()
        if look is None:
            return None
        view.ensure(look, 0, self._view_height)
        at = self._turns.index(view)
        self._sum_up(0)
        y = self._starts[at] + view.height - self._view_height
        if view.height > self._view_height:
            return None
        if y < self.scroll_offset.y:
            y = min(self.scroll_offset.y, self._starts[at])
        index = self._turn_at(max(0, y))
        return _Top(self._turns[index], None, max(0, y) - self._starts[index])

    def on_click(self, event: events.Click) -> None:
        """Fold the thinking, or put the cursor on the answer under the mouse."""
        look = self._current_look()
        y = event.y + self.scroll_offset.y
        if look is None or not 0 <= y < self._starts[-1]:
            return
        at = self._turn_at(y)
        view = self._turns[at]
        section, row = view.find(look, y - self._starts[at])
        answer = view.answer
        if answer is None or section not in answer.sections:
            return
        if section is answer.fold:
            answer.toggle_reasoning()
            self.refresh_answer(answer)
        self._move_cursor(answer)
        self._update(everything=True)
        x = event.x - GUTTER
        target = next((link.target for link in section.row(row).links if link.start <= x < link.end), None)
        if target is not None and section is answer.text:
            self.post_message(self.LinkClicked(answer, target))

    def jump_to_code(self, step: int) -> tuple[int, int] | None:
        """Bring the next code block to the top, or the one before, and put the cursor on its answer.

        Returns which one it is and how many the answer has; `None` when there is no other.
        """
        look = self._current_look()
        if look is None or not self._turns:
            return None
        at, number = self._code_here(look, step)
        while 0 <= at < len(self._turns):
            places = self._turns[at].code_places(look)
            if 0 <= number < len(places):
                self._show_place(self._turns[at], places[number])
                self._code = self._turns[at], number
                return number + 1, len(places)
            at += 1 if step > 0 else -1
            number = 0 if step > 0 else len(self._turns[at].code_places(look)) - 1 if at >= 0 else -1
        return None

    def _code_here(self, look: Look, step: int) -> tuple[int, int]:
        """The turn and number of the code block that is `step` away from the one looked at."""
        view, number = self._code
        if view in self._turns:
            at = self._turns.index(view)
            places = view.code_places(look)
            row = self._starts[at] + view.row_of(places[number]) if number < len(places) else -1
            if 0 <= row - self.scroll_offset.y < self._view_height:
                return at, number + step
        top = self._starts[-1] if self.following else self.scroll_offset.y
        at = self._turn_at(top)
        rows = [self._starts[at] + self._turns[at].row_of(place) for place in self._turns[at].code_places(look)]
        above = sum(row < top for row in rows)
        return at, above if step > 0 else above - 1

    def _show_place(self, view: TurnRows, place: Place) -> None:
        self._move_cursor(view.answer)
        self.release_anchor()
        self._top = _Top(view, place, 0)
        self._update(everything=True)
        self._check_anchor()

    @property
    def code_in_hand(self) -> str | None:
        """The code block that was jumped to last, if it is in the answer under the cursor; else its last one."""
        cursor = self._cursor
        blocks = cursor.code_blocks if cursor is not None else []
        view, number = self._code
        if view is not None and view.answer is cursor and number < len(blocks):
            return blocks[number]
        return blocks[-1] if blocks else None

    def _step(self, step: int) -> None:
        """Scroll within a long answer, and go to the next one from its edge."""
        view = self._view_of(self._cursor)
        if view is None:
            return
        at = self._turns.index(view)
        top, bottom = self._starts[at], self._starts[at + 1]
        if step > 0 and bottom > self.scroll_y + self._view_height + 1:
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


def _regions(rows: Sequence[int], width: int) -> list[Region]:
    """The regions that ascending rows make, neighbours as one."""
    regions: list[Region] = []
    for y in rows:
        if regions and regions[-1].bottom == y:
            first = regions.pop()
            regions.append(Region(0, first.y, width, first.height + 1))
        else:
            regions.append(Region(0, y, width, 1))
    return regions
