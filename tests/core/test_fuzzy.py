"""Fuzzy search over names of models: what matches, which letters, in which order, how fast."""

import time
from itertools import product

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.fuzzy import Names, Word, folded, is_scattered, matched, words_of

LETTERS = st.text("abAB1-/. é", max_size=12)
NAMES = st.text("abAB1-/. éß漢İ", max_size=20)


def found(names, search):
    """The names that a search finds, the best first."""
    owns = [name.rfind("/") + 1 for name in names]
    return [names[place] for _, place in sorted(Names(names, owns).ranked(words_of(search)))]


def is_in_order(letters, name):
    rest = iter(name)
    return all(letter in rest for letter in letters)


class TestWhatMatches:
    @given(NAMES, LETTERS)
    def test_a_name_matches_exactly_when_it_holds_the_letters_of_each_word_in_order(self, name, search):
        own = name.rfind("/") + 1
        ranked = Names([name], [own]).ranked(words_of(search))
        assert bool(ranked) is all(is_in_order(word, folded(name)) for word in folded(search).split())

    @given(NAMES, LETTERS)
    def test_the_letters_shown_are_those_that_were_typed(self, name, search):
        own = name.rfind("/") + 1
        words = words_of(search)
        if not Names([name], [own]).ranked(words):
            return
        for word in words:
            places = list(word.places(folded(name), own))
            assert "".join(folded(name)[at] for at in places) == word.letters
            assert places == sorted(set(places))
        assert set(matched(name, own, words)) <= set(range(len(name)))

    @given(st.lists(NAMES, max_size=8), LETTERS)
    def test_a_search_that_grows_finds_what_it_finds_at_once(self, names, search):
        growing = Names(names, [name.rfind("/") + 1 for name in names])
        for end in range(len(search) + 1):
            words = words_of(search[:end])
            assert growing.ranked(words) == Names(names, [name.rfind("/") + 1 for name in names]).ranked(words)

    @given(st.text())
    def test_folding_keeps_every_character_in_its_place(self, name):
        assert len(folded(name)) == len(name)

    def test_nothing_typed_finds_everything_in_its_order(self):
        assert found(["b/x", "a/y"], "  ") == ["b/x", "a/y"]

    def test_every_word_must_match_in_any_order(self):
        names = ["openai/gpt-4.1-mini", "openai/gpt-4.1", "azure/phi-mini"]
        assert found(names, "mini openai") == ["openai/gpt-4.1-mini"]


class TestTheOrder:
    @pytest.mark.parametrize(
        ("search", "better", "worse"),
        [
            ("gpt-4.1", "openai/gpt-4.1", "openai/gpt-4.1-mini"),  # the whole name
            ("claude", "anthropic/claude-sonnet", "openrouter/my-claude"),  # its beginning
            ("mini", "openai/gpt-mini", "gemini/flash"),  # a word's beginning before the middle of one
            ("deep", "openrouter/deepseek-chat", "deepseek/other"),  # the model's own name before its provider
            ("open", "openai/gpt", "copen/gpt"),
            ("cs45", "anthropic/claude-sonnet-4-5", "acme/cosmos-4x5"),  # beginnings of words before scattered letters
            ("gpt4", "openai/gpt-4.1", "gpt/x4"),
            ("son", "a/claude-sonnet", "a/seven-of-nine"),  # a run before scattered letters
        ],
    )
    def test_the_better_match_comes_first(self, search, better, worse):
        assert found([worse, better], search) == [better, worse]

    def test_equals_keep_the_order_they_had(self):
        names = ["b/claude-2", "a/claude-1", "c/claude-3"]
        assert found(names, "claude") == names

    def test_one_scattered_word_puts_a_name_behind_all_others(self):
        names = ["a/g-x-p-x-t claude", "z/my-gpt-of-xclaude"]
        assert found(names, "claude gpt") == names[::-1]
        (rank, _), *_ = Names(["a/gxpxt"], [2]).ranked(words_of("gpt"))
        assert is_scattered(rank)
        (rank, _), *_ = Names(["a/gpt-4 mini"], [2]).ranked(words_of("gpt mini 4"))
        assert not is_scattered(rank)


class TestTheLetters:
    @pytest.mark.parametrize(
        ("name", "search", "underlined"),
        [
            ("deepseek/deepseek-chat", "chat", "chat"),
            ("deepseek/deepseek-chat", "deep", "deep"),
            ("anthropic/claude-sonnet-4-5", "cs45", "cs45"),
            ("openai/gpt-4.1", "gpt4", "gpt4"),
        ],
    )
    def test_those_of_the_best_match_are_meant(self, name, search, underlined):
        own = name.rfind("/") + 1
        places = matched(name, own, words_of(search))
        assert "".join(name[at] for at in places) == underlined
        assert min(places) >= own

    def test_a_name_made_to_be_slow_is_not(self):
        name = "a-" * 250 + "b"
        started = time.process_time()
        assert Word("a" * 30 + "bb").rank(name, 0) is None
        assert Word("a" * 30 + "b").rank(name, 0) is not None
        assert time.process_time() - started < 0.05

    def test_five_thousand_names_are_searched_within_a_frame(self):
        parts = [
            ("openrouter", "together", "groq", "aiwave", "fireworks"),
            ("openai", "anthropic", "google", "meta-llama", "mistralai", "qwen", "deepseek", "x-ai", "cohere", "nous"),
            ("gpt-4.1", "claude-sonnet-4-5", "gemini-2.5-flash", "llama-3.3-70b", "mistral-large", "qwen3-235b-a22b"),
            tuple(f"-{number}" for number in range(17)),
        ]
        names = [f"{a}/{b}/{c}{d}" for a, b, c, d in product(*parts)]
        assert len(names) > 5000
        search = Names(names, [name.rfind("/") + 1 for name in names])
        for letters in ("c", "cs", "cs4", "ei"):
            started = time.process_time()
            assert search.ranked(words_of(letters))
            assert time.process_time() - started < 0.1, letters  # 6 to 16 ms on a quiet machine
