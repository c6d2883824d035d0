"""One provider, made of what the user says of it, its preset, and its key: as the catalog and as the network see it."""

from collections.abc import Callable, Mapping
from dataclasses import field
from decimal import Decimal
from pathlib import Path
from urllib.parse import urlsplit

from tui_chat.api_keys import FoundKey, find_key
from tui_chat.cache_files import read_json, write_json
from tui_chat.catalog.catalog import DEMO, ProviderEntry
from tui_chat.catalog.presets import PRESETS, Preset
from tui_chat.config.values import Config, ProviderConfig
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.record import record
from tui_chat.model_lists import Listed
from tui_chat.paths import Home, readable_by_others
from tui_chat.providers.endpoint import Endpoint, is_loopback
from tui_chat.providers.refusals import Refusals, Refused
from tui_chat.providers.registry import WIRE_FORMATS

_NONE = Preset("")
_AZURE_PATH = "/openai/v1"


@record
class Plan:
    entry: ProviderEntry
    endpoint: Endpoint
    key: FoundKey
    listed: Listed
    notes: list[str] = field(default_factory=list)
    """Warnings for the user, a line each."""


def plan(
    name: str,
    config: Config,
    environ: Mapping[str, str],
    home: Home,
    keyring: Callable[[str], FoundKey | None],
    known_models: Callable[[str], list[str]],
) -> Plan:
    """Lay what the user says of a provider over its preset, key by key, and find its key.

    `known_models` returns the names that are known at a provider. Raises ConfigurationError.
    """
    said, preset = config.providers.get(name, ProviderConfig()), PRESETS.get(name, _NONE)
    configured = name in config.providers
    kind = said.kind or preset.kind
    base_url = said.base_url or _address(preset, environ) or preset.base_url
    if not base_url and kind != DEMO and not preset.base_url_env:
        near = ", ".join(PRESETS)
        raise ConfigurationError(f"{home.config}: providers.{name} needs a base_url (presets without one: {near})")
    variables = (preset.key_env, *preset.other_envs) if preset.key_env else ()
    key = find_key(name, said, variables, environ, keyring)
    missing, needs = key.missing, (said.api_key_env or preset.key_env or "") if key.missing else ""
    if not base_url and preset.base_url_env:
        needs = preset.base_url_env
        missing = f"set {needs} to your own address, or base_url in [providers.{name}] of config.toml"
    local = preset.local and is_loopback(base_url)
    at_home = not said.base_url or local  # what holds at the vendor's address need not hold at another
    own = "no key needed" if local else "config.toml"
    entry = ProviderEntry(
        id=name,
        kind=kind,
        base_url=base_url,
        missing=missing,
        needs=needs,
        refused=_refused(kind),
        found="config.toml" if configured and not key.source else key.source or own,
        title=preset.title or name,
        local=local,
        stops_billing=preset.stops_billing if at_home else "unknown",
        stops_source=preset.stops_source if at_home else "",
        configured=configured,
        models=said.models,
        first=preset.first,
        params=said.params,
        like_list=said.pricing.like == "list",
        multiplier=Decimal(1) if said.pricing.multiplier is None else said.pricing.multiplier,
        currency=said.pricing.currency,
        usd_rate=said.pricing.usd_rate,
    )
    endpoint = Endpoint(
        name,
        kind,
        base_url,
        key.get,
        key.source or needs,
        key_page=preset.keys_page if at_home else "",
        key_header=preset.key_header,
        headers=dict(said.headers),
        list_url=preset.list_url if at_home else "",
        check_path=preset.check_path if at_home else "",
        bill_path=preset.bill_path,
        prefill=preset.prefill,
        known_models=lambda: known_models(name),
        requests_per_min=said.limits.requests_per_min,
        tokens_per_min=said.limits.tokens_per_min,
        refusals=_refusals(home.cache / "refused.json", f"{name} {base_url}"),
    )
    notes = []
    if said.api_key is not None and readable_by_others(home.config):
        notes.append(f"others can read the key of {name} in {home.config}; run: chmod 600 {home.config}")
    if key.source and base_url.startswith("http://") and not is_loopback(base_url):
        notes.append(f"the key of {name} goes to {base_url} unencrypted; use https")
    asked = bool(base_url) and kind in WIRE_FORMATS
    listed = Listed(base_url, key.at_hand, local=local, fixed=bool(said.models) or not asked)
    return Plan(entry, endpoint, key, listed, notes)


def _address(preset: Preset, environ: Mapping[str, str]) -> str:
    """Return the address of a customer's own, from its variable: Azure's is that of the resource."""
    own = environ.get(preset.base_url_env, "").strip().rstrip("/") if preset.base_url_env else ""
    if not own.startswith(("https://", "http://")):
        return ""
    return own if "/openai" in urlsplit(own).path else own + _AZURE_PATH


def _refused(kind: str) -> str | None:
    """Return why a provider that is configured rightly cannot be used by this version."""
    if kind != DEMO and kind not in WIRE_FORMATS:
        return f'kind = "{kind}" is not spoken yet by this version; use kind = "openai" where the server offers it'
    return None


def _refusals(file: Path, name: str) -> Refusals:
    """Return what the server of a name and address refused; one file holds it for all."""

    def read() -> Refused:
        kept = read_json(file)
        mine = kept.get(name) if isinstance(kept, dict) else None
        if not isinstance(mine, dict):
            return {}
        return {
            model: [option for option in options if isinstance(option, str)]
            for model, options in mine.items()
            if isinstance(options, list)
        }

    def keep(refused: Refused) -> None:
        kept, mine = read_json(file), read()  # another process may have added to it meanwhile
        both = {model: sorted({*mine.get(model, ()), *refused.get(model, ())}) for model in (*mine, *refused)}
        write_json(file, {**(kept if isinstance(kept, dict) else {}), name: both})

    return Refusals(read, keep)
