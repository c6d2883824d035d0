"""Where the program keeps its files: the platform's own folders, or all of them in `TUI_CHAT_HOME`."""

import os
from collections.abc import Mapping
from pathlib import Path

from tui_chat.core.record import record

APP = "tui-chat"
PRIVATE_FOLDER = 0o700
PRIVATE_FILE = 0o600


@record
class Home:
    config: Path
    database: Path
    log: Path
    cache: Path


def find_home(environ: Mapping[str, str]) -> Home:
    """Return the paths; nothing is created."""
    moved = environ.get("TUI_CHAT_HOME", "").strip()
    if moved:
        home = Path(moved).expanduser().absolute()
        return Home(home / "config.toml", home / "chats.db", home / "tui-chat.log", home / "cache")
    import platformdirs

    dirs = platformdirs.PlatformDirs(APP, appauthor=False)
    return Home(
        dirs.user_config_path / "config.toml",
        dirs.user_data_path / "chats.db",
        dirs.user_state_path / "tui-chat.log",
        dirs.user_cache_path,
    )


def make_private_folder(folder: Path) -> None:
    """Create a folder, and those above it that are missing, for its owner alone; one that exists stays as it is.

    Raises OSError.
    """
    missing = []
    while not folder.exists():
        missing.append(folder)
        folder = folder.parent
    for each in reversed(missing):
        each.mkdir(PRIVATE_FOLDER, exist_ok=True)


def open_private(path: str, flags: int) -> int:
    """An `opener` for `open` that creates files for their owner alone."""
    return os.open(path, flags, PRIVATE_FILE)


def readable_by_others(path: Path) -> bool:
    """Say whether group or world may read a file; False when there is none or the system has no such thing."""
    try:
        return os.name == "posix" and bool(path.stat().st_mode & 0o044)
    except OSError:
        return False
