"""Files that hold what people said: for their owner alone, and whole or not there at all."""

import errno
import os
from contextlib import suppress
from pathlib import Path


def write_new(path: Path, text: str) -> None:
    """Write a new file. Raises FileExistsError when there is one, OSError when it cannot be written; none is left."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "wb") as file:
            file.write(text.encode("utf-8", "replace"))
    except BaseException:
        with suppress(OSError):
            path.unlink()
        raise


def write_over(path: Path, text: str) -> None:
    """Write a file, new or in place of one, which stands until the new one is whole. Raises OSError.

    A link stays a link: what it points to is written. A device or a pipe is written to as it is.
    """
    if path.exists() and not path.is_file():
        path.write_bytes(text.encode("utf-8", "replace"))
        return
    target = Path(os.path.realpath(path))
    if target.is_symlink():  # it leads to itself
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
    new = target.with_name(f".{target.name[:200]}.{os.getpid()}")
    write_new(new, text)
    try:
        new.replace(target)
    except BaseException:
        with suppress(OSError):
            new.unlink()
        raise
