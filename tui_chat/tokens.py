"""Counts tokens as tiktoken does, after every delta of a growing text, in constant work and without a network.

Why not tiktoken's own `Encoding`: building it holds the GIL for a tenth to a third of a second, which a typist feels;
it downloads its vocabulary, can only count a whole text again, and fails on a megabyte of spaces. Here the vocabulary
comes with us and is a plain dict, built in a thread that lets the screen go on. tiktoken knows which model uses which
encoding, and judges every count in the tests.

Why it can be exact: an encoding splits a text into pieces, then merges bytes within each piece. When text is appended,
only the last two pieces can still change (a word may take a contraction, a blank may join a newline), so the others are
counted once. Nor is a piece of more than `LONG` bytes merged anew for each delta: see `LongPiece`.

The `regex` module and tiktoken carry different Unicode versions: what a text has of code points that one of them does
not know yet may be off by a token. Special tokens are never recognised: `<|endoftext|>` in a message is text.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from tui_chat.vocabularies.vocabulary import LONG, SPLITS, LongPiece, Vocabulary, remember

if TYPE_CHECKING:
    from collections.abc import Callable

    from regex import Pattern

DEFAULT_ENCODING = "o200k_base"
LONG_TEXT = 200
"""Characters above which a whole text's count is remembered."""


class TiktokenCounter:
    """The `TokenCounter` of the program. All threads may use it; a stream belongs to one of them at a time."""

    __slots__ = ("_counts", "_encodings", "_loading", "_wanted")

    def __init__(self) -> None:
        self._encodings: dict[str, Vocabulary] = {}
        self._counts: dict[tuple[str, int, int], int] = {}
        self._loading = threading.Lock()
        self._wanted: set[str] = set()

    @property
    def loaded(self) -> bool:
        """False while `o200k_base` is estimated. Another encoding begins to load when it is first asked for after."""
        return DEFAULT_ENCODING in self._encodings

    def load(self, encoding: str = DEFAULT_ENCODING) -> None:
        """Make counts in this encoding exact. Blocks for 0.1 to 0.2 s once: call it in a thread, when idle."""
        _check(encoding)
        with self._loading:
            if encoding not in self._encodings:
                self._encodings[encoding] = Vocabulary(encoding)
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
        return remember(self._counts, key, loaded.count(_well_formed(text))) if known is None else known

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

    def _loaded(self, encoding: str) -> Vocabulary | None:
        _check(encoding)
        loaded = self._encodings.get(encoding)
        if loaded is None and self.loaded and encoding not in self._wanted:
            self._wanted.add(encoding)
            threading.Thread(target=self.load, args=(encoding,), name=f"load {encoding}", daemon=True).start()
        return loaded


class TiktokenStream:
    """The `StreamTokens` of the program: an estimate until its encoding is loaded, exact from the next `feed` on."""

    __slots__ = ("_bytes", "_early", "_exact", "_loaded")

    def __init__(self, loaded: Callable[[], Vocabulary | None]) -> None:
        self._loaded = loaded
        self._early: list[str] = []
        self._bytes = 0
        self._exact: _ExactStream | None = None
        self._try_exact()

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
        if self._exact is not None:
            self._exact.feed(delta)
            return self.tokens
        self._early.append(delta)
        self._bytes += _utf8_bytes(delta)
        self._try_exact()
        return self.tokens

    def _try_exact(self) -> None:
        vocabulary = self._loaded()
        if vocabulary is not None:
            self._exact = _ExactStream(vocabulary)
            self._exact.feed("".join(self._early))
            self._early.clear()


class _ExactStream:
    """Counts a growing text exactly, with only its last two pieces open."""

    __slots__ = (
        "_body",
        "_body_start",
        "_growth",
        "_held",
        "_long",
        "_others",
        "_rest",
        "_settled",
        "_start",
        "_tail",
        "_vocabulary",
        "tokens",
    )

    def __init__(self, vocabulary: Vocabulary) -> None:
        self._vocabulary = vocabulary
        self._settled = 0  # tokens of the pieces that cannot change any more
        self._start = 0  # characters of those
        self._tail: list[str] = []  # the text after them, in any cut
        self._held = ""  # a high surrogate whose low half may follow
        self._long: dict[int, LongPiece] = {}  # the long ones among the open pieces, by their first character
        self._growth: Pattern[str] | None = None  # what lengthens _body and _rest, the pieces at the end
        self._body = self._rest = LongPiece(vocabulary)
        self._body_start = 0
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

    def _split(self) -> None:
        """Split the open text again, count its pieces, and settle all but the last two."""
        self._stop_growing()
        pieces = self._vocabulary.split.findall("".join(self._tail))
        counts = self._counts(pieces)
        settled = max(len(pieces) - 2, 0)
        self._tail = pieces[settled:]
        self._settled += sum(counts[:settled])
        self._start += sum(map(len, pieces[:settled]))
        self.tokens = self._settled + sum(counts[settled:])
        if self._long:
            self._long = {start: piece for start, piece in self._long.items() if start >= self._start}
            self._start_growing()

    def _counts(self, pieces: list[str]) -> list[int]:
        """The tokens of each of the open pieces."""
        counts, start = [], self._start
        for piece in pieces:
            if len(piece) * 4 > LONG and len(data := piece.encode()) > LONG:
                counts.append(self._long.setdefault(start, LongPiece(self._vocabulary)).tokens_of(data))
            else:
                counts.append(self._vocabulary.piece_tokens(piece))
            start += len(piece)
        return counts

    def _count_held(self) -> None:
        """Count the high surrogate as tiktoken would if nothing followed, and settle nothing."""
        if self._grow("\ufffd"):
            self._body.cut(len(self._body.data) - 3)  # only symbols grow by it, and they have no rest
            return
        self._stop_growing()
        known = (
            self._long.copy()
        )  # a long piece that U+FFFD would lengthen has just grown, but a new one may come about
        self.tokens = self._settled + sum(self._counts(self._vocabulary.split.findall("".join(self._tail) + "\ufffd")))
        self._long = known

    def _start_growing(self) -> None:
        """If a long piece ends the text, find how it grows. Of short ones, the shape says too little."""
        last = self._tail[-1]
        before = "".join(self._tail[:-1])
        for shape, more in self._vocabulary.growths:
            start, found = self._start, shape.fullmatch(before + last)
            if not found or found.end(1) != len(before):
                start, found = self._start + len(before), shape.fullmatch(last)
            if not found:
                continue
            body, rest = found.groups()
            if start in self._long or start + len(body) in self._long:
                self._growth, self._body_start = more, start
                self._body, self._rest = self._taken(start, body), self._taken(start + len(body), rest)
                self._others = self.tokens - self._body.tokens - self._rest.tokens
            return

    def _taken(self, start: int, text: str) -> LongPiece:
        """The piece that counts this text from now on; a short one is made long."""
        piece = self._long.pop(start, None) if text else None
        piece = piece or LongPiece(self._vocabulary)
        piece.tokens_of(text.encode())
        return piece

    def _stop_growing(self) -> None:
        """Put the growing pieces back among the other long ones."""
        if self._growth is None:
            return
        self._growth = None
        for start, piece in (
            (self._body_start + len(self._body.data.decode()), self._rest),
            (self._body_start, self._body),
        ):
            if piece.data:
                self._long[start] = piece


def _check(encoding: str) -> None:
    if encoding not in SPLITS:
        raise ValueError(f"no vocabulary for {encoding!r}")


def _estimate(utf8_bytes: int) -> int:
    return -(-utf8_bytes // 4)


def _utf8_bytes(text: str) -> int:
    return len(text.encode("utf-8", "surrogatepass"))


def _well_formed(text: str) -> str:
    """As tiktoken reads it: surrogate pairs joined, lone halves replaced."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text
