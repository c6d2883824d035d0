"""A markdown text that grows at its end, parsed as it grows.

The text is a list of sealed blocks, which nothing that comes later changes, and a tail, the only part that is parsed
again when more arrives. A block is sealed once the line that begins the next one is certain. A tail that stays one
block for too long (a long fence, table, quote, nested item, paragraph) is cut inside: the part before the cut is sealed
as it looks, and the rest is parsed after a *context*, the few lines that open the same containers again.

A cut, or a link reference definition, may leave sealed blocks that differ a little from what the whole text says. So a
block that was cut is parsed once more as a whole when the next one begins, and `finalise` does the same for what is
still open then: a finished document is the same whatever the pieces it came in.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

from tui_chat.ui.widgets.markdown_log.blocks import (
    Block,
    Code,
    Footnote,
    Heading,
    Html,
    Item,
    Mark,
    Paragraph,
    Table,
    code_of,
)
from tui_chat.ui.widgets.markdown_log.heal import has_open_formula, heal_block
from tui_chat.ui.widgets.markdown_log.parse import Node, References, parse
from tui_chat.ui.widgets.markdown_log.resume import DUMMY, Resume, follow_on, open_again, taken_up
from tui_chat.ui.widgets.markdown_log.tables import natural_layout

LONG_TAIL: Final = 4_000
"""Characters of tail beyond which it is cut inside."""
LONG_CONTAINER: Final = 600
"""Characters of a list item, quote or footnote beyond which it is cut between two blocks in it."""
LONG_TEXT: Final = 600
"""Characters of a paragraph beyond which it is cut at the end of a sentence, unless something else stands around it."""
FENCE_LINES: Final = 50
"""Lines of an open fence sealed together."""
TABLE_ROWS: Final = 40
"""Rows that decide the widths of a table which is still arriving."""
TABLE_STEP: Final = 8
"""Rows sealed together after that."""
_KEPT_TEXT: Final = 200
"""Characters of a long paragraph that stay in the tail."""
_MAX_CUTS: Final = 4
"""Cuts in one feed; what is left waits for the next."""

_SENTENCE_END: Final = re.compile(r"(?:[.!?…:;][\"')\]]*\s+|[。！？；]\s*)")


@dataclass(slots=True)
class _Cut:
    """Where the first block begins that was cut for speed and is not mended yet."""

    sealed: int
    """Sealed blocks before it."""
    offset: int
    """Characters before it."""
    resume: Resume
    text: list[str]
    """Its source, as far as it is sealed."""
    rough: bool = False
    """Only `finalise` can mend it: the parts do not end where the whole does."""


class MarkdownDocument:
    """The blocks of a markdown text that arrives in pieces."""

    def __init__(self) -> None:
        self.sealed: list[Block] = []
        """Blocks that stay, unless `take_changed` says otherwise."""
        self.tail: tuple[Block, ...] = ()
        """Blocks that the next piece may change."""
        self.parsed_chars = 0
        """Characters given to the parser so far: what streaming has cost."""
        self.finished = False
        """Nothing is pending: `finalise` was called last."""
        self._parts: list[str] = []
        self._begin()

    def _begin(self) -> None:
        self._pending = ""
        self._offset = 0
        self._held = ""
        self._resume = Resume()
        self._cut: _Cut | None = None
        self._references: References = {}
        self._found: References = {}
        self._changed: int | None = None

    @classmethod
    def whole(cls, source: str) -> MarkdownDocument:
        """A finished document, parsed in one go."""
        document = cls()
        document._parts = [source]
        document._replace_from(0, 0, Resume())
        document.finished = True
        return document

    @property
    def source(self) -> str:
        """Everything fed so far, untouched."""
        if len(self._parts) > 1:
            self._parts = ["".join(self._parts)]
        return self._parts[0] if self._parts else ""

    @property
    def code_blocks(self) -> list[str]:
        """The sources of the code blocks, in order; parts of one that is still arriving are joined."""
        sources: list[str] = []
        for block in (*self.sealed, *self.tail):
            for code in code_of(block):
                if code.head or not sources:
                    sources.append(code.text)
                else:
                    sources[-1] += code.text
        return sources

    def feed(self, text: str) -> None:
        """Append a piece of the text, cut anywhere."""
        if not text:
            return
        if self.finished:
            self._reopen()
        self._parts.append(text)
        text = self._held + text
        self._held = ""
        if text.endswith("\r"):  # the second half of a CRLF may be on its way
            self._held = "\r"
            text = text[:-1]
        if not text:
            return
        self._pending += _with_line_feeds(text)
        for _ in range(_MAX_CUTS):
            nodes = self._seal(self._read(healing=True))
            self.tail = tuple(node.block for node in nodes)
            if not self._cut_inside(nodes):
                break
        else:
            self.tail = tuple(node.block for node in self._read(healing=True))

    def finalise(self) -> None:
        """Seal everything; what was cut for speed is parsed once more as a whole."""
        if self.finished:
            return
        self._pending += "\n" if self._held else ""
        self._held = ""
        before = list(self.sealed)
        if self._cut is not None:
            self._replace_from(self._cut.sealed, self._cut.offset, self._cut.resume)
        else:
            self._replace_from(len(self.sealed), self._offset, self._resume)
        if self._references:  # they reach back to the first line
            self._replace_from(0, 0, Resume())
        self._note_change(_keep_equal(self.sealed, before))
        self._cut = None
        self._resume = Resume()
        self._pending = ""
        self.tail = ()
        self.finished = True

    def take_changed(self) -> int | None:
        """Index of the first sealed block replaced since this was asked last; `None` when all are as they were."""
        changed, self._changed = self._changed, None
        return changed

    def _note_change(self, index: int) -> None:
        self._changed = index if self._changed is None else min(self._changed, index)

    def _reopen(self) -> None:
        """A finished text goes on: what was its end may not be one."""
        source = self.source
        self.sealed = []
        self.tail = ()
        self.finished = False
        self._parts = []
        self._begin()
        self._changed = 0
        self.feed(source)

    def _replace_from(self, index: int, offset: int, resume: Resume) -> None:
        """Parse the source from an offset to the end, for good."""
        source = _with_line_feeds(self.source)[offset:]
        parsed = parse(resume.context + source, self._references if offset else None)
        self.parsed_chars += len(source)
        self._references = parsed.references
        nodes = taken_up(parsed.nodes, resume)
        self.sealed[index:] = [node.block for node in nodes]

    def _read(self, *, healing: bool, upto: int | None = None) -> tuple[Node, ...]:
        text = self._resume.context + self._pending[:upto]
        if healing:
            text = heal_block(text)
        self.parsed_chars += len(text)
        parsed = parse(text, self._references, healing=healing)
        self._found = parsed.references
        return taken_up(parsed.nodes, self._resume)

    # Sealing: what the next block's beginning makes certain.

    def _seal(self, nodes: tuple[Node, ...]) -> tuple[Node, ...]:
        """Seal the blocks that are certain; returns the others."""
        if len(nodes) < 2:
            return nodes
        text = self._resume.context + self._pending
        lines = text.split("\n")
        for index in range(len(nodes) - 1, 0, -1):
            if _certain(nodes[index], nodes[index - 1], lines):
                self._advance(nodes, index, lines)
                return nodes[index:]
        return nodes

    def _advance(self, nodes: tuple[Node, ...], index: int, lines: list[str]) -> None:
        node = nodes[index]
        self._learn(node.start)
        self.sealed += [sealed.block for sealed in nodes[:index]]
        at = sum(map(len, lines[: node.start])) + node.start - len(self._resume.context)
        self._drop(at)
        self._resume = follow_on(node, nodes[index - 1])
        if self._cut is not None:
            self._settle(self._cut)

    def _settle(self, cut: _Cut) -> None:
        """Parse blocks that were cut once more as a whole, now that the next one has begun."""
        if cut.rough:
            return
        source = "".join(cut.text)
        following = "".join(line + "\n" for line in self._pending.split("\n", 2)[:2]).removesuffix("\n")
        parsed = parse(source + following, self._references, healing=True)
        self.parsed_chars += len(source)
        nodes = taken_up(parsed.nodes, cut.resume)
        border = source.count("\n")
        lines = (source + following).split("\n")
        for index in range(len(nodes) - 1, 0, -1):
            if nodes[index].start == border and _certain(nodes[index], nodes[index - 1], lines):
                break
        else:
            cut.rough = True
            return
        self.sealed[cut.sealed :] = [node.block for node in nodes[:index]]
        self._note_change(cut.sealed)
        self._cut = None
        self._resume = follow_on(nodes[index], nodes[index - 1])
        for label, reference in parsed.references.items():
            if reference["map"][0] < border:
                self._references.setdefault(label, reference)

    def _learn(self, line: int) -> None:
        """Keep the reference definitions above a line: those below may still be growing."""
        context = self._resume.context.count("\n")
        for label, reference in self._found.items():
            if label not in self._references and reference["map"][0] - context < line:
                self._references[label] = reference

    def _drop(self, count: int) -> None:
        if self._cut is not None:
            self._cut.text.append(self._pending[:count])
        self._pending = self._pending[count:]
        self._offset += count

    # Cutting: when one block stays open for too long.

    def _cut_inside(self, nodes: tuple[Node, ...]) -> bool:
        """Seal a part of the last block when it has grown long; false when nothing was cut."""
        if not nodes:
            return self._drop_blank()
        path = _path_to_leaf(nodes)
        leaf = path[-1]
        long = len(self._pending) > LONG_TAIL
        if _has_many_lines(leaf.block, long=long) and self._cut_lines(nodes, path):
            return True
        if len(self._pending) > LONG_CONTAINER and self._cut_at_child(nodes):
            return True
        if not long:
            alone = len(self._pending) > LONG_TEXT and len(nodes) == len(path) == 1 and not leaf.open
            return alone and _is_running(leaf.block) and self._cut_at(_sentence_end(self._pending), running=True)
        return self._cut_lines(nodes, path) or self._cut_text(leaf)

    def _drop_blank(self) -> bool:
        """Drop a long tail which shows nothing: blank lines and definitions."""
        if len(self._pending) > LONG_TAIL:
            self._mark()
            self._learn(10**9)
            self._drop(self._pending.rfind("\n") + 1)
        return False

    def _mark(self) -> None:
        if self._cut is None:
            self._cut = _Cut(len(self.sealed), self._offset, self._resume, [])

    def _cut_at_child(self, nodes: tuple[Node, ...]) -> bool:
        """Cut before the last child of the outermost container where that leaves a short tail."""
        lines = (self._resume.context + self._pending).split("\n")
        path: list[Node] = []
        siblings = nodes
        while siblings:
            last = siblings[-1]
            rest = sum(map(len, lines[last.start :]))
            if len(siblings) > 1 and rest <= LONG_TAIL and last.start + 1 < len(lines):
                break
            if not last.children:
                return False
            path.append(last)
            siblings = last.children
        context = open_again(path, lines)
        if context is None or not siblings:
            return False
        self._mark()
        last = siblings[-1]
        self._seal_part(nodes, path, siblings[:-1])
        self._move_to(lines, last.start, follow_on(last, siblings[-2], context[0], len(path)))
        return True

    def _cut_lines(self, nodes: tuple[Node, ...], path: list[Node]) -> bool:
        """Cut a code block, table or HTML block after its complete lines."""
        lines = (self._resume.context + self._pending).split("\n")
        leaf = path[-1]
        found = open_again(path[:-1], lines)
        if found is None or leaf.start >= len(lines):
            return False
        context, prefix = found
        opening = lines[leaf.start][len(prefix) :]
        inside = self._resume.inside if self._resume.depth == len(path) - 1 and _is_first(nodes, path) else None
        match leaf.block:
            case Code() as code:
                first = leaf.start + 1
                count = len(lines) - 1 - first
                count -= count % FENCE_LINES if count > FENCE_LINES else 0
                opening = opening.lstrip()
                if count < 1 or opening[:3] not in {"```", "~~~"}:
                    return False
                text = code.text.split("\n")
                if count >= len(text):  # closed meanwhile
                    return False
                block: Block = replace(code, text="\n".join(text[:count]) + "\n", foot=False)
                # Without its language: a few lines of a long formula are no formula of their own.
                marker = opening[: len(opening) - len(opening.lstrip(opening[0]))]
                resume = Resume(f"{context}{prefix}{marker}\n", len(path) - 1, Code, language=code.language)
            case Table() as table:
                first = leaf.start + 2
                count = len(lines) - 1 - first
                if count < 1 or count > len(table.rows):
                    return False
                if table.widths is None:
                    layout = natural_layout(table)
                    table = replace(table, widths=layout.widths, aligns=layout.aligns)
                block = replace(table, rows=table.rows[:count])
                header = f"{prefix}{opening}\n{lines[leaf.start + 1]}\n"
                resume = Resume(context + header, len(path) - 1, Table, widths=table.widths, aligns=table.aligns)
            case Html() as html:
                first = leaf.start + (1 if inside else 0)
                count = len(lines) - 1 - first
                text = html.text.split("\n")
                if count < 1 or count >= len(text):
                    return False
                block = replace(html, text="\n".join(text[:count]))
                resume = Resume(f"{context}{prefix}{opening}\n", len(path) - 1, Html)
            case _:
                return False
        self._mark()
        self._seal_part(nodes, path[:-1], (*_siblings(nodes, path)[:-1], replace(leaf, block=block)))
        self._move_to(lines, first + count, resume)
        return True

    def _cut_text(self, leaf: Node) -> bool:
        """Cut running text at the end of a sentence, or where there is none, anywhere."""
        running = isinstance(leaf.block, Paragraph | Heading)
        at = _sentence_end(self._pending) if running else self._pending.rfind("\n") + 1
        if at <= 0:
            at = max(self._pending.rfind(" ", 0, -_KEPT_TEXT) + 1, 0) or len(self._pending) - _KEPT_TEXT
        return self._cut_at(at, running=running)

    def _cut_at(self, at: int, *, running: bool) -> bool:
        """Cut at a character; false at the very beginning."""
        if at <= 0:
            return False
        self._mark()
        nodes = self._read(healing=True, upto=at)
        self._learn(10**9)
        self.sealed += [node.block for node in nodes]
        text = self._pending[:at]
        self._drop(at)
        self._resume = Resume()
        if nodes and isinstance(last := self.sealed[-1], Paragraph):
            self.sealed[-1] = before = replace(last, foot=False)
            joint = "\n" if text.endswith("  \n") else " " if text[-1:].isspace() else ""
            self._resume = Resume(f"{DUMMY} ", inside=Paragraph, before=before, joint=joint)
        elif running:
            self._resume = Resume(f"{DUMMY} ", inside=Paragraph)
        return True

    def _seal_part(self, nodes: tuple[Node, ...], path: list[Node], children: tuple[Node, ...]) -> None:
        """Seal all top-level blocks, of the last one only what stands before the cut."""
        part = children
        for depth in range(len(path) - 1, -1, -1):
            above = path[depth - 1].children[:-1] if depth else nodes[:-1]
            part = (*above, path[depth].rebuilt(part)) if part else above
        self.sealed += [node.block for node in part]
        self._learn(10**9)

    def _move_to(self, lines: list[str], line: int, resume: Resume) -> None:
        at = sum(map(len, lines[:line])) + line - len(self._resume.context)
        self._drop(at)
        self._resume = resume


def _with_line_feeds(text: str) -> str:
    return text.replace("\r\n", "\n").replace("\r", "\n") if "\r" in text else text


def _keep_equal(blocks: list[Block], before: list[Block]) -> int:
    """Put back the objects that are still equal, so that what is cached for them holds; returns how many."""
    for index, (now, old) in enumerate(zip(blocks, before, strict=False)):
        if now is not old and now != old:
            return index
        blocks[index] = old
    return min(len(blocks), len(before))


def _certain(node: Node, above: Node, lines: list[str]) -> bool:
    """Whether nothing that may still arrive can move the border between two blocks."""
    if node.open:
        return False
    if node.start + 2 < len(lines):
        return True  # its first two lines are complete: a table needs both to begin
    if isinstance(above.block, Item | Footnote):
        return False  # what comes may be indented and belong to it
    return not lines[node.start - 1].strip(" \t")  # what else is white is text to CommonMark


def _has_many_lines(block: Block, *, long: bool) -> bool:
    """Whether a block is cut for its lines, however few characters they have."""
    match block:
        case Code(text):
            return text.count("\n") > FENCE_LINES
        case Table(rows=rows, widths=widths):
            return len(rows) > (TABLE_ROWS if widths is None else TABLE_STEP) + 1 or (long and len(rows) > 2)
        case _:
            return False


def _is_running(block: Block) -> bool:
    """Whether a block is text and not a formula on its own."""
    return isinstance(block, Paragraph) and not any(span.mark & Mark.DISPLAY for span in block.inline[:1])


def _path_to_leaf(nodes: tuple[Node, ...]) -> list[Node]:
    path = [nodes[-1]]
    while path[-1].children:
        path.append(path[-1].children[-1])
    return path


def _siblings(nodes: tuple[Node, ...], path: list[Node]) -> tuple[Node, ...]:
    return path[-2].children if len(path) > 1 else nodes


def _is_first(nodes: tuple[Node, ...], path: list[Node]) -> bool:
    """Whether a path leads along the first blocks, as a context does."""
    siblings: Sequence[Node] = nodes
    for node in path:
        if not siblings or siblings[0] is not node:
            return False
        siblings = node.children
    return True


def _sentence_end(text: str) -> int:
    """The last place to cut running text where its marks are balanced; 0 when there is none."""
    ends = [match.end() for match in _SENTENCE_END.finditer(text, 0, len(text) - _KEPT_TEXT)]
    for end in reversed(ends[-30:]):
        part = text[:end]
        if any(part.count(mark) % 2 for mark in ("`", "*", "~~")) or part.count("[") != part.count("]"):
            continue
        if not has_open_formula(part):
            return end
    return 0
