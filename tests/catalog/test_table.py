"""The price table: what comes with us, how it is made, what a fetched one has to be."""

import copy
import json
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime
from decimal import Decimal
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import pytest

from tui_chat.catalog import table as table_module
from tui_chat.catalog.presets import PRESETS
from tui_chat.catalog.table import TABLE_FILE, PriceTable, Row, RowReader, check_table, load_table
from tui_chat.core.pricing import cost_of
from tui_chat.core.usage import CountedUsage, Usage

TODAY = date(2026, 11, 21)
TABLE = load_table(TODAY)
PLAIN = json.loads(TABLE_FILE.read_text(encoding="utf-8"))
CORRECTIONS = json.loads(TABLE_FILE.with_name("corrections.json").read_text(encoding="utf-8"))


def every_row() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for vendor, rows in PLAIN["rows"].items():
        for model, row in rows.items():
            yield vendor, model, row


def small(**row: object) -> dict[str, Any]:
    """Return a table of one row."""
    return {
        "version": 1,
        "as_of": "2026-11",
        "windows": {"peak": [{"utc": "01:00-04:00", "days": "mon-fri", "factor": "2"}]},
        "rows": {"openai": {"m": {"input": "1", "output": "2", **row}}},
        "aliases": {"openai": {"m-2026-01-01": "m"}},
    }


def of(plain: dict[str, Any], today: date = TODAY) -> PriceTable:
    return PriceTable(lambda: plain, today)


# what comes with us


def test_every_row_of_ours_can_be_read_and_is_whole():
    reader = RowReader(PLAIN["windows"], PLAIN["as_of"], TODAY, "bundled")
    for vendor, model, row in every_row():
        price = reader.row(row).price
        assert price.known or (vendor, price.source) == ("holysheep", "guide"), model
        assert not price.free, f"{vendor}/{model} would be shown as free"
        assert price.as_of is not None
        assert "2025" <= price.as_of <= PLAIN["as_of"]


def test_every_figure_of_ours_is_plain_decimal_text():
    names = {"input", "cached_input", "cache_write", "output", "reasoning", "per_request"}
    for vendor, model, row in every_row():
        for part in (row, *row.get("tiers", ()), *row.get("changes", ())):
            for name in names & part.keys():
                assert part[name] == f"{Decimal(part[name]).normalize():f}", f"{vendor}/{model} {name}"


def test_cached_input_is_never_dearer_and_tiers_never_cheaper():
    for vendor, model, _ in every_row():
        price = TABLE[vendor][model].price
        if price.input_per_mtok is not None:
            assert (price.cached_input_per_mtok or 0) <= price.input_per_mtok, model
        for tier in price.tiers:
            assert tier.input_per_mtok >= (price.input_per_mtok or 0), model
            assert tier.output_per_mtok >= (price.output_per_mtok or 0), model
            assert (tier.cached_input_per_mtok is None) == (price.cached_input_per_mtok is None) or model.startswith(
                "grok-4-"
            )


def test_every_vendor_sells_at_its_own_host():
    sellers = {name for name, preset in PRESETS.items() if preset.vendor}
    assert set(TABLE) <= sellers
    assert sellers - set(TABLE) == {"qwen", "siliconflow"}, "of which genai-prices says nothing"


def test_our_own_table_passes_the_check():
    check_table(PLAIN, TABLE, TODAY)


@pytest.mark.parametrize(
    ("vendor", "model", "sent", "cached", "answered"),
    [
        ("deepseek", "deepseek-chat", "0.28", "0.028", "0.42"),
        ("deepseek", "deepseek-reasoner", "0.28", "0.028", "0.42"),
        ("deepseek", "deepseek-v3.2", "0.28", "0.028", "0.42"),
        ("deepseek", "deepseek-flash", "0.15", "0.003", "0.60"),
        ("deepseek", "deepseek-v4-pro", "0.66", "0.022", "1.98"),
        ("gemini", "gemini-2.5-flash", "0.30", "0.03", "2.50"),
        ("gemini", "gemini-2.5-pro", "1.25", "0.125", "10"),
        ("openai", "gpt-4.1", "2.00", "0.50", "8.00"),
        ("openai", "gpt-4.1-mini", "0.40", "0.10", "1.60"),
        ("openai", "gpt-5", "1.25", "0.125", "10.00"),
        ("openai", "o3", "2", "0.5", "8"),
        ("anthropic", "claude-sonnet-4-5", "3.00", "0.30", "15.00"),
        ("anthropic", "claude-sonnet-5-5", "2.00", "0.1", "10.00"),
        ("anthropic", "claude-haiku-4-5", "1.00", "0.10", "5.00"),
        ("anthropic", "claude-opus-4-1", "15", "1.5", "75"),
        ("anthropic", "claude-opus-4-5", "5", "0.5", "25"),
        ("mistral", "mistral-large-2411", "2", None, "6"),
        ("mistral", "mistral-large-latest", "0.5", "0.05", "1.5"),
        ("groq", "llama-3.3-70b-versatile", "0.59", None, "0.79"),
        ("xai", "grok-4", "3", "0.75", "15"),
        ("perplexity", "sonar", "1", None, "1"),
        ("zai", "glm-4.6", "0.6", "0.11", "2.2"),
    ],
)
def test_well_known_prices(vendor, model, sent, cached, answered):
    price = TABLE[vendor][model].price
    figures = (price.input_per_mtok, price.cached_input_per_mtok, price.output_per_mtok)
    assert figures == tuple(None if figure is None else Decimal(figure) for figure in (sent, cached, answered))
    assert price.source == "bundled"


@pytest.mark.parametrize(
    ("model", "answered"),
    [
        ("deepseek-v3.2", "0.42"),
        ("gemini-2.5-flash", "2.50"),
        ("gpt-4.1", "8.00"),
        ("claude-sonnet-4.5", "15.00"),
        ("claude-sonnet-4-5", "15.00"),
    ],
)
def test_a_guide_prints_output_prices_only(model, answered):
    price = TABLE["holysheep"][model].price
    assert (price.output_per_mtok, price.input_per_mtok, price.source) == (Decimal(answered), None, "guide")
    assert price.as_of == "2026-01"


def test_the_tier_of_sonnet_4_5_is_moot_and_that_of_gemini_stands():
    assert TABLE["anthropic"]["claude-sonnet-4-5"].price.tiers == ()
    (tier,) = TABLE["gemini"]["gemini-2.5-pro"].price.tiers
    assert (tier.above_tokens, tier.input_per_mtok, tier.output_per_mtok) == (200_000, Decimal("2.5"), Decimal(15))


def test_a_tier_has_its_own_price_for_writing_to_the_cache():
    price = TABLE["anthropic"]["claude-haiku-5-5"].price
    below = CountedUsage(Usage(input_tokens=100_000, output_tokens=0, cache_write_tokens=100_000), "reported")
    above = CountedUsage(Usage(input_tokens=100_001, output_tokens=0, cache_write_tokens=100_001), "reported")
    assert cost_of(below, price).amount == Decimal("0.0125")
    assert cost_of(above, price).amount == Decimal("0.625") * 100_001 / 1_000_000


def test_deepseek_costs_double_at_peak_on_weekdays_only():
    price = TABLE["deepseek"]["deepseek-flash"].price
    one = CountedUsage(Usage(input_tokens=0, output_tokens=1_000_000), "reported")
    friday, saturday = datetime(2026, 11, 20, 2, tzinfo=UTC), datetime(2026, 11, 21, 2, tzinfo=UTC)
    assert [cost_of(one, price, at).amount for at in (friday, saturday)] == [Decimal("1.2"), Decimal("0.6")]


# further names


def test_a_dated_name_has_the_price_of_its_model_where_it_really_is_the_same():
    rows = TABLE["openai"]
    assert rows["gpt-4.1-2025-04-14"] is rows["gpt-4.1"]
    assert rows["gpt-4o-2024-08-06"] is rows["gpt-4o"]
    assert rows["gpt-4o-2024-05-13"].price.output_per_mtok == 15
    assert rows["gpt-4o"].price.output_per_mtok == 10
    assert TABLE["anthropic"]["claude-sonnet-4-5-20250929"] is TABLE["anthropic"]["claude-sonnet-4-5"]


@pytest.mark.parametrize(
    ("vendor", "model"),
    [
        ("openai", "gpt-4.1-2099-01-01"),
        ("openai", "ft:gpt-4o-2024-08-06:me::1"),
        ("openai", "gpt-4o-search-preview"),
        ("openai", "gpt-4o-mini-search-preview"),
        ("openai", "text-embedding-3-small"),
        ("openai", "gpt-oss-120b"),
        ("anthropic", "claude-sonnet-4-5-20990101"),
        ("gemini", "claude-opus-4-5"),
        ("gemini", "gemini-2.5-pro-preview-tts"),
        ("mistral", "mistral-large"),
        ("perplexity", "sonar-deep-research"),
    ],
)
def test_what_is_not_certain_has_no_price(vendor, model):
    assert TABLE[vendor].get(model) is None
    assert model not in TABLE[vendor]


def test_further_names_are_found_but_not_gone_through():
    rows = TABLE["openai"]
    assert "gpt-4.1-2025-04-14" in rows
    assert "gpt-4.1-2025-04-14" not in list(rows)
    assert len(list(rows)) == len(rows)


def test_further_names_stand_for_rows():
    for vendor, names in PLAIN["aliases"].items():
        for name, model in names.items():
            assert model in PLAIN["rows"][vendor]
            assert name not in PLAIN["rows"][vendor]


# prices that change on a day


def test_an_introductory_price_ends_on_its_day():
    before, after = (load_table(day)["gemini"]["gemini-4-argon"].price for day in (TODAY, date(2026, 12, 1)))
    assert (before.output_per_mtok, after.output_per_mtok) == (Decimal(10), Decimal(20))
    assert (before.as_of, before.source) == (after.as_of, after.source)


def test_after_several_changes_the_last_one_stands():
    changes = [{"from": "2026-11-20", "input": "3", "output": "4"}, {"from": "2026-11-22", "input": "5", "output": "6"}]
    row = small(changes=changes, cached_input="0.5")
    days = (date(2026, 11, 19), date(2026, 11, 20), date(2026, 11, 21), date(2026, 11, 22))
    prices = [of(row, day)["openai"]["m"].price for day in days]
    assert [price.input_per_mtok for price in prices] == [1, 3, 3, 5]
    assert prices[-1].cached_input_per_mtok is None, "a change takes the place of all figures"


# how little it costs


def test_nothing_is_read_before_it_is_asked_for():
    def read() -> dict[str, Any]:
        raise AssertionError

    PriceTable(read, TODAY)


def test_a_row_is_made_when_its_model_is_looked_up(monkeypatch):
    made: list[object] = []
    make = RowReader.row

    def noted(self: RowReader, plain: object) -> Row:
        made.append(plain)
        return make(self, plain)

    monkeypatch.setattr(RowReader, "row", noted)
    fresh = load_table(TODAY)
    assert "openai" in fresh
    assert len(list(fresh["openai"])) > 50
    assert "gpt-4.1" in list(fresh["openai"])
    assert made == []
    assert isinstance(fresh["openai"]["gpt-4.1"], Row)
    assert fresh["openai"]["gpt-4.1"] is fresh["openai"]["gpt-4.1-2025-04-14"]
    assert len(made) == 1


def test_a_vendor_or_model_that_is_not_there_is_none():
    assert "azure" not in TABLE
    assert TABLE.get("azure", {}) == {}
    assert TABLE["openai"].get("nobody") is None
    with pytest.raises(KeyError):
        TABLE["azure"]


# how it is made


def installed() -> str | None:
    try:
        return version("genai-prices")
    except PackageNotFoundError:
        return None


needs_the_source = pytest.mark.skipif(
    installed() != CORRECTIONS["genai_prices"], reason="needs genai-prices: pip install .[prices]"
)


@needs_the_source
def test_every_cost_is_the_one_that_genai_prices_computes():
    """Of all rows but the corrected ones, under all their names, below and above the tiers."""
    from genai_prices import Usage as TheirUsage
    from genai_prices import calc_price

    theirs = {"gemini": "google", "xai": "x-ai", "moonshot": "moonshotai"}
    corrected = {(each["vendor"], each["model"]) for each in CORRECTIONS["rows"]}
    noon, compared = datetime(2026, 11, 21, 12, tzinfo=UTC), 0
    names = [(vendor, model, model) for vendor, model, _ in every_row()]
    names += [(vendor, name, model) for vendor, its in PLAIN["aliases"].items() for name, model in its.items()]
    for vendor, name, model in names:
        price = TABLE[vendor][name].price
        if (vendor, model) in corrected and vendor != "openai":
            continue
        for sent, cached, written in ((50_000, 10_000, 0), (190_000, 0, 0), (300_000, 100_000, 50_000)):
            if (cached and price.cached_input_per_mtok is None) or (written and price.cache_write_per_mtok is None):
                continue
            usage = Usage(sent, 5000, cached_input_tokens=cached, cache_write_tokens=written)
            ours = cost_of(CountedUsage(usage, "reported"), price, noon).amount
            their_usage = TheirUsage(
                input_tokens=sent, cache_read_tokens=cached, cache_write_tokens=written, output_tokens=5000
            )
            found = calc_price(
                their_usage, model_ref=name, provider_id=theirs.get(vendor, vendor), genai_request_timestamp=noon
            )
            assert ours == found.total_price, f"{vendor}/{name} {sent} {cached} {written}"
            compared += 1
    assert compared > 700


@needs_the_source
def test_the_table_is_what_the_script_makes():
    from tui_chat.catalog.make_table import make_table

    made = make_table()
    assert made == TABLE_FILE.read_text(encoding="utf-8"), "run python -m tui_chat.catalog.make_table"
    assert made == make_table()


def test_every_correction_says_where_it_was_read_and_why_it_is_there():
    for row in CORRECTIONS["rows"]:
        assert {"vendor", "model", "source", "why"} <= row.keys()
        assert "as_of" in row or not {"input", "output", "per_request"} & row.keys()
        kept = PLAIN["rows"][row["vendor"]][row["model"]]
        for name in {"input", "cached_input", "cache_write", "output", "per_request"} & row.keys():
            assert Decimal(kept[name]) == Decimal(row[name]), row["model"]
    for left in CORRECTIONS["left_out"] + CORRECTIONS["aliases"]:
        assert left["why"]


def test_the_extra_names_the_release_that_the_corrections_are_for():
    project = (Path(__file__).parents[2] / "pyproject.toml").read_text(encoding="utf-8")
    assert f'prices = ["genai-prices=={CORRECTIONS["genai_prices"]}"]' in project


# a newer one


def test_a_fetched_table_that_is_not_older_is_used():
    newer = copy.deepcopy(PLAIN)
    newer["as_of"] = "2026-11-21"
    newer["rows"]["openai"]["gpt-4.1"]["output"] = "7"
    used = load_table(TODAY, newer)
    price = used["openai"]["gpt-4.1"].price
    assert (price.output_per_mtok, price.source, price.as_of) == (Decimal(7), "fetched", "2026-10")
    assert used["anthropic"]["claude-opus-5"].price.as_of == "2026-11-21"
    assert used["holysheep"]["gpt-4.1"].price.source == "guide"


@pytest.mark.parametrize(
    "kept",
    [
        None,
        [],
        "text",
        {},
        {"version": 1},
        {"version": 1, "as_of": "2026-12", "rows": []},
        {"version": 2, "as_of": "2026-12", "rows": {"openai": {}}},
        {"version": 1, "as_of": "2026-10", "rows": {"openai": {}}},
        {"version": 1, "as_of": 7, "rows": {"openai": {}}},
        {"version": 1, "as_of": "soon", "rows": {"openai": {}}},
    ],
)
def test_a_kept_table_that_is_damaged_or_older_is_passed_over(kept):
    assert load_table(TODAY, kept)["openai"]["gpt-4.1"].price.source == "bundled"


@pytest.mark.parametrize(
    "row", [None, 7, [], {}, {"input": "1"}, {"input": "x", "output": "1"}, {"input": 1, "output": 2}]
)
def test_a_row_that_cannot_be_read_is_none(row):
    damaged = small()
    damaged["rows"]["openai"]["m"] = row
    rows = of(damaged)["openai"]
    assert rows.get("m") is None
    assert rows.get("m-2026-01-01") is None
    broken = {"version": 1, "as_of": "2026-11", "rows": {"openai": 7, "xai": {"a": {}}}, "aliases": [], "windows": 3}
    assert of(broken)["openai"].get("gpt-4.1") is None
    assert of(broken)["xai"].get("a") is None


Change = Callable[[dict[str, Any]], object]


def row_with(**said: object) -> Change:
    return lambda table: table["rows"]["openai"]["gpt-4.1"].update(said)


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda t: t.update(version=2), "is of version 2; this program reads version 1"),
        (lambda t: t.update(version="1" * 500), "is of version '1111"),
        (lambda t: t.update(rows=[]), "is no price table"),
        (lambda t: t.update(as_of="2026-10"), "is of 2026-10, older than the one in use, of 2026-11"),
        (lambda t: t.update(as_of="2026-13"), "does not say of which month it is"),
        (lambda t: t.update(as_of=None), "does not say of which month it is"),
        (lambda t: t.update(as_of="2027-05"), "is of 2027-05, which is still to come"),
        (lambda t: t.update(as_of="2026-11-25"), "is of 2026-11-25, which is still to come"),
        (lambda t: t.update(windows=[]), "has no readable times of day"),
        (lambda t: t["windows"].update(x=[{"utc": "1-x", "factor": "2"}]), "is wrong at times of day x"),
        (lambda t: t["windows"].update(x=[{"utc": "01:00-02:00", "factor": "0"}]), "0 is no factor"),
        (lambda t: t["windows"].update(x=[{"utc": "01:00-02:00"}]), "factor is no price"),
        (lambda t: t["rows"]["xai"].update({str(n): {} for n in range(20_000)}), " rows, too many"),
        (lambda t: t["rows"].update(openai=3), "has no readable rows of openai"),
        (
            lambda t: t["rows"]["openai"].update({"a\nb": {"input": "1", "output": "1"}}),
            "has an unreadable name, openai/",
        ),
        (lambda t: t.update(aliases=[]), "has no readable further names"),
        (lambda t: t["aliases"]["openai"].update(a="nobody"), "has a further name of no model, openai/'a'"),
        (lambda t: t["aliases"]["openai"].update(a=[]), "has a further name of no model, openai/'a'"),
        (row_with(output="-1"), "is wrong at openai/gpt-4.1: output is no price: '-1'"),
        (row_with(output="NaN"), "output is no price: 'NaN'"),
        (row_with(output="Infinity"), "output is no price: 'Infinity'"),
        (row_with(output="10000.01"), "output is no price: '10000.01'"),
        (row_with(output="eight"), "output is no price: 'eight'"),
        (row_with(output=8), "output is no price: 8"),
        (row_with(output=None), "output is no price: None"),
        (row_with(cached_input="1e999999"), "cached_input is no price"),
        (row_with(context_window=0), "0 is no number of tokens"),
        (row_with(context_window="1000"), "'1000' is no number of tokens"),
        (row_with(context_window=True), "True is no number of tokens"),
        (row_with(windows="never"), "its times of day are not in the table"),
        (row_with(windows=[]), "its times of day are not in the table"),
        (row_with(tiers={}), "it has no list where one belongs"),
        (row_with(tiers=[{"above_tokens": 1, "input": "1"}]), "a tier lacks"),
        (row_with(tiers=[{"above_tokens": 1.5, "input": "1", "output": "1"}]), "1.5 is no number of tokens"),
        (row_with(changes=[{"input": "1", "output": "1"}]), "a change has no day"),
        (row_with(changes=[{"from": "2026-99-99", "input": "1", "output": "1"}]), "is wrong at openai/gpt-4.1"),
        (row_with(changes=[{"from": "2027-01-01", "input": "1", "output": "x"}]), "output is no price: 'x'"),
        (row_with(audio="1"), "'audio' is unknown"),
        (row_with(source="config"), "its source is unknown"),
        (row_with(as_of="yesterday"), "as_of is no month"),
        (lambda t: t["rows"]["openai"]["gpt-4.1"].pop("input"), "it lacks a price of input or output"),
        (
            lambda t: [t["rows"].pop(name) for name in ("openai", "fireworks", "mistral", "together")],
            "name of no model",
        ),
        (
            lambda t: [(t["rows"].pop(name), t["aliases"].pop(name, 0)) for name in list(t["rows"])[:8]],
            "less than half of the",
        ),
    ],
)
def test_a_table_that_is_wrong_anywhere_says_where(change, said):
    wrong = copy.deepcopy(PLAIN)
    change(wrong)
    with pytest.raises(ValueError, match=r".") as caught:
        check_table(wrong, TABLE, TODAY)
    assert said in str(caught.value)
    assert len(str(caught.value)) < 300


@pytest.mark.parametrize("wrong", [None, [], 7, "x", {"rows": None}])
def test_what_is_no_table_at_all_is_told_from_one(wrong):
    with pytest.raises(ValueError, match="is no price table"):
        check_table(wrong, TABLE, TODAY)


def test_a_day_is_not_older_than_its_month():
    assert not table_module._is_older("2026-11", "2026-11-21")
    assert not table_module._is_older("2026-11-01", "2026-11")
    assert table_module._is_older("2026-10-31", "2026-11")
