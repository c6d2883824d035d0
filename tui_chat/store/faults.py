"""SQLite's and the system's errors in one plain line each.

Some trouble passes by itself (a full disk gets room, a lock is let go): such writes are kept and tried again. Other
trouble does not (a damaged file, a broken rule): trying again would only hold up what comes after.
"""

import errno
import sqlite3
from pathlib import Path

from tui_chat.core.errors import StorageError


class PassingError(StorageError):
    """The history cannot be written now, but the same write may work later."""


class LockedError(PassingError):
    """Another program holds the write lock."""


_PASSING = {
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_NOMEM,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_IOERR,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_PROTOCOL,
    sqlite3.SQLITE_AUTH,
}
_DAMAGE = {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}
_NO_ROOM = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_NOT_ALLOWED = {errno.EACCES, errno.EPERM, errno.EROFS}


def primary_code(error: sqlite3.Error) -> int | None:
    """Return SQLite's result code without its details; `None` when the error came from Python's module itself."""
    code: int | None = getattr(error, "sqlite_errorcode", None)
    return None if code is None else code & 0xFF


def is_damage(error: sqlite3.Error) -> bool:
    return primary_code(error) in _DAMAGE


def storage_error(error: sqlite3.Error | OSError, path: Path) -> StorageError:
    """Return what `error` means for the person who reads it; a PassingError when a later try may work."""
    if isinstance(error, OSError):
        return _system_error(error, path)
    code = primary_code(error)
    if code in _DAMAGE:
        return damaged(path, str(error))
    if code not in _PASSING:
        return StorageError(f"the history {path} refused a write ({error})")
    if code == sqlite3.SQLITE_FULL:
        return no_room(path)
    if code in (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL):
        return LockedError(f"another program keeps the history {path} locked; close it and try again")
    if code == sqlite3.SQLITE_READONLY:
        return not_allowed(path)
    if code == sqlite3.SQLITE_IOERR:
        return PassingError(f"the disk failed or is full ({error}): {path}; free some space or check the disk")
    return PassingError(f"cannot open the history {path} ({error}); check the folder, its permissions and its space")


def _system_error(error: OSError, path: Path) -> StorageError:
    if error.errno in _NO_ROOM:
        return no_room(path)
    if error.errno in _NOT_ALLOWED:
        return not_allowed(path)
    return PassingError(f"cannot use the history {path}: {error.strerror or error}; check its folder")


def no_room(path: Path) -> StorageError:
    return PassingError(f"the disk is full: the history {path} cannot be written; free some space")


def not_allowed(path: Path) -> StorageError:
    return PassingError(f"the history {path} cannot be written: read-only or not yours; make its folder writable")


def damaged(path: Path, detail: str) -> StorageError:
    return StorageError(
        f"the history {path} is damaged ({detail}) and was left untouched; "
        "move it away to start a new one, or put a backup in its place"
    )


def newer(path: Path, version: int, known: int) -> StorageError:
    return StorageError(
        f"the history {path} was written by a newer tui-chat (its version {version}, ours {known}) and was left "
        "unchanged; update tui-chat, or set TUI_CHAT_HOME to another folder"
    )


def foreign(path: Path) -> StorageError:
    return StorageError(
        f"{path} is a database of another program and was left unchanged; move it away or set TUI_CHAT_HOME"
    )
