"""What the screen is handed: everything it may use, and nothing that knows a socket or a table."""

from collections.abc import Callable

from tui_chat.core.chat import Chat
from tui_chat.core.counter import Clock, TokenCounter
from tui_chat.core.ports import Exporter, Keys, ModelCatalog, ModelLists, Store, UsageReport
from tui_chat.core.record import record
from tui_chat.core.settings import UISettings


@record
class Services:
    chat: Chat
    store: Store
    usage: UsageReport
    catalog: ModelCatalog
    counter: TokenCounter
    clock: Clock
    settings: UISettings
    exporter: Exporter
    lists: ModelLists
    keys: Keys
    warm: Callable[[], None]
    """Imports what the first request needs; slow, so it is called in a thread after the first paint."""
    cache_folder: str
    """For what is too long for the clipboard and for a prompt in the editor. May not exist yet."""
    notes: tuple[str, ...] = ()
    """Warnings for the first screen, a line each."""
