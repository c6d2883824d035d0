"""Which processes are alive: each holds a locked file next to the database while it may be writing answers.

A lock ends with its process, however that ends, so no heartbeat, no clock and no process id that somebody else got
since can make one instance "repair" what another still writes.
"""

import fcntl
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_INSTANCE = re.compile(r"[0-9A-Za-z-]{1,64}")


def _file(database: Path, instance: str) -> Path:
    return database.with_name(f"{database.name}-running-{instance}.lock")


class Presence:
    """The lock file of this process."""

    def __init__(self, database: Path, instance: str) -> None:
        self._path = _file(database, instance)
        self._descriptor: int | None = None

    def hold(self) -> None:
        """Lock our file, once. Raises OSError."""
        while self._descriptor is None:
            descriptor = os.open(self._path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                # another instance that cleans up may have taken the file away before we had locked it
                ours = self._path.exists() and os.path.samestat(self._path.stat(), os.fstat(descriptor))
            except OSError:
                os.close(descriptor)
                raise
            if ours:
                self._descriptor = descriptor
            else:
                os.close(descriptor)

    def release(self) -> None:
        """Take the file away and unlock it."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)
            os.close(self._descriptor)
            self._descriptor = None


@contextmanager
def claimed(database: Path, instance: str) -> Iterator[bool]:
    """Yield True when the process `instance` is dead; its lock is ours meanwhile and its file goes away afterwards."""
    if not _INSTANCE.fullmatch(instance):
        yield True
        return
    path = _file(database, instance)
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        yield True
        return
    except OSError:
        yield False  # cannot tell, so it counts as alive
        return
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            yield False
            return
        yield True
        path.unlink(missing_ok=True)
    finally:
        os.close(descriptor)


def is_dead(database: Path, instance: str) -> bool:
    """Say whether `instance` is gone, and leave everything as it is."""
    if not _INSTANCE.fullmatch(instance):
        return True
    try:
        descriptor = os.open(_file(database, instance), os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return True
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


def instances(database: Path) -> list[str]:
    """Return every instance that left a lock file, alive or not."""
    start, end = f"{database.name}-running-", ".lock"
    try:
        names = os.listdir(database.parent)  # noqa: PTH208  a name with glob characters is only a name here
    except OSError:
        return []
    return [name[len(start) : -len(end)] for name in names if name.startswith(start) and name.endswith(end)]
