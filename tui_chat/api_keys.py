"""Where a provider's key comes from: the environment, then a command, then the keyring, then config.toml.

A command runs only when its provider is used, once, and without a shell. It may hang (a locked password store), so
whoever waits for it can be sent away: `FoundKey.stop` ends the wait at once, whatever the command does. What is wrong
with a key is said without showing any of it.
"""

import threading
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import field
from typing import TYPE_CHECKING

from tui_chat.config.values import ProviderConfig
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.record import record

if TYPE_CHECKING:
    from subprocess import Popen

COMMAND_TIMEOUT_S = 30.0


@record
class FoundKey:
    get: Callable[[], str | None] = field(repr=False)
    """Returns the key, `None` when none is configured; may run a command. Raises ConfigurationError."""
    source: str = ""
    """Where it comes from, as a few words; empty when there is none."""
    missing: str | None = None
    """Why the provider cannot be used, as one line that says what to do."""
    stop: Callable[[], None] = field(default=lambda: None, repr=False)
    """Ends a `get` that waits for a command, and those that come after it; from any thread."""
    at_hand: Callable[[], bool] = field(default=lambda: True, repr=False)
    """False while to get the key would run a command or ask the keyring, which may want a password of the user."""


def find_key(
    provider: str,
    config: ProviderConfig,
    variables: tuple[str, ...],
    environ: Mapping[str, str],
    keyring: Callable[[str], FoundKey | None] = lambda _provider: None,
) -> FoundKey:
    """Return the key of a provider, as far as it can be found without running anything.

    `variables` are those that its preset names, so a provider that has any needs a key; `keyring` finds what is kept in
    the system's.
    """
    names = (config.api_key_env,) if config.api_key_env else variables
    for name in names:
        if environ.get(name, "").strip():
            return _checked(environ[name], name)
    if config.api_key_cmd:
        source = f"providers.{provider}.api_key_cmd"
        command = _Command(config.api_key_cmd, source)
        return FoundKey(command.key, source, stop=command.stop, at_hand=command.done)
    if (kept := keyring(provider)) is not None:
        return kept
    if config.api_key is not None:
        return _checked(config.api_key.reveal(), f"providers.{provider}.api_key in config.toml")
    missing = f"set {names[0]}, or api_key_cmd in [providers.{provider}] of config.toml" if names else None
    return FoundKey(lambda: None, missing=missing)


def _checked(text: str, source: str) -> FoundKey:
    key, problem = judge(text, source)
    return FoundKey(lambda: key, source, problem)


def given(key: str, source: str) -> FoundKey:
    """Return a key that the user handed over and that was judged already."""
    return FoundKey(lambda: key, source)


def judge(text: str, source: str) -> tuple[str, str | None]:
    """Return a key stripped, and what is wrong with it."""
    key = text.strip()
    if key and key[0] in "\"'" and key[-1] == key[0]:
        return "", f"{source} has quotation marks around it; take them off"
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
        self._child: Popen[bytes] | None = None
        self._stopped = threading.Event()
        self._wake = threading.Event()

    def key(self) -> str:
        with self._lock:
            if self._key is None:
                self._key = self._run()
            return self._key

    def done(self) -> bool:
        """Say whether the key is there without running anything."""
        return self._key is not None

    def stop(self) -> None:
        """Kill the command; whoever waits for its key goes on without."""
        self._stopped.set()
        self._wake.set()
        self._kill()

    def _run(self) -> str:
        import shlex
        import subprocess

        if self._stopped.is_set():
            raise self._error("was stopped")
        try:
            child = self._child = subprocess.Popen(  # noqa: S603  the user's own command, without a shell
                shlex.split(self._command),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
            )
        except (OSError, ValueError) as failed:
            reason = failed.strerror if isinstance(failed, OSError) else failed
            raise self._error(f"cannot be run: {reason}") from failed
        printed: list[bytes] = []

        def read() -> None:
            printed.append(child.communicate()[0])
            self._wake.set()

        # a thread of its own: a child of the command may hold the pipe open for longer than anybody wants to wait
        threading.Thread(target=read, name="api-key-command", daemon=True).start()
        ended = self._wake.wait(COMMAND_TIMEOUT_S)
        self._wake.clear()
        if self._stopped.is_set() or not printed:  # a killed command may have ended before anybody looks
            self._kill()
            raise self._error("was stopped" if ended else f"gave no key within {COMMAND_TIMEOUT_S:.0f} s")
        if child.returncode:
            raise self._error(f"ended with {child.returncode}")
        return self._first_line(printed[0])

    def _kill(self) -> None:
        if self._child is not None:
            with suppress(OSError):
                self._child.kill()

    def _first_line(self, printed: bytes) -> str:
        lines = printed.decode("utf-8", "replace").splitlines()
        key, problem = judge(lines[0] if lines else "", f"the first line of {self._source}")
        if problem:
            raise ConfigurationError(problem, kind="authentication")
        if not key:
            raise self._error("printed an empty first line")
        return key

    def _error(self, problem: str) -> ConfigurationError:
        return ConfigurationError(f"{self._source} {problem}; run it by hand", kind="authentication")
