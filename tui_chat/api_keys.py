"""Where a provider's key comes from: the environment, then a command, then config.toml.

A command runs only when its provider is used, once, and without a shell. What is wrong with a key is said without
showing any of it.
"""

import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from tui_chat.config.values import ProviderConfig
from tui_chat.core.errors import ConfigurationError

COMMAND_TIMEOUT_S = 30.0


@dataclass(frozen=True, slots=True)
class FoundKey:
    get: Callable[[], str | None] = field(repr=False)
    """Returns the key, `None` when none is configured; may run a command. Raises ConfigurationError."""
    source: str = ""
    """Where it comes from, as a few words; empty when there is none."""
    missing: str | None = None
    """Why the provider cannot be used, as one line that says what to do."""


def find_key(provider: str, config: ProviderConfig, variable: str | None, environ: Mapping[str, str]) -> FoundKey:
    """Return the key of a provider, as far as it can be found without running anything.

    `variable` is the one that its preset names, so a provider that has one needs a key.
    """
    name = config.api_key_env or variable
    if name and environ.get(name, "").strip():
        return _checked(environ[name], name)
    if config.api_key_cmd:
        source = f"providers.{provider}.api_key_cmd"
        return FoundKey(_Command(config.api_key_cmd, source).key, source)
    if config.api_key is not None:
        return _checked(config.api_key.reveal(), f"providers.{provider}.api_key in config.toml")
    missing = f"set {name}, or api_key_cmd in [providers.{provider}] of config.toml" if name else None
    return FoundKey(lambda: None, missing=missing)


def _checked(text: str, source: str) -> FoundKey:
    key, problem = _judge(text, source)
    return FoundKey(lambda: key, source, problem)


def _judge(text: str, source: str) -> tuple[str, str | None]:
    """Return a key stripped, and what is wrong with it."""
    key = text.strip()
    if any(character.isspace() for character in key):
        return "", f"{source} has white space inside; copy the key again"
    if not key.isascii() or not key.isprintable():
        return "", f"{source} has a character that no key has (perhaps a typographic quote); copy the key again"
    return key, None


class _Command:
    """Runs a command that prints a key on its first line, at the first need."""

    def __init__(self, command: str, source: str) -> None:
        self._command = command
        self._source = source
        self._key: str | None = None
        self._lock = threading.Lock()

    def key(self) -> str:
        with self._lock:
            if self._key is None:
                self._key = self._run()
            return self._key

    def _run(self) -> str:
        import shlex
        import subprocess

        try:
            done = subprocess.run(  # noqa: S603  the user's own command, without a shell
                shlex.split(self._command),
                stdin=subprocess.DEVNULL,
                capture_output=True,
                timeout=COMMAND_TIMEOUT_S,
                check=False,
            )
        except subprocess.TimeoutExpired as failed:
            raise self._error(f"gave no key within {COMMAND_TIMEOUT_S:.0f} s") from failed
        except (OSError, ValueError) as failed:
            reason = failed.strerror if isinstance(failed, OSError) else failed
            raise self._error(f"cannot be run: {reason}") from failed
        if done.returncode:
            raise self._error(f"ended with {done.returncode}")
        lines = done.stdout.decode("utf-8", "replace").splitlines()
        key, problem = _judge(lines[0] if lines else "", f"the first line of {self._source}")
        if problem:
            raise ConfigurationError(problem, kind="authentication")
        if not key:
            raise self._error("printed an empty first line")
        return key

    def _error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._source} {problem}; run it by hand", kind="authentication")
