"""What the list of models shows: which, in which order, in which columns. Pure functions of models and width.

A list of five thousand is laid out once, when it is opened; a key costs the search, and drawing the rows in view.
"""

from collections.abc import Iterable, Sequence
from dataclasses import field
from decimal import ROUND_HALF_EVEN, Decimal
from typing import Literal

from textual.content import Content, Span

from tui_chat.core.format import amount, cost, window
from tui_chat.core.fuzzy import Names, Word, is_scattered
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price, cost_of
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.core.usage import CountedUsage, Usage
from tui_chat.ui.theme import Glyphs
from tui_chat.ui.widgets.row import fit, joined, styled, text

Order = Literal["found", "price", "context", "provider"]
ORDERS: tuple[Order, ...] = ("found", "price", "context", "provider")
SORTED_BY: dict[Order, str] = {"found": "out", "price": "out", "context": "context", "provider": "model"}
"""The column that each order goes by."""

_FINEST = Decimal("0.0001")
_ONE = Price().usd_rate
_MOST_BEHIND = 4
"""Digits behind a point."""
_EDGE = 4
"""Cells before a name: a blank, the cursor, the mark, a blank."""
_NAME = 30
"""Cells that a name should have before a column more is shown."""
_NOTE, _WHOLE_NOTE = 21, 26
_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")


# which models, in which order


class Models:
    """The models of one opening of the list, in its order: favourites, recent ones, as found, those that lack a key."""

    def __init__(self, models: Sequence[Model], favourites: Sequence[str], recent: Sequence[str]) -> None:
        first = {name: at for at, name in enumerate(dict.fromkeys([*favourites, *recent]))}
        named = [(model.name, model) for model in models]
        if first:
            last = len(first)
            named.sort(key=lambda each: first.get(each[0], last))
        named.sort(key=lambda each: each[1].missing is not None)
        self.models = [model for _, model in named]
        self.names = [name for name, _ in named]
        self._own = [len(name) - len(name.rpartition("/")[2]) for name in self.names]
        self._search = Names(self.names, self._own)
        self._orders: dict[Order, list[int]] = {}
        self._out = [_comparable(model) for model in self.models]

    def own_at(self, place: int) -> int:
        """Return where in its name a model's own name begins."""
        return self._own[place]

    def found(self, words: list[Word], order: Order) -> Sequence[int]:
        """Return the places of all models that match every word: usable ones first, then as `order` wants it.

        Names in which the letters stand here and there come behind all others, whatever they cost.
        """
        if not words:
            return range(len(self.models)) if order == "found" else self._ordered(order)
        missing = [model.missing is not None for model in self.models]
        ranked = self._search.ranked(words)
        if order == "found":
            return [place for *_, place in sorted((missing[place], rank, place) for rank, place in ranked)]
        turn = {place: at for at, place in enumerate(self._ordered(order))}
        return [
            place
            for *_, place in sorted((missing[place], is_scattered(rank), turn[place], place) for rank, place in ranked)
        ]

    def _ordered(self, order: Order) -> list[int]:
        if order not in self._orders:
            keys = [(model.missing is not None, *_key(model, order)) for model in self.models]
            self._orders[order] = sorted(range(len(keys)), key=keys.__getitem__)
        return self._orders[order]

    def cheapest(self, places: Iterable[int]) -> Decimal | None:
        """Return the lowest price of output among these that can be paid now; `None` where nothing is to compare."""
        prices = [out for place in places if (out := self._out[place]) is not None]
        return min(prices) if len(prices) > 1 else None

    def is_cheapest(self, place: int, cheapest: Decimal | None) -> bool:
        return cheapest is not None and self._out[place] == cheapest

    def shapes(self) -> "Shapes":
        """Return how wide the figures are: in, cached, out."""
        prices = [model.price for model in self.models if model.price is not None and not model.price.play]
        return (
            _shape((price.input_per_mtok, price) for price in prices),
            _shape((price.cached_input_per_mtok, price) for price in prices),
            _shape((price.output_per_mtok, price) for price in prices),
        )


Shape = tuple[int, int]
"""The most digits before and behind the point."""
Shapes = tuple[Shape, Shape, Shape]


def _shape(figures: Iterable[tuple[Decimal | None, Price]]) -> Shape:
    usd, written = [], []
    for value, price in figures:
        if value:
            rate = price.usd_rate
            if rate is None:
                written.append(figure(value, price))
            else:
                usd.append(value if rate is _ONE or rate == 1 else value * rate)
    written += {text for each in set(map(str, usd)) if "E" not in (text := each)}
    whole = max(1, max(usd).adjusted() + 1) if usd else 1
    behind = 2
    for text in written:
        before, _, after = text.partition(".")
        whole, behind = max(whole, len(before)), max(behind, len(after))
    return whole, min(behind, _MOST_BEHIND)


def _comparable(model: Model) -> Decimal | None:
    """Return the price of output in USD of a model that can be used and costs something."""
    price = model.price
    if model.missing is not None or price is None or price.play or not price.known or not price.output_per_mtok:
        return None
    return None if price.usd_rate is None else price.output_per_mtok * price.usd_rate


def _key(model: Model, order: Order) -> tuple[object, ...]:
    if order == "context":
        return (-(model.context_window or 0),)
    if order == "provider":
        return (model.provider.casefold(),)
    price = model.price
    if price is None or not price.known or price.output_per_mtok is None:
        return (2, 0)
    if price.play:
        return (3, 0)
    if price.usd_rate is None:
        return (1, price.output_per_mtok)
    return (0, price.output_per_mtok * price.usd_rate)


# what stands in a row


def figure(value: Decimal | None, price: Price) -> str:
    """Return a price per million tokens in USD, `0.28`, `0.0375`, `15.00`; without a rate in its own currency."""
    if value is None:
        return ""
    if price.usd_rate is None:
        return amount(value, price.currency)
    usd = value * price.usd_rate
    if 0 < usd < _FINEST:
        return f"<{_FINEST}"
    whole, _, decimals = f"{usd.quantize(_FINEST, rounding=ROUND_HALF_EVEN):f}".partition(".")
    return f"{whole}.{decimals.rstrip('0'):0<2}"


def out_of(model: Model) -> str:
    """Return the price of a million tokens of output: a figure, or `free`, `play`, `$?`."""
    price = model.price
    if price is None or not price.known:
        return "$?"
    if price.play:
        return "play"
    return "free" if price.free else figure(price.output_per_mtok, price)


def note_of(model: Model) -> str:
    """Return what there is to say of a model in a few words: what it lacks, or how old its price is."""
    if model.missing is not None:
        return f"needs {model.needs}" if model.needs else model.missing.split(",", 1)[0].split(";", 1)[0]
    price = model.price
    if model.scripted:
        return "scripted"
    if price is None or not price.known:
        return "no price"
    match price.source:
        case "local":
            return "here"
        case "config":
            return "config.toml"
        case "provider":
            return "its own list"
    return month(price.as_of or "")


def month(as_of: str) -> str:
    """Return `Dec 25` for `2025-12` or `2025-12-03`; what is no date as it is."""
    year, month_of_year = as_of[:4], as_of[5:7]
    dated = year.isdecimal() and as_of[4:5] == "-" and month_of_year.isdecimal() and 1 <= int(month_of_year) <= 12
    return f"{_MONTHS[int(month_of_year) - 1]} {year[2:]}" if dated else as_of


@record
class Columns:
    """How wide each column is; 0 = there is no room for it."""

    width: int
    name: int
    context: int
    given: int
    """What a million tokens in cost."""
    cached: int
    out: int
    note: int
    behind: tuple[int, int, int]
    """Cells behind the decimal point of in, cached and out."""

    @classmethod
    def within(cls, width: int, shapes: Shapes) -> "Columns":
        """Lay out `width` cells; what goes first is as of, cached, context, in. Name and price of output stay."""
        context = 9
        given, cached, out = (max(least, 3 + sum(shape)) for shape, least in zip(shapes, (8, 9, 9), strict=True))
        room = width - _EDGE - _NAME - 1
        note = min(3 + _WHOLE_NOTE, room - context - given - cached - out)
        if note < 3 + _NOTE:
            note = 0
        if context + given + cached + out + note > room:
            cached = 0
        if context + given + cached + out + note > room:
            context = 0
        if context + given + cached + out + note > room + 8:
            given = 0
        right = 0 if note else 1
        name = max(0, width - _EDGE - context - given - cached - out - note - right)
        behind = (shapes[0][1], shapes[1][1], shapes[2][1])
        return cls(width, name, context, given, cached, out, note, behind)


def aligned(shown: str, width: int, behind: int) -> str:
    """Return a figure of `width` cells with `behind` for what follows its point; words end where the column ends."""
    whole, point, decimals = shown.partition(".")
    return f"{whole}{point}{decimals:<{behind}}".rjust(width) if point else shown.rjust(width)


def heading(columns: Columns, order: Order, glyphs: Glyphs) -> Content:
    """Return the names of the columns, the one that sorts marked."""
    by = SORTED_BY[order] if order != "found" else ""

    def name(column: str) -> str:
        return f"{glyphs.open} {column}" if column == by else column

    cells = [(name("model"), " " * _EDGE + name("model").ljust(columns.name), "model")]
    for column, width in (
        ("context", columns.context),
        ("in", columns.given),
        ("cached", columns.cached),
        ("out", columns.out),
    ):
        if width:
            cells.append((name(column), name(column).rjust(width), column))
    if columns.note:
        cells.append(("as of", f"   {'as of':<{columns.note - 3}}", "as of"))
    return joined(*(styled(cell, "b $fg" if column == by else "$fg2") for _, cell, column in cells))


@record
class Row:
    """What one row shows; equal rows of one opening look the same."""

    model: Model = field(compare=False)
    name: str
    letters: tuple[int, ...] = ()
    """Which characters of the name the search stands for."""
    here: bool = False
    """The cursor is on it."""
    marked: bool = False
    favourite: bool = False
    cheapest: bool = False


def draw(shown: Row, columns: Columns, width: int, glyphs: Glyphs) -> Content:
    """Return one row of `width` cells."""
    model, price = shown.model, shown.model.price
    usable = model.missing is None
    plain = "$fg" if usable else "$fg2"
    edge = glyphs.bar if shown.here else " "
    start = f" {edge}{glyphs.marked if shown.marked else ' '} "
    spans = [Span(0, len(start), "$acc")] if shown.here else []
    name = _name(shown, columns.name, plain, glyphs)
    context = window(model.context_window) if model.context_window else ""
    paid = price is not None and price.known and not price.play and not price.free
    given = figure(price.input_per_mtok, price) if price is not None and paid else ""
    cached = figure(price.cached_input_per_mtok, price) if price is not None and paid else ""
    figures = context.rjust(columns.context) if columns.context else ""
    figures += aligned(given, columns.given, columns.behind[0]) if columns.given else ""
    figures += aligned(cached, columns.cached, columns.behind[1]) if columns.cached else ""
    out = aligned(out_of(model), columns.out, columns.behind[2])
    colour = "b $best" if shown.cheapest else f"b {plain}" if usable else plain
    rest = Content(figures + out, spans=[
        Span(0, len(figures), plain), Span(len(figures), len(figures) + len(out), colour)
    ])  # fmt: skip
    note = Content("")
    if columns.note:
        room = columns.note - 3
        note = text(note_of(model), "$fg2")
        note = joined("   ", note.truncate(room, ellipsis=True).pad_right(max(0, room - note.cell_length)))
    line = joined(Content(start, spans=spans), name, rest, note)
    line = fit(line, width)
    return line.stylize_before("on $sel") if shown.here else line


def _name(shown: Row, width: int, colour: str, glyphs: Glyphs) -> Content:
    """Return a name cut to its column, letters that were searched for underlined, a favourite with its mark behind."""
    clean = one_line(shown.name, 500)
    content = Content.styled(clean, colour)
    if len(clean) == len(shown.name):  # else the places are those of another text
        content = Content(clean, spans=[Span(0, len(clean), colour), *(Span(at, at + 1, "u") for at in shown.letters)])
    mark = styled(f" {glyphs.favourite}", "$fg2") if shown.favourite else Content("")
    room = max(0, width - mark.cell_length)
    if content.cell_length > room:
        content = content.truncate(room, ellipsis=room > 1)
    content = joined(content, mark) if width > 2 else content
    return content.pad_right(max(0, width - content.cell_length))


# what an answer would cost


def like_the_last(model: Model, usage: Usage | None, others: Iterable[Model], *, brief: bool = False) -> Content:
    """Return what an answer of as many tokens as the last one costs here, and on the dearest of some others.

    `brief` says so in fewer words. Empty when there was none, or its price is not known. Of a model that cannot be used
    it says what it lacks.
    """
    if model.missing is not None:
        return text(model.missing, "$stop")
    here = _like(model, usage)
    if here is None:
        return Content("")
    lead = "Like the last: " if brief else "An answer like your last one: "
    parts = [styled(lead, "$fg2"), styled(here[1], "b $fg"), styled(" here", "$fg2")]
    dearest: tuple[Decimal, str, Model] | None = None
    for other in others:
        there = _like(other, usage) if other.name != model.name and other.missing is None else None
        if there is not None and there[0] and (dearest is None or there[0] > dearest[0]):
            dearest = (*there, other)
    if dearest is not None:
        parts += [styled(f", {dearest[1]} on ", "$fg2"), text(dearest[2].short_name, "$fg2")]
    return joined(*parts, styled(".", "$fg2"))


def _like(model: Model, usage: Usage | None) -> tuple[Decimal, str] | None:
    if usage is None or (model.price is not None and model.price.play):
        return None
    found = cost_of(CountedUsage(usage, "estimated", ("input_tokens", "output_tokens")), model.price)
    return None if found.usd is None else (found.usd, cost(found))
