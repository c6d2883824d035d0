"""Which wire format speaks for which kind, and the providers of this run. A new format is a file and a line here.

Formats and the client are loaded with the first provider that is used, not with the program.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from tui_chat.core.errors import ConfigurationError
from tui_chat.core.model import Model
from tui_chat.core.ports import Provider
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.redact import Secrets

if TYPE_CHECKING:
    from tui_chat.providers.wire import WireFormat


def _openai_chat() -> "WireFormat":
    from tui_chat.providers.openai_chat import OpenAIChat

    return OpenAIChat()


WIRE_FORMATS: dict[str, Callable[[], "WireFormat"]] = {
    "openai": _openai_chat,
}
NOT_YET = frozenset(("openai-responses", "anthropic", "gemini", "ollama"))


def wire_format(kind: str) -> "WireFormat":
    """Return the wire format of a kind. Raises ConfigurationError."""
    if kind in WIRE_FORMATS:
        return WIRE_FORMATS[kind]()
    if kind in NOT_YET:
        raise ConfigurationError(f'kind = "{kind}" is not supported yet; many such servers also speak kind = "openai"')
    raise ConfigurationError(f'kind = "{kind}" is unknown; use "openai"')


class ProviderSet:
    """All providers of this run; implements `core.ports.Providers`. One is made when it is first asked for."""

    def __init__(
        self,
        endpoints: Mapping[str, Endpoint],
        network: Network | None = None,
        secrets: Secrets | None = None,
        count: Callable[[str], int] | None = None,
    ) -> None:
        """`count` counts tokens for the demo models, which report their own usage like any server."""
        self._endpoints = endpoints
        self._network = network or Network()
        self.secrets = secrets or Secrets()
        """Every key that was used, for the log's filter."""
        self._count = count
        self._made: dict[str, Provider] = {}

    def provider(self, model: Model) -> Provider:
        """Return the provider of a model. Raises ConfigurationError when it cannot be used."""
        made = self._made.get(model.provider)
        if made is None:
            made = self._made[model.provider] = self._make(model)
        return made

    def _make(self, model: Model) -> Provider:
        endpoint = self._endpoints.get(model.provider)
        kind = endpoint.kind if endpoint else model.kind
        if kind == "demo":
            from tui_chat.providers.demo import DemoProvider

            return DemoProvider(self._count)
        if endpoint is None:
            raise ConfigurationError(
                f"unknown provider {model.provider}; add [providers.{model.provider}] to config.toml"
            )
        if not endpoint.base_url:
            raise ConfigurationError(f"providers.{model.provider}.base_url is missing in config.toml")
        from tui_chat.providers.client import HTTPProvider

        try:
            return HTTPProvider(endpoint, self._network, wire_format(kind), self.secrets)
        except ValueError as bad:
            raise ConfigurationError(f"providers.{model.provider}.base_url is no address: {bad}") from None

    async def aclose(self) -> None:
        """Close the idle connections of all."""
        made, self._made = list(self._made.values()), {}
        for provider in made:
            await provider.aclose()
