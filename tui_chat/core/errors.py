"""One error tree.

    ChatError                 something a person can act on; `str(error)` is one line that says what to do next
    ├── ConfigurationError    wrong usage or configuration: exit code 2
    ├── ProviderError         the provider or the network failed: exit code 1
    ├── BudgetError           a limit of the user's on money was reached: exit code 3
    └── StorageError          the history could not be read or written

A key never enters an error: whoever raises one has removed it (see `providers/redact.py`).
"""

from typing import Literal

ErrorKind = Literal[
    "authentication",
    "permission",
    "payment",
    "not_found",
    "rate_limit",
    "invalid_request",
    "context_length",
    "content_filter",
    "overloaded",
    "server",
    "timeout",
    "connection",
    "protocol",
    "stream",
    "cancelled",
    "budget",
    "configuration",
    "storage",
    "internal",
]


class ChatError(Exception):
    """The root; `kind` is one of the contract's error kinds, the text is one line for a person."""

    def __init__(self, kind: ErrorKind, message: str) -> None:
        super().__init__(message)
        self.kind: ErrorKind = kind
        self.message = message


class ConfigurationError(ChatError):
    """The user's configuration or command line cannot be followed."""

    def __init__(self, message: str, *, kind: ErrorKind = "configuration") -> None:
        super().__init__(kind, message)


class StorageError(ChatError):
    """The history could not be read or written."""

    def __init__(self, message: str) -> None:
        super().__init__("storage", message)


class BudgetError(ChatError):
    """A limit on what may be spent keeps an answer from being sent, or from going on."""

    def __init__(
        self, message: str, scope: Literal["answer", "tokens", "price", "run", "chat", "day", "month"]
    ) -> None:
        super().__init__("budget", message)
        self.scope = scope
        """What the limit adds up, see `caps.Scope`."""

    @property
    def shared(self) -> bool:
        """Other answers would meet the same limit."""
        return self.scope in ("run", "chat", "day", "month")


class ProviderError(ChatError):
    """The one error that `Provider.stream` raises."""

    def __init__(
        self,
        kind: ErrorKind,
        message: str,
        *,
        status: int | None = None,
        request_sent: bool = False,
        attempts: int = 1,
    ) -> None:
        super().__init__(kind, message)
        self.status = status
        """The HTTP status, where there was one."""
        self.request_sent = request_sent
        """True when the whole request had left and no error status came back: its input may be billed."""
        self.attempts = attempts
        """How many times the request was tried."""
