"""Anthropic's dialect: what real servers send, in made-up streams, and what they are asked."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import sse
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    Adjusted,
    Finished,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    UsageUpdate,
)
from tui_chat.core.message import BlobPart, Message, TextPart
from tui_chat.core.model import Model
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.anthropic_messages import AnthropicMessages, MessagesDecoder
from tui_chat.providers.asking import GO_ON, PREFILL
from tui_chat.providers.wire import Record

WIRE = AnthropicMessages()


def fed(*pieces: bytes) -> tuple[list[StreamEvent], MessagesDecoder]:
    framer, decoder = WIRE.framer(), WIRE.decoder()
    got = [e for piece in pieces for record in framer.feed(piece) for e in decoder.feed(record)]
    return got + [e for record in framer.close() for e in decoder.feed(record)], decoder


def events(*pieces: bytes) -> list[StreamEvent]:
    got, decoder = fed(*pieces)
    return got + decoder.close()


def failure(*pieces: bytes) -> tuple[list[StreamEvent], ProviderError]:
    got, decoder = fed(*pieces)
    with pytest.raises(ProviderError) as caught:
        decoder.close()
    return got, caught.value


def text(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, TextDelta))


def usage(got: list[StreamEvent]) -> Usage:
    total = Usage()
    for event in got:
        if isinstance(event, UsageUpdate):
            total = total.updated(event.usage)
    return total


def event(kind: str, **fields: Any) -> bytes:
    return sse({"type": kind, **fields}, kind)


def start(**counts: Any) -> bytes:
    message = {"id": "msg_1", "type": "message", "role": "assistant", "model": "served-1", "content": []}
    return event("message_start", message=message | {"stop_reason": None, "usage": counts})


def block(kind: str, **fields: Any) -> bytes:
    return event("content_block_start", index=0, content_block={"type": kind, **fields})


def delta(kind: str, **fields: Any) -> bytes:
    return event("content_block_delta", index=0, delta={"type": kind, **fields})


def said(words: str) -> bytes:
    return block("text", text="") + delta("text_delta", text=words) + event("content_block_stop", index=0)


def end(reason: str | None = "end_turn", *, details: Any = None, **counts: Any) -> bytes:
    return event("message_delta", delta={"stop_reason": reason, "stop_details": details}, usage=counts)


STOP = event("message_stop")
PING = event("ping")
STREAM = (
    start(input_tokens=9, cache_read_input_tokens=4, cache_creation_input_tokens=2, output_tokens=1)
    + PING
    + block("thinking", thinking="", signature="")
    + delta("thinking_delta", thinking="hm")
    + delta("signature_delta", signature="abc")
    + event("content_block_stop", index=0)
    + said("Grüße ")
    + said("🙂\u2028!")
    + end(output_tokens=7)
    + STOP
)


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_a_recorded_stream_at_every_split_point(ending: bytes):
    body = STREAM.replace(b"\n", ending)
    whole = events(body)
    assert whole == [
        ResponseStarted("msg_1", "served-1"),
        UsageUpdate(Usage(15, 1, 4, 2)),
        ReasoningDelta("hm"),
        TextDelta("Grüße "),
        TextDelta("🙂\u2028!"),
        UsageUpdate(Usage(15, 7, 4, 2)),
        Finished("stop"),
    ]
    for at in range(len(body)):
        assert events(body[:at], body[at:]) == whole, at


class TestBlocks:
    def test_unknown_blocks_deltas_and_events_are_skipped(self):
        body = start() + event("news") + block("redacted_thinking", data="x") + block("web_search_tool_result")
        body += delta("citations_delta", citation={"text": "no"}) + delta("compaction_delta", content="no")
        assert text(events(body + said("yes") + end() + STOP)) == "yes"

    def test_text_that_comes_with_the_start_of_its_block_counts(self):
        assert text(events(start() + block("text", text="a") + delta("text_delta", text="b") + end() + STOP)) == "ab"

    def test_tool_calls_are_counted_in_pieces(self):
        body = start() + block("tool_use", name="f", input={}) + delta("input_json_delta", partial_json='{"a"')
        body += block("server_tool_use", name="search", input={"q": "x"}) + end("tool_use") + STOP
        got = events(body)
        assert [e for e in got if isinstance(e, ToolCallDelta)] == [
            ToolCallDelta("f", ""),
            ToolCallDelta("", '{"a"'),
            ToolCallDelta("search", '{"q": "x"}'),
        ]
        assert got[-1] == Finished("tool_calls")

    def test_a_message_that_is_not_streamed_is_accepted(self):
        content = [{"type": "thinking", "thinking": "hm"}, {"type": "text", "text": "whole"}]
        body = {"id": "x", "type": "message", "model": "m", "content": content, "stop_reason": "max_tokens"}
        got = events(json.dumps(body | {"usage": {"input_tokens": 9, "output_tokens": 2}}).encode())
        assert got == [
            ResponseStarted("x", "m"),
            ReasoningDelta("hm"),
            TextDelta("whole"),
            UsageUpdate(Usage(9, 2)),
            Finished("length"),
        ]


class TestUsage:
    @pytest.mark.parametrize(
        ("first", "last", "expected"),
        [
            ({"input_tokens": 9, "output_tokens": 1}, {"output_tokens": 5}, Usage(9, 5)),
            ({"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 12, "output_tokens": 5}, Usage(12, 5)),
            ({"input_tokens": 9, "output_tokens": 1}, {"input_tokens": 0, "output_tokens": 5}, Usage(9, 5)),
            ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 9, "output_tokens": 5}, Usage(9, 5)),
            (
                {"input_tokens": 9, "cache_read_input_tokens": 0, "cache_creation_input_tokens": 0},
                {"input_tokens": 2, "cache_read_input_tokens": 7, "output_tokens": 5},
                Usage(9, 5, 7, 0),
            ),
            (
                {"input_tokens": 9},
                {"output_tokens": 5, "output_tokens_details": {"thinking_tokens": 3}},
                Usage(9, 5, None, None, 3),
            ),
            ({}, {"output_tokens": 5}, Usage(None, 5)),
            ({"input_tokens": "9", "output_tokens": True}, {"input_tokens": -1}, Usage()),
            ({"input_tokens": 0, "output_tokens": 0}, {"input_tokens": 0, "output_tokens": 0}, Usage()),
        ],
    )
    def test_the_later_count_replaces_the_earlier_unless_it_is_zero(
        self, first: dict[str, Any], last: dict[str, Any], expected: Usage
    ):
        assert usage(events(start(**first) + said("a") + end(**last) + STOP)) == expected

    def test_a_second_start_does_not_add_up(self):
        body = start(input_tokens=9) + start(input_tokens=9) + said("a") + end(output_tokens=5) + end(output_tokens=6)
        got = events(body + STOP)
        assert usage(got) == Usage(9, 6)
        assert sum(isinstance(e, ResponseStarted) for e in got) == 1


class TestEnd:
    @pytest.mark.parametrize(
        ("reason", "finished"),
        [
            ("end_turn", "stop"),
            ("stop_sequence", "stop"),
            ("something new", "stop"),
            ("max_tokens", "length"),
            ("model_context_window_exceeded", "length"),
            ("tool_use", "tool_calls"),
            ("refusal", "content_filter"),
            ("pause_turn", "pause"),
        ],
    )
    def test_finish_reasons_are_ours(self, reason: str, finished: str):
        assert events(start() + said("a") + end(reason) + STOP)[-1] == Finished(finished)  # type: ignore[arg-type]

    def test_why_the_model_refused_is_said(self):
        got = events(start() + end("refusal", details={"type": "refusal", "explanation": "no weapons"}) + STOP)
        assert Adjusted("no weapons") in got
        assert got[-1] == Finished("content_filter")

    def test_the_reason_to_stop_is_an_end_even_without_the_end_marker(self):
        assert events(start() + said("a") + end())[-1] == Finished("stop")

    def test_nothing_behind_the_end_marker_counts(self):
        assert text(events(start() + said("a") + end() + STOP + said("b") + event("error", error={"m": 1}))) == "a"

    def test_an_end_without_either_is_a_broken_answer(self):
        got, error = failure(start() + said("a") + end(None))
        assert (text(got), error.kind, error.request_sent) == ("a", "stream", True)

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (event("error", error={"type": "overloaded_error", "message": "Overloaded"}), "overloaded"),
            (event("error", error={"type": "api_error", "message": "boom"}), "server"),
            (sse({"error": {"message": "boom", "code": "500"}}), "server"),
        ],
    )
    def test_an_error_in_the_middle_keeps_the_text_and_fails(self, body: bytes, kind: str):
        got, error = failure(start() + said("so far") + body + said("never") + STOP)
        assert (text(got), error.kind, error.request_sent) == ("so far", kind, True)


_NAMES = ["type", "delta", "message", "usage", "content_block", "content", "input_tokens", "output_tokens_details"]
_NAMES += ["error", "stop_reason", "stop_details", "text", "input", "model", "explanation"]
_KINDS = ["message_start", "content_block_start", "content_block_delta", "message_delta", "message", "error"]
_KINDS += ["text", "thinking", "tool_use", "text_delta", "thinking_delta", "input_json_delta"]


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.sampled_from(_KINDS),
        lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from(_NAMES), inner),
    ),
    st.sampled_from(_KINDS),
)
def test_no_json_makes_a_decoder_raise_while_it_is_fed(value: Any, kind: str):
    for each in (value, {"type": kind, "delta": value}, {"type": kind, "message": value, "content_block": value}):
        WIRE.decoder().feed(Record(None, json.dumps(each)))
        WIRE.decoder().feed(Record("error", json.dumps(each)))


def request(*messages: Message, model: str = "claude-sonnet-4-5", partial: str = "", **params: Any) -> Request:
    return Request(Model("work", model), messages, params, partial)


def build(*messages: Message, without: str = "", prefill: bool = False, **kwargs: Any) -> dict[str, Any]:
    built = WIRE.build(request(*messages, **kwargs), "sk-1", frozenset(without.split()), prefill=prefill)
    return json.loads(built.body)  # type: ignore[no-any-return]


HI = Message.of("user", "hi")
OLD, BUDGETED, EFFORTFUL = "claude-3-haiku-20240307", "claude-sonnet-4-20250514", "anthropic/claude-opus-4.7"


class TestRequest:
    def test_the_system_prompt_stands_apart_and_the_key_in_its_header(self):
        built = WIRE.build(request(Message.of("system", "s"), HI), "sk-1")
        assert built.path == "/messages"
        assert (built.headers["x-api-key"], built.headers["anthropic-version"]) == ("sk-1", "2023-06-01")
        assert json.loads(built.body) == {
            "model": "claude-sonnet-4-5",
            "system": "s",
            "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}],
            "stream": True,
            "max_tokens": 8192,
        }
        assert "x-api-key" not in WIRE.build(request(HI), None).headers
        assert WIRE.list_request("sk-1").path == "/models?limit=1000"

    def test_roles_alternate_and_blank_texts_are_never_sent(self):
        turns = [
            Message.of("user", "a"),
            Message.of("assistant", " \n"),
            Message.of("user", "b"),
            Message.of("user", ""),
        ]
        assert build(*turns)["messages"] == [
            {"role": "user", "content": [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]}
        ]
        assert "system" not in build(Message.of("system", " "), HI)

    def test_pictures_and_documents_are_blocks_and_files_are_inlined(self):
        parts = (
            TextPart("look"),
            BlobPart("a.png", "image/png", b"\x89PNG"),
            BlobPart("a.pdf", "application/pdf", b"%PDF"),
            BlobPart("a.md", "text/markdown", b"code"),
        )
        content = build(Message("user", parts))["messages"][0]["content"]
        source = {"type": "base64", "media_type": "image/png", "data": "iVBORw=="}
        assert content[1] == {"type": "image", "source": source}
        assert (content[2]["type"], content[2]["source"]["media_type"]) == ("document", "application/pdf")
        assert content[3]["text"] == "a.md:\n```\ncode\n```"

    def test_params_go_by_the_dialects_names_and_do_not_take_over(self):
        params = {"temperature": 0.2, "max_tokens": 5, "stop": "x", "top_k": 3, "stream": False, "model": "no"}
        asked = Request(Model("work", "claude-sonnet-4-5"), (HI,), {**params, "messages": [], "system": "no"})
        body = json.loads(WIRE.build(asked, None).body)
        assert (body["temperature"], body["max_tokens"], body["stop_sequences"], body["top_k"]) == (0.2, 5, ["x"], 3)
        assert (body["model"], body["stream"], len(body["messages"])) == ("claude-sonnet-4-5", True, 1)
        assert not {"stop", "system"} & body.keys()
        assert build(HI, stop=["a", "b"])["stop_sequences"] == ["a", "b"]

    @pytest.mark.parametrize(
        ("model", "most"),
        [
            (OLD, 4096),
            ("claude-3-5-haiku-latest", 8192),
            ("tiny", 8192),
            (BUDGETED, 8192),
            ("claude-opus-4-7", 8192),
            ("claude-opus-5-5", 8192 + 16384),  # thinks unasked
        ],
    )
    def test_the_limit_that_the_dialect_demands_fits_the_model(self, model: str, most: int):
        assert build(HI, model=model)["max_tokens"] == most


class TestThinking:
    def test_a_budget_raises_the_limit_of_the_dialect_and_drives_out_the_sampling_parameters(self):
        body = build(HI, model=BUDGETED, reasoning_effort="high", temperature=0.5, top_p=0.9)
        assert body["thinking"] == {"type": "enabled", "budget_tokens": 16384}
        assert body["max_tokens"] == 16384 + 8192
        assert not {"temperature", "top_p", "reasoning_effort"} & body.keys()
        assert build(HI, model=BUDGETED, reasoning_effort="low")["max_tokens"] == 8192 + 2048
        assert build(HI, model=BUDGETED, reasoning_effort="low", max_tokens=9000)["max_tokens"] == 9000

    @pytest.mark.parametrize(("longest", "budget"), [(2048, 1024), (5000, 3976), (17408, 16384), (20000, 16384)])
    def test_a_budget_shrinks_to_what_the_longest_answer_leaves(self, longest: int, budget: int):
        for how in ({"reasoning_effort": "high"}, {"thinking": {"type": "enabled", "budget_tokens": 16384}}):
            body = build(HI, model=BUDGETED, max_tokens=longest, **how)
            assert (body["max_tokens"], body["thinking"]["budget_tokens"]) == (longest, budget)

    @pytest.mark.parametrize("name", ["reasoning_effort", "thinking"])
    def test_thinking_for_which_there_is_no_room_is_left_out_and_told(self, name: str):
        how: dict[str, Any] = {"reasoning_effort": "high", "thinking": {"type": "enabled", "budget_tokens": 9000}}
        asked = request(HI, model=BUDGETED, max_tokens=2047, temperature=0.5, **{name: how[name]})
        built = WIRE.build(asked, None)
        body = json.loads(built.body)
        assert (body["max_tokens"], body["temperature"], "thinking" in body) == (2047, 0.5, False)
        assert built.left_out == (f"{name} is not sent: 2047 tokens are too few to think and to answer",)

    def test_the_longest_answer_that_the_dialect_asks_for_by_itself_is_known(self):
        assert WIRE.length_unasked(request(HI, model=OLD)) == 4096
        assert WIRE.length_unasked(request(HI, model=BUDGETED, reasoning_effort="high")) == 16384 + 8192

    @pytest.mark.parametrize(
        ("model", "effort", "told"),
        [
            (BUDGETED, "high", f"temperature is not sent: with reasoning on, {BUDGETED} takes none"),
            (OLD, "high", f"reasoning_effort is not sent: {OLD} knows no such thing"),
            (OLD, "none", None),
            (BUDGETED, "none", None),
            (EFFORTFUL, "none", None),
        ],
    )
    def test_what_is_driven_out_is_told(self, model: str, effort: str, told: str | None):
        asked = request(HI, model=model, reasoning_effort=effort, temperature=0.5)
        assert WIRE.build(asked, None).left_out == ((told,) if told else ())

    def test_newer_models_are_told_an_effort(self):
        body = build(HI, model=EFFORTFUL, reasoning_effort="medium", output_config={"format": "f"})
        assert body["thinking"] == {"type": "adaptive", "display": "summarized"}
        assert body["output_config"] == {"effort": "medium", "format": "f"}

    @pytest.mark.parametrize("effort", ["none", "minimal"])
    def test_no_effort_is_no_thinking(self, effort: str):
        for model in (OLD, BUDGETED, EFFORTFUL, "tiny"):
            assert not {"thinking", "output_config"} & build(HI, model=model, reasoning_effort=effort).keys()
        assert build(HI, model="claude-sonnet-5", reasoning_effort=effort)["output_config"] == {"effort": "low"}

    def test_models_that_cannot_think_are_not_asked_to(self):
        assert "thinking" not in build(HI, model=OLD, reasoning_effort="high")

    def test_what_the_user_wrote_in_the_dialects_own_words_wins(self):
        body = build(HI, thinking={"type": "enabled", "budget_tokens": 5000}, reasoning_effort="low", temperature=1)
        assert body["thinking"]["budget_tokens"] == 5000
        assert body["max_tokens"] == 8192 + 5000
        assert "temperature" not in body


class TestGoingOn:
    def last(self, **kwargs: Any) -> str:
        turn = build(HI, partial="Once upon a ", **kwargs)["messages"][-1]
        return f"{turn['role']}: {turn['content'][0]['text']}"

    def test_claude_gets_the_beginning_of_its_answer(self):
        assert self.last() == "assistant: Once upon a"

    @pytest.mark.parametrize(
        "how",
        [
            {"without": PREFILL},
            {"without": PREFILL, "prefill": True},
            {"reasoning_effort": "low"},
            {"model": "claude-opus-4-6"},
            {"model": "claude-mythos"},
            {"model": "tiny"},
        ],
    )
    def test_who_does_not_take_that_is_asked_to_go_on(self, how: dict[str, Any]):
        assert self.last(**how) == f"user: {GO_ON}"

    def test_an_endpoint_can_say_that_it_goes_on(self):
        assert self.last(model="tiny", prefill=True) == "assistant: Once upon a"


class TestRefused:
    @pytest.mark.parametrize(
        ("words", "option"),
        [
            ("`temperature` and `top_p` cannot both be specified for this model. Please use only one.", "top_p"),
            ("`temperature` is deprecated for this model.", "temperature"),
            ("stop_sequences: Extra inputs are not permitted", "stop"),
            ("temperature: range: 0..1", None),
            ("thinking is not supported", None),
        ],
    )
    def test_a_refusal_names_what_was_sent(self, words: str, option: str | None):
        error = json.dumps({"type": "error", "error": {"type": "invalid_request_error", "message": words}})
        assert WIRE.refused(error, request(HI, temperature=1, top_p=1, stop="x"), frozenset()) == option

    def test_thinking_is_known_by_the_dialects_names(self):
        asked = request(HI, reasoning_effort="high")
        words = '"thinking.type.enabled" is not supported for this model. Use "thinking.type.adaptive"'
        assert WIRE.refused(words, asked, frozenset()) == "reasoning_effort"
        assert "thinking" not in build(HI, reasoning_effort="high", without="reasoning_effort")
        assert WIRE.refused(words, asked, frozenset(("reasoning_effort",))) is None
        too_small = "thinking.enabled.budget_tokens: Input should be greater than or equal to 1024"
        assert WIRE.refused(too_small, asked, frozenset()) is None

    def test_a_refused_beginning_is_one(self):
        words = "This model does not support assistant message prefill. The conversation must end with a user message."
        assert WIRE.refused(words, request(HI, partial="a"), frozenset()) == PREFILL
        assert WIRE.refused(words, request(HI), frozenset()) is None
