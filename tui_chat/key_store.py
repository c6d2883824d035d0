"""Keys that the user hands over in the app: tried with the provider, stored, and used from then on.

A key goes to the system's keyring where there is one, else into config.toml, which becomes readable by its owner alone.
It never comes back out of here.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from tui_chat.api_keys import given, judge
from tui_chat.catalog.catalog import DEMO, Catalog
from tui_chat.catalog.presets import PRESETS, Preset
from tui_chat.core.errors import ConfigurationError, ProviderError
from tui_chat.core.model import ListedModel
from tui_chat.core.ports import KeyPlace
from tui_chat.providers.registry import ProviderSet
from tui_chat.system_keyring import Keyring

_TRIAL_S = 10.0
_KEYRING = "the keyring"
_SHAPES = (
    ("anthropic", r"sk-ant-"),
    ("openrouter", r"sk-or-"),
    ("openai", r"sk-(proj|svcacct|admin)-"),
    ("gemini", r"AIza"),
    ("groq", r"gsk_"),
    ("xai", r"xai-"),
    ("perplexity", r"pplx-"),
    ("cerebras", r"csk-"),
    ("github", r"(gh[pousr]_|github_pat_)"),
    ("together", r"tgp_"),
    ("fireworks", r"fw_"),
    ("zai", r"[0-9a-f]{32}\.[A-Za-z0-9]{16}$"),
)
"""How the keys of some vendors begin, as seen in their documentation; a bare `sk-` is many vendors' (2026-11)."""


class KeyStore:
    """Implements `core.ports.Keys`."""

    def __init__(
        self,
        catalog: Catalog,
        providers: ProviderSet,
        keyring: Keyring,
        config: Path,
        take_list: Callable[[str, Sequence[ListedModel]], None],
        sources: Mapping[str, str],
    ) -> None:
        """`sources` says of each provider where its key came from at the start; empty where there was none."""
        self._catalog = catalog
        self._providers = providers
        self._keyring = keyring
        self._config = config
        self._take_list = take_list
        self._sources = dict(sources)
        self._before = {name: source for name, source in sources.items() if source and not _stored(name, source)}
        """What goes before a stored key, also in the runs to come: a variable that is set, or a command."""
        self._tried: dict[str, list[ListedModel]] = {}

    @property
    def where(self) -> str:
        return _KEYRING if self._keyring.likely else "config.toml"

    def look_where(self) -> str:
        return _KEYRING if self._keyring.usable else "config.toml"

    def places(self) -> Sequence[KeyPlace]:
        return [place for name in [*PRESETS, *self._sources.keys() - PRESETS.keys()] if (place := self._place(name))]

    def _place(self, name: str) -> KeyPlace | None:
        """Return a provider that takes a key: not one on this machine, nor one without an address to ask."""
        entry, endpoint = self._catalog.entry(name), self._providers.endpoint(name)
        if entry is None or endpoint is None or entry.local or entry.kind == DEMO or not endpoint.base_url:
            return None
        preset = PRESETS.get(name, Preset(name))
        before, source = self._before.get(name, ""), self._sources.get(name, "")
        variable = entry.needs or preset.key_env or ""
        return KeyPlace(name, preset.title, variable, preset.keys_page, source, before, preset.other_envs)

    def guess(self, key: str) -> str | None:
        return next((provider for provider, shape in _SHAPES if re.match(shape, key.strip())), None)

    async def try_key(self, provider: str, key: str) -> str:
        key, endpoint = self._checked(key), self._providers.endpoint(provider)
        if endpoint is None:
            raise ConfigurationError(f"there is no provider {provider}")
        trial = replace(endpoint, api_key=lambda: key, key_hint="what you pasted")
        self._tried.pop(provider, None)
        try:
            models = await self._providers.tried(trial, _TRIAL_S)
        except ProviderError as failed:
            if failed.kind == "not_found":
                return "taken untried: this provider has no list of models to ask for"
            raise
        self._tried[provider] = models
        count = len(models)
        return f"works, {count} model{'' if count == 1 else 's'}" if count else "works"

    def keep(self, provider: str, key: str) -> str:
        key, endpoint, entry = self._checked(key), self._providers.endpoint(provider), self._catalog.entry(provider)
        if endpoint is None or entry is None:
            raise ConfigurationError(f"there is no provider {provider}")
        if self._keyring.usable:
            self._keyring.keep(provider, key)
            where = source = _KEYRING
        else:
            from tui_chat.config.writing import keep_key

            keep_key(self._config, provider, key)
            self._keyring.forget(provider)  # which was there when another key was stored, and would go before
            where, source = str(self._config), _in_config(provider)
        found = given(key, source)
        self._sources[provider] = source
        self._providers.take(replace(endpoint, api_key=found.get, key_hint=source))
        self._catalog.take_entry(replace(entry, missing=None, needs="", found=source))
        self._take_list(provider, self._tried.pop(provider, []))
        return where

    @staticmethod
    def _checked(key: str) -> str:
        key, problem = judge(key, "what was pasted")
        if problem or not key:
            raise ConfigurationError(problem or "no key was pasted", kind="authentication")
        return key


def _in_config(provider: str) -> str:
    return f"providers.{provider}.api_key in config.toml"


def _stored(provider: str, source: str) -> bool:
    """Say whether a key comes from one of the two places where this module puts keys."""
    return source in (_KEYRING, _in_config(provider))
