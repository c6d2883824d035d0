"""OpenAI's responses, the dialect that came after chat completions, as real servers send it.

Reference: https://platform.openai.com/docs/api-reference/responses-streaming (read 2026-11). Some sixty kinds of events
carry three things: text, reasoning, tool calls. Each comes in pieces (`….delta`), whole (`….done`), in its part, in its
item and once more in the response at the end, and servers leave out any of these: whoever came first is heard, the
others repeat it. llama.cpp numbers nothing, Copilot gives an item a new id in each event, so an item is known by its
index or its id, whichever is there.

There is no `stop` here, says the reference, but llama.cpp obeys it: so it is sent, and a server that refuses it is
asked again without it, which the user is told (`asking.py`).
"""

from tui_chat.core.events import BilledCost, ReasoningDelta, StreamEvent, TextDelta, UsageUpdate
from tui_chat.core.message import Message, Part, TextPart
from tui_chat.core.model import ListedModel
from tui_chat.core.record import record
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.asking import (
    data_url,
    file_text,
    going_on,
    is_pdf,
    is_picture,
    names_one_of,
    posted,
    refused_option,
    system_text,
)
from tui_chat.providers.billing import billed
from tui_chat.providers.decoding import AnswerDecoder, Object, add_call, count, first, inner, objects, word
from tui_chat.providers.failures import ErrorWords, read_error
from tui_chat.providers.framing import SSEFramer
from tui_chat.providers.model_lists import openai_models
from tui_chat.providers.openai_chat import bearer, usage_of
from tui_chat.providers.wire import Record, WireRequest

_RESERVED = ("model", "input", "messages", "stream", "store", "reasoning", "reasoning_effort")
_NAMES = {"max_tokens": "max_output_tokens"}
_OPTIONS = ("temperature", "top_p", "stop")
_REFUSED_AS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in _OPTIONS},
    "reasoning_effort": ("reasoning_effort", "reasoning.effort", "reasoningEffort", "reasoning", "effort", "thinking"),
}
"""What a refusal may call each option."""
_SUMMARY = "reasoning.summary"
"""The option to see the reasoning; OpenAI shows it only to organisations that it has verified."""
_SUMMARY_NAMES = (_SUMMARY, "reasoning summaries", "summary")


@record
class OpenAIResponses:
    """`POST /responses`, streamed, kept by nobody (`store` is off).

    Options: `temperature`, `top_p`, `stop`, `reasoning_effort`, and the summary of the reasoning, which is asked for
    together with an effort. A cut answer is asked to go on: this dialect has no way to begin one for the model.
    """

    def build(
        self,
        request: Request,
        api_key: str | None,
        without: frozenset[str] = frozenset(),
        *,
        prefill: bool = False,  # noqa: ARG002  there is no way to begin an answer here
    ) -> WireRequest:
        messages = going_on(request, prefill=False)
        body: Object = {
            "model": request.model.id,
            "input": [_item(message) for message in messages if message.role != "system"],
            "stream": True,
            "store": False,
        }
        for name, value in request.params.items():
            if name not in _RESERVED and not (name in _OPTIONS and name in without):
                body[_NAMES.get(name, name)] = value
        if system := system_text(messages):
            body["instructions"] = system
        reasoning = _reasoning(request, without)
        if reasoning is not None:
            body["reasoning"] = reasoning
        return posted("/responses", bearer(api_key), body)

    def refused(self, words: str, request: Request, without: frozenset[str]) -> str | None:
        asked = _reasoning(request, without)
        summary = isinstance(asked, dict) and "summary" in asked
        if summary and _SUMMARY not in without and names_one_of(words, _SUMMARY_NAMES):
            return _SUMMARY
        return refused_option(words, request, without, _REFUSED_AS)

    def framer(self) -> SSEFramer:
        return SSEFramer()

    def decoder(self) -> "ResponsesDecoder":
        return ResponsesDecoder()

    def list_request(self, api_key: str | None) -> WireRequest:
        return WireRequest("/models", bearer(api_key, "application/json"))

    def listed(self, answer: object) -> list[ListedModel]:
        return openai_models(answer)


def _reasoning(request: Request, without: frozenset[str]) -> object:
    """Return what to say about reasoning: the user's own words win; `None` = nothing."""
    own, effort = request.params.get("reasoning"), request.params.get("reasoning_effort")
    if effort is None or "reasoning_effort" in without:
        return own
    ours: Object = {"effort": effort}
    if effort != "none" and _SUMMARY not in without:
        ours["summary"] = "auto"
    return {**ours, **own} if isinstance(own, dict) else ours


def _item(message: Message) -> Object:
    if message.role == "assistant":
        return {
            "type": "message",  # llama.cpp insists on it
            "role": "assistant",
            "content": [{"type": "output_text", "text": p.text} for p in message.parts if isinstance(p, TextPart)],
        }
    return {"type": "message", "role": message.role, "content": [_part(part) for part in message.parts]}


def _part(part: Part) -> Object:
    if isinstance(part, TextPart):
        return {"type": "input_text", "text": part.text}
    if is_picture(part):
        return {"type": "input_image", "image_url": data_url(part)}
    if is_pdf(part):
        return {"type": "input_file", "filename": part.name, "file_data": data_url(part)}
    return {"type": "input_text", "text": file_text(part)}


_SAID = {
    "output_text": "text",
    "refusal": "text",
    "reasoning_summary_text": "summary",
    "reasoning_summary": "summary",
    "reasoning_text": "reasoning",
    "reasoning": "reasoning",
    "function_call_arguments": "call",
    "mcp_call_arguments": "call",
    "custom_tool_call_input": "call",
    "code_interpreter_call_code": "call",
}
"""What an event says, by the middle of its name: `response.output_text.delta`."""
_WHOLE = ("text", "refusal", "arguments", "input", "code")
"""Where the `….done` events have it."""


_FAILED = frozenset(("failed", "cancelled", "error"))
_NOT_STREAMED = "not streamed"
_ENDS = _FAILED | {"completed", "incomplete", "done", _NOT_STREAMED}
"""Events that end an answer, and what an answer without events is called here."""


class ResponsesDecoder(AnswerDecoder):
    """One answer. Fed with records, it returns events; see `wire.Decoder`."""

    tells_tools = False  # what is completed there is complete, its calls included
    __slots__ = ("_came", "_due", "_event", "_thoughts")

    def __init__(self) -> None:
        super().__init__()
        self._event = ""
        self._came: set[tuple[object, ...]] = set()
        """What was said by now: `("text",)`, the same with its item, and with its item and part."""
        self._due: set[str] = set()
        """What begins anew, so that a blank line has to come before it."""
        self._thoughts = ""
        """Which of its two names the reasoning came under; the other one repeats it."""

    def feed(self, record: Record) -> list[StreamEvent]:
        self._event = record.event or ""
        return super().feed(record)

    def _take(self, value: Object, events: list[StreamEvent]) -> None:
        name = (word(value.get("type")) or self._event).removeprefix("response.")
        middle, _, step = name.rpartition(".")
        match middle, step:
            case _, "delta" if middle in _SAID:
                delta = value.get("delta")
                self._say(_SAID[middle], delta.get("text") if isinstance(delta, dict) else delta, events, value)
            case _, "done" if middle in _SAID:
                self._rest(_SAID[middle], next((value[key] for key in _WHOLE if key in value), None), events, value)
            case "content_part" | "reasoning_summary_part", "added":
                self._begin(_said_in(inner(value, "part")))
            case "content_part" | "reasoning_summary_part", "done":
                part = inner(value, "part")
                self._rest(_said_in(part), _words_of(part), events, value)
            case "output_item", "added":
                self._announce(inner(value, "item"), events, value)
            case "output_item", "done":
                came = {what for what in _SAID.values() if any((what, item) in self._came for item in _items(value))}
                self._item(inner(value, "item"), came, events, value)
            case _:
                pass
        if "type" not in value and (isinstance(value.get("output"), list) or value.get("object") == "response"):
            self._response(value, _NOT_STREAMED, value, events)
        elif "response" in value or name in _ENDS:
            self._response(inner(value, "response"), name, value, events)

    def _say(self, what: str, text: object, events: list[StreamEvent], value: Object) -> None:
        """Add a piece of text, reasoning or arguments, and remember of which part it is."""
        if not isinstance(text, str) or not text:
            return
        if what == "call":
            add_call("", text, events)
        else:
            if what != "text":
                self._thoughts = self._thoughts or what
                if self._thoughts != what:
                    return
            if what in self._due and (what,) in self._came:
                text = "\n\n" + text
            self._due.discard(what)
            events.append(TextDelta(text) if what == "text" else ReasoningDelta(text))
        self._came.add((what,))
        for item in _items(value):
            self._came.update(((what, item), (what, item, _index(value))))

    def _rest(self, what: str, text: object, events: list[StreamEvent], value: Object) -> None:
        """Add a whole part, unless its pieces came."""
        if not any((what, item, _index(value)) in self._came for item in _items(value)):
            self._say(what, text, events, value)

    def _begin(self, what: str) -> None:
        if what != "text":  # the parts of a text are one text
            self._due.add(what)

    def _announce(self, item: Object, events: list[StreamEvent], value: Object) -> None:
        """Note that an item begins: a message, reasoning, or the call of a tool."""
        self._due.update(("text",) if item.get("type") == "message" else ("summary", "reasoning"))
        if word(item.get("name")):
            add_call(item["name"], "", events)
            self._came.update(("name", each) for each in _items(value))

    def _item(self, item: Object, came: set[str], events: list[StreamEvent], value: Object) -> None:
        """Add what is in a whole item, but for what came before."""
        if "text" not in came:
            self._due.add("text")
        for place, part in enumerate((*objects(item.get("content")), *objects(item.get("summary")))):
            what = _said_in(part)
            if what not in came:
                self._begin(what)
                self._say(what, _words_of(part), events, {"content_index": place, **value})
        if "call" not in came and str(item.get("type")).endswith("_call"):
            if not any(("name", each) in self._came for each in _items(value)):
                add_call(item.get("name"), "", events)
            self._say("call", _first_text(item, ("arguments", "input", "code")), events, value)

    def _response(self, response: Object, name: str, value: Object, events: list[StreamEvent]) -> None:
        """Read the response as a whole: it names itself, counts, and says how it ended."""
        self._name(response.get("id"), response.get("model"), events)
        ended = name in _ENDS
        if ended:
            came = {what for what in _SAID.values() if (what,) in self._came}
            for item in objects(response.get("output")):
                self._item(item, came, events, {"item": item})
        usage = response.get("usage") or value.get("usage")
        counted = isinstance(usage, dict) and self._count(usage, events)
        if ended:
            self._end({name, word(response.get("status")) or ""}, response, value)
            self.done = self.done or (counted and self.finish_reason is not None)

    def _count(self, usage: Object, events: list[StreamEvent]) -> bool:
        read, amount = responses_usage(usage), billed(usage)
        if read != Usage():
            events.append(UsageUpdate(read))
        if amount is not None:
            events.append(BilledCost(amount))
        return read != Usage()

    def _end(self, said: set[str], response: Object, value: Object) -> None:
        """Judge by the event's name and the response's state, which some gateways leave at `in_progress`."""
        reason = word(inner(response, "incomplete_details").get("reason")) or ""
        if said & _FAILED:
            error = read_error({"error": response.get("error") or value.get("error")}) or read_error(value)
            self._fail(error or ErrorWords(f"it gave up ({reason or 'no reason given'})"))
        elif "incomplete" in said or reason:
            self.finish_reason = "content_filter" if "filter" in reason else "length"
        elif "completed" in said or not said & {"queued", "in_progress"}:
            self.finish_reason = "stop"


def _items(value: Object) -> list[object]:
    """Return the names of the item that an event is about."""
    names = (value.get("output_index"), value.get("item_id"), inner(value, "item").get("id"))
    return [name for name in names if isinstance(name, int | str)] or [""]


def _index(value: Object) -> int:
    """Return the number of the part that an event is about."""
    return first(count(value, "content_index"), count(value, "summary_index")) or 0


def _said_in(part: Object) -> str:
    match part.get("type"):
        case "summary_text":
            return "summary"
        case "reasoning_text":
            return "reasoning"
        case _:
            return "text"


def _words_of(part: Object) -> object:
    return _first_text(part, ("text", "refusal"))


def _first_text(value: Object, names: tuple[str, ...]) -> str | None:
    """Return the first text that is not empty under these names."""
    return next((found for name in names if (found := word(value.get(name)))), None)


def responses_usage(usage: Object) -> Usage:
    """Return a usage object in our terms. The conventions are those of chat completions, only the names differ."""
    if "input_tokens" not in usage and "output_tokens" not in usage:
        return usage_of(usage)
    return usage_of(
        {
            **usage,
            "prompt_tokens": usage.get("input_tokens"),
            "completion_tokens": usage.get("output_tokens"),
            "prompt_tokens_details": usage.get("input_tokens_details"),
            "completion_tokens_details": usage.get("output_tokens_details"),
        }
    )
