"""Where a provider is and how long it is waited for: plain values, made at every start.

They stand apart from the wire formats, which the first paint does not need.
"""

from collections.abc import Callable, Mapping
from dataclasses import field

from tui_chat.core.record import record


def _no_key() -> str | None:
    return None


@record
class Endpoint:
    """One configured provider."""

    provider: str
    """Its id, e.g. `openai` or `work`."""
    kind: str
    """The wire format: `openai`, …, or `demo`."""
    base_url: str = ""
    api_key: Callable[[], str | None] = field(default=_no_key, repr=False)
    """Gets the key when it is needed, `None` = call without one; may run a command, so it is called in a thread."""
    key_hint: str = ""
    """Where the key comes from, for error messages: `OPENAI_API_KEY`, `api_key in config.toml`."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with each request; they win over ours."""
    models: tuple[str, ...] = ()


@record
class Network:
    """`[network]` of the configuration, and what only tests change."""

    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 120.0
    """The longest silence until answer text flows; headers, comments and reasoning are no silence."""
    read_timeout_s: float = 30.0
    """The longest silence once answer text flows."""
    max_retries: int = 2
    backoff_s: float = 0.5
    """The first wait before a retry; it doubles each time."""
    settle_s: float = 5.0
    """How long usage is waited for after the finish reason."""
