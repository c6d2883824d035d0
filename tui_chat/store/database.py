"""The file: looking at it before touching it, opening it, one thread that writes, a connection per thread that reads.

Writes are closures in a queue, each run in its own transaction; the caller gets a future and never waits. One writer
thread, not awaits, because a cancelled await would lose a write. A write that fails for a reason that passes (no room,
a lock) fails its future at once and stays in line: it is tried again, in order, before the next write, every few
seconds, and when we close. So what could not be written while the disk was full is written when there is room.

A lock that another program holds is waited for in small steps, so that whoever waits for us does not wait for it: the
first write waits long, those that follow while the lock is known to be held only a moment.
"""

import atexit
import logging
import os
import queue
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

from tui_chat.core.errors import StorageError
from tui_chat.core.record import entity
from tui_chat.store import faults
from tui_chat.store.faults import LockedError, PassingError, storage_error
from tui_chat.store.migrations import APPLICATION_ID, LATEST, MIGRATIONS, migrate, version_of

T = TypeVar("T")

BUSY_TIMEOUT_S = 5.0
READ_WAIT_S = 0.1
"""How long a read, which may run in the UI thread, waits for what we queued before it."""
_LOCKED_PATIENCE_S = 0.3
"""How long a write waits for a lock that is known to be held, or that is held when we open."""
_CLOSING_PATIENCE_S = 3.0
"""How long closing waits for a lock while nothing at all can be written."""
_LOCK_STEP_S = 0.05
_READER_PATIENCE_S = 0.5
"""Readers only meet a lock while another program repairs or rebuilds the file."""
_RETRY_S = 2.0
_ALWAYS_CHECKED_BYTES = 4 << 20
"""A database up to this size is checked at every start, a larger one only after a crash."""

_LOOKS = 5
_SMALLEST_BYTES = 512
"""SQLite's smallest page."""

_log = logging.getLogger(__name__)


def connect(path: Path, mode: str, timeout_s: float | None = None) -> sqlite3.Connection:
    """Open `path` in autocommit; `mode` is a part of an SQLite URI such as `mode=ro`."""
    return sqlite3.connect(
        f"{path.absolute().as_uri()}?{mode}",
        uri=True,
        timeout=BUSY_TIMEOUT_S if timeout_s is None else timeout_s,
        isolation_level=None,
        check_same_thread=False,  # closed by another thread than it was used by, never used by two at once
    )


def inspect(path: Path, *, after_crash: bool) -> None:
    """Look at a database without changing a byte of it; one that is not there or empty is fine.

    Raises StorageError when it is damaged, of a newer version or not ours, PassingError when it cannot be read now.
    """
    try:
        for _ in range(_LOOKS):
            seen = _sizes(path)
            try:
                return _inspect(path, *seen[:2], after_crash=after_crash)
            except StorageError as found:
                # looked at without a lock: another instance may have come to write in the middle of it
                if isinstance(found, PassingError) or _sizes(path) == seen:
                    raise
        _inspect(path, *_sizes(path)[:2], after_crash=after_crash)
    except OSError as failed:
        raise storage_error(failed, path) from failed


def _sizes(path: Path) -> tuple[int, int, int]:
    """Return how large the database and its -wal are, and when it was last written. Raises OSError."""
    file, wal = _size(path), _size(path.with_name(path.name + "-wal"))
    return file, wal, path.stat().st_mtime_ns if file else 0


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except FileNotFoundError:
        return 0


def _inspect(path: Path, size: int, wal_size: int, *, after_crash: bool) -> None:
    if not size and not wal_size:
        return
    if 0 < size < _SMALLEST_BYTES:
        raise faults.damaged(path, "file is not a database")  # SQLite takes it for an empty one and writes over it
    check = after_crash or size <= _ALWAYS_CHECKED_BYTES
    try:
        try:
            # immutable: no lock, no -shm; but it does not see what still is in the -wal of a running instance
            _look(path, "immutable=1", check=check and not wal_size)
        except sqlite3.DatabaseError as first:
            if not wal_size or not faults.is_damage(first):
                raise
        if wal_size:
            _look(path, "mode=ro", check=check)
    except sqlite3.Error as failed:
        raise storage_error(failed, path) from failed


def _look(path: Path, mode: str, *, check: bool) -> None:
    with closing(connect(path, mode)) as connection:
        version = version_of(connection)
        application = int(connection.execute("PRAGMA application_id").fetchone()[0])
        tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
        if application not in (0, APPLICATION_ID) or (application == 0 and tables):
            raise faults.foreign(path)
        if version > LATEST:
            raise faults.newer(path, version, LATEST)
        if check:
            found = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
            if found != "ok":
                raise faults.damaged(path, " ".join(found.split()))


def _make_private(path: Path) -> None:
    """Create the folder and the file for their owner alone. Raises OSError."""
    missing = []
    folder = path.parent
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(0o700, exist_ok=True)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR | os.O_CLOEXEC, 0o600))


def _open_writer(path: Path) -> sqlite3.Connection:
    """Create or open the database for writing. Raises sqlite3.Error, OSError, StorageError."""
    _make_private(path)
    connection = connect(path, "mode=rw")
    try:
        _switch_to_wal(connection)
        connection.execute("PRAGMA synchronous = FULL")
        migrate(connection, path)
        connection.execute("PRAGMA foreign_keys = ON")
    except BaseException:
        connection.close()
        raise
    return connection


def _switch_to_wal(connection: sqlite3.Connection) -> None:
    """Two instances that create the file at once collide here, where SQLite does not wait by itself."""
    until = time.monotonic() + BUSY_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode = WAL").fetchone()
        except sqlite3.OperationalError as failed:
            if faults.primary_code(failed) != sqlite3.SQLITE_BUSY or time.monotonic() > until:
                raise
            time.sleep(0.02)
        else:
            return


def _wait_at_most(connection: sqlite3.Connection, seconds: float) -> None:
    """Set how long SQLite itself waits for a lock."""
    connection.execute(f"PRAGMA busy_timeout = {round(seconds * 1000)}")


@entity
class _Write:
    number: int
    work: Callable[[sqlite3.Connection], object]
    future: Future[Any]
    awaited: bool
    """The caller waits for it and sees it fail: nobody else is told, and it is not tried again."""


class Database:
    """One open history file. Thread-safe; close it."""

    def __init__(
        self,
        path: Path,
        opened: Callable[[sqlite3.Connection], None],
        closed: Callable[[], None],
        on_failure: Callable[[StorageError], None] | None = None,
        *,
        after_crash: bool = False,
    ) -> None:
        """Open `path`; `opened` runs in the writer thread on each fresh connection, `closed` there at the very end.

        Raises StorageError for a file that we must not touch. When it only cannot be written *now*, `trouble` says so.
        """
        self.path = path
        self.on_failure = on_failure
        self.trouble: StorageError | None = None
        """Why nothing can be written at present."""
        self._opened, self._at_end = opened, closed
        self._queue: queue.SimpleQueue[_Write | None] = queue.SimpleQueue()
        self._kept: list[_Write] = []
        self._connection: sqlite3.Connection | None = None
        self._readers: list[sqlite3.Connection] = []
        self._local = threading.local()
        self._lock = threading.Lock()
        self._progress = threading.Condition()
        self._submitted = self._attempted = 0
        self._stuck_at = -1
        """What `_attempted` was when a reader last gave up waiting."""
        self._closed = False
        self._closing_at_s = self._moved_at_s = 0.0
        """When closing began; when a write last succeeded."""
        try:
            inspect(path, after_crash=after_crash)
        except PassingError as failed:
            self.trouble = failed
        self._thread = threading.Thread(target=self._run, name="store-writer", daemon=True)
        self._thread.start()
        atexit.register(self.close)
        try:
            self.write(lambda _: None, awaited=True).result()
        except PassingError as failed:
            self.trouble = failed
        except StorageError:
            self.close()
            raise

    # writing

    @property
    def submitted(self) -> int:
        """The number of the write that was queued last."""
        return self._submitted

    def write(self, work: Callable[[sqlite3.Connection], T], *, awaited: bool = False) -> Future[T]:
        """Queue `work` for the writer thread, in one transaction; the future has its result or a StorageError.

        The future cannot be cancelled: a write that was asked for is done.
        """
        future: Future[T] = Future()
        future.set_running_or_notify_cancel()
        with self._lock:
            if self._closed:
                future.set_exception(StorageError(f"the history {self.path} is closed"))
                return future
            self._submitted += 1
            self._queue.put(_Write(self._submitted, work, future, awaited))
        return future

    def _run(self) -> None:
        while True:
            try:
                locked = isinstance(self.trouble, LockedError)
                write = self._queue.get(timeout=_RETRY_S if self._kept or locked else None)
            except queue.Empty:
                if self._kept:
                    self._write_kept()
                else:
                    self._look_at_lock()
                continue
            if write is None:
                break
            self._attempt(write)
            with self._progress:
                self._attempted = write.number
                self._progress.notify_all()
        self._write_kept()
        self._shut()

    def _attempt(self, write: _Write) -> None:
        failed = self._write_kept()
        if failed is None:
            try:
                write.future.set_result(self._in_transaction(write.work))
            except StorageError as error:
                failed = error
            else:
                return
        if isinstance(failed, PassingError):
            self.trouble = failed
            if not write.awaited:
                self._kept.append(write)
        if not write.awaited:
            self._say(failed)
        write.future.set_exception(failed)

    def _write_kept(self) -> StorageError | None:
        """Write what failed before, in order; return why it still cannot be."""
        while self._kept:
            try:
                self._in_transaction(self._kept[0].work)
            except PassingError as still:
                return still
            except StorageError as failed:
                self._say(failed)
            del self._kept[0]
            if not self._kept:
                _log.info("the history can be written again; nothing is left behind")
        return None

    def _look_at_lock(self) -> None:
        """Forget the trouble when the lock was let go."""
        with suppress(StorageError):
            self._in_transaction(lambda _: None)

    def _in_transaction(self, work: Callable[[sqlite3.Connection], object]) -> object:
        """Run `work`. Raises StorageError and nothing else."""
        try:
            connection = self._writer()
            self._begin(connection)
            self._refuse_newer(version_of(connection))
            result = work(connection)
            connection.execute("COMMIT")
            self.trouble = None
            self._moved_at_s = time.monotonic()
        except (sqlite3.Error, OSError) as failed:
            self._roll_back()
            raise storage_error(failed, self.path) from failed
        except StorageError:
            self._roll_back()
            raise
        except Exception as bug:  # the border of the thread: one bad write must not end all that follow
            self._roll_back()
            _log.error("bug while writing the history", exc_info=bug)
            raise StorageError(f"the history {self.path} could not take a write ({type(bug).__name__})") from bug
        return result

    def _begin(self, connection: sqlite3.Connection) -> None:
        """Take the write lock, with as much patience as there is. Raises sqlite3.Error."""
        since = time.monotonic()
        while True:
            try:
                connection.execute("BEGIN IMMEDIATE")
            except sqlite3.OperationalError as failed:
                if faults.primary_code(failed) != sqlite3.SQLITE_BUSY or time.monotonic() > self._patient_until(since):
                    raise
            else:
                return

    def _patient_until(self, since_s: float) -> float:
        """Return until when a write that waits since `since_s` waits for the lock."""
        if self._closed:  # others that write now and then let us in between; one that holds the lock does not
            return max(self._moved_at_s, self._closing_at_s) + _CLOSING_PATIENCE_S
        known = self.trouble is not None or self._attempted == 0
        return since_s + (min(_LOCKED_PATIENCE_S, BUSY_TIMEOUT_S) if known else BUSY_TIMEOUT_S)

    def _refuse_newer(self, version: int) -> None:
        """A newer program may have migrated the file while we had it open."""
        if version != LATEST:
            raise faults.newer(self.path, version, LATEST)

    def _writer(self) -> sqlite3.Connection:
        if self._connection is None:
            if self.trouble is not None:
                inspect(self.path, after_crash=False)
            connection = _open_writer(self.path)
            try:
                _wait_at_most(connection, _LOCKED_PATIENCE_S)
                self._opened(connection)
                _wait_at_most(connection, _LOCK_STEP_S)
            except BaseException:
                connection.close()
                raise
            self._connection = connection
        return self._connection

    def _roll_back(self) -> None:
        connection = self._connection
        if connection is None or not connection.in_transaction:
            return
        try:
            connection.execute("ROLLBACK")
        except sqlite3.Error:
            with suppress(sqlite3.Error):
                connection.close()
            self._connection = None

    def _say(self, failed: StorageError) -> None:
        _log.warning("not written: %s", failed.message)
        if self.on_failure is not None:
            try:
                self.on_failure(failed)
            except Exception as bug:  # noqa: BLE001  whoever listens must not stop the writing
                _log.error("bug while telling of a failed write", exc_info=bug)

    # reading

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """Yield a connection of this thread that sees one moment of the database.

        That includes what we queued before, unless the disk is slow or locked: then it is what is on disk by now,
        because whoever reads may be the screen. Raises StorageError.
        """
        self.settle()
        try:
            connection, lasting = self._reader()
        except sqlite3.Error as failed:
            raise storage_error(failed, self.path) from failed
        try:
            connection.execute("BEGIN")
            yield connection
        except sqlite3.Error as failed:
            raise storage_error(failed, self.path) from failed
        finally:
            with suppress(sqlite3.Error):
                if connection.in_transaction:
                    connection.execute("ROLLBACK")
            if not lasting:
                connection.close()

    def settle(self) -> bool:
        """Wait a moment until everything queued so far was tried; False when it was not.

        Only the first of many waits for a write that is stuck.
        """
        upto = self._submitted
        with self._progress:
            patience_s = 0.0 if self._stuck_at == self._attempted else READ_WAIT_S
            tried = self._progress.wait_for(lambda: self._attempted >= upto, patience_s)
            self._stuck_at = -1 if tried else self._attempted
        return tried

    def _reader(self) -> tuple[sqlite3.Connection, bool]:
        """Return a connection, and whether it lasts."""
        if self._closed:
            raise StorageError(f"the history {self.path} is closed")
        connection: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if connection is not None:
            return connection, True
        if self._connection is None:
            return self._reader_in_trouble(), False
        connection = self._new_reader("mode=rw")
        self._local.connection = connection
        with self._lock:
            self._readers.append(connection)
        return connection, True

    def _new_reader(self, mode: str) -> sqlite3.Connection:
        connection = connect(self.path, mode, _READER_PATIENCE_S)
        try:
            connection.row_factory = sqlite3.Row
            connection.execute("PRAGMA query_only = ON")
            connection.execute("SELECT 1 FROM sqlite_master LIMIT 1").fetchone()
        except BaseException:
            connection.close()
            raise
        return connection

    def _reader_in_trouble(self) -> sqlite3.Connection:
        """Nothing can be written: read what is there, in a folder that may be read-only; nothing when nothing is."""
        if not self.path.exists() or not self.path.stat().st_size:
            connection = sqlite3.connect(":memory:", isolation_level=None, check_same_thread=False)
            connection.row_factory = sqlite3.Row
            for step in MIGRATIONS:
                step(connection)
            return connection
        inspect(self.path, after_crash=False)
        try:
            return self._new_reader("mode=ro")
        except sqlite3.OperationalError:
            return self._new_reader("immutable=1")  # WAL needs a -shm that cannot be made here

    # closing

    def close(self, timeout_s: float = 5.0) -> bool:
        """Write what is queued, then close; False when it did not finish in time."""
        with self._lock:
            first = not self._closed
            if first:
                self._closing_at_s = time.monotonic()
                self._closed = True
                self._queue.put(None)
        atexit.unregister(self.close)
        if self._thread is threading.current_thread():
            return False
        self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def _shut(self) -> None:
        # the writer's connection goes last: the last one to close puts the -wal back into the database
        for connection in (*self._readers, self._connection):
            if connection is not None:
                with suppress(sqlite3.Error):
                    connection.close()
        self._connection = None
        self._at_end()
