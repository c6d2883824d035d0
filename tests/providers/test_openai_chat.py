"""The dialect: what real servers send, in made-up streams, read whole, byte by byte and at every split point."""

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.loopback import DONE, chat_chunk, chat_stream, chat_usage, sse
from tui_chat.core.errors import ProviderError
from tui_chat.core.events import (
    BilledCost,
    Finished,
    ReasoningDelta,
    ResponseStarted,
    StreamEvent,
    TextDelta,
    ToolCallDelta,
    Unreadable,
    UsageUpdate,
)
from tui_chat.core.message import BlobPart, Message, TextPart
from tui_chat.core.model import Model, Params
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage
from tui_chat.providers.openai_chat import OpenAIChat, usage_of
from tui_chat.providers.wire import Record


def events(*pieces: bytes) -> list[StreamEvent]:
    wire = OpenAIChat()
    framer, decoder = wire.framer(), wire.decoder()
    got = [e for piece in pieces for record in framer.feed(piece) for e in decoder.feed(record)]
    got += [e for record in framer.close() for e in decoder.feed(record)]
    return got + decoder.close()


def failure(*pieces: bytes) -> tuple[list[StreamEvent], ProviderError]:
    """Return the events before the end, and how it fails."""
    wire = OpenAIChat()
    framer, decoder = wire.framer(), wire.decoder()
    got = [e for piece in pieces for record in framer.feed(piece) for e in decoder.feed(record)]
    got += [e for record in framer.close() for e in decoder.feed(record)]
    with pytest.raises(ProviderError) as caught:
        decoder.close()
    return got, caught.value


def text(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, TextDelta))


def thoughts(got: list[StreamEvent]) -> str:
    return "".join(e.text for e in got if isinstance(e, ReasoningDelta))


def usage(got: list[StreamEvent]) -> Usage:
    total = Usage()
    for event in got:
        if isinstance(event, UsageUpdate):
            total = total.updated(event.usage)
    return total


def choice(**fields: Any) -> bytes:
    return sse({"choices": [{"index": 0, **fields}]})


def test_a_plain_answer():
    assert events(chat_stream(["Hel", "lo"], usage=chat_usage(9, 2))) == [
        ResponseStarted("chatcmpl-1", "served-1"),
        TextDelta("Hel"),
        TextDelta("lo"),
        UsageUpdate(Usage(9, 2)),
        Finished("stop"),
    ]


RECORDED = {
    "openrouter": b": OPENROUTER PROCESSING\n\n"
    + chat_chunk("", reasoning="hm")
    + chat_chunk("Grüße 🙂\u2028")
    + chat_chunk("!", finish="stop")
    + chat_chunk("", finish="stop", usage=chat_usage(5, 3, cost=0.25, is_byok=False))
    + DONE,
    "azure": sse({"id": "", "model": "", "choices": [], "prompt_filter_results": [{}]})
    + chat_stream(["Grüße", " 🙂\u2028!"], reasoning=["h", "m"], usage=chat_usage(5, 3)),
    "no blank line at the end": chat_stream(["Grüße 🙂\u2028!"], reasoning=["hm"], usage=chat_usage(5, 3)).rstrip(
        b"\n"
    ),
    "no end marker": chat_stream(["Grüße 🙂\u2028!"], reasoning=["hm"], usage=chat_usage(5, 3), done=False),
    "named events": sse({"choices": [{"delta": {"reasoning": "hm"}}]}, "chunk")
    + sse({"choices": [{"delta": {"content": "Grüße 🙂\u2028!"}, "finish_reason": "stop"}], "usage": chat_usage(5, 3)}),
}


@pytest.mark.parametrize("name", RECORDED)
@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
def test_recorded_streams_at_every_split_point(name: str, ending: bytes):
    body = RECORDED[name].replace(b"\n", ending)
    whole = events(body)
    assert (text(whole), thoughts(whole)) == ("Grüße 🙂\u2028!", "hm")
    assert usage(whole) == Usage(5, 3)
    assert whole[-1] == Finished("stop")
    assert events(*(body[i : i + 1] for i in range(len(body)))) == whole
    for at in range(len(body)):
        assert events(body[:at], body[at:]) == whole, at


class TestChoices:
    def test_empty_missing_and_null_choices_are_no_trouble(self):
        body = sse({"choices": []}) + sse({"id": "x"}) + sse({"choices": None}) + sse({"choices": [None, 3]})
        body += choice() + choice(delta=None) + choice(delta={"content": None}) + chat_stream(["ok"])
        assert text(events(body)) == "ok"

    def test_other_choices_are_ignored(self):
        body = sse({"choices": [{"index": 1, "delta": {"content": "no"}}, {"index": 0, "delta": {"content": "y"}}]})
        body += sse({"choices": [{"index": 0, "delta": {"content": "es"}, "finish_reason": "stop"}]})
        body += sse({"choices": [{"index": 1, "delta": {"content": "no"}, "finish_reason": "length"}]})
        got = events(body + DONE)
        assert got[-1] == Finished("stop")
        assert text(got) == "yes"

    def test_a_server_that_counts_from_one_is_read_too(self):
        assert text(events(sse({"choices": [{"index": 1, "delta": {"content": "a"}}]}) + DONE)) == "a"

    def test_contents_that_are_lists_are_taken_apart(self):
        parts: list[Any] = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "hm"}]},
            {"type": "thinking", "thinking": "!"},
            {"type": "text", "text": "a"},
            {"type": "reference", "reference_ids": [1]},
            "b",
            7,
        ]
        got = events(choice(delta={"content": parts}, finish_reason="stop"))
        assert (text(got), thoughts(got)) == ("ab", "hm!")

    def test_text_behind_the_finish_reason_still_counts(self):
        got = events(chat_chunk("a", finish="stop") + chat_chunk("b") + DONE)
        assert text(got) == "ab"

    def test_nothing_behind_the_end_marker_counts(self):
        got = events(chat_stream(["a"]) + chat_chunk("b") + sse({"error": {"message": "late"}}) + b"data: junk\n\n")
        assert text(got) == "a"
        assert not any(isinstance(e, Unreadable) for e in got)

    def test_refusals_are_text(self):
        assert text(events(choice(delta={"refusal": "I can't"}) + choice(delta={}, finish_reason="stop"))) == "I can't"

    def test_think_tags_stay_in_the_text(self):
        assert text(events(chat_stream(["<think>hm</think>", "a"]))) == "<think>hm</think>a"

    def test_lone_surrogate_halves_and_nul_are_passed_on(self):
        got = events(b'data: {"choices":[{"delta":{"content":"\\ud83d\\u0000"},"finish_reason":"stop"}]}\n\n')
        assert text(got) == "\ud83d\x00"

    def test_wrong_types_are_ignored(self):
        body = sse({"id": 3, "model": [], "choices": {"a": 1}, "usage": "no"})
        body += choice(
            delta={"content": 7, "tool_calls": {"a": 1}, "reasoning": {}, "reasoning_details": [1, {"text": 2}]}
        )
        body += choice(delta=[1], finish_reason=3) + chat_stream(["ok"])
        assert text(events(body)) == "ok"

    def test_tool_calls_are_counted_in_all_their_shapes(self):
        body = choice(delta={"tool_calls": [{"index": 0, "function": {"name": "f", "arguments": ""}}]})
        body += choice(delta={"tool_calls": [{"function": {"name": None, "arguments": '{"a'}}, {"function": None}, 1]})
        body += choice(delta={"tool_calls": [{"function": {"name": "g", "arguments": {"a": "é"}}}]})
        body += choice(delta={"function_call": {"name": "h", "arguments": "{}"}}, finish_reason="tool_calls")
        got = events(body)
        assert [e for e in got if isinstance(e, ToolCallDelta)] == [
            ToolCallDelta("f", ""),
            ToolCallDelta("", '{"a'),
            ToolCallDelta("g", '{"a": "é"}'),
            ToolCallDelta("h", "{}"),
        ]
        assert got[-1] == Finished("tool_calls")


class TestReasoning:
    def test_of_two_names_one_is_taken(self):
        details = [{"type": "reasoning.text", "text": "hm"}]
        body = choice(delta={"reasoning": "hm", "reasoning_content": "hm", "reasoning_details": details})
        assert thoughts(events(body + chat_stream())) == "hm"

    def test_details_alone_are_taken_and_encrypted_ones_are_not(self):
        details = [{"type": "reasoning.text", "text": "h"}, {"type": "reasoning.encrypted", "data": "abc"}]
        body = choice(delta={"reasoning_details": details})
        body += choice(delta={"reasoning": "", "reasoning_details": [{"summary": "m"}]})
        assert thoughts(events(body + chat_stream())) == "hm"


class TestUsage:
    def test_the_last_of_repeated_usages_wins(self):
        body = chat_chunk("a", usage=chat_usage(5, 1)) + chat_chunk("b", usage=chat_usage(5, 2)) + chat_stream()
        assert usage(events(body)) == Usage(5, 2)

    def test_usage_in_x_groq_and_in_a_choice_is_found(self):
        assert usage(events(sse({"choices": [], "x_groq": {"usage": chat_usage(5, 1)}}) + chat_stream())) == Usage(5, 1)
        assert usage(events(choice(delta={}, usage=chat_usage(5, 1)) + chat_stream())) == Usage(5, 1)

    @pytest.mark.parametrize(
        ("raw", "expected"),
        [
            ({"prompt_tokens_details": {"cached_tokens": 4}}, Usage(9, 5, 4)),
            ({"prompt_cache_hit_tokens": 4}, Usage(9, 5, 4)),
            ({"cached_tokens": 4}, Usage(9, 5, 4)),
            ({"prompt_tokens_details": {"cached_tokens": 4}, "prompt_cache_hit_tokens": 0}, Usage(9, 5, 4)),
            ({"prompt_tokens_details": None, "completion_tokens_details": 3}, Usage(9, 5)),
            ({"prompt_tokens_details": {"cache_write_tokens": 3}}, Usage(9, 5, None, 3)),
            ({"completion_tokens_details": {"reasoning_tokens": 3}}, Usage(9, 5, None, None, 3)),
            ({"completion_tokens_details": {"reasoning_tokens": 3}, "total_tokens": 17}, Usage(9, 8, None, None, 3)),
            ({"completion_tokens_details": {"reasoning_tokens": 30}}, Usage(9, 35, None, None, 30)),
            ({"reasoning_tokens": 2}, Usage(9, 5, None, None, 2)),
            ({"completion_tokens": -1}, Usage(9)),
            ({"completion_tokens": True}, Usage(9)),
            ({"completion_tokens": "5"}, Usage(9)),
            ({"completion_tokens": Decimal("5.0")}, Usage(9, 5)),
            ({"completion_tokens": Decimal("5.5")}, Usage(9)),
            ({"completion_tokens": Decimal("NaN")}, Usage(9)),
            ({"prompt_tokens": 0, "completion_tokens": 0, "total_tokens": 0}, Usage()),
        ],
    )
    def test_every_convention_comes_to_our_terms(self, raw: dict[str, Any], expected: Usage):
        assert usage_of({"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14} | raw) == expected

    @pytest.mark.parametrize(
        ("raw", "billed"),
        [
            ('{"cost": 0.0001409}', "0.0001409"),
            ('{"cost": 1e-7}', "1E-7"),
            ('{"cost": 0}', None),
            ('{"cost": 0, "is_byok": false}', "0"),
            ('{"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": 0.2}}', "0.21"),
            ('{"cost": 0.01, "is_byok": true, "cost_details": {"upstream_inference_cost": null}}', None),
            ('{"cost": {"usd": 0.5}}', "0.5"),
            ('{"cost": {"input_tokens_cost": 0.1, "total_cost": 0.3}}', "0.3"),
            ('{"cost_in_usd_ticks": 3530500}', "0.00035305"),
            ('{"cost": -1}', None),
            ('{"cost": NaN}', None),
            ('{"cost": 1e400}', None),
            ('{"cost": "0.1"}', None),
            ('{"cost": true}', None),
        ],
    )
    def test_what_was_billed_is_exact_or_nothing(self, raw: str, billed: str | None):
        body = f'data: {{"choices": [], "usage": {raw}}}\n\n'.encode() + chat_stream()
        costs = [e.amount for e in events(body) if isinstance(e, BilledCost)]
        assert costs == ([] if billed is None else [Decimal(billed)])


class TestEnd:
    @pytest.mark.parametrize(
        ("reason", "finished"),
        [
            ("stop", "stop"),
            ("STOP", "stop"),
            ("eos", "stop"),
            ("whatever", "stop"),
            ("length", "length"),
            ("max_tokens", "length"),
            ("content_filter", "content_filter"),
            ("tool_calls", "tool_calls"),
            ("function_call", "tool_calls"),
            ("pause_turn", "pause"),
        ],
    )
    def test_finish_reasons_are_ours(self, reason: str, finished: str):
        assert events(chat_stream(["a"], finish=reason))[-1] == Finished(finished)  # type: ignore[arg-type]

    def test_an_end_marker_without_finish_reason_is_an_end(self):
        assert events(chat_stream(["a"], finish=None))[-1] == Finished("stop")

    def test_an_end_without_either_is_a_broken_answer(self):
        got, error = failure(chat_stream(["a"], finish=None, done=False))
        assert text(got) == "a"
        assert (error.kind, error.request_sent) == ("stream", True)

    @pytest.mark.parametrize("body", [b"", b"\n\n", b": ping\n\n", DONE, b"data:\n\n"])
    def test_an_empty_answer_is_no_success(self, body: bytes):
        assert failure(body)[1].kind == "stream"

    @pytest.mark.parametrize("reason", ["error", "abort", "insufficient_system_resource"])
    def test_a_server_that_gives_up_says_so(self, reason: str):
        got, error = failure(chat_chunk("a") + chat_chunk(finish=reason) + DONE)
        assert text(got) == "a"
        assert error.kind in ("server", "overloaded")


class TestUnreadable:
    def test_what_cannot_be_parsed_is_skipped_and_counted(self):
        got = events(b"data: {oops\n\ndata: 3\n\ndata: [1]\n\ndata: null\n\n" + chat_stream(["a"]))
        assert text(got) == "a"
        assert sum(e.count for e in got if isinstance(e, Unreadable)) == 4

    @pytest.mark.parametrize("body", [b"data: junk\n\n", b"data: junk\n\n" + DONE, b"<html>Sign in</html>", b"{cut"])
    def test_only_unreadable_events_are_a_protocol_error(self, body: bytes):
        assert failure(body)[1].kind == "protocol"

    def test_a_web_page_is_named(self):
        assert "web page" in failure(b"<!DOCTYPE html><title>Sign in</title>")[1].message

    @pytest.mark.parametrize("junk", ["[" * 100_000, '{"a":' * 100_000, "9" * 5000, "1e99999999999999999999"])
    def test_hostile_json_does_no_harm(self, junk: str):
        assert text(events(f"data: {junk}\n\n".encode() + chat_stream(["a"]))) == "a"

    @given(
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.text(max_size=5),
            lambda inner: (
                st.lists(inner)
                | st.dictionaries(
                    st.sampled_from(
                        [
                            "choices",
                            "delta",
                            "content",
                            "usage",
                            "index",
                            "error",
                            "message",
                            "tool_calls",
                            "function",
                            "x_groq",
                            "reasoning_details",
                            "prompt_tokens",
                            "completion_tokens_details",
                        ]
                    ),
                    inner,
                )
            ),
        )
    )
    def test_no_json_makes_a_decoder_raise_while_it_is_fed(self, value: Any):
        decoder = OpenAIChat().decoder()
        decoder.feed(Record(None, json.dumps(value)))
        decoder.feed(Record("error", json.dumps(value)))


class TestErrors:
    @pytest.mark.parametrize(
        ("body", "kind"),
        [
            (sse({"error": {"message": "boom", "code": 502}}), "server"),
            (sse({"error": {"message": "boom", "code": "500"}}), "server"),
            (sse({"error": {"message": "slow down", "code": 429}}), "rate_limit"),
            (sse({"error": {"message": "Overloaded", "type": "overloaded_error"}}), "overloaded"),
            (sse({"error": {"message": "x", "code": "context_length_exceeded"}}), "context_length"),
            (sse({"error": "boom"}), "server"),
            (sse({"message": "boom"}, "error"), "server"),
            (sse("boom", "error"), "server"),
            (sse({"object": "error", "message": "boom", "code": 400}), "invalid_request"),
            (
                sse({"error": {"message": "boom"}, "choices": [{"delta": {"content": ""}, "finish_reason": "error"}]}),
                "server",
            ),
            (b'error: {"message": "boom"}\n\n', "server"),
            (b'error: {"error": {"message": "boom", "code": 503}}\n\n', "overloaded"),
            (choice(delta={}, finish_reason="error", error={"message": "boom", "code": 503}), "overloaded"),
        ],
    )
    def test_an_error_in_the_middle_keeps_the_text_and_fails(self, body: bytes, kind: str):
        got, error = failure(chat_chunk("so far") + body + chat_stream(["never"]))
        assert text(got) == "so far"
        assert (error.kind, error.request_sent) == (kind, True)

    def test_text_in_the_event_of_the_error_is_kept(self):
        got, _ = failure(sse({"error": {"message": "boom"}, "choices": [{"delta": {"content": "last"}}]}))
        assert text(got) == "last"

    def test_a_null_error_is_none(self):
        assert text(events(sse({"error": None, "choices": [{"delta": {"content": "a"}}]}) + chat_stream([]))) == "a"


class TestWholeAnswer:
    def test_an_answer_that_is_not_streamed_is_accepted(self):
        body = json.dumps(
            {
                "id": "x",
                "model": "m",
                "choices": [{"index": 0, "message": {"content": "whole", "reasoning": "hm"}, "finish_reason": "stop"}],
                "usage": chat_usage(9, 2),
            },
            indent=1,
        ).encode()
        assert events(body) == [
            ResponseStarted("x", "m"),
            ReasoningDelta("hm"),
            TextDelta("whole"),
            UsageUpdate(Usage(9, 2)),
            Finished("stop"),
        ]

    def test_a_message_beside_the_delta_is_not_read_twice(self):
        body = choice(delta={"content": "a"}, message={"content": "a"})
        body += choice(delta={"content": "b"}, message={"content": "ab"}, finish_reason="stop")
        assert text(events(body)) == "ab"

    def test_an_error_that_is_not_streamed_is_one(self):
        assert failure(b'{"error": {"message": "no", "code": 503}}')[1].kind == "overloaded"
        assert failure(b'{"detail": "no such thing"}')[1].kind == "server"


def build(*messages: Message, **params: object) -> dict[str, Any]:
    request = Request(Model("work", "org/model"), messages, params)
    return json.loads(OpenAIChat().build(request, "sk-1").body)  # type: ignore[no-any-return]


class TestRequest:
    def test_text_goes_as_plain_strings(self):
        request = Request(Model("work", "org/model"), (Message.of("system", "s"), Message.of("user", "ü\ud800")), {})
        built = OpenAIChat().build(request, "sk-1")
        assert built.path == "/chat/completions"
        assert built.headers["Authorization"] == "Bearer sk-1"
        assert json.loads(built.body) == {
            "model": "org/model",
            "messages": [{"role": "system", "content": "s"}, {"role": "user", "content": "ü\ud800"}],
            "stream": True,
            "stream_options": {"include_usage": True},
        }
        assert "sk-1" not in repr(built)

    def test_without_a_key_there_is_no_authorization(self):
        assert "Authorization" not in OpenAIChat().build(Request(Model("w", "m"), (), {}), None).headers

    def test_params_go_as_set_but_do_not_take_over(self):
        params: Params = {"temperature": 0.2, "max_tokens": 5, "stream": False, "model": "x", "stop": ["a"]}
        body = build(Message.of("user", "hi"), **params, stream_options={"include_obfuscation": False})
        assert (body["temperature"], body["max_tokens"], body["stop"]) == (0.2, 5, ["a"])
        assert (body["stream"], body["model"]) == (True, "org/model")
        assert body["stream_options"] == {"include_obfuscation": False, "include_usage": True}

    def test_pictures_are_data_urls_and_files_are_inlined(self):
        parts = (
            TextPart("look"),
            BlobPart("a.png", "image/png", b"\x89PNG"),
            BlobPart("a.md", "text/markdown", b"\xef\xbb\xbf```\ncode\n```\n"),
            BlobPart("a.pdf", "application/pdf", b"%PDF"),
        )
        content = build(Message("user", parts))["messages"][0]["content"]
        assert content[0] == {"type": "text", "text": "look"}
        assert content[1] == {"type": "image_url", "image_url": {"url": "data:image/png;base64,iVBORw=="}}
        assert content[2] == {"type": "text", "text": "a.md:\n````\n```\ncode\n```\n````"}
        assert content[3]["file"] == {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERg=="}

    def test_a_file_that_nobody_can_read_is_refused(self):
        with pytest.raises(ProviderError) as caught:
            build(Message("user", (BlobPart("a.bin", "application/octet-stream", b"\xff\x00"),)))
        assert caught.value.kind == "invalid_request"
        assert "a.bin" in caught.value.message

    def test_the_usage_option_is_left_out_once_it_was_refused(self):
        request, wire = Request(Model("w", "m"), (), {}), OpenAIChat()
        refused = wire.refused("Unrecognized request argument supplied: stream_options", request, frozenset())
        assert refused == "stream_options"
        assert "stream_options" not in json.loads(wire.build(request, None, frozenset((refused,))).body)
        assert wire.refused("stream_options", request, frozenset((refused,))) is None
        assert wire.refused("temperature is not supported", request, frozenset()) is None


def test_a_letter_that_was_cut_in_two_is_joined_again():
    """Some servers cut emoji between the halves that JSON writes them in."""
    halves = [b'"\\ud83d"', b'"\\udc69 and "', b'"\\ud83d"', b'"\\ude00"', b'"x\\ud83d"']
    body = b"".join(b'data: {"choices": [{"delta": {"content": ' + half + b"}}]}\n\n" for half in halves)
    decoder, framer = OpenAIChat().decoder(), OpenAIChat().framer()
    events = [event for each in framer.feed(body + b"data: [DONE]\n\n") for event in decoder.feed(each)]
    events += decoder.close()
    text = "".join(event.text for event in events if isinstance(event, TextDelta))
    assert text == "👩 and 😀x\ud83d", "a half that stays alone is passed on"


def test_a_document_that_is_no_answer_says_so():
    decoder, framer = OpenAIChat().decoder(), OpenAIChat().framer()
    framer.feed(b'{"ok": true}')
    assert [event for each in framer.close() for event in decoder.feed(each)] == []
    with pytest.raises(ProviderError, match="is no answer") as caught:
        decoder.close()
    assert (caught.value.kind, caught.value.request_sent) == ("protocol", False)
