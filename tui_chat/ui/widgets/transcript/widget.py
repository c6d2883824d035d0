"""The path in view, turn by turn, in one widget with a cursor on one answer.

Textual lays out every mounted widget for each frame in which one of them grows. So nothing is mounted here: turns are
stacks of rows, and a frame repaints the rows of the view that differ from those painted last. Only what is near the
view is parsed and drawn; the rest is a guess at a height. Two things keep the view where it is while heights are
corrected above it: following the end is a state (never inferred from pixels), and otherwise the row at the top is
remembered as a place in the text.
"""

from collections.abc import Sequence
from typing import Any, ClassVar

from textual import events
from textual.geometry import Region, Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.scrollbar import ScrollBar
from textual.selection import Selection
from textual.strip import Strip
from textual.style import Style as VisualStyle
from textual.widget import Widget

from tui_chat.core.columns import goes_on_in_columns, mates_of
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn, on_path
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.markdown_log.widget import MarkdownLog, highlighted, own_style, palette_of
from tui_chat.ui.widgets.transcript.answer_rows import AnswerRows
from tui_chat.ui.widgets.transcript.code_walk import CodeWalk
from tui_chat.ui.widgets.transcript.column_rows import ColumnRows
from tui_chat.ui.widgets.transcript.flow import Flow, Top
from tui_chat.ui.widgets.transcript.letters import Letters
from tui_chat.ui.widgets.transcript.look import GUTTER, Look
from tui_chat.ui.widgets.transcript.scroll_bar import SteadyScrollBar
from tui_chat.ui.widgets.transcript.selected import Selected
from tui_chat.ui.widgets.transcript.turn_rows import TurnRows

_LIVE_TURNS = 4
"""Turns at the end that may hold an answer which runs or whose bill has just come."""


class Transcript(ScrollView, can_focus=True):
    """The scrolling turns."""

    DEFAULT_CSS = """
    Transcript {
        height: 1fr; width: 1fr; overflow-x: hidden; overflow-y: auto;
        scrollbar-size-vertical: 1; scrollbar-gutter: stable; background: $bg; color: $fg;
        &:focus { background-tint: transparent 0%; }
        .transcript--prompt { background: $rise; color: $fg; }
        .transcript--chosen { background: $sel; color: $fg; }
        .transcript--cursor { color: $bar; }
        &.-keys .transcript--cursor { color: $acc; }
        .transcript--thinking { color: $fg2; }
        .markdown-log--heading, .markdown-log--subheading { text-style: bold; }
        .markdown-log--subheading { text-style: bold italic; }
        .markdown-log--code { background: $rise; }
        .markdown-log--code-language, .markdown-log--secondary { color: $fg2; }
        .markdown-log--table-head, .markdown-log--comment { color: $fg2; }
        .markdown-log--inline-code, .markdown-log--literal { color: $lit; }
        .markdown-log--keyword { color: $kw; }
        .markdown-log--rule { color: $rule; }
        .markdown-log--link { text-style: underline; }
        .markdown-log--comment { text-style: italic; }
        .markdown-log--running { color: $run; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = MarkdownLog.COMPONENT_CLASSES | {
        "transcript--prompt",
        "transcript--chosen",
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

    class ColumnChosen(Message):
        """One of several answers side by side was clicked."""

        def __init__(self, completion: Completion) -> None:
            super().__init__()
            self.completion = completion

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
        self._flow = Flow()
        self._code = CodeWalk()
        self._earlier = False
        """There are turns before those that are shown."""
        self._asked_earlier = False
        self._look: Look | None = None
        self._styles_stale = False
        self._top: Top | None = None
        """What stands at the top of the view while the end is not followed."""
        self._painted: list[Strip] = []
        self._selected = Selected(self._flow)
        self._settling = False
        self._cursor: AnswerRows | None = None
        self._keys_act = False
        self._early: list[TurnRows] = []
        """Turns further up in which an answer runs."""
        self._letters = Letters(self, self._typed)

    # what is shown

    def show(self, turns: Sequence[Turn], *, earlier: bool = False) -> None:
        """Show a path from its end; `earlier` says that there are turns before these."""
        self._flow.show(self._rows_of(turns))
        self._earlier, self._asked_earlier = earlier, False
        self._cursor = self._top = None
        self._note_early()
        self._code = CodeWalk()
        self._drop_selection()
        self.anchor()
        self._cursor_to_last()
        self._update()

    def _rows_of(self, turns: Sequence[Turn]) -> list[TurnRows]:
        following = [*turns[1:], None][: len(turns)]
        return [
            TurnRows(turn, completion, self._keymap, side_by_side=after is None or goes_on_in_columns(turn, after))
            for (turn, completion), after in zip(on_path(turns), following, strict=True)
        ]

    def prepend(self, turns: Sequence[Turn], *, earlier: bool) -> None:
        """Show turns before those that are shown; the view stays where it is."""
        following = [view.turn for view in self._flow.turns[:1]]
        self._flow.prepend(self._rows_of([*turns, *following])[: len(turns)])
        self._earlier, self._asked_earlier = earlier, False
        self._note_early()
        self._update()

    def _note_early(self) -> None:
        """Look for answers that run further up than frames look by themselves."""
        above = self._flow.turns[:-_LIVE_TURNS]
        self._early = [view for view in above if any(c.running for m in mates_of(view.turn) for c in m.completions)]

    def ask_again(self) -> None:
        """The turns before these could not be read; they are asked for again when somebody wants them."""
        self._asked_earlier = False

    def add(self, turn: Turn) -> None:
        """Append a turn and move the cursor to its answer."""
        if self._flow.turns:
            last = self._flow.turns[-1]
            last.zoomed = last.opened = False
            last.arrange(side_by_side=goes_on_in_columns(last.turn, turn))
        self._flow.append(TurnRows(turn, turn.chosen, self._keymap, side_by_side=True))
        self.anchor()
        self._cursor_to_last()
        self._update()

    def cut(self, turn: Turn) -> bool:
        """Take a turn and everything after it out of view, before a branch is shown in its place.

        False when it is not shown.
        """
        at = next((at for at, view in enumerate(self._flow.turns) if view.turn is turn), None)
        if at is None:
            return False
        self._flow.cut(at)
        self._cursor = None
        self._update()
        return True

    def show_answer(self, turn: Turn, completion: Completion) -> None:
        """Show another answer of a turn in place of the one in view."""
        view = self._row_of(turn)
        if view is not None:
            self._show_in(view, turn, completion)

    def _show_in(self, view: TurnRows, turn: Turn, completion: Completion) -> None:
        if self._cursor in view.answers:
            self._move_cursor(None)
        view.turn = turn
        view.show(completion)
        self._move_cursor(view.answer)
        self._update()

    def _row_of(self, turn: Turn) -> TurnRows | None:
        return next((view for view in self._flow.turns if turn in mates_of(view.turn)), None)

    def show_anew(
        self, path: Sequence[Turn], turn: Turn, completion: Completion | None, *, afresh: bool = False
    ) -> None:
        """Show the answers to a prompt anew: some came or went, or the path leads through another of them.

        With `afresh` they are drawn again though they are the same.
        """
        through = {mate.id: each for each in path for mate in mates_of(each)}
        views = self._flow.turns
        for view in views:
            view.turn = through.get(view.turn.id, view.turn)
        target = self._row_of(turn)
        if target is None:
            return
        if self._cursor in target.answers:
            self._move_cursor(None)
        for view, (_, shown) in zip(views[:-1], on_path([view.turn for view in views]), strict=False):
            view.shown = shown if shown is not None and not view.opened else view.shown
        target.shown = completion or target.shown
        for view, after in zip(views, [*views[1:], None], strict=True):
            spread = after is None or goes_on_in_columns(view.turn, after.turn)
            if view.shown_anew(side_by_side=spread) or (view is target and afresh):
                view.arrange(side_by_side=spread)
        self._note_early()
        self._move_cursor(target.answer)
        self._update()

    @property
    def row(self) -> TurnRows | None:
        """The prompt and answers that the cursor is in."""
        return self._view_of(self._cursor)

    @property
    def widest(self) -> int:
        """The most answers that stand side by side in one of the last turns, or around the cursor."""
        row = self.row
        views = [*self._flow.turns[-_LIVE_TURNS:], *([row] if row is not None else [])]
        return max((len(view.columns) for view in views), default=0)

    def zoom(self, *, on: bool) -> bool:
        """Give the answer under the cursor all the room, or show all of them again; False when there is but one."""
        view = self.row
        if view is None or view.zoomed is on or (on and not view.columns):
            return False
        view.zoomed = on
        view.opened = view.opened and on
        self._rearrange(view)
        return True

    def spread(self) -> bool:
        """Show all answers to an earlier prompt side by side; False when there is but one."""
        view = self.row
        if view is None or view.columns:
            return False
        view.zoomed, view.opened = False, True
        self._rearrange(view)
        return bool(view.columns)

    def fold(self) -> bool:
        """Show only the answer again that the chat goes on from; False where that is so."""
        view = self.row
        if view is None or not view.opened:
            return False
        view.opened = False
        path = on_path([each.turn for each in self._flow.turns])
        view.shown = next((shown for turn, shown in path if turn is view.turn and shown is not None), view.shown)
        self._rearrange(view)
        return True

    def _rearrange(self, view: TurnRows) -> None:
        self._move_cursor(None)
        view.arrange()
        self._move_cursor(view.answer)
        self._update()

    def scroll_apart(self) -> bool | None:
        """Let the columns scroll each by itself, or together again; `None` where there are none."""
        body = self.row.body if self.row is not None else None
        if body is None:
            return None
        body.scroll_apart(on=not body.apart)
        self._update()
        return body.apart

    @property
    def first_turn(self) -> Turn | None:
        """The first turn that is shown."""
        return self._flow.turns[0].turn if self._flow.turns else None

    @property
    def shown(self) -> list[Completion]:
        """The answers that are shown, from the first to the last."""
        return [view.shown for view in self._flow.turns if view.shown is not None]

    def take_frame(self) -> bool:
        """Take what is new into view; true while more frames are needed."""
        turns = self._flow.turns
        first = max(0, len(turns) - _LIVE_TURNS)
        early = [turns.index(view) for view in self._early if view in turns]
        active = [at for at in (*early, *range(first, len(turns))) if turns[at].active]
        for at in active:
            turns[at].take_frame()
        if active:
            self._flow.sum_up(active[0])
            self._arrange()
        return any(turns[at].active for at in active)

    def answer_of(self, completion: Completion) -> AnswerRows | None:
        """Return the rows of an answer, when it is in the transcript."""
        answers = (answer for view in self._flow.turns for answer in view.answers)
        return next((answer for answer in answers if answer.completion is completion), None)

    def refresh_answer(self, answer: AnswerRows) -> None:
        """Show a change of one answer that did not come with a frame."""
        view = self._view_of(answer)
        if view is not None:
            view.take_frame()
            self._update()

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
                self.get_visual_style("transcript--chosen"),
                own_style(self, "transcript--cursor"),
                own_style(self, "markdown-log--running"),
                own_style(self, "transcript--thinking"),
                palette_of(self),
                self._glyphs,
                self._style_of,
                tuple(self.get_line_filters()),
            )
            if look != known:
                self._look = look
        return self._look

    def _style_of(self, style: str | VisualStyle) -> VisualStyle:
        return self._get_style(style)

    def _update(self) -> None:
        """Show whatever changed: turns, answers, width or colours."""
        look = self._current_look()
        if look is not None:
            self._flow.guess(look.width)
            self._arrange()

    def _arrange(self) -> None:
        """Make heights exact where they matter, keep the view still, and repaint the rows that changed."""
        look = self._current_look()
        if look is None or self._settling:
            return
        before = self.scroll_offset.y
        self._settling = True
        try:
            y = self._settle(look)
            self._tell_height()
            self._set_scroll(y)
        finally:
            self._settling = False
        top = self.scroll_offset.y
        self._flow.place(top, top + self._view_height)
        self._top = self._flow.top(top)
        self._move_thumb(top - before)
        self._move_selection()
        self._repaint(look)
        self._flow.let_go(top, top + self._view_height)
        self._want_earlier()

    def _settle(self, look: Look) -> int:
        """Make the heights around the view exact; returns the row that has to stand at the top of it."""
        flow, top = self._flow, self._top
        if self.following or top is None or top.turn not in flow.turns:
            flow.settle_end(look, 2 * self._view_height)
            return flow.height - self._view_height
        flow.settle(look, top, self._view_height)
        return flow.row_of(top)

    def _tell_height(self) -> None:
        """Tell the scroll bar how many rows there are."""
        size = Size(self.size.width, self._flow.height)
        if size != self.virtual_size:
            self.set_reactive(Widget.virtual_size, size)  # without the layout of the screen it would ask for
            if (size.height > self._view_height) != self.show_vertical_scrollbar:
                self._refresh_scrollbars()

    @property
    def vertical_scrollbar(self) -> ScrollBar:
        """The scroll bar, made when it is asked for."""
        if self._vertical_scrollbar is None:
            bar = self._vertical_scrollbar = SteadyScrollBar(name="vertical", thickness=self.scrollbar_size_vertical)
            bar.display = False
            self.app._start_widget(self, bar)  # noqa: SLF001  as Textual starts its own
        return self._vertical_scrollbar

    def _move_thumb(self, corrected: int) -> None:
        """Show where the view stands; who drags the bar goes on from the row that was corrected."""
        bar = self._vertical_scrollbar
        if isinstance(bar, SteadyScrollBar):
            if bar.grabbed:
                bar.grabbed_position += corrected
            bar.show(self._flow.height, self._view_height, self.scroll_offset.y)

    def _set_scroll(self, y: int) -> None:
        """Put a row at the top of the view; who follows goes on following."""
        y = max(0, min(y, self.max_scroll_y))
        if y != self.scroll_y:
            self.scroll_target_y = self.scroll_y = y

    def _want_earlier(self) -> None:
        near = self.scroll_offset.y < 2 * self._view_height
        if self._earlier and not self._asked_earlier and near and not self.screen._selecting:  # noqa: SLF001
            self._asked_earlier = True
            self.post_message(self.EarlierWanted())

    # painting

    def _strip_at(self, look: Look, y: int) -> Strip:
        strip = self._flow.strip(look, y)
        selection = self.text_selection
        if selection is not None and (span := selection.get_span(y)) is not None:
            strip = look.filtered(highlighted(strip, *self._in_column(look, y, span), self.selection_style))
        return strip

    def _in_column(self, look: Look, y: int, span: tuple[int, int]) -> tuple[int, int]:
        found = self._flow.find(look, y)
        if found is None or not isinstance(found[1], ColumnRows):
            return span
        return found[1].span(found[2], span)

    def _view(self, look: Look) -> list[Strip]:
        top, height = self.scroll_offset.y, self.size.height
        pinned = self._flow.pinned(top, height)
        return [*pinned, *(self._strip_at(look, top + y) for y in range(len(pinned), height))]

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
            self._update()
            self._painted = self._view(look)
        return [self._painted[y].crop(crop.x, crop.right) for y in crop.line_range]

    def render_line(self, y: int) -> Strip:
        """One row of the view with its place in the text, for the mouse."""
        look = self._current_look()
        if look is None:
            return Strip.blank(self.size.width)
        pinned = self._flow.pinned(self.scroll_offset.y, self.size.height)
        if y < len(pinned):
            return pinned[y]
        y += self.scroll_offset.y
        return self._strip_at(look, y).apply_offsets(0, y)

    def notify_style_update(self) -> None:
        """Look at the styles again once they are all there: the theme or the focus may have changed."""
        super().notify_style_update()
        if not self._styles_stale and self._look is not None:
            self._styles_stale = True
            self.call_next(self._update)

    def on_resize(self) -> None:
        self._painted = []
        if self._look is not None and self._look.full_width != self.size.width:
            self._drop_selection()  # its columns mean other characters now
        self._update()

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
        self._update()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:  # noqa: ARG002
        """Whatever scrolled: keep the place, draw what comes into view."""
        if self._settling:
            return
        if self._anchored and self._anchor_released:
            self._check_anchor()
        self._top = self._flow.top(self.scroll_offset.y)
        self._arrange()

    def _scroll_to(
        self,
        x: float | None = None,
        y: float | None = None,
        *,
        animate: bool = True,  # noqa: ARG002  heights may be corrected on the way: an animation would undo that
        **options: Any,
    ) -> bool:
        """Scroll at once."""
        return super()._scroll_to(x, y, animate=False, **options)

    # selecting

    def selection_updated(self, selection: Selection | None) -> None:
        """Remember the selection, and repaint the cells that differ."""
        self._selected.note(selection)
        look = self._current_look()
        if look is not None:
            self._repaint(look)
        self._want_earlier()

    def _move_selection(self) -> None:
        """Keep the selection on its words."""
        selection = self.text_selection
        if selection is None:
            return
        moved = self._selected.moved(selection)
        if moved is None:
            self._drop_selection()
        elif moved != selection:
            self.screen.selections = {**self.screen.selections, self: moved}

    def _drop_selection(self) -> None:
        if self.is_attached and self.text_selection is not None:
            self.screen.clear_selection()

    def get_selection(self, selection: Selection) -> tuple[str, str] | None:
        """The selected text as it was before wrapping, across messages."""
        look = self._current_look()
        if look is None:
            return None
        words = self._selected.text(look, selection)
        self.call_next(self._update)  # heights may be exact now that were guessed before
        return words, "\n"

    # the cursor

    @property
    def cursor(self) -> AnswerRows | None:
        """The answer that keys act on."""
        return self._cursor

    @property
    def _answers(self) -> list[TurnRows]:
        return [view for view in self._flow.turns if view.shown is not None]

    def _cursor_to_last(self) -> None:
        answers = self._answers
        self._move_cursor(answers[-1].answer if answers else None)

    def _move_cursor(self, to: AnswerRows | None) -> None:
        if self._cursor is not None and self._cursor is not to:
            self._cursor.set_cursor(on=False)
        self._cursor = to
        if to is not None:
            to.keys_act = self._keys_act
            to.set_cursor(on=True)
        self.post_message(self.CursorMoved())

    def let_keys_act(self, *, on: bool) -> None:
        """Say below the answer under the cursor whether its keys act here, or which key goes to where they do."""
        self._keys_act = on
        self.set_class(on, "-keys")
        cursor = self._cursor
        if cursor is not None and cursor.keys_act is not on:
            cursor.keys_act = on
            cursor.set_cursor(on=True)
            self.refresh_answer(cursor)

    def _view_of(self, answer: AnswerRows | None) -> TurnRows | None:
        return next((view for view in self._flow.turns if answer is not None and answer in view.answers), None)

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
            self._top = self._top_to_see(to) if step > 0 else Top(to, None, 0)
        self._update()

    def _top_to_see(self, view: TurnRows) -> Top:
        """The place that has to be at the top to see a whole turn, with as little scrolling as that takes."""
        flow, look = self._flow, self._current_look()
        here = Top(view, None, 0)
        if look is None:
            return here
        view.ensure(look, 0, self._view_height)
        flow.sum_up(0)
        if view.height > self._view_height:
            return here
        start = flow.row_of(here)
        y = max(start + view.height - self._view_height, min(self.scroll_offset.y, start), 0)
        return flow.top(y) or here

    def on_mouse_down(self, event: events.MouseDown) -> None:
        """A selection that begins in a column stays in it."""
        for view in self._flow.turns:
            if view.body is not None:
                view.body.selecting = view.body.column_at(event.x)

    def on_click(self, event: events.Click) -> None:
        """Fold the thinking, show where a link leads, or put the cursor on the answer under the mouse."""
        look, y = self._current_look(), event.y + self.scroll_offset.y
        if look is None or not 0 <= y < self._flow.height:
            return
        at = self._flow.turn_at(y)
        view, y = self._flow.turns[at], y - self._flow.start_of(at)
        if (tab := view.tab_at(look, event.x, y)) is not None:
            self._go_to(view, tab)
            return
        found = view.hit(look, event.x, y)
        if found is None:
            return
        answer, section, row, x = found
        if section is answer.fold:
            answer.toggle_reasoning()
            view.take_frame()
        self._go_to(view, answer.completion)
        x -= GUTTER
        target = next((link.target for link in section.row(row).links if link.start <= x < link.end), None)
        if target is not None and section is answer.text:
            self.post_message(self.LinkClicked(answer, target))

    def _go_to(self, view: TurnRows, completion: Completion) -> None:
        """Put the cursor on an answer of a row, and say so where it stands among others."""
        if view.shown is not completion:
            self.post_message(self.ColumnChosen(completion))
            view.show(completion)
        self._move_cursor(view.answer)
        self._update()

    def move_column(self, step: int) -> Completion | None:
        """Move the cursor to the next column; `None` when there is none in that direction."""
        view = self.row
        if view is None or not view.columns:
            return None
        at = view.at + step
        if not 0 <= at < len(view.columns):
            return None
        completion = view.columns[at].completion
        self._move_cursor(None)
        view.show(completion)
        self._move_cursor(view.answer)
        self._update()
        return completion

    def jump_to_code(self, step: int) -> tuple[int, int] | None:
        """Bring the next code block to the top, or the one before, and put the cursor on its answer.

        Returns which one it is and how many the answer has; `None` when there is no other.
        """
        look, top = self._current_look(), self.scroll_offset.y
        if look is None or not self._flow.turns:
            return None
        view = range(top, top + self._view_height)
        found = self._code.step(self._flow, look, step, view, at_end=self.following)
        if found is None:
            self._update()
            return None
        self._move_cursor(found[0].turn.answer)
        self.release_anchor()
        self._top = found[0]
        self._update()
        self._check_anchor()
        return self._code.number + 1, found[1]

    @property
    def code_in_hand(self) -> str | None:
        """The code block that was jumped to last, if it is in the answer under the cursor; else its last one."""
        cursor = self._cursor
        blocks = cursor.code_blocks if cursor is not None else []
        here = self._code.turn is not None and self._code.turn.answer is cursor
        if here and self._code.number < len(blocks):
            return blocks[self._code.number]
        return blocks[-1] if blocks else None

    def _step(self, step: int) -> None:
        """Scroll within a long answer, and go to the next one from its edge."""
        view = self._view_of(self._cursor)
        if view is None:
            return
        if view.body is not None and view.body.apart:
            view.body.scroll(view.at, 3 * step)
            self._update()
            return
        at = self._flow.turns.index(view)
        top, bottom = self._flow.start_of(at), self._flow.start_of(at + 1)
        if step > 0 and bottom > self.scroll_y + self._view_height + 1:
            self.scroll_relative(y=3, animate=False)
        elif step < 0 and top < self.scroll_y:
            self.scroll_relative(y=-3, animate=False)
        else:
            self.move_cursor(step)

    # keys

    def offer_keys(self) -> None:
        """Take the focus without being asked, after a stop: letters act only when nothing else is typed right after."""
        self._letters.offer()

    def on_blur(self) -> None:
        self._letters.end()

    def on_key(self, event: events.Key) -> None:
        if self._letters.take(event) or self._moves(event.key):
            event.stop()
            event.prevent_default()

    def on_paste(self, event: events.Paste) -> None:
        event.stop()
        self.post_message(self.Pasted(event.text))

    def _typed(self, characters: str) -> None:
        self.post_message(self.Typed(characters))

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
