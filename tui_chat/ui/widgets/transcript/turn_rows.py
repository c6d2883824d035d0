"""One turn as rows: the prompt, and below it one answer, or all of them side by side.

A turn far from the view is only a height: nothing of it is parsed or drawn until somebody comes near. Answers stand in
columns where there is room for them, else behind tabs; an answer behind a tab is not drawn at all.
"""

from collections.abc import Sequence
from time import monotonic
from typing import NamedTuple

from textual.content import Content
from textual.strip import Strip

from tui_chat.core.columns import Column, besides, columns_of
from tui_chat.core.comparison import Comparison, compared
from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.core.format import ratio
from tui_chat.ui.widgets.transcript.answer_head import Standing
from tui_chat.ui.widgets.transcript.answer_rows import AnswerRows
from tui_chat.ui.widgets.transcript.column_rows import ColumnRows, HeadRows
from tui_chat.ui.widgets.transcript.look import GUTTER, Look
from tui_chat.ui.widgets.transcript.prompt_rows import PromptRows, estimated_height
from tui_chat.ui.widgets.transcript.ranking import nicks_of, ranking_lines, records_line, table_lines
from tui_chat.ui.widgets.transcript.sections import ColumnMark, Lines, Place, Section, Spot, Stack
from tui_chat.ui.widgets.transcript.tabs import tab_ends, tab_line

_FIGURES_S = 0.095
"""Seconds between two drawings of the ranking while something runs."""
_LEAST_VIEW = 12
"""Rows of a view that has room for heads which stay at its top."""
_LEAST_FOR_TABS = 6
"""The same for tabs, which take fewer."""


class AnswerPlace(NamedTuple):
    """A place in an answer, found again whether that stands in a column, behind a tab or alone."""

    completion_id: str
    section: int
    """Which of the sections below its head."""
    mark: Spot


class TurnRows:
    """A prompt and its answers."""

    def __init__(self, turn: Turn, shown: Completion | None, keymap: dict[str, str], *, side_by_side: bool) -> None:
        self.turn = turn
        self.shown = shown
        """The answer under the cursor when it is here."""
        self.columns: list[Column] = []
        """The answers that stand side by side; none where one of them has all the room."""
        self.zoomed = False
        """One answer has all the room for now."""
        self.opened = False
        """All answers to an earlier prompt are shown, those that the chat does not go on from and hidden ones too."""
        self._side_by_side = side_by_side
        self._keymap = keymap
        self._answers: dict[str, AnswerRows] = {}
        self._stack: Stack | None = None
        self._look: Look | None = None
        self._guess = 0
        self._heads: HeadRows | None = None
        self.body: ColumnRows | None = None
        """The columns, where there are any."""
        self._tabs: Lines | None = None
        self._ranking: Lines | None = None
        self._alone: Completion | None = None
        """The answer that has rows, where only one has."""
        self._tab_names: dict[str, str] = {}
        self._ranked_at_s = 0.0
        self._ran = False
        """Something ran when the figures were drawn last."""
        self._take_columns()

    # which answers are shown

    def show(self, completion: Completion) -> None:
        """Put another answer to the same prompt in view, or under the cursor where it is in view already."""
        if self.shown is not completion:
            self.shown = completion
            here = any(column.completion is completion for column in self.columns)
            if self._stack is None or not here or self._tabs is not None:
                self.arrange()

    def arrange(self, *, side_by_side: bool | None = None) -> None:
        """Look at the answers again: some may have come, gone, or are shown in another way now."""
        self._side_by_side = self._side_by_side if side_by_side is None else side_by_side
        self._take_columns()
        self.release(keep_answers=True)

    def shown_anew(self, *, side_by_side: bool) -> bool:
        """Say whether it would be shown in another way now."""
        now = [column.completion for column in self.columns]
        before = self._side_by_side
        self._side_by_side = side_by_side
        self._take_columns()
        if [column.completion for column in self.columns] != now or side_by_side is not before:
            return True
        return self.body is None and self._stack is not None and self.shown is not self._alone

    def _take_columns(self) -> None:
        columns = columns_of(self.turn, everything=self.opened) if self._side_by_side or self.opened else []
        if self.shown is not None:  # of one model the answer that the path goes through, not its newest
            columns = [self._through(column) for column in columns]
        self.columns = columns if len(columns) > 1 and not self.zoomed else []
        if self.columns and all(column.completion is not self.shown for column in self.columns):
            self.shown = self.columns[0].completion

    def _through(self, column: Column) -> Column:
        shown = self.shown
        return Column(column.turn, shown) if shown is not None and shown in column.tries else column

    @property
    def at(self) -> int:
        """Which of the columns is under the cursor when it is here."""
        return next((at for at, column in enumerate(self.columns) if column.completion is self.shown), 0)

    def release(self, *, keep_answers: bool = False) -> None:
        """Let go of everything that can be made again."""
        self._guess = self.height
        self._stack = self._look = None
        self._heads = self.body = self._tabs = self._ranking = None
        shown = {column.completion.id for column in self.columns} | ({self.shown.id} if self.shown else set())
        self._answers = {name: rows for name, rows in self._answers.items() if keep_answers and name in shown}

    @property
    def releasable(self) -> bool:
        """True when nothing but rows would be lost."""
        return self._stack is not None and not any(
            answer.active or answer.reasoning.shown or answer.has_cursor for answer in self._answers.values()
        )

    @property
    def answer(self) -> AnswerRows | None:
        """The answer under the cursor when it is here; made when asked for."""
        return self._rows_of(self._turn_of(self.shown), self.shown) if self.shown is not None else None

    @property
    def answers(self) -> Sequence[AnswerRows]:
        """The answers that were made."""
        return list(self._answers.values())

    def _turn_of(self, completion: Completion) -> Turn:
        return next((column.turn for column in self.columns if column.completion is completion), self.turn)

    def _rows_of(self, turn: Turn, completion: Completion) -> AnswerRows:
        rows = self._answers.get(completion.id)
        if rows is None:
            rows = self._answers[completion.id] = AnswerRows(turn, completion, self._keymap)
        return rows

    # frames

    @property
    def active(self) -> bool:
        """True while it needs frames."""
        if self.columns:
            running = any(column.completion.running for column in self.columns)
            return running or self._ran or any(answer.active for answer in self._drawn_answers)
        if self.shown is None or not (self.shown.id in self._answers or self.shown.running):
            return False
        answer = self.answer
        return answer is not None and answer.active

    @property
    def _drawn_answers(self) -> Sequence[AnswerRows]:
        """The answers in view: behind tabs it is only one."""
        if self.body is not None:
            return self.body.answers
        answer = self._answers.get(self.shown.id) if self.shown is not None else None
        return [answer] if answer is not None else []

    def take_frame(self) -> None:
        """Take what is new in the answers since the last frame."""
        if self._stack is None:
            return
        if self.columns:
            self._rank()
        for answer in self._drawn_answers:
            answer.take_frame()
        if self.body is not None:
            self.body.sum_up()
        self._stack.sum_up()

    def _rank(self, *, now: bool = False) -> None:
        """Draw what the answers say of one another, as often as it can be read."""
        look, now_s = self._look, monotonic()
        running = any(column.completion.running for column in self.columns)
        if look is None or (not now and running and now_s - self._ranked_at_s < _FIGURES_S):
            return
        self._ranked_at_s, self._ran = now_s, running
        comparison = compared(
            [column.completion for column in self.columns], now_s, besides(self.columns), self.turn.won_by
        )
        aliases = self.aliases
        for column, each in zip(self.columns, comparison.answers, strict=True):
            rows = self._answers.get(column.completion.id)
            if rows is not None:
                times = ratio(each.ratio) if each.ratio is not None else ""
                alias = aliases.get(column.completion.id, "")
                whole = each.money if each.parts > 1 else ""
                rows.standing = Standing(each.label, times, whole, "cheapest" in each.best_at, alias)
        if self._tabs is not None:
            nicks = nicks_of(comparison.answers)
            self._tab_names = {each.id: aliases.get(each.id) or nicks[each.id] for each in comparison.answers}
            self._tabs.show((self._tab_line(look),))
        if self._ranking is not None:
            self._ranking.show(self._results(comparison, look))

    def _tab_line(self, look: Look) -> Content:
        completions = [column.completion for column in self.columns]
        return tab_line(completions, self.at, look.width, look.glyphs, self._tab_names, blind=self.turn.blind)

    @property
    def aliases(self) -> dict[str, str]:
        """What the answers are called while names are out of view, by their ids; none where they are not."""
        if not self.turn.blind:
            return {}
        columns = self.columns or columns_of(self.turn, everything=self.opened)
        return {column.completion.id: f"answer {chr(ord('A') + at)}" for at, column in enumerate(columns)}

    def _results(self, comparison: Comparison, look: Look) -> Sequence[Content]:
        if self.turn.blind:
            return ()
        if not comparison.running:
            return table_lines(comparison, look.width, look.glyphs)
        ranking = ranking_lines(comparison, look.width, look.glyphs)
        return [*ranking, records_line(comparison, look.width, look.glyphs)]

    @property
    def comparison(self) -> Comparison | None:
        """What the answers say of one another; `None` where there is one, or names are out of view."""
        columns = [] if self.turn.blind else columns_of(self.turn, everything=self.opened)
        if len(columns) < 2:
            return None
        return compared([column.completion for column in columns], monotonic(), besides(columns), self.turn.won_by)

    # rows

    def guess_height(self, width: int) -> None:
        """Guess the height from the length of the texts, unless the rows were made."""
        if self._stack is None and not self._guess:
            count = max(1, len(self.columns))
            texts = [column.completion.text for column in self.columns] or [self.shown.text if self.shown else ""]
            rows = [text.count("\n") + len(text) // max(1, width // count) for text in texts]
            self._guess = estimated_height(self.turn, width) + max(rows) + 3

    def lay_out(self, look: Look) -> Stack:
        """Make the rows for a look, unless they are there."""
        if self._stack is not None and self._look is look:  # as for every row of every frame
            return self._stack
        looks = look.columns(len(self.columns)) if self.columns else None
        if self._stack is not None and self.columns and (looks is None) is not (self.body is None):
            self.release(keep_answers=True)  # columns where tabs were, or the other way round
        if self._stack is None:
            self._stack = Stack(self._sections(in_columns=looks is not None))
        self._look = look
        if self.columns:
            self._rank(now=True)
        if self.body is not None and looks is not None:
            for answer, own in zip(self.body.answers, looks, strict=True):
                answer.lay_out(own)
        elif (only := self.answer) is not None:
            only.lay_out(look)
        own_sections = (self._stack.sections[0], self._tabs, self.body, self._ranking, self._stack.sections[-1])
        for section in own_sections:
            if section is not None:
                section.lay_out(look)
        self._stack.sum_up()
        return self._stack

    def _sections(self, *, in_columns: bool) -> Sequence[Section]:
        self._look = None
        prompt, gap = PromptRows(self.turn), _gap()
        self._alone = self.shown
        if not self.columns:
            answer = self.answer
            if answer is not None:
                answer.stand_in_column(on=False)
                answer.standing = Standing(alias=self.aliases.get(answer.completion.id, ""))
            return [prompt, *(answer.sections if answer is not None else ()), gap]
        self._ranking = Lines()
        self._ranking.gap_above = 1
        if in_columns:
            answers = [self._rows_of(column.turn, column.completion) for column in self.columns]
            for answer in answers:
                answer.stand_in_column(on=True)
            self._heads, self.body = HeadRows(answers), ColumnRows(answers)
            return [prompt, self._heads, self.body, self._ranking, gap]
        self._tabs = Lines()
        self._tabs.gap_below = 1
        only = self.answer
        if only is not None:
            only.stand_in_column(on=True)
        return [prompt, self._tabs, *(only.sections if only is not None else ()), self._ranking, gap]

    @property
    def height(self) -> int:
        """Rows, as far as we know."""
        return self._stack.height if self._stack is not None else self._guess

    def place(self, top: int, bottom: int) -> None:
        """Note which of its rows are in view: columns that are shorter than others stay there."""
        if self._stack is not None and self.body is not None:
            start = self._stack.start_of(self.body)
            pinned = min(self._pinned_rows(top, bottom - top), max(0, top - start))
            self.body.place(top - start + pinned, bottom - start)

    def pinned(self, top: int, rows: int) -> Sequence[Strip]:
        """The heads that stay at the top of the view; `top` is the row there, `rows` how many the view has."""
        section = self._heads or self._tabs
        count = self._pinned_rows(top, rows)
        return [section.strip(y) for y in range(count)] if section is not None else []

    def _pinned_rows(self, top: int, rows: int) -> int:
        section, stack = self._heads or self._tabs, self._stack
        if section is None or stack is None or rows < (_LEAST_VIEW if self._tabs is None else _LEAST_FOR_TABS):
            return 0
        height = section.height
        end = stack.start_of(self._ranking) if self._ranking is not None else stack.height
        return height if stack.start_of(section) < top < end - height else 0

    def ensure(self, look: Look, top: int, bottom: int) -> None:
        """Make the heights exact from one row to another."""
        self.lay_out(look).ensure(top, bottom)

    def ensure_above(self, look: Look, y: int, rows: int) -> None:
        """Make the heights of so many rows above a row exact."""
        self.lay_out(look).ensure_above(y, rows)

    def ensure_end(self, look: Look, rows: int) -> None:
        """Make the heights of the last rows exact."""
        stack = self.lay_out(look)
        stack.ensure_above(stack.height, rows)

    def forget_far(self, top: int, bottom: int) -> None:
        """Let go of drawn rows far from those in view."""
        if self._stack is not None:
            self._stack.forget_far(top, bottom)

    def mark(self, y: int) -> "Place | AnswerPlace | None":
        """The place of a row; `None` where no rows are made yet."""
        if self._stack is None:
            return None
        place = self._stack.mark(y)
        section = self._stack.sections[place.section]
        if isinstance(place.mark, ColumnMark) and self.body is not None:
            answer, inner = self.body.answers[place.mark.column], place.mark.place
            return AnswerPlace(answer.completion.id, inner.section, inner.mark)
        only = self._drawn_answers[0] if self.body is None and self._drawn_answers else None
        if only is not None and section in only.body:
            return AnswerPlace(only.completion.id, only.body.index(section), place.mark)
        return place

    def row_of(self, place: "Place | AnswerPlace | None") -> int:
        """The row where a place stands now."""
        stack = self._stack
        if stack is None or place is None:
            return 0
        if isinstance(place, Place):
            return stack.row_of(place)
        if self.body is not None:
            ids = [answer.completion.id for answer in self.body.answers]
            at = ids.index(place.completion_id) if place.completion_id in ids else self.at
            return stack.row_of(stack.place_in(self.body, ColumnMark(at, Place(place.section, place.mark))))
        answer = self.answer
        return stack.row_of(stack.place_in(answer.body[place.section], place.mark)) if answer is not None else 0

    @property
    def may_have_code(self) -> bool:
        """False when the answer has no code block for certain; costs a look at its text, not a parse."""
        text = self.shown.text if self.shown is not None else ""
        return "```" in text or "~~~" in text or "    " in text or "\t" in text

    def code_places(self, look: Look) -> list[Place]:
        """Where each code block of the answer begins."""
        stack, answer = self.lay_out(look), self.answer
        if answer is None:
            return []
        marks = answer.text.rows.code_marks()
        if self.body is None:
            return [stack.place_in(answer.text, mark) for mark in marks]
        places: list[ColumnMark] = [self.body.place_in(self.at, answer.text, mark) for mark in marks]
        return [stack.place_in(self.body, place) for place in places]

    def find(self, look: Look, y: int) -> tuple[Section, int]:
        """The section around a row, and the row within it."""
        return self.lay_out(look).find(y)

    def hit(self, look: Look, x: int, y: int) -> tuple[AnswerRows, Section, int, int] | None:
        """What is painted at a cell: an answer, the section of it, the row in that and the cell in it.

        `None` where there is no answer.
        """
        section, row = self.find(look, y)
        if self.body is not None:
            if section is self.body:
                return self.body.hit(x, row)
            if section is self._heads:
                over = self.body.answers[self.body.column_at(x)]
                return over, over.head, row, x
            return None
        answer = self.answer
        if answer is None or section not in answer.sections:
            return None
        return answer, section, row, x

    def tab_at(self, look: Look, x: int, y: int) -> Completion | None:
        """The answer whose tab is painted at a cell."""
        section, row = self.find(look, y)
        if self._tabs is None or section is not self._tabs or row:
            return None
        completions = [column.completion for column in self.columns]
        ends = tab_ends(completions, self.at, look.width, look.glyphs, self._tab_names, blind=self.turn.blind)
        return next((each for each, end in zip(completions, ends, strict=True) if x - GUTTER < end), None)


def _gap() -> Lines:
    gap = Lines()
    gap.contents = (Content(""),)
    return gap
