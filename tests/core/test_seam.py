"""Where the rest of a cut answer meets its beginning."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.seam import joined


@pytest.mark.parametrize(
    ("before", "after", "whole"),
    [
        ("The quick brown", " fox", "The quick brown fox"),
        ("The conn", "ection broke", "The connection broke"),
        ("The conn", "connection broke", "The connection broke"),  # the broken word, written whole
        ("The quick brown ", " fox", "The quick brown fox"),
        ("It jumps over the lazy", "over the lazy dog", "It jumps over the lazy dog"),
        ("It jumps over the lazy", "\n\nover the lazy dog", "It jumps over the lazy dog"),
        ("One, two", "… three", "One, two three"),
        ("One, two", "...three", "One, two three"),
        ("Wait …", "… no", "Wait …… no"),  # dots behind dots may be meant
        ("la la", "la la", "la lala la"),  # too short to be sure of
        ("ha", "ha", "haha"),
        ("the the", "theory", "the theory"),
        ("It jumps over", "It jumps over the dog", "It jumps over the dog"),  # all of it once more
        ("It jumps over ", " It jumps over the dog", "It jumps over the dog"),
        ("", "begin", "begin"),
        ("end", "", "end"),
    ],
)
def test_only_what_is_said_twice_goes(before, after, whole):
    assert joined(before, after) == whole


def test_a_code_block_that_is_open_is_not_opened_again():
    before = "So:\n\n```python\nfor n in range(3):\n"
    assert joined(before, "```python\n    print(n)\n```\n") == before + "    print(n)\n```\n"
    assert joined(before, "    print(n)\n```\n") == before + "    print(n)\n```\n"
    assert joined(before, "```\nDone.") == before + "```\nDone.", "the block is closed there"
    closed = "```python\npass\n```\n"
    assert joined(closed, "```sh\nls\n```\n") == closed + "```sh\nls\n```\n"


def test_a_code_block_that_is_opened_again_may_repeat_its_last_line():
    before = "```python\nfor number in range(3):\n    print(num"
    after = "```python\n    print(number)\n```"
    assert joined(before, after) == "```python\nfor number in range(3):\n    print(number)\n```"


@given(st.text(st.sampled_from("ab \n.…`")), st.text(st.sampled_from("ab \n.…`")))
def test_nothing_is_lost_but_the_beginning_of_the_rest(before, after):
    whole = joined(before, after)
    assert whole.startswith(before)
    added = whole.removeprefix(before)
    assert after.endswith((added.lstrip(), added))
