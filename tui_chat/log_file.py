"""The log: warnings and worse, in a file that only its owner can read, without keys and without anybody's text."""

import logging
from io import TextIOWrapper
from pathlib import Path

from tui_chat.paths import Home, make_private_folder, open_private
from tui_chat.providers.redact import Secrets


class _PrivateFile(logging.FileHandler):
    """A log that only its owner can read, created with its first line; what goes wrong with it is nobody's business."""

    def __init__(self, home: Home) -> None:
        super().__init__(home.log, encoding="utf-8", delay=True)

    def _open(self) -> TextIOWrapper:
        make_private_folder(Path(self.baseFilename).parent)
        return open(self.baseFilename, "a", encoding="utf-8", opener=open_private)

    def emit(self, record: logging.LogRecord) -> None:
        try:
            super().emit(record)
        except OSError:  # a read-only or full disk: the log must not break the program
            self.stream = None

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: N802  logging's own name
        """Say nothing: the screen and stderr belong to the program."""


class _Redacted(logging.Formatter):
    """Takes keys out of each line as it is written, tracebacks included."""

    def __init__(self, secrets: Secrets) -> None:
        super().__init__("%(asctime)s %(levelname)s %(name)s: %(message)s")
        self._secrets = secrets

    def format(self, record: logging.LogRecord) -> str:
        return self._secrets.clean(super().format(record))


def log_to(home: Home, secrets: Secrets) -> None:
    """Send warnings and worse to the log file; the libraries that log whole requests are silent."""
    handler = _PrivateFile(home)
    handler.setFormatter(_Redacted(secrets))
    root = logging.getLogger()
    for old in [each for each in root.handlers if isinstance(each, _PrivateFile)]:
        root.removeHandler(old)
        old.close()
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for noisy in ("httpx", "httpcore", "asyncio", "markdown_it"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)
