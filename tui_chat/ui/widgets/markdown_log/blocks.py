"""What a markdown text is made of, once parsed: immutable values without any position on a screen.

Lists do not exist here: each list item is a block of its own, because that is the grain at which a streamed text is
finished. Space between blocks is a property of the block below (`gap`), decided from the source next to it alone, so a
block says the same whether its text came at once or in pieces.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from enum import IntFlag
from typing import Literal, Protocol, TypeAlias


class Mark(IntFlag):
    """How a run of text differs from its surroundings."""

    PLAIN = 0
    STRONG = 1
    EMPHASIS = 2
    STRIKE = 4
    CODE = 8
    LINK = 16
    SECONDARY = 32
    DISPLAY = 64
    """A formula that stands on rows of its own."""


@dataclass(frozen=True, slots=True)
class Span:
    """A run of text with one set of marks; a line feed is a hard line break."""

    text: str
    mark: Mark = Mark.PLAIN
    source: str | None = None
    """What copying yields instead of the text; `None` when it is the text."""
    target: str = ""
    """Where it leads, when a browser or mail program can open that."""


Inline: TypeAlias = tuple[Span, ...]
Align: TypeAlias = Literal["", "left", "center", "right"]


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Running text, or a part of it that is still arriving."""

    inline: Inline
    gap: bool = False
    """A blank row stands above it; the same in every block."""
    head: bool = True
    """The text begins here; false in later parts."""
    foot: bool = True
    """The text ends here, for all we know; false in earlier parts."""
    before: Paragraph | None = field(default=None, compare=False, repr=False)
    """The part that this one follows on, in its last row."""


@dataclass(frozen=True, slots=True)
class Heading:
    """A heading of level 1 to 6."""

    level: int
    inline: Inline
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Rule:
    """A thematic break."""

    gap: bool = False


class Lexed(Protocol):
    """A block of code that knows its colours."""

    def part(self, first: int, count: int) -> Sequence[tuple[tuple[str, str], ...]]:
        """Some of its lines, each as runs of text and role."""
        ...

    def state(self, first: int) -> tuple[str, ...]:
        """Whatever it takes to go on from before a line."""
        ...

    @property
    def size(self) -> int:
        """How many lines there are."""
        ...

    def append(self, text: str) -> int:
        """Add complete lines at its end; returns how many there were before."""
        ...


@dataclass(frozen=True, slots=True)
class Code:
    """A fenced or indented code block, or a part of one that is still arriving."""

    text: str
    """The source without the fences; every line ends with a line feed, an unfinished last one excepted."""
    language: str = ""
    """First word of the info string."""
    head: bool = True
    """The block begins here; false in later parts."""
    foot: bool = True
    """The block ends here, for all we know; false in earlier parts."""
    growing: bool = False
    """It was the end of a text that still arrived: more lines may follow."""
    gap: bool = False
    lexed: Lexed | None = field(default=None, compare=False, repr=False)
    """The colours of the whole block, for a part that may be drawn out of order; `None` when parts come in order."""
    line: int = field(default=0, compare=False, repr=False)
    """Lines of the block before this part, where `lexed` is known."""


@dataclass(frozen=True, slots=True)
class Html:
    """Raw HTML, or any source that is shown as it stands."""

    text: str
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Table:
    """A table, or rows of a long one that is still arriving."""

    aligns: tuple[Align, ...]
    head: tuple[Inline, ...]
    rows: tuple[tuple[Inline, ...], ...]
    widths: tuple[int, ...] | None = None
    """Natural cells of each column when frozen by earlier rows; `None` when this table decides itself."""
    continued: bool = False
    """Only rows: the head was drawn by an earlier part."""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Quote:
    """A block quote."""

    children: tuple[Block, ...]
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Item:
    """One list item."""

    children: tuple[Block, ...]
    number: int | None = None
    """`None` in a bullet list."""
    task: bool | None = None
    """Ticked or not; `None` when it is no task."""
    continued: bool = False
    """The marker was drawn by an earlier part."""
    gap: bool = False


@dataclass(frozen=True, slots=True)
class Footnote:
    """The text of a footnote, where it stands in the source."""

    label: str
    children: tuple[Block, ...]
    continued: bool = False
    gap: bool = False


Container: TypeAlias = Quote | Item | Footnote
Block: TypeAlias = Paragraph | Heading | Rule | Code | Html | Table | Container


def code_of(block: Block) -> list[Code]:
    """The code blocks in a block, in order."""
    match block:
        case Code():
            return [block]
        case Quote(children) | Item(children) | Footnote(children=children):
            return [code for child in children for code in code_of(child)]
        case _:
            return []
