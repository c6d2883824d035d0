"""The responses dialect: what real servers leave out, say twice, or say in another shape."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import DONE, sse
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    BilledCost,
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
from tui_chat.providers.asking import GO_ON
from tui_chat.providers.openai_responses import OpenAIResponses, responses_usage
from tui_chat.providers.wire import Record

Json = dict[str, Any]


def fed(*pieces: bytes) -> tuple[list[StreamEvent], ProviderError | None]:
    """Return the events, and how it failed."""
    wire = OpenAIResponses()
    framer, decoder = wire.framer(), wire.decoder()
    got = [e for piece in pieces for record in framer.feed(piece) for e in decoder.feed(record)]
    got += [e for record in framer.close() for e in decoder.feed(record)]
    try:
        return got + decoder.close(), None
    except ProviderError as failed:
        return got, failed


def events(*pieces: bytes) -> list[StreamEvent]:
    got, error = fed(*pieces)
    assert error is None
    return got


def event(name: str, **fields: Any) -> bytes:
    return sse({"type": f"response.{name}", **fields}, f"response.{name}")


def delta(text: str, name: str = "output_text", **about: Any) -> bytes:
    return event(f"{name}.delta", delta=text, **({"output_index": 0, "content_index": 0} | about))


def message(text: str, **fields: Any) -> Json:
    return {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": text}], **fields}


def thought(text: str, kind: str = "summary", **fields: Any) -> Json:
    key = {"summary": "summary", "reasoning": "content"}[kind]
    return {"type": "reasoning", key: [{"type": f"{kind}_text", "text": text}], **fields}


def completed(**fields: Any) -> bytes:
    return event("completed", response={"status": "completed", "output": [], **fields})


def text(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, TextDelta))


def thoughts(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, ReasoningDelta))


def calls(got: list[StreamEvent]) -> list[ToolCallDelta]:
    return [e for e in got if isinstance(e, ToolCallDelta)]


class TestText:
    def test_what_comes_in_pieces_is_not_said_again(self):
        body = (
            event("created", response={"id": "r1", "status": "in_progress", "output": []})
            + event("output_item.added", output_index=0, item=message("", id="m1"))
            + event("content_part.added", output_index=0, content_index=0, part={"type": "output_text", "text": ""})
            + delta("Hel")
            + delta("lo")
            + event("output_text.done", output_index=0, content_index=0, text="Hello")
            + event("content_part.done", output_index=0, content_index=0, part={"type": "output_text", "text": "Hello"})
            + event("output_item.done", output_index=0, item=message("Hello", id="m1"))
            + completed(id="r1", model="served", output=[message("Hello", id="m1")])
        )
        assert events(body) == [
            ResponseStarted("r1"),
            TextDelta("Hel"),
            TextDelta("lo"),
            ResponseStarted("r1", "served"),
            Finished("stop"),
        ]

    @pytest.mark.parametrize(
        "body",
        [
            event("output_text.done", output_index=0, content_index=0, text="Hello"),
            event("content_part.done", output_index=0, part={"type": "output_text", "text": "Hello"}),
            event("output_item.done", output_index=0, item=message("Hello", id="m1")),
            b"",
        ],
    )
    def test_what_comes_only_as_a_whole_is_taken_once(self, body: bytes):
        assert text(events(body + completed(output=[message("Hello", id="m1")]))) == "Hello"

    def test_items_without_numbers_are_known_by_their_id(self):
        """As llama.cpp sends them."""
        body = event("output_item.added", item=message("", id="m1")) + delta("Hi", output_index=None, item_id="m1")
        body += event("output_text.done", item_id="m1", text="Hi") + event(
            "output_item.done", item=message("Hi", id="m1")
        )
        body += event("output_text.done", item_id="m2", text=" there")
        assert text(events(body + completed(output=[message("Hi", id="m1")]))) == "Hi there"

    def test_items_whose_id_changes_are_known_by_their_number(self):
        """As Copilot sends them."""
        body = delta("Hi", item_id="a") + delta("!", item_id="b")
        body += event("output_text.done", output_index=0, content_index=0, item_id="c", text="Hi!")
        body += event("output_item.done", output_index=0, item=message("Hi!", id="d"))
        assert text(events(body + completed())) == "Hi!"

    def test_a_part_that_came_whole_stands_beside_one_that_came_in_pieces(self):
        body = delta("a") + event("output_text.done", output_index=0, content_index=1, text="b") + completed()
        assert text(events(body)) == "ab"

    def test_two_messages_are_two_paragraphs(self):
        body = event("output_item.added", output_index=0, item=message("")) + delta("I look.")
        body += event("output_item.added", output_index=1, item={"type": "web_search_call"})
        body += event("output_item.added", output_index=2, item=message("")) + delta("Found.", output_index=2)
        assert text(events(body + completed())) == "I look.\n\nFound."
        assert text(events(completed(output=[message("I look."), message("Found.")]))) == "I look.\n\nFound."

    def test_a_refusal_is_text(self):
        body = delta("I can't", "refusal") + event("refusal.done", output_index=0, content_index=0, refusal="I can't")
        assert events(body + completed())[-1] == Finished("stop")
        assert text(events(body + completed())) == "I can't"

    def test_the_name_of_an_event_may_stand_in_its_event_line_alone(self):
        body = sse({"delta": "a"}, "response.output_text.delta")
        body += sse({"response": {"status": "completed"}}, "response.completed")
        assert text(events(body)) == "a"

    def test_unknown_events_are_skipped(self):
        body = sse({"type": "keepalive", "sequence_number": 3}, "keepalive") + event("web_search_call.searching")
        body += event("output_text.annotation.added", annotation={"title": "x"}) + delta("a")
        body += event("image_generation_call.partial_image", partial_image_b64="AAAA") + sse(
            {"type": "codex.rate_limits"}
        )
        assert events(body + completed()) == [TextDelta("a"), Finished("stop")]


class TestReasoning:
    def test_the_parts_of_a_summary_are_paragraphs(self):
        body = b""
        for index in range(2):
            part = {"type": "summary_text", "text": ""}
            about = {"output_index": 0, "summary_index": index}
            body += event("reasoning_summary_part.added", part=part, **about)
            body += event("reasoning_summary_text.delta", delta=f"part {index}", **about)
            body += event("reasoning_summary_text.done", text=f"part {index}", **about)
        item = {"type": "reasoning", "summary": [{"type": "summary_text", "text": "part 0"}] * 2}
        body += event("output_item.done", output_index=0, item=item)
        assert thoughts(events(body + completed(output=[item]))) == "part 0\n\npart 1"

    def test_reasoning_and_its_summary_are_not_both_shown(self):
        both = thought("hm", "reasoning") | {"summary": [{"type": "summary_text", "text": "hm"}]}
        body = delta("hm", "reasoning_text") + delta("hm", "reasoning_summary_text")
        body += event("output_item.done", output_index=0, item=both)
        assert thoughts(events(body + completed(output=[both]))) == "hm"
        assert thoughts(events(completed(output=[both]))) == "hm"

    def test_encrypted_reasoning_is_none(self):
        item = {"type": "reasoning", "summary": [], "encrypted_content": "gAAA"}
        assert thoughts(events(event("output_item.done", output_index=0, item=item) + completed(output=[item]))) == ""


class TestToolCalls:
    def test_they_are_counted_once(self):
        item = {"type": "function_call", "id": "f1", "name": "look", "arguments": '{"a":1}'}
        body = event("output_item.added", output_index=0, item=item | {"arguments": ""})
        body += event("function_call_arguments.delta", output_index=0, item_id="f1", delta='{"a":1}')
        body += event("function_call_arguments.done", output_index=0, item_id="f1", arguments='{"a":1}')
        body += event("output_item.done", output_index=0, item=item)
        got = events(body + completed(output=[item]))
        assert calls(got) == [ToolCallDelta("look", ""), ToolCallDelta("", '{"a":1}')]
        assert calls(events(completed(output=[item]))) == calls(got)
        assert got[-1] == Finished("stop"), "the dialect calls it completed"


class TestUsage:
    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ({}, Usage(9, 5)),
            ({"input_tokens_details": {"cached_tokens": 4}}, Usage(9, 5, 4)),
            ({"input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 2}}, Usage(9, 5, 4, 2)),
            ({"output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 14}, Usage(9, 5, None, None, 3)),
            ({"output_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 17}, Usage(9, 8, None, None, 3)),
            ({"input_tokens": 0, "output_tokens": 0, "total_tokens": 0}, Usage()),
            ({"input_tokens": -1, "output_tokens_details": 3}, Usage(None, 5)),
        ],
    )
    def test_it_comes_to_our_terms(self, raw: Json, expected: Usage):
        assert responses_usage({"input_tokens": 9, "output_tokens": 5, **raw}) == expected

    def test_it_is_read_under_the_names_of_chat_completions_too(self):
        assert responses_usage(dict[str, object](prompt_tokens=9, completion_tokens=5)) == Usage(9, 5)

    @pytest.mark.parametrize(
        ("raw", "billed"),
        [('{"cost": 0.0000355}', "0.0000355"), ('{"cost_in_usd_ticks": 4752500}', "0.00047525"), ('{"cost": 0}', None)],
    )
    def test_what_was_billed_is_exact_or_nothing(self, raw: str, billed: str | None):
        body = f'data: {{"type": "response.completed", "response": {{"usage": {raw}}}}}\n\n'.encode()
        costs = [e.amount for e in events(body) if isinstance(e, BilledCost)]
        assert costs == ([] if billed is None else [Decimal(billed)])

    def test_usage_behind_the_end_is_still_read(self):
        usage = {"input_tokens": 9, "output_tokens": 5}
        got = events(delta("a") + completed() + completed(usage=usage) + DONE)
        assert UsageUpdate(Usage(9, 5)) in got

    def test_nothing_is_waited_for_behind_an_end_with_usage(self):
        decoder = OpenAIResponses().decoder()
        response = {"status": "completed", "usage": {"input_tokens": 9, "output_tokens": 5}}
        decoder.feed(Record(None, json.dumps({"type": "response.completed", "response": response})))
        assert decoder.done


class TestEnd:
    @pytest.mark.parametrize(
        ("name", "response", "finished"),
        [
            ("completed", {"status": "completed", "incomplete_details": None}, "stop"),
            ("completed", {}, "stop"),
            ("completed", {"status": "in_progress"}, "stop"),
            ("completed", {"status": "incomplete"}, "length"),
            ("incomplete", {"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, "length"),
            ("incomplete", {"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
            ("incomplete", {"incomplete_details": None}, "length"),
            ("done", {"status": "completed"}, "stop"),
        ],
    )
    def test_the_end_says_why(self, name: str, response: Json, finished: str):
        assert events(delta("a") + event(name, response=response))[-1] == Finished(finished)  # type: ignore[arg-type]

    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (
                sse({"type": "error", "code": "rate_limit_exceeded", "message": "x", "param": None}, "error"),
                "rate_limit",
            ),
            (sse({"type": "error", "error": {"type": "server_error", "message": "boom"}}), "server"),
            (event("failed", response={"error": {"code": "server_error", "message": "x"}}), "server"),
            (event("failed", response={"error": {"code": "context_length_exceeded"}}), "context_length"),
            (event("failed", response={"status": "failed", "error": None}), "server"),
            (event("failed", error={"code": 429, "message": "slow down"}), "rate_limit"),
            (event("completed", response={"status": "failed", "error": {"message": "Overloaded"}}), "overloaded"),
            (sse({"error": {"message": "boom", "code": "500"}}), "server"),
        ],
    )
    def test_an_error_in_the_middle_keeps_the_text_and_fails(self, body: bytes, kind: str):
        got, error = fed(delta("so far") + body + delta("never") + completed())
        assert text(got) == "so far"
        assert error is not None
        assert (error.kind, error.request_sent) == (kind, True)

    def test_what_a_failed_answer_cost_is_known(self):
        usage = {"input_tokens": 9, "output_tokens": 5}
        got, error = fed(event("failed", response={"error": {"message": "x"}, "usage": usage}))
        assert (got, error is None) == ([UsageUpdate(Usage(9, 5))], False)

    def test_an_answer_that_is_not_streamed_is_accepted(self):
        body = {
            "id": "r1",
            "object": "response",
            "model": "m",
            "status": "incomplete",
            "error": None,
            "incomplete_details": {"reason": "max_output_tokens"},
            "output": [thought("hm"), message("whole")],
            "usage": {"input_tokens": 9, "output_tokens": 2},
        }
        assert events(json.dumps(body, indent=1).encode()) == [
            ResponseStarted("r1", "m"),
            ReasoningDelta("hm"),
            TextDelta("whole"),
            UsageUpdate(Usage(9, 2)),
            Finished("length"),
        ]

    def test_an_answer_that_is_still_being_made_is_no_answer(self):
        _, error = fed(json.dumps({"object": "response", "status": "queued", "output": []}).encode())
        assert error is not None


@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner)
            | st.dictionaries(
                st.sampled_from(
                    [
                        "response",
                        "output",
                        "usage",
                        "item",
                        "part",
                        "content",
                        "summary",
                        "delta",
                        "error",
                        "status",
                        "incomplete_details",
                        "id",
                        "name",
                        "output_index",
                        "content_index",
                        "item_id",
                        "arguments",
                        "input_tokens",
                        "output_tokens_details",
                        "text",
                    ]
                ),
                inner,
            )
        ),
    ),
    st.sampled_from(
        [
            "output_text.delta",
            "output_text.done",
            "content_part.done",
            "output_item.added",
            "output_item.done",
            "completed",
            "failed",
            "reasoning_text.delta",
            "function_call_arguments.done",
            "error",
            "created",
        ]
    ),
)
def test_no_json_makes_a_decoder_raise_while_it_is_fed(value: Any, name: str):
    decoder = OpenAIResponses().decoder()
    decoder.feed(Record(None, json.dumps(value)))
    if isinstance(value, dict):
        decoder.feed(Record(None, json.dumps(value | {"type": f"response.{name}"})))
    decoder.feed(Record(f"response.{name}", json.dumps(value)))


def asked(*messages: Message, partial: str = "", **params: object) -> Request:
    return Request(Model("work", "org/m-reasoning"), messages or (Message.of("user", "hi"),), params, partial)


def build(request: Request, *without: str) -> Json:
    return json.loads(OpenAIResponses().build(request, "sk-1", frozenset(without)).body)  # type: ignore[no-any-return]


UNVERIFIED = """{"error": {"message": "Your organization must be verified to generate reasoning summaries. Please go to:
https://platform.openai.com/settings", "param": "reasoning.summary", "code": "unsupported_value"}}"""
BAD_EFFORT = (
    "Unsupported value: 'xhigh' is not supported with the 'm' model. Supported values are: 'low' and 'high'."
    ' "param": "reasoning.effort", "code": "unsupported_value"'
)


class TestRequest:
    def test_roles_go_where_the_dialect_has_them(self):
        history = (
            Message.of("system", "s"),
            Message.of("user", "ü"),
            Message.of("assistant", "a"),
            Message.of("user", "b"),
        )
        assert build(asked(*history)) == {
            "model": "org/m-reasoning",
            "instructions": "s",
            "input": [
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "ü"}]},
                {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "a"}]},
                {"type": "message", "role": "user", "content": [{"type": "input_text", "text": "b"}]},
            ],
            "stream": True,
            "store": False,
        }

    def test_files_go_as_parts(self):
        files = (
            TextPart("look"),
            BlobPart("a.png", "image/png", b"\x89PNG"),
            BlobPart("a.pdf", "application/pdf", b"%PDF"),
            BlobPart("a.md", "text/markdown", b"# a"),
        )
        assert build(asked(Message("user", files)))["input"][0]["content"] == [
            {"type": "input_text", "text": "look"},
            {"type": "input_image", "image_url": "data:image/png;base64,iVBORw=="},
            {"type": "input_file", "filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="},
            {"type": "input_text", "text": "a.md:\n```\n# a\n```"},
        ]

    def test_params_go_under_the_dialects_names(self):
        body = build(asked(max_tokens=5, temperature=0.5, reasoning_effort="low", seed=3, store=True, messages=[]))
        assert (body["max_output_tokens"], body["temperature"], body["seed"], body["store"]) == (5, 0.5, 3, False)
        assert body["reasoning"] == {"effort": "low", "summary": "auto"}
        assert not body.keys() & {"max_tokens", "reasoning_effort", "messages"}

    def test_a_summary_is_asked_for_only_with_an_effort(self):
        assert "reasoning" not in build(asked())
        assert build(asked(reasoning_effort="none"))["reasoning"] == {"effort": "none"}
        assert build(asked(reasoning_effort="low"), "reasoning.summary")["reasoning"] == {"effort": "low"}
        assert build(asked(reasoning={"summary": "concise"}))["reasoning"] == {"summary": "concise"}
        both = build(asked(reasoning_effort="low", reasoning={"summary": "concise"}))
        assert both["reasoning"] == {"effort": "low", "summary": "concise"}

    def test_a_cut_answer_is_asked_to_go_on(self):
        said = build(asked(partial="It beg"))["input"]
        assert said[-2]["content"] == [{"type": "output_text", "text": "It beg"}]
        assert said[-1]["content"] == [{"type": "input_text", "text": GO_ON}]

    @pytest.mark.parametrize(
        ("words", "option"),
        [
            ("Unsupported parameter: 'temperature' is not supported with this model.", "temperature"),
            ("Unsupported parameter: 'reasoning.effort' is not supported with this model.", "reasoning_effort"),
            ("Unknown parameter: 'reasoning'.", "reasoning_effort"),
            ("Argument not supported on this model: reasoningEffort", "reasoning_effort"),
            ("org/m-reasoning does not support top_p", "top_p"),
            ("Unknown parameter: 'stop'.", "stop"),
            ("Unexpected fields in the request: {'stop'}", "stop"),
            ("Unsupported parameter: 'reasoning.summary' is not supported with this model.", "reasoning.summary"),
            (UNVERIFIED, "reasoning.summary"),
            (BAD_EFFORT, None),
            ("Invalid 'temperature': must be at most 2", None),
            ("The model `org/m-reasoning` does not exist or is not available", None),
        ],
    )
    def test_a_refused_option_is_known_by_its_names_here(self, words: str, option: str | None):
        request = asked(temperature=0.5, top_p=0.5, stop=["x"], reasoning_effort="xhigh")
        wire = OpenAIResponses()
        assert wire.refused(words, request, frozenset()) == option
        assert wire.refused(words, asked(), frozenset()) is None
        if option is not None:
            assert wire.refused(words, request, frozenset((option,))) != option
            assert build(request, option) != build(request)
