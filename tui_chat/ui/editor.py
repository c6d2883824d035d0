"""The prompt in the user's own editor."""

import os
import shlex
import subprocess
import tempfile
from pathlib import Path

from tui_chat.core.errors import ChatError


def edited(text: str, folder: Path) -> str:
    """Return `text` after the user's editor, by way of a file in `folder`. Raises ChatError when none starts."""
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="prompt-", dir=folder) as private:
        path = Path(private) / "prompt.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            # the editor is the user's own choice, split as a shell would and run without one
            done = subprocess.run([*shlex.split(command), str(path)], check=False)  # noqa: S603
        except (OSError, ValueError) as failed:
            raise ChatError("configuration", f"cannot start {command!r}; set VISUAL or EDITOR") from failed
        if done.returncode != 0:
            return text
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n")
