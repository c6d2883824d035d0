"""Counts tokens as tiktoken does, after every delta of a growing text, in constant work and without a network.

Why not tiktoken's own `Encoding`: building it holds the GIL for a quarter of a second, which a typist feels; it
downloads its vocabulary, can only count a whole text again, and fails on a megabyte of spaces. Here the vocabulary
comes with us and is a plain dict, built in a thread that lets the screen go on. tiktoken knows which model uses which
encoding, and judges every count in the tests.

Why it can be exact: an encoding splits a text into pieces, then merges bytes within each piece. When text is appended,
only the last two pieces can still change (a word may take a contraction, a blank may join a newline), so the others are
counted once. Nor is a piece of more than `LONG` bytes merged anew for each delta: see `_LongPiece`.

The `regex` module and tiktoken carry different Unicode versions: what a text has of code points that one of them does
not know yet may be off by a token. Special tokens are never recognised: `<|endoftext|>` in a message is text.
"""

from __future__ import annotations

import threading
from array import array
from typing import TYPE_CHECKING, TypeVar

from tui_chat import vocabularies

if TYPE_CHECKING:
    from regex import Pattern

DEFAULT_ENCODING = "o200k_base"

LONG = 160
"""Bytes above which a piece is a `_LongPiece`; up to here, merging it anew is cheaper."""
LONG_TEXT = 200
"""Characters above which a whole text's count is remembered."""
MEMORIES = 50_000
"""Entries after which a memory starts over; what is needed comes back at once."""

_CAPITAL, _CASELESS, _SMALL = r"\p{Lu}\p{Lt}", r"\p{Lm}\p{Lo}\p{M}", r"\p{Ll}"
_PREFIX = r"[^\r\n\p{L}\p{N}]?"
_CONTRACTION = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?"

# As in tiktoken_ext.openai_public 0.14; not read from there, because GROWTHS hold for these very patterns. A test compares.
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


class TiktokenCounter:
    """The `TokenCounter` of the program. All threads may use it; a stream belongs to one of them at a time."""

    __slots__ = ("_counts", "_encodings", "_loading", "_wanted")

    def __init__(self) -> None:
        self._encodings: dict[str, _Encoding] = {}
        self._counts: dict[tuple[str, int, int], int] = {}
        self._loading = threading.Lock()
        self._wanted: set[str] = set()

    @property
    def loaded(self) -> bool:
        """False while `o200k_base` is estimated. Another encoding begins to load when it is first asked for after."""
        return DEFAULT_ENCODING in self._encodings

    def load(self, encoding: str = DEFAULT_ENCODING) -> None:
        """Make counts in this encoding exact. Blocks for about 0.15 s the first time, then no more; for a thread."""
        with self._loading:
            if encoding not in self._encodings:
                self._encodings[encoding] = _Encoding(encoding)
        self.encoding_for("")  # tiktoken's own import is part of the wait

    def count(self, text: str, encoding: str = DEFAULT_ENCODING) -> int:
        """Tokens of a whole text; an estimate until the encoding is loaded. Long texts are counted once."""
        loaded = self._loaded(encoding)
        if loaded is None:
            return _estimate(_utf8_bytes(text))
        if len(text) <= LONG_TEXT:
            return loaded.count(_well_formed(text))
        key = (encoding, len(text), hash(text))  # not the text: it would be kept alive
        known = self._counts.get(key)
        return _remember(self._counts, key, loaded.count(_well_formed(text))) if known is None else known

    def stream(self, encoding: str = DEFAULT_ENCODING) -> TiktokenStream:
        """A count of a text that is going to grow."""
        return TiktokenStream(lambda: self._loaded(encoding))

    def encoding_for(self, model: str) -> str:
        """The encoding of a bare model id such as `gpt-4-0613`; `o200k_base` for models tiktoken does not know."""
        from tiktoken.model import encoding_name_for_model

        try:
            encoding = encoding_name_for_model(model)
        except KeyError:
            return DEFAULT_ENCODING
        return encoding if encoding in SPLITS else DEFAULT_ENCODING

    def _loaded(self, encoding: str) -> _Encoding | None:
        if encoding not in SPLITS:
            raise ValueError(f"no vocabulary for {encoding!r}")
        loaded = self._encodings.get(encoding)
        if loaded is None and self.loaded and encoding not in self._wanted:
            self._wanted.add(encoding)
            threading.Thread(target=self.load, args=(encoding,), name=f"load {encoding}", daemon=True).start()
        return loaded


class TiktokenStream:
    """The `StreamTokens` of the program: an estimate until its encoding is loaded, exact from the next `feed` on."""

    __slots__ = ("_bytes", "_early", "_exact", "_loaded")

    def __init__(self, loaded: Callable[[], _Encoding | None]) -> None:
        self._loaded = loaded
        self._early: list[str] = []
        self._bytes = 0
        self._exact: _ExactStream | None = None

    @property
    def tokens(self) -> int:
        """Of everything fed so far."""
        return _estimate(self._bytes) if self._exact is None else self._exact.tokens

    @property
    def exact(self) -> bool:
        """False while `tokens` is an estimate. `feed("")` makes a finished text exact after loading."""
        return self._exact is not None

    def feed(self, delta: str) -> int:
        """Take more text, which may end between two surrogates; what comes back is `tokens`."""
        if self._exact is None:
            self._early.append(delta)
            self._bytes += _utf8_bytes(delta)
            encoding = self._loaded()
            if encoding is None:
                return self.tokens
            self._exact = _ExactStream(encoding)
            delta = "".join(self._early)
            self._early.clear()
        self._exact.feed(delta)
        return self._exact.tokens


class _ExactStream:
    """Counts a growing text exactly, with only its last two pieces open."""

    __slots__ = ("_body", "_encoding", "_growth", "_held", "_long", "_others", "_rest", "_settled", "_start", "_tail", "tokens")

    def __init__(self, encoding: _Encoding) -> None:
        self._encoding = encoding
        self._settled = 0  # tokens of the pieces that cannot change any more
        self._start = 0  # characters of those
        self._tail: list[str] = []  # the text after them, in any cut
        self._held = ""  # a high surrogate whose low half may follow
        self._long: dict[int, _LongPiece] = {}  # the long ones among the open pieces, by their first character
        self._growth: Pattern[str] | None = None  # what lengthens _body and _rest, the pieces at the end
        self._body = self._rest = _LongPiece(encoding)
        self._others = 0  # tokens of everything before those two
        self.tokens = 0

    def feed(self, delta: str) -> None:
        text = self._held + delta
        self._held = text[-1] if text and "\ud800" <= text[-1] <= "\udbff" else ""
        text = _well_formed(text[:-1] if self._held else text)
        if text:
            self._tail.append(text)
            if not self._grow(text):
                self._split()
        if self._held:
            self._count_held()

    def _grow(self, text: str) -> bool:
        """Lengthen the long piece at the end; False if the text does more than that."""
        grown = self._growth and self._growth.fullmatch(text)
        if not grown:
            return False
        body, rest = grown.groups()
        if body:
            self._body.append(bytes(self._rest.data) + body.encode())
            self._rest.cut(0)
        self._rest.append(rest.encode())
        self.tokens = self._others + self._body.tokens + self._rest.tokens
        return True
