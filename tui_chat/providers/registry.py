"""Which wire format speaks for which kind, and the providers of this run. A new format is a file and a line here.

Formats and the client are loaded with the first provider that is used, not with the program.
"""

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from tui_chat.core.errors import ConfigurationError
from tui_chat.core.model import ListedModel, Model
from tui_chat.core.ports import Provider
from tui_chat.providers.endpoint import Endpoint, Network
from tui_chat.providers.redact import Secrets

if TYPE_CHECKING:
    from tui_chat.providers.turnstile import Turnstiles
    from tui_chat.providers.wire import WireFormat


def _openai_chat() -> "WireFormat":
    from tui_chat.providers.openai_chat import OpenAIChat

    return OpenAIChat()


def _anthropic() -> "WireFormat":
    from tui_chat.providers.anthropic_messages import AnthropicMessages

    return AnthropicMessages()


def _gemini() -> "WireFormat":
    from tui_chat.providers.gemini import Gemini

    return Gemini()


def _openai_responses() -> "WireFormat":
    from tui_chat.providers.openai_responses import OpenAIResponses

    return OpenAIResponses()


def _ollama() -> "WireFormat":
    from tui_chat.providers.ollama import Ollama

    return Ollama()


WIRE_FORMATS: dict[str, Callable[[], "WireFormat"]] = {
    "openai": _openai_chat,
    "openai-responses": _openai_responses,
    "ollama": _ollama,
    "anthropic": _anthropic,
    "gemini": _gemini,
}


def wire_format(kind: str) -> "WireFormat":
    """Return the wire format of a kind. Raises ConfigurationError."""
    if kind in WIRE_FORMATS:
        return WIRE_FORMATS[kind]()
    raise ConfigurationError(f'kind = "{kind}" is unknown; most servers speak "openai"')


@runtime_checkable
class Lister(Protocol):
    """A provider that keeps a list of its models; the demo does not."""

    async def models(self, limit_s: float) -> list[ListedModel]: ...


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
        self._endpoints = dict(endpoints)
        self._network = network or Network()
        self.secrets = secrets or Secrets()
        """Every key that was used, for the log's filter."""
        self._count = count
        self._made: dict[str, Provider] = {}
        self._retired: list[Provider] = []
        self._turnstiles: Turnstiles | None = None

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
        from tui_chat.providers.turnstile import Turnstiles

        self._turnstiles = self._turnstiles or Turnstiles()
        try:
            return HTTPProvider(endpoint, self._network, wire_format(kind), self.secrets, turnstiles=self._turnstiles)
        except ValueError as bad:
            raise ConfigurationError(f"providers.{model.provider}.base_url is no address: {bad}") from None

    def take(self, endpoint: Endpoint) -> None:
        """Use an endpoint from now on in place of the one with its name; answers that run keep theirs."""
        self._endpoints[endpoint.provider] = endpoint
        before = self._made.pop(endpoint.provider, None)
        if before is not None:
            self._retired.append(before)

    def endpoint(self, provider: str) -> Endpoint | None:
        return self._endpoints.get(provider)

    async def models(self, provider: str, limit_s: float) -> list[ListedModel]:
        """Ask a provider for its list of models. Raises ProviderError, ConfigurationError."""
        made = self.provider(Model(provider, ""))
        return await made.models(limit_s) if isinstance(made, Lister) else []

    async def tried(self, endpoint: Endpoint, limit_s: float) -> list[ListedModel]:
        """Try the key of an endpoint; return its list of models. Raises ProviderError, ConfigurationError."""
        from tui_chat.providers.client import HTTPProvider

        trial = HTTPProvider(endpoint, self._network, wire_format(endpoint.kind), self.secrets)
        try:
            if endpoint.check_path:
                await trial.check_key(limit_s)
            return await trial.models(limit_s)
        finally:
            await trial.aclose()

    async def aclose(self) -> None:
        """Close the idle connections of all."""
        made, self._made, self._retired = [*self._made.values(), *self._retired], {}, []
        for provider in made:
            await provider.aclose()
