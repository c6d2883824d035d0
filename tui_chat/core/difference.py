"""Where two answers differ: word by word, and which lines of code they share.

`difflib` alone is quadratic on what repeats, and words repeat. So texts are cut where it is cheap: first at lines that
both have once, then within changed lines at words that both have once, again and again in what lies between; only small
rests are compared each with each. What two answers have in common by chance (a lone `the` between two long changes) is
counted as changed: else a difference of two models' answers would be confetti.
"""

import re
from bisect import bisect_left
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from difflib import SequenceMatcher
from typing import Literal

from tui_chat.core.record import record

Where = Literal["same", "left", "right"]

_ONE_BY_ONE = "\u2e80-\u2fdf\u3005-\u30ff\u3400-\u4dbf\u4e00-\u9fff\uac00-\ud7af\uf900-\ufaff\U00020000-\U0003ffff"
"""Scripts without spaces between words: each character is a word."""
_MARKS = (
    "\u0300-\u036f\u0483-\u0489\u0591-\u05c7\u0610-\u061a\u064b-\u065f\u0670\u06d6-\u06ed\u0900-\u0963\u0966-\u0dff"
    "\u0e31-\u0e4e\u0eb1-\u0ece\u1ab0-\u1aff\u1dc0-\u1dff\u200c\u200d\u20d0-\u20ff\ufe00-\ufe0f\ufe20-\ufe2f"
    "\U0001f3fb-\U0001f3ff"
)
"""What belongs to the character before it; `\\w` does not know that."""
_TOKEN = re.compile(
    rf"\n|[^\S\n]+|[{_ONE_BY_ONE}][{_MARKS}]*|(?:[^\W{_ONE_BY_ONE}]|[{_MARKS}])+|[^\w\s](?:\u200d.|[{_MARKS}])*"
)
_WORD = re.compile(r"\w")
_FENCE = re.compile(r"\s*(?:>\s?)*\s*(?:[-*+]\s+|\d+[.)]\s+)?(`{3,}|~{3,})(.*)")
_SMALL = 16_000
"""Pairs of tokens that are compared each with each: a few milliseconds."""
_LENGTHS = (1, 4, 16)
"""Tokens in a row that are looked for as a meeting place: where every word repeats, a row of them may not."""
_RARE = 3
"""What both have so many times, and no more, can be where they meet."""


@record
class Run:
    """A piece of text that is in both, or in one of them only."""

    where: Where
    text: str


Span = tuple[int, int, int]
"""Where a match begins in the left, where in the right, and how many tokens it has."""


def tokens_of(text: str) -> list[str]:
    """Return words, spaces, punctuation and line ends; joined they are the text."""
    return _TOKEN.findall(text)


def difference(left: str, right: str) -> list[Run]:
    """Return the runs of both texts in order, what is only left before what is only right.

    All but the right ones, joined, are `left`; all but the left ones are `right`.
    """
    lines = left.splitlines(keepends=True), right.splitlines(keepends=True)
    gaps: list[tuple[str, str, str]] = []
    for only_left, only_right, same in _parts(*lines):
        gaps += _parts(tokens_of(only_left), tokens_of(only_right))
        gaps.append(("", "", same))
    return list(_runs(_without_chance(_joined(gaps))))


def shared_words(runs: Iterable[Run]) -> float:
    """Return the share of words that both texts have in the same places, from 0 to 1; 1 when neither has words."""
    count = dict.fromkeys(("same", "left", "right"), 0)
    for run in runs:
        count[run.where] += sum(1 for token in tokens_of(run.text) if _WORD.match(token))
    whole = 2 * count["same"] + count["left"] + count["right"]
    return 2 * count["same"] / whole if whole else 1.0


# matching


def _parts(left: Sequence[str], right: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    """Yield what is only left, what is only right, and what follows in both."""
    at_left = at_right = 0
    for begin_left, begin_right, size in _matches(left, right):
        yield (
            "".join(left[at_left:begin_left]),
            "".join(right[at_right:begin_right]),
            "".join(left[begin_left : begin_left + size]),
        )
        at_left, at_right = begin_left + size, begin_right + size
    yield "".join(left[at_left:]), "".join(right[at_right:]), ""


def _matches(left: Sequence[str], right: Sequence[str]) -> list[Span]:
    """Return what matches, in order. Not by recursion: what lies between two matches waits its turn."""
    found: list[Span] = []
    waiting = [(0, 0, len(left), len(right))]
    while waiting:
        low, below, high, above = waiting.pop()
        before, after = _ends(left, right, low, high, below, above)
        if before:
            found.append((low, below, before))
        if after:
            found.append((high - after, above - after, after))
        low, below, high, above = low + before, below + before, high - after, above - after
        if low == high or below == above:
            continue
        if (high - low) * (above - below) <= _SMALL:
            found += _each_with_each(left, right, low, high, below, above)
            continue
        met = next(filter(None, (_meetings(left[low:high], right[below:above], size) for size in _LENGTHS)), [])
        starts = [(low, below), *((low + a, below + b) for a, b in met)]
        ends = [*starts[1:], (high, above)]
        waiting += [(*one, *other) for one, other in zip(starts, ends, strict=True) if met]
    return sorted(found)


def _ends(left: Sequence[str], right: Sequence[str], low: int, high: int, below: int, above: int) -> tuple[int, int]:
    """Return how many tokens are the same from the beginning on, and how many others at the end."""
    most = min(high - low, above - below)
    before = 0
    while before < most and left[low + before] == right[below + before]:
        before += 1
    after = 0
    while after < most - before and left[high - after - 1] == right[above - after - 1]:
        after += 1
    return before, after


def _each_with_each(
    left: Sequence[str], right: Sequence[str], low: int, high: int, below: int, above: int
) -> list[Span]:
    matcher = SequenceMatcher(None, left[low:high], right[below:above], autojunk=False)
    return [(low + a, below + b, size) for a, b, size in matcher.get_matching_blocks() if size]


def _meetings(left: Sequence[str], right: Sequence[str], size: int) -> list[tuple[int, int]]:
    """Return the longest series of places at which both have the same rare row of so many tokens."""
    rows = _rows(left, size), _rows(right, size)
    counts = Counter(rows[0]), Counter(rows[1])
    rare = {row for row, count in counts[0].items() if count <= _RARE and counts[1][row] == count and _is_told(row)}
    places: dict[tuple[str, ...], list[int]] = {}
    for at, row in enumerate(rows[1]):
        if row in rare:
            places.setdefault(row, []).append(at)
    following = {row: iter(found) for row, found in places.items()}
    return _rising([(at, next(following[row])) for at, row in enumerate(rows[0]) if row in rare])


def _rows(tokens: Sequence[str], size: int) -> list[tuple[str, ...]]:
    return list(zip(*(tokens[start:] for start in range(size)), strict=False))


def _is_told(row: tuple[str, ...]) -> bool:
    """Say whether there is a word in it: spaces and points are everywhere."""
    return any(_WORD.search(token) for token in row)


def _rising(pairs: Sequence[tuple[int, int]]) -> list[tuple[int, int]]:
    """Return the longest subsequence in which the second figures rise, as the first ones do."""
    ends: list[int] = []
    last: list[int] = []
    before: list[int] = []
    for at, (_, place) in enumerate(pairs):
        length = bisect_left(ends, place)
        before.append(last[length - 1] if length else -1)
        if length == len(ends):
            ends.append(place)
            last.append(at)
        else:
            ends[length], last[length] = place, at
    found = []
    at = last[-1] if last else -1
    while at >= 0:
        found.append(pairs[at])
        at = before[at]
    return found[::-1]


# reading


def _joined(gaps: Iterable[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Join parts between which nothing is the same, and those between which nothing differs."""
    found: list[tuple[str, str, str]] = []
    for only_left, only_right, same in gaps:
        if found and not found[-1][2]:
            before = found.pop()
            found.append((before[0] + only_left, before[1] + only_right, same))
        elif found and not only_left and not only_right:
            before = found.pop()
            found.append((before[0], before[1], before[2] + same))
        else:
            found.append((only_left, only_right, same))
    return found


def _without_chance(gaps: Sequence[tuple[str, str, str]]) -> list[tuple[str, str, str]]:
    """Count as changed what is in both but short beside the changes around it; the end of a line holds."""
    found: list[tuple[str, str, str]] = []
    for at, (only_left, only_right, same) in enumerate(gaps):
        before = found.pop() if found and not found[-1][2] else ("", "", "")
        change = before[0] + only_left, before[1] + only_right
        after = max(map(len, gaps[at + 1][:2])) if at + 1 < len(gaps) else 0
        around = min(max(map(len, change)), after)
        if around and same and "\n" not in same and 2 * len(same.strip()) <= around:
            found.append((change[0] + same, change[1] + same, ""))
        else:
            found.append((*change, same))
    return found


def _runs(gaps: Iterable[tuple[str, str, str]]) -> Iterator[Run]:
    for only_left, only_right, same in gaps:
        if only_left:
            yield Run("left", only_left)
        if only_right:
            yield Run("right", only_right)
        if same:
            yield Run("same", same)


# code


@record
class CodeLine:
    text: str
    shared: bool
    """The other answer's code has it too, whatever white space stands around it."""


@record
class SharedCode:
    """The code blocks of two answers, line by line."""

    left: tuple[tuple[CodeLine, ...], ...]
    right: tuple[tuple[CodeLine, ...], ...]
    lines: tuple[str, ...]
    """The shared lines without the space around them, each once, in the order of the left."""


def shared_code(left: str, right: str) -> SharedCode:
    """Return the code of both texts with what they share marked; a line without a letter or digit is never shared."""
    blocks = code_blocks(left), code_blocks(right)
    own, others = ({line.strip() for block in side for line in block if _WORD.search(line)} for side in blocks)
    both = own & others
    marked = [tuple(tuple(CodeLine(line, line.strip() in both) for line in block) for block in side) for side in blocks]
    order = dict.fromkeys(line.strip() for block in blocks[0] for line in block if line.strip() in both)
    return SharedCode(marked[0], marked[1], tuple(order))


def code_blocks(text: str) -> list[list[str]]:
    """Return the lines of each fenced block; one that nothing closes goes to the end."""
    blocks: list[list[str]] = []
    fence = ""
    for line in text.split("\n"):
        found = _FENCE.fullmatch(line.rstrip("\r"))
        if fence and found and found[1].startswith(fence) and not found[2].strip():
            fence = ""
        elif fence:
            blocks[-1].append(line.rstrip("\r"))
        elif found and not (found[1][0] == "`" and "`" in found[2]):
            fence = found[1]
            blocks.append([])
    return blocks
