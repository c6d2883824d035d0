"""The prompt of `ask`: the argument, what is piped in, and files."""

import sys
from collections.abc import Sequence
from pathlib import Path

from tui_chat.core.errors import ConfigurationError
from tui_chat.core.message import BlobPart

MAX_FILE_BYTES = 20_000_000
_STARTS = {
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"\xff\xd8\xff": "image/jpeg",
    b"GIF8": "image/gif",
    b"%PDF-": "application/pdf",
}


def read_prompt(argument: str | None, *, has_files: bool) -> str:
    """Return the argument, a blank line, and what is piped in. Raises ConfigurationError when there is nothing."""
    piped = _piped()
    parts = [part for part in (argument, piped) if part and part.strip()]
    if not parts and not has_files:
        raise ConfigurationError('there is no prompt; write tui-chat ask "…", or pipe one in')
    return "\n\n".join(parts)


def _piped() -> str:
    if sys.stdin is None or sys.stdin.closed or sys.stdin.isatty():
        return ""
    try:
        return sys.stdin.buffer.read().decode("utf-8-sig", "replace").rstrip("\r\n")
    except OSError as failed:
        raise ConfigurationError(f"stdin cannot be read: {failed.strerror}; close it with </dev/null") from failed


def read_files(names: Sequence[str]) -> tuple[BlobPart, ...]:
    """Return files to send along: text, pictures or PDFs. Raises ConfigurationError."""
    return tuple(_read_file(Path(name)) for name in names)


def _read_file(path: Path) -> BlobPart:
    try:
        if path.is_file() and path.stat().st_size > MAX_FILE_BYTES:
            raise ConfigurationError(f"{path} is larger than {MAX_FILE_BYTES // 1_000_000} MB; send a part of it")
        content = path.read_bytes()
    except (OSError, ValueError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else failed
        raise ConfigurationError(f"{path} cannot be read: {reason}") from failed
    return BlobPart(path.name, _media_type(path, content), content)


def _media_type(path: Path, content: bytes) -> str:
    for start, media_type in _STARTS.items():
        if content.startswith(start):
            return media_type
    if content[:4] == b"RIFF" and content[8:12] == b"WEBP":
        return "image/webp"
    try:
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        text = "\0"
    if "\0" in text:
        raise ConfigurationError(f"{path} is neither UTF-8 text nor a picture (png, jpeg, gif, webp) nor a PDF")
    return "text/plain"
