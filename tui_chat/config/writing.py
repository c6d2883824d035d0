"""Puts a key into config.toml without touching anything else in it: comments, order and spelling stay the user's.

The file is edited as text and read again before it takes the place of the old one: unless everything else in it still
means the same and the key stands where it should, nothing is written.
"""

import json
import os
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from tui_chat.core.errors import ConfigurationError
from tui_chat.paths import make_private_folder, open_private

_MARK = "\ufeff"
"""What some editors put in front of a file; it stays."""
_OLD = re.compile(
    r"""^[ \t]*(?:[^=\n\[{#]*\.[ \t]*)?(?:api_key|"api_key"|'api_key')[ \t]*=[ \t]*"""
    r"""(?P<value>"(?:[^"\\\r\n]|\\[^\r\n])*"|'[^'\r\n]*')""",
    re.MULTILINE,
)


def keep_key(file: Path, provider: str, key: str) -> None:
    """Set `providers.NAME.api_key` in the file, which becomes its owner's alone. Raises ConfigurationError."""
    try:
        target = file.resolve()  # a link into somebody's dotfiles stays a link
        text = target.read_bytes().decode("utf-8") if target.exists() else ""  # as it is, line ends too
        new = with_key(text, provider, key)
        make_private_folder(target.parent)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        beside.unlink(missing_ok=True)
        try:
            with open(beside, "w", encoding="utf-8", newline="", opener=open_private) as out:
                out.write(new)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, RuntimeError, UnicodeDecodeError) as failed:  # RuntimeError: links in a circle
        reason = "not UTF-8 text" if isinstance(failed, UnicodeDecodeError) else _reason(failed)
        raise ConfigurationError(f"{file} cannot be written: {reason}; the key is kept nowhere") from None


def _reason(failed: Exception) -> str:
    return (failed.strerror if isinstance(failed, OSError) else None) or "its links go in a circle"


def with_key(text: str, provider: str, key: str) -> str:
    """Return the text of a config.toml with the key set. Raises ConfigurationError when it cannot be done safely."""
    name = provider if re.fullmatch(r"[A-Za-z0-9_-]+", provider) else json.dumps(provider)
    rest = _without(_parsed(text), provider)
    body = text.removeprefix(_MARK)
    for edited in _edits(body, provider, name, json.dumps(key)):
        new = text[: len(text) - len(body)] + edited
        if _key_in(new, provider) == key and _without(_parsed(new), provider) == rest:
            return new
    raise ConfigurationError(
        f"the key of {provider} cannot be put into config.toml without touching other lines;"
        f" write api_key into [providers.{name}] by hand"
    )


def _edits(text: str, provider: str, name: str, value: str) -> Iterator[str]:
    """Yield the text with the value in the place of each key in it, then with a line for it in each fitting place.

    A place is only looked for, not understood: in a long string a line may look like any other.
    """
    newline = "\r\n" if "\r\n" in text else "\n"
    line = f"api_key = {value}"
    for old in _OLD.finditer(text):
        yield text[: old.start("value")] + value + text[old.end("value") :]
    spelled = rf"(?:{re.escape(name)}|\"{re.escape(provider)}\"|'{re.escape(provider)}')"
    head = rf"^[ \t]*\[[ \t]*(?:providers|\"providers\"|'providers')[ \t]*\.[ \t]*{spelled}[ \t]*\][^\r\n]*"
    for table in re.finditer(head, text, re.MULTILINE):
        yield text[: table.end()] + newline + line + text[table.end() :]
    gap = "" if not text or text.endswith(("\n\n", "\n\r\n")) else newline if text.endswith("\n") else newline * 2
    yield f"{text}{gap}[providers.{name}]{newline}{line}{newline}"


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text.removeprefix(_MARK))
    except tomllib.TOMLDecodeError:
        return {"broken": text}


def _key_in(text: str, provider: str) -> object:
    providers = _parsed(text).get("providers")
    table = providers.get(provider) if isinstance(providers, dict) else None
    return table.get("api_key") if isinstance(table, dict) else None


def _without(parsed: dict[str, Any], provider: str) -> dict[str, Any]:
    """Return what a file says besides this provider's key."""
    providers = parsed.get("providers")
    if not isinstance(providers, dict):
        return {**parsed, "providers": {provider: {}}} if providers is None else parsed
    table = providers.get(provider, {})
    rest = {name: value for name, value in table.items() if name != "api_key"} if isinstance(table, dict) else table
    return {**parsed, "providers": {**providers, provider: rest}}
