"""Markdown source to a tree of blocks that know their lines.

Only markdown-it's block rules run over the whole text; inline content is parsed here piece by piece, because an inline
parser is quadratic in the worst case and a model may send a megabyte without a newline. Footnotes stay where they stand
and references to them need no definition, so that a piece of text means the same alone as in its surroundings.
markdown-it is imported at the first call: an application that has nothing to show yet does not pay for it.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final

from tui_chat.ui.widgets.markdown_log.blocks import (
    Align,
    Block,
    Code,
    Container,
    Footnote,
    Heading,
    Html,
    Inline,
    Item,
    Mark,
    Paragraph,
    Quote,
    Rule,
    Span,
    Table,
)
from tui_chat.ui.widgets.markdown_log.formulas import GROWING, teach
from tui_chat.ui.widgets.markdown_log.heal import heal_inline
from tui_chat.ui.widgets.markdown_log.links import opened, with_bare_links
from tui_chat.ui.widgets.markdown_log.maths import LONGEST, unicode_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from markdown_it import MarkdownIt
    from markdown_it.token import Token

MAX_NESTING: Final = 16
"""Containers within containers; deeper source is shown as it stands."""
INLINE_PIECE: Final = 8_000
"""Characters of inline content parsed in one go."""
MAX_DELIMITERS: Final = 600
"""Emphasis and bracket characters within one piece; beyond them the piece is plain text."""

_BLANK: Final = re.compile(r"^[\s>]*$")
_TASK: Final = re.compile(r"\[([ xX])\][ \t]+(?=\S)")
_DELIMITERS: Final = re.compile(r"[*_~\[\]`<^!]")
_PLAIN: Final = re.compile(r"[^\\`*_~\[\]<&$\n:]{1,2000}")
"""Content without anything that may have a meaning."""
_MARKS: Final = {"strong": Mark.STRONG, "em": Mark.EMPHASIS, "s": Mark.STRIKE, "link": Mark.LINK}

References = dict[str, Any]
"""Link reference definitions as markdown-it keeps them."""


@dataclass(frozen=True, slots=True)
class Node:
    """A block with its place in the source."""

    block: Block
    start: int
    """Its first line."""
    end: int
    """The line after its last one."""
    children: tuple[Node, ...] = ()
    list_id: int = -1
    """Items of one list share it."""
    open: bool = False
    """What arrives may still make it something else, border and all."""

    def rebuilt(self, children: tuple[Node, ...], *, continued: bool = False) -> Node:
        """The same container with other children; `continued` says that its marker was drawn before."""
        blocks = tuple(child.block for child in children)
        block = self.block
        match block:
            case Quote():
                block = replace(block, children=blocks, gap=block.gap and not continued)
            case Item() | Footnote():
                gap = block.gap and not continued
                block = replace(block, children=blocks, gap=gap, continued=block.continued or continued)
            case _:
                pass
        return replace(self, block=block, children=children)


@dataclass(frozen=True, slots=True)
class Parsed:
    """A parsed text."""

    nodes: tuple[Node, ...]
    """Its top-level blocks, each list item one of them."""
    references: References
    """The definitions known after it, those known before included."""


def parse(source: str, references: References | None = None, *, healing: bool = False) -> Parsed:
    """Parse a text whose line ends are line feeds; with `healing` the open marks of its last line are closed."""
    env: dict[str, Any] = {"references": dict(references or {}), GROWING: healing}
    tokens: list[Token] = []
    markdown = _markdown()
    markdown.block.parse(source.replace("\0", "\ufffd"), markdown, env, tokens)
    return Parsed(_Builder(source, tokens, env, healing=healing).root(), env["references"])


@lru_cache(maxsize=1)
def _markdown() -> MarkdownIt:
    from markdown_it import MarkdownIt
    from mdit_py_plugins.footnote import footnote_plugin

    markdown = MarkdownIt("commonmark", {"maxNesting": 2 * MAX_NESTING, "html": True})
    markdown.enable(["table", "strikethrough"])
    teach(markdown)
    markdown.use(footnote_plugin, inline=False, move_to_end=False, always_match_refs=True)
    # Targets are shown, never followed: they stay as written, and a lone surrogate in one must not reach an encoder.
    for name, function in (
        ("normalizeLink", _as_written),
        ("normalizeLinkText", _as_written),
        ("validateLink", _any_target),
    ):
        setattr(markdown, name, function)
    return markdown


def _as_written(url: str) -> str:
    return url


def _any_target(_url: str) -> bool:
    return True


class _Builder:
    """Turns the flat tokens of one parse into nodes; lives for that one parse."""

    def __init__(self, source: str, tokens: Sequence[Token], env: dict[str, Any], *, healing: bool) -> None:
        self._lines = source.split("\n")
        self._tokens = tokens
        self._env = env
        self._at = 0
        self._open: Token | None = None
        """The token with content that ends with the text, which may go on."""
        if healing:
            leaf = next(
                (token for token in reversed(tokens) if token.type in {"inline", "fence", "code_block", "display"}),
                None,
            )
            last = len(self._lines) - (1 if self._lines[-1].strip() else 2)
            if leaf is not None and leaf.map is not None and leaf.map[1] > last:
                self._open = leaf

    def root(self) -> tuple[Node, ...]:
        return self._children("", None)

    def _children(self, closing: str, parent: type[Container] | None) -> tuple[Node, ...]:
        """The blocks up to the closing token, each with its gap."""
        nodes: list[Node] = []
        tokens = self._tokens
        while self._at < len(tokens) and tokens[self._at].type != closing:
            token = tokens[self._at]
            if token.type in {"bullet_list_open", "ordered_list_open"}:
                found = self._items(token)
            else:
                found = [self._block(token)]
            for node in found:
                gap = bool(nodes) and self._gap(node, nodes[-1], parent)
                nodes.append(replace(node, block=replace(node.block, gap=gap)) if gap else node)
        self._at += 1
        return tuple(nodes)

    def _gap(self, node: Node, above: Node, parent: type[Container] | None) -> bool:
        if parent is Item or (node.list_id >= 0 and node.list_id == above.list_id):
            return _BLANK.match(self._lines[node.start - 1]) is not None
        return True

    def _items(self, opening: Token) -> list[Node]:
        list_id = self._at
        closing = opening.type.replace("open", "close")
        number = int(opening.attrs.get("start", 1)) if opening.type[0] == "o" else None
        items: list[Node] = []
        self._at += 1
        while self._tokens[self._at].type != closing:
            token = self._tokens[self._at]
            task = self._take_task()
            self._at += 1
            children = self._children("list_item_close", Item)
            start, end = token.map or (0, 0)
            if not children:
                children = self._beyond_nesting(token)
            value = None if number is None else number + len(items)
            block = Item(tuple(child.block for child in children), number=value, task=task)
            items.append(Node(block, start, end, children, list_id))
        self._at += 1
        return items

    def _take_task(self) -> bool | None:
        """Whether the item at hand is ticked; takes the box out of its first paragraph."""
        if self._at + 2 >= len(self._tokens) or self._tokens[self._at + 1].type != "paragraph_open":
            return None
        inline = self._tokens[self._at + 2]
        if (match := _TASK.match(inline.content)) is None:
            return None
        inline.content = inline.content[match.end() :]
        return match[1] != " "

    def _beyond_nesting(self, token: Token) -> tuple[Node, ...]:
        """The source of a container as plain text where markdown-it gave up on its depth."""
        if token.level < 2 * MAX_NESTING - 2 or token.map is None:
            return ()
        text = "\n".join(self._lines[token.map[0] : token.map[1]])
        return (Node(Html(text), token.map[0], token.map[1]),)

    def _block(self, token: Token) -> Node:
        start, end = token.map or (0, 0)
        self._at += 1
        match token.type:
            case "blockquote_open":
                children = self._children("blockquote_close", Quote) or self._beyond_nesting(token)
                return Node(Quote(tuple(child.block for child in children)), start, end, children)
            case "footnote_reference_open":
                children = self._children("footnote_reference_close", Footnote) or self._beyond_nesting(token)
                block = Footnote(str(token.meta["label"]), tuple(child.block for child in children))
                return Node(block, start, end, children)
            case "heading_open":
                return Node(Heading(int(token.tag[1]), self._inline_and_close()), start, end)
            case "paragraph_open":
                return Node(Paragraph(self._inline_and_close()), start, end)
            case "table_open":
                return Node(self._table(), start, end)
            case "display":
                growing = bool(token.meta[GROWING])
                shown = not growing or unicode_of(token.content)
                inline = (_formula(token.content, token.markup, Mark.DISPLAY),) if shown else ()
                return Node(Paragraph(inline), start, end, open=growing)
            case "fence":
                language = token.info.split(maxsplit=1)[0] if token.info.strip() else ""
                if language == "math" and 0 < len(token.content.strip()) <= LONGEST:
                    source = f"{token.markup}{token.info}\n{token.content}{token.markup}"
                    formula = _formula(token.content, source, Mark.DISPLAY)
                    return Node(Paragraph((formula,)), start, end, open=token is self._open)
                return Node(Code(token.content, language, growing=token is self._open), start, end)
            case "code_block":
                return Node(Code(token.content, growing=token is self._open), start, end)
            case "hr":
                return Node(Rule(), start, end)
            case _:
                return Node(Html(token.content.rstrip("\n")), start, end)

    def _inline_and_close(self) -> Inline:
        inline = self._inline(self._tokens[self._at])
        self._at += 2
        return inline

    def _table(self) -> Table:
        aligns: list[Align] = []
        rows: list[tuple[Inline, ...]] = []
        row: list[Inline] = []
        while (token := self._tokens[self._at]).type != "table_close":
            match token.type:
                case "th_open":
                    aligns.append(_align(str(token.attrs.get("style", ""))))
                case "inline":
                    row.append(self._inline(token))
                case "tr_close":
                    rows.append(tuple(row))
                    row = []
                case _:
                    pass
            self._at += 1
        self._at += 1
        return Table(tuple(aligns), rows[0], tuple(rows[1:]))

    def _inline(self, token: Token) -> Inline:
        if token is self._open:
            return _inline(heal_inline(token.content), self._env)
        if "[" in token.content and self._env["references"]:
            return _inline(token.content, self._env)
        return _known_inline(token.content)


@lru_cache(maxsize=2_048)
def _known_inline(content: str) -> Inline:
    """Inline content that means the same everywhere: the tail is parsed again and again, and once more in the end."""
    return _inline(content, {"references": {}})


def _inline(content: str, env: dict[str, Any]) -> Inline:
    if _PLAIN.fullmatch(content):
        return (Span(content),)
    markdown = _markdown()
    spans: list[Span] = []
    for piece in _pieces(content):
        if len(_DELIMITERS.findall(piece)) > MAX_DELIMITERS:
            spans.append(Span(piece.replace("\n", " ")))
            continue
        children: list[Token] = []
        markdown.inline.parse(piece, markdown, env, children)
        spans += _spans(children)
    return with_bare_links(_joined(spans))


def _pieces(content: str) -> list[str]:
    """The content cut at spaces into pieces an inline parser handles in no time."""
    if len(content) <= INLINE_PIECE:
        return [content]
    pieces: list[str] = []
    at = 0
    while len(content) - at > INLINE_PIECE:
        end = max(content.rfind(" ", at + 1, at + INLINE_PIECE), content.rfind("\n", at + 1, at + INLINE_PIECE))
        end = end if end > at else at + INLINE_PIECE
        pieces.append(content[at:end])
        at = end
    pieces.append(content[at:])
    return pieces


def _spans(tokens: Sequence[Token]) -> list[Span]:
    spans: list[Span] = []
    marks = [Mark.PLAIN]
    links: list[tuple[str, int]] = []
    for token in tokens:
        mark = marks[-1]
        match token.type:
            case "softbreak":
                spans.append(Span(" ", mark))
            case "hardbreak":
                spans.append(Span("\n", mark))
            case "code_inline":
                spans.append(Span(token.content, mark | Mark.CODE))
            case "image":
                source = str(token.attrs.get("src", ""))
                target = opened(source)
                text = f"[image: {token.content}]" if token.content else "[image]"
                spans.append(Span(text, mark, target=target))
                spans.append(Span(f" ({source})", mark | Mark.SECONDARY, target=target))
            case "formula":
                display = Mark.DISPLAY if token.meta["display"] else Mark.PLAIN
                spans.append(_formula(token.content, token.markup, mark | display))
            case "footnote_ref":
                spans.append(Span(f"[{token.meta['label']}]", mark | Mark.SECONDARY))
            case "link_open":
                links.append((str(token.attrs.get("href", "")), len(spans)))
                marks.append(mark | Mark.LINK)
            case "link_close":
                marks.pop()
                _close_link(spans, *links.pop(), marks[-1])
            case _ if token.nesting > 0:
                marks.append(mark | _MARKS.get(token.type.removesuffix("_open"), Mark.PLAIN))
            case _ if token.nesting < 0:
                marks.pop()
            case _:
                spans.append(Span(token.content, mark))
    return spans


def _close_link(spans: list[Span], href: str, first: int, mark: Mark) -> None:
    """Give the spans of a link its target, which is shown after the text unless it is the text."""
    text = "".join(span.text for span in spans[first:])
    target = opened(href)
    if target:
        spans[first:] = [replace(span, target=target) for span in spans[first:]]
    if href and href not in {text, f"mailto:{text}"}:
        spans.append(Span(f" ({href})" if text else f"({href})", mark | Mark.SECONDARY, target=target))


def _formula(latex: str, source: str, mark: Mark) -> Span:
    """A formula as it can be read; in a line it has one row, whatever it is made of."""
    return Span(unicode_of(latex, flat=not mark & Mark.DISPLAY) or source, mark, source)


def _joined(spans: Sequence[Span]) -> Inline:
    """Neighbours with the same marks as one span, empty ones dropped: equal text, equal value."""
    joined: list[Span] = []
    for span in spans:
        if not span.text:
            continue
        last = joined[-1] if joined else None
        if last and last.mark == span.mark and last.target == span.target and last.source is span.source is None:
            joined[-1] = Span(last.text + span.text, span.mark, target=span.target)
        else:
            joined.append(span)
    return tuple(joined)


def _align(style: str) -> Align:
    match style.rpartition(":")[2]:
        case "left":
            return "left"
        case "center":
            return "center"
        case "right":
            return "right"
        case _:
            return ""
