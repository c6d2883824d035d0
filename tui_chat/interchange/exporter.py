"""Writes conversations into files; the `Exporter` of the app."""

import os
import re
import unicodedata
from pathlib import Path

from tui_chat.core.conversation import Conversation
from tui_chat.core.errors import ChatError, ConfigurationError, StorageError
from tui_chat.core.ports import Store
from tui_chat.interchange.json_export import export_json
from tui_chat.interchange.markdown_export import export_markdown
from tui_chat.interchange.private_file import write_new

_ENDINGS = {"json": "json", "markdown": "md"}
_MOST_NAMES = 1000


def exported(store: Store, conversations: list[Conversation], format_name: str) -> str:
    """Return conversations of the history as text. Raises ConfigurationError for a format there is not."""
    if format_name == "json":
        return export_json((each, store.tree(each.id)) for each in conversations)
    if format_name == "markdown":
        return export_markdown((each, store.path(each.id)) for each in conversations)
    raise ConfigurationError(f"{format_name} cannot be written yet; there are json and markdown")


class FileExporter:
    """Writes one conversation into a new file in the current folder."""

    def __init__(self, store: Store) -> None:
        self._store = store

    def write(self, conversation_id: str, format_name: str) -> str:
        """Return the path of the file; an existing file is never touched. Raises ChatError."""
        conversation = self._store.conversation(conversation_id)
        if conversation is None:
            raise ChatError("invalid_request", "this conversation is not in the history yet; send something first")
        text = exported(self._store, [conversation], format_name)
        try:
            return str(_write_new(slug(conversation.title), _ENDINGS[format_name], text))
        except OSError as failed:
            raise StorageError(f"the file cannot be written in {os.curdir}: {failed.strerror}") from failed


def _write_new(name: str, ending: str, text: str) -> Path:
    folder = Path.cwd()
    for number in range(1, _MOST_NAMES):
        path = folder / (f"{name}.{ending}" if number == 1 else f"{name}-{number}.{ending}")
        try:
            write_new(path, text)
        except FileExistsError:
            continue
        return path
    raise StorageError(f"{folder} has {_MOST_NAMES} files named {name} already; move some away")


def slug(title: str) -> str:
    """Return a title as a file name of plain letters, digits and hyphens."""
    plain = unicodedata.normalize("NFKD", title).encode("ascii", "ignore").decode().lower()
    return re.sub(r"[^a-z0-9]+", "-", plain)[:50].strip("-") or "conversation"
