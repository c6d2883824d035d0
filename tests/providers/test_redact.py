"""No key leaves the room."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.providers.redact import MARK, Secrets

KEY = "qx-Zm9vYmFy+/42=="


@pytest.fixture
def secrets() -> Secrets:
    secrets = Secrets()
    secrets.add(KEY)
    return secrets


def test_a_known_key_is_taken_out_in_all_its_spellings(secrets: Secrets):
    text = f"bad {KEY}, qx-Zm9vYmFy%2B%2F42%3D%3D and qx-Zm9vYmFy%2B/42%3D%3D"
    assert secrets.clean(text) == f"bad {MARK}, {MARK} and {MARK}"


@pytest.mark.parametrize(
    ("text", "clean"),
    [
        ("Incorrect API key provided: sk-proj-abc_DEF123", f"Incorrect API key provided: {MARK}"),
        ("provided: sk-abcd********wxyz. Find", f"provided: {MARK}. Find"),
        ("Authorization: Bearer abc.def-123", f"Authorization: Bearer {MARK}"),
        ('{"authorization":"Bearer abcdef123"}', f'{{"authorization":"Bearer {MARK}"}}'),
        ("GET /v1/models?alt=sse&key=AIzaSyB123&x=1", f"GET /v1/models?alt=sse&key={MARK}&x=1"),
        ("x-api-key: abcdef123", f"x-api-key: {MARK}"),
        ("http://me:geheim@host/v1", f"http://{MARK}@host/v1"),
        ("gsk_abcdefghijklmnop1234", MARK),
        ("AIzaSyA1234567890abcdefghijklmnop", MARK),
    ],
)
def test_what_looks_like_a_key_is_taken_out(text: str, clean: str):
    assert Secrets().clean(text) == clean
    assert Secrets().clean(clean) == clean


@pytest.mark.parametrize(
    "text",
    [
        "the task-based approach",
        "risk-averse",
        "a key is missing",
        "basic usage",
        "hf-internal-testing/tiny",
        "xai-grok-4-fast-reasoning",
        "sk-",
        "model gpt-4.1",
        "a@b.de",
    ],
)
def test_prose_stays(text: str):
    assert Secrets().clean(text) == text


def test_placeholders_of_local_servers_are_no_secrets():
    secrets = Secrets()
    for value in ("test", "EMPTY", "ollama", None, ""):
        secrets.add(value)
    assert secrets.clean("ollama says: EMPTY test") == "ollama says: EMPTY test"


def test_the_repr_shows_no_key(secrets: Secrets):
    assert KEY not in repr(secrets)


def test_model_text_is_cleaned_by_value_only(secrets: Secrets):
    assert secrets.clean_values(f"use Bearer sk-example123, not {KEY}") == f"use Bearer sk-example123, not {MARK}"


@pytest.mark.parametrize("size", [1, 2, 3, 5, 7, 100])
def test_an_echo_in_pieces_gives_at_most_the_first_three_characters(secrets: Secrets, size: int):
    text = f"your key is {KEY}, and again {KEY}{KEY} qx-Z qx-Zm9"
    echo = secrets.echo()
    got = "".join(echo.feed(text[i : i + size]) for i in range(0, len(text), size)) + echo.rest()
    assert KEY[:5] not in got.removesuffix("qx-Zm9")
    assert got.count(MARK) == 3
    assert got.endswith(" qx-Z qx-Zm9")


@given(st.lists(st.text("qx-Zm9v y", max_size=6), max_size=30))
def test_text_without_the_key_passes_unchanged(pieces: list[str]):
    secrets = Secrets()
    secrets.add(KEY)
    echo = secrets.echo()
    assert "".join(echo.feed(piece) for piece in pieces) + echo.rest() == "".join(pieces)
