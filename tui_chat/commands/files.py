"""`tui-chat export` and `tui-chat import`."""

from collections.abc import Sequence
from pathlib import Path

from tui_chat.bootstrap import Ground
from tui_chat.commands.history import open_history
from tui_chat.commands.output import say, write_text
from tui_chat.core.errors import ConfigurationError, StorageError
from tui_chat.interchange.exporter import exported
from tui_chat.interchange.json_import import import_json
from tui_chat.interchange.private_file import write_over


def export(ids: Sequence[str], format_name: str, output: str | None, *, everything: bool) -> int:
    """Write conversations to stdout or a file; return the exit code."""
    if bool(ids) == everything:
        raise ConfigurationError("name the conversations to export by id, or --all")
    with open_history(Ground.lay()) as history:
        store = history.store
        every = store.every_conversation() if everything else []
        for conversation_id in ids:
            found = store.conversation(conversation_id)
            if found is None:
                raise ConfigurationError(f"no conversation has the id {conversation_id!r}; --all exports every one")
            every.append(found)
        text = exported(store, every, format_name)
    if output is None or output == "-":
        return write_text(text)
    try:
        write_over(Path(output), text)
    except (OSError, ValueError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else failed
        raise ConfigurationError(f"{output} cannot be written: {reason}; name another file with -o") from failed
    return 0


def import_file(name: str) -> int:
    """Add the conversations of a file to the history; return the exit code."""
    path = Path(name)
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except (OSError, ValueError) as failed:
        reason = failed.strerror if isinstance(failed, OSError) else "it is not UTF-8 text"
        raise ConfigurationError(f"{path} cannot be read: {reason}") from failed
    try:
        conversations = import_json(text)
    except ConfigurationError as failed:
        raise ConfigurationError(f"{path}: {failed.message}") from failed
    with open_history(Ground.lay()) as history:
        try:
            added = history.store.import_trees(conversations)
        except StorageError as failed:
            raise StorageError(f"{path}: {failed.message}") from failed
    known = len(conversations) - added
    say(f"{added} imported" + (f", {known} already there" if known else ""))
    return 0
