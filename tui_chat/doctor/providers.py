"""Each provider that is configured or has a key, asked for its models: all at once, within ten seconds.

Nothing that comes back is kept; only the catalog of this run takes the lists, to count the prices.
"""

import asyncio
import re
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, TypeVar
from urllib.parse import urlsplit

from tui_chat.bootstrap import Ground, KeyedProviders
from tui_chat.core.errors import ChatError, ConfigurationError, ErrorKind, ProviderError
from tui_chat.core.model import ListedModel, Model
from tui_chat.doctor.check import Check, told
from tui_chat.doctor.network import has_proxy

_T = TypeVar("_T")

ALL_S = 10.0
"""How long all of them have together."""
_ASKED_S = 8.0
_LOCAL_S = 1.5
_MOST_NAMED = 40


def providers(ground: Ground, last_model: str | None) -> list[Check]:
    """Ask them; the last check says which model would be used now."""
    return [*asyncio.run(_all(ground)), _model(ground, last_model)]


class _Threads(ThreadPoolExecutor):
    """A thread for each call, for whose end nobody waits: a password store or a resolver may take for ever."""

    def submit(self, fn: Callable[..., _T], /, *args: Any, **named: Any) -> "Future[_T]":
        future: Future[_T] = Future()
        future.set_running_or_notify_cancel()

        def run() -> None:
            try:
                future.set_result(fn(*args, **named))
            except BaseException as failed:  # noqa: BLE001  it is raised again where the result is waited for
                future.set_exception(failed)

        threading.Thread(target=run, daemon=True).start()
        return future

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:  # noqa: FBT001, FBT002
        """Leave them alone."""


async def _all(ground: Ground) -> list[Check]:
    asyncio.get_running_loop().set_default_executor(_Threads())
    asked = [plan.entry.id for plan in ground.plans if _is_asked(ground, plan.entry.id)]
    local = [p.entry.id for p in ground.plans if p.listed.local and p.entry.id not in asked]
    providers = ground.providers()
    end_s = time.monotonic() + ALL_S
    if asked or local:
        await asyncio.to_thread(ground.warm)  # else the first one would look slow
    try:
        found = await asyncio.gather(
            *(_judged(ground, providers, name, end_s) for name in asked), _local(ground, providers, local)
        )
    finally:
        await providers.aclose()
    return [each for each in (*found, _without_key(ground, asked)) if each is not None]


def _is_asked(ground: Ground, name: str) -> bool:
    plan = next(each for each in ground.plans if each.entry.id == name)
    return name in ground.config.providers or bool(plan.key.source)


async def _judged(ground: Ground, providers: KeyedProviders, name: str, end_s: float) -> Check:
    plan = next(each for each in ground.plans if each.entry.id == name)
    entry, key = plan.entry, plan.key
    if entry.refused:
        return told("providers", name, entry.refused)
    if entry.kind == "demo":
        return Check("providers", name, "ok", "built in, scripted, for play money")
    if entry.missing and key.source:  # it has one, which cannot be one
        return told("providers", name, entry.missing)
    if entry.missing:
        return Check("providers", name, "warn", "in config.toml, but it has no key", entry.missing)
    where = urlsplit(entry.base_url).netloc.rpartition("@")[2]
    where += f", key from {_source(name, key.source)}" if key.source else ", without a key"
    try:
        async with asyncio.timeout(end_s - time.monotonic()):
            found_key = await asyncio.to_thread(key.get)
        ground.secrets.add(found_key)
    except TimeoutError:
        detail, step = f"{key.source} gave no key within {ALL_S:g} s", "run it by hand; it may wait for a password"
        return Check("providers", name, "fail", detail, step)
    except ConfigurationError as failed:
        return told("providers", name, failed.message)
    since_s = time.monotonic()
    limit_s = min(_ASKED_S, max(0.1, end_s - since_s))
    try:
        models = await _listed(providers, name, limit_s)
    except ChatError as failed:
        message = _without_key_end(failed.message, found_key)
        return _failed(ground, name, f"{where}, {_took(since_s)}", message, failed.kind)
    took = _took(since_s)
    if models:
        ground.catalog.take_list(name, models)
    unencrypted = next((note for note in plan.notes if "unencrypted" in note), None)
    facts = f"{where}, {took}, {_counted(ground, name, models)}"
    if unencrypted:
        return Check("providers", name, "warn", f"{facts}; its key travels unencrypted", "use https in its base_url")
    return Check("providers", name, "ok", facts)


async def _listed(providers: KeyedProviders, name: str, limit_s: float) -> list[ListedModel]:
    """Return a provider's models; the key is tried where the list is open to everybody. Raises ChatError."""
    endpoint = providers.endpoint(name)
    if endpoint is None:
        return []
    try:
        async with asyncio.timeout(limit_s + 0.2):
            return await providers.tried(endpoint, limit_s)
    except ValueError:
        raise ConfigurationError("its base_url is no address; mend it in config.toml") from None
    except TimeoutError:
        raise ProviderError("timeout", f"no answer within {limit_s:.0f} s; check the network") from None


def _took(since_s: float) -> str:
    return f"{(time.monotonic() - since_s) * 1000:.0f} ms"


def _failed(ground: Ground, name: str, where: str, message: str, kind: ErrorKind) -> Check:
    message = message.removeprefix(f"{name}: ").removeprefix(f"{name} ")
    match kind:
        case "not_found":
            untried = "" if ", without a key" in where else "; the key was not tried"
            detail = f"{where}, {_counted(ground, name, [])}{untried}"
            if any(model.provider == name for model in ground.catalog.known()):
                return Check("providers", name, "ok", detail)
            step = f"check its base_url; when that is right, name its models = [...] in [providers.{name}]"
            return Check("providers", name, "warn", detail, step)
        case "rate_limit" | "overloaded":
            return told("providers", name, message, "warn")
        case "invalid_request":
            return Check("providers", name, "fail", message.rpartition("; ")[0] or message, "check its base_url")
        case "connection" | "timeout" if has_proxy(ground) and not _is_local(where):
            found = told("providers", name, message)
            return replace(found, next_step="check the network, the proxy and the base_url")
        case _:
            return told("providers", name, message, step="check its base_url and headers, and the network above")


def _is_local(where: str) -> bool:
    """Say whether an address, with more behind it, is on this machine, where no proxy is used."""
    return where.startswith(("127.", "localhost", "[::1]"))


def _source(name: str, source: str) -> str:
    """Return where a key comes from, without the provider's name, which stands before it."""
    return source.removeprefix(f"providers.{name}.").replace("api_key in ", "")


def _counted(ground: Ground, name: str, models: list[ListedModel]) -> str:
    listed = {model.id for model in models}
    known = [model for model in ground.catalog.known() if model.provider == name]
    ours = [model for model in known if model.id in listed] if models else known
    priced = sum(model.price is not None and model.price.known for model in ours)
    count = f"{len(ours):,} model{'' if len(ours) == 1 else 's'}"
    if ours and all(model.price is not None and model.price.free for model in ours):
        prices = "free"
    else:
        prices = f"{priced or 'none'} with a price" if ours else ""
    head = (
        count
        if models
        else f"answers, keeps no list of models, {count} known"
        if ours
        else "answers, keeps no list of models"
    )
    return ", ".join(filter(None, (head, prices)))


def _without_key_end(message: str, key: str | None) -> str:
    """Return a message without the last letters of the key, which tell its owner which one it was elsewhere."""

    def kept(found: re.Match[str]) -> str:
        return "" if key and key.endswith(found[1]) else found[0]

    return re.sub(r"(?:, which ends in )?…(\w+)", kept, message)


async def _local(ground: Ground, providers: KeyedProviders, names: list[str]) -> Check | None:
    """Look for the servers that may run on this machine: one line for all."""
    if not names:
        return None
    answers = await asyncio.gather(*(_heard(ground, providers, name) for name in names))
    said = [answer for answer in answers if answer]
    silent = [name for name, answer in zip(names, answers, strict=True) if not answer]
    if silent:
        said.append(("no " if not said else "nothing from ") + ", ".join(silent))
    return Check("providers", "local servers", "ok", "; ".join(said))


async def _heard(ground: Ground, providers: KeyedProviders, name: str) -> str:
    """Return what a server on this machine says, nothing when there is none."""
    entry = ground.catalog.entry(name)
    address = urlsplit(entry.base_url).netloc if entry else ""
    try:
        models = await providers.models(name, _LOCAL_S)
    except ChatError as failed:
        if failed.kind != "authentication":
            return ""  # nobody, or a server of another kind
        return f"{name} at {address} wants a key (api_key_env in [providers.{name}] of config.toml)"
    if not models and entry and entry.kind != "ollama":  # which says so when it has none yet
        return ""
    ground.catalog.take_list(name, models)
    return f"{name} at {address}, {len(models)} model{'' if len(models) == 1 else 's'}"


def _without_key(ground: Ground, asked: list[str]) -> Check | None:
    """Name the variables that would open more providers."""
    needed = [p.entry.needs for p in ground.plans if p.entry.needs and p.entry.id not in asked]
    if not needed:
        return None
    more = f"{len(needed)} {'more' if asked else 'providers'}"
    return Check("providers", "without a key", "ok", f"{more}: {', '.join(needed[:_MOST_NAMED])}")


def _model(ground: Ground, last_model: str | None) -> Check:
    """Say which model a new conversation begins with, and why."""
    try:
        model = ground.catalog.first(None, last_model, scripted=True)
    except ConfigurationError as failed:
        return told("providers", "model", f"default_model: {failed.message}")
    why = _why(ground, model, last_model)
    if model.missing:
        return Check("providers", "model", "fail", f"{model.name}, {why}, cannot be used", model.missing)
    if model.scripted:
        step = "set a key such as OPENAI_API_KEY, or paste one in the app" if "built-in" in why else None
        return Check("providers", "model", "ok", f"{model.name}, {why}", step)
    price = "" if model.price is not None and model.price.known else "; its price is not known"
    return Check("providers", "model", "ok", f"{model.name}, {why}{price}")


def _why(ground: Ground, model: Model, last_model: str | None) -> str:
    if ground.config.default_model:
        return "the default_model of config.toml"
    if model.name == last_model:
        return "the one used last"
    return (
        "the built-in demo: no other model is known"
        if model.scripted
        else f"the first that can be used ({model.found})"
    )
