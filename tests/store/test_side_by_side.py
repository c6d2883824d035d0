"""Turns of one batch, hidden columns, blind turns: what a comparison leaves in the history."""

import random
import sqlite3
from contextlib import closing

import pytest

from tests.store.made import MODEL, NOON, answer, chat_named, finish, opened, said, turn_in
from tests.store.test_paging import random_tree
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import StorageError
from tui_chat.core.ids import new_id
from tui_chat.core.model import Model
from tui_chat.store import database
from tui_chat.store.migrations import MIGRATIONS, migrate

OTHERS = (MODEL, Model("work", "b", "openai"), Model("far", "c", "openai"))


def compared(store, chat, prompt="compare"):
    """One prompt to several models, all of them answered."""
    turn = turn_in(chat, prompt, OTHERS)
    store.start_turn(chat, turn)
    for completion in turn.completions:
        finish(completion)
        store.save_completion(chat.id, completion)
    return turn


def batch_after(chat, turn, prompt="go on"):
    """The same prompt behind every answer of a turn."""
    batch = new_id()
    turns = []
    for before in turn.completions:
        turns.append(turn_in(chat, prompt, (before.model,), before))
        turns[-1].batch_id = batch
    return turns


def ids(turns):
    return [turn.id for turn in turns]


def test_turns_of_one_prompt_come_back_with_their_mates(store):
    chat = chat_named()
    first = compared(store, chat)
    batch = batch_after(chat, first)
    store.start_turns(chat, batch).result()
    for tip in batch:
        found = store.page(chat.id, tip.id).turns
        assert ids(found) == [first.id, tip.id]
        assert found[0].mates == ()
        last = found[-1]
        assert ids(last.mates) == ids(batch), "in the order in which they were asked"
        assert any(mate is last for mate in last.mates)
        assert all(mate.mates is last.mates for mate in last.mates)
        assert [mate.completions[0].model.name for mate in last.mates] == [model.name for model in OTHERS]


def test_a_whole_tree_has_each_turn_once(store):
    chat = chat_named()
    first = compared(store, chat)
    second = batch_after(chat, first)
    store.start_turns(chat, second)
    third = [turn_in(chat, "and on", (MODEL,), turn.completions[0]) for turn in second]
    for turn in third:
        turn.batch_id = "third"
    store.start_turns(chat, third).result()
    tree = store.tree(chat.id)
    assert ids(tree) == ids([first, *second, *third])
    for turn in tree:
        assert all(mate in tree for mate in turn.mates)
    assert [ids(turn.mates) for turn in tree[1:]] == [ids(second)] * 3 + [ids(third)] * 3


def test_mates_are_no_branches_of_one_another_but_an_edited_batch_is(store):
    chat = chat_named()
    first = compared(store, chat)
    batch, edited = batch_after(chat, first), batch_after(chat, first, "go on, but better")
    store.start_turns(chat, batch)
    store.start_turns(chat, edited).result()
    for one, other in zip(batch, edited, strict=True):
        for tip in (one, other):
            assert store.page(chat.id, tip.id).turns[-1].siblings == (one.id, other.id)


def test_turns_of_a_batch_behind_the_same_answer_count_as_one_branch(store):
    chat = chat_named()
    first = said(store, chat, "hi")
    before = first.completions[0]
    alone = turn_in(chat, "alone", continues=before)
    twins = [turn_in(chat, "twin", continues=before) for _ in range(2)]
    for turn in twins:
        turn.batch_id = "b"
    store.start_turns(chat, [alone, *twins]).result()
    siblings = {turn.id: turn.siblings for turn in store.tree(chat.id)}
    assert siblings[alone.id] == siblings[twins[0].id] == (alone.id, twins[0].id)
    assert siblings[twins[1].id] == (alone.id, twins[1].id)


@pytest.mark.parametrize("seed", range(15))
def test_mates_of_any_tree_are_those_of_its_batch(store, seed):
    chat, turns = random_tree(seed)
    other, others = random_tree(seed + 1000)
    rnd = random.Random(seed)
    for turn in (*turns, *others):
        turn.batch_id = rnd.choice((None, None, "a", "b", "c", turn.id))
    store.import_trees([(chat, turns), (other, others)])
    for found in (store.tree(chat.id), store.path(chat.id), store.page(chat.id, limit=3).turns):
        for turn in found:
            expected = [each.id for each in turns if each.batch_id == turn.batch_id and turn.batch_id is not None]
            assert ids(turn.mates) == (expected if len(expected) > 1 else [])
            assert turn.id in turn.siblings
        once = {turn.id: turn for each in found for turn in each.mates}
        assert all(once.get(turn.id, turn) is turn for turn in found)


def test_mates_bring_their_files_and_what_still_runs(store):
    chat = chat_named()
    batch = batch_after(chat, compared(store, chat))
    store.start_turns(chat, batch)
    finish(batch[0].completions[0], "ended")
    store.save_completion(chat.id, batch[0].completions[0])
    store.save_partial(batch[2].completions[0], "half of", "")
    mates = store.page(chat.id, batch[0].id).turns[-1].mates
    assert [mate.completions[0].text for mate in mates] == ["ended", "", "half of"]


def test_a_mate_of_a_dead_program_is_ended_too(store, path):
    chat = chat_named()
    batch = batch_after(chat, compared(store, chat))
    store.start_turns(chat, batch).result()
    with closing(sqlite3.connect(path)) as connection:
        dead = "01900000-0000-7000-8000-000000000000"
        connection.execute("UPDATE completions SET owner = ? WHERE turn_id = ?", (dead, batch[2].id))
        connection.commit()
    mates = store.page(chat.id, batch[0].id, limit=1).turns[-1].mates
    assert mates[2].completions[0].finish_reason == "interrupted"


def test_a_batch_is_written_whole_or_not_at_all(store):
    chat = chat_named()
    batch = batch_after(chat, compared(store, chat))
    batch[2].continues = "deleted"
    with pytest.raises(StorageError, match="deleted"):
        store.start_turns(chat, batch).result()
    assert len(store.tree(chat.id)) == 1


def test_a_page_of_a_long_conversation_costs_no_more_for_its_batches(store):
    chat = chat_named()
    turns: list[Turn] = []
    for number in range(400):
        turn = turn_in(chat, str(number), continues=turns[-1].completions[0] if turns else None)
        turn.batch_id = f"b{number // 2}"  # two and two
        finish(turn.completions[0])
        turns.append(turn)
    store.import_tree(chat, turns)
    steps = 0

    def count():
        nonlocal steps
        steps += 1

    with store._database.reading() as connection:
        connection.set_progress_handler(count, 10)
    assert len(store.page(chat.id).turns) == 20
    page, steps = steps, 0
    store.path(chat.id)
    assert page * 5 < steps


# columns and names


def test_hidden_columns_and_blind_turns_are_kept(store, path):
    chat = chat_named()
    turn = turn_in(chat, "hi", OTHERS)
    turn.blind = True
    turn.completions[1].hidden = True
    store.start_turn(chat, turn).result()
    (found,) = store.path(chat.id)
    assert (found.blind, [each.hidden for each in found.completions]) == (True, [False, True, False])
    turn.blind = False
    for completion in turn.completions:
        completion.hidden = not completion.hidden
    store.save_blind(turn)
    store.save_hidden(turn.completions)
    store.close()
    again = opened(path)
    (found,) = again.path(chat.id)
    again.close()
    assert (found.blind, [each.hidden for each in found.completions]) == (False, [True, False, True])


def test_a_hidden_column_stays_hidden_when_its_answer_ends(store):
    chat = chat_named()
    turn = turn_in(chat, "hi", OTHERS)
    store.start_turn(chat, turn)
    turn.completions[0].hidden = True
    store.save_hidden(turn.completions[:1])
    finish(turn.completions[0])
    store.save_completion(chat.id, turn.completions[0]).result()
    assert [each.hidden for each in store.path(chat.id)[0].completions] == [True, False, False]


# histories of version 3


def old_history(path):
    """A database of version 3, with a batch that an import brought."""
    path.parent.mkdir(parents=True)
    path.touch()
    with closing(database.connect(path, "mode=rw")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, path, MIGRATIONS[:3])
        at = NOON.isoformat(timespec="microseconds")
        connection.execute(
            "INSERT INTO conversations (id, title, created_at, updated_at, recency) VALUES ('x', 'old', ?, ?, 1)",
            (at, at),
        )
        for turn, before, batch in (("t1", None, None), ("t2", "t1-0", "b"), ("t3", "t1-1", "b")):
            connection.execute(
                "INSERT INTO turns (id, conversation_id, continues, prompt, batch_id, created_at) "
                "VALUES (?, 'x', ?, 'hi', ?, ?)",
                (turn, before, batch, at),
            )
            connection.executemany(
                "INSERT INTO completions (id, turn_id, seq, provider, model, kind, finish_reason, text, created_at) "
                "VALUES (?, ?, ?, 'work', ?, 'openai', 'stop', 'Hello.', ?)",
                [(f"{turn}-{seq}", turn, seq, f"m{seq}", at) for seq in range(2)],
            )


def test_a_history_of_version_3_is_brought_up_to_date(path):
    old_history(path)
    history = opened(path)
    found = history.tree("x")
    assert [(turn.blind, ids(turn.mates)) for turn in found] == [
        (False, []), (False, ["t2", "t3"]), (False, ["t2", "t3"]),
    ]  # fmt: skip
    assert not any(each.hidden for turn in found for each in turn.completions)
    history.save_vote(found[0], found[0].completions[1])
    assert [vote.winner for vote in history.votes()] == ["work/m1"]
    assert history.close()
    assert path.with_name("chats.before-v4.db").exists()


def test_a_history_of_version_3_that_cannot_be_brought_up_to_date_now_is_read_all_the_same(path):
    old_history(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        history = opened(path)
        assert history.trouble is not None
        assert [ids(turn.mates) for turn in history.page("x", "t2").turns] == [[], ["t2", "t3"]]
        assert history.votes() == []
        other.rollback()
    assert history.close()


# votes


def test_a_vote_names_the_models_and_the_best_of_them(store, clock):
    chat = chat_named()
    turn = compared(store, chat)
    store.save_vote(turn, turn.completions[2]).result()
    (vote,) = store.votes()
    assert (vote.turn_id, vote.at, vote.models) == (turn.id, clock.now(), tuple(model.name for model in OTHERS))
    assert vote.winner == "far/c"


def test_the_last_vote_on_a_turn_counts(store):
    chat = chat_named()
    turn, later = compared(store, chat), compared(store, chat)
    store.save_vote(turn, turn.completions[0])
    store.save_vote(later, later.completions[1])
    store.save_vote(turn, None)
    assert [(vote.turn_id, vote.winner) for vote in store.votes()] == [(later.id, "work/b"), (turn.id, None)]


def test_a_vote_on_a_batch_is_one_vote_among_all_its_turns(store):
    chat = chat_named()
    batch = batch_after(chat, compared(store, chat))
    store.start_turns(chat, batch)
    for turn in batch:
        finish(turn.completions[0])
        store.save_completion(chat.id, turn.completions[0])
    for tip in batch:
        found = store.page(chat.id, tip.id).turns[-1]
        store.save_vote(found, found.completions[0])
    (vote,) = store.votes()
    assert (vote.models, vote.winner) == (tuple(model.name for model in OTHERS), "far/c")


def test_a_model_that_was_asked_twice_takes_part_once_and_one_without_a_word_does_not(store):
    chat = chat_named()
    turn = compared(store, chat)
    again = answer(turn.id)
    turn.completions.append(again)
    store.start_completion(chat, again)
    finish(again, "Better.")
    failed = answer(turn.id, Model("work", "silent", "openai"))
    turn.completions.append(failed)
    finish(failed, "", "error", None)
    store.save_vote(turn, again)
    (vote,) = store.votes()
    assert (vote.models, vote.winner) == (tuple(model.name for model in OTHERS), MODEL.name)


def test_votes_outlive_their_chats(store, path):
    chat = chat_named()
    turn = compared(store, chat, "a prompt that must go")
    store.save_vote(turn, turn.completions[0])
    before = store.votes()
    store.delete_conversation(chat.id).result()
    assert store.votes() == before
    with closing(sqlite3.connect(path)) as connection:
        queries = ("SELECT * FROM votes", "SELECT * FROM vote_models")
        texts = [str(row) for query in queries for row in connection.execute(query)]
        assert len(texts) == 4
    assert not any("prompt" in each or "Hello" in each for each in texts)
