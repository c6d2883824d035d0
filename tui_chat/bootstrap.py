"""The composition root: configuration, presets and keys become providers, catalog, history, and what the app gets.

It knows all rooms but the screen. What is slow to import (httpx, sqlite3) is imported where it is first needed.
"""

import ipaddress
import logging
import os
import time
from collections.abc import Callable, Mapping
from dataclasses import field
from datetime import UTC, datetime
from decimal import Decimal
from io import TextIOWrapper
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from tui_chat.api_keys import find_key
from tui_chat.catalog.catalog import DEMO, Catalog, ModelOverride, ProviderEntry
from tui_chat.catalog.presets import PRESETS
from tui_chat.catalog.table import load_table
from tui_chat.config.values import Config, ProviderConfig
from tui_chat.core.budget import SpendLimit
from tui_chat.core.chat import Chat
from tui_chat.core.counter import Clock
from tui_chat.core.errors import ConfigurationError, StorageError
from tui_chat.core.model import Model
from tui_chat.core.ports import Provider, Providers, Store
from tui_chat.core.record import record
from tui_chat.core.services import Services
from tui_chat.paths import Home, find_home, make_private_folder, open_private, readable_by_others
from tui_chat.providers.demo_models import demo_models
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.redact import Secrets
from tui_chat.providers.registry import WIRE_FORMATS, ProviderSet
from tui_chat.tokens import TiktokenCounter

if TYPE_CHECKING:
    from tui_chat.store.conversations import SQLiteStore


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
    stop_keys: tuple[Callable[[], None], ...] = field(default=(), repr=False)
    """Each ends the command that is running for a key."""

    @classmethod
    def lay(cls, environ: Mapping[str, str] = os.environ) -> "Ground":
        """Read the configuration and find the models; starts nothing. Raises ConfigurationError."""
        home = find_home(environ)
        config = _configured(home.config)
        secrets = Secrets()
        _log_to(home, secrets)
        plans = [_plan(name, config, environ, home) for name in {**config.providers, **PRESETS}]
        catalog = Catalog(
            [plan.entry for plan in plans],
            {
                name: ModelOverride(each.price, each.currency, each.context_window, each.tokenizer, each.params)
                for name, each in config.models.items()
            },
            PRESETS,
            load_table(),
            demo_models(),
            default_model=config.default_model,
            compare_models=config.compare_models,
        )
        notes = [note for plan in plans for note in plan.notes]
        notes += [f"{home.config}: {line}" for line in catalog.unknown_names()]
        endpoints = tuple(plan.endpoint for plan in plans)
        stop_keys = tuple(plan.stop_key for plan in plans)
        return cls(home, config, catalog, endpoints, secrets, SystemClock(), TiktokenCounter(), tuple(notes), stop_keys)

    def open_store(self, on_failure: Callable[[StorageError], None] | None = None) -> "SQLiteStore":
        """Open the history; `on_failure` is called, in a thread, for every write that failed. Raises StorageError."""
        from tui_chat.store.conversations import open_store

        return open_store(self.home.database, self.clock, on_failure)

    def providers(self) -> Providers:
        """Return the providers; their connections belong to the event loop that uses them first."""
        network = self.config.network
        providers = ProviderSet(
            {endpoint.provider: endpoint for endpoint in self.endpoints},
            Network(
                network.connect_timeout_s,
                network.first_token_timeout_s,
                network.read_timeout_s,
                network.max_retries,
            ),
            self.secrets,
            self.counter.count,
        )
        return _ProvidersWithKeys(providers, self.stop_keys)

    def chat(
        self, providers: Providers, store: Store, *, run_limit: SpendLimit | None = None, keep_text: bool = True
    ) -> Chat:
        return Chat(
            providers,
            store,
            self.counter,
            self.clock,
            per_answer_usd=self.config.budget.per_answer_usd,
            run_limit=run_limit,
            keep_text=keep_text,
        )

    def services(self, store: Store, providers: Providers) -> Services:
        """Return what the screen is handed."""
        return Services(
            chat=self.chat(providers, store),
            store=store,
            catalog=self.catalog,
            counter=self.counter,
            clock=self.clock,
            settings=self.config.ui,
            exporter=_LateExporter(store),
            warm=_warm,
            cache_folder=str(self.home.cache),
            notes=self.notes,
        )


def user_files() -> Home:
    """Return where this user's files are, without reading any."""
    return find_home(os.environ)


def config_reference() -> str:
    """Return a config.toml with every key, its default and a line of explanation."""
    from tui_chat.config.file import defaults_text

    return defaults_text()


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


@record
class _ProvidersWithKeys:
    """Providers whose end also ends the commands that fetch keys: the loop would wait for their threads."""

    providers: ProviderSet
    stop_keys: tuple[Callable[[], None], ...]

    def provider(self, model: Model) -> Provider:
        return self.providers.provider(model)

    async def aclose(self) -> None:
        for stop in self.stop_keys:
            stop()
        await self.providers.aclose()


@record
class _Plan:
    """One provider, as the catalog and as the network see it."""

    entry: ProviderEntry
    endpoint: Endpoint
    stop_key: Callable[[], None]
    notes: list[str] = field(default_factory=list)


def _plan(name: str, config: Config, environ: Mapping[str, str], home: Home) -> _Plan:
    """Lay what the user says of a provider over its preset, key by key, and find its key."""
    said, preset = config.providers.get(name, ProviderConfig()), PRESETS.get(name)
    kind = said.kind or (preset.kind if preset else "openai")
    base_url = said.base_url or (preset.base_url if preset else "")
    if not base_url and kind != DEMO:
        near = ", ".join(PRESETS)
        raise ConfigurationError(f"{home.config}: providers.{name} needs a base_url (presets without one: {near})")
    key = find_key(name, said, preset.key_env if preset else None, environ)
    configured = name in config.providers
    local = "no key needed" if preset and preset.local else "config.toml"
    entry = ProviderEntry(
        id=name,
        kind=kind,
        base_url=base_url,
        missing=key.missing,
        refused=_refused(name, kind, said),
        found="config.toml" if configured and not key.source else key.source or local,
        models=said.models,
        first=preset.first if preset else None,
        params=said.params,
        like_list=said.pricing.like == "list",
        multiplier=Decimal(1) if said.pricing.multiplier is None else said.pricing.multiplier,
        currency=said.pricing.currency,
        usd_rate=said.pricing.usd_rate,
    )
    endpoint = Endpoint(name, kind, base_url, key.get, key.source, headers=dict(said.headers))
    notes = []
    if said.api_key is not None and readable_by_others(home.config):
        notes.append(f"others can read the key of {name} in {home.config}; run: chmod 600 {home.config}")
    if key.source and base_url.startswith("http://") and not _is_loopback(base_url):
        notes.append(f"the key of {name} goes to {base_url} unencrypted; use https")
    return _Plan(entry, endpoint, key.stop, notes)


def _refused(name: str, kind: str, said: ProviderConfig) -> str | None:
    """Return why a provider that is configured rightly cannot be used by this version."""
    if kind != DEMO and kind not in WIRE_FORMATS:
        return f'kind = "{kind}" is not spoken yet by this version; use kind = "openai" where the server offers it'
    if said.limits.requests_per_min or said.limits.tokens_per_min:
        return f"providers.{name}.limits is not obeyed yet by this version; take the line out to use the provider"
    return None


def _is_loopback(base_url: str) -> bool:
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


class _PrivateFile(logging.FileHandler):
    """A log that only its owner can read, created with its first line; what goes wrong with it is nobody's business."""

    def __init__(self, home: Home) -> None:
        super().__init__(home.log, encoding="utf-8", delay=True)

    def _open(self) -> TextIOWrapper:
        make_private_folder(Path(self.baseFilename).parent)
        return open(self.baseFilename, "a", encoding="utf-8", opener=open_private)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # a read-only or full disk: the log must not break the program
            self.stream = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Say nothing: the screen and stderr belong to the program."""


class _Redacted(logging.Formatter):
    """Takes keys out of each line as it is written, tracebacks included."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return self._secrets.clean(super().format(record))


def _log_to(home: Home, secrets: Secrets) -> None:
    """Send warnings and worse to the log file; the libraries that log whole requests are silent."""
    handler = _PrivateFile(home)
    handler.setFormatter(_Redacted(secrets))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _PrivateFile)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for noisy in ("httpx", "httpcore", "asyncio", "markdown_it"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
