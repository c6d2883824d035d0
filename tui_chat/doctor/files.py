"""The program itself, where its files are, who can read them, and whether the configuration can be followed."""

import os
import platform
import re
import stat
from collections.abc import Mapping
from importlib.metadata import PackageNotFoundError, version
from importlib.util import find_spec
from pathlib import Path

from tui_chat import __version__
from tui_chat.bootstrap import Ground
from tui_chat.core.errors import ConfigurationError
from tui_chat.doctor.check import Check, Status, size, told

_LITTLE_BYTES = 100_000_000
_NOTHING_BYTES = 2_000_000


def versions(environ: Mapping[str, str]) -> list[Check]:
    parts = [f"{name} {_version(name)}" for name in ("textual", "httpx", "tiktoken")]
    if environ.get("TUI_CHAT_HOME", "").strip():
        keyring = "not used: TUI_CHAT_HOME keeps everything in one folder"
    elif find_spec("keyring") is None:
        keyring = "not installed (pip install keyring): keys pasted in the app go into config.toml"
    else:
        keyring = f"{_version('keyring')}, keys pasted in the app go there"
    return [
        Check("versions", "tui-chat", "ok", f"{__version__} on Python {platform.python_version()}, {_system()}"),
        Check("versions", "packages", "ok", ", ".join(parts)),
        Check("versions", "keyring", "ok", keyring),
    ]


def _version(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "?"


def _system() -> str:
    name = {"Darwin": f"macOS {platform.mac_ver()[0]}"}.get(
        platform.system(), f"{platform.system()} {platform.release()}"
    )
    return f"{name}, {platform.machine()}"


def config(ground: Ground, broken: ConfigurationError | None) -> list[Check]:
    """Say whether the configuration can be followed; `ground` lies on defaults when it is broken."""
    file, said = ground.home.config, ground.config
    where = _file("file", file, "ok", "keys cannot be stored there")
    if _mode(file) & 0o077 and (_holds_key(ground) or (broken is not None and _names_key(file))):
        where = _exposed("file", file, "which holds a key")
    if broken is not None:
        step = "mend it; tui-chat config --defaults shows every key (all checks below are made without it)"
        return [where, told("config", "contents", broken.message.removeprefix(f"{file}, "), step=step)]
    if not _exists(file):
        return [where, Check("config", "contents", "ok", "none, so all is at its defaults")]
    parts = [_count(len(said.providers), "provider"), _count(len(said.models), "model")]
    found = [where, Check("config", "contents", "ok", f"valid, names {' and '.join(parts)}")]
    for line in ground.catalog.unknown_names():
        key, _, problem = line.partition(": ")
        found.append(told("config", key, problem, "warn"))
    return found


def _count(number: int, thing: str) -> str:
    return f"{number or 'no'} {thing}{'' if number == 1 else 's'}"


def files(ground: Ground) -> list[Check]:
    home = ground.home
    return [
        _file("history", home.database, "fail", "nothing can be saved"),
        _file("log", home.log, "warn", "nothing can be logged"),
        _folder("caches", home.cache, "warn", "lists of models are asked for again at every start"),
        _room(home.database),
    ]


def _holds_key(ground: Ground) -> bool:
    secret = ("key", "auth", "token", "secret", "cookie")
    return any(
        said.api_key is not None or any(word in name.lower() for name in said.headers for word in secret)
        for said in ground.config.providers.values()
    )


def _group(name: str) -> str:
    return "config" if name == "file" else "files"


def _names_key(file: Path) -> bool:
    """Say whether a configuration that cannot be followed seems to hold a key."""
    try:
        return re.search(rb"(?m)\bapi_key[ \t]*=", file.read_bytes()[:1_000_000]) is not None
    except OSError:
        return False


def _file(name: str, path: Path, unwritable: Status, loss: str) -> Check:
    """Say whether a file, or the one that would be made there, can be written."""
    folder, problem = _way_to(path.parent)
    if problem:
        return Check(
            _group(name), name, unwritable, f"{path}: {problem}", f"make {folder} a folder that you can write to"
        )
    if not _exists(path):
        return _writable(name, path, folder, unwritable, loss, "not there yet")
    if not path.is_file():
        return Check(_group(name), name, "fail", f"{path} is no file", f"move {path} away")
    mode = _mode(path)
    if name != "file" and mode & 0o077:
        return _exposed(name, path, "")
    if not os.access(path, os.W_OK):
        return _refused(name, path, unwritable, loss)
    return _writable(name, path, path.parent, unwritable, loss, f"mode {mode:04o}")


def _folder(name: str, path: Path, unwritable: Status, loss: str) -> Check:
    folder, problem = _way_to(path)
    if problem:
        return Check(
            _group(name), name, unwritable, f"{path}: {problem}", f"make {folder} a folder that you can write to"
        )
    return _writable(name, path, folder, unwritable, loss, "" if folder == path else "not there yet")


def _writable(name: str, path: Path, folder: Path, unwritable: Status, loss: str, state: str) -> Check:
    """Judge a path by the folder it is in, or will be made in."""
    if not os.access(folder, os.W_OK | os.X_OK):
        return _refused(name, folder, unwritable, loss)
    mode = _mode(folder)
    if folder in (path, path.parent) and mode & 0o022 and not mode & stat.S_ISVTX:
        detail = f"{path}: others can write to its folder (mode {mode:04o})"
        return Check(_group(name), name, "warn", detail, f"chmod 700 {folder}")
    return Check(_group(name), name, "ok", f"{path} ({state})" if state else str(path))


def _refused(name: str, path: Path, status: Status, loss: str) -> Check:
    step = None if status == "ok" else f"make {path} writable for you, or set TUI_CHAT_HOME to another folder"
    return Check(_group(name), name, status, f"{path} cannot be written, so {loss}", step)


def _exposed(name: str, path: Path, why: str) -> Check:
    what = f"others can read {path}" + (f", {why}" if why else "")
    return Check(_group(name), name, "warn", f"{what} (mode {_mode(path):04o})", f"chmod 600 {path}")


def _room(database: Path) -> Check:
    folder, _ = _way_to(database.parent)
    try:
        disk = os.statvfs(folder)
    except OSError as failed:
        return Check("files", "space", "warn", f"cannot tell how much is free: {failed.strerror}")
    free = disk.f_bavail * disk.f_frsize
    if disk.f_blocks and free < _NOTHING_BYTES:
        return Check("files", "space", "fail", f"{size(free)} free for the history", "free some space")
    if disk.f_blocks and free < _LITTLE_BYTES:
        return Check("files", "space", "warn", f"only {size(free)} free for the history", "free some space soon")
    return Check("files", "space", "ok", f"{size(free)} free for the history" if disk.f_blocks else "without limit")


def _way_to(folder: Path) -> tuple[Path, str]:
    """Return the folder, or the nearest one above that is there; and what stands in the way."""
    while not _exists(folder) and folder != folder.parent:
        folder = folder.parent
    return folder, "" if folder.is_dir() else f"{folder} is no folder"


def _exists(path: Path) -> bool:
    """Say whether anything is there, be it a link to nowhere."""
    return os.path.lexists(path)


def _mode(path: Path) -> int:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except OSError:
        return 0
