"""Readers: a value as TOML has it → ours, or an error that names the key and its line.

A wrong value is never shown: it may be a key.
"""

import math
import re
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

from tui_chat.config.values import Secret
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.model import Params
from tui_chat.core.record import record


@record
class Place:
    """A value's place in the file, to name it in an error."""

    file: Path
    text: str
    path: tuple[str | int, ...] = ()

    def __truediv__(self, key: str | int) -> "Place":
        return Place(self.file, self.text, (*self.path, key))

    @property
    def name(self) -> str:
        name = ""
        for key in self.path:
            if isinstance(key, int):
                name += f"[{key}]"
            else:
                bare = re.fullmatch(r"[A-Za-z0-9_-]+", key)
                name += ("." if name else "") + (key if bare else '"' + key.encode("unicode_escape").decode() + '"')
        return name

    def error(self, problem: str) -> ConfigurationError:
        line = line_of(self.text, self.path)
        return ConfigurationError(f"{self.file}, line {line}: {problem}")

    def wrong(self, expected: str) -> ConfigurationError:
        return self.error(f"{self.name} must be {expected}")


def line_of(text: str, path: tuple[str | int, ...]) -> int:
    """Return the line on which a key stands: the first that has to be read before it is there.

    Slow and sure: the parser itself judges ever longer parts of the file, which nobody minds once, for an error.
    """
    import tomllib

    lines = text.splitlines(keepends=True)
    good = 0
    for count in range(1, len(lines) + 1):
        try:
            value: Any = tomllib.loads("".join(lines[:count]))
        except tomllib.TOMLDecodeError:
            continue
        try:
            for key in path:
                value = value[key]
        except (KeyError, IndexError, TypeError):
            good = count
            continue
        return good + 1
    return max(1, len(lines))


Reader = Callable[[object, Place], Any]

_LARGEST = 10**12
"""No price, limit or rate is larger; what is, could not be written as JSON once it is multiplied."""


def text(value: object, at: Place) -> str:
    if not isinstance(value, str):
        raise at.wrong("text in quotes")
    return value


def word(value: object, at: Place) -> str:
    if not isinstance(value, str) or not value.strip():
        raise at.wrong("text in quotes that is not empty")
    return value.strip()


def texts(value: object, at: Place) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise at.wrong('a list of texts, such as ["a", "b"]')
    return tuple(word(each, at / n) for n, each in enumerate(value))


def text_table(value: object, at: Place) -> dict[str, str]:
    if not isinstance(value, dict):
        raise at.wrong('a table of texts, such as { "name" = "value" }')
    return {key: text(each, at / key) for key, each in value.items()}


def secret(value: object, at: Place) -> Secret:
    return Secret(word(value, at))


def whole(least: int, most: int | None = None) -> Reader:
    def read(value: object, at: Place) -> int:
        if not isinstance(value, int) or isinstance(value, bool) or value < least or (most and value > most):
            raise at.wrong(f"a whole number of at least {least}" + (f" and at most {most}" if most else ""))
        return value

    return read


def decimal(value: object, at: Place) -> Decimal:
    if not isinstance(value, int | Decimal) or isinstance(value, bool) or not Decimal(value).is_finite() or value < 0:
        raise at.wrong("a number of at least 0")
    if value > _LARGEST:
        raise at.wrong(f"a number of at most {_LARGEST:,}")
    return Decimal(value)


def number(value: object, at: Place) -> float:
    return float(decimal(value, at))


def seconds(value: object, at: Place) -> float:
    seconds = number(value, at)
    if not 0 < seconds <= 86_400:
        raise at.wrong("a number of seconds above 0 and up to 86400")
    return seconds


def share(value: object, at: Place) -> float:
    share = number(value, at)
    if share > 1:
        raise at.wrong("a number from 0 to 1")
    return share


def one_of(*choices: str) -> Reader:
    def read(value: object, at: Place) -> str:
        if value not in choices:
            raise at.wrong("one of " + ", ".join(f'"{choice}"' for choice in choices))
        return str(value)

    return read


def base_url(value: object, at: Place) -> str:
    from urllib.parse import urlsplit

    url = word(value, at)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or any(c.isspace() or not c.isprintable() for c in url):
        raise at.wrong("a URL such as http://127.0.0.1:8000/v1")
    if parts.username is not None or parts.password is not None:
        raise at.error(f"{at.name} must not hold a key; name the key's variable in api_key_env")
    return url.rstrip("/")


def proxy_url(value: object, at: Place) -> str:
    from urllib.parse import urlsplit

    url = word(value, at)
    try:
        parts = urlsplit(url)
        usable = parts.scheme in ("http", "https", "socks5", "socks5h") and bool(parts.hostname) and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise at.wrong("a proxy's URL such as http://127.0.0.1:3128")
    return url


def params(value: object, at: Place) -> Params:
    if not isinstance(value, dict):
        raise at.wrong("a table, such as { temperature = 0.2 }")
    return {key: _plain(each, at / key) for key, each in value.items()}


def _plain(value: object, at: Place) -> object:
    """Return a value as JSON can carry it."""
    if isinstance(value, Decimal) and math.isfinite(float(value)):
        return float(value)
    if isinstance(value, dict):
        return {key: _plain(each, at / key) for key, each in value.items()}
    if isinstance(value, list):
        return [_plain(each, at / n) for n, each in enumerate(value)]
    if not isinstance(value, str | int):
        raise at.wrong("text, a number, true or false, a list or a table")
    return value


def list_of(reader: Reader) -> Reader:
    def read(value: object, at: Place) -> tuple[Any, ...]:
        if not isinstance(value, list):
            raise at.wrong("a list of tables, such as [{ … }]")
        return tuple(reader(each, at / n) for n, each in enumerate(value))

    return read
