"""Pages are what the whole path would be, cut."""

import random
import sqlite3
from contextlib import closing

import pytest

from tests.store.made import MODEL, chat_named, finish, said, turn_in
from tui_chat.core.conversation import Turn
from tui_chat.core.message import BlobPart


def random_tree(seed):
    """A conversation whose turns go on from any answer of any earlier turn, or from none."""
    rnd = random.Random(seed)
    chat = chat_named()
    turns: list[Turn] = []
    for number in range(rnd.randint(1, 60)):
        first = not turns or rnd.random() < 0.05
        parent = None if first else turns[-1] if rnd.random() < 0.7 else rnd.choice(turns)
        models = [MODEL] * rnd.choice((1, 1, 1, 2, 3))
        turn = turn_in(chat, "q" * rnd.randint(0, 9), models, rnd.choice(parent.completions) if parent else None)
        for completion in turn.completions:
            finish(completion, "ä" * rnd.randint(0, 50))
        if rnd.random() < 0.2:
            turn.attachments = (BlobPart("a", "text/plain", bytes([number])), BlobPart("b", "text/plain", b"12"))
        turns.append(turn)
    chat.tip_id = rnd.choice(turns).id
    return chat, turns


def known(turns):
    return [(t.id, t.continues, t.prompt, t.siblings, t.attachments, [c.text for c in t.completions]) for t in turns]


def pages(store, chat, tip_id, limit):
    """All pages from the tip back, oldest first."""
    page = store.page(chat.id, tip_id, limit=limit)
    found = [page]
    while page.earlier:
        page = store.page(chat.id, before=page.turns[0], limit=limit)
        found.insert(0, page)
    return found


@pytest.mark.parametrize("seed", range(25))
def test_pages_one_after_the_other_are_the_path(store, seed):
    chat, turns = random_tree(seed)
    other, others = random_tree(seed + 1000)
    store.import_trees([(chat, turns), (other, others)])
    for tip_id in (None, turns[-1].id, random.Random(seed).choice(turns).id):
        path = store.path(chat.id, tip_id)
        for limit in (1, 2, 7, 100):
            found = pages(store, chat, tip_id, limit)
            assert known(turn for page in found for turn in page.turns) == known(path)
            assert all(len(page.turns) == limit for page in found[1:])
            assert 0 < len(found[0].turns) <= limit


@pytest.mark.parametrize("seed", range(25))
def test_siblings_are_all_turns_that_continue_the_same_answer(store, seed):
    chat, turns = random_tree(seed)
    store.import_tree(chat, turns)
    for turn in store.page(chat.id, turns[-1].id, limit=5).turns:
        assert turn.siblings == tuple(each.id for each in turns if each.continues == turn.continues)


def test_before_a_first_turn_there_is_nothing(store):
    chat = chat_named()
    turn = said(store, chat, "hi")
    page = store.page(chat.id, before=turn)
    assert (page.turns, page.earlier) == ([], False)


def test_a_conversation_that_is_not_there_has_no_pages(store):
    assert store.page("x").turns == []
    assert store.page("x", "\ud800").turns == []


def test_a_page_that_holds_the_whole_path_says_so(store):
    chat = chat_named()
    first = said(store, chat, "one")
    said(store, chat, "two", continues=first.completions[0])
    assert not store.page(chat.id, limit=2).earlier
    assert store.page(chat.id, limit=1).earlier


def test_a_path_whose_beginning_is_missing_has_nothing_earlier(store):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    turn.continues = "nobody"
    store.import_tree(chat, [turn])
    page = store.page(chat.id, limit=1)
    assert [each.id for each in page.turns] == [turn.id]
    assert not page.earlier


def test_turns_that_go_in_a_circle_end_somewhere(store, path):
    chat = chat_named()
    first = said(store, chat, "one")
    second = said(store, chat, "two", continues=first.completions[0])
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE turns SET continues = ? WHERE id = ?", (second.completions[0].id, first.id))
        connection.commit()
    assert [turn.id for turn in store.path(chat.id)] == [first.id, second.id]
    assert [turn.id for turn in store.page(chat.id, limit=2).turns] == [first.id, second.id]


def test_a_tip_that_never_reached_the_disk_leaves_the_newest_turn(store):
    chat = chat_named()
    turn = said(store, chat, "hi")
    chat.tip_id = "lost"
    store.save_conversation(chat)
    assert [each.id for each in store.page(chat.id).turns] == [turn.id]


def test_a_page_reads_only_what_it_shows(store):
    chat = chat_named()
    turns: list[Turn] = []
    for number in range(300):
        turn = turn_in(chat, str(number), continues=turns[-1].completions[0] if turns else None)
        finish(turn.completions[0])
        turns.append(turn)
    store.import_tree(chat, turns)
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    def steps_of(read):
        nonlocal steps
        steps = 0
        read()
        return steps

    with store._database.reading() as connection:
        connection.set_progress_handler(count, 10)
    last, first = steps_of(lambda: store.page(chat.id)), steps_of(lambda: store.page(chat.id, before=turns[20]))
    assert last * 5 < steps_of(lambda: store.path(chat.id))
    assert first < last * 2


def test_an_answer_of_a_dead_program_is_ended_on_a_page_too(store, path):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    store.start_turn(chat, turn).result()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE completions SET owner = '01900000-0000-7000-8000-000000000000'")
        connection.commit()
    (found,) = store.page(chat.id).turns
    assert found.completions[0].finish_reason == "interrupted"
