"""config.toml → frozen dataclasses.

Every table of the file is one `dict` of keys below: its reader, one line of explanation, and an example where the
default is absence. The reader, the check for unknown keys and `config --defaults` are all made from it, so none can be
forgotten; defaults stand once, in the dataclasses.
"""

import re
from collections.abc import Callable, Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path
from typing import Any

from tui_chat.config.readers import (
    Place,
    Reader,
    base_url,
    decimal,
    list_of,
    one_of,
    params,
    proxy_url,
    seconds,
    secret,
    share,
    text,
    text_table,
    texts,
    whole,
    word,
)
from tui_chat.config.screen_names import OWN_THEMES, THEMES, key_named, nearest_key
from tui_chat.config.values import (
    ENCODINGS,
    KINDS,
    Budget,
    Config,
    Limits,
    ModelConfig,
    Network,
    Prices,
    Pricing,
    ProviderConfig,
)
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.keymap import KEYMAP
from tui_chat.core.pricing import Price, Tier, Window
from tui_chat.core.record import record
from tui_chat.core.settings import UISettings


@record
class _Key:
    read: Reader
    words: str
    example: str = ""
    """A value as TOML, for `config --defaults`, where the default is absence."""


_Keys = Mapping[str, _Key]
_LONGEST_CURRENCY = 8


def _read_table(value: object, at: Place, keys: _Keys) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise at.wrong("a table")
    for key in value:
        if key not in keys:
            raise _unknown(at / key, list(keys))
    return {key: keys[key].read(each, at / key) for key, each in value.items()}


def _unknown(at: Place, here: list[str]) -> ConfigurationError:
    import difflib

    name, table = str(at.path[-1]), at.path[:-1]
    near = difflib.get_close_matches(name, here, 1, 0.6)
    elsewhere = [f"{where}.{name}" if where else name for where, keys in _TABLES.items() if name in keys]
    if not near and elsewhere:
        return at.error(f"unknown key {at.name}; did you mean {elsewhere[0]}?")
    best = near or difflib.get_close_matches(name, here, 1, 0.0) or here[:1]
    nearest = Place(at.file, "", (*table, *best)).name
    return at.error(f"unknown key {at.name}; " + (f"did you mean {nearest}?" if near else f"the nearest is {nearest}"))


def _tier(value: object, at: Place) -> Tier:
    found = _read_table(value, at, _TIER)
    for needed in ("above_tokens", "input_per_mtok", "output_per_mtok"):
        if needed not in found:
            raise at.error(f"{at.name} lacks {needed}")
    return Tier(**found)


def _window(value: object, at: Place) -> Window:
    found = _read_table(value, at, _WINDOW)
    try:
        return Window.parse(found["utc"], found.get("days", ""), found["factor"])
    except (ValueError, KeyError) as bad:
        raise at.wrong('like { utc = "01:00-04:00", days = "mon-fri", factor = 2.0 }') from bad


def _provider(value: object, at: Place) -> ProviderConfig:
    if "/" in str(at.path[-1]) or not str(at.path[-1]).strip():
        raise at.error(f"{at.name} must not have a / in its name: the first segment of a model is its provider")
    return ProviderConfig(**_read_table(value, at, _PROVIDER))


def _model(value: object, at: Place) -> ModelConfig:
    provider, _, name = str(at.path[-1]).partition("/")
    if not provider or not name:
        raise at.error(f'{at.name} must be named "provider/model"')
    found = _read_table(value, at, _MODEL)
    rest = {key: found.pop(key) for key in ("context_window", "tokenizer", "params", "currency") if key in found}
    return ModelConfig(Price(**found, source="config") if found else None, **rest)


def _named(reader: Reader) -> Reader:
    """Read a table of tables whose names the user chooses."""

    def read(value: object, at: Place) -> dict[str, Any]:
        if not isinstance(value, dict):
            raise at.wrong("a table of tables")
        return {name: reader(each, at / name) for name, each in value.items()}

    return read


def _bindings(value: object, at: Place) -> dict[str, str]:
    bound = text_table(value, at)
    ids = [key.id for key in KEYMAP]
    for binding in bound:
        if binding not in ids:
            raise _unknown(at / binding, ids)
    unbound = [key.id for key in KEYMAP if not key.keys]
    return {name: "" if not keys and name in unbound else _keys(keys, at / name) for name, keys in bound.items()}


def _keys(keys: str, at: Place) -> str:
    """Return keys, separated by commas, as Textual spells them."""
    names = []
    for each in keys.split(","):
        name = key_named(each)
        if name is None and not each.strip():
            raise at.wrong('a key such as "ctrl+n", or several, separated by commas')
        if name is None:
            near = nearest_key(each)
            hint = f"; did you mean {near}?" if near else ' such as "ctrl+n", "f2" or "question_mark"'
            raise at.error(f"{at.name}: {each.strip()[:40]!a} is no key{hint}")
        names.append(name)
    return ",".join(names)


def _theme(value: object, at: Place) -> str:
    name = word(value, at)
    if name not in THEMES + OWN_THEMES:
        raise at.wrong(f"a theme: {', '.join(THEMES)}")
    return name


def _own_currency(value: object, at: Place) -> str:
    code = word(value, at)
    if len(code) > _LONGEST_CURRENCY or not code.isprintable():
        raise at.wrong('the code of a currency, such as "EUR"')
    return code.upper()


def _rate(value: object, at: Place) -> Decimal:
    rate = decimal(value, at)
    if not rate:
        raise at.wrong("a number above 0: how much of the currency one USD is")
    return rate


def _ui(value: object, at: Place) -> UISettings:
    settings = UISettings(**_read_table(value, at, _UI))
    if (settings.currency is None) != (settings.currency_rate is None):
        there, lacking = ("currency", "currency_rate") if settings.currency else ("currency_rate", "currency")
        said = at / there
        raise said.error(f"{said.name} needs {(at / lacking).name} beside it: nothing is converted at a guessed rate")
    return settings


def _document_url(value: object, at: Place) -> str:
    """Read an address to which no key is sent, or none."""
    if value == "":
        return ""
    if isinstance(value, str) and "@" in value.partition("://")[2].partition("/")[0]:
        raise at.error(f"{at.name} must not hold a key: it is asked for without one")
    return base_url(value, at)


def _table(make: Callable[..., object], keys: Callable[[], _Keys]) -> Reader:
    return lambda value, at: make(**_read_table(value, at, keys()))


_PRICING: _Keys = {
    "like": _Key(one_of("list"), "take the vendors' list prices for models of the same name", '"list"'),
    "multiplier": _Key(decimal, "those prices times this", "1.0"),
    "currency": _Key(word, "the currency this provider charges in", '"CNY"'),
    "usd_rate": _Key(decimal, "USD for one unit of it; without it amounts are shown in the currency only", "0.14"),
}
_LIMITS: _Keys = {
    "requests_per_min": _Key(whole(1), "", "60"),
    "tokens_per_min": _Key(whole(1), "", "100000"),
}
_PROVIDER: _Keys = {
    "kind": _Key(one_of(*KINDS), "how the server is spoken to: " + " | ".join(KINDS), '"openai"'),
    "base_url": _Key(base_url, "where it is; for kind openai up to and including /v1", '"http://127.0.0.1:8000/v1"'),
    "api_key_env": _Key(word, "the environment variable that holds the key", '"WORK_KEY"'),
    "api_key_cmd": _Key(word, "a command that prints the key on its first line", '"pass show work"'),
    "api_key": _Key(secret, "the key itself; keep the file readable by you alone", '"…"'),
    "headers": _Key(text_table, "sent with every request", '{ "X-Team" = "blue" }'),
    "models": _Key(texts, "the models to offer, when the server has no list", '["a", "b"]'),
    "params": _Key(params, "sent with every request", "{ temperature = 0.2 }"),
    "limits": _Key(
        _table(Limits, lambda: _LIMITS),
        "what is more waits for its turn, prompt and answer counted; they hold for one key at one address",
        "{ requests_per_min = 60, tokens_per_min = 100000 }",
    ),
    "pricing": _Key(
        _table(Pricing, lambda: _PRICING),
        "what a reseller or proxy charges: it never has the list's prices unless told so; usd_rate = USD for one unit",
        '{ like = "list", multiplier = 1.0, currency = "CNY", usd_rate = 0.14 }',
    ),
}
_TIER: _Keys = {
    "above_tokens": _Key(whole(1), ""),
    "input_per_mtok": _Key(decimal, ""),
    "cached_input_per_mtok": _Key(decimal, ""),
    "cache_write_per_mtok": _Key(decimal, ""),
    "output_per_mtok": _Key(decimal, ""),
}
_WINDOW: _Keys = {"utc": _Key(word, ""), "days": _Key(text, ""), "factor": _Key(decimal, "")}
_MODEL: _Keys = {
    "input_per_mtok": _Key(decimal, "price of a million tokens sent", "0.28"),
    "cached_input_per_mtok": _Key(decimal, "of those read from a cache", "0.028"),
    "cache_write_per_mtok": _Key(decimal, "of those written to a cache", "0.28"),
    "output_per_mtok": _Key(decimal, "price of a million tokens generated", "0.42"),
    "reasoning_per_mtok": _Key(decimal, "of those that were reasoning, when they have a price of their own", "0.42"),
    "per_request": _Key(decimal, "a fee for each request", "0.0"),
    "tiers": _Key(
        list_of(_tier),
        "above so much input the whole request is charged at these",
        "[{ above_tokens = 200000, input_per_mtok = 0.56, output_per_mtok = 0.84 }]",
    ),
    "windows": _Key(
        list_of(_window),
        "times of day at which every price is multiplied",
        '[{ utc = "01:00-04:00", days = "mon-fri", factor = 2.0 }]',
    ),
    "currency": _Key(word, "the currency of these prices", '"USD"'),
    "context_window": _Key(whole(1), "tokens that fit in", "128000"),
    "tokenizer": _Key(one_of(*ENCODINGS), "what tokens are counted with: " + " | ".join(ENCODINGS), '"o200k_base"'),
    "params": _Key(params, "sent with every request, over the provider's", "{ max_tokens = 2000 }"),
}
_NETWORK: _Keys = {
    "connect_timeout_s": _Key(seconds, "longest wait for a connection"),
    "first_token_timeout_s": _Key(seconds, "longest silence until answer text flows (headers and reasoning included)"),
    "read_timeout_s": _Key(seconds, "longest silence between two reads once answer text flows"),
    "max_retries": _Key(whole(0, 20), "before the first token only"),
    "proxy": _Key(proxy_url, "for every server but those on this machine; else HTTPS_PROXY", '"http://127.0.0.1:3128"'),
    "ca_file": _Key(word, "certificates to trust besides the usual ones; else SSL_CERT_FILE", '"/etc/ssl/work.pem"'),
}
_BUDGET: _Keys = {
    "per_answer_usd": _Key(decimal, "an answer is cut when it has cost this much; absent = no limit", "0.50"),
    "per_chat_usd": _Key(decimal, "the same for all answers of a conversation", "2"),
    "daily_usd": _Key(decimal, "the same for a local calendar day", "5"),
    "monthly_usd": _Key(decimal, "the same for a local calendar month", "50"),
    "warn_at": _Key(share, "the share of a limit at which to warn"),
    "unknown_price": _Key(
        one_of("warn", "refuse", "tokens"),
        "where no limit can hold because a price is unknown: warn, do not send, or cut at per_answer_tokens",
    ),
    "per_answer_tokens": _Key(whole(1), 'output tokens at which an answer is cut with unknown_price = "tokens"'),
}
_PRICES: _Keys = {
    "url": _Key(_document_url, "where `models --refresh` fetches the table from; empty = built in only"),
}
_UI: _Keys = {
    "theme": _Key(_theme, "textual-dark, textual-light, or another theme of Textual"),
    "enter": _Key(one_of("send", "newline"), "what Enter does in the prompt: send | newline"),
    "glyphs": _Key(one_of("unicode", "ascii"), "unicode | ascii, for terminals that draw some glyphs too wide"),
    "stop_after_tokens": _Key(whole(0), "above 0: pause an answer there for a verdict"),
    "keep_stops": _Key(
        one_of("ask", "stop", "leave"), "keeping one of several answers stops those that still run: ask | stop | leave"
    ),
    "render_interval_ms": _Key(whole(10, 5000), "shortest time between two paints of a running answer"),
    "currency": _Key(_own_currency, "totals are shown in this one too", '"EUR"'),
    "currency_rate": _Key(_rate, "units of it for one USD; nothing is converted without it", "0.92"),
}
_TOP: _Keys = {
    "default_model": _Key(word, "the model of a new conversation", '"openai/gpt-4.1"'),
    "compare_models": _Key(texts, "what compare starts with", '["openai/gpt-4.1", "deepseek/deepseek-chat"]'),
    "system_prompt": _Key(text, "the system prompt of a new conversation", '"You are concise."'),
    "providers": _Key(_named(_provider), ""),
    "models": _Key(_named(_model), ""),
    "network": _Key(_table(Network, lambda: _NETWORK), ""),
    "budget": _Key(_table(Budget, lambda: _BUDGET), ""),
    "prices": _Key(_table(Prices, lambda: _PRICES), ""),
    "ui": _Key(_ui, ""),
    "keys": _Key(_bindings, ""),
}
_TABLES: Mapping[str, _Keys] = {
    "": {key: value for key, value in _TOP.items() if value.words},
    "providers.work": _PROVIDER,
    'models."work/a"': _MODEL,
    "network": _NETWORK,
    "budget": _BUDGET,
    "prices": _PRICES,
    "ui": _UI,
}
_ABOUT = {
    "providers.work": "any name; the name of a preset overrides it key by key",
    'models."work/a"': "overrides and additions; prices per million tokens",
    "budget": "absent = no limit",
}


def load_config(file: Path) -> Config:
    """Return the configuration; the defaults when there is no file. Raises ConfigurationError."""
    try:
        raw = file.read_bytes()
    except FileNotFoundError:
        return Config()
    except OSError as failed:
        raise ConfigurationError(f"{file} cannot be read: {failed.strerror}; mend it or move it away") from failed
    try:
        text = raw.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as bad:
        line = raw.count(b"\n", 0, bad.start) + 1
        raise ConfigurationError(f"{file}, line {line}: not UTF-8 text; save it as UTF-8") from bad
    return parse_config(text, file)


def parse_config(text: str, file: Path) -> Config:
    """Return the configuration that `text` says; `file` only names it in errors. Raises ConfigurationError."""
    import tomllib

    try:
        parsed = tomllib.loads(text, parse_float=Decimal)
    except (tomllib.TOMLDecodeError, RecursionError) as bad:
        found = re.fullmatch(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", str(bad))
        line = int(found[2]) if found and found[2] else max(1, len(text.splitlines()))
        problem = (found[1] if found else "nested too deeply").rstrip(".")
        raise ConfigurationError(f"{file}, line {line}: not TOML: {problem}") from bad
    found_keys = _read_table(parsed, Place(file, text), _TOP)
    bindings = found_keys.pop("keys", {})
    config = Config(**found_keys)
    return replace(config, ui=replace(config.ui, keys=bindings)) if bindings else config


def defaults_text() -> str:
    """Return a config.toml with every key, its default and a line of explanation.

    What has no default stands there as an example, commented out, so the text says exactly the defaults.
    """
    defaults = Config()
    values = {"": defaults, "network": defaults.network, "budget": defaults.budget}
    values |= {"prices": defaults.prices, "ui": defaults.ui}
    lines = [
        "# tui-chat: every key with its default. Lines that start with # show keys without one, and in [keys] those.",
    ]
    for table, keys in _TABLES.items():
        if table:
            about = f"   # {_ABOUT[table]}" if table in _ABOUT else ""
            lines += ["", f"{'' if table in values else '# '}[{table}]{about}"]
        for name, key in keys.items():
            default = getattr(values.get(table), name, None)
            absent = default in (None, ())
            setting = f"{name} = {key.example if absent else _toml(default)}"
            lines.append(f"{'# ' if absent else ''}{setting}" + (f"   # {key.words}" if key.words else ""))
    lines += ["", "[keys]   # binding id = keys, separated by commas"]
    lines += [f"# {_toml(key.id)} = {_toml(key.keys)}   # {key.description}" for key in KEYMAP if not key.later]
    return "\n".join(lines) + "\n"


def _toml(value: object) -> str:
    if isinstance(value, str):
        import json

        return json.dumps(value)
    return repr(value)
