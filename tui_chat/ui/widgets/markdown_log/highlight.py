"""Pygments tokens reduced to four roles.

A theme of forty colours is noise in a transcript, and Textual 8.2.8's terminal themes contain misspelt colours: two
hues and a quiet comment tell all that is needed. Pygments is imported at the first block of code.

Code that is still arriving, and code too long to be lexed in one go, is highlighted line by line with the lexer's state
carried along, so that each line is lexed once however long the block grows.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from tui_chat.ui.widgets.markdown_log.blocks import Code

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from pygments.lexer import Lexer

Role: TypeAlias = Literal["", "keyword", "literal", "comment"]
Run: TypeAlias = tuple[str, Role]
Line: TypeAlias = tuple[Run, ...]
"""One line of code without its line feed."""

WHOLE: Final = 12_000
"""Characters up to which a block is lexed as a whole."""
LONGEST_LINE: Final = 2_000
"""Characters of a line beyond which it stays plain: minified sources make lexers backtrack."""
MOST_BEFORE: Final = 4_000
"""Lines that are lexed to know the state of the next one."""
LINES_BEFORE: Final = 200
"""Lines that have to do where there are more."""
_KEPT_PARTS: Final = 16
_ROOT: Final = ("root",)
_SPANNING: Final = {"/*": "*/", "<!--": "-->", "--[[": "]]", "`": "`"}
"""Comments and raw strings: most lexers have one expression for one, which matches when its last line is there."""
_FIRST: Final = frozenset(opener[0] for opener in _SPANNING)
_ALIASES: Final = {"jsonc": "json", "shell-session": "console", "plaintext": "text", "txt": "text"}


@lru_cache(maxsize=64)
def highlight(code: str, language: str) -> tuple[Line, ...]:
    """The lines of a code block lexed as a whole; plain when the language is unknown."""
    lexer = _lexer(language.lower()) if language else None
    if lexer is None or max(map(len, code.split("\n"))) > LONGEST_LINE:
        return tuple(((line, ""),) for line in code.split("\n"))
    code += "\n"  # some lexers know a comment by the end of its line
    return tuple(_lines(_checked(lexer.get_tokens_unprocessed(code), code))[:-1])


class Lexing:
    """The colours of a long block, part by part in any order, each line lexed as few times as that takes.

    A part begins in the lexer's state at the end of all before it, and only that tells a string from what stands
    between two strings. So what is before a part is lexed once, unless it is so much that it would be felt.
    """

    def __init__(self, language: str) -> None:
        self._language = language
        self._lines: list[str] = []
        self._stacks: dict[int, tuple[str, ...]] = {0: _ROOT}
        """The state before some lines."""
        self._parts: dict[tuple[int, int], list[Line]] = {}
        """Those asked for last."""

    @property
    def size(self) -> int:
        """How many lines there are."""
        return len(self._lines)

    def append(self, text: str) -> int:
        """Add complete lines at the end; returns how many there were before."""
        before = len(self._lines)
        self._lines += text.split("\n")[:-1]
        return before

    def part(self, first: int, count: int) -> list[Line]:
        """Some lines."""
        lines = self._parts.pop((first, count), None)
        if lines is None:
            lines = self._lex(first, count, self.state(first))
        self._parts[first, count] = lines
        if len(self._parts) > _KEPT_PARTS:
            del self._parts[next(iter(self._parts))]
        return lines

    def state(self, first: int) -> tuple[str, ...]:
        """The lexer's state before a line."""
        if first not in self._stacks:
            self._stacks[first] = self._stack_before(first)
        return self._stacks[first]

    def _stack_before(self, first: int) -> tuple[str, ...]:
        known = max(at for at in self._stacks if at <= first)
        stack = self._stacks[known]
        if first - known > MOST_BEFORE:
            known, stack = first - LINES_BEFORE, _ROOT
        for line in self._lines[known:first]:
            _, stack = _line(line + "\n", self._language, stack)
        return stack

    def _lex(self, first: int, count: int, stack: tuple[str, ...]) -> list[Line]:
        lines: list[Line] = []
        for line in self._lines[first : first + count]:
            runs, stack = _line(line + "\n", self._language, stack)
            lines.append(runs)
        self._stacks[first + count] = stack
        return lines


class Follower:
    """Highlights code block after code block as they grow, and the parts they are cut into, each line once."""

    def __init__(self) -> None:
        self._reset("", _ROOT)

    def _reset(self, language: str, stack: tuple[str, ...]) -> None:
        self._language = language
        self._text = ""
        self._lines: list[Line] = []
        self._stacks: list[tuple[str, ...]] = [stack]
        self._part = 0
        self._part_line = 0

    def lines(self, code: Code) -> list[Line]:
        """The lines of a block, of its beginning, or of a part that follows the part asked for last."""
        if code.head:
            self._part = self._part_line = 0
        lines = self._grown(code, _ROOT)
        if not code.foot:
            self._part += code.text.rfind("\n") + 1
            self._part_line += code.text.count("\n")
        return lines

    def lines_after(self, code: Code, stack: tuple[str, ...]) -> list[Line]:
        """The lines of a part that grows behind others, which left the lexer in a state."""
        if self._stacks[0] != stack or self._part:
            self._reset(code.language, stack)
        return self._grown(code, stack)

    def _grown(self, code: Code, stack: tuple[str, ...]) -> list[Line]:
        known = self._text[self._part :]
        common = min(len(known), len(code.text))
        if self._language != code.language or known[:common] != code.text[:common]:
            self._reset(code.language, stack)
            known = ""
        complete = code.text[: code.text.rfind("\n") + 1]
        if len(complete) > len(known):
            self._append(complete[len(known) :])
        last = self._part_line + complete.count("\n")
        lines = self._lines[self._part_line : last]
        if rest := code.text[len(complete) :]:
            lines.append(_line(rest, self._language, self._stacks[last])[0])
        return lines

    def _append(self, text: str) -> None:
        self._text += text
        for line in text.split("\n")[:-1]:
            runs, stack = _line(line + "\n", self._language, self._stacks[-1])
            self._lines.append(runs)
            self._stacks.append(stack)


def _line(text: str, language: str, stack: tuple[str, ...]) -> tuple[Line, tuple[str, ...]]:
    """One line lexed from a state, and the state after it."""
    lexer = _lexer(language.lower()) if language else None
    if lexer is None or len(text) > LONGEST_LINE:
        return ((text.removesuffix("\n"), ""),), stack
    state = list(stack)
    line = _lines(_checked(_tokens(lexer, text, state), text))[0]
    return line, tuple(state[-32:])


def _tokens(lexer: Any, text: str, stack: list[str]) -> Iterable[tuple[int, object, str]]:
    """The tokens of one line, lexed from a stack of states that is brought up to its end."""
    from pygments.lexer import ExtendedRegexLexer, RegexLexer

    own = type(lexer).get_tokens_unprocessed
    if own is RegexLexer.get_tokens_unprocessed:
        return _resumed(lexer, text, stack)
    if own is ExtendedRegexLexer.get_tokens_unprocessed:
        return _resumed_in_context(lexer, text, stack)
    if isinstance(lexer, ExtendedRegexLexer) or not isinstance(lexer, RegexLexer):
        return lexer.get_tokens_unprocessed(text)
    before = tuple(stack)
    tokens = list(_resumed(lexer, text, stack))
    if _SPANNING.keys().isdisjoint((*before, *stack)):
        try:
            return lexer.get_tokens_unprocessed(text, before)
        except TypeError:  # it takes no stack
            pass
    return tokens


def _resumed(lexer: Any, text: str, stack: list[str]) -> Iterator[tuple[int, object, str]]:
    """What `RegexLexer.get_tokens_unprocessed` does, with a stack the caller keeps."""
    from pygments.token import Comment, Literal, Token, _TokenType

    states = lexer._tokens  # noqa: SLF001  pygments offers no public way to go on from a state
    at = 0
    while at < len(text):
        end = 0
        opener = stack[-1]
        if (closer := _SPANNING.get(opener)) is not None:
            end = text.find(closer, at) + len(closer)
            if end < len(closer):
                end = len(text)
            else:
                stack.pop()
        elif text[at] in _FIRST and (opener := _spanning(states.get(opener, ()), text, at)):
            stack.append(opener)
            end = len(text)
        if end:
            yield at, Literal.String if opener == "`" else Comment.Multiline, text[at:end]
            at = end
            continue
        for match_rule, action, following in states.get(stack[-1], states["root"]):
            if (match := match_rule(text, at)) is None:
                continue
            if type(action) is _TokenType:
                yield at, action, match.group()
            elif action is not None:
                yield from action(lexer, match)
            _follow(stack, following)
            at = match.end()
            break
        else:
            if text[at] == "\n":
                stack[:] = _ROOT
            yield at, Token.Text, text[at]
            at += 1


def _spanning(rules: Any, text: str, at: int) -> str:
    """The opener of something that begins here, goes on below the line and is one token to the lexer."""
    from pygments.token import Comment, String

    for opener, closer in _SPANNING.items():
        if not text.startswith(opener, at) or text.find(closer, at + len(opener)) >= 0:
            continue
        whole = f"{opener} {closer}"
        for match_rule, action, _ in rules:
            if (match := match_rule(whole, 0)) is not None and match.end():
                if match.end() == len(whole) and (action in Comment or action in String):
                    return opener
                break
    return ""


def _resumed_in_context(lexer: Any, text: str, stack: list[str]) -> Iterator[tuple[int, object, str]]:
    """The same for lexers that keep their stack in a context."""
    from pygments.lexer import ExtendedRegexLexer, LexerContext

    context = LexerContext(text, 0, list(stack), len(text))
    yield from ExtendedRegexLexer.get_tokens_unprocessed(lexer, context=context)
    stack[:] = context.stack


def _follow(stack: list[str], following: object) -> None:
    """Change the stack of lexer states as a rule says."""
    match following:
        case None:
            return
        case tuple():
            for state in following:
                _follow(stack, -1 if state == "#pop" else state)
        case int():
            del stack[max(1, len(stack) + following) :]
        case "#push":
            stack.append(stack[-1])
        case _:
            stack.append(str(following))


def _checked(tokens: Iterable[tuple[int, object, str]], code: str) -> Iterator[Run]:
    """The runs of a lexer, made to add up to the code whatever the lexer does."""
    at = 0
    try:
        for start, kind, text in tokens:
            if start == at and text and code.startswith(text, at):
                at += len(text)
                yield text, _role(kind)
    except (ArithmeticError, AttributeError, LookupError, RuntimeError, TypeError, ValueError):
        pass  # one of six hundred lexers stumbled over a model's code: the rest of it stays plain
    if at < len(code):
        yield code[at:], ""


def _lines(runs: Iterable[Run]) -> list[Line]:
    lines: list[list[Run]] = [[]]
    for text, role in runs:
        first, *others = text.split("\n")
        line = lines[-1]
        if first and line and line[-1][1] == role:
            line[-1] = (line[-1][0] + first, role)
        elif first:
            line.append((first, role))
        lines += [[(other, role)] if other else [] for other in others]
    return [tuple(line) for line in lines]


@lru_cache(maxsize=64)
def _lexer(language: str) -> Lexer | None:
    from pygments.lexers import get_lexer_by_name
    from pygments.util import ClassNotFound

    try:
        return get_lexer_by_name(_ALIASES.get(language, language))
    except ClassNotFound:
        return None


@lru_cache(maxsize=512)
def _role(kind: Any) -> Role:
    from pygments.token import Comment, Generic, Keyword, Literal, Name, Operator

    if kind in Comment:
        return "comment"
    if kind in Keyword or kind in Operator.Word or kind in Name.Tag or kind in Generic.Heading:
        return "keyword"
    if kind in Literal or kind in Generic.Inserted:
        return "literal"
    return ""
