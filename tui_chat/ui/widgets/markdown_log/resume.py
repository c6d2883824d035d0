"""How the parsing of a cut text goes on after the cut.

A few lines of source, the *context*, open again the containers and the leaf that were open at the cut. Put before the
rest they let one and the same parser read it; what they bring into the result is taken out again.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tui_chat.ui.widgets.markdown_log.blocks import (
    Align,
    Code,
    Container,
    Footnote,
    Heading,
    Html,
    Item,
    Paragraph,
    Quote,
    Span,
    Table,
)
from tui_chat.ui.widgets.markdown_log.parse import Node

_MARKER: Final = re.compile(r" *(?:[-+*]|\d{1,9}[.)])(?: {1,4}(?=\S)| ?)")
DUMMY: Final = "x"


@dataclass(frozen=True, slots=True)
class Resume:
    """How the tail follows on what is sealed."""

    context: str = ""
    """Source put before the tail when it is parsed."""
    depth: int = 0
    """Containers the context opens."""
    inside: type[Code | Table | Html | Paragraph] | None = None
    """The kind of leaf the context opens."""
    gap: bool = False
    """A blank row stands above the first block of the tail."""
    number: int | None = None
    """Number of its first list item where a list goes on."""
    widths: tuple[int, ...] | None = None
    """Frozen columns of the table that goes on, and their alignment."""
    aligns: tuple[Align, ...] = ()
    language: str = ""
    """Language of the code that goes on."""
    before: Paragraph | None = None
    """The part of a paragraph that is sealed, while the text after it goes on in its last row."""
    joint: str = ""
    """What stands between the two."""


def follow_on(node: Node, above: Node, context: str = "", depth: int = 0) -> Resume:
    """How a tail that begins with one block follows on the block above it."""
    same_list = node.list_id >= 0 and node.list_id == above.list_id
    number = node.block.number if isinstance(node.block, Item) and same_list else None
    return Resume(context, depth, gap=node.block.gap, number=number)


def open_again(path: Sequence[Node], lines: Sequence[str]) -> tuple[str, str] | None:
    """Lines that open the containers of a path again, and the prefix of a line inside them; `None` when unclear."""
    opened = ""
    prefix = ""
    line = -1
    column = 0
    for node in path:
        if node.start >= len(lines):
            return None
        source = lines[node.start].expandtabs(4)
        column = column if node.start == line else len(prefix)
        line = node.start
        rest = source[column:]
        match node.block:
            case Quote():
                found = re.match(r" {0,3}> ?", rest)
            case Footnote():
                found = re.match(r" {0,3}\[\^[^\]]*\]:", rest)
            case _:
                found = _MARKER.match(rest)
        if found is None:
            return None
        marker = found[0]
        column += len(marker)
        if isinstance(node.block, Item) and marker[-1] != " ":
            marker += " "
        opened += f"{prefix}{marker}{DUMMY}\n"
        if isinstance(node.block, Quote):
            prefix += marker
        else:
            prefix += " " * (4 if isinstance(node.block, Footnote) else len(marker))
        opened += prefix.rstrip() + "\n"
    return opened, prefix


def taken_up(nodes: tuple[Node, ...], resume: Resume, depth: int | None = None) -> tuple[Node, ...]:
    """The nodes of context and tail without what the context brought in, going on where the sealed part ended."""
    depth = resume.depth if depth is None else depth
    if not nodes:
        return nodes
    first, rest = nodes[0], nodes[1:]
    if depth == 0:
        return _first_taken_up(nodes, resume)
    if not isinstance(first.block, Container) or not first.children:
        return nodes
    children = taken_up(first.children[1:], resume, depth - 1)
    return (first.rebuilt(children, continued=True), *rest) if children else rest


def _first_taken_up(nodes: tuple[Node, ...], resume: Resume) -> tuple[Node, ...]:
    first, rest = nodes[0], nodes[1:]
    block = first.block
    match block:
        case Code() if resume.inside is Code:
            block = replace(block, head=False, language=resume.language)
        case Table() if resume.inside is Table:
            block = replace(block, continued=True, widths=resume.widths, aligns=resume.aligns or block.aligns)
        case Html() if resume.inside is Html:
            block = replace(block, text=block.text.partition("\n")[2])
        case Paragraph(inline) | Heading(inline=inline) if resume.inside is Paragraph and inline:
            # An underline would make a heading of it, of which a part is sealed: it is one when all of it is parsed.
            without = resume.joint + inline[0].text[len(DUMMY) + 1 :]
            lead = (Span(without, inline[0].mark),) if without else ()
            block = Paragraph((*lead, *inline[1:]), head=resume.before is None, before=resume.before)
        case _:
            pass
    first = replace(first, block=replace(block, gap=resume.gap))
    if resume.number is None or not isinstance(first.block, Item) or first.block.number is None:
        return (first, *rest)
    shift = resume.number - first.block.number
    return tuple(_renumbered(node, shift) if node.list_id == first.list_id else node for node in (first, *rest))


def _renumbered(node: Node, shift: int) -> Node:
    if not isinstance(node.block, Item) or node.block.number is None:
        return node
    return replace(node, block=replace(node.block, number=node.block.number + shift))
