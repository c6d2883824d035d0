"""One turn as rows: the prompt, and the one of its answers that is in view.

A turn far from the view is only a height: nothing of it is parsed or drawn until somebody comes near.
"""

from textual.content import Content

from tui_chat.core.completion import Completion
from tui_chat.core.conversation import Turn
from tui_chat.ui.widgets.transcript.answer_rows import AnswerRows
from tui_chat.ui.widgets.transcript.look import Look
from tui_chat.ui.widgets.transcript.prompt_rows import PromptRows, estimated_height
from tui_chat.ui.widgets.transcript.sections import Lines, Place, Section, Stack


class TurnRows:
    """A prompt and an answer."""

    def __init__(self, turn: Turn, shown: Completion | None, keymap: dict[str, str]) -> None:
        self.turn = turn
        self.shown = shown
        self._keymap = keymap
        self._answer: AnswerRows | None = None
        self._stack: Stack | None = None
        self._look: Look | None = None
        self._guess = 0

    def show(self, completion: Completion) -> None:
        """Put another answer to the same prompt in view."""
        if self.shown is not completion:
            self.shown = completion
            self.release()

    def release(self) -> None:
        """Let go of everything that can be made again."""
        self._guess = self.height
        self._answer = self._stack = self._look = None

    @property
    def releasable(self) -> bool:
        """True when nothing but rows would be lost."""
        answer = self._answer
        return self._stack is not None and (
            answer is None or not (answer.active or answer.reasoning.shown or answer.has_cursor)
        )

    @property
    def answer(self) -> AnswerRows | None:
        """The answer in view; made when asked for."""
        if self._answer is None and self.shown is not None:
            self._answer = AnswerRows(self.turn, self.shown, self._keymap)
        return self._answer

    @property
    def active_answer(self) -> AnswerRows | None:
        """The answer, if it needs frames."""
        if self._answer is None and (self.shown is None or not self.shown.running):
            return None
        answer = self.answer
        return answer if answer is not None and answer.active else None

    def guess_height(self, width: int) -> None:
        """Guess the height from the length of the texts, unless the rows were made."""
        if self._stack is None and not self._guess:
            text = self.shown.text if self.shown is not None else ""
            lines = text.count("\n") + len(text) // max(1, width)
            self._guess = estimated_height(self.turn, width) + lines + 3

    def lay_out(self, look: Look) -> Stack:
        """Make the rows for a look, unless they are there."""
        if self._stack is None:
            self._stack = Stack([PromptRows(self.turn), *(self.answer.sections if self.answer else ()), _gap()])
        if self._look is not look:
            self._look = look
            for section in (self._stack.sections[0], self._stack.sections[-1]):
                section.lay_out(look)
            if self.answer is not None:
                self.answer.lay_out(look)
            self._stack.sum_up()
        return self._stack

    def take_frame(self) -> None:
        """Take what is new in the answer since the last frame."""
        if self._answer is not None and self._stack is not None:
            self._answer.take_frame()
            self._stack.sum_up()

    @property
    def height(self) -> int:
        """Rows, as far as we know."""
        return self._stack.height if self._stack is not None else self._guess

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

    def mark(self, y: int) -> Place | None:
        """The place of a row; `None` where no rows are made yet."""
        return self._stack.mark(y) if self._stack is not None else None

    def row_of(self, place: Place | None) -> int:
        """The row where a place stands now."""
        return self._stack.row_of(place) if self._stack is not None and place is not None else 0

    @property
    def may_have_code(self) -> bool:
        """False when the answer has no code block for certain; costs a look at its text, not a parse."""
        text = self.shown.text if self.shown is not None else ""
        return "```" in text or "~~~" in text or "    " in text or "\t" in text

    def code_places(self, look: Look) -> list[Place]:
        """Where each code block of the answer begins."""
        stack = self.lay_out(look)
        if self.answer is None:
            return []
        section = stack.sections.index(self.answer.text)
        return [Place(section, mark) for mark in self.answer.text.rows.code_marks()]

    def find(self, look: Look, y: int) -> tuple[Section, int]:
        """The section around a row, and the row within it."""
        return self.lay_out(look).find(y)


def _gap() -> Lines:
    gap = Lines()
    gap.contents = (Content(""),)
    return gap
