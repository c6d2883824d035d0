"""The composition root: configuration, presets and keys become providers, catalog, history, and what the app gets.

It knows all rooms but the screen. What is slow to import (httpx, sqlite3) is imported where it is first needed.
"""

import asyncio
import json
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

from tui_chat.cache_files import read_json, write_json
from tui_chat.catalog.catalog import Catalog, ModelOverride
from tui_chat.catalog.presets import PRESETS
from tui_chat.catalog.table import check_table, load_table
from tui_chat.config.values import Config
from tui_chat.core.budget import Budgets, Caps, SpendLimit
from tui_chat.core.calibration import Calibrator, Sample
from tui_chat.core.chat import Chat
from tui_chat.core.counter import Clock
from tui_chat.core.errors import ProviderError, StorageError
from tui_chat.core.ports import Providers, Reservations, Store
from tui_chat.core.record import record
from tui_chat.core.safe_text import one_line
from tui_chat.core.services import Services
from tui_chat.key_store import KeyStore
from tui_chat.log_file import log_to
from tui_chat.model_lists import ListCache, ProviderLists
from tui_chat.paths import Home, find_home
from tui_chat.provider_plans import Plan, plan
from tui_chat.providers.demo_models import demo_models
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.redact import Secrets
from tui_chat.providers.registry import ProviderSet
from tui_chat.system_keyring import Keyring
from tui_chat.tokens import TiktokenCounter

if TYPE_CHECKING:
    from tui_chat.store.conversations import SQLiteStore
    from tui_chat.store.inspection import Inspection


class SystemClock:
    def now(self) -> datetime:
        return datetime.now(UTC)

    def monotonic(self) -> float:
        return time.monotonic()


@record
class Ground:
    """What every command stands on: files, configuration, the models, and how to reach them."""

    home: Home
    config: Config
    catalog: Catalog
    endpoints: tuple[Endpoint, ...]
    secrets: Secrets
    clock: Clock
    counter: TiktokenCounter
    notes: tuple[str, ...] = ()
    """Warnings for the user, a line each."""
    plans: tuple[Plan, ...] = field(default=(), repr=False)
    keyring: Keyring = field(default_factory=lambda: Keyring(None), repr=False)
    lists: ListCache | None = None

    @classmethod
    def lay(cls, environ: Mapping[str, str] = os.environ, *, defaults: bool = False) -> "Ground":
        """Read the configuration and find the models; starts nothing. Raises ConfigurationError.

        With `defaults` the configuration is not read: for looking around where it is broken.
        """
        home, clock = find_home(environ), SystemClock()
        config = Config() if defaults else _configured(home.config)
        secrets = Secrets()
        log_to(home, secrets)
        moved = bool(environ.get("TUI_CHAT_HOME", "").strip())  # then nothing is kept outside of it
        keyring = Keyring(None if moved else home.config.with_name("keyring.json"))
        known: list[Catalog] = []  # the providers come first, and ask it only when something failed

        def names_at(provider: str) -> list[str]:
            return known[0].names_at(provider)

        plans = tuple(
            plan(name, config, environ, home, keyring.find, names_at) for name in {**config.providers, **PRESETS}
        )
        lists = ListCache(home.cache, {each.entry.id: each.listed for each in plans})
        catalog = Catalog(
            [each.entry for each in plans],
            {
                name: ModelOverride(each.price, each.currency, each.context_window, each.tokenizer, each.params)
                for name, each in config.models.items()
            },
            PRESETS,
            load_table(clock.now().date(), _kept_prices(home, config.prices.url)),
            demo_models(),
            default_model=config.default_model,
            compare_models=config.compare_models,
            lists=lists.read,
        )
        known.append(catalog)
        notes = [note for each in plans for note in each.notes]
        notes += [f"{home.config}: {line}" for line in catalog.unknown_names()]
        endpoints = tuple(each.endpoint for each in plans)
        counter = TiktokenCounter()
        return cls(home, config, catalog, endpoints, secrets, clock, counter, tuple(notes), plans, keyring, lists)

    def open_store(self, on_failure: Callable[[StorageError], None] | None = None) -> "SQLiteStore":
        """Open the history; `on_failure` is called, in a thread, for every write that failed. Raises StorageError."""
        from tui_chat.store.conversations import open_store

        return open_store(self.home.database, self.clock, on_failure)

    @staticmethod
    def warm() -> None:
        """Import what the first request needs; for a thread."""
        _warm()

    def inspect_history(self, limit_s: float) -> "Inspection":
        """Look at the history, for at most so long, without changing anything."""
        from tui_chat.store.inspection import inspect_history

        return inspect_history(self.home.database, limit_s)

    def providers(self) -> "KeyedProviders":
        """Return the providers; their connections belong to the event loop that uses them first."""
        return KeyedProviders(
            {endpoint.provider: endpoint for endpoint in self.endpoints},
            self._network(),
            self.secrets,
            self.counter.count,
            stop_keys=tuple(each.key.stop for each in self.plans),
        )

    def _network(self) -> Network:
        network = self.config.network
        return Network(
            network.connect_timeout_s,
            network.first_token_timeout_s,
            network.read_timeout_s,
            network.max_retries,
            proxy=network.proxy,
            ca_file=network.ca_file,
        )

    async def renew_prices(self) -> str | None:
        """Fetch the price table of `prices.url`, if there is one; return why it is not used, as one line.

        Nothing takes the place of the table in use before all of it was looked at.
        """
        url, now = self.config.prices.url, self.clock.now()
        if not url:
            return None
        from tui_chat.providers.client import fetch_document

        try:
            document = await fetch_document("prices.url", url, self._network())
        except ProviderError as failed:
            return f"{failed.message}; the prices stay as they are"
        try:
            fetched = json.loads(document)
        except (ValueError, RecursionError):
            return "what stands at prices.url is no JSON; the prices stay as they are"
        try:
            check_table(fetched, load_table(now.date(), _kept_prices(self.home, url)), now.date())
        except ValueError as bad:
            return f"the table at prices.url {one_line(str(bad), 200)}; the prices stay as they are"
        kept = {"fetched": now.isoformat(), "url": url, "table": fetched}
        await asyncio.to_thread(write_json, _prices_file(self.home), kept)
        self.catalog.take_table(load_table(now.date(), fetched))
        return None

    def model_lists(self, providers: ProviderSet) -> ProviderLists:
        """Return what asks the providers for their models."""
        listed = {each.entry.id: each.listed for each in self.plans}
        cache = self.lists or ListCache(self.home.cache, listed)
        return ProviderLists(self.catalog, cache, listed, providers.models, self.clock)

    def budgets(self, ledger: Reservations | None, run_limit: SpendLimit | None = None) -> Budgets:
        """Return the limits of config.toml and of this run."""
        said = self.config.budget
        caps = Caps(
            said.per_answer_usd,
            said.per_chat_usd,
            said.daily_usd,
            said.monthly_usd,
            said.warn_at,
            said.unknown_price,
            said.per_answer_tokens,
        )
        return Budgets(caps, ledger, run_limit)

    def chat(
        self, providers: Providers, store: Store, *, run_limit: SpendLimit | None = None, keep_text: bool = True
    ) -> Chat:
        return Chat(
            providers,
            store,
            self.counter,
            self.clock,
            budgets=self.budgets(store, run_limit),
            keep_text=keep_text,
            calibrator=calibrator(store),
        )

    def services(self, store: "SQLiteStore", providers: Providers) -> Services:
        """Return what the screen is handed."""
        asked = providers if isinstance(providers, ProviderSet) else self.providers()
        lists = self.model_lists(asked)
        return Services(
            chat=self.chat(providers, store),
            store=store,
            usage=store,
            catalog=self.catalog,
            counter=self.counter,
            clock=self.clock,
            settings=self.config.ui,
            exporter=_LateExporter(store),
            lists=lists,
            keys=KeyStore(
                self.catalog,
                asked,
                self.keyring,
                self.home.config,
                lists.take,
                {each.entry.id: each.key.source for each in self.plans},
            ),
            warm=_warm,
            cache_folder=str(self.home.cache),
            notes=self.notes,
        )


def calibrator(store: Store) -> Calibrator:
    """Return what the history taught about the counts of each model; a history that cannot be read taught nothing."""

    def read(provider: str, model_id: str) -> list[Sample]:
        try:
            return store.samples(provider, model_id)
        except StorageError:
            return []

    def keep(provider: str, model_id: str, sample: Sample) -> None:
        store.save_sample(provider, model_id, sample)

    return Calibrator(read, keep)


def user_files() -> Home:
    """Return where this user's files are, without reading any."""
    return find_home(os.environ)


def config_reference() -> str:
    """Return a config.toml with every key, its default and a line of explanation."""
    from tui_chat.config.file import defaults_text

    return defaults_text()


def _prices_file(home: Home) -> Path:
    return home.cache / "prices.json"


def _kept_prices(home: Home, url: str) -> object:
    """Return the price table that was fetched from this address, `None` when there is none."""
    kept = read_json(_prices_file(home)) if url else None
    return kept.get("table") if isinstance(kept, dict) and kept.get("url") == url else None


def _configured(file: Path) -> Config:
    """Return what the file says; most people have none, and then what reads it needs not be loaded."""
    try:
        file.stat()
    except FileNotFoundError:
        return Config()
    except OSError:
        pass  # which the reader words for the user
    from tui_chat.config.file import load_config

    return load_config(file)


def _warm() -> None:
    from tui_chat.providers.client import warm

    warm()


@record
class _LateExporter:
    """The exporter, loaded with the first export."""

    store: Store

    def write(self, conversation_id: str, format_name: str) -> str:
        from tui_chat.interchange.exporter import FileExporter

        return FileExporter(self.store).write(conversation_id, format_name)


class KeyedProviders(ProviderSet):
    """Providers whose end also ends the commands that fetch keys: the loop would wait for their threads."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        network: Network,
        secrets: Secrets,
        count: Callable[[str], int],
        *,
        stop_keys: tuple[Callable[[], None], ...],
    ) -> None:
        super().__init__(endpoints, network, secrets, count)
        self._stop_keys = stop_keys

    async def aclose(self) -> None:
        for stop in self._stop_keys:
            stop()
        await super().aclose()
