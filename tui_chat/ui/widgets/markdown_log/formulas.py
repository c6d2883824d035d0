r"""Finding formulas in markdown: two rules for markdown-it, and what a half-arrived formula most likely is.

`$…$` and `\(…\)` stand in a line, `$$…$$` and `\[…\]` on rows of their own, also over several lines, whose content is
then no markdown. CommonMark takes the backslash of `\(` away, so both rules come before its own. "$5 and $10" is money:
the rules are Pandoc's, and a little stricter.

A display that is not closed ends with its paragraph and is no formula. Whether it will be closed is not known while a
text arrives, so at the end of a text that grows it counts as one, and its border as uncertain.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from tui_chat.ui.widgets.markdown_log.maths import DEEPEST, LONGEST, unicode_of

if TYPE_CHECKING:
    from markdown_it import MarkdownIt
    from markdown_it.rules_block import StateBlock
    from markdown_it.rules_inline import StateInline

GROWING: Final = "growing"
"""Key of the environment: the text may go on."""
_CLOSERS: Final = {"$$": "$$", "\\[": "\\]", "\\(": "\\)"}
_AFTER: Final = frozenset(["", ".", ",", ";", ":"])
"""What may follow a display on its last line."""
_DOLLARS: Final = re.compile(r"\$(?!\s)((?:\\.|[^\\$`])+)(?<!\s)\$(?!\d)", re.DOTALL)
_MONEY: Final = re.compile(r"\d[\d.,]*[kKMB]?\s[^\\^_={}]*[A-Za-z]{2}[^\\^_={}]*")
WHOLE: Final = (
    r"\$\$[^`]{1,999}?\$\$|\\\([^`]{0,999}?\\\)|\\\[[^`]{0,999}?\\\]"
    r"|(?<![\w$])\$(?!\s)(?:\\.|[^\\$`])+(?<!\s)\$(?!\d)"
)
"""A formula as a regular expression, near enough for healing."""
OPENER: Final = r"\$\$|\\[(\[]|(?<![\w$])\$(?=[^\s$\d]|\Z)"
_SIGNS: Final = re.compile(r"[\\^{]|\A[A-Za-z](?:\w?(?:_|\s*[=+<>-])|\Z)")
_CUT: Final = re.compile(r"(?:\\(?:begin|end)\s*\{[^{}]*|\\[A-Za-z]*|(?<!\\)\$|[\^_])\Z")
_BRACES: Final = re.compile(r"\\.|[{}]", re.DOTALL)


def teach(markdown: MarkdownIt) -> None:
    """Add both rules to a parser."""
    interrupts = ["paragraph", "reference", "blockquote", "list"]
    markdown.block.ruler.before("table", "display", _display, {"alt": interrupts})
    markdown.inline.ruler.before("escape", "formula", _formula)


def completed(latex: str) -> str:
    """The beginning of a formula with what is missing for all of it to be read."""
    latex = _CUT.sub("", latex.rstrip()).rstrip()
    depth = 0
    for match in _BRACES.finditer(latex):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
    return latex + "}" * min(max(depth, 0), DEEPEST)


def healed(opener: str, latex: str) -> str:
    """Markdown for a formula in a line whose end has not arrived, or its beginning as it stands."""
    if opener == "$" and latex and not _SIGNS.search(latex):
        return opener + latex
    latex = completed(latex)
    return opener + latex + _CLOSERS.get(opener, "$") if unicode_of(latex, flat=True) else ""


def in_display(text: str) -> bool:
    """Whether a text ends inside a display, near enough for healing."""
    paragraph = text[text.rfind("\n\n") + 1 :]
    return paragraph.count("$$") % 2 == 1 or paragraph.rfind("\\[") > paragraph.rfind("\\]")


def _display(state: StateBlock, start: int, end: int, silent: bool) -> bool:  # noqa: FBT001  called so by markdown-it
    """Lines of a display, from one that begins with its opener to one that ends with its closer."""
    first = state.bMarks[start] + state.tShift[start]
    closer = _CLOSERS.get(state.src[first : first + 2], "")
    if closer not in {"$$", "\\]"} or state.is_code_block(start):
        return False
    last, closed = _last_line(state, start, end, closer)
    if last is None:
        return False
    if silent:
        return True
    state.line = last + 1
    token = state.push("display", "", 0)
    token.map = [start, last + 1]
    source = state.getLines(start, last + 1, state.sCount[start], False).rstrip()
    token.markup = source
    body, _, after = source[2:].rpartition(closer) if closed else (completed(source[2:]), "", "")
    token.content = body + after
    # The closing line may go on, and then it is none.
    token.meta[GROWING] = not closed or state.eMarks[last] >= len(state.src)
    return True


def _last_line(state: StateBlock, start: int, end: int, closer: str) -> tuple[int | None, bool]:
    """The line a display ends with, and whether it is closed there."""
    size = 0
    begin = state.bMarks[start] + state.tShift[start] + 2
    for line in range(start, end):
        if line > start:
            begin = state.bMarks[line] + state.tShift[line]
            if begin >= state.eMarks[line] or state.sCount[line] < state.blkIndent:
                return None, False
        text = state.src[begin : state.eMarks[line]]
        size += len(text)
        if size > LONGEST or (line > start and text.startswith("\\[")):
            return None, False
        if (at := text.find(closer)) >= 0:
            closed = text[at + 2 :].strip() in _AFTER and (line > start or at > 0)
            return (line, True) if closed else (None, False)
    arriving = state.env.get(GROWING) and end >= len(state.bMarks) - 1
    return (end - 1, False) if arriving else (None, False)


def _formula(state: StateInline, silent: bool) -> bool:  # noqa: FBT001  called so by markdown-it
    """A formula within a line, or a display within a paragraph."""
    at = state.pos
    opener = state.src[at : at + 2]
    if opener in _CLOSERS:
        closer = _CLOSERS[opener]
        end = state.src.find(closer, at + 2, min(state.posMax, at + LONGEST))
        source = state.src[at : end + 2] if end >= 0 else ""
        latex = source[2:-2]
        if not latex.strip() or (closer == "$$" and "$" in (latex[0], state.src[end + 2 : end + 3])):
            return False
    elif opener[:1] == "$" and not _is_word(state.src[at - 1 : at]):
        match = _DOLLARS.match(state.src, at, min(state.posMax, at + LONGEST))
        if match is None or _MONEY.fullmatch(match[1]):
            return False
        source, latex = match[0], match[1]
    else:
        return False
    if not silent:
        token = state.push("formula", "", 0)
        token.content = latex
        token.markup = source
        token.meta["display"] = opener in {"$$", "\\["}
    state.pos += len(source)
    return True


def _is_word(character: str) -> bool:
    return character.isalnum() or character in {"$", "_"}
