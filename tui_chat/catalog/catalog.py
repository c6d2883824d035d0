"""Which models there are, what they cost, and which of them can be used now.

Nothing here asks the network: others do, and hand in what providers say they have. A name that nobody knows is sent as
it is, and the server says whether it exists. Prices follow the host, not the name: the list price of a vendor holds at
that vendor's host, and a reseller of the same model has none until the user says so. Wrong money is worse than no
money.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import field, replace
from decimal import Decimal
from typing import Literal
from urllib.parse import urlsplit

from tui_chat.catalog.presets import Preset
from tui_chat.catalog.table import Row
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.model import ListedModel, Model, Params
from tui_chat.core.pricing import Price, Tier
from tui_chat.core.record import record

DEMO = "demo"
_HOSTS = frozenset(("groq", "together", "fireworks", "cerebras", "siliconflow", "holysheep"))
"""They sell models of others: what they charge is nobody's list price."""
_NOTHING = Price(input_per_mtok=Decimal(0), output_per_mtok=Decimal(0), source="local")
"""What a server on this machine charges."""


@record
class ProviderEntry:
    """One provider as configuration, preset and keys together make it."""

    id: str
    kind: str
    base_url: str
    missing: str | None = None
    """What to do about its missing key, as one line."""
    refused: str | None = None
    """Why it cannot be used whatever its key, as one line that says what to do."""
    found: str = ""
    """What made it usable, as a few words: `OPENAI_API_KEY`, `config.toml`."""
    needs: str = ""
    """The variable that would hold the key it lacks."""
    title: str = ""
    """Its name for people."""
    local: bool = False
    """A server on this machine that charges nothing."""
    stops_billing: Literal["yes", "no", "unknown"] = "unknown"
    """Whether closing the connection ends the bill."""
    stops_source: str = ""
    """Who says so."""
    configured: bool = False
    """The user named it in config.toml."""
    models: tuple[str, ...] = ()
    first: str | None = None
    params: Params = field(default_factory=dict)
    like_list: bool = False
    multiplier: Decimal = Decimal(1)
    currency: str | None = None
    usd_rate: Decimal | None = None


@record
class ModelOverride:
    """What the user says of one model."""

    price: Price | None = None
    """Only the figures that were set."""
    currency: str | None = None
    context_window: int | None = None
    encoding: str | None = None
    params: Params = field(default_factory=dict)


class Catalog:
    """The `ModelCatalog` of the program."""

    def __init__(
        self,
        entries: Iterable[ProviderEntry],
        overrides: Mapping[str, ModelOverride],
        presets: Mapping[str, Preset],
        table: Mapping[str, Mapping[str, Row]],
        demo: Sequence[Model],
        *,
        default_model: str | None = None,
        compare_models: Sequence[str] = (),
        lists: Callable[[str], Sequence[ListedModel]] = lambda _provider: (),
    ) -> None:
        """`lists` returns what a provider's own list was when it was last asked; it is called when that is needed."""
        self._entries = {entry.id: entry for entry in entries}
        self._overrides = overrides
        self._presets = presets
        self._use_table(table)
        self._demo = {model.name: model for model in demo}
        self._default_model = default_model
        self._compare_models = compare_models
        self._known: tuple[Model, ...] | None = None
        self._read_list = lists
        self._lists: dict[str, dict[str, ListedModel]] = {}
        self._answered: set[str] = set()
        """Servers on this machine that answered since the start."""
        self.version = 0
        """Grows whenever a list or a key changes what is known."""

    # what changes while the program runs

    def take_list(self, provider: str, models: Sequence[ListedModel]) -> bool:
        """Take what a provider said it has; True when anything is different now."""
        new = {model.id: model for model in models}
        first_answer = provider not in self._answered and self._entries[provider].local
        if new == self._list_of(provider) and not first_answer:
            return False
        self._lists[provider] = new
        self._answered.add(provider)
        self._changed()
        return True

    def take_entry(self, entry: ProviderEntry) -> None:
        """Put an entry in the place of the one with its id: a key came."""
        self._entries[entry.id] = entry
        self._changed()

    def take_table(self, table: Mapping[str, Mapping[str, Row]]) -> None:
        """Look prices up in another table from now on."""
        self._use_table(table)
        self._changed()

    def _use_table(self, table: Mapping[str, Mapping[str, Row]]) -> None:
        self._table = table
        self._vendors = {_host(p.base_url): name for name, p in self._presets.items() if p.vendor and name in table}

    def entry(self, provider: str) -> ProviderEntry | None:
        return self._entries.get(provider)

    def names_at(self, provider: str) -> list[str]:
        """Return the ids of the models known at a provider."""
        entry = self._entries.get(provider)
        return [model.id for model in self._listed(entry)] if entry is not None else []

    def _changed(self) -> None:
        self._known = None
        self.version += 1

    def _list_of(self, provider: str) -> dict[str, ListedModel]:
        if provider not in self._lists:
            self._lists[provider] = {model.id: model for model in self._read_list(provider)}
        return self._lists[provider]

    def resolve(self, name: str) -> Model:
        name = name.strip()
        provider, slash, model_id = name.partition("/")
        if provider == DEMO and slash:
            if name not in self._demo:
                raise ConfigurationError(f"there is no {name}; {self._nearest(name, self._demo)}")
            return self._demo[name]
        if slash and provider in self._entries:
            if not model_id.strip("/"):
                raise ConfigurationError(f"{name!r} names no model; write {provider}/MODEL")
            entry = self._entries[provider]
            if entry.refused:
                raise ConfigurationError(f"{name} cannot be used: {entry.refused}")
            return self._model(entry, model_id)
        fits = [model for model in self.known() if model.name.endswith(f"/{name}")] if name else []
        usable = [model for model in fits if model.missing is None]
        if len(usable) == 1:
            return usable[0]
        if usable:
            several = ", ".join(model.name for model in usable)
            raise ConfigurationError(f"{name} fits several models: {several}; name one of them")
        if fits:
            raise ConfigurationError(f"{fits[0].name} cannot be used: {fits[0].missing}", kind="authentication")
        raise ConfigurationError(self._unknown(name, provider if slash else ""))

    def usable(self) -> Sequence[Model]:
        return [model for model in self.known() if model.missing is None]

    def known(self) -> Sequence[Model]:
        if self._known is None:
            listed = [model for entry in self._entries.values() for model in self._listed(entry)]
            ready = [model for model in listed if model.missing is None]
            self._known = (*ready, *(m for m in listed if m.missing is not None), *self._demo.values())
        return self._known

    def first(self, conversation_model: str | None, last_used: str | None, *, scripted: bool) -> Model:
        if conversation_model and (found := self._try(conversation_model)):
            return found
        if self._default_model:
            return self.resolve(self._default_model)
        found = self._try(last_used) if last_used else None
        if found and found.missing is None and (scripted or not found.scripted):
            return found
        chosen = (model for model in self.starters() if not model.scripted and self._is_meant(model))
        real = next(chosen, None)
        if real is not None:
            return real
        if scripted and self._demo:
            return next(iter(self._demo.values()))
        raise ConfigurationError(
            "no model to ask: name one with -m, set default_model in config.toml, or set a key such as OPENAI_API_KEY;"
            " -m demo/quick needs none"
        )

    def compare_models(self) -> Sequence[Model]:
        return [model for name in self._compare_models if (model := self._try(name))]

    def starters(self) -> Sequence[Model]:
        """One model of each provider that can be used now, the demo last; of a local server only once it answered."""
        ready = [e for e in self._entries.values() if e.missing is None and e.refused is None and e.kind != DEMO]
        ready.sort(key=lambda entry: entry.local)
        there = [e for e in ready if not e.local or e.configured or e.id in self._answered]
        found = [self._starter(entry) for entry in there]
        return [*(model for model in found if model is not None), *self._demo.values()]

    def _is_meant(self, model: Model) -> bool:
        """Say whether the user did something for this provider: a server that happens to run is only offered."""
        entry = self._entries[model.provider]
        return entry.configured or not entry.local

    def _starter(self, entry: ProviderEntry) -> Model | None:
        """Return the model of a provider to begin with; its list is read only where nothing else says one."""
        if entry.models:
            return self._model(entry, entry.models[0])
        own = next((name for name in self._overrides if name.startswith(f"{entry.id}/")), None)
        if own is not None:
            return self._model(entry, own.removeprefix(f"{entry.id}/"))
        if entry.first:
            return self._model(entry, entry.first)
        models = self._listed(entry)
        return next((model for model in models if model.price is not None and model.price.known), None) or next(
            iter(models), None
        )

    def unknown_names(self) -> list[str]:
        """Say what is wrong with the models that the configuration names, a line each."""
        lines = []
        for key, names in (("default_model", [self._default_model]), ("compare_models", self._compare_models)):
            for name in filter(None, names):
                try:
                    self.resolve(name)
                except ConfigurationError as failed:
                    lines.append(f"{key}: {failed.message}")
        return lines

    def _try(self, name: str) -> Model | None:
        try:
            return self.resolve(name)
        except ConfigurationError:
            return None

    def _unknown(self, name: str, provider: str) -> str:
        if not name:
            return "the model's name is empty; write PROVIDER/MODEL"
        if provider:
            near = self._nearest(provider, [*self._entries, DEMO])
            return f"unknown provider {provider!r}; {near}, or add [providers.{provider}] to config.toml"
        names = [model.id for model in self.known()]
        return f"no model is called {name!r}; {self._nearest(name, names)}, or write PROVIDER/MODEL"

    @staticmethod
    def _nearest(name: str, names: Iterable[str]) -> str:
        import difflib

        near = difflib.get_close_matches(name, list(dict.fromkeys(names)), 1, 0.0)
        return f"the nearest is {near[0]}" if near else "none is known"

    def _listed(self, entry: ProviderEntry) -> list[Model]:
        """Return the models of a provider that are known by name."""
        if entry.kind == DEMO:
            return [self._scripted(entry, model.id) for model in self._demo.values()]
        prefix = f"{entry.id}/"
        ids = [*entry.models, *(name[len(prefix) :] for name in self._overrides if name.startswith(prefix))]
        vendor = self._vendors.get(_host(entry.base_url))
        rows = self._table.get(vendor, {}) if vendor else {}
        at_hand = self._list_of(entry.id)
        begin = [entry.first] if entry.first else []
        offered = [model_id for model_id in (*begin, *rows) if not at_hand or model_id in at_hand]
        return [self._model(entry, model_id) for model_id in dict.fromkeys([*ids, *offered, *at_hand])]

    def _model(self, entry: ProviderEntry, model_id: str) -> Model:
        if entry.kind == DEMO:
            return self._scripted(entry, model_id)
        override = self._overrides.get(f"{entry.id}/{model_id}", ModelOverride())
        row = self._row(entry, model_id)
        listed = self._listed_row(model_id) if row is None and entry.like_list else None
        told = row is not None and row.context_window is not None  # then nobody need read the list
        own = None if told else self._list_of(entry.id).get(model_id)
        price = own.price if own else None  # what it says itself is the newest
        price = price or (row.price if row else replace(listed.price, source="list") if listed else None)
        if price is None and entry.local:
            price = _NOTHING
        windows = (override.context_window, own.context_window if own else None)
        table_row = row or listed
        found = entry.found
        if entry.local and entry.id in self._answered:
            count = len(self._list_of(entry.id))
            found = f"{entry.title}, {count} model{'' if count == 1 else 's'}"
        return Model(
            provider=entry.id,
            id=model_id,
            kind=entry.kind,
            context_window=next(filter(None, windows), table_row.context_window if table_row else None),
            price=_overlay(entry, _charged(entry, price), override),
            encoding=override.encoding,
            params={**entry.params, **override.params},
            needs=entry.needs,
            missing=entry.refused or entry.missing,
            found=found,
            stops_billing=entry.stops_billing,
            stops_source=entry.stops_source,
        )

    def _scripted(self, entry: ProviderEntry, model_id: str) -> Model:
        """Return a demo model under the name that the user gave its provider."""
        demo = self._demo.get(f"{DEMO}/{model_id}")
        if demo is None:
            name = f"{entry.id}/{model_id}"
            raise ConfigurationError(f"there is no {name}; {self._nearest(f'{DEMO}/{model_id}', self._demo)}")
        return replace(demo, provider=entry.id, kind=DEMO)

    def _row(self, entry: ProviderEntry, model_id: str) -> Row | None:
        """Return the table's row where the host is the vendor's own."""
        vendor = self._vendors.get(_host(entry.base_url))
        return self._table[vendor].get(model_id) if vendor else None

    def _listed_row(self, model_id: str) -> Row | None:
        """Return the one list price that a reseller's name of a model can mean: that of who made the model."""
        vendor, _, rest = model_id.partition("/")
        makers = {name: rows for name, rows in self._table.items() if name not in _HOSTS}
        if rest and vendor in makers:
            return makers[vendor].get(rest)
        fits = [row for rows in makers.values() if (row := rows.get(model_id)) is not None]
        return fits[0] if len(fits) == 1 else None


def _host(base_url: str) -> str:
    return (urlsplit(base_url).hostname or "").rstrip(".")


def _charged(entry: ProviderEntry, price: Price | None) -> Price | None:
    """Return a list price as this provider charges it."""
    if price is None:
        return None
    if entry.multiplier != 1:
        by = entry.multiplier
        price = replace(
            price,
            input_per_mtok=_times(price.input_per_mtok, by),
            output_per_mtok=_times(price.output_per_mtok, by),
            cached_input_per_mtok=_times(price.cached_input_per_mtok, by),
            cache_write_per_mtok=_times(price.cache_write_per_mtok, by),
            reasoning_per_mtok=_times(price.reasoning_per_mtok, by),
            per_request=_times(price.per_request, by),
            tiers=tuple(_tier_times(tier, by) for tier in price.tiers),
        )
    return replace(price, currency=entry.currency, usd_rate=_rate(entry, entry.currency)) if entry.currency else price


def _tier_times(tier: Tier, by: Decimal) -> Tier:
    return Tier(
        tier.above_tokens,
        tier.input_per_mtok * by,
        tier.output_per_mtok * by,
        _times(tier.cached_input_per_mtok, by),
        _times(tier.cache_write_per_mtok, by),
    )


def _times(figure: Decimal | None, by: Decimal) -> Decimal | None:
    return None if figure is None else figure * by


def _rate(entry: ProviderEntry, currency: str) -> Decimal | None:
    """Return USD for one unit, `None` when nobody said: amounts are never converted at a guess."""
    if currency == entry.currency and entry.usd_rate is not None:
        return entry.usd_rate
    return Decimal(1) if currency == "USD" else None


def _overlay(entry: ProviderEntry, price: Price | None, override: ModelOverride) -> Price | None:
    """Lay what the user says of a model over its list price, figure by figure."""
    said = override.price
    if said is None and override.currency is None:
        return price
    base, said = price or Price(), said or Price()
    currency = override.currency or (base.currency if price else entry.currency or "USD")
    return Price(
        input_per_mtok=_first(said.input_per_mtok, base.input_per_mtok),
        output_per_mtok=_first(said.output_per_mtok, base.output_per_mtok),
        cached_input_per_mtok=_first(said.cached_input_per_mtok, base.cached_input_per_mtok),
        cache_write_per_mtok=_first(said.cache_write_per_mtok, base.cache_write_per_mtok),
        reasoning_per_mtok=_first(said.reasoning_per_mtok, base.reasoning_per_mtok),
        per_request=_first(said.per_request, base.per_request),
        tiers=said.tiers or base.tiers,
        windows=said.windows or base.windows,
        currency=currency,
        usd_rate=_rate(entry, currency),
        source="config",
    )


def _first(*figures: Decimal | None) -> Decimal | None:
    return next((figure for figure in figures if figure is not None), None)
