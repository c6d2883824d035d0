"""Two answers to one prompt and what differs between them: word by word, or which lines of code they share.

Rows are wrapped once, when the box opens or its width changes, and drawn when they come into view: a difference of two
long answers has thousands of rows. What is only in one answer is never told by colour alone.
"""

from collections.abc import Callable, Iterable, Sequence
from itertools import zip_longest
from typing import ClassVar, Literal

from rich.cells import cell_len
from rich.segment import Segment
from textual.app import ComposeResult
from textual.binding import Binding, BindingType
from textual.cache import LRUCache
from textual.containers import Vertical
from textual.content import Content
from textual.geometry import Size
from textual.screen import ModalScreen
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widgets import Static

from tui_chat.core.completion import Completion
from tui_chat.core.difference import CodeLine, Run, SharedCode, difference, shared_code, shared_words, tokens_of
from tui_chat.core.safe_text import one_line, safe
from tui_chat.ui.theme import ASCII, Glyphs
from tui_chat.ui.widgets.row import fit, hints, joined, row, styled, text
from tui_chat.ui.widgets.usage_meter import cost_of

_BESIDE = 100
"""Cells of a terminal from which the answers stand side by side."""
_WIDEST = 172
_GAP = 4
"""Cells between the two."""
_STRIPS_KEPT = 512

Kind = Literal["same", "left", "right", "quiet"]
Piece = tuple[str, Kind]
Row = list[Piece]
Drawn = tuple[Row, ...]
"""A row of the screen: one piece of text, or one for each side."""

_BELOW_STYLES: dict[Kind, str] = {"same": "$fg", "left": "$fg2 strike", "right": "b u $fg", "quiet": "$fg2"}
_BESIDE_STYLES: dict[Kind, str] = {"same": "$fg2", "left": "b $fg", "right": "b $fg", "quiet": "$fg2"}
_CODE_STYLES: dict[Kind, str] = {"same": "b $fg", "quiet": "$fg2"}
_BRACKETS = {"same": ("", ""), "left": ("[-", "-]"), "right": ("{+", "+}")}
"""As `git diff --word-diff` has them: for what is copied, and where nothing but ASCII is drawn."""


# rows


def wrapped(pieces: Iterable[Piece], width: int) -> list[Row]:
    """Return text in rows of at most `width` cells, cut at spaces where there are any; never no row."""
    wrapping = _Wrapping(width)
    for whole, kind in pieces:
        for piece in tokens_of(safe(whole)):
            wrapping.take(piece, kind)
    wrapping.place()
    return wrapping.rows


class _Wrapping:
    """Fills rows. What stands between two spaces goes into one row, though it may have pieces of several kinds."""

    def __init__(self, width: int) -> None:
        self.rows: list[Row] = [[]]
        self._width = self._room = width
        self._word: Row = []
        self._size = 0

    def take(self, piece: str, kind: Kind) -> None:
        if not piece.isspace():
            alone = piece >= "\u2e80"  # scripts without spaces can be cut anywhere
            if alone:
                self.place()
            self._word.append((piece, kind))
            self._size += _cells(piece)
            if alone:
                self.place()
            return
        self.place()
        if piece == "\n":
            self._new_row()
        elif self._room:  # a space behind the last word of a row is not drawn
            self._add(piece if _cells(piece) <= self._room else " " * self._room, kind)

    def place(self) -> None:
        """Put the word that was gathered into this row, else into the next, or cut it."""
        if self._size > self._room and self._room < self._width:
            self._new_row()
        for piece, kind in self._word:
            if _cells(piece) <= self._room:
                self._add(piece, kind)
                continue
            for character in piece:
                if _cells(character) > self._room:
                    self._new_row()
                self._add(character, kind)
        self._word, self._size = [], 0

    def _new_row(self) -> None:
        self.rows.append([])
        self._room = self._width

    def _add(self, piece: str, kind: Kind) -> None:
        shown = self.rows[-1]
        if shown and shown[-1][1] == kind:
            shown[-1] = (shown[-1][0] + piece, kind)
        else:
            shown.append((piece, kind))
        self._room -= _cells(piece)


def _cells(shown: str) -> int:
    return len(shown) if shown.isascii() else cell_len(shown)


def below_rows(runs: Iterable[Run], width: int, *, brackets: bool) -> list[Drawn]:
    """Return both texts as one; with brackets around what is only in one of them."""
    pieces: list[Piece] = []
    for run in runs:
        opening, closing = _BRACKETS[run.where] if brackets else ("", "")
        pieces.append((f"{opening}{run.text}{closing}", run.where))
    return [(each,) for each in wrapped(pieces, width)]


def beside_rows(runs: Iterable[Run], width: int) -> list[Drawn]:
    """Return both texts in columns of `width` cells; lines that end in both begin again on one row."""
    rows: list[Drawn] = []
    sides: tuple[list[Piece], list[Piece]] = [], []

    def flush() -> None:
        empty: Row = []
        rows.extend(zip_longest(*(wrapped(side, width) if side else [] for side in sides), fillvalue=empty))
        if not any(sides):
            rows.append((empty, empty))
        for side in sides:
            side.clear()

    for run in runs:
        if run.where != "same":
            sides[run.where == "right"].append((run.text, run.where))
            continue
        if any(sides) and all(not side or side[-1][0].endswith("\n") for side in sides):  # whole lines
            for side in sides:
                if side:
                    side[-1] = (side[-1][0][:-1], side[-1][1])
            flush()
        for at, line in enumerate(run.text.split("\n")):
            if at:
                flush()
            for side in sides if line else ():
                side.append((line, "same"))
    if any(sides):
        flush()
    return rows


def code_rows(blocks: Sequence[Sequence[CodeLine]], width: int) -> list[Row]:
    """Return the code blocks of one answer, a sign before every line that the other one has too."""
    rows: list[Row] = []
    for block in blocks:
        if rows:
            rows.append([])
        for line in block:
            kind: Kind = "same" if line.shared else "quiet"
            for at, each in enumerate(wrapped([(line.text, kind)], max(1, width - 2))):
                rows.append([("= " if line.shared and at == 0 else "  ", kind), *each])
    return rows


def unified(left: str, right: str, runs: Iterable[Run]) -> str:
    """Return both texts as one for copying: `[-only left-]`, `{+only right+}`, below what each is called."""
    heads = "".join(f"{sign} {name}".rstrip() + "\n" for sign, name in (("---", left), ("+++", right)))
    body = "".join(f"{_BRACKETS[run.where][0]}{run.text}{_BRACKETS[run.where][1]}" for run in runs)
    return f"{heads}\n{body}\n"


# the box


class DifferenceRows(ScrollView, can_focus=True):
    """The rows; it draws those in view and keeps what it drew."""

    DEFAULT_CSS = "DifferenceRows { width: 1fr; overflow-x: hidden; }"

    def __init__(self) -> None:
        super().__init__(id="rows")
        self._rows: Sequence[Drawn] = ()
        self._styles_of = _BELOW_STYLES
        self._column = 0
        self._strips: LRUCache[tuple[int, int], Strip] = LRUCache(_STRIPS_KEPT)

    def show(self, rows: Sequence[Drawn], styles_of: dict[Kind, str], column: int) -> None:
        """Show rows whose columns are `column` cells wide."""
        self._rows, self._styles_of, self._column = rows, styles_of, column
        self._strips.clear()
        self.virtual_size = Size(1, len(rows))
        self.refresh()

    def notify_style_update(self) -> None:
        """Another theme: every strip has other colours."""
        super().notify_style_update()
        self._strips.clear()

    def render_line(self, y: int) -> Strip:
        at, width = y + self.scroll_offset.y, self.scrollable_content_region.width
        strip = self._strips.get((at, width))
        if strip is None:
            content = self._drawn(self._rows[at]) if at < len(self._rows) else Content("")
            base = self.visual_style
            pieces = fit(content, width).render(base, end="", parse_style=self._get_style)
            strip = Strip([Segment(piece, style.rich_style) for piece, style in pieces], width)
            self._strips[at, width] = strip
        return strip

    def _drawn(self, drawn: Drawn) -> Content:
        sides = [joined(*(styled(shown, self._styles_of[kind]) for shown, kind in side)) for side in drawn]
        if len(sides) == 1:
            return sides[0]
        return joined(fit(sides[0], self._column), " " * _GAP, sides[1])


class DifferenceBox(ModalScreen[None]):
    """A box with two answers and what differs between them, as they were when it opened."""

    CSS_PATH = "boxes.tcss"
    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("escape,q,enter", "dismiss(None)", "Close", show=False),
        Binding("w", "show_code(False)", "Words", show=False),
        Binding("l", "show_code(True)", "Shared lines of code", show=False),
        Binding("y", "copy", "Copy", show=False),
        Binding("j", "scroll(1)", show=False),
        Binding("k", "scroll(-1)", show=False),
    ]

    def __init__(
        self,
        left: Completion,
        right: Completion,
        left_text: str,
        right_text: str,
        glyphs: Glyphs,
        copy: Callable[[str], None],
        aliases: tuple[str, str] | None = None,
    ) -> None:
        """Compare two texts; `copy` takes what the user wants to have.

        `aliases` are shown in place of names and prices that must stay out of view.
        """
        super().__init__()
        self._answers = left, right
        self._aliases = aliases
        self._texts = left_text, right_text
        self._glyphs, self._copy = glyphs, copy
        self._runs: list[Run] = []
        self._share = 1.0
        """Words that are in both, of all."""
        self._code = SharedCode((), (), ())
        self._of_code = False
        """The lines of code are shown, not the words."""
        self._title, self._head = Static(markup=False, id="title"), Static(markup=False, id="head")
        self._rows, self._hints = DifferenceRows(), Static(markup=False, id="hints")

    def compose(self) -> ComposeResult:
        with Vertical(classes="box"):
            yield self._title
            yield self._head
            yield self._rows
            yield self._hints

    def on_mount(self) -> None:
        self.set_class(self._glyphs is ASCII, "ascii")
        self._runs = difference(*self._texts)
        self._share = shared_words(self._runs)
        self._code = shared_code(*self._texts)
        self._rows.focus()

    def on_resize(self) -> None:
        self.set_class(self.app.size.height < 30, "-short")
        self._draw()

    # what it shows

    def _draw(self) -> None:
        """Draw everything anew for the room there is."""
        screen = self.app.size
        beside = screen.width >= _BESIDE
        outer = max(8, min(_WIDEST, screen.width - 1))  # no slips of the screen show at the sides
        width = max(1, outer - 6)
        column = max(1, (width - _GAP) // 2) if beside else width
        rows = self._code_rows(column, beside=beside) if self._of_code else self._word_rows(column, beside=beside)
        head = self._heads(width, column, beside=beside)
        self.query_one(".box").styles.width = outer
        self._title.update(self._titled(width))
        self._head.update(Content("\n").join(head))
        self._hints.update(self._keys(width))
        short = self.has_class("-short")
        room = screen.height - 3 if short else screen.height * 96 // 100 - 7
        self._rows.styles.height = max(1, min(len(rows), room - len(head)))
        styles_of = _CODE_STYLES if self._of_code else _BESIDE_STYLES if beside else _BELOW_STYLES
        self._rows.show(rows, styles_of, column)

    def _word_rows(self, column: int, *, beside: bool) -> list[Drawn]:
        if not any(self._texts):
            return [([("Both answers are empty.", "quiet")],)]
        if beside:
            return beside_rows(self._runs, column)
        return below_rows(self._runs, column, brackets=self._glyphs is ASCII)

    def _code_rows(self, column: int, *, beside: bool) -> list[Drawn]:
        if not self._code.left and not self._code.right:
            return [([("There is no code in these answers.", "quiet")],)]
        sides = [code_rows(blocks, column) for blocks in (self._code.left, self._code.right)]
        if beside:
            empty: Row = []
            return list(zip_longest(*sides, fillvalue=empty))
        rows: list[Row] = []
        for name, side in zip(self._names(), sides, strict=True):
            rows += [[]] if rows else []
            rows += [[(name, "quiet")], *(side or [[("  no code", "quiet")]])]
        return [(each,) for each in rows]

    def _titled(self, width: int) -> Content:
        views = [
            styled(name, "b $fg" if at == self._of_code else "$fg2")
            for at, name in enumerate(("words", "shared lines"))
        ]
        return row(
            joined(styled("What differs   ", "b $fg"), styled(self._said(), "$fg2")),
            joined(views[0], "   ", views[1]),
            width,
        )

    def _said(self) -> str:
        if self._of_code:
            count = len(self._code.lines)
            return f"{count} line{'' if count == 1 else 's'} of code in both"
        if all(run.where == "same" for run in self._runs):
            return "nothing: they are the same, word for word"
        return f"{int(self._share * 100)} % of the words in both"

    def _names(self) -> list[str]:
        if self._aliases is not None:
            return list(self._aliases)
        left, right = (answer.model for answer in self._answers)
        whole = left.short_name == right.short_name
        return [one_line(each.name if whole else each.short_name, 200) for each in (left, right)]

    def _heads(self, width: int, column: int, *, beside: bool) -> list[Content]:
        sides = []
        for answer, name, side in zip(self._answers, self._names(), ("left", "right"), strict=True):
            so_far = "   so far" if answer.running else ""
            differ = any(run.where != "same" for run in self._runs)
            legend = self._legend(side, beside=beside) if differ and not self._of_code else Content("")
            named = joined(text(name, "b $fg"), styled(so_far, "$fg2"), "   ", legend)
            room = width if not beside else column if side == "left" else width - column - _GAP
            sides.append(row(named, styled(self._cost(answer), "b $fg"), room))
        if beside:
            sides = [joined(sides[0], " " * _GAP, sides[1])]
        if self._of_code and self._code.lines:
            sides.append(styled("= is in both, whatever the space around it", "$fg2"))
        return sides

    def _cost(self, answer: Completion) -> str:
        return cost_of(answer) if self._aliases is None else ""

    def _legend(self, side: str, *, beside: bool) -> Content:
        if beside:
            return joined(styled("bold", "b $fg"), styled(" is only here", "$fg2"))
        kind: Kind = "left" if side == "left" else "right"
        opening, closing = _BRACKETS[kind] if self._glyphs is ASCII else ("", "")
        return styled(f"{opening}only here{closing}", _BELOW_STYLES[kind])

    def _keys(self, width: int) -> Content:
        other = ("w", "words") if self._of_code else ("l", "shared lines")
        pairs = [("esc", "close"), other, ("y", "copy"), ("↑↓", "scroll")]
        while len(pairs) > 1 and hints(pairs).cell_length > width:
            pairs.pop()
        return hints([*pairs[1:], pairs[0]])

    # what keys do

    def action_show_code(self, of_code: bool) -> None:  # noqa: FBT001  as Textual calls it
        if of_code is not self._of_code:
            self._of_code = of_code
            self._draw()
            self._rows.scroll_to(y=0, animate=False)

    def action_copy(self) -> None:
        """Take both texts as one to the clipboard."""
        whole = self._aliases or tuple(one_line(each.model.name, 200) for each in self._answers)
        left, right = (f"{name} {self._cost(each)}" for each, name in zip(self._answers, whole, strict=True))
        self._copy(unified(left, right, self._runs))

    def action_scroll(self, step: int) -> None:
        self._rows.scroll_relative(y=step, animate=False)
