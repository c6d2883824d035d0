"""The bill of an answer that was cut off, asked for afterwards."""

import asyncio
from collections.abc import AsyncIterator
from decimal import Decimal

import pytest

from tests.core.doubles import MODEL, CharacterCounter, MemoryStore, SteppingClock
from tests.loopback import Head, LoopbackServer, Stall, chat_chunk, reply
from tui_chat.core import chat as chat_module
from tui_chat.core.chat import Chat
from tui_chat.core.completion import Completion
from tui_chat.core.events import TextDelta
from tui_chat.core.usage import Usage
from tui_chat.providers.billing import generation_bill
from tui_chat.providers.endpoint import Endpoint
from tui_chat.providers.registry import ProviderSet

ACCOUNT = {
    "data": {
        "id": "gen-1",
        "total_cost": 0.0042,
        "native_tokens_prompt": 120,
        "native_tokens_completion": 30,
        "native_tokens_cached": 100,
        "native_tokens_reasoning": 10,
        "cancelled": True,
    }
}


@pytest.fixture
async def stopped(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[tuple[LoopbackServer, Chat, Completion]]:
    """An answer that was stopped in the middle, and the chat that may learn its bill."""
    monkeypatch.setattr(chat_module, "BILL_WAITS_S", (0.0, 0.0))
    with LoopbackServer() as server:
        server.enqueue(Head(), chat_chunk("Hel", id="gen-1"), Stall())
        endpoint = Endpoint("work", "openai", server.base_url, bill_path="/generation?id={id}")
        providers = ProviderSet({"work": endpoint})
        chat = Chat(providers, MemoryStore().port(), CharacterCounter(), SteppingClock())
        conversation = chat.new_conversation(MODEL)
        turn = chat.start_turn(conversation, [], "Hi", [MODEL])
        answer, arrived = turn.completions[0], asyncio.Event()

        async def paint(event: object) -> None:
            if isinstance(event, TextDelta):
                arrived.set()

        task = asyncio.create_task(chat.complete(conversation, turn, answer, paint))
        await asyncio.wait_for(arrived.wait(), 5)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        yield server, chat, answer
        await chat.aclose()


async def settled(chat: Chat) -> None:
    await asyncio.wait_for(asyncio.gather(*chat._settling), 5)


async def test_the_estimate_of_a_stopped_answer_gives_way_to_its_bill(stopped):
    server, chat, answer = stopped
    seen: list[Completion] = []
    chat.on_settled = seen.append
    assert (answer.usage.source, answer.cost.quality) == ("partial", "estimated")
    server.always("/generation", reply(200, ACCOUNT))
    await settled(chat)
    assert server.lookups[0].path == "/v1/generation?id=gen-1"
    assert answer.usage.usage == Usage(120, 30, 100, None, 10)
    assert (answer.usage.source, answer.usage.estimated) == ("reported", ())
    assert (answer.cost.usd, answer.cost.quality) == (Decimal("0.0042"), "reported")
    assert answer.finish_reason == "cancelled"
    assert seen == [answer]


@pytest.mark.parametrize("account", [reply(404), reply(200, {"data": {}}), reply(500), reply(200, "no JSON")])
async def test_without_an_account_the_estimate_stands(stopped, account):
    server, chat, answer = stopped
    server.always("/generation", account)
    await settled(chat)
    assert (answer.usage.source, answer.cost.quality) == ("partial", "estimated")


async def test_a_bill_that_is_not_written_yet_is_asked_for_again(stopped):
    server, chat, _ = stopped
    await settled(chat)
    assert len(server.lookups) == 2


@pytest.mark.parametrize(
    "junk", [None, [], {}, {"data": []}, {"data": {"total_cost": "x"}}, {"data": {"total_cost": -1}}]
)
def test_no_account_is_no_bill(junk):
    assert generation_bill(junk) is None
