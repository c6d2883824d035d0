"""LaTeX to text that can be read in a terminal.

A formula is worth reading, not typesetting: letters, signs and scripts become Unicode where Unicode has them, the rest
stays as close to its source as can be read (`x^(a+b)`). Matrices and aligned equations become rows. One pass over the
words, nesting bounded, nothing raised: what cannot be a formula comes back as it stands.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import ClassVar, Final

from rich.cells import cell_len

from tui_chat.ui.widgets.markdown_log.symbols import (
    ACCENTS,
    ALPHABETS,
    FRACTIONS,
    FUNCTIONS,
    NEGATED,
    ORDINARY,
    RELATIONS,
    SILENT,
    SUBSCRIPTS,
    SUPERSCRIPTS,
    TEXT,
    UNSEEN,
    UPRIGHT,
)

LONGEST: Final = 2_000
"""Characters of a formula beyond which its source is shown."""
DEEPEST: Final = 24
"""Groups within groups beyond which it is shown too."""

_WORD: Final = re.compile(r"\\(?:(?:operatorname|hspace|vspace)\*|[A-Za-z]+|.|$)|\s+|\d+(?:\.\d+)?|.", re.DOTALL)
_BRACES: Final = re.compile(r"\\.|[{}]", re.DOTALL)
_WIDE_SPACE: Final = "\ue000"
"""Stands for a space that is not folded into its neighbours."""
_SPACES: Final = {",": " ", ";": " ", ":": " ", " ": " ", "!": "", ">": " ", "enspace": " ", "thinspace": " ",
                  **dict.fromkeys(("quad", "qquad", "hfill"), f" {_WIDE_SPACE} ")}  # fmt: skip
_CLOSING: Final = frozenset(")]}⟩⌋⌉")
_SPACED: Final = frozenset("=<>≔") | frozenset(RELATIONS.values())
_SCRIPTS: Final = "[\u0300-\u036f\u20d7⁰-₟¹²³′ᵃ-ᵿʰ-ʸᴬ-ᵛⁱⁿᵢ-ᵪₐ-ₜⱼⱽᶜᶠᶻ]*"
_LOOSE: Final = re.compile(r" *([=<>≤≥≠≈∈→←⇒∣+−·×…,]) *")
_BINARY: Final = re.compile(r"[\s+−\-=/·×÷±∓<>≤≥≠≈,…|∑∏∫]")
_FACTOR: Final = re.compile(rf"(?:\d+(?:\.\d+)?|[d∂Δδ√]?\w|√\d+){_SCRIPTS}!?|(?:\w{_SCRIPTS}|√)?\([^()]*\)|‖[^‖]*‖")
_ROOTED: Final = re.compile(rf"\d+|(?:\w{_SCRIPTS})?")
_BRACKETED: Final = re.compile(r"\([^()]*\)|\[[^\[\]]*\]")
_ESCAPED: Final = re.compile(r"\\([#$%&_{} ])|\$")
_RUNS: Final = re.compile(r" {2,}")
_FENCES: Final = {"pmatrix": "⎛⎜⎝⎞⎟⎠", "bmatrix": "⎡⎢⎣⎤⎥⎦", "Bmatrix": "⎧⎪⎩⎫⎪⎭", "vmatrix": "││││││",
                  "Vmatrix": "‖‖‖‖‖‖", "cases": "⎧⎨⎩   "}  # fmt: skip
_FLAT: Final = {"pmatrix": "()", "bmatrix": "[]", "Bmatrix": "{}", "vmatrix": "||", "Vmatrix": "‖‖", "cases": "{}"}
_TABULAR: Final = frozenset(["matrix", "smallmatrix", "array", *_FENCES])


@lru_cache(maxsize=1_024)
def unicode_of(latex: str, *, flat: bool = False) -> str:
    """A formula as text; one line if `flat`, else one for each row of what has rows."""
    latex = latex.strip()
    if len(latex) > LONGEST or not _balanced(latex):
        return latex
    text = _Reader(latex, flat=flat).formula()
    return text.replace("\n", "; ") if flat else text


def _balanced(latex: str) -> bool:
    depth = 0
    for match in _BRACES.finditer(latex):
        depth += {"{": 1, "}": -1}.get(match.group(), 0)
        if not 0 <= depth <= DEEPEST:
            return False
    return depth == 0


class _Reader:
    """Reads one formula once, from left to right."""

    def __init__(self, latex: str, *, flat: bool) -> None:
        self._words: list[str] = _WORD.findall(latex)
        self._at = 0
        self._flat = flat
        self._depth = 0

    def formula(self) -> str:
        rows = self._rows("")
        text = rows[0][0] if len(rows) == 1 and len(rows[0]) == 1 else _aligned(rows)
        return "\n".join(line.rstrip() for line in text.replace(_WIDE_SPACE, " ").split("\n") if line.strip())

    # What stands next

    def _next(self) -> str:
        return self._words[self._at] if self._at < len(self._words) else ""

    def _skip_spaces(self) -> None:
        while self._next().isspace():
            self._at += 1

    def _rows(self, name: str) -> list[list[str]]:
        """Cells of an environment up to its end, which is taken too; an empty name ends with the text."""
        rows: list[list[str]] = [[]]
        while True:
            rows[-1].append(self._sequence())
            word = self._next()
            self._at += 1
            if word == "&":
                continue
            if word == "\\\\":
                self._take_spacing()
                rows.append([])
            elif word == "\\end":
                self._plain_group()
                if name:
                    break
            elif not word:
                break
            else:  # a bracket nobody opened
                rows[-1][-1] += word
        return [row for row in rows if any(cell.strip() for cell in row)] or [[""]]

    def _take_spacing(self) -> None:
        """The `[2pt]` after a line break."""
        if self._next() == "[":
            rest = self._words[self._at : self._at + 8]
            if "]" in rest:
                self._at += rest.index("]") + 1

    def _sequence(self, closing: str = "") -> str:
        """What stands up to a cell's, row's, group's or environment's end, which is not taken."""
        out: list[str] = []
        while word := self._next():
            if word in {"&", "\\\\", "\\end", "}"} or word == closing:
                break
            self._at += 1
            if word in "^_":
                out.append(self._script(word))
            elif word.isspace() or word == "~":
                out.append(" ")
            elif word == "{":
                out.append(self._group())
            elif word[0] == "\\":
                self._command(word[1:], out)
            else:
                self._character(word, out)
        return _beside(out)

    def _character(self, word: str, out: list[str]) -> None:
        match word:
            case "-":
                out.append("−")
            case "'":
                out.append("′")
            case "=" | "<" | ">":
                _spaced(word, out)
            case _:
                out.append(word)

    def _group(self) -> str:
        """The rest of a group whose bracket was taken."""
        flat, self._flat = self._flat, True
        parts = [self._sequence()]
        while self._next() in {"&", "\\\\", "\\end"}:
            parts.append({"&": " ", "\\\\": ", ", "\\end": ""}[self._next()])
            self._at += 1
            parts.append(self._sequence())
        self._at += 1
        self._flat = flat
        return "".join(parts)

    def _argument(self) -> str:
        """The next group or single word."""
        self._skip_spaces()
        word = self._next()
        if not word or word in {"&", "\\\\", "\\end", "}"}:
            return ""
        self._at += 1
        if word == "{":
            return self._group().strip()
        if word.isdigit() and len(word) > 1:  # `^10` is a one above, then a nought
            self._at -= 1
            self._words[self._at] = word[1:]
            return word[0]
        out: list[str] = []
        if word[0] == "\\":
            flat, self._flat = self._flat, True
            self._command(word[1:], out)
            self._flat = flat
            if (
                0 < self._at <= len(self._words) and self._words[self._at - 1].isspace()
            ):  # it follows the script, not the sign in it
                self._at -= 1
        else:
            self._character(word, out)
        return "".join(out).strip()

    def _plain_group(self) -> str:
        """The source of the next group."""
        self._skip_spaces()
        if self._next() != "{":
            return ""
        depth = 0
        start = self._at + 1
        while word := self._next():
            self._at += 1
            depth += {"{": 1, "}": -1}.get(word, 0)
            if depth == 0:
                return "".join(self._words[start : self._at - 1])
        return "".join(self._words[start:])

    def _option(self) -> str:
        """The `[3]` of a root."""
        self._skip_spaces()
        if self._next() != "[":
            return ""
        self._at += 1
        text = self._sequence("]")
        if self._next() == "]":
            self._at += 1
        return text

    # Commands

    def _command(self, name: str, out: list[str]) -> None:
        if self._depth < DEEPEST:
            self._depth += 1
            self._take(name, out)
            self._depth -= 1
        else:
            out.append(name)

    def _take(self, name: str, out: list[str]) -> None:
        if (sign := RELATIONS.get(name)) is not None:
            _spaced(sign, out)
            self._skip_spaces()
        elif (sign := ORDINARY.get(name)) is not None:
            _close_up(sign, out)
            out.append(sign)
            self._skip_spaces()
        elif (sign := _SPACES.get(name)) is not None:
            out.append(sign)
        elif not name or not name[0].isalpha():
            out.append("‖" if name == "|" else name.strip())
        elif (rule := self._rules.get(name)) is not None:
            rule(self, name, out)
        else:  # not ours: its name, and what it is given in brackets
            text = self._argument() if self._next() == "{" else ""
            out.append(f"{name}({text})" if text else name)

    def _silent(self, _name: str, _out: list[str]) -> None:
        self._skip_spaces()

    def _unseen(self, _name: str, _out: list[str]) -> None:
        self._plain_group()

    def _upright(self, _name: str, out: list[str]) -> None:
        out.append(self._argument())

    def _operator(self, _name: str, out: list[str]) -> None:
        self._function(self._argument(), out)

    def _accent(self, name: str, out: list[str]) -> None:
        if text := self._argument():
            out.append(_accented(text, name))

    def _alphabet(self, name: str, out: list[str]) -> None:
        out.append(self._argument().translate(ALPHABETS[name]))

    def _function(self, name: str, out: list[str]) -> None:
        before = out[-1][-1:] if out else ""
        out.append(f" {name}" if before.isalnum() else name)
        self._skip_spaces()
        scripts: list[str] = []
        while (word := self._next()) in {"^", "_"} or word == "\\limits":
            self._at += 1
            if word in "^_":
                scripts.append(self._script(word))
            self._skip_spaces()
        out += scripts
        following = self._next()
        if following and following not in {"(", "[", ")", "]", "}", "|", ",", "\\left", "\\bigl", "\\big", "&", "\\\\"}:
            out.append(" ")

    def _text(self, _name: str, out: list[str]) -> None:
        out.append(_ESCAPED.sub(r"\1", self._plain_group().replace("~", " ")))

    def _script(self, mark: str) -> str:
        text = _LOOSE.sub(r"\1", self._argument())
        return _script(text, mark)

    def _fraction(self, _name: str, out: list[str]) -> None:
        above, below = self._argument(), self._argument()
        fraction = f"{above}/{below}"
        if fraction in FRACTIONS:
            out.append((" " if out and out[-1][-1:].isdigit() else "") + FRACTIONS[fraction])
            return
        if _BINARY.search(_BRACKETED.sub("", above.removeprefix("−"))):
            above = f"({above})"
        if below and not _FACTOR.fullmatch(below):
            below = f"({below})"
        out.append(f"{above}/{below}")

    def _root(self, _name: str, out: list[str]) -> None:
        degree, text = self._option(), self._argument()
        sign = {"": "√", "2": "√", "3": "∛", "4": "∜"}.get(degree) or _script(degree, "^") + "√"
        out.append(f"{sign}{text}" if _ROOTED.fullmatch(text) else f"{sign}({text})")

    def _binomial(self, _name: str, out: list[str]) -> None:
        above, below = self._argument(), self._argument()
        out.append(f"({above} choose {below})")

    def _over(self, _name: str, out: list[str]) -> None:
        """Something above something."""
        above, base = self._argument(), self._argument()
        out.append(f" {base}{_script(above, '^')} " if base in _SPACED else f"{base}{_script(above, '^')}")

    def _under(self, _name: str, out: list[str]) -> None:
        below, base = self._argument(), self._argument()
        out.append(f"{base}{_script(below, '_')}")

    def _long_arrow(self, _name: str, out: list[str]) -> None:
        below, above = self._option(), self._argument()
        out.append(f" →{_script(above, '^') if above else ''}{_script(below, '_') if below else ''} ")

    def _negated(self, _name: str, out: list[str]) -> None:
        sign = self._argument()
        _spaced(NEGATED.get(sign, f"{sign}\u0338"), out)

    def _tag(self, _name: str, out: list[str]) -> None:
        out.append(f"  ({self._plain_group()})")

    def _modulus(self, _name: str, out: list[str]) -> None:
        out.append(f" (mod {self._argument()})")

    def _coloured(self, _name: str, out: list[str]) -> None:
        self._plain_group()
        out.append(self._argument())

    def _left(self, _name: str, out: list[str]) -> None:
        out.append(self._argument().removeprefix("."))
        self._skip_spaces()

    def _right(self, _name: str, out: list[str]) -> None:
        sign = self._argument().removeprefix(".")
        _close_up(sign or ")", out)
        out.append(sign)

    def _environment(self, _name: str, out: list[str]) -> None:
        name = self._plain_group().removesuffix("*")
        if name == "array":
            self._plain_group()
        rows = self._rows(name)
        if self._flat:
            fence = _FLAT.get(name, "  ")
            joined = "; ".join(_RUNS.sub(" ", " ".join(cell.strip() for cell in row).strip()) for row in rows)
            out.append(f"{fence[0]}{joined}{fence[1]}".strip())
        elif name in _TABULAR:
            out.append(_fenced(_tabular(rows), _FENCES.get(name, "")))
        else:
            out.append(_aligned(rows))

    _rules: ClassVar[dict[str, Callable[[_Reader, str, list[str]], None]]] = {
        **dict.fromkeys(SILENT, _silent),
        **dict.fromkeys(UNSEEN, _unseen),
        **dict.fromkeys(UPRIGHT, _upright),
        **dict.fromkeys(TEXT, _text),
        **dict.fromkeys(FUNCTIONS, _function),
        **dict.fromkeys(ACCENTS, _accent),
        **dict.fromkeys(ALPHABETS, _alphabet),
        **dict.fromkeys(("operatorname", "operatorname*"), _operator),
        **dict.fromkeys(("frac", "dfrac", "tfrac", "cfrac", "nicefrac"), _fraction),
        **dict.fromkeys(("binom", "dbinom", "tbinom"), _binomial),
        **dict.fromkeys(("overset", "stackrel"), _over),
        **dict.fromkeys(("pmod", "mod"), _modulus),
        "sqrt": _root,
        "underset": _under,
        "xrightarrow": _long_arrow,
        "not": _negated,
        "tag": _tag,
        "textcolor": _coloured,
        "left": _left,
        "right": _right,
        "begin": _environment,
    }


def _spaced(sign: str, out: list[str]) -> None:
    out.append(f" {sign} " if out and out[-1].strip() else f"{sign} ")


def _close_up(sign: str, out: list[str]) -> None:
    """No space before a closing bracket."""
    if sign in _CLOSING and out and "\n" not in out[-1]:
        out[-1] = out[-1].rstrip(" ")


def _script(text: str, mark: str) -> str:
    """A sub- or superscript in letters of its own if there are some for all of it."""
    table = SUPERSCRIPTS if mark == "^" else SUBSCRIPTS
    if all(ord(character) in table for character in text):
        return text.translate(table)
    plain = len(text) == 1 or (mark == "_" and text.isalpha())
    return f"{mark}{text}" if plain else f"{mark}({text})"


def _accented(text: str, name: str) -> str:
    if name in {"overline", "underline"}:
        return text if ACCENTS[name] in text else "".join(character + ACCENTS[name] for character in text)
    return text + ACCENTS[name] if len(text) == 1 else f"{name.removeprefix('wide')}({text})"


# Rows


def _beside(parts: Sequence[str]) -> str:
    """Parts from left to right; those of several rows stand around the middle one."""
    blocks = [part.split("\n") for part in _merged(parts)]
    if not any(len(block) > 1 for block in blocks):
        return blocks[0][0] if blocks else ""
    above = max((len(block) - 1) // 2 for block in blocks)
    height = above + max(len(block) - (len(block) - 1) // 2 for block in blocks)
    lines = [""] * height
    for block in blocks:
        top = above - (len(block) - 1) // 2
        width = max(map(cell_len, block))
        for row in range(height):
            text = block[row - top] if 0 <= row - top < len(block) else ""
            lines[row] += _padded(text, width)
    return "\n".join(lines)


def _merged(parts: Sequence[str]) -> list[str]:
    """Neighbours of one row as one part, its spaces folded."""
    merged: list[str] = []
    line: list[str] = []
    for part in parts:
        if "\n" not in part:
            line.append(part)
            continue
        merged += [_RUNS.sub(" ", "".join(line)), part]
        line = []
    return [part for part in (*merged, _RUNS.sub(" ", "".join(line))) if part]


def _padded(text: str, width: int) -> str:
    return text + " " * (width - cell_len(text))


def _tabular(rows: Sequence[Sequence[str]]) -> list[str]:
    """Cells in columns, two cells apart."""
    cells = [[_RUNS.sub(" ", cell.strip()).replace("\n", "; ") for cell in row] for row in rows]
    widths = [
        max(cell_len(row[column]) for row in cells if column < len(row)) for column in range(max(map(len, cells)))
    ]
    return ["  ".join(map(_padded, row, widths)).ljust(sum(widths) + 2 * len(widths) - 2) for row in cells]


def _fenced(lines: list[str], fence: str) -> str:
    """Rows between tall brackets: the six signs are top, middle and bottom of the left one, then of the right one."""
    if not fence:
        return "\n".join(lines)
    if len(lines) == 1:
        return {"⎛": "({})", "⎡": "[{}]", "⎧": "{{{}}}"}.get(fence[0], fence[0] + "{}" + fence[3]).format(
            lines[0].strip()
        )
    shapes = [0, *[1] * (len(lines) - 2), 2]
    return "\n".join(f"{fence[n]} {line} {fence[n + 3]}".rstrip() for n, line in zip(shapes, lines, strict=True))


def _aligned(rows: Sequence[Sequence[str]]) -> str:
    """Equations one below the other, what stands before the first `&` to the right."""
    if any("\n" in cell for row in rows for cell in row):
        return "\n".join(_beside([*row]) for row in rows)
    left = max((cell_len(row[0].strip()) for row in rows if len(row) > 1), default=0)
    lines: list[str] = []
    for row in rows:
        first, *others = (_RUNS.sub(" ", cell.strip()) for cell in row)
        lines.append(" ".join([" " * max(0, left - cell_len(first)) + first if others else first, *others]).rstrip())
    return "\n".join(lines)
