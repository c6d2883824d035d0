"""tiktoken itself is the judge here: every count must be what its own encoding gives for the same text."""

import hashlib
import subprocess
import sys
import tarfile
import threading
from itertools import pairwise
from pathlib import Path

import pytest
import tiktoken
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tui_chat.tokens import TiktokenCounter
from tui_chat.vocabularies import FOLDER, pack, ranks, unpack
from tui_chat.vocabularies.vocabulary import LONG, SPLITS

ENCODINGS = ("o200k_base", "cl100k_base")
BY_ENCODING = pytest.mark.parametrize("encoding", ENCODINGS)

# Where pieces open, close, join and are cut again
CORNERS = [
    *"aBzÉéßſあいʰǅ\u0301\u0903'’ \t\n\r\u00a0\u2028\u3000/=.-_#<|>0123９½😀👩\u200d\ufe0f\ufffd\U0001f1e9",
    *("'s", "'S", "'ſ", "'t", "'re", "'ve", "'m", "'ll", "'LL", "'d", "'l", "'v", "\r\n", "\n\n", " \n", "  ", "    "),
    *("AあBBB", "あB", "Bあ", "Hello", " world", "don't", "的一是不", "()", "==", "//", "<|endoftext|>", "\t\t"),
]
RUNS = [
    *"aBzあé\u0301 \t\n\r/=-.😀的7'",
    "ab",
    " \n",
    "\n ",
    "あB",
    "Bあ",
    "あa",
    "=\n",
    "\n/",
    "a\u0301",
    "'s",
    "\r\n",
    "👩\u200d",
]

assigned = st.characters(exclude_categories=["Cs", "Cn"])  # younger code points: regex and tiktoken may differ
corner = st.sampled_from(CORNERS)
mixed = st.lists(st.one_of(corner, corner, assigned), max_size=40)
runs = st.lists(
    st.one_of(corner, st.builds(lambda unit, times: unit * times, st.sampled_from(RUNS), st.integers(30, 250))),
    max_size=7,
)
cuts = st.lists(st.integers(1, 60), min_size=1, max_size=12)


@pytest.fixture(scope="module")
def counter():
    counter = TiktokenCounter()
    for encoding in ENCODINGS:
        counter.load(encoding)
    return counter


@pytest.fixture(scope="module")
def judge():
    judges = {
        name: tiktoken.Encoding(
            name, pat_str=pack.definition(name).pattern, mergeable_ranks=ranks(name), special_tokens={}
        )
        for name in ENCODINGS
    }
    return lambda text, encoding: len(judges[encoding].encode(text, disallowed_special=()))


def in_deltas(text, sizes):
    """The text in pieces of these sizes, over and over."""
    ends = [0]
    while ends[-1] < len(text):
        ends.append(ends[-1] + sizes[len(ends) % len(sizes)])
    return [text[start:end] for start, end in pairwise(ends)]


def assert_every_delta_is_exact(counter, judge, encoding, deltas):
    stream = counter.stream(encoding)
    text = ""
    for delta in deltas:
        text += delta
        assert stream.feed(delta) == stream.tokens == judge(text, encoding), (text, delta)
    assert counter.count(text, encoding) == judge(text, encoding)


@BY_ENCODING
@settings(max_examples=500, deadline=None, suppress_health_check=list(HealthCheck))
@given(deltas=mixed)
def test_every_delta_of_any_text_is_counted_as_tiktoken_counts_it(counter, judge, encoding, deltas):
    assert_every_delta_is_exact(counter, judge, encoding, deltas)


@BY_ENCODING
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(parts=runs, sizes=cuts)
def test_every_delta_of_long_runs_is_counted_as_tiktoken_counts_it(counter, judge, encoding, parts, sizes):
    assert_every_delta_is_exact(counter, judge, encoding, in_deltas("".join(parts), sizes))


@BY_ENCODING
@settings(max_examples=100, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    run=st.sampled_from(RUNS),
    following=st.lists(st.one_of(st.sampled_from(RUNS), corner), max_size=25),
    before=st.sampled_from(["", " ", "'", "=", "x", "あ", "\n", "1"]),
)
def test_a_long_piece_goes_on_in_any_way(counter, judge, encoding, run, following, before):
    assert_every_delta_is_exact(counter, judge, encoding, [before + run * (LONG // len(run.encode()) + 2), *following])


@BY_ENCODING
@settings(max_examples=150, deadline=None, suppress_health_check=list(HealthCheck))
@given(deltas=st.lists(st.sampled_from(["\ud83d", "\ude00", "\udfff", "\ud800", "😀", "a", " ", "", "\n", "あ", "="])))
def test_halves_of_surrogate_pairs_may_arrive_apart_or_alone(counter, judge, encoding, deltas):
    assert_every_delta_is_exact(counter, judge, encoding, deltas)


@BY_ENCODING
@pytest.mark.parametrize("run", ["=", "a", " ", "\n", "あ", "B", "😀"])
@pytest.mark.parametrize(
    "end", [["\ud83d", "\ude00", "="], ["\ud83d", "\ud83d", "\ude00"], ["\ud83d", "a"], ["=", "\ud83d", "", "\udfff"]]
)
def test_halves_of_surrogate_pairs_may_follow_a_piece_that_is_about_to_be_long(counter, judge, encoding, run, end):
    for size in range(LONG - 8, LONG + 8):
        assert_every_delta_is_exact(counter, judge, encoding, [run * (size // len(run.encode())), *end, *end])


@BY_ENCODING
@pytest.mark.parametrize(
    "unit", [" ", "a", "A", "😀", "\n", " \n", "あB", "=", "7", "的一是不", "\u0301", "a'", "👩\u200d👧"]
)
def test_a_hostile_run_is_counted_whole_and_as_it_grows(counter, judge, encoding, unit):
    text = unit * (20_000 // len(unit)) + "x"
    stream = counter.stream(encoding)
    deltas = in_deltas(text, [7, 1, 30, 2])
    for i, delta in enumerate(deltas):
        stream.feed(delta)
        if i % 400 == 0:
            assert stream.tokens == judge("".join(deltas[: i + 1]), encoding)
    assert stream.tokens == counter.count(text, encoding) == judge(text, encoding)


@pytest.mark.parametrize(("unit", "expected"), [(" ", 7813), ("a", 125_000), ("😀", 1_000_000)])
def test_a_megabyte_of_one_character_neither_fails_nor_hangs(counter, unit, expected):
    assert counter.count(unit * 1_000_000) == expected


@BY_ENCODING
def test_special_tokens_are_only_text(counter, judge, encoding):
    text = "a<|endoftext|>b<|im_start|>"
    assert counter.count(text, encoding) == judge(text, encoding) > 8
    assert_every_delta_is_exact(counter, judge, encoding, list(text))


@BY_ENCODING
def test_the_split_is_tiktokens_own(encoding):
    assert SPLITS[encoding] == pack.definition(encoding).pattern


@BY_ENCODING
def test_the_packed_vocabulary_rebuilds_to_the_hash_tiktoken_expects(encoding):
    packed = (FOLDER / f"{encoding}.bin.gz").read_bytes()
    assert hashlib.sha256(pack.original(packed)).hexdigest() == pack.definition(encoding).sha256
    assert packed[4:8] == bytes(4), "no time stamp, so that it can be made again"


def test_the_packed_vocabularies_can_be_made_again_from_an_archive(tmp_path, monkeypatch, capsys):
    archive = tmp_path / "package.tgz"
    with tarfile.open(archive, "w") as package:
        for name in ENCODINGS:
            source = tmp_path / f"any name {name}"
            source.write_bytes(pack.original((FOLDER / f"{name}.bin.gz").read_bytes()))
            package.add(source)
    monkeypatch.setattr(pack, "FOLDER", tmp_path)
    assert pack.main([str(archive)]) == 0
    for name in ENCODINGS:
        assert unpack((tmp_path / f"{name}.bin.gz").read_bytes()) == ranks(name)
    assert pack.main([str(Path(__file__))]) == 1
    assert "none of the sources" in capsys.readouterr().err


def test_until_loaded_a_count_is_an_estimate_and_says_so():
    counter = TiktokenCounter()
    stream = counter.stream()
    assert not counter.loaded
    assert counter.count("") == stream.tokens == 0
    assert counter.count("Hello") == stream.feed("Hello") == 2
    assert counter.count("あ" * 300) == 225
    assert stream.feed("\ud83d") == 2
    assert not stream.exact


def test_a_stream_becomes_exact_at_the_first_feed_after_loading(judge):
    counter = TiktokenCounter()
    stream = counter.stream()
    stream.feed("The quick brown fox, extraordinarily")
    stream.feed(" uncharacteristic \ud83d")
    counter.load()
    assert counter.loaded
    assert not stream.exact, "not behind the reader's back"
    assert stream.feed("") == judge("The quick brown fox, extraordinarily uncharacteristic \ud83d", "o200k_base")
    assert stream.exact
    assert stream.feed("\ude00!") == judge("The quick brown fox, extraordinarily uncharacteristic 😀!", "o200k_base")


def test_another_encoding_is_loaded_when_first_asked_for(judge):
    counter = TiktokenCounter()
    early = counter.stream("cl100k_base")
    early.feed("uncharacteristically ")
    loaders = [thread for thread in threading.enumerate() if thread.name == "load cl100k_base"]
    assert not loaders, "nothing loads before the program says it is idle"
    counter.load()
    assert early.feed("long") == 7, "still an estimate"
    loader = next(thread for thread in threading.enumerate() if thread.name == "load cl100k_base")
    loader.join()
    assert counter.count("uncharacteristically long", "cl100k_base") == early.feed("")
    assert early.exact
    assert early.tokens == judge("uncharacteristically long", "cl100k_base")


def test_loading_from_several_threads_happens_once(monkeypatch):
    made: list[str] = []
    monkeypatch.setattr("tui_chat.tokens.Vocabulary", made.append)
    counter = TiktokenCounter()
    threads = [threading.Thread(target=counter.load) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert made == ["o200k_base"]


def test_a_long_text_is_counted_once(counter, monkeypatch):
    text = "An answer of more than two hundred characters. " * 10
    first = counter.count(text)
    monkeypatch.setattr("tui_chat.vocabularies.vocabulary.Vocabulary.count", lambda *_: pytest.fail("counted again"))
    assert counter.count("".join(text)) == first


def test_an_unknown_encoding_is_refused():
    counter = TiktokenCounter()
    for ask in (counter.load, counter.stream, lambda name: counter.count("", name)):
        with pytest.raises(ValueError, match="p50k_base"):
            ask("p50k_base")


@pytest.mark.parametrize(
    ("model", "encoding"),
    [
        ("gpt-4-0613", "cl100k_base"),
        ("gpt-3.5-turbo", "cl100k_base"),
        ("gpt-4.1-mini", "o200k_base"),
        ("gpt-5", "o200k_base"),
        ("gpt-oss-120b", "o200k_base"),
        ("text-davinci-003", "o200k_base"),
        ("claude-sonnet-4-5", "o200k_base"),
        ("", "o200k_base"),
    ],
)
def test_a_models_encoding_is_tiktokens_or_the_newest(model, encoding):
    assert TiktokenCounter().encoding_for(model) == encoding


def run_python(code):
    return subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout


def test_importing_loads_nothing_heavy():
    heavy = "{'tiktoken', 'regex', 'requests', '_tiktoken', 'httpx'} & set(sys.modules)"
    assert run_python(f"import sys, tui_chat.tokens; print({heavy})") == "set()\n"


def test_counting_never_touches_the_network_nor_a_vocabulary_elsewhere():
    code = """
import socket, sys
def refuse(*_, **__): raise AssertionError("network")
socket.socket = socket.create_connection = socket.getaddrinfo = refuse
from tui_chat.tokens import TiktokenCounter
counter = TiktokenCounter()
counter.load(); counter.load("cl100k_base")
assert counter.count("Hello world") == counter.stream("cl100k_base").feed("Hello world") == 2
assert counter.encoding_for("gpt-4") == "cl100k_base"
print("requests" in sys.modules, "tiktoken.load" in sys.modules)
"""
    assert run_python(code) == "False False\n"


def test_a_stream_fits_the_port(counter):
    from tui_chat.core.counter import StreamTokens, TokenCounter

    port: TokenCounter = counter
    stream: StreamTokens = port.stream()
    assert stream.exact, "from the start, once loaded"
    assert stream.tokens == 0
