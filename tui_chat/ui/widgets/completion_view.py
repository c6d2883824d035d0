"""One answer on the screen. It reads a `Completion` and owns no worker: nothing in it knows whether the answer runs."""

from rich.segment import Segment
from rich.style import Style
from textual.app import ComposeResult
from textual.containers import Vertical
from textual.content import Content
from textual.events import Click
from textual.geometry import Region
from textual.message import Message
from textual.strip import Strip
from textual.widgets import Static

from tui_chat.core.completion import Completion, State
from tui_chat.core.context import joined_text
from tui_chat.core.conversation import Turn
from tui_chat.core.format import seconds, tokens
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.answer_foot import foot_lines
from tui_chat.ui.widgets.answer_head import AnswerHead
from tui_chat.ui.widgets.markdown_log.widget import MarkdownLog
from tui_chat.ui.widgets.row import joined, styled


class ReasoningFold(Static):
    """The line that folds and unfolds the thinking."""

    class Clicked(Message):
        """The line was clicked."""

    def on_click(self, event: Click) -> None:
        event.stop()
        self.post_message(self.Clicked())


class CompletionView(Vertical):
    """Head, thinking, text and foot of one answer."""

    DEFAULT_CSS = """
    CompletionView { height: auto; width: 1fr; padding-left: 1; border-left: blank; }
    CompletionView ReasoningFold, CompletionView .foot { height: auto; width: 1fr; display: none; }
    CompletionView ReasoningFold.shown, CompletionView .foot.shown { display: block; }
    CompletionView .reasoning { display: none; }
    CompletionView .reasoning.open { display: block; }
    """

    def render_lines(self, crop: Region) -> list[Strip]:
        """Draw the gutter and nothing else: the children cover the rest, and every row is the same (see covered.py)."""
        ground = self.rich_style
        colour = self.styles.border_left[1].rich_color
        bar = Segment(self._glyphs.bar if self._cursor else " ", ground + Style.from_color(colour))
        row = Strip([bar, Segment(" " * (self.outer_size.width - 1), ground)])
        return [row.crop(crop.x, crop.right)] * crop.height

    class Picked(Message):
        """The answer was clicked."""

        def __init__(self, view: "CompletionView") -> None:
            super().__init__()
            self.view = view

    def __init__(self, turn: Turn, completion: Completion, glyphs: Glyphs, keymap: dict[str, str]) -> None:
        super().__init__()
        self.turn = turn
        self.completion = completion
        self._glyphs, self._keymap = glyphs, keymap
        self._head = AnswerHead(completion, glyphs)
        self._fold = ReasoningFold(markup=False)
        finished = not completion.running
        self._reasoning = MarkdownLog(completion.reasoning, finished=finished, classes="reasoning")
        cut = turn.completion(completion.resumes_id)
        self._before = joined_text(turn, cut) if cut is not None else ""
        text = joined_text(turn, completion) if finished else self._before + completion.text
        self._log = MarkdownLog(text, finished=finished)
        self._log.glyphs = self._reasoning.glyphs = "ascii" if glyphs is ASCII else "unicode"
        self._foot = Static(markup=False, classes="foot")
        self._text_at = completion.text_log.position
        self._reasoning_at = completion.reasoning_log.position
        self._foot_shown: Content = Content("")
        self._fold_shown: Content = Content("")
        self._settled = finished
        self._cursor = False

    def compose(self) -> ComposeResult:
        yield self._head
        yield self._fold
        yield self._reasoning
        yield self._log
        yield self._foot

    def on_mount(self) -> None:
        self._log.running = not self._settled and self.completion.running
        self._show_position()
        self.take_frame()

    def _show_position(self) -> None:
        every = self.turn.completions
        where = every.index(self.completion) + 1 if self.completion in every else 0
        self._head.set_position(f"{where}/{len(every)}" if len(every) > 1 else "")

    def set_cursor(self, *, on: bool) -> None:
        """Draw or take away the transcript's cursor."""
        self._cursor = on
        self.set_class(on, "cursor")
        self._head.set_loud(loud=on)
        self._show_foot()

    @property
    def active(self) -> bool:
        """True while it needs frames: it runs, or its bill has just come."""
        return self.completion.running or not self._settled or self._head.settling

    def take_frame(self) -> None:
        """Take what is new since the last frame; costs only what is new."""
        completion = self.completion
        if self._reasoning_at < completion.reasoning_log.position:
            new = completion.reasoning_log.since(self._reasoning_at)
            self._reasoning_at = completion.reasoning_log.position
            self._reasoning.feed(new)
        if self._text_at < completion.text_log.position:
            new = completion.text_log.since(self._text_at)
            self._text_at = completion.text_log.position
            self._log.feed(new)
        if not completion.running and not self._settled:
            self._settled = True
            self._reasoning.finalise()
            self._close_seam()
            self._log.finalise()
        self._log.running = completion.running and completion.finish_reason is None
        has_text = bool(completion.text_log or self._before)
        self._log.display = has_text or completion.state is State.WAITING
        self.set_class(not has_text, "bare")
        self._show_fold()
        self._head.tick()
        self._show_foot()
        self.set_class(completion.discarded, "discarded")

    def _close_seam(self) -> None:
        """A continued answer may repeat the end of the part before it; once it is whole the repetition goes."""
        if self._before:
            joined_whole = joined_text(self.turn, self.completion)
            if joined_whole != self._before + self.completion.text:
                self._log.clear()
                self._log.feed(joined_whole)

    def _show_fold(self) -> None:
        completion = self.completion
        if not completion.reasoning_log:
            return
        opened = self._reasoning.has_class("open")
        count = completion.counted_reasoning
        if count is None and completion.final_usage is not None:
            count = completion.final_usage.usage.reasoning_tokens
        words = [styled(f"{self._glyphs.open if opened else self._glyphs.folded} thinking", "$fg2")]
        if count:
            words.append(styled(f"   {tokens(count)} tok", "$fg2"))
        if completion.reasoning_s is not None:
            words.append(styled(f"   {seconds(completion.reasoning_s)}", "$fg2"))
        line = joined(*words)
        if not line.is_same(self._fold_shown):
            first = not self._fold_shown
            self._fold_shown = line
            self._fold.set_class(True, "shown")
            self._fold.update(line, layout=first)

    def _show_foot(self) -> None:
        lines = foot_lines(self.completion, self._glyphs, self._keymap, under_cursor=self._cursor)
        content = Content("\n").join(lines)
        if content.is_same(self._foot_shown):
            return
        same_height = content.plain.count("\n") == self._foot_shown.plain.count("\n") and bool(self._foot_shown.plain)
        self._foot_shown = content
        self._foot.set_class(bool(lines), "shown")
        self._foot.update(content, layout=not (same_height and lines))

    def toggle_reasoning(self) -> None:
        if self.completion.reasoning_log:
            self._reasoning.toggle_class("open")
            self._fold_shown = Content("")
            self._show_fold()

    def on_reasoning_fold_clicked(self, event: ReasoningFold.Clicked) -> None:
        event.stop()
        self.toggle_reasoning()

    def on_click(self) -> None:
        self.post_message(self.Picked(self))

    @property
    def code_blocks(self) -> list[str]:
        """The sources of the code blocks in the answer, in order."""
        return self._log.code_blocks
