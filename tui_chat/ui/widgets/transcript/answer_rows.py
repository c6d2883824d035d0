"""One answer as rows. It reads a `Completion` and owns no worker: nothing in it knows whether the answer runs."""

from collections.abc import Sequence
from time import monotonic

from textual.content import Content

from tui_chat.core.completion import Completion, State
from tui_chat.core.context import joined_text
from tui_chat.core.conversation import Turn
from tui_chat.core.format import seconds, tokens
from tui_chat.core.keymap import letter_of
from tui_chat.ui.theme import UNICODE, Glyphs
from tui_chat.ui.widgets.markdown_log.log_rows import LogRows
from tui_chat.ui.widgets.row import joined, styled
from tui_chat.ui.widgets.transcript.answer_foot import foot_lines
from tui_chat.ui.widgets.transcript.answer_head import AnswerHead, Standing
from tui_chat.ui.widgets.transcript.look import INDENT, Look
from tui_chat.ui.widgets.transcript.sections import Lines, Markdown, Section

_FIGURES_S = 0.095
"""Seconds between two drawings of figures that run."""


class AnswerRows:
    """Head, thinking, text and foot of one answer."""

    def __init__(self, turn: Turn, completion: Completion, keymap: dict[str, str]) -> None:
        self.turn = turn
        self.completion = completion
        self._keymap = keymap
        self._look: Look | None = None
        self._head = AnswerHead(completion)
        self._in_column = False
        self.keys_act = True
        """The transcript has the focus, so that letters are keys."""
        self.head, self.fold, self.foot = Lines(), Lines(), Lines()
        self.fold.gap_below = 1
        finished = not completion.running
        self.reasoning = Markdown(LogRows(completion.reasoning, finished=finished), indent=INDENT)
        self.reasoning.shown = False
        self.reasoning.gap_below = 1
        cut = turn.completion(completion.resumes_id)
        self._before = joined_text(turn, cut) if cut is not None else ""
        text = joined_text(turn, completion) if finished else self._before + completion.text
        self.text = Markdown(LogRows(text, finished=finished))
        self._text_at = completion.text_log.position
        self._reasoning_at = completion.reasoning_log.position
        self._settled = finished
        self._drawn_state: State | None = None
        self._figures_due_s = 0.0

    @property
    def sections(self) -> Sequence[Section]:
        """From top to bottom."""
        return self.head, *self.body

    @property
    def body(self) -> Sequence[Section]:
        """What stands below the head."""
        return self.fold, self.reasoning, self.text, self.foot

    def stand_in_column(self, *, on: bool) -> None:
        """Draw the head as that of a column, or as a line; before it is laid out."""
        self._in_column = on
        self.head.ground = "head" if on else "page"
        self.head.gap_below = 1 if on else 0
        self.head.show(())

    @property
    def standing(self) -> Standing:
        """How it stands among the others."""
        return self._head.standing

    @standing.setter
    def standing(self, standing: Standing) -> None:
        if standing != self._head.standing:
            self._head.standing = standing
            self._drawn_state = None

    @property
    def _glyphs(self) -> Glyphs:
        return self._look.glyphs if self._look is not None else UNICODE

    def lay_out(self, look: Look) -> None:
        """Use a look from now on."""
        self._look = look
        for section in self.sections:
            section.lay_out(look)
        self.fold.show(())
        self._drawn_state = None
        self.take_frame()

    def set_cursor(self, *, on: bool) -> None:
        """Draw or take away the transcript's cursor."""
        self._head.loud = on
        for section in self.sections:
            section.cursor = on
            section.repaint()
        self._drawn_state = None
        self.take_frame()

    @property
    def has_cursor(self) -> bool:
        return self.head.cursor

    @property
    def active(self) -> bool:
        """True while it needs frames: it runs, or its bill has just come."""
        return self.completion.running or not self._settled or self._head.settling

    def take_frame(self) -> None:
        """Take what is new since the last frame; costs only what is new."""
        if self._look is None:
            return
        completion, text = self.completion, self.text.rows
        self._take_deltas()
        if not completion.running and not self._settled:
            self._settled = True
            self.reasoning.rows.finalise()
            self._close_seam()
            text.finalise()
        text.running = completion.running and completion.finish_reason is None
        self.reasoning.rows.running = text.running and not completion.text_log
        has_text = bool(completion.text_log or self._before)
        self.text.shown = has_text or completion.state is State.WAITING
        if self.text.struck != completion.discarded:
            self.text.struck = completion.discarded
            self.text.repaint()
        if self.text.shown:
            text.refill()
        if self.reasoning.shown:
            self.reasoning.rows.refill()
        self._show_figures(bare=not has_text)

    def _show_figures(self, *, bare: bool) -> None:
        """Draw head, fold and foot; while text pours in, as often as figures can be read."""
        completion, look = self.completion, self._look
        now_s, state = monotonic(), completion.state
        if look is None or (state is self._drawn_state and completion.running and now_s < self._figures_due_s):
            return
        self._drawn_state, self._figures_due_s = state, now_s + _FIGURES_S
        self.head.show(self._head_lines(look))
        self._show_fold()
        self._show_foot(bare=bare)

    def _head_lines(self, look: Look) -> Sequence[Content]:
        if self._in_column:
            return self._head.column_lines(look.width, look.glyphs)
        every = self.turn.completions
        where = every.index(self.completion) + 1 if self.completion in every else 0
        self._head.position = f"{where}/{len(every)}" if len(every) > 1 else ""
        return (self._head.line(look.width, look.glyphs),)

    def _take_deltas(self) -> None:
        completion = self.completion
        if self._reasoning_at < completion.reasoning_log.position:
            new = completion.reasoning_log.since(self._reasoning_at)
            self._reasoning_at = completion.reasoning_log.position
            self.reasoning.rows.feed(new)
        if self._text_at < completion.text_log.position:
            new = completion.text_log.since(self._text_at)
            self._text_at = completion.text_log.position
            self.text.rows.feed(new)

    def _close_seam(self) -> None:
        """A continued answer may repeat the end of the part before it; once it is whole the repetition goes."""
        if self._before:
            joined_whole = joined_text(self.turn, self.completion)
            if joined_whole != self._before + self.completion.text:
                self.text.rows.clear()
                self.text.rows.feed(joined_whole)

    def _show_fold(self) -> None:
        completion, glyphs = self.completion, self._glyphs
        if not completion.reasoning_log:
            return
        count = completion.counted_reasoning
        if count is None and completion.final_usage is not None:
            count = completion.final_usage.usage.reasoning_tokens
        words = [styled(f"{glyphs.open if self.reasoning.shown else glyphs.folded} thinking", "$fg2")]
        if count:
            words.append(styled(f"   {tokens(count)} tok", "$fg2"))
        if completion.reasoning_s is not None:
            words.append(styled(f"   {seconds(completion.reasoning_s)}", "$fg2"))
        while len(words) > 1 and self._look is not None and joined(*words).cell_length > self._look.width:
            words.pop()
        self.fold.show((joined(*words),))

    def _show_foot(self, *, bare: bool) -> None:
        width = max(1, self._look.width if self._look is not None else 80)
        lines: list[Content] = foot_lines(
            self.completion,
            self._glyphs,
            self._keymap,
            under_cursor=self.has_cursor,
            blind=bool(self.standing.alias),
            width=width,
            lead="" if self.keys_act else letter_of("focus.toggle", self._keymap),
        )
        self.foot.gap_above = 0 if bare else 1
        self.foot.show([part for line in lines for part in line.wrap(width)])

    def toggle_reasoning(self) -> None:
        """Fold or unfold the thinking."""
        if self.completion.reasoning_log:
            self.reasoning.shown = not self.reasoning.shown
            self._drawn_state = None
            self.take_frame()

    @property
    def has_code(self) -> bool:
        """True when there is a code block in the answer."""
        return self.text.rows.has_code

    @property
    def links(self) -> list[str]:
        """Where the links of the answer lead, in order, each once."""
        return self.text.rows.targets

    @property
    def code_blocks(self) -> list[str]:
        """The sources of the code blocks in the answer, in order."""
        return self.text.rows.code_blocks
