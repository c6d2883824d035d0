"""A disk without room, a folder that is read-only, a lock that somebody else holds."""

import errno
import os
import sqlite3
import subprocess
import sys
import threading
import time
from contextlib import closing, contextmanager
from pathlib import Path

import pytest

from tests.store.made import chat_named, finish, opened, said, stream, turn_in
from tui_chat.core.errors import StorageError
from tui_chat.store import database, faults


def fill(history):
    """Let the database have no page more than it has now."""

    def limit(connection):
        pages = connection.execute("PRAGMA page_count").fetchone()[0]
        connection.execute(f"PRAGMA max_page_count = {pages}")

    history._database.write(limit).result()


def make_room(history):
    # outside of the queue: a queued write would first wait for those that need the room
    history._database._connection.execute("PRAGMA max_page_count = 1000000")


def test_a_full_disk_is_said_and_costs_nothing_that_was_there(store):
    failures: list[StorageError] = []
    store.on_failure = failures.append
    chat = chat_named()
    first = said(store, chat, "before")
    fill(store)
    with pytest.raises(StorageError, match="disk is full") as full:
        store.start_turn(chat, turn_in(chat, "x" * 100_000, continues=first.completions[0])).result()
    assert "\n" not in full.value.message
    assert [failure.message for failure in failures] == [full.value.message]
    assert store.trouble is not None
    assert store.tree(chat.id)[0].prompt == "before"


def test_what_could_not_be_written_is_written_when_there_is_room(store):
    chat = chat_named()
    first = said(store, chat, "before")
    fill(store)
    second = turn_in(chat, "during" * 10_000, continues=first.completions[0])
    (completion,) = second.completions
    failed = [store.start_turn(chat, second)]
    for _ in range(3):
        stream(completion, "part ")
        failed.append(store.save_partial(completion, "part ", ""))
    finish(completion, "end")
    failed.append(store.save_completion(chat.id, completion))
    for future in failed:
        assert isinstance(future.exception(), StorageError)
    make_room(store)
    said(store, chat, "after", continues=completion)
    assert [turn.prompt[:6] for turn in store.path(chat.id)] == ["before", "during", "after"]
    assert store.path(chat.id)[1].completions[0].text == "part part part end"
    assert store.spent_in(chat.id).answers == 3
    assert store.trouble is None


def test_closing_tries_once_more(path):
    history = opened(path)
    chat = chat_named()
    said(history, chat, "before")
    fill(history)
    with pytest.raises(StorageError):
        history.start_turn(chat, turn_in(chat, "x" * 100_000)).result()
    make_room(history)
    assert history.close()
    again = opened(path)
    assert len(again.tree(chat.id)) == 2
    again.close()


def test_an_idle_program_tries_again_by_itself(store, monkeypatch):
    monkeypatch.setattr(database, "_RETRY_S", 0.01)
    written = threading.Event()
    monkeypatch.setattr(database._log, "info", lambda *args: written.set())
    chat = chat_named()
    said(store, chat, "before")
    fill(store)
    with pytest.raises(StorageError):
        store.start_turn(chat, turn_in(chat, "x" * 100_000)).result()
    make_room(store)
    assert written.wait(5)
    assert len(store.tree(chat.id)) == 2


FULL_DISK = """
import resource, sys
from pathlib import Path
from tests.store.made import *
history = opened(Path(sys.argv[1]))
chat = chat_named()
first = said(history, chat, "before")
resource.setrlimit(resource.RLIMIT_FSIZE, (400_000, resource.RLIM_INFINITY))
second = turn_in(chat, "during", continues=first.completions[0])
second.attachments = ()
second.prompt = "during" * 200_000
print(history.start_turn(chat, second).exception())
finish(second.completions[0], "answer during")
print(history.save_completion(chat.id, second.completions[0]).exception())
print(len(history.tree(chat.id)))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
said(history, chat, "after", continues=second.completions[0])
print([turn.prompt[:6] for turn in history.path(chat.id)])
print(history.path(chat.id)[1].completions[0].text, history.close())
"""


def test_a_disk_that_really_takes_no_more(path):
    done = subprocess.run(
        [sys.executable, "-c", FULL_DISK, str(path)], capture_output=True, text=True, timeout=30, check=True
    )
    first, second, *rest = done.stdout.splitlines()
    assert "full" in first
    assert str(path) in first
    assert first == second
    assert rest == ["1", "['before', 'during', 'after']", "answer during True"]
    assert done.stderr.count("Traceback") == 0


NO_ROOM_AT_ALL = """
import resource, sys
from pathlib import Path
from tests.store.made import *
resource.setrlimit(resource.RLIMIT_FSIZE, (0, resource.RLIM_INFINITY))
history = opened(Path(sys.argv[1]))
print(history.trouble is not None, [row.title for row in history.conversations()])
chat = chat_named("new")
turn = turn_in(chat, "hi")
print(history.start_turn(chat, turn).exception() is not None)
print([turn.prompt for turn in history.tree(chat.id)], history.draft(None))
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
finish(turn.completions[0])
print(history.save_completion(chat.id, turn.completions[0]).exception(), history.trouble)
print(sorted(row.title for row in history.conversations()), history.close())
"""


@pytest.mark.parametrize("there", [True, False], ids=["with a history", "without"])
def test_starting_on_a_full_disk_reads_what_is_there_and_writes_later(path, there):
    if there:
        history = opened(path)
        said(history, chat_named("old"), "hi")
        history.close()
    titles = ["old"] if there else []
    done = subprocess.run(
        [sys.executable, "-c", NO_ROOM_AT_ALL, str(path)], capture_output=True, text=True, timeout=30, check=False
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines() == [
        f"True {titles}",
        "True",
        "[] ",
        "None None",
        f"{['new', *titles]} True",
    ]


def test_a_folder_that_cannot_be_written_can_be_read(path, monkeypatch):
    history = opened(path)
    chat = chat_named("old")
    said(history, chat, "hi")
    history.close()
    before = path.read_bytes()
    if os.geteuid() == 0:  # root may write everywhere: say no where the system would
        real = os.open

        def refuse(file, flags, *args, **kwargs):
            if flags & os.O_CREAT:
                raise PermissionError(errno.EACCES, "Permission denied", file)
            return real(file, flags, *args, **kwargs)

        monkeypatch.setattr(os, "open", refuse)
    path.parent.chmod(0o500)
    try:
        stuck = opened(path)
        assert stuck.trouble is not None
        assert "read-only" in stuck.trouble.message
        assert [row.title for row in stuck.conversations()] == ["old"]
        assert stuck.tree(chat.id)[0].completions[0].text == "Hello."
        with pytest.raises(StorageError, match="read-only"):
            stuck.save_conversation(chat).result()
        assert stuck.close()
    finally:
        path.parent.chmod(0o700)
    assert path.read_bytes() == before


def test_a_lock_of_another_program_is_said_and_waited_out(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 0.05)
    history = opened(path)
    chat = chat_named()
    said(history, chat, "hi")
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StorageError, match="locked"):
            history.save_draft(chat.id, "waits").result()
        assert history.tree(chat.id)[0].prompt == "hi"
        other.execute("ROLLBACK")
    history.save_draft(None, "next").result()
    assert history.draft(chat.id) == "waits"
    assert history.close()


@contextmanager
def locked(path):
    """Another program that holds the write lock."""
    with closing(sqlite3.connect(path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        yield
        other.execute("ROLLBACK")


def became(true):
    until = time.monotonic() + 5
    while not true() and time.monotonic() < until:
        time.sleep(0.01)
    return true()


def took_s(call):
    at = time.monotonic()
    call()
    return time.monotonic() - at


def test_a_lock_does_not_hold_up_reads(path, impatient):
    history = opened(path)
    chat = chat_named()
    first = said(history, chat, "hi")
    with locked(path):
        turn = turn_in(chat, "more", continues=first.completions[0])
        writing = history.start_turn(chat, turn)
        assert took_s(history.conversations) < 0.5
        rest = [lambda: history.path(chat.id), lambda: history.spent_in(chat.id), history.last_model]
        assert sum(took_s(read) for read in rest) < 0.1, "only the first read of many waits"
        assert [each.prompt for each in history.tree(chat.id)] == ["hi"]
    writing.result(5)
    assert [each.prompt for each in history.tree(chat.id)] == ["hi", "more"]
    assert history.close()


def test_what_was_queued_is_seen_by_the_next_read_of_a_healthy_disk(path, impatient):
    history = opened(path)
    for n in range(5):
        chat = chat_named(str(n))
        history.start_turn(chat, turn_in(chat, "hi"))
        assert history.conversations()[0].title == str(n)
    assert history.close()


def test_once_a_lock_is_known_no_write_waits_long_for_it(path, monkeypatch):
    monkeypatch.setattr(database, "BUSY_TIMEOUT_S", 1.0)
    history = opened(path)
    with locked(path):
        assert took_s(lambda: history.save_draft(None, "a").exception()) > 0.9
        assert history.trouble is not None
        assert took_s(lambda: history.start_turn(chat_named(), turn_in(chat_named(), "x")).exception()) < 0.8
    history.save_draft(None, "b").result()
    assert history.trouble is None
    assert history.close()


def test_opening_a_locked_history_is_quick_and_the_lock_is_known(path, monkeypatch):
    monkeypatch.setattr(database, "_RETRY_S", 0.05)
    opened(path).close()
    before = opened(path)
    chat = chat_named()
    said(before, chat, "hi")
    with locked(path):
        at = time.monotonic()
        history = opened(path)
        assert time.monotonic() - at < 1.5
        assert history.trouble is not None
        assert "locked" in history.trouble.message
        assert [row.title for row in history.conversations()] == [chat.title]
    assert became(lambda: history.trouble is None), "noticed without a write"
    assert history.close()
    assert before.close()


def test_closing_waits_for_a_lock_but_not_for_long(path, monkeypatch):
    monkeypatch.setattr(database, "_CLOSING_PATIENCE_S", 0.3)
    history = opened(path)
    said(history, chat_named(), "hi")
    with locked(path):
        futures = [history.save_draft(None, str(n)) for n in range(5)]
        assert took_s(history.close) < 2
        assert all(future.exception() is not None for future in futures)


def test_closing_writes_what_a_lock_held_up(path):
    history = opened(path)
    with locked(path):
        history.save_draft(None, "kept")
        closing_now = threading.Thread(target=history.close)
        closing_now.start()
        time.sleep(0.3)
    closing_now.join(5)
    again = opened(path)
    assert again.draft(None) == "kept"
    assert again.close()


def test_one_bad_write_does_not_end_the_writing(store):
    def broken(connection):
        connection.execute("INSERT INTO meta VALUES ('half', 'done')")
        raise RuntimeError("a bug")

    with pytest.raises(StorageError, match="RuntimeError"):
        store._database.write(broken).result()
    store.on_failure = lambda failure: 1 / 0
    with pytest.raises(StorageError):
        store._database.write(broken).result()
    said(store, chat_named(), "hi")
    half = "SELECT count(*) FROM meta WHERE key = 'half'"
    assert store._database.write(lambda c: c.execute(half).fetchone()).result() == (0,)


def test_a_write_cannot_be_cancelled(store):
    chat = chat_named()
    future = store.start_turn(chat, turn_in(chat, "hi"))
    assert not future.cancel()
    future.result()
    assert store.prompts() == ["hi"]


def test_failures_that_nobody_awaits_are_quiet_and_logged(store, capfd, caplog):
    chat = chat_named()
    turn = turn_in(chat, "secret prompt")
    turn.conversation_id = "somebody else's"
    store.start_turn(chat, turn)
    store.conversations()
    assert capfd.readouterr() == ("", "")
    assert "not written" in caplog.text
    assert "secret" not in caplog.text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "disk is full"),
        (OSError(errno.EROFS, "Read-only file system"), "read-only"),
        (OSError(errno.EISDIR, "Is a directory"), "Is a directory"),
    ],
)
def test_the_systems_errors_in_plain_words(error, words):
    message = faults.storage_error(error, Path("/x/chats.db")).message
    assert words in message
    assert "/x/chats.db" in message
    assert "\n" not in message


def test_a_folder_where_the_file_should_be(path):
    path.mkdir(parents=True)
    stuck = opened(path)
    assert stuck.trouble is not None
    assert str(path) in stuck.trouble.message
    with pytest.raises(StorageError, match="cannot open"):
        stuck.conversations()
    assert stuck.close()
