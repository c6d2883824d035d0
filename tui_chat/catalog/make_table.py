"""Makes the price table again, from the package genai-prices and the corrections that are checked in beside this file.

    pip install 'tui-chat[prices]'            # the release that corrections.json names
    python -m tui_chat.catalog.make_table     # writes table.json; a second run writes the same bytes

genai-prices is read here and nowhere else: at run time it would cost a second HTTP stack and a quarter of a second.
What it says is taken only where it can be charged exactly: names that it spells out (a clause that begins, contains or
searches is a guess about names nobody has seen), models that answer in text, prices without a time of day (it has no
weekdays), and none with fees for what our usage does not count. corrections.json has the rest, each with its source.

The table is what `[prices] url` fetches, too. One JSON object:

    version    1
    about      words for readers
    made_from  the source, for readers
    as_of      "2026-11" or "2026-11-21": the month or day for which a row holds that says none itself
    windows    {name: [{"utc": "01:00-04:00", "days": "mon-fri", "factor": "2"}]}: times at which all prices of a row
               are multiplied
    rows       {vendor: {model: row}}; a vendor is the name of a preset that sells at its own host
    aliases    {vendor: {name: model}}: further names of a row, at the same price

A row has, each only where it is known: `input`, `cached_input`, `cache_write`, `output`, `reasoning` (USD per million
tokens, decimals as text), `per_request` (USD), `context_window` (tokens), `tiers` ([{"above_tokens", "input", "output",
"cached_input", "cache_write"}]: the whole request moves to the tier), `changes` ([{"from": "2027-01-01", …}]: from that
day (UTC) on these figures and tiers stand in the place of all the row's), `windows` (a name of the above), `as_of`, and
`source` ("guide": what a reseller's own guide prints; such a row needs no `input`).
"""

import json
import re
import sys
from collections.abc import Iterator, Mapping
from datetime import date
from decimal import Decimal
from importlib import import_module
from importlib.metadata import version
from pathlib import Path
from typing import Any

from tui_chat.catalog.presets import PRESETS
from tui_chat.catalog.table import TABLE_FILE, VERSION

_CORRECTIONS = Path(__file__).with_name("corrections.json")
_ABOUT = "USD per million tokens, decimals as text: what each vendor charges at its own host. See make_table.py."
_THEIR_NAMES = {"gemini": "google", "xai": "x-ai", "moonshot": "moonshotai"}
"""What genai-prices calls a vendor, where it is not our word."""
_FIGURES = {
    "input": "input_mtok",
    "cached_input": "cache_read_mtok",
    "cache_write": "cache_write_mtok",
    "output": "output_mtok",
    "reasoning": "output_reasoning_mtok",
}
_TIERED = ("input", "cached_input", "cache_write", "output")
_UNCOUNTED = ("output_image_mtok", "output_audio_mtok", "output_video_mtok", "output_citation_mtok", "audio_hours")
"""What is charged besides, and is not in the usage that we read."""
_CHECKED = re.compile(r"check|verif", re.IGNORECASE)
_ORDER = (
    *("context_window", "input", "cached_input", "cache_write", "output", "reasoning", "per_request"),
    *("tiers", "changes", "windows", "as_of", "source"),
)
_MONEY = frozenset((*_FIGURES, "per_request"))

_Row = dict[str, Any]


def make_table() -> str:
    """Return the text of the table. Raises ImportError and ValueError."""
    corrections = json.loads(_CORRECTIONS.read_text(encoding="utf-8"))
    wanted, found = corrections["genai_prices"], version("genai-prices")
    if found != wanted:
        raise ValueError(f"genai-prices {found} is installed, corrections.json is for {wanted}; look through it first")
    rows: dict[str, dict[str, _Row]] = {}
    aliases: dict[str, dict[str, str]] = {}
    providers = {provider.id: provider for provider in import_module("genai_prices.data").providers}
    for vendor, preset in PRESETS.items():
        provider = providers.get(_THEIR_NAMES.get(vendor, vendor))
        if preset.vendor and provider is not None:
            rows[vendor], aliases[vendor] = _read(vendor, provider, corrections)
    for correction in corrections["rows"]:
        _correct(rows.setdefault(correction["vendor"], {}), aliases.get(correction["vendor"], {}), correction)
    for each in corrections["aliases"]:
        aliases.setdefault(each["vendor"], {}).update(each["names"])
    for vendor, names in aliases.items():
        for name, model in names.items():
            if model not in rows[vendor] or name in rows[vendor]:
                raise ValueError(f"{vendor}: {name} cannot be another name of {model}")
    table = {
        "version": VERSION,
        "about": _ABOUT,
        "made_from": f"genai-prices {found} and corrections.json",
        "as_of": corrections["as_of"],
        "windows": corrections["windows"],
        "rows": {vendor: {name: _ordered(row) for name, row in sorted(its.items())} for vendor, its in rows.items()},
        "aliases": {vendor: dict(sorted(names.items())) for vendor, names in aliases.items() if names},
    }
    return _text(table)


def _read(vendor: str, provider: Any, corrections: Mapping[str, Any]) -> tuple[dict[str, _Row], dict[str, str]]:
    """Return what genai-prices says of a vendor: rows, and further names of them."""
    said = [each["names"] for each in corrections["left_out"] if each["vendor"] in (vendor, "*")]
    left_out = re.compile("|".join(f"(?:{names})" for names in said), re.IGNORECASE)
    corrected = {each["model"] for each in corrections["rows"] if each["vendor"] == vendor}
    rows: dict[str, _Row] = {}
    aliases: dict[str, str] = {}
    for model in provider.models:
        names = [
            name
            for name in _names(model)
            if not left_out.fullmatch(name)
            and (name == model.id or name not in corrected)  # else that row would take its other names along
            and next(each for each in provider.models if each.is_match(name)) is model
        ]
        row = _row(model, corrections["as_of"])
        if names and row is not None:
            rows[names[0]] = row
            aliases |= dict.fromkeys(names[1:], names[0])
    return rows, aliases


def _names(model: Any) -> list[str]:
    """Return the names that are certainly this model's, the best first: its own, and those its clauses spell out."""
    spelt = list(_spelt(model.match))
    names = [model.id, *spelt] if model.is_match(model.id) else spelt
    if model.id != model.id.lower() and model.id.lower() in spelt:
        names.insert(0, model.id.lower())
    return list(dict.fromkeys(names))


def _spelt(clause: Any) -> Iterator[str]:
    if hasattr(clause, "equals"):
        yield clause.equals
    for each in getattr(clause, "or_", ()):
        yield from _spelt(each)


def _row(model: Any, as_of: str) -> _Row | None:
    """Return a model's row, `None` when its price cannot be charged from what we count."""
    prices = model.prices if isinstance(model.prices, list) else []
    if any(hasattr(each.constraint, "start_time") for each in prices):
        return None
    if not prices:
        figures, changes = _figures(model.prices), []
    else:
        day = date.fromisoformat(f"{as_of:.7}-01")
        now = [each for each in prices if each.constraint is None or each.constraint.start_date <= day]
        later = [each for each in prices if each.constraint is not None and each.constraint.start_date > day]
        figures = _figures((now or prices)[-1].prices)
        changes = [{"from": each.constraint.start_date.isoformat(), **_figures(each.prices)} for each in later]
    uncounted = any(getattr(each, name, None) for each in _all(model) for name in _UNCOUNTED)
    if uncounted or not all("input" in each and "output" in each for each in (figures, *changes)):
        return None
    row = {"context_window": model.context_window, **figures, "changes": _different(figures, changes)}
    checked = _checked(model.price_comments or "", as_of)
    return {**row, "as_of": None if checked == as_of else checked}


def _all(model: Any) -> list[Any]:
    return [each.prices for each in model.prices] if isinstance(model.prices, list) else [model.prices]


def _different(figures: _Row, changes: list[_Row]) -> list[_Row]:
    """Return the changes that change anything that we count."""
    kept: list[_Row] = []
    for change in changes:
        before = {name: value for name, value in (kept[-1] if kept else figures).items() if name != "from"}
        if {name: value for name, value in change.items() if name != "from"} != before:
            kept.append(change)
    return kept


def _figures(prices: Any) -> _Row:
    """Return the figures and tiers of a `ModelPrice`."""
    stated = {ours: value for ours, theirs in _FIGURES.items() if (value := getattr(prices, theirs, None)) is not None}
    row: _Row = {name: _decimal(getattr(value, "base", value)) for name, value in stated.items()}
    fee = getattr(prices, "requests_kcount", None)
    if fee is not None:
        row["per_request"] = _decimal(fee / 1000)
    starts = sorted({tier.start for value in stated.values() for tier in getattr(value, "tiers", ())})
    if starts:
        row["tiers"] = [
            {
                "above_tokens": start,
                **{name: _decimal(_at(stated[name], start)) for name in _TIERED if name in stated},
            }
            for start in starts
        ]
    return row


def _at(value: Any, start: int) -> Decimal:
    """Return a price in the tier that starts there."""
    reached = [tier.price for tier in getattr(value, "tiers", ()) if tier.start <= start]
    return Decimal(reached[-1] if reached else getattr(value, "base", value))


def _decimal(value: Decimal) -> str:
    return f"{Decimal(value).normalize():f}"


def _checked(comments: str, as_of: str) -> str:
    """Return the month in which a row was last looked at: what the comments say, else the table's."""
    said = [sentence for sentence in re.split(r"[.;] ", comments) if _CHECKED.search(sentence)]
    months = [found for sentence in said for found in re.findall(r"\b(20\d\d-\d\d)-\d\d\b", sentence)]
    return min(max(months), as_of) if months else as_of


def _correct(rows: dict[str, _Row], aliases: dict[str, str], correction: Mapping[str, Any]) -> None:
    """Lay a correction over the row of its model, key by key."""
    name = correction["model"]
    for needed in ("vendor", "source", "why"):
        if not correction.get(needed):
            raise ValueError(f"corrections.json: {name} lacks {needed}")
    if name in aliases:
        raise ValueError(f"corrections.json: {name} is another name of {aliases[name]}")
    said = {key: value for key, value in correction.items() if key in _ORDER and key not in ("source", "as_of")}
    said |= {key: _decimal(Decimal(value)) for key, value in said.items() if key in _MONEY and value is not None}
    before = rows.get(name)
    agrees = before is not None and all(before.get(key) == value for key, value in said.items() if key in _MONEY)
    row = {**(before or {}), **said}
    if not agrees:  # else the later date stands: genai-prices saw the same figures since
        row["as_of"] = correction["as_of"]
    if correction.get("guide"):
        row["source"] = "guide"
    rows[name] = row


def _ordered(row: _Row) -> _Row:
    return {key: row[key] for key in _ORDER if row.get(key) not in (None, [])}


def _text(table: Mapping[str, Any]) -> str:
    """Return JSON with a line for each row, which reads well in a diff."""
    lines = []
    for key, value in table.items():
        if key in ("rows", "aliases"):
            vendors = (
                f'  "{vendor}": {{\n'
                + ",\n".join(f"   {json.dumps(name)}: {json.dumps(row)}" for name, row in its.items())
                + "\n  }"
                for vendor, its in value.items()
            )
            lines.append(f' "{key}": {{\n' + ",\n".join(vendors) + "\n }")
        else:
            lines.append(f" {json.dumps(key)}: {json.dumps(value)}")
    return "{\n" + ",\n".join(lines) + "\n}\n"


def main() -> int:
    text = make_table()
    TABLE_FILE.write_text(text, encoding="utf-8")
    counts = ", ".join(f"{vendor} {len(rows)}" for vendor, rows in json.loads(text)["rows"].items())
    sys.stdout.write(f"{TABLE_FILE}: {len(text)} bytes; {counts}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
