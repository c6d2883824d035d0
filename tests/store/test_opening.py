import errno
import hashlib
import os
import sqlite3
import stat
import threading
from contextlib import closing

import pytest

from tests.store.made import chat_named, opened, said, turn_in
from tui_chat.core.errors import StorageError
from tui_chat.store import database
from tui_chat.store.migrations import LATEST, MIGRATIONS, migrate, version_of


def contents(folder):
    return {file.name: hashlib.sha256(file.read_bytes()).hexdigest() for file in folder.iterdir()}


def made(path, chats=1):
    history = opened(path)
    for n in range(chats):
        said(history, chat_named(str(n)), "hi", "x" * 3000)
    history.close()


def test_folder_and_files_are_private(path):
    old = os.umask(0)
    try:
        history = opened(path)
        said(history, chat_named(), "hi")
        modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in path.parent.iterdir()}
        history.close()
    finally:
        os.umask(old)
    assert stat.S_IMODE(path.parent.stat().st_mode) == 0o700
    assert len(modes) == 4, "database, -wal, -shm and the lock"
    assert set(modes.values()) == {0o600}


def test_closing_leaves_one_file(path):
    made(path)
    assert list(contents(path.parent)) == ["chats.db"]


def test_it_writes_ahead_and_syncs_fully(store):
    connection = store._database._connection
    assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert connection.execute("PRAGMA synchronous").fetchone() == (2,)
    assert connection.execute("PRAGMA foreign_keys").fetchone() == (1,)
    assert database.BUSY_TIMEOUT_S >= 5, "waited for in steps, see test_trouble"


def test_readers_cannot_write(store):
    with pytest.raises(StorageError), store._database.reading() as connection:
        connection.execute("DELETE FROM charges")


def test_names_that_a_uri_could_misread(tmp_path):
    path = tmp_path / "a?mode=memory#b %41 ü" / "chats%20.db"
    made(path)
    assert path.exists()


def test_a_newer_version_is_refused_and_unchanged(path):
    made(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute(f"PRAGMA user_version = {LATEST + 1}")
    before = contents(path.parent)
    with pytest.raises(StorageError, match="newer tui-chat") as refused:
        opened(path)
    assert str(path) in refused.value.message
    assert contents(path.parent) == before


def test_a_newer_version_that_is_open_elsewhere_is_refused_and_unchanged(path):
    made(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        newer.execute("PRAGMA wal_autocheckpoint = 0")
        newer.execute(f"PRAGMA user_version = {LATEST + 1}")
        before = contents(path.parent)
        with pytest.raises(StorageError, match="newer tui-chat"):
            opened(path)
        after = contents(path.parent)
        assert {name: after[name] for name in ("chats.db", "chats.db-wal")} == {
            name: before[name] for name in ("chats.db", "chats.db-wal")
        }


def test_a_version_that_rises_while_we_run_stops_our_writing(store, path):
    chat = chat_named()
    said(store, chat, "hi")
    with closing(sqlite3.connect(path, isolation_level=None)) as newer:
        newer.execute(f"PRAGMA user_version = {LATEST + 1}")
    with pytest.raises(StorageError, match="newer tui-chat"):
        said(store, chat, "more")


@pytest.mark.parametrize(
    "damage",
    [
        lambda data: b"not a database at all, but somebody's letters\n" * 100,
        lambda data: b"x",
        lambda data: b"\0" * len(data),
        lambda data: data[: len(data) // 2],
        lambda data: data[:8192] + os.urandom(len(data) - 8192),
        lambda data: data[:100] + b"\xff" * 300 + data[400:],
    ],
    ids=["text", "a letter", "zeros", "cut", "scrambled", "no tables"],
)
def test_a_damaged_file_is_refused_and_unchanged(path, damage):
    made(path, 5)
    path.write_bytes(damage(path.read_bytes()))
    before = contents(path.parent)
    with pytest.raises(StorageError) as refused:
        opened(path)
    assert str(path) in refused.value.message
    assert "move it away" in refused.value.message
    assert "\n" not in refused.value.message
    assert contents(path.parent) == before


def test_a_database_of_somebody_else_is_refused_and_unchanged(tmp_path):
    path = tmp_path / "chats.db"
    with closing(sqlite3.connect(path)) as theirs:
        theirs.execute("CREATE TABLE notes (text)")
    before = contents(tmp_path)
    with pytest.raises(StorageError, match="another program"):
        opened(path)
    assert contents(tmp_path) == before


def test_an_empty_file_is_a_new_history(tmp_path):
    path = tmp_path / "chats.db"
    path.touch()
    made(path)
    assert path.stat().st_size > 0


def test_damage_found_while_reading_is_said(path, monkeypatch):
    monkeypatch.setattr(database, "_ALWAYS_CHECKED_BYTES", 0)
    made(path, 20)
    data = path.read_bytes()
    path.write_bytes(data[:4096] + b"\xaa" * (len(data) - 4096))
    with pytest.raises(StorageError, match="damaged"):
        opened(path).conversations()


def test_an_older_version_is_backed_up_and_brought_up_to_date(path):
    made(path, 3)

    def next_one(connection):
        connection.execute("ALTER TABLE turns ADD COLUMN colour TEXT")

    before = path.read_bytes()
    with closing(database.connect(path, "mode=rw")) as connection:
        migrate(connection, path, (*MIGRATIONS, next_one))
        assert version_of(connection) == LATEST + 1
        assert connection.execute("SELECT count(colour) FROM turns").fetchone() == (0,)
    copy = path.with_name(f"chats.before-v{LATEST + 1}.db")
    assert stat.S_IMODE(copy.stat().st_mode) == 0o600
    assert len(copy.read_bytes()) == len(before)
    with closing(sqlite3.connect(copy)) as old:
        assert version_of(old) == LATEST
        assert old.execute("SELECT count(*) FROM completions").fetchone() == (3,)


def test_a_migration_that_fails_changes_nothing_and_the_backup_of_a_second_try_has_its_own_name(path):
    made(path)

    def broken(connection):
        connection.execute("DELETE FROM turns")
        connection.execute("nonsense")

    with closing(database.connect(path, "mode=rw")) as connection:
        for _ in range(2):
            with pytest.raises(sqlite3.OperationalError):
                migrate(connection, path, (*MIGRATIONS, broken))
        assert version_of(connection) == LATEST
        assert connection.execute("SELECT count(*) FROM turns").fetchone() == (1,)
    assert {f"chats.before-v{LATEST + 1}.db", f"chats.before-v{LATEST + 1}-2.db"} <= set(contents(path.parent))


def test_a_backup_that_cannot_be_written_stops_the_migration(path, monkeypatch):
    made(path)

    def refuse(*_args):
        raise OSError(errno.ENOSPC, "no room")

    monkeypatch.setattr(os, "open", refuse)

    with closing(database.connect(path, "mode=rw")) as connection:
        with pytest.raises(OSError, match="no room"):
            migrate(connection, path, (*MIGRATIONS, lambda _: None))
        assert version_of(connection) == LATEST


def test_two_instances_that_create_it_at_once(path):
    histories, failed = [], []
    barrier = threading.Barrier(6)

    def start():
        barrier.wait()
        try:
            histories.append(opened(path))
        except StorageError as error:
            failed.append(error)

    threads = [threading.Thread(target=start) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failed == []
    assert [history.trouble for history in histories] == [None] * 6
    for history in histories:
        said(history, chat_named(), "hi")
    assert len(histories[0].conversations()) == 6
    for history in histories:
        assert history.close()


def test_after_closing_everything_fails_plainly(path):
    history = opened(path)
    assert history.close()
    assert history.close()
    with pytest.raises(StorageError, match="closed"):
        history.conversations()
    chat = chat_named()
    with pytest.raises(StorageError, match="closed"):
        history.start_turn(chat, turn_in(chat, "hi")).result()
