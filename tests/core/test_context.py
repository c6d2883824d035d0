"""From the tree of turns to the messages that a model gets."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.core.doubles import MODEL, NOON
from tui_chat.core.completion import Completion, Log
from tui_chat.core.context import joined_text, messages_before, prompt_message, unanswered
from tui_chat.core.conversation import Turn, on_path, title_from
from tui_chat.core.message import BlobPart, TextPart


def answer(turn: Turn, text: str, *, resumes: Completion | None = None, discarded: bool = False) -> Completion:
    completion = Completion(
        f"{turn.id}.{len(turn.completions)}",
        turn.id,
        MODEL,
        NOON,
        resumes_id=resumes.id if resumes else None,
        discarded=discarded,
        text_log=Log(text),
    )
    turn.completions.append(completion)
    return completion


def turn(prompt: str, *answers: str, after: Completion | None = None) -> Turn:
    new = Turn(f"turn {prompt}", "chat", prompt, NOON, continues=after.id if after else None)
    for text in answers:
        answer(new, text)
    return new


def chain(*turns: Turn) -> list[Turn]:
    for before, after in pairwise(turns):
        after.continues = before.completions[0].id
    return list(turns)


def sent(path: list[Turn], system: str | None = None) -> list[tuple[str, str]]:
    return [(message.role, message.text) for message in messages_before(path, system)]


def test_prompts_and_answers_take_turns_below_the_system_prompt():
    path = chain(turn("1", "one"), turn("2", "two"))
    assert sent(path, "Be brief.") == [
        ("system", "Be brief."), ("user", "1"), ("assistant", "one"), ("user", "2"), ("assistant", "two")
    ]  # fmt: skip
    assert sent([], "") == []


def test_the_path_goes_through_the_answer_that_was_continued_not_the_chosen_one():
    first = turn("1", "left", "right")
    first.chosen_id = first.completions[1].id
    second = turn("2", "two", after=first.completions[0])
    assert [through.text if through else None for _, through in on_path([first, second])] == ["left", "two"]
    assert sent([first]) == [("user", "1"), ("assistant", "right")]
    assert sent([first, second])[1] == ("assistant", "left")


@pytest.mark.parametrize(
    ("answers", "chosen", "continued"),
    [
        (("first", "second"), None, 0),  # of several models the first one asked
        (("good", ""), None, 0),
        ((" \n", "good"), None, 1),
        (("", ""), None, 1),
        (("first", "second"), 1, 1),
        (("first", "second", ""), 2, 1),  # asked again in vain: the newest before it
        (("", "good", ""), 0, 1),
        (("", ""), 0, 0),
        ((), None, None),
    ],
)
def test_the_next_prompt_goes_on_from_the_chosen_answer_or_from_one_that_has_text(answers, chosen, continued):
    asked = turn("1", *answers)
    asked.chosen_id = None if chosen is None else asked.completions[chosen].id
    wanted = None if continued is None else asked.completions[continued]
    assert asked.continued is wanted
    assert asked.chosen is (wanted if chosen is None else asked.completions[chosen]), "what is in view"


def test_an_answer_asked_for_again_is_in_view_at_once_and_gone_on_from_once_it_has_text():
    asked = turn("1", "old")
    again = answer(asked, "half")
    asked.chosen_id, again.running = again.id, True
    assert [completion for _, completion in on_path([asked])] == [again]
    assert sent([asked]) == [("user", "1"), ("assistant", "old")]
    again.running = False
    assert sent([asked]) == [("user", "1"), ("assistant", "half")]


def test_a_chosen_answer_that_the_user_left_out_is_not_replaced_by_another():
    asked = turn("1", "one", "two")
    asked.chosen_id = asked.completions[1].id
    asked.completions[1].discarded = True
    assert sent([asked]) == []
    asked.chosen_id = None
    assert sent([asked]) == [("user", "1"), ("assistant", "one")]


def test_what_was_not_answered_is_counted_and_what_the_user_left_out_is_not():
    path = chain(turn("1", "one"), turn("2", ""), turn("3", "three"))
    path[2].completions[0].discarded = True
    path.append(turn("nobody answered", after=path[2].completions[0]))
    sent(path)
    assert unanswered(path) == 2


def test_an_answer_that_is_empty_or_left_out_takes_its_prompt_along():
    path = chain(turn("1", "one"), turn("2", " \n"), turn("3", "three"), turn("4", "four"))
    path[2].completions[0].discarded = True
    assert sent(path) == [("user", "1"), ("assistant", "one"), ("user", "4"), ("assistant", "four")]
    assert [t.completions[0].sent_on for t in path] == [True, False, False, True]
    assert sent([turn("5")]) == [], "nobody answered"


@given(st.lists(st.tuples(st.sampled_from(["", "text", " "]), st.booleans()), max_size=8), st.none() | st.text())
def test_roles_always_alternate(shape, system):
    path: list[Turn] = []
    for text, discarded in shape:
        path.append(turn(f"? {len(path)}"))
        answer(path[-1], text, discarded=discarded)
    roles = [message.role for message in messages_before(chain(*path), system)]
    if system:
        assert roles.pop(0) == "system"
    assert roles == ["user", "assistant"] * (len(roles) // 2)


def test_a_resumed_answer_is_joined_and_the_echo_at_the_seam_goes():
    told = turn("1")
    first = answer(told, "The quick brown fox jum")
    second = answer(told, "brown fox jumps over ", resumes=first)
    third = answer(told, "the lazy dog.", resumes=second)
    told.chosen_id = third.id
    assert joined_text(told, third) == "The quick brown fox jumps over the lazy dog."
    assert joined_text(told, first) == first.text
    assert sent([told]) == [("user", "1"), ("assistant", "The quick brown fox jumps over the lazy dog.")]


def test_the_longest_echo_is_the_echo():
    told = turn("1")
    first = answer(told, "na na na na na na")
    assert joined_text(told, answer(told, "na na na na na batman", resumes=first)) == first.text + " batman"


def test_a_short_echo_may_be_meant():
    told = turn("1")
    assert joined_text(told, answer(told, "la la", resumes=answer(told, "la la"))) == "la lala la"


def test_a_circle_of_resumes_ends():
    told = turn("1")
    first = answer(told, "a")
    first.resumes_id = answer(told, "b", resumes=first).id
    assert joined_text(told, first) == "ba"


@given(st.text(max_size=300), st.text(max_size=300), st.integers(8, 150))
def test_joining_loses_nothing_but_the_echo(before, rest, overlap):
    told = turn("1")
    first = answer(told, before)
    echo = before[-overlap:]
    joined = joined_text(told, answer(told, echo + rest, resumes=first))
    assert joined.startswith(before)
    assert (echo + rest).endswith(joined[len(before) :])


def test_files_stand_before_the_prompt_and_a_prompt_is_never_without_parts():
    picture = BlobPart("a.png", "image/png", b"")
    assert prompt_message(Turn("t", "c", "look", NOON, attachments=(picture,))).parts == (picture, TextPart("look"))
    assert prompt_message(Turn("t", "c", "", NOON, attachments=(picture,))).parts == (picture,)
    assert prompt_message(turn("")).parts == (TextPart(""),)


def test_a_title_is_the_first_line_with_words():
    assert title_from("\n \n  Why   is\tTLS slow?\nHere: …") == "Why is TLS slow?"
    assert title_from("") == title_from(" \n ") == "New chat"
    assert title_from("x" * 60) == "x" * 60


def test_a_long_title_is_cut_at_a_word():
    assert title_from("words, " * 20) == ", ".join(["words"] * 8) + "…"
    assert title_from("x" * 61) == "x" * 59 + "…"


@given(st.text(min_size=1))
def test_a_title_is_one_short_line(prompt):
    title = title_from(prompt)
    assert 0 < len(title) <= 61
    assert len(title.splitlines()) == 1
