"""What differs between two texts: nothing lost, nothing invented, and never long in coming."""

import random
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.difference import code_blocks, difference, shared_code, shared_words, tokens_of

texts = (
    st.text()
    | st.text("ab \n.")
    | st.lists(st.sampled_from(["the ", "cat", "\n", ", ", "日本", "sat ", "e\u0301"])).map("".join)
)


def sides(runs):
    left = "".join(run.text for run in runs if run.where != "right")
    right = "".join(run.text for run in runs if run.where != "left")
    return left, right


def shown(left, right):
    marks = {"same": "{}", "left": "[-{}-]", "right": "{{+{}+}}"}
    return "".join(marks[run.where].format(run.text) for run in difference(left, right))


@given(texts, texts)
def test_the_runs_of_each_side_joined_are_its_text(left, right):
    assert sides(difference(left, right)) == (left, right)


@given(texts)
def test_a_text_does_not_differ_from_itself(text):
    assert [run.text for run in difference(text, text)] == ([text] if text else [])


@given(texts, texts)
def test_runs_are_as_long_as_they_can_be_and_the_left_comes_first(left, right):
    found = [run.where for run in difference(left, right)]
    pairs = set(pairwise(found))
    assert not pairs & {("same", "same"), ("left", "left"), ("right", "right"), ("right", "left")}


@given(st.text())
def test_tokens_joined_are_the_text(text):
    assert "".join(tokens_of(text)) == text


def test_tokens_are_words_spaces_and_punctuation_and_characters_where_words_have_no_spaces():
    assert tokens_of("It's 日本語 e\u0301té 👍🏽.\n") == [
        "It", "'", "s", " ", "日", "本", "語", " ", "e\u0301té", " ", "👍🏽", ".", "\n",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("left", "right", "text"),
    [
        ("the cat sat", "the dog sat", "the [-cat-]{+dog+} sat"),
        ("one two three", "one three", "one [-two -]three"),
        ("機械は学ぶ", "機械が学ぶ", "機械[-は-]{+が+}学ぶ"),
        ("a\nb\nc\n", "a\nx\nc\n", "a\n[-b-]{+x+}\nc\n"),
        ("", "new", "{+new+}"),
    ],
)
def test_words_that_differ_stand_beside_one_another(left, right, text):
    assert shown(left, right) == text


def test_a_short_word_between_long_changes_is_no_agreement():
    left = "an ordinary HTTP request of the browser's own making"
    right = "some instalments over one of those lasting connections"
    assert shown(left, right) == f"[-{left}-]{{+{right}+}}"


def test_the_share_of_words_counts_words_only():
    assert shared_words(difference("a b, c d", "a b; c d")) == 1
    assert shared_words(difference("one two", "three four")) == 0
    assert shared_words(difference("", "...")) == 1


# long texts: a difference is asked for with a key, and the key has to answer


def prose(seed, count, words=4_000):
    chance = random.Random(seed)
    common = ["the", "of", "and", "to", "in", "a", "is", "that"]
    return " ".join(
        chance.choice(common) if chance.random() < 0.4 else f"w{int(chance.paretovariate(0.6)) % words}"
        for _ in range(count)
    )


LONG = {
    "prose in one line": (prose(1, 20_000), prose(2, 20_000)),
    "prose in lines": (prose(1, 20_000).replace("w7 ", "\n\n"), prose(2, 20_000).replace("w7 ", "\n\n")),
    "one word changed in each line": (
        "\n".join(f"line {n} of many words that stay as they are {n * 7}" for n in range(2_000)),
        "\n".join(f"line {n} of many words that stay as they are {n * 11}" for n in range(2_000)),
    ),
    "one word again and again": ("no " * 20_000, "no yes " * 10_000),
    "two words in another order": ("yes no " * 10_000, "no no yes " * 6_700),
    "lines again and again": ("| 1 | 0 |\n| 0 | 1 |\n" * 2_000, "| 0 | 0 |\n| 1 | 1 |\n" * 2_000),
    "blanks": (" \n" * 20_000, "  \n" * 20_000),
    "no space at all": ("".join(map(chr, range(0x4E00, 0x8E00))), "".join(map(chr, range(0x5000, 0x9000)))),
}  # fmt: skip


@pytest.mark.parametrize("name", LONG)
def test_long_texts_are_compared_in_well_under_a_second(name):
    left, right = LONG[name]
    began = perf_counter()
    runs = difference(left, right)
    took_s = perf_counter() - began
    assert sides(runs) == (left, right)
    assert took_s < 2  # a tenth of it on a free machine


# code


def test_shared_lines_of_code_are_found_whatever_their_indentation():
    left = "Text\n```python\ndef f():\n    return 1\n\n}\n```\nreturn 1\n"
    right = "~~~\nclass A:\n  def f():\n        return 1  \n    pass\n}\n"
    found = shared_code(left, right)
    assert found.lines == ("def f():", "return 1")
    assert [[line.shared for line in block] for block in found.left] == [[True, True, False, False]]
    assert [line.text for line in found.right[0] if line.shared] == ["  def f():", "        return 1  "]


def test_a_fence_ends_where_one_of_its_kind_and_length_stands_alone():
    text = "````md\n```\ninside\n```\n````\n\n1. ```sh\n   ls\n   ```\n`` ` ``\n``` not `one`\n~~~\r\nopen\r\n"
    assert code_blocks(text) == [["```", "inside", "```"], ["   ls"], ["open", ""]]
    assert code_blocks("no code") == []
