"""Fuzzy search over names of models: a few letters find one of thousands, and each key is answered within a frame.

Every word has to match. Only the kind of a match and how far it spreads decide, so that the order among equals stays
the caller's: what is liked best comes first, and nothing jumps while a word grows. What almost every name has is told
apart by C code (`str.find`, one regular expression); only what passes it is looked at letter by letter.
"""

import re
from collections.abc import Callable, Iterable, Iterator, Sequence

_SCATTERED = 8
"""From this kind on the letters of a word stand anywhere, only their order holds."""
_WIDEST = 1023
_KINDS = _WIDEST + 1
_FAR = 1 << 24
"""Added for each scattered word: one of them outweighs whatever the others are."""
_START = r"(?:(?<![^\W_])|(?<=[^\W\d_])(?=\d))"
"""Where a word begins: behind no letter or digit, and where a number follows letters."""
_STARTS = re.compile(rf"{_START}[^\W_]")


def folded(text: str) -> str:
    """Return `text` for comparison, each character in its place: what would change its length stays as it is."""
    lower = text.lower()
    if len(lower) == len(text):
        return lower
    return "".join(low if len(low := each.lower()) == 1 else each for each in text)


class Word:
    """One word of a search, in the lower case of `folded`.

    Kinds of matches, best first: the own name itself or the whole one (0), the own one's beginning (1), a word's
    beginning in it (2), anywhere in it (3); a word's beginning in the whole name (4), anywhere in that (5); letters
    that begin words or follow each other, in the own name (6), in the whole (7); letters scattered over the own name
    (8), over the whole (9).
    """

    def __init__(self, letters: str) -> None:
        self.letters = letters
        self._begins = re.compile(rf"{_START}{re.escape(letters)}").search
        first, rest = letters[:1], letters[1:]
        self._first = re.compile(rf"{_START}{re.escape(first)}").search
        gaps = "".join(f"[^{re.escape(each)}]*+{re.escape(each)}" for each in rest)
        self._scattered = re.compile(f"[^{re.escape(first)}]*+({re.escape(first)}{gaps})").match

    def rank(self, name: str, own: int) -> int | None:
        """Return how well a folded name matches, 0 the best; `None` when it does not.

        `own` is where the name's own part begins, behind its provider.
        """
        letters = self.letters
        if letters in name:
            if name == letters:
                return 0
            at = name.find(letters, own)
            if at == own:
                return 0 if len(name) == own + len(letters) else _KINDS
            if at > 0:
                return (2 if self._begins(name, own) else 3) * _KINDS
            return (4 if self._begins(name) else 5) * _KINDS
        if (found := self._scattered(name)) is None:
            return None
        in_own = self._scattered(name, own)
        if sets := self._steps(name, 0):
            own_sets = self._steps(name, own) if in_own is not None else []
            return (6 if own_sets else 7) * _KINDS + _spread(own_sets or sets)
        kind, (start, end) = (_SCATTERED, in_own.span(1)) if in_own is not None else (_SCATTERED + 1, found.span(1))
        return _FAR + kind * _KINDS + min(end - start, _WIDEST)

    def places(self, name: str, own: int) -> range | list[int]:
        """Return which characters of a folded name are those that `rank` goes by; none when it does not match."""
        letters = self.letters
        for start in (own, 0):
            begun = self._begins(name, start)
            at = name.find(letters, start)
            at = own if at == own else begun.start() if begun is not None else at
            if at >= 0:
                return range(at, at + len(letters))
        for start in (own, 0):
            if sets := self._steps(name, start):
                return _walked_back(sets)
        found = self._scattered(name, own) or self._scattered(name)
        return self._leftmost(name, found.start(1)) if found is not None else []

    def _leftmost(self, name: str, at: int) -> list[int]:
        places = [at]
        for letter in self.letters[1:]:
            at = name.index(letter, at + 1)
            places.append(at)
        return places

    def _steps(self, name: str, own: int) -> list[int]:
        """Return for each letter where it can stand, as bits, when each begins a word or follows the one before.

        Empty when there is no such way through the name.
        """
        if self._first(name, own) is None:
            return []
        starts = _starts(name, own)
        reached = -1
        sets: list[int] = []
        for letter in self.letters:
            here, at = 0, name.find(letter, own)
            while at >= 0:
                here |= 1 << at
                at = name.find(letter, at + 1)
            lowest = reached & -reached
            behind = -(lowest << 1) if sets else -1  # every place above the lowest one
            here &= (reached << 1 | behind & starts) if sets else starts
            if not here:
                return []
            sets.append(here)
            reached = here
        return sets


def _starts(name: str, own: int) -> int:
    """Return the places at which words begin, as bits; a number behind letters is a word too."""
    bits = 0
    for found in _STARTS.finditer(name, own):
        bits |= 1 << found.start()
    return bits


def _spread(sets: list[int]) -> int:
    first = (sets[0] & -sets[0]).bit_length()
    last = (sets[-1] & -sets[-1]).bit_length()
    return max(0, min(last - first + 1, _WIDEST))


def _walked_back(sets: list[int]) -> list[int]:
    """Return one way through the sets, the earliest end first, in runs where it can be."""
    at = (sets[-1] & -sets[-1]).bit_length() - 1
    places = [at]
    for reached in reversed(sets[:-1]):
        if reached >> (at - 1) & 1:
            at -= 1
        else:
            at = (reached & ((1 << at) - 1)).bit_length() - 1
        places.append(at)
    return places[::-1]


def words_of(search: str) -> list[Word]:
    """Return the words of a search, each once."""
    return [Word(letters) for letters in dict.fromkeys(folded(search).split())]


def matched(name: str, own: int, words: Iterable[Word]) -> tuple[int, ...]:
    """Return which characters of a name that matches the words stand for, ascending."""
    low = folded(name)
    return tuple(sorted({at for word in words for at in word.places(low, own)}))


class Names:
    """Names to search in; a search that grows looks only where the one before had found something."""

    def __init__(self, names: Sequence[str], owns: Sequence[int]) -> None:
        """Take names with, for each, where its own part begins."""
        self._names = names
        self._owns = owns
        self._folded: list[str] | None = None
        self._last: tuple[list[Word], list[int]] = ([], [])

    def ranked(self, words: list[Word]) -> list[tuple[int, int]]:
        """Return rank and place of every name that matches all words, in the order of the names; 0 is the best."""
        if self._folded is None:
            self._folded = [folded(name) for name in self._names]
        before, among = self._last
        narrower = before and all(any(word.letters.startswith(old.letters) for word in words) for old in before)
        places: Sequence[int] = among if narrower else range(len(self._names))
        found = list(self._matching(words, places, self._folded))
        self._last = words, [place for _, place in found]
        return found

    def _matching(
        self, words: Sequence[Word], places: Sequence[int], names: Sequence[str]
    ) -> Iterator[tuple[int, int]]:
        ranks: list[Callable[[str, int], int | None]] = [word.rank for word in words]
        owns = self._owns
        for place in places:
            name, own, total = names[place], owns[place], 0
            for rank_of in ranks:
                rank = rank_of(name, own)
                if rank is None:
                    break
                total += rank
            else:
                yield total, place


def is_scattered(rank: int) -> bool:
    """Say whether a rank of one or several words is that of letters found here and there."""
    return rank >= _FAR
