"""The list of conversations, read once and followed by changes."""

import random
import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import timedelta

import pytest

from tests.store.made import NOON, chat_named, opened, said, turn_in
from tui_chat.core.conversation import Listing
from tui_chat.store import database
from tui_chat.store.migrations import MIGRATIONS, migrate

ODD = "half a pair \ud83d"


def put(store, title, seconds=0):
    chat = chat_named(title, NOON + timedelta(seconds=seconds))
    store.start_turn(chat, turn_in(chat, "hi", ())).result()
    return chat


def rows(listing):
    return [(row.id, row.title, row.updated_at, row.pinned) for row in listing]


def titles(listing):
    return [row.title for row in listing]


def test_a_listing_reads_like_a_list_of_rows(store):
    put(store, "a", 1)
    put(store, "b", 2)
    listing = store.conversations()
    assert len(listing) == 2
    assert listing[0].title == "b"
    assert listing[-1].title == "a"
    assert listing[-1].updated_at == NOON + timedelta(seconds=1)
    assert [row.title for row in listing[:5]] == ["b", "a"]


def test_pinned_ones_say_so_at_every_index(store):
    chat = put(store, "old", 1)
    put(store, "new", 2)
    chat.pinned = True
    store.save_conversation(chat)
    assert [row.pinned for row in store.conversations()] == [True, False]
    assert [store.conversations()[at].pinned for at in (-2, -1)] == [True, False]
    assert store.conversations(1).pinned == 1


def test_text_that_utf_8_cannot_hold_is_listed_and_followed(store):
    put(store, "plain")
    listing = store.conversations()
    put(store, ODD, 1)
    listing.apply(store.conversations_since(listing.version))
    assert titles(listing) == [ODD, "plain"]
    assert titles(store.conversations()) == [ODD, "plain"]


def test_without_a_change_there_is_nothing_to_do(store):
    put(store, "a")
    listing = store.conversations()
    changes = store.conversations_since(listing.version)
    assert (changes.changed, changes.placed, changes.version) == (frozenset(), (), listing.version)


def test_a_list_that_was_never_read_must_be_read(store):
    put(store, "a")
    assert store.conversations_since(Listing().version) is None


def test_drafts_and_partial_answers_change_nothing_in_the_list(store):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    store.start_turn(chat, turn)
    version = store.conversations().version
    store.save_draft(chat.id, "half typed")
    store.save_partial(turn.completions[0], "text", "")
    store.save_chosen(turn)
    store.save_conversation(chat)
    assert store.conversations_since(version).version == version


@pytest.mark.parametrize("seed", range(15))
def test_a_list_that_follows_is_the_list_that_is_read_anew(store, seed):
    rnd = random.Random(seed)
    chats = [put(store, str(number), number) for number in range(8)]
    listing, beginning = store.conversations(), store.conversations(3)
    for number in range(40):
        chat = rnd.choice(chats) if chats else None
        match rnd.choice(("new", "new", "send", "title", "pin", "archive", "delete")):
            case "new":
                chats.append(put(store, f"new {number}", rnd.randint(0, 100)))
            case _ if chat is None:
                continue
            case "send":
                chat.updated_at = NOON + timedelta(seconds=rnd.randint(0, 100))
                store.start_turn(chat, turn_in(chat, "more", ()))
            case "title":
                chat.title = f"renamed {number}"
                store.save_conversation(chat)
            case "pin":
                chat.pinned = not chat.pinned
                store.save_conversation(chat)
            case "archive":
                chat.archived = not chat.archived
                store.save_conversation(chat)
            case "delete":
                chats.remove(chat)
                store.delete_conversation(chat.id)
        if rnd.random() < 0.5:
            for each in (listing, beginning):
                each.apply(store.conversations_since(each.version))
            assert rows(listing) == rows(store.conversations())
            assert rows(beginning) == rows(listing)[: len(beginning)]


def test_what_another_program_wrote_is_followed_too(store, path):
    chat = put(store, "ours")
    listing = store.conversations()
    script = (
        "import sys; from pathlib import Path; from tests.store.made import *\n"
        "history = opened(Path(sys.argv[1])); history.delete_conversation(sys.argv[2]).result()\n"
        "said(history, chat_named('theirs'), 'hi'); history.close()"
    )
    subprocess.run([sys.executable, "-c", script, str(path), chat.id], check=True, timeout=30)
    changes = store.conversations_since(listing.version)
    listing.apply(changes)
    assert titles(listing) == ["theirs"]
    assert chat.id in changes.changed


def test_too_many_changes_are_a_reason_to_read_anew(store):
    put(store, "a")
    version = store.conversations().version
    store.import_trees([(chat_named(str(number)), []) for number in range(101)])
    assert store.conversations_since(version) is None


def test_only_the_last_changes_are_kept(store, path):
    chat = put(store, "0")
    version = store.conversations().version
    for number in range(1200):
        chat.title = str(number)
        store.save_conversation(chat)
    assert store.conversations()[0].title == "1199"
    assert store.conversations_since(version) is None
    with closing(sqlite3.connect(path)) as connection:
        assert connection.execute("SELECT count(*) FROM conversation_changes").fetchone() == (1000,)


def old_history(path):
    """A database of version 1, with one conversation."""
    path.parent.mkdir(parents=True)
    path.touch()
    with closing(database.connect(path, "mode=rw")) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        migrate(connection, path, MIGRATIONS[:1])
        at = NOON.isoformat(timespec="microseconds")
        connection.execute(
            "INSERT INTO conversations (id, title, created_at, updated_at, recency) VALUES ('x', 'old', ?, ?, 1)",
            (at, at),
        )


def test_a_history_of_version_1_is_brought_up_to_date_and_followed(path):
    old_history(path)
    history = opened(path)
    listing = history.conversations()
    assert titles(listing) == ["old"]
    said(history, chat_named("new"), "hi")
    changes = history.conversations_since(listing.version)
    assert changes is not None
    listing.apply(changes)
    assert titles(listing) == ["new", "old"]
    assert history.close()
    assert path.with_name("chats.before-v2.db").exists()


def test_a_history_of_version_1_that_cannot_be_brought_up_to_date_now_is_read_all_the_same(path):
    old_history(path)
    with closing(sqlite3.connect(path)) as other:
        other.execute("BEGIN IMMEDIATE")
        history = opened(path)
        assert history.trouble is not None
        listing = history.conversations()
        assert titles(listing) == ["old"]
        assert history.conversations_since(listing.version) is None
        assert history.page("x").turns == []
        other.rollback()
    assert history.close()
