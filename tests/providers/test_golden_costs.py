"""From the bytes of real servers' usage to money, to the last digit, in every dialect; stopped answers included.

The shapes are those that servers send; the figures are made up, so that each factor of a sum can be told from the next.
"""

import json
from dataclasses import replace
from decimal import Decimal
from typing import Any

import pytest

from tests.core.doubles import NOON, CharacterCounter
from tui_chat.core.completion import Completion
from tui_chat.core.errors import ProviderError
from tui_chat.core.model import Model
from tui_chat.core.pricing import Price, Tier
from tui_chat.core.usage import Usage
from tui_chat.providers.registry import wire_format

PRICE = Price(
    input_per_mtok=Decimal(3),
    cached_input_per_mtok=Decimal("0.3"),
    cache_write_per_mtok=Decimal("3.75"),
    output_per_mtok=Decimal(15),
    source="config",
)
TEXT = "Hello."


def sse(*values: object, done: bool = False) -> bytes:
    body = b"".join(b"data: " + json.dumps(value).encode() + b"\n\n" for value in values)
    return body + (b"data: [DONE]\n\n" if done else b"")


def chat(*usages: Any, text_after: bool = False, finish: str | None = "stop", **place: Any) -> bytes:
    """Chat completions: text, the end, and each usage in a chunk of its own behind it, or as `place` says."""
    text = {"choices": [{"index": 0, "delta": {"content": TEXT}, "finish_reason": None}]}
    end = {"choices": [{"index": 0, "delta": {}, "finish_reason": finish}], **place}
    counted = [{"choices": [], "usage": usage} for usage in usages]
    if text_after:
        return sse(*counted, text, end, done=True)
    return sse(text, *([end] if finish else []), *counted, done=bool(finish))


def messages(start: Any, *deltas: Any, stop: bool = True) -> bytes:
    """Anthropic: usage at the start, and cumulative in each message_delta."""
    values: list[Any] = [
        {"type": "message_start", "message": {"id": "m", "model": "c", "usage": start}},
        {"type": "content_block_start", "index": 0, "content_block": {"type": "text", "text": ""}},
        {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": TEXT}},
    ]
    if stop:
        values += [{"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage} for usage in deltas]
        values += [{"type": "message_stop"}]
    return sse(*values)


def gemini(*usages: Any, stop: bool = True) -> bytes:
    parts = {"content": {"parts": [{"text": TEXT}], "role": "model"}}
    values: list[Any] = [{"candidates": [parts], "usageMetadata": usage} for usage in usages[:-1]]
    last = {"candidates": [{**(parts if len(usages) == 1 else {}), **({"finishReason": "STOP"} if stop else {})}]}
    return sse(*values, {**last, **({"usageMetadata": usages[-1]} if usages[-1] else {})})


def responses(usage: Any, *, stop: bool = True) -> bytes:
    delta = {"type": "response.output_text.delta", "output_index": 0, "content_index": 0, "delta": TEXT}
    end = {"type": "response.completed", "response": {"id": "r", "status": "completed", "usage": usage}}
    return sse(delta, *([end] if stop else []))


def ollama(**counts: int) -> bytes:
    lines = [{"message": {"content": TEXT}, "done": False}, {"done": True, "done_reason": "stop", **counts}]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


def answered(kind: str, body: bytes, *, stopped: bool = False, price: Price = PRICE) -> Completion:
    """Fold a body into an answer, as the program does; `stopped` ends it without a word of the server."""
    completion = Completion("c", "t", Model("work", "m", kind, price=price), NOON)
    completion.start(0.0, CharacterCounter(), 40)
    completion.sent = True
    wire = wire_format(kind)
    framer, decoder = wire.framer(), wire.decoder()
    for record in [*framer.feed(body), *framer.close()]:
        for event in decoder.feed(record):
            completion.apply(event, 1.0)
    if not stopped:
        for event in decoder.close():
            completion.apply(event, 1.0)
    completion.end(2.0, "cancelled" if stopped else completion.finish_reason or "stop")
    return completion


DETAILS = {"prompt_tokens_details": {"cached_tokens": 800}, "completion_tokens_details": {"reasoning_tokens": 30}}
OPENAI = {"prompt_tokens": 1000, "completion_tokens": 70, "total_tokens": 1070, **DETAILS}
CACHED = "0.00189"  # 200 · 3 + 800 · 0.3 + 70 · 15, by the million

GOLDEN = [
    ("openai", chat(OPENAI), Usage(1000, 70, 800, None, 30), CACHED),
    ("openai", chat(OPENAI, text_after=True), Usage(1000, 70, 800, None, 30), CACHED),  # before the last text
    ("openai", chat(usage=OPENAI), Usage(1000, 70, 800, None, 30), CACHED),  # in the chunk that ends it
    ("openai", chat({**OPENAI, "completion_tokens": 9}, OPENAI), Usage(1000, 70, 800, None, 30), CACHED),  # twice
    ("openai", chat(x_groq={"usage": OPENAI}), Usage(1000, 70, 800, None, 30), CACHED),
    # xAI: reasoning on top, as the total tells
    ("openai", chat({**OPENAI, "completion_tokens": 40}), Usage(1000, 70, 800, None, 30), CACHED),
    # DeepSeek's own names
    ("openai", chat({"prompt_tokens": 1000, "completion_tokens": 70, "prompt_cache_hit_tokens": 800,
                     "prompt_cache_miss_tokens": 200}), Usage(1000, 70, 800), CACHED),
    # Anthropic: cached outside of input; the last, cumulative snapshot replaces what came before, field by field
    ("anthropic", messages({"input_tokens": 200, "cache_read_input_tokens": 800, "output_tokens": 1},
                           {"output_tokens": 70}), Usage(1000, 70, 800), CACHED),
    ("anthropic", messages({"input_tokens": 7, "output_tokens": 1}, {"output_tokens": 20},
                           {"input_tokens": 200, "cache_read_input_tokens": 800, "output_tokens": 70}),
     Usage(1000, 70, 800), CACHED),
    ("anthropic", messages({"input_tokens": 100, "cache_read_input_tokens": 800, "cache_creation_input_tokens": 100,
                            "output_tokens": 1}, {"output_tokens": 70}), Usage(1000, 70, 800, 100), "0.001965"),
    # Gemini: thoughts outside of the candidates' tokens; the last chunk may leave them out
    ("gemini", gemini({"promptTokenCount": 1000, "cachedContentTokenCount": 800, "candidatesTokenCount": 40,
                       "thoughtsTokenCount": 30, "totalTokenCount": 1070}), Usage(1000, 70, 800, None, 30), CACHED),
    ("gemini", gemini({"promptTokenCount": 1000, "cachedContentTokenCount": 800, "candidatesTokenCount": 9},
                      {"promptTokenCount": 1000, "cachedContentTokenCount": 800, "candidatesTokenCount": 40,
                       "thoughtsTokenCount": 30, "totalTokenCount": 1070}), Usage(1000, 70, 800, None, 30), CACHED),
    ("openai-responses", responses({"input_tokens": 1000, "output_tokens": 70, "total_tokens": 1070,
                                    "input_tokens_details": {"cached_tokens": 800},
                                    "output_tokens_details": {"reasoning_tokens": 30}}),
     Usage(1000, 70, 800, None, 30), CACHED),
    ("ollama", ollama(prompt_eval_count=1000, eval_count=70), Usage(1000, 70), "0.00405"),
]  # fmt: skip


@pytest.mark.parametrize(("kind", "body", "usage", "usd"), GOLDEN)
def test_reported_usage_becomes_money_to_the_last_digit(kind, body, usage, usd):
    answer = answered(kind, body)
    assert answer.text == TEXT
    assert replace(answer.usage.usage, reasoning_tokens=usage.reasoning_tokens) == usage
    assert (answer.usage.source, answer.usage.estimated) == ("reported", ())
    assert (answer.cost.usd, answer.cost.quality) == (Decimal(usd), "reported")


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        ("openai", chat()),
        ("openai", chat({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0})),
        ("openai", chat({"prompt_tokens": "many", "completion_tokens": None})),
        ("openai", chat({"prompt_tokens": -5, "completion_tokens": 1.5})),
        ("anthropic", messages({"input_tokens": 0, "output_tokens": 0}, {"output_tokens": 0})),
        ("gemini", gemini(None)),
        ("gemini", gemini({"promptTokenCount": 0, "candidatesTokenCount": 0, "totalTokenCount": 0})),
        ("openai-responses", responses(None)),
        ("ollama", ollama()),
        ("ollama", ollama(prompt_eval_count=0, eval_count=0)),
    ],
)
def test_without_a_report_or_with_a_senseless_one_our_count_stands_and_says_so(kind, body):
    answer = answered(kind, body)
    assert answer.usage.usage == Usage(40, len(TEXT))
    assert (answer.usage.source, answer.usage.estimated) == ("estimated", ("input_tokens", "output_tokens"))
    assert (answer.cost.usd, answer.cost.quality) == (Decimal("0.00021"), "estimated")


@pytest.mark.parametrize(
    ("kind", "body", "usage", "estimated", "usd"),
    [
        ("openai", chat(finish=None), Usage(40, 6), ("input_tokens", "output_tokens"), "0.00021"),
        # what was reported before the stop is kept; the output that came after it is ours
        ("anthropic", messages({"input_tokens": 200, "cache_read_input_tokens": 800, "output_tokens": 1}, stop=False),
         Usage(1000, 6, 800), ("output_tokens",), "0.00093"),
        ("gemini", gemini({"promptTokenCount": 1000, "cachedContentTokenCount": 800, "candidatesTokenCount": 70},
                          {"promptTokenCount": 1000, "cachedContentTokenCount": 800, "candidatesTokenCount": 70},
                          stop=False), Usage(1000, 70, 800), (), CACHED),
        ("openai-responses", responses(None, stop=False), Usage(40, 6), ("input_tokens", "output_tokens"), "0.00021"),
    ],
)  # fmt: skip
def test_a_stopped_answer_costs_its_input_and_what_arrived(kind, body, usage, estimated, usd):
    answer = answered(kind, body, stopped=True)
    assert replace(answer.usage.usage, reasoning_tokens=None) == usage
    assert (answer.usage.source, answer.usage.estimated) == ("partial", estimated)
    assert (answer.cost.usd, answer.cost.quality) == (Decimal(usd), "estimated")


def test_a_subset_above_its_whole_is_left_out_of_the_sum():
    answer = answered("openai", chat({**OPENAI, "prompt_tokens_details": {"cached_tokens": 5000}}))
    assert answer.usage.usage.cached_input_tokens is None
    assert answer.cost.usd == Decimal("0.00405")


def test_the_tier_is_chosen_by_the_whole_input_cached_tokens_included():
    tiered = replace(PRICE, tiers=(Tier(999, Decimal(6), Decimal(30), Decimal("0.6")),))
    assert answered("openai", chat(OPENAI), price=tiered).cost.usd == 2 * Decimal(CACHED)


def test_what_the_server_billed_goes_before_every_sum():
    answer = answered("openai", chat({**OPENAI, "cost": 0.00123}))
    assert (answer.cost.usd, answer.cost.price_source) == (Decimal("0.00123"), "billed")
    ticks = answered("openai", chat({**OPENAI, "cost_in_usd_ticks": 1330500}))
    assert ticks.cost.usd == Decimal("0.00013305")


def test_an_error_in_the_stream_keeps_what_was_reported_before_it():
    body = messages({"input_tokens": 200, "cache_read_input_tokens": 800, "output_tokens": 1}, stop=False)
    failed = body + b'event: error\ndata: {"type": "error", "error": {"type": "overloaded_error", "message": "x"}}\n\n'
    with pytest.raises(ProviderError):
        answered("anthropic", failed)
    answer = answered("anthropic", failed, stopped=True)
    assert answer.usage.usage.input_tokens == 1000
