"""Ollama's own dialect: JSON lines, options in a box of their own, reasoning by `think`.

Reference: https://docs.ollama.com/api/chat and `openapi.yaml` there (read 2026-11). Why not its /v1: only here the
window (`num_ctx`) can be chosen, and only here it goes on with an answer that was begun for it. Counts are in the last
line; a prompt that was in its cache may be missing from them, and stand-ins for Ollama send zeros.
"""

from tui_chat.core.events import FinishReason, ReasoningDelta, StreamEvent, TextDelta, ToolCallDelta, UsageUpdate
from tui_chat.core.message import BlobPart, Message, TextPart
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
    is_pdf,
    is_picture,
    names_prefill,
    posted,
    refuse_file,
    refused_option,
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
from tui_chat.providers.failures import ErrorWords
from tui_chat.providers.framing import NDJSONFramer
from tui_chat.providers.model_lists import ollama_models
from tui_chat.providers.openai_chat import bearer
from tui_chat.providers.wire import WireRequest

_RESERVED = ("model", "messages", "input", "stream", "options", "reasoning_effort")
_TOP = ("format", "keep_alive", "think", "tools", "truncate", "shift", "logprobs", "top_logprobs")
"""Params that stand beside the options, not among them."""
_NAMES = {"max_tokens": "num_predict"}
_OPTIONS = ("temperature", "top_p", "stop")
_REFUSED_AS: dict[str, tuple[str, ...]] = {
    **{name: (name,) for name in _OPTIONS},
    "reasoning_effort": ("reasoning_effort", "thinking", "think"),
}
"""What a refusal may call each option."""
_THOUGHTS = ("thinking", "reasoning_content", "reasoning")
"""Stand-ins for Ollama use the names of others."""
_FINISH: dict[str, FinishReason] = {"length": "length", "content_filter": "content_filter"}


@record
class Ollama:
    """`POST /api/chat`, streamed.

    Options: `temperature`, `top_p`, `stop`, `reasoning_effort` (as `think`), and the part of a cut answer as the last
    message, which its templates go on with.
    """

    def build(
        self,
        request: Request,
        api_key: str | None,
        without: frozenset[str] = frozenset(),
        *,
        prefill: bool = False,  # noqa: ARG002  its templates always go on
    ) -> WireRequest:
        messages = going_on(request, prefill=PREFILL not in without)
        body: Object = {"model": request.model.id, "messages": [_message(m) for m in messages], "stream": True}
        own = request.params.get("options")
        options: Object = dict(own) if isinstance(own, dict) else {}
        effort = request.params.get("reasoning_effort")
        if effort is not None and "reasoning_effort" not in without:
            body["think"] = _think(effort, request.model.id)
        for name, value in request.params.items():
            if name in _RESERVED or (name in _OPTIONS and name in without):
                continue
            if name in _TOP:
                body[name] = value
            else:  # it takes nothing but a list of stops
                options[_NAMES.get(name, name)] = as_list(value) if name == "stop" else value
        if options:
            body["options"] = options
        return posted("/api/chat", bearer(api_key, "application/x-ndjson"), body)

    def refused(self, words: str, request: Request, without: frozenset[str]) -> str | None:
        if request.partial and PREFILL not in without and names_prefill(words):
            return PREFILL
        return refused_option(words, request, without, _REFUSED_AS)

    def framer(self) -> NDJSONFramer:
        return NDJSONFramer()

    def decoder(self) -> "OllamaDecoder":
        return OllamaDecoder()

    def list_request(self, api_key: str | None) -> WireRequest:
        return WireRequest("/api/tags", bearer(api_key, "application/json"))

    def listed(self, answer: object) -> list[ListedModel]:
        return ollama_models(answer)


def _think(effort: object, model_id: str) -> object:
    """Return an effort as Ollama has it: on or off, and degrees only for gpt-oss."""
    if effort == "none":
        return False
    return effort if not isinstance(effort, str) or "gpt-oss" in model_id.lower() else True


def _message(message: Message) -> Object:
    """Return a message: its text, and its pictures beside it."""
    sent: Object = {"role": message.role, "content": "\n\n".join(_texts(message))}
    pictures = [base64_of(part) for part in message.parts if isinstance(part, BlobPart) and is_picture(part)]
    if pictures:
        sent["images"] = pictures
    return sent


def _texts(message: Message) -> list[str]:
    texts = []
    for part in message.parts:
        if isinstance(part, TextPart):
            texts.append(part.text)
        elif is_pdf(part):
            raise refuse_file(part, "Ollama takes pictures and text files only")
        elif not is_picture(part):
            texts.append(file_text(part))
    return texts


class OllamaDecoder(AnswerDecoder):
    """One answer. Fed with records, it returns events; see `wire.Decoder`."""

    __slots__ = ()

    base_url_hint = "check the base_url, it is the server's root, without /v1 or /api"

    def _take(self, value: Object, events: list[StreamEvent]) -> None:
        self._name(None, value.get("model"), events)
        message = inner(value, "message")
        add_reasoning(next((message[name] for name in _THOUGHTS if word(message.get(name))), None), events)
        add_text(message.get("content"), events)
        for call in objects(message.get("tool_calls")):
            function = inner(call, "function")
            add_call(function.get("name"), function.get("arguments"), events)
        if value.get("done") is True:
            self._end(value, events)

    def _end(self, value: Object, events: list[StreamEvent]) -> None:
        usage = Usage(count(value, "prompt_eval_count"), count(value, "eval_count"))
        if usage.input_tokens or usage.output_tokens:  # all zero: nobody counted
            events.append(UsageUpdate(usage))
        reason = word(value.get("done_reason")) or "stop"
        answered = self._tokens or any(isinstance(e, TextDelta | ReasoningDelta | ToolCallDelta) for e in events)
        if reason in ("load", "unload") and not answered:
            self._fail(ErrorWords(f"it {reason}ed the model and gave no answer"))
            return
        self.finish_reason = _FINISH.get(reason, "stop")
        self.done = True
