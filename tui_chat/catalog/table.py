"""The price table that comes with us: exact decimals and the month for which each row was read."""

import json
from collections.abc import Mapping
from decimal import Decimal
from pathlib import Path

from tui_chat.core.pricing import Price, Window
from tui_chat.core.record import record

_FILE = Path(__file__).with_name("table.json")


@record
class Row:
    context_window: int | None
    price: Price


def load_table() -> Mapping[str, Mapping[str, Row]]:
    """Return vendor id → model id → row."""
    table = json.loads(_FILE.read_text(encoding="utf-8"))
    windows = {
        name: tuple(Window.parse(each["utc"], each["days"], Decimal(each["factor"])) for each in several)
        for name, several in table["windows"].items()
    }
    return {
        vendor: {model: _row(row, table["as_of"], windows) for model, row in rows.items()}
        for vendor, rows in table["rows"].items()
    }


def _row(row: Mapping[str, str], as_of: str, windows: Mapping[str, tuple[Window, ...]]) -> Row:
    def figure(name: str) -> Decimal | None:
        return Decimal(row[name]) if name in row else None

    window = row.get("context_window")
    price = Price(
        input_per_mtok=figure("input"),
        output_per_mtok=figure("output"),
        cached_input_per_mtok=figure("cached_input"),
        cache_write_per_mtok=figure("cache_write"),
        windows=windows.get(row.get("windows", ""), ()),
        source=row.get("source", "bundled"),
        as_of=row.get("as_of", as_of),
    )
    return Row(int(window) if window is not None else None, price)
