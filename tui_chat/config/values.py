"""What config.toml says, as frozen dataclasses. The defaults stand here and nowhere else."""

from collections.abc import Mapping
from dataclasses import field
from decimal import Decimal
from typing import Literal

from tui_chat.core.model import Params
from tui_chat.core.pricing import Price
from tui_chat.core.record import record
from tui_chat.core.settings import UISettings

KINDS = ("openai", "openai-responses", "anthropic", "gemini", "ollama", "demo")
ENCODINGS = ("o200k_base", "cl100k_base")
"""Those whose vocabulary comes with us."""


class Secret:
    """A key that no `repr`, log or traceback can show."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def reveal(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret(…)"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and other._text == self._text

    def __hash__(self) -> int:
        return hash(self._text)


@record
class Pricing:
    like: Literal["list"] | None = None
    multiplier: Decimal | None = None
    currency: str | None = None
    usd_rate: Decimal | None = None


@record
class Limits:
    requests_per_min: int | None = None
    tokens_per_min: int | None = None


@record
class ProviderConfig:
    """`None` = not said: the preset of the same name holds, where there is one."""

    kind: str | None = None
    base_url: str | None = None
    api_key_env: str | None = None
    api_key_cmd: str | None = None
    api_key: Secret | None = None
    headers: Mapping[str, str] = field(default_factory=dict, repr=False)
    models: tuple[str, ...] = ()
    params: Params = field(default_factory=dict)
    limits: Limits = Limits()
    pricing: Pricing = Pricing()


@record
class ModelConfig:
    price: Price | None = None
    """Only what the user set; `None` when that is nothing."""
    currency: str | None = None
    context_window: int | None = None
    tokenizer: str | None = None
    params: Params = field(default_factory=dict)


@record
class Network:
    connect_timeout_s: float = 5.0
    first_token_timeout_s: float = 120.0
    read_timeout_s: float = 30.0
    max_retries: int = 2
    proxy: str | None = None
    ca_file: str | None = None


@record
class Budget:
    per_answer_usd: Decimal | None = None
    per_chat_usd: Decimal | None = None
    daily_usd: Decimal | None = None
    monthly_usd: Decimal | None = None
    warn_at: float = 0.8
    unknown_price: Literal["warn", "refuse", "tokens"] = "warn"
    per_answer_tokens: int = 20_000


@record
class Prices:
    url: str = ""


@record
class Config:
    default_model: str | None = None
    compare_models: tuple[str, ...] = ()
    system_prompt: str | None = None
    providers: Mapping[str, ProviderConfig] = field(default_factory=dict)
    models: Mapping[str, ModelConfig] = field(default_factory=dict)
    network: Network = Network()
    budget: Budget = Budget()
    prices: Prices = Prices()
    ui: UISettings = field(default_factory=UISettings)
