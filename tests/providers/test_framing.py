"""Framing: the same records, wherever the bytes are split."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.errors import ProviderError
from tui_chat.providers import framing
from tui_chat.providers.framing import NDJSONFramer, SSEFramer
from tui_chat.providers.wire import Record


def read(*pieces: bytes) -> list[Record]:
    framer = SSEFramer()
    records = [record for piece in pieces for record in framer.feed(piece)]
    return records + framer.close()


STREAM = (
    b": hello\n\n"
    b'data: {"a": "\xc3\xa9 \xf0\x9f\x99\x82 \xe2\x80\xa8 \xc2\x85"}\n\n'
    b"event: note\ndata:one\ndata: two\ndata:  three\nid: 7\nretry: 10\nnonsense\nnonsense: x\n\n"
    b"event: empty\n\n"
    b"data\n\n"
    b'error: {"message": "no"}\n\n'
    b'data: {"last": true}'
)
RECORDS = [
    Record(None, '{"a": "é 🙂 \u2028 \x85"}'),
    Record("note", "one\ntwo\n three"),
    Record(None, ""),
    Record("error", '{"message": "no"}'),
    Record(None, '{"last": true}'),
]


@pytest.mark.parametrize("ending", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("bom", [b"", b"\xef\xbb\xbf"])
def test_every_split_point_gives_the_same_records(ending: bytes, bom: bytes):
    body = bom + STREAM.replace(b"\n", ending)
    assert read(body) == RECORDS
    for at in range(len(body) + 1):
        assert read(body[:at], body[at:]) == RECORDS, at
    assert read(*(body[i : i + 1] for i in range(len(body)))) == RECORDS


def test_mixed_line_ends_in_one_stream_are_each_understood():
    assert read(b"data: a\r\n\r\ndata: b\r\rdata: c\n\ndata: d\r\n\ndata: e\n\r\n") == [
        Record(None, x) for x in "abcde"
    ]


def test_an_event_is_given_out_with_the_cr_that_ends_it():
    framer = SSEFramer()
    assert framer.feed(b"data: a\r\r") == [Record(None, "a")]
    assert framer.feed(b"\ndata: b\r\n\r") == [Record(None, "b")]
    assert framer.feed(b"\n") == []


def test_only_one_bom_is_taken_off_and_only_at_the_beginning():
    assert read(b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\n") == []
    assert read(b"data: a\n\n\xef\xbb\xbfdata: b\n\n") == [Record(None, "a")]


def test_comments_are_counted_and_give_no_record():
    framer = SSEFramer()
    assert framer.feed(b": OPENROUTER PROCESSING\n\n:\n\n:\n") == []
    assert framer.comments == 3


def test_broken_utf_8_is_replaced_never_raised():
    assert read(b'data: "\xff\xfe \xc3"\n\n') == [Record(None, '"\ufffd\ufffd \ufffd"')]


@pytest.mark.parametrize("last", [b"data: [DONE]", b"data: [DONE]\n", b'data: {"a": 1}\r'])
def test_a_last_event_without_blank_line_counts_when_it_parses(last: bytes):
    assert len(read(b"data: 1\n\n", last)) == 2


@pytest.mark.parametrize("last", [b'data: {"a": ', b"data: [DON", b"data: ", b'data: {"a": 1}\ndata: {'])
def test_a_last_event_that_was_cut_is_dropped(last: bytes):
    assert read(b"data: 1\n\n", last) == [Record(None, "1")]


@pytest.mark.parametrize("lead", [b"", b"\n\r\n ", b"\xef\xbb\xbf\n"])
def test_a_body_that_is_one_json_document_comes_out_whole(lead: bytes):
    document = b'{\n "choices": [],\n "id": "x"\n}\n'
    body = lead + document
    for at in range(len(body) + 1):
        assert read(body[:at], body[at:]) == [Record(None, document.decode())], at


def test_a_web_page_comes_out_whole():
    assert read(b"<!doctype html>\n<title>Sign in</title>") == [Record(None, "<!doctype html>\n<title>Sign in</title>")]


def test_nothing_and_blank_bytes_give_nothing():
    assert read() == read(b"") == read(b"\n\r\n  \n") == read(b"\xef\xbb") == read(b"\xef\xbb\xbf") == []
    assert read(b"\n" * (framing.MAX_HEAD * 2), b"data: 1\n\n") == [Record(None, "1")]


def test_a_line_above_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(framing, "MAX_LINE", 100)
    for pieces in ([b"data: " + b"x" * 200 + b"\n\n"], [b"data: "] + [b"x"] * 200):
        with pytest.raises(ProviderError) as caught:
            read(*pieces)
        assert caught.value.kind == "protocol"


def test_an_event_above_the_cap_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(framing, "MAX_EVENT", 1000)
    with pytest.raises(ProviderError) as caught:
        read(b"data: xxxxxxxxxxxxxxxxx\n" * 100)
    assert caught.value.kind == "protocol"
    with pytest.raises(ProviderError):
        read(b"{" + b" " * 2000)
    assert len(read(b"data: 1\n\n" * 1000)) == 1000


def test_a_huge_line_byte_by_byte_takes_linear_time():
    framer = SSEFramer()
    framer.feed(b"data: ")
    for _ in range(400_000):  # quadratic work would take minutes
        framer.feed(b"x")
    assert len(framer.feed(b"\n\n")[0].data) == 400_000


@given(
    st.lists(st.text(st.characters(exclude_characters="\r\n", exclude_categories=["Cs"]), max_size=20), min_size=1),
    st.sampled_from([b"\n", b"\r", b"\r\n"]),
    st.data(),
)
def test_any_text_survives_any_framing(texts: list[str], ending: bytes, data: st.DataObject):
    body = ending + b"".join(b"data: " + text.encode() + ending + ending for text in texts)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(body)), max_size=8)))
    pieces = [body[a:b] for a, b in zip([0, *cuts], [*cuts, len(body)], strict=True)]
    assert read(*pieces) == [Record(None, text) for text in texts]


@given(st.binary(max_size=200))
def test_no_bytes_at_all_make_it_raise(body: bytes):
    whole = read(body)
    assert read(*(body[i : i + 1] for i in range(len(body)))) == whole


def test_json_lines_at_every_split_point():
    body = '{"a": "é"}\r\n\n{"b": "\u2028"}\n{"c": 1}'.encode()
    for at in range(len(body) + 1):
        framer = NDJSONFramer()
        records = framer.feed(body[:at]) + framer.feed(body[at:]) + framer.close()
        assert [r.data for r in records] == ['{"a": "é"}', '{"b": "\u2028"}', '{"c": 1}'], at


def test_a_web_page_in_one_line_is_no_empty_answer():
    framer = NDJSONFramer()
    assert framer.feed(b"<!doctype html><title>Login</title>") == []
    assert [r.data for r in framer.close()] == ["<!doctype html><title>Login</title>"]


def test_a_cut_json_line_is_dropped():
    framer = NDJSONFramer()
    assert [r.data for r in framer.feed(b'{"a": 1}\n{"b"')] == ['{"a": 1}']
    assert framer.close() == []
