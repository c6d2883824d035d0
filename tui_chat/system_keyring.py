"""The system's keyring, through the optional package `keyring`, which is loaded when it is first needed.

Which providers have a key there is noted in a file of names beside the configuration: to ask the keyring itself costs a
tenth of a second, and on some systems a password, at every start.
"""

import os
import sys
from importlib.machinery import PathFinder
from pathlib import Path

from tui_chat.api_keys import FoundKey
from tui_chat.cache_files import read_json, write_json
from tui_chat.core.errors import ConfigurationError


class Keyring:
    """The keyring of this user."""

    SERVICE = "tui-chat"

    def __init__(self, noted: Path | None) -> None:
        """`noted` is the file of names; without it there is no keyring."""
        self._noted = noted
        self._names: list[str] | None = None
        self._usable: bool | None = None

    def find(self, provider: str) -> FoundKey | None:
        """Return a provider's key, which is read when it is needed; `None` when there is none."""
        if provider not in self._listed():
            return None
        held: list[str] = []

        def get() -> str:
            if not held:
                held.append(self._read(provider))
            return held[0]

        return FoundKey(get, "the keyring", at_hand=lambda: bool(held))

    @property
    def likely(self) -> bool:
        """Whether there seems to be one, as far as that can be told without loading the package."""
        if self._usable is not None:
            return self._usable
        if self._noted is None or PathFinder.find_spec("keyring") is None:
            return False
        told = "PYTHON_KEYRING_BACKEND" in os.environ or "DBUS_SESSION_BUS_ADDRESS" in os.environ
        return told or sys.platform in ("darwin", "win32")

    @property
    def usable(self) -> bool:
        """True when there is a keyring that keeps what it is given; loads the package."""
        if self._usable is None:
            self._usable = self._noted is not None and self._has_backend()
        return self._usable

    @staticmethod
    def _has_backend() -> bool:
        try:
            import keyring
            from keyring.core import recommended

            return recommended(keyring.get_keyring())  # not so the null one, and those that write plain text
        except Exception:  # noqa: BLE001  not installed, or a backend of the system that raises whatever it likes
            return False

    def keep(self, provider: str, key: str) -> None:
        """Store a key. Raises ConfigurationError."""
        try:
            import keyring

            keyring.set_password(self.SERVICE, provider, key)
            kept = keyring.get_password(self.SERVICE, provider) == key  # a chain of backends may do nothing, silently
        except Exception as failed:  # noqa: BLE001  as above
            raise ConfigurationError(f"the keyring did not take the key ({type(failed).__name__})") from None
        if not kept:
            raise ConfigurationError("the keyring did not take the key")
        self._note([*(name for name in self._listed() if name != provider), provider])

    def forget(self, provider: str) -> None:
        """Look no more for a provider's key there: it is kept elsewhere. Raises ConfigurationError."""
        if provider in self._listed():
            self._note([name for name in self._listed() if name != provider])

    def _note(self, names: list[str]) -> None:
        if self._noted is None:
            return
        write_json(self._noted, names)
        if read_json(self._noted) != names:  # unlike a cache, this must not get lost: the key would not be found again
            raise ConfigurationError(f"{self._noted} cannot be written, so the key would not be found again")
        self._names = names

    def _read(self, provider: str) -> str:
        try:
            import keyring

            key = keyring.get_password(self.SERVICE, provider)
        except Exception as failed:  # noqa: BLE001  as above
            message = f"the keyring cannot be read ({type(failed).__name__}); unlock it, or set the key another way"
            raise ConfigurationError(message, kind="authentication") from None
        if not key:
            message = f"the keyring has no key for {provider} any more; paste it again in the app"
            raise ConfigurationError(message, kind="authentication")
        return str(key)

    def _listed(self) -> list[str]:
        if self._names is None:
            names = read_json(self._noted) if self._noted is not None else None
            self._names = [name for name in names if isinstance(name, str)] if isinstance(names, list) else []
        return self._names
