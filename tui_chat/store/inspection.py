"""A history as it lies on the disk, for `doctor`: looked at, never opened for use.

Nothing is migrated, recovered, locked for long or created. That takes care: a read-only connection to a database in WAL
mode makes a `-shm` beside it where there is none. So without a `-wal` the file is read as if it never changed, with one
it is read through the `-shm` that is there already, and without that it is not looked into.
"""

import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from pathlib import Path

from tui_chat.core.errors import StorageError
from tui_chat.core.record import record
from tui_chat.store import faults, marks, presence
from tui_chat.store.database import connect
from tui_chat.store.migrations import APPLICATION_ID, LATEST, version_of

_LOOKS = 3
_PATIENCE_S = 0.5
_SMALLEST_BYTES = 512


@record
class Inspection:
    """What there is to say of a history file."""

    exists: bool = False
    size_bytes: int = 0
    wal_bytes: int = 0
    journal: str = ""
    """`WAL`, or `rollback`."""
    version: int = 0
    latest: int = LATEST
    """The version that this program writes."""
    conversations: int | None = None
    checked: bool = False
    """SQLite's quick check went through; False when time ran out, or when nothing could be looked into."""
    last_model: str | None = None
    running: int = 0
    """How many instances of the program have it open."""
    crashed: bool = False
    """An instance that died left its lock file."""
    wrong: str | None = None
    """Why it cannot be used, as one line that says what to do."""


def inspect_history(path: Path, limit_s: float) -> Inspection:
    """Look at the history at `path`, at its contents for at most `limit_s`. Raises nothing."""
    path = path.absolute()
    instances = presence.instances(path)
    dead = sum(presence.is_dead(path, instance) for instance in instances)
    found = here = Inspection(running=len(instances) - dead, crashed=dead > 0)
    try:
        for _ in range(_LOOKS):
            seen = _sizes(path)
            if seen is None:
                return here
            found = _look(path, replace(here, exists=True, size_bytes=seen[0], wal_bytes=seen[1]), limit_s)
            if found.wrong is None or _sizes(path) == seen:
                break  # else another instance came to write in the middle of it
    except OSError as failed:
        return replace(here, exists=True, wrong=faults.storage_error(failed, path).message)
    return found


def _sizes(path: Path) -> tuple[int, int, int] | None:
    """Return the bytes of the database and of its -wal, and when it was last written. Raises OSError."""
    try:
        file = path.stat()
    except (FileNotFoundError, NotADirectoryError):
        return None
    try:
        wal_bytes = path.with_name(path.name + "-wal").stat().st_size
    except FileNotFoundError:
        wal_bytes = 0
    return file.st_size, wal_bytes, file.st_mtime_ns


def _look(path: Path, known: Inspection, limit_s: float) -> Inspection:
    """Raises OSError."""
    with path.open("rb") as file:  # before any connection: closing it would drop that one's locks
        head = file.read(20)
    wal = known.wal_bytes > 0
    if not known.size_bytes and not wal:
        return known
    if known.size_bytes < _SMALLEST_BYTES and not wal:
        return replace(known, wrong=faults.damaged(path, "file is not a database").message)
    known = replace(known, journal="WAL" if wal or head[18:20] == b"\x02\x02" else "rollback")
    if wal and not path.with_name(path.name + "-shm").exists():
        return known
    mode = "mode=ro&readonly_shm=1" if wal else "immutable=1"
    try:
        with closing(connect(path, mode, _PATIENCE_S)) as connection:
            return _contents(connection, path, mode, known, limit_s)
    except sqlite3.Error as failed:
        return replace(known, wrong=faults.storage_error(failed, path).message)
    except StorageError as failed:
        return replace(known, wrong=failed.message)


def _contents(connection: sqlite3.Connection, path: Path, mode: str, known: Inspection, limit_s: float) -> Inspection:
    """Raises sqlite3.Error, StorageError."""
    version = version_of(connection)
    application = int(connection.execute("PRAGMA application_id").fetchone()[0])
    tables = int(connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0])
    if application not in (0, APPLICATION_ID) or (application == 0 and tables):
        raise faults.foreign(path)
    if version > LATEST:
        raise faults.newer(path, version, LATEST)
    known = replace(known, version=version)
    if version:
        count = int(connection.execute("SELECT count(*) FROM conversations").fetchone()[0])
        known = replace(known, last_model=marks.last_model(connection), conversations=count)
    result = _quick_check(path, mode, limit_s)
    if result not in ("", "ok"):
        raise faults.damaged(path, " ".join(result.split()))
    return replace(known, checked=result == "ok")


def _quick_check(path: Path, mode: str, limit_s: float) -> str:
    """Return what SQLite's quick check says, nothing when it takes too long. Raises sqlite3.Error.

    In a thread that is left alone then: older versions of SQLite cannot be interrupted while they check.
    """
    said: list[str | sqlite3.Error] = []

    def check() -> None:
        try:
            with closing(connect(path, mode, _PATIENCE_S)) as connection:
                said.append(str(connection.execute("PRAGMA quick_check(1)").fetchone()[0]))
        except sqlite3.Error as failed:
            said.append(failed)

    thread = threading.Thread(target=check, name="quick-check", daemon=True)
    thread.start()
    thread.join(limit_s)
    result = said[0] if said else ""
    if isinstance(result, sqlite3.Error):
        raise result
    return result
