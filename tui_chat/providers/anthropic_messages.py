"""Anthropic's messages, which gateways, llama.cpp and many vendors speak as well.

Reference: https://platform.claude.com/docs/en/api/messages and its pages on streaming, thinking and stop reasons (read
2026-11). What goes beyond it was learnt from recorded streams and from servers on loopback: two `message_start` in one
answer, usage that is zero in one of the events and true in the other, a body that is one message although a stream was
asked for, blocks that nobody has heard of. So unknown blocks and deltas are skipped, and a count replaces an earlier
one unless it is zero.

Thinking has three forms, and a model refuses all but its own: a fixed budget (Claude 3.7 to 4.5, and those who follow
the dialect), an effort (from 4.6 on), none (before 3.7). From Claude 5 on it cannot be turned off in a way that all
take, so no effort becomes the lowest one. With thinking, `max_tokens` covers both: a budget shrinks to what it leaves,
and is left out where that is too little; the sampling parameters must not be there; and no answer can be begun for the
model. Otherwise Claude goes on with what was begun
for it, up to 4.5; of others only who set the endpoint up knows (llama.cpp says the beginning once more).
"""

import re
from dataclasses import replace

from tui_chat.core.events import Adjusted, FinishReason, StreamEvent, UsageUpdate
from tui_chat.core.message import Message, Part, TextPart
from tui_chat.core.model import ListedModel
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.asking import (
    PREFILL,
    as_list,
    base64_of,
    file_text,
    going_on,
    headers_for,
    in_turns,
    is_pdf,
    is_picture,
    names_prefill,
    posted,
    refused_option,
    system_text,
    without_blanks,
)
from tui_chat.providers.decoding import (
    AnswerDecoder,
    Object,
    add_call,
    add_reasoning,
    add_text,
    count,
    inner,
    objects,
    word,
)
from tui_chat.providers.framing import SSEFramer
from tui_chat.providers.model_lists import anthropic_models
from tui_chat.providers.wire import WireRequest

_FINISH: dict[str, FinishReason] = {
    "max_tokens": "length",
    "model_context_window_exceeded": "length",
    "length": "length",
    "refusal": "content_filter",
    "content_filter": "content_filter",
    "content_filtered": "content_filter",
    "guardrail_intervened": "content_filter",
    "sensitive": "content_filter",
    "tool_use": "tool_calls",
    "tool_calls": "tool_calls",
    "pause_turn": "pause",
    "compaction": "pause",
}
"""Everything else is a `stop`."""
_RESERVED = frozenset(("model", "messages", "system", "stream"))
_SAMPLING = ("temperature", "top_p", "top_k")
_NAMES = {
    "temperature": ("temperature",),
    "top_p": ("top_p",),
    "top_k": ("top_k",),
    "stop": ("stop_sequences", "stop"),
    "reasoning_effort": ("thinking", "budget_tokens", "output_config", "effort", "reasoning_effort"),
}
"""What a refusal may call each option."""
_ONLY_ONE = re.compile(r"\bboth\b|only one", re.IGNORECASE)
_CLAUDE = re.compile(r"claude-(?:[a-z]+-)?(\d+)(?:[-.](\d{1,2}))?(?!\d)", re.IGNORECASE)
_NEWEST = (99, 0)
_BUDGETS = {"low": 2048, "medium": 8192, "high": 16384}
_LITTLE = ("none", "minimal")
_LEAST = 1024
"""Tokens that are left for the answer behind the thoughts, and the smallest budget that is taken."""


@record
class AnthropicMessages:
    """`POST /messages`, streamed.

    Options: the sampling parameters, `stop`, `reasoning_effort`, and the part of a cut answer as the last message.
    """

    def build(
        self, request: Request, api_key: str | None, without: frozenset[str] = frozenset(), *, prefill: bool = False
    ) -> WireRequest:
        settings = _settings(request, without)
        goes_on = prefill or (_version(request.model.id) or _NEWEST) < (4, 6)
        begun = goes_on and PREFILL not in without and not _thinks(settings)
        messages = going_on(request, prefill=begun)
        body: Object = {"model": request.model.id, "messages": _alternating(messages), "stream": True, **settings}
        if system := system_text(messages):
            body["system"] = system
        return replace(posted("/messages", _headers(api_key), body), left_out=_left_out(request, without, settings))

    def refused(self, words: str, request: Request, without: frozenset[str]) -> str | None:
        if request.partial and PREFILL not in without and names_prefill(words):
            return PREFILL
        settings = _settings(request, without)
        sent = {option: names for option, names in _NAMES.items() if any(name in settings for name in names)}
        if all(name in sent and name in words for name in ("temperature", "top_p")) and _ONLY_ONE.search(words):
            return "top_p"
        return refused_option(words, request, without, sent)

    def length_unasked(self, request: Request) -> int | None:
        longest = _settings(request, frozenset())["max_tokens"]
        return longest if isinstance(longest, int) else None

    def framer(self) -> SSEFramer:
        return SSEFramer()

    def decoder(self) -> "MessagesDecoder":
        return MessagesDecoder()

    def list_request(self, api_key: str | None) -> WireRequest:
        return WireRequest("/models?limit=1000", _headers(api_key, "application/json"))

    def listed(self, answer: object) -> list[ListedModel]:
        return anthropic_models(answer)


def _headers(api_key: str | None, accept: str = "text/event-stream") -> dict[str, str]:
    return headers_for(accept, "x-api-key", api_key, **{"anthropic-version": "2023-06-01"})


def _version(model_id: str) -> tuple[int, int] | None:
    """Return which Claude a model is, `None` for those of others."""
    if found := _CLAUDE.search(model_id):
        return int(found[1]), int(found[2] or 0)
    return _NEWEST if "claude" in model_id.lower() else None


def _settings(request: Request, without: frozenset[str]) -> Object:
    """Return everything but the conversation."""
    left_out = _RESERVED | (without & _NAMES.keys())
    params = {name: value for name, value in request.params.items() if name not in left_out}
    asked, stop, effort = (params.pop(name, None) for name in ("max_tokens", "stop", "reasoning_effort"))
    version = _version(request.model.id)
    settings = _thinking(version, effort)
    if stop:
        settings["stop_sequences"] = as_list(stop)
    output = {**inner(settings, "output_config"), **inner(params, "output_config")}
    settings |= params
    if not isinstance(asked, bool) and isinstance(asked, int):
        settings = _thinking_within(asked, settings)
    if output:
        settings["output_config"] = output
    if _thinks(settings):
        settings = {name: value for name, value in settings.items() if name not in _SAMPLING}
    settings["max_tokens"] = _max_tokens(asked, settings, version)
    return settings


def _thinking_within(longest: int, settings: Object) -> Object:
    """Return settings whose budget of thoughts leaves room for an answer: smaller, or gone where that is too little."""
    thinking = inner(settings, "thinking")
    if (count(thinking, "budget_tokens") or 0) + _LEAST <= longest or "budget_tokens" not in thinking:
        return settings
    if longest < 2 * _LEAST:
        return {name: value for name, value in settings.items() if name != "thinking"}
    return settings | {"thinking": thinking | {"budget_tokens": longest - _LEAST}}


def _left_out(request: Request, without: frozenset[str], settings: Object) -> tuple[str, ...]:
    """Return what the user set and thinking, or a model that does not think, has no place for."""
    set_by_user = request.params.keys() - without
    told = [
        f"{name} is not sent: with reasoning on, {request.model.id} takes none"
        for name in _SAMPLING
        if name in set_by_user and name not in settings
    ]
    asked = [name for name in ("thinking", "reasoning_effort") if name in set_by_user]
    effort = request.params.get("reasoning_effort")
    if asked and effort not in _LITTLE and not ({"thinking", "output_config"} & settings.keys()):
        able = asked[0] == "thinking" or _thinking(_version(request.model.id), effort)
        few = f"{settings['max_tokens']} tokens are too few to think and to answer"
        told.append(f"{asked[0]} is not sent: {few if able else f'{request.model.id} knows no such thing'}")
    return tuple(told)


def _thinking(version: tuple[int, int] | None, effort: object) -> Object:
    """Return how a model is asked to think; see the module's docstring."""
    if not isinstance(effort, str) or (version is not None and version < (3, 7)):
        return {}
    little = effort in _LITTLE
    if version is None or version < (4, 6):
        budget = _BUDGETS.get(effort, _BUDGETS["high"])
        return {} if little else {"thinking": {"type": "enabled", "budget_tokens": budget}}
    if little:
        return {"output_config": {"effort": "low"}} if version >= (5, 0) else {}
    return {"thinking": {"type": "adaptive", "display": "summarized"}, "output_config": {"effort": effort}}


def _thinks(settings: Object) -> bool:
    return inner(settings, "thinking").get("type") in ("enabled", "adaptive")


def _max_tokens(asked: object, settings: Object, version: tuple[int, int] | None) -> object:
    """Return the limit, which the dialect demands: what was asked for, else room for the thoughts and an answer."""
    budget = count(inner(settings, "thinking"), "budget_tokens") or 0
    if asked is not None:
        return asked
    if version is not None and version < (3, 5):
        return 4096
    unbidden = version is not None and version >= (5, 0)
    return 8192 + (budget or (_BUDGETS["high"] if unbidden or _thinks(settings) else 0))


def _alternating(messages: tuple[Message, ...]) -> list[Object]:
    return [{"role": role, "content": blocks} for role, blocks in in_turns(messages, _blocks)]


def _blocks(message: Message) -> list[Object]:
    """Return what a message says; blank texts, which are refused, are left out."""
    return [_block(part) for part in without_blanks(message)]


def _block(part: Part) -> Object:
    if isinstance(part, TextPart):
        return {"type": "text", "text": part.text}
    if is_picture(part) or is_pdf(part):
        source: Object = {"type": "base64", "media_type": part.media_type, "data": base64_of(part)}
        return {"type": "image", "source": source} if is_picture(part) else {"type": "document", "source": source}
    return {"type": "text", "text": file_text(part)}


class MessagesDecoder(AnswerDecoder):
    """One answer. Fed with records, it returns events; see `wire.Decoder`."""

    __slots__ = ("_counts",)

    def __init__(self) -> None:
        super().__init__()
        self._counts: dict[str, int] = {}

    def _take(self, value: Object, events: list[StreamEvent]) -> None:
        match value.get("type"):
            case "message_start":
                message = inner(value, "message")
                self._name(message.get("id"), message.get("model"), events)
                self._usage(inner(message, "usage"), events)
            case "content_block_start":
                _add_block(inner(value, "content_block"), events)
            case "content_block_delta":
                _add_delta(inner(value, "delta"), events)
            case "message_delta":
                self._usage(inner(value, "usage"), events)
                self._stop(inner(value, "delta"), events)
            case "message_stop":
                self.done = True
            case "message":  # not streamed
                self._name(value.get("id"), value.get("model"), events)
                for block in objects(value.get("content")):
                    _add_block(block, events)
                self._usage(inner(value, "usage"), events)
                self._stop(value, events)
                self.done = True

    def _stop(self, value: Object, events: list[StreamEvent]) -> None:
        reason = word(value.get("stop_reason"))
        if reason is None:
            return
        self.finish_reason = _FINISH.get(reason.lower(), "stop")
        if self.finish_reason == "content_filter" and (why := word(inner(value, "stop_details").get("explanation"))):
            events.append(Adjusted(why))

    def _usage(self, usage: Object, events: list[StreamEvent]) -> None:
        """Take the counts of one event; zero says only that this event did not count."""
        found = {name: count(usage, name) for name in _COUNTED}
        found["thinking_tokens"] = count(inner(usage, "output_tokens_details"), "thinking_tokens")
        self._counts |= {n: c for n, c in found.items() if c or (c is not None and n not in self._counts)}
        read = usage_of(self._counts)
        if read != Usage() and any(number is not None for number in found.values()):
            events.append(UsageUpdate(read))


_COUNTED = ("input_tokens", "output_tokens", "cache_read_input_tokens", "cache_creation_input_tokens")


def usage_of(counts: dict[str, int]) -> Usage:
    """Return the counts in our terms; empty when all they say is zero, which means that nobody counted."""
    sent, answered, cached, written = (counts.get(name) for name in _COUNTED)
    if not any((sent, answered, cached, written)):
        return Usage()
    whole = None if sent is None else sent + (cached or 0) + (written or 0)
    return Usage(whole, answered, cached, written, counts.get("thinking_tokens"))


def _add_block(block: Object, events: list[StreamEvent]) -> None:
    """Add a block, whole or as it starts; what deltas will bring is empty in it."""
    match block.get("type"):
        case "text":
            add_text(block.get("text"), events)
        case "thinking":
            add_reasoning(block.get("thinking"), events)
        case "tool_use" | "server_tool_use" | "mcp_tool_use":
            add_call(block.get("name"), block.get("input") or "", events)


def _add_delta(delta: Object, events: list[StreamEvent]) -> None:
    match delta.get("type"):
        case "text_delta":
            add_text(delta.get("text"), events)
        case "thinking_delta":
            add_reasoning(delta.get("thinking"), events)
        case "input_json_delta":
            add_call("", delta.get("partial_json"), events)
