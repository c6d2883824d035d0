"""Parameters as people write them."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.params import PARAMS, read_param, summary, write_param


@pytest.mark.parametrize(
    ("name", "text", "value"),
    [
        ("temperature", " 0,2 ", 0.2),
        ("temperature", "1", 1),
        ("top_p", "0.95", 0.95),
        ("max_tokens", "2_000", 2000),
        ("max_tokens", "2,000", 2000),
        ("reasoning_effort", "HIGH", "high"),
        ("stop", "END, \\n\\n", ["END", "\n\n"]),
        ("temperature", "  ", None),
    ],
)
def test_values_are_read_as_they_are_written(name, text, value):
    assert read_param(name, text) == value


@pytest.mark.parametrize(
    ("name", "text"),
    [("temperature", "hot"), ("temperature", "2.1"), ("temperature", "nan"), ("top_p", "-1"), ("top_p", "inf"),
     ("max_tokens", "0"), ("max_tokens", "1.5"), ("max_tokens", "٣"), ("reasoning_effort", "hard"), ("nonsense", "1")],
)  # fmt: skip
def test_what_cannot_be_one_is_one_line(name, text):
    with pytest.raises(ValueError, match=name):
        read_param(name, text)


@given(st.sampled_from([param.name for param in PARAMS]), st.text(max_size=20))
def test_what_was_read_is_read_again(name, text):
    try:
        value = read_param(name, text)
    except ValueError:
        return
    assert read_param(name, write_param(value)) in (value, None if value == [] else value)


def test_the_summary_is_a_few_words():
    assert summary({"temperature": 0.2, "max_tokens": 9, "seed": 1}) == "temperature 0.2, max tokens 9, seed 1"
