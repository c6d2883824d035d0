"""What one encoding knows: how it splits a text into pieces, how it merges bytes within a piece, how a piece can grow.

Merging follows ranks: of all neighbouring pairs, the one that makes the token of the lowest rank is merged first. A
piece of hundreds of bytes cannot be merged anew whenever a letter is appended, so `LongPiece` knows all its prefixes.
"""

from __future__ import annotations

from array import array
from typing import TYPE_CHECKING, TypeVar

from tui_chat.vocabularies import ranks

if TYPE_CHECKING:
    from regex import Pattern

LONG = 160
"""Bytes above which a piece is a `LongPiece`; up to here, merging it anew is cheaper."""
MEMORIES = 50_000
"""Entries after which a memory starts over; what is needed comes back at once."""

_CAPITAL, _CASELESS, _SMALL = r"\p{Lu}\p{Lt}", r"\p{Lm}\p{Lo}\p{M}", r"\p{Ll}"
_PREFIX = r"[^\r\n\p{L}\p{N}]?"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

# As in tiktoken_ext.openai_public 0.14. Not read from there: GROWTHS hold for these very patterns. A test compares.
SPLITS = {
    "o200k_base": "|".join(
        (
            rf"{_PREFIX}[{_CAPITAL}{_CASELESS}]*[{_SMALL}{_CASELESS}]+{_CONTRACTION}",
            rf"{_PREFIX}[{_CAPITAL}{_CASELESS}]+[{_SMALL}{_CASELESS}]*{_CONTRACTION}",
            r"\p{N}{1,3}",
            r" ?[^\s\p{L}\p{N}]+[\r\n/]*",
            r"\s*[\r\n]+",
            r"\s+(?!\S)",
            r"\s+",
        )
    ),
    "cl100k_base": r"'(?i:[sdmt]|ll|ve|re)|[^\r\n\p{L}\p{N}]?+\p{L}++|\p{N}{1,3}+"
    r"| ?[^\s\p{L}\p{N}]++[\r\n]*+|\s++$|\s*[\r\n]|\s+(?!\S)|\s",
}

# How a long piece at the end of a text grows without a new split: (the piece, what may follow), in this order. Each
# matches two groups; the second is a piece of its own until more of the first follows ("\n" "  ", then "\n"; "あ" "BB",
# then "あ").
_BLANK = r"(\s*[\r\n]|)([^\S\r\n]*)"
_SYMBOLS = (r"( ?[^\s\p{L}\p{N}]+)()", r"([^\s\p{L}\p{N}]+)()")
GROWTHS = {
    "o200k_base": (
        (_BLANK, _BLANK),
        (
            rf"(?|({_PREFIX}[{_CAPITAL}{_CASELESS}]*[{_CASELESS}])([{_CAPITAL}]*)|()({_PREFIX}[{_CAPITAL}]+))",
            rf"([{_CAPITAL}{_CASELESS}]*[{_CASELESS}]|)([{_CAPITAL}]*)",
        ),
        (rf"({_PREFIX}[{_CAPITAL}{_CASELESS}]*[{_SMALL}{_CASELESS}]+)()", rf"([{_SMALL}{_CASELESS}]+)()"),
        _SYMBOLS,
        (r"( ?[^\s\p{L}\p{N}]+[\r\n][\r\n/]*)()", r"([\r\n/]+)()"),
    ),
    "cl100k_base": (
        (r"(\s+)()", r"(\s+)()"),
        (rf"({_PREFIX}\p{{L}}+)()", r"(\p{L}+)()"),
        _SYMBOLS,
        (r"( ?[^\s\p{L}\p{N}]+[\r\n]+)()", r"([\r\n]+)()"),
    ),
}

_Key = TypeVar("_Key")
_Value = TypeVar("_Value")


class Vocabulary:
    """One encoding. Threads may share it, since its memories only ever hold what is true."""

    __slots__ = ("_counts", "_halves", "_neighbours", "endings", "growths", "guesses", "ranks", "split")

    def __init__(self, name: str) -> None:
        import regex

        self.split: Pattern[str] = regex.compile(SPLITS[name])
        self.growths = [(regex.compile(shape), regex.compile(more)) for shape, more in GROWTHS[name]]
        self.ranks = ranks(name)
        self.endings: dict[bytes, bytes] = {}  # two bytes → the lengths of the tokens that end in them
        for token in self.ranks:
            lengths = self.endings.get(token[-2:], b"")
            if len(token) not in lengths:
                self.endings[token[-2:]] = lengths + bytes((len(token),))
        self.guesses: dict[tuple[bytes, int], bytes] = {}  # last token, next byte → the token then last, mostly
        self._counts: dict[str, int] = {}
        self._halves: dict[bytes, list[bytes]] = {}
        self._neighbours: dict[tuple[bytes, bytes], bool] = {}

    def count(self, text: str) -> int:
        return sum(map(self.piece_tokens, self.split.findall(text)))

    def piece_tokens(self, piece: str) -> int:
        known = self._counts.get(piece)
        if known is not None:
            return known
        data = piece.encode()
        if len(data) > LONG:
            return LongPiece(self).tokens_of(data)
        return remember(self._counts, piece, 1 if data in self.ranks else len(self._merged(data, 1)))

    def neighbours(self, left: bytes, right: bytes) -> bool:
        """Whether merging the bytes of two tokens gives back those two."""
        known = self._neighbours.get((left, right))
        return remember(self._neighbours, (left, right), self._stay_apart(left, right)) if known is None else known

    def _stay_apart(self, left: bytes, right: bytes) -> bool:
        """Undo the merges of both tokens, the latest first: at no time may a merge across them have been due."""
        due = len(self.ranks)
        while True:
            if self.ranks.get(left + right, due) < due:
                return False
            if self.ranks[left] > self.ranks[right]:
                if len(left) == 1:
                    return True
                due, left = self.ranks[left], self._half(left)[1]
            else:
                if len(right) == 1:
                    return True
                due, right = self.ranks[right] + 1, self._half(right)[0]  # of equal ranks, the left one is merged first

    def _half(self, token: bytes) -> list[bytes]:
        """The two parts whose merge makes the token."""
        return self._halves.get(token) or remember(self._halves, token, self._merged(token, 2))

    def _merged(self, data: bytes, parts: int) -> list[bytes]:
        """The bytes merged pair by pair, the lowest rank first, until no more than `parts` are left or none fits."""
        never = len(self.ranks)
        rank = self.ranks.get
        merged = [data[i : i + 1] for i in range(len(data))]
        ranks = [rank(data[i : i + 2], never) for i in range(len(data) - 1)]
        while len(merged) > parts and (lowest := min(ranks)) < never:
            i = ranks.index(lowest)
            merged[i : i + 2] = [merged[i] + merged[i + 1]]
            del ranks[i]
            if i < len(ranks):
                ranks[i] = rank(merged[i] + merged[i + 1], never)
            if i:
                ranks[i - 1] = rank(merged[i - 1] + merged[i], never)
        return merged


class LongPiece:
    """The tokens of every prefix of one growing piece, in constant work per byte.

    A prefix ends in the one token that is a neighbour of the last token of what stands before it: where each token of a
    row is a neighbour of the next, the row is what merging makes of its bytes, and merging makes only one.
    """

    __slots__ = ("_counts", "_last", "_vocabulary", "data")

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self.data = bytearray()
        self._counts = array("L", (0,))  # the tokens of each prefix
        self._last = [b""]  # of those, the last

    @property
    def tokens(self) -> int:
        return self._counts[-1]

    def tokens_of(self, data: bytes) -> int:
        """The tokens of `data`, which this piece begins with or which begins this piece."""
        self.append(data[len(self.data) :])
        return self._counts[len(data)]

    def append(self, data: bytes) -> None:
        guesses = self._vocabulary.guesses
        for byte in data:
            situation = (self._last[-1], byte)
            self.data.append(byte)
            token = guesses.get(situation, b"")
            if not token or not self._ends_in(token):
                token = remember(guesses, situation, self._last_token())
            self._counts.append(self._counts[len(self.data) - len(token)] + 1)
            self._last.append(token)

    def cut(self, size: int) -> None:
        """Keep the first `size` bytes."""
        del self.data[size:], self._counts[size + 1 :], self._last[size + 1 :]

    def _last_token(self) -> bytes:
        for length in self._vocabulary.endings.get(bytes(self.data[-2:]), b""):
            token = bytes(self.data[-length:])
            if token in self._vocabulary.ranks and self._ends_in(token):
                return token
        return bytes(self.data[-1:])

    def _ends_in(self, token: bytes) -> bool:
        start = len(self.data) - len(token)
        return self.data.endswith(token) and (not start or self._vocabulary.neighbours(self._last[start], token))


def remember(memory: dict[_Key, _Value], key: _Key, value: _Value) -> _Value:
    if len(memory) >= MEMORIES:
        memory.clear()
    memory[key] = value
    return value
