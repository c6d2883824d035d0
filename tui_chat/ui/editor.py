"""The prompt in the user's own editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from tui_chat.core.errors import ChatError


def edited(text: str) -> str:
    """Return `text` after the user's editor; raises ChatError when none can be started."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    with tempfile.TemporaryDirectory(prefix="tui-chat-") as folder:
        path = Path(folder) / "prompt.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            # the editor is the user's own choice, split as a shell would and run without one
            done = subprocess.run([*shlex.split(command), str(path)], check=False)  # noqa: S603
        except (OSError, ValueError) as failed:
            raise ChatError("configuration", f"cannot start {command!r}; set VISUAL or EDITOR") from failed
        if done.returncode != 0:
            return text
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
