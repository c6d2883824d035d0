"""Puts a key into config.toml without touching anything else in it: comments, order and spelling stay the user's.

The file is edited as text and read again before it takes the place of the old one: unless everything else in it still
means the same and the key stands where it should, nothing is written.
"""

import json
import os
import re
from pathlib import Path
from typing import Any

from tui_chat.core.errors import ConfigurationError
from tui_chat.paths import make_private_folder, open_private

_HEAD = re.compile(r"^[ \t]*\[[^\[].*$", re.MULTILINE)


def keep_key(file: Path, provider: str, key: str) -> None:
    """Set `providers.NAME.api_key` in the file, which becomes its owner's alone. Raises ConfigurationError."""
    target = file.resolve()  # a link into somebody's dotfiles stays a link
    try:
        text = target.read_text("utf-8") if target.exists() else ""
        new = with_key(text, provider, key)
        make_private_folder(target.parent)
        beside = target.with_name(f".{target.name}.{os.getpid()}")
        try:
            with open(beside, "w", encoding="utf-8", newline="", opener=open_private) as out:
                out.write(new)
                out.flush()
                os.fsync(out.fileno())
            beside.replace(target)
        finally:
            beside.unlink(missing_ok=True)
    except (OSError, UnicodeDecodeError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else "not UTF-8 text"
        raise ConfigurationError(f"{file} cannot be written: {reason}; the key is kept nowhere") from None


def with_key(text: str, provider: str, key: str) -> str:
    """Return the text of a config.toml with the key set. Raises ConfigurationError when it cannot be done safely."""
    line = f"api_key = {json.dumps(key)}"
    name = provider if re.fullmatch(r"[A-Za-z0-9_-]+", provider) else json.dumps(provider)
    spelled = rf"(?:{re.escape(name)}|[\"']{re.escape(provider)}[\"'])"
    head = re.search(rf"^[ \t]*\[[ \t]*providers[ \t]*\.[ \t]*{spelled}[ \t]*\].*$", text, re.MULTILINE)
    if head is None:
        gap = "" if not text or text.endswith("\n\n") else "\n" if text.endswith("\n") else "\n\n"
        new = f"{text}{gap}[providers.{name}]\n{line}\n"
    else:
        following = _HEAD.search(text, head.end())
        end = following.start() if following else len(text)
        table = text[head.end() : end]
        old = re.search(r"^[ \t]*api_key[ \t]*=.*$", table, re.MULTILINE)
        table = table[: old.start()] + line + table[old.end() :] if old else f"\n{line}{table}"
        new = text[: head.end()] + table + text[end:]
    if _without(_parsed(new), provider) != _without(_parsed(text), provider) or _key_in(new, provider) != key:
        raise ConfigurationError(
            f"the key of {provider} cannot be put into config.toml without touching other lines;"
            f" write api_key into [providers.{name}] by hand"
        )
    return new


def _parsed(text: str) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(text.replace("\r\n", "\n"))
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
