"""Where a provider is and how long it is waited for: plain values, made at every start.

They stand apart from the wire formats, which the first paint does not need.
"""

import ipaddress
from collections.abc import Callable, Iterable, Mapping
from dataclasses import field
from urllib.parse import urlsplit

from tui_chat.core.record import record
from tui_chat.providers.refusals import Refusals


def is_loopback(base_url: str) -> bool:
    """Say whether a server is on this machine."""
    host = urlsplit(base_url).hostname or ""
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost" or host.endswith(".localhost")


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
    key_page: str = ""
    """Where a key is made, for error messages."""
    key_header: str = ""
    """The header that carries the key as it is (Azure's `api-key`); empty = as the dialect does it."""
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    """Sent with each request; they win over ours."""
    list_url: str = ""
    """Where the list of models is, when that is not where the dialect has it."""
    check_path: str = ""
    """What to GET to try a key, where the list of models is open to everybody."""
    bill_path: str = ""
    """What to GET for the bill of one answer, `{id}` in it; empty = no such account is kept."""
    prefill: bool = False
    """The server goes on with an answer that was begun for it, where the dialect leaves that to the server."""
    known_models: Callable[[], Iterable[str]] = field(default=tuple, repr=False)
    """The names that are known here, to tell the nearest when the server does not know one."""
    requests_per_min: int | None = None
    tokens_per_min: int | None = None
    """What the user set; `None` = no limit."""
    refusals: Refusals = field(default_factory=Refusals, repr=False)


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
    proxy: str | None = None
    """The proxy for every server but those on this machine; `None` = what the environment says."""
    ca_file: str | None = None
    """Certificates that are trusted besides the usual ones."""
    settle_s: float = 5.0
    """How long usage is waited for after the finish reason."""
