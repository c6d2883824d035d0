"""The lists of models that providers keep: asked in the background, kept in the cache folder, handed to the catalog.

A list is asked for when it is a day old and its provider's key is at hand: to run a command or open a keyring for that
might ask the user for a password out of nowhere. Servers that may run on this machine are asked when somebody looks.
"""

import asyncio
from collections.abc import Callable, Coroutine, Mapping, Sequence
from datetime import datetime, timedelta
from pathlib import Path

from tui_chat.cache_files import read_json, write_json
from tui_chat.catalog.catalog import Catalog
from tui_chat.core.counter import Clock
from tui_chat.core.errors import ChatError
from tui_chat.core.model import ListedModel
from tui_chat.core.pricing import Price
from tui_chat.core.record import record

_FRESH = timedelta(days=1)
_LOCAL_S = 1.5
_LIST_S = 15.0

Ask = Callable[[str, float], Coroutine[None, None, list[ListedModel]]]
"""Asks a provider for its list, within seconds. Raises ChatError."""


@record
class Listed:
    """A provider whose list can be asked for."""

    base_url: str
    """A list holds for the address that it came from."""
    at_hand: Callable[[], bool]
    """Says whether its key is there without running anything."""
    local: bool = False
    fixed: bool = False
    """The user said which models it has, so it is not asked."""


class ListCache:
    """The lists as they were when they were last asked for: a file for each provider."""

    def __init__(self, folder: Path, providers: Mapping[str, Listed]) -> None:
        self._folder = folder
        self._providers = providers

    def read(self, provider: str) -> Sequence[ListedModel]:
        """Return what a provider had; nothing when it was never asked, or had another address then."""
        kept = self._kept(provider)
        models = kept.get("models")
        return [model for each in models if (model := _model(each))] if isinstance(models, list) else []

    def age(self, provider: str, now: datetime) -> timedelta | None:
        """Return how old a list is, `None` when there is none."""
        at = self._kept(provider).get("at")
        try:
            return now - datetime.fromisoformat(at) if isinstance(at, str) else None
        except (ValueError, TypeError):
            return None

    def keep(self, provider: str, models: Sequence[ListedModel], now: datetime) -> None:
        listed = self._providers.get(provider)
        value = {
            "version": 1,
            "base_url": listed.base_url if listed else "",
            "at": now.isoformat(),
            "models": [_plain(model) for model in models],
        }
        write_json(self._file(provider), value)

    def _kept(self, provider: str) -> dict[str, object]:
        listed = self._providers.get(provider)
        if listed is None or listed.fixed:
            return {}
        kept = read_json(self._file(provider))
        return kept if isinstance(kept, dict) and kept.get("base_url") == listed.base_url else {}

    def _file(self, provider: str) -> Path:
        plain = "".join(c if c.isalnum() or c in "-_" else f"%{ord(c):x}" for c in provider)
        return self._folder / "models" / f"{plain}.json"


def _plain(model: ListedModel) -> dict[str, object]:
    plain: dict[str, object] = {"id": model.id}
    if model.context_window is not None:
        plain["context_window"] = model.context_window
    if model.price is not None:
        plain["price"] = model.price.record()
    return plain


def _model(plain: object) -> ListedModel | None:
    if not isinstance(plain, dict) or not isinstance(name := plain.get("id"), str) or not name:
        return None
    window, price = plain.get("context_window"), plain.get("price")
    try:
        known = Price.from_record(price) if isinstance(price, dict) else None
    except ValueError:
        known = None
    return ListedModel(name, window if isinstance(window, int) and window > 0 else None, known)


class ProviderLists:
    """Implements `core.ports.ModelLists`."""

    def __init__(
        self, catalog: Catalog, cache: ListCache, providers: Mapping[str, Listed], ask: Ask, clock: Clock
    ) -> None:
        self._catalog = catalog
        self._cache = cache
        self._providers = providers
        self._ask = ask
        self._clock = clock
        self._asked: set[str] = set()
        """Those that were asked in this run: one that does not answer is left alone."""
        self.failures: dict[str, str] = {}
        """Why the last question to a provider failed, as one line."""

    async def refresh(self, *, everything: bool = False) -> bool:
        """Ask each provider whose list is a day old and whose key is at hand; True when the catalog changed.

        With `everything` every provider that can be used is asked, however young its list is.
        """
        due = [name for name, listed in self._providers.items() if self._is_due(name, listed, everything=everything)]
        self._asked.update(due)
        return any(await asyncio.gather(*(self._renew(name, _LIST_S) for name in due)))

    def _is_due(self, name: str, listed: Listed, *, everything: bool) -> bool:
        entry = self._catalog.entry(name)
        if entry is None or entry.missing or entry.refused or listed.fixed:
            return False
        if everything:
            return bool(entry.base_url)
        age = self._cache.age(name, self._clock.now())
        return not listed.local and name not in self._asked and listed.at_hand() and (age is None or age > _FRESH)

    async def find_local(self) -> bool:
        local = [name for name, listed in self._providers.items() if listed.local and not listed.fixed]
        return any(await asyncio.gather(*(self._renew(name, _LOCAL_S) for name in local)))

    async def _renew(self, name: str, limit_s: float) -> bool:
        """Ask one provider; one that does not answer, or has nothing, keeps the list it had."""
        try:
            models = await self._ask(name, limit_s)
        except ChatError as failed:
            self.failures[name] = failed.message
            return False
        self.failures.pop(name, None)
        if not models:
            return False
        changed = self._catalog.take_list(name, models)  # before it is kept: it may have to read what was
        await asyncio.to_thread(self._cache.keep, name, models, self._clock.now())
        return changed

    def take(self, name: str, models: Sequence[ListedModel]) -> None:
        """Take a list that came with the trial of a key."""
        if models:
            self._catalog.take_list(name, models)
            self._cache.keep(name, models, self._clock.now())
