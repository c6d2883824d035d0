"""What the program remembers only to be quicker or cleverer: JSON files in the cache folder, which may vanish any time.

Nothing here ever raises: a cache that cannot be read is empty, one that cannot be written is not kept.
"""

import json
import os
from contextlib import suppress
from pathlib import Path

from tui_chat.paths import make_private_folder, open_private

_LARGEST = 32 * 1024 * 1024


def read_json(file: Path) -> object:
    """Return what a file holds, `None` when there is none or it is no JSON."""
    try:
        if file.stat().st_size > _LARGEST:
            return None
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def write_json(file: Path, value: object) -> None:
    """Put a value in the place of a file in one step, for its owner alone."""
    new = file.with_name(f".{file.name}.{os.getpid()}")
    with suppress(OSError):
        make_private_folder(file.parent)
        try:
            with open(new, "w", encoding="utf-8", opener=open_private) as out:
                json.dump(value, out)
            new.replace(file)
        finally:
            new.unlink(missing_ok=True)
