"""The price table: the one that comes with us, or a newer one that was fetched. `make_table` describes its format.

Every start has it, so it costs little: the file is read when it is first asked for, and a row becomes decimals when its
model is looked up. A fetched table is checked as a whole before it is kept (`check_table`); what is read back is looked
at again row by row, and a row that cannot be read is none: an unknown price is better than a wrong one.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, timedelta
from decimal import Decimal
from functools import cached_property
from pathlib import Path
from typing import Any

from tui_chat.core.pricing import Price, Tier, Window
from tui_chat.core.record import record

VERSION = 1
TABLE_FILE = Path(__file__).with_name("table.json")
_AS_OF = re.compile(r"20\d\d-(0[1-9]|1[0-2])(-(0[1-9]|[12]\d|3[01]))?", re.ASCII)
_HIGHEST = Decimal(10_000)
"""USD per million tokens; what is above is no price."""
_HIGHEST_FACTOR = 100
_MOST_TOKENS = 10**9
_MOST_PARTS = 100
_MOST_ROWS = 20_000
_LONGEST_NAME = 200
_LONGEST_FIGURE = 40
_AHEAD = timedelta(days=2)
"""How far clocks may be apart."""
_FIGURES = {
    "input": "input_per_mtok",
    "cached_input": "cached_input_per_mtok",
    "cache_write": "cache_write_per_mtok",
    "output": "output_per_mtok",
    "reasoning": "reasoning_per_mtok",
    "per_request": "per_request",
}
_TIER = frozenset(("above_tokens", "input", "cached_input", "cache_write", "output"))
_CHANGE = frozenset((*_FIGURES, "tiers", "from"))
_ROW = frozenset((*_FIGURES, "context_window", "tiers", "changes", "windows", "as_of", "source"))
_WINDOW = frozenset(("utc", "days", "factor"))

Plain = Mapping[str, object]


class TableError(ValueError):
    """A part of a table is not as it has to be."""


@record
class Row:
    context_window: int | None
    price: Price


class PriceTable(Mapping[str, Mapping[str, Row]]):
    """Vendor id → model id → row, made on demand."""

    def __init__(self, read: Callable[[], Plain], today: date, source: str = "bundled") -> None:
        """`read` returns the parsed table. `today` (UTC) decides which of the figures stand that change on a day."""
        self._read = read
        self._today = today
        self._source = source
        self._plain: Plain | None = None
        self._made: dict[str, _Rows] = {}

    def _part(self, name: str) -> Plain:
        if self._plain is None:
            self._plain = self._read()
        return _inner(self._plain, name)

    @cached_property
    def as_of(self) -> str:
        """The month or day for which the table was made; empty when it does not say."""
        self._part("rows")
        as_of = self._plain.get("as_of") if self._plain else None
        return as_of if isinstance(as_of, str) and _AS_OF.fullmatch(as_of) else ""

    @property
    def size(self) -> int:
        """The number of rows."""
        return sum(len(rows) for rows in self.values())

    def __getitem__(self, vendor: str) -> "_Rows":
        if vendor not in self._made:
            if vendor not in self._part("rows"):
                raise KeyError(vendor)
            make = RowReader(self._part("windows"), self.as_of, self._today, self._source)
            rows, names = _inner(self._part("rows"), vendor), _inner(self._part("aliases"), vendor)
            self._made[vendor] = _Rows(rows, names, make)
        return self._made[vendor]

    def __contains__(self, vendor: object) -> bool:
        return vendor in self._part("rows")

    def __iter__(self) -> Iterator[str]:
        return iter(self._part("rows"))

    def __len__(self) -> int:
        return len(self._part("rows"))


class _Rows(Mapping[str, Row]):
    """One vendor's rows. Further names of a model are found, but are not among the models that are gone through."""

    def __init__(self, rows: Plain, names: Plain, make: "RowReader") -> None:
        self._rows = rows
        self._names = names
        self._make = make
        self._made: dict[str, Row | None] = {}

    def __getitem__(self, model: str) -> Row:
        if model not in self._rows and isinstance(meant := self._names.get(model), str):
            model = meant
        if model not in self._made:
            try:
                self._made[model] = self._make.row(self._rows[model])
            except ValueError:
                self._made[model] = None
        made = self._made[model]
        if made is None:
            raise KeyError(model)
        return made

    def __iter__(self) -> Iterator[str]:
        return iter(self._rows)

    def __len__(self) -> int:
        return len(self._rows)


@record
class RowReader:
    """Makes rows of plain JSON values. Every method raises ValueError, mostly as TableError."""

    windows: Plain
    as_of: str
    today: date
    source: str

    def row(self, plain: object) -> Row:
        row = _known(plain, _ROW)
        source = row.get("source", self.source)
        if source not in (self.source, "guide"):
            raise TableError("its source is unknown")
        as_of, windows = row.get("as_of", self.as_of), row.get("windows")
        if not isinstance(as_of, str) or not _AS_OF.fullmatch(as_of):
            raise TableError("as_of is no month")
        if windows is not None and (not isinstance(windows, str) or windows not in self.windows):
            raise TableError("its times of day are not in the table")
        price = Price(
            **self._charged(row, guide=source == "guide"),
            windows=read_windows(self.windows[windows]) if windows is not None else (),
            source=str(source),
            as_of=as_of,
        )
        return Row(_tokens(row["context_window"]) if "context_window" in row else None, price)

    def _charged(self, row: Plain, *, guide: bool) -> dict[str, Any]:
        """Return the figures and tiers that hold today; those of other days are looked at all the same."""
        charged, before = _figures(row, guide=guide), ""
        for each in _several(row.get("changes", [])):
            change = _known(each, _CHANGE)
            day = change.get("from")
            if not isinstance(day, str) or len(day) != 10 or day <= before:
                raise TableError("a change has no day, or is not in its place")
            figures, before = _figures(change, guide=guide), day
            if date.fromisoformat(day) <= self.today:
                charged = figures
        return charged


def load_table(today: date, fetched: object = None) -> PriceTable:
    """Return the newer one of the built-in table and of one that was fetched and checked before (parsed JSON).

    What is no table is passed over.
    """
    own = PriceTable(_bundled, today)
    if isinstance(fetched, dict) and fetched.get("version") == VERSION and _inner(fetched, "rows"):
        table = PriceTable(lambda: fetched, today, "fetched")
        if table.as_of and not _is_older(table.as_of, own.as_of):
            return table
    return own


def check_table(fetched: object, in_use: PriceTable, today: date) -> None:
    """Look at every part of a table that shall take the place of the one in use. Raises ValueError, which says why."""
    if not isinstance(fetched, dict) or not isinstance(fetched.get("rows"), dict):
        raise TableError("is no price table")
    if fetched.get("version") != VERSION:
        raise TableError(f"is of version {fetched.get('version')!a:.20}; this program reads version {VERSION}")
    table = PriceTable(lambda: fetched, today, "fetched")
    if not table.as_of:
        raise TableError("does not say of which month it is")
    if _is_older(table.as_of, in_use.as_of):
        raise TableError(f"is of {table.as_of}, older than the one in use, of {in_use.as_of}")
    if table.as_of > (today + _AHEAD).isoformat()[: len(table.as_of)]:
        raise TableError(f"is of {table.as_of}, which is still to come")
    if table.size > _MOST_ROWS:  # every start reads them
        raise TableError(f"has {table.size:,} rows, too many")
    _check_parts(fetched, RowReader(_inner(fetched, "windows"), table.as_of, today, "fetched"))
    if table.size * 2 < in_use.size:
        raise TableError(f"has {table.size} rows, less than half of the {in_use.size} in use")


def _check_parts(fetched: Plain, reader: RowReader) -> None:
    rows, windows, aliases = (fetched.get(part, {}) for part in ("rows", "windows", "aliases"))
    for name, several in _parts(windows, "times of day"):
        _checked(f"times of day {name:.60}", read_windows, several)
    for vendor, its in _parts(rows, "rows"):
        for model, row in _parts(its, f"rows of {vendor:.60}"):
            if not model or len(model) > _LONGEST_NAME or not model.isprintable() or " " in model:
                raise TableError(f"has an unreadable name, {vendor:.60}/{model!a:.60}")
            _checked(f"{vendor:.60}/{model:.60}", reader.row, row)
    for vendor, names in _parts(aliases, "further names"):
        for name, meant in _parts(names, f"further names of {vendor:.60}"):
            if not isinstance(meant, str) or meant not in _inner(_inner(fetched, "rows"), vendor):
                raise TableError(f"has a further name of no model, {vendor:.60}/{name!a:.60}")


def _checked(name: str, read: Callable[[object], object], value: object) -> None:
    try:
        read(value)
    except ValueError as bad:
        raise TableError(f"is wrong at {name}: {bad}") from None


def _parts(value: object, what: str) -> Iterable[tuple[str, object]]:
    if not isinstance(value, dict):
        raise TableError(f"has no readable {what}")
    return value.items()


def _is_older(one: str, other: str) -> bool:
    """Compare months or days; a month and a day of it are as old as one another."""
    both = min(len(one), len(other))
    return one[:both] < other[:both]


def _bundled() -> Plain:
    table: Plain = json.loads(TABLE_FILE.read_bytes())
    return table


# parts of a table: JSON of which nothing is sure


def _inner(plain: Plain, name: str) -> dict[str, object]:
    found = plain.get(name)
    return found if isinstance(found, dict) else {}


def _known(plain: object, names: frozenset[str]) -> Plain:
    if not isinstance(plain, dict):
        raise TableError("it is no object")
    if not plain.keys() <= names:
        raise TableError(f"{min(plain.keys() - names)!a:.60} is unknown")
    return plain


def _several(value: object) -> list[object]:
    if not isinstance(value, list) or len(value) > _MOST_PARTS:
        raise TableError("it has no list where one belongs")
    return value


def _figures(row: Plain, *, guide: bool) -> dict[str, Any]:
    found: dict[str, Any] = {ours: _figure(row[name], name) for name, ours in _FIGURES.items() if name in row}
    if "output_per_mtok" not in found or not (guide or "input_per_mtok" in found):
        raise TableError("it lacks a price of input or output")
    if "tiers" in row:
        found["tiers"] = tuple(_tier(each) for each in _several(row["tiers"]))
    return found


def _figure(value: object, name: str) -> Decimal:
    try:
        figure = Decimal(value) if isinstance(value, str) and len(value) <= _LONGEST_FIGURE else None
    except ArithmeticError:
        figure = None
    if figure is None or not figure.is_finite() or not 0 <= figure <= _HIGHEST:
        raise TableError(f"{name} is no price: {value!a:.40}")
    return figure


def _tier(plain: object) -> Tier:
    tier = _known(plain, _TIER)
    if not {"above_tokens", "input", "output"} <= tier.keys():
        raise TableError("a tier lacks above_tokens, input or output")
    figures = {ours: _figure(tier[name], name) for name, ours in _FIGURES.items() if name in tier}
    return Tier(above_tokens=_tokens(tier["above_tokens"]), **figures)


def _tokens(value: object) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 < value <= _MOST_TOKENS:
        raise TableError(f"{value!a:.40} is no number of tokens")
    return value


def read_windows(several: object) -> tuple[Window, ...]:
    """Return times of day at which prices are multiplied. Raises ValueError."""
    found = []
    for each in _several(several):
        window = _known(each, _WINDOW)
        utc, days = window.get("utc"), window.get("days", "")
        if not isinstance(utc, str) or not isinstance(days, str):
            raise TableError("it has no times of day")
        factor = _figure(window.get("factor"), "factor")
        if not 0 < factor <= _HIGHEST_FACTOR:
            raise TableError(f"{factor} is no factor")
        found.append(Window.parse(utc, days, factor))
    return tuple(found)
