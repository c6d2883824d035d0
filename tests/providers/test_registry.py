"""The providers of a run."""

import pytest

from tests.loopback import LoopbackServer, chat_stream
from tui_chat.core.errors import ConfigurationError
from tui_chat.core.events import Finished
from tui_chat.core.message import Message
from tui_chat.core.model import Model
from tui_chat.core.request import Request
from tui_chat.providers.endpoint import Endpoint
from tui_chat.providers.registry import WIRE_FORMATS, ProviderSet, wire_format

ENDPOINT = Endpoint("work", "openai", "http://127.0.0.1:9/v1")


def test_every_registered_kind_makes_a_wire_format():
    for kind in WIRE_FORMATS:
        assert wire_format(kind).decoder().finish_reason is None


def test_other_kinds_are_refused_in_words():
    with pytest.raises(ConfigurationError, match="nonsense"):
        wire_format("nonsense")


async def test_a_provider_is_made_once_and_asked_by_its_models():
    with LoopbackServer() as server:
        server.enqueue(chat_stream())
        providers = ProviderSet({"work": Endpoint("work", "openai", server.base_url)})
        model = Model("work", "m")
        provider = providers.provider(model)
        assert providers.provider(Model("work", "other")) is provider
        request = Request(model, (Message.of("user", "hi"),), {})
        assert [event async for event in provider.stream(request)][-1] == Finished("stop")
        await providers.aclose()


@pytest.mark.parametrize(
    "endpoints",
    [
        {},
        {"work": Endpoint("work", "openai")},
        {"work": Endpoint("work", "openai", "http://[bad/v1")},
        {"work": Endpoint("work", "nonsense", "http://x/v1")},
    ],
)
def test_what_cannot_be_used_is_said_in_words(endpoints: dict[str, Endpoint]):
    with pytest.raises(ConfigurationError):
        ProviderSet(endpoints).provider(Model("work", "m"))


async def test_the_demo_needs_no_endpoint():
    providers = ProviderSet({})
    assert providers.provider(Model("demo", "quick", kind="demo")) is not None
    await providers.aclose()


def test_no_key_is_in_an_endpoints_repr():
    assert "geheim" not in repr(
        Endpoint("work", "openai", "http://x", lambda: "geheim", headers={"x-api-key": "geheim"})
    )
