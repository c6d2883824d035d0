"""Which models there are, what they cost, and which is meant."""

from dataclasses import replace
from datetime import date
from decimal import Decimal

import pytest

from tui_chat.catalog.catalog import Catalog, ModelOverride, ProviderEntry
from tui_chat.catalog.presets import PRESETS
from tui_chat.catalog.table import load_table
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price
from tui_chat.providers.registry import WIRE_FORMATS

TABLE = load_table(date(2026, 11, 21))
DEMO = [Model("demo", name, "demo", scripted=True, price=Price(play=True)) for name in ("quick", "thinker", "rambler")]


def entry(name: str, **said: object) -> ProviderEntry:
    preset = PRESETS.get(name)
    made = ProviderEntry(
        name,
        "openai",
        preset.base_url if preset else "http://127.0.0.1:9/v1",
        missing=f"set {preset.key_env}" if preset and preset.key_env else None,
        first=preset.first if preset else None,
    )
    return replace(made, **said)  # type: ignore[arg-type]


def catalog(*entries: ProviderEntry, overrides: dict[str, ModelOverride] | None = None, **more: str) -> Catalog:
    named = {each.id: each for each in entries}
    every = [*entries, *(entry(name) for name in PRESETS if name not in named)]
    return Catalog(every, overrides or {}, PRESETS, TABLE, DEMO, default_model=more.get("default_model"))


def names(models) -> list[str]:
    return [model.name for model in models]


# presets and prices


def test_every_preset_is_a_whole_provider():
    hosted = [
        *("openai", "anthropic", "gemini", "deepseek", "openrouter", "mistral", "groq", "xai", "together"),
        *("fireworks", "perplexity", "cerebras", "azure", "github", "moonshot", "zai", "qwen", "siliconflow"),
        *("aiwave", "holysheep", "aipower"),
    ]
    local = ["ollama", "lmstudio", "llamacpp", "vllm"]
    assert list(PRESETS) == hosted + local
    for name, preset in PRESETS.items():
        assert preset.title
        assert preset.kind in WIRE_FORMATS
        assert preset.local == (name in local) == (preset.key_env is None), name
        assert preset.base_url.startswith("http://127.0.0.1:" if preset.local else "https://") or preset.base_url_env
        assert not preset.base_url.endswith("/")
        assert preset.first is None or name not in TABLE or preset.first in TABLE[name]
        assert preset.local or (preset.keys_page and preset.prices_page), name
        assert not any("://" in page for page in (preset.keys_page, preset.prices_page))
        assert preset.stops_source, name
        assert preset.stops_billing == "unknown" or "nothing found" not in preset.stops_source, name
        assert not preset.list_url or preset.list_url.startswith("https://")


def test_the_addresses_of_the_guides_are_built_in():
    assert {name: PRESETS[name].base_url for name in ("aiwave", "holysheep", "aipower")} == {
        "aiwave": "https://api.aiwave.live/v1",
        "holysheep": "https://api.holysheep.ai/v1",
        "aipower": "https://api.aipower.me/v1",
    }


def test_every_row_of_the_table_belongs_to_a_vendor_and_has_a_month():
    for vendor, rows in TABLE.items():
        assert PRESETS[vendor].vendor
        assert all(row.price.as_of for row in rows.values())
        assert all(row.price.known for row in rows.values()) or vendor == "holysheep"


@pytest.mark.parametrize(
    ("vendor", "model", "figures"),
    [
        ("deepseek", "deepseek-chat", ("0.28", "0.028", "0.42")),
        ("deepseek", "deepseek-reasoner", ("0.28", "0.028", "0.42")),
        ("deepseek", "deepseek-v3.2", ("0.28", "0.028", "0.42")),
        ("gemini", "gemini-2.5-flash", ("0.30", "0.03", "2.50")),
        ("openai", "gpt-4.1", ("2.00", "0.50", "8.00")),
        ("anthropic", "claude-sonnet-4-5", ("3.00", "0.30", "15.00")),
    ],
)
def test_the_table_has_the_figures_of_the_plan(vendor, model, figures):
    price = catalog().resolve(f"{vendor}/{model}").price
    assert price is not None
    assert (price.input_per_mtok, price.cached_input_per_mtok, price.output_per_mtok) == tuple(map(Decimal, figures))
    assert price.source == "bundled"


def test_deepseek_costs_double_at_peak():
    price = catalog().resolve("deepseek/deepseek-flash").price
    assert price is not None
    assert [window.factor for window in price.windows] == [2, 2]


def test_a_reseller_prints_only_what_an_answer_costs():
    price = catalog(entry("holysheep", missing=None)).resolve("holysheep/gpt-4.1").price
    assert price is not None
    assert (price.output_per_mtok, price.input_per_mtok, price.source) == (Decimal("8.00"), None, "guide")
    assert not price.known


def test_a_reseller_never_inherits_the_list():
    assert catalog(entry("work")).resolve("work/gpt-4.1").price is None
    assert catalog(entry("aiwave", missing=None)).resolve("aiwave/gpt-4.1").price is None


def test_a_preset_that_points_elsewhere_loses_its_prices():
    assert catalog(entry("openai", base_url="http://127.0.0.1:4000/v1")).resolve("openai/gpt-4.1").price is None


def test_another_name_for_a_vendors_host_has_the_vendors_prices():
    price = catalog(entry("mine", base_url="https://API.openai.com/v1")).resolve("mine/gpt-4.1").price
    assert price is not None
    assert price.output_per_mtok == 8


def test_a_reseller_has_the_list_when_told_so():
    like = entry("work", like_list=True, multiplier=Decimal("0.5"), currency="CNY", usd_rate=Decimal("0.14"))
    price = catalog(like).resolve("work/gpt-4.1").price
    assert price is not None
    assert (price.output_per_mtok, price.currency, price.usd_rate) == (Decimal("4.000"), "CNY", Decimal("0.14"))
    assert price.source == "list"
    assert catalog(like).resolve("work/deepseek/deepseek-chat").price is not None
    assert catalog(like).resolve("work/nobody-knows-it").price is None


def test_a_reseller_multiplies_everything_that_is_charged():
    like = entry("work", like_list=True, multiplier=Decimal("0.5"))
    tiered = catalog(like).resolve("work/gemini-2.5-pro").price
    assert tiered is not None
    (tier,) = tiered.tiers
    assert (tier.input_per_mtok, tier.output_per_mtok) == (Decimal("1.25"), Decimal("7.5"))
    assert tier.cached_input_per_mtok == Decimal("0.125")
    with_a_fee = catalog(like).resolve("work/sonar").price
    assert with_a_fee is not None
    assert with_a_fee.per_request == Decimal("0.0025")


def test_the_list_price_is_that_of_who_made_a_model_and_not_of_who_also_sells_it():
    like = catalog(entry("work", like_list=True))
    assert "llama-3.3-70b" in TABLE["cerebras"]
    assert like.resolve("work/llama-3.3-70b").price is None
    assert like.resolve("work/groq/llama-3.3-70b-versatile").price is None
    found = like.resolve("work/deepseek-v3.2").price
    assert found is not None
    assert found.input_per_mtok == Decimal("0.28"), "not what a reseller's guide prints"


def test_a_dated_name_costs_what_its_model_costs():
    model = catalog().resolve("openai/gpt-4.1-2025-04-14")
    assert model.price == catalog().resolve("openai/gpt-4.1").price
    assert (model.id, model.context_window) == ("gpt-4.1-2025-04-14", 1_047_576)
    assert "openai/gpt-4.1-2025-04-14" not in names(catalog().known())


def test_another_table_holds_from_then_on():
    there = catalog(entry("openai", missing=None))
    before = there.version
    assert "openai/gpt-4.1" in names(there.known())
    newer = {"version": 1, "as_of": "2026-11", "rows": {"openai": {"gpt-9": {"input": "1", "output": "2"}}}}
    there.take_table(load_table(date(2026, 11, 21), newer))
    assert there.version > before
    price = there.resolve("openai/gpt-9").price
    assert price is not None
    assert (price.output_per_mtok, price.source) == (Decimal(2), "fetched")
    assert "openai/gpt-9" in names(there.known())
    assert there.resolve("anthropic/claude-opus-5").price is None


def test_a_currency_without_a_rate_is_never_converted():
    price = catalog(entry("work", like_list=True, currency="CNY")).resolve("work/gpt-4.1").price
    assert price is not None
    assert price.usd_rate is None


def test_what_the_user_says_goes_over_the_list_figure_by_figure():
    said = {"openai/gpt-4.1": ModelOverride(Price(output_per_mtok=Decimal(7)), context_window=5)}
    model = catalog(overrides=said).resolve("openai/gpt-4.1")
    assert model.price is not None
    assert (model.price.input_per_mtok, model.price.output_per_mtok) == (Decimal(2), Decimal(7))
    assert (model.price.source, model.context_window) == ("config", 5)


def test_the_params_of_a_model_go_over_those_of_its_provider():
    said = {"work/a": ModelOverride(params={"top_p": 1})}
    work = entry("work", params={"top_p": 0.5, "seed": 3})
    assert catalog(work, overrides=said).resolve("work/a").params == {"top_p": 1, "seed": 3}


# which model is meant


def test_a_full_name_is_taken_as_it_is():
    model = catalog(entry("work")).resolve("work/vendor/some:model")
    assert (model.provider, model.id, model.missing) == ("work", "vendor/some:model", None)


def test_a_model_without_its_key_says_what_to_set():
    assert catalog().resolve("openai/gpt-4.1").missing == "set OPENAI_API_KEY"


def test_a_bare_name_is_the_one_usable_model_that_ends_in_it():
    there = catalog(entry("work", models=("a", "vendor/b")), entry("openai", missing=None))
    assert there.resolve("gpt-4.1").name == "openai/gpt-4.1"
    assert there.resolve("b").name == there.resolve("vendor/b").name == "work/vendor/b"
    assert there.resolve("quick").name == "demo/quick"


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("a", "a fits several models: one/a, two/a; name one of them"),
        ("opnai/gpt-4.1", "unknown provider 'opnai'; the nearest is openai"),
        ("demo/quik", "there is no demo/quik; the nearest is demo/quick"),
        ("gtp-4.1", "no model is called 'gtp-4.1'; the nearest is gpt-4.1,"),
        ("gpt-4.1", "openai/gpt-4.1 cannot be used: set OPENAI_API_KEY"),
        ("one/", "'one/' names no model"),
        ("", "the model's name is empty"),
        ("later/x", "later/x cannot be used: not yet"),
    ],
)
def test_a_name_that_fits_nothing_is_an_error_that_helps(name, said):
    several = [entry("one", models=("a",)), entry("two", models=("a",)), entry("later", refused="not yet")]
    with pytest.raises(ConfigurationError) as caught:
        catalog(*several).resolve(name)
    assert said in caught.value.message


def test_a_provider_of_kind_demo_has_the_scripts_under_its_own_name():
    there = catalog(entry("play", kind="demo", base_url=""))
    assert there.resolve("play/quick").scripted
    with pytest.raises(ConfigurationError, match="play/x"):
        there.resolve("play/x")


# lists, and where to begin


def test_usable_are_models_with_a_key_and_the_demo_last():
    usable = names(catalog(entry("work", models=("b", "a")), entry("deepseek", missing=None)).usable())
    assert usable[:2] == ["work/b", "work/a"]
    assert usable[2] == "deepseek/deepseek-flash"
    assert usable[-3:] == ["demo/quick", "demo/thinker", "demo/rambler"]
    assert not any(name.startswith("openai/") for name in usable)


def test_known_are_all_of_them():
    known = names(catalog().known())
    assert "openai/gpt-4.1" in known
    assert known[-1] == "demo/rambler"
    assert len(known) == len(set(known))


def test_where_to_begin_goes_down_the_contracts_list():
    there = catalog(entry("work", models=("a",)), default_model="work/default")
    assert there.first("work/c", "work/l", scripted=True).name == "work/c"
    assert there.first(None, "work/l", scripted=True).name == "work/default"
    without = catalog(entry("work", models=("a",)))
    assert without.first(None, "work/l", scripted=True).name == "work/l"
    assert without.first(None, None, scripted=True).name == "work/a"
    assert without.first("gone/x", "gone/y", scripted=True).name == "work/a"
    assert catalog(entry("openai", missing=None)).first(None, None, scripted=False).name == "openai/gpt-4.1"


def test_a_key_alone_is_enough_to_begin_also_where_no_price_is_known():
    there = catalog(entry("openrouter", missing=None))
    assert there.first(None, None, scripted=False).name == "openrouter/openai/gpt-4.1"
    assert there.resolve("openrouter/openai/gpt-4.1").price is None


def test_a_last_used_model_without_its_key_is_passed_over():
    assert catalog(entry("work", models=("a",))).first(None, "openai/gpt-4.1", scripted=True).name == "work/a"


def test_a_script_never_gets_scripted_text_unasked():
    assert catalog().first(None, None, scripted=True).name == "demo/quick"
    with pytest.raises(ConfigurationError, match="no model to ask"):
        catalog().first(None, "demo/quick", scripted=False)


def test_a_default_model_that_is_wrong_is_an_error_and_not_another_model():
    with pytest.raises(ConfigurationError, match="unknown provider"):
        catalog(default_model="wrok/a").first(None, "demo/quick", scripted=True)
