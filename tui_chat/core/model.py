"""A model as the user picks it: `provider/model`, what it costs, whether it can be used now."""

from dataclasses import field
from typing import Literal

from tui_chat.core.pricing import Price
from tui_chat.core.record import record

Params = dict[str, object]
"""Sampling parameters as the wire takes them; only those that somebody set."""


@record
class ListedModel:
    """A model as its provider's own list has it; `None` where the list does not say."""

    id: str
    """The name to ask for it by."""
    context_window: int | None = None
    price: Price | None = None
    """What the provider itself says it charges (OpenRouter does)."""


@record
class Model:
    provider: str
    """The provider's id, e.g. `openai`."""
    id: str
    """The provider's own name of the model, slashes included."""
    kind: str = "openai"
    """The wire format."""
    context_window: int | None = None
    price: Price | None = None
    encoding: str | None = None
    """The tokenizer's encoding where it was configured; else the counter chooses."""
    params: Params = field(default_factory=dict)
    needs: str = ""
    """The variable that would hold the key it lacks; empty when it lacks none."""
    missing: str | None = None
    """Why it cannot be used now, as one line that says what to do (`set OPENAI_API_KEY …`); `None` when it can."""
    found: str = ""
    """Where it was found, as a few words: `OPENAI_API_KEY`, `config.toml`, `built in, scripted`."""
    stops_billing: Literal["yes", "no", "unknown"] = "unknown"
    """Whether closing the connection ends the bill."""
    stops_source: str = ""
    """Who says so."""
    scripted: bool = False
    """True for the built-in demo models: their text is scripted, their money is play money."""

    @property
    def name(self) -> str:
        return f"{self.provider}/{self.id}"

    @property
    def short_name(self) -> str:
        """The last segment, for narrow places."""
        return self.id.rsplit("/", 1)[-1]
