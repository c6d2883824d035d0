"""Copying where terminals differ: tmux, native tools, OSC 52, and a file as the last resort.

Default tmux drops OSC 52, so inside tmux its own buffer is asked first. The answer names the way that was taken; only a
tool that answered may be called "copied".
"""

import os
import shutil
import subprocess
import tempfile
from collections.abc import Callable
from pathlib import Path

_OSC52_MOST = 70_000
"""Characters; terminals drop longer sequences."""
_NATIVE = (("WAYLAND_DISPLAY", ["wl-copy"]), ("DISPLAY", ["xclip", "-selection", "clipboard"]), ("", ["pbcopy"]))


def copy(text: str, osc52: Callable[[str], None], folder: Path) -> str:
    """Put `text` where the user can paste it; return how, as words for a toast. `folder` is for the last resort."""
    data = text.encode("utf-8", "replace")
    if os.environ.get("TMUX") and _run(["tmux", "load-buffer", "-w", "-"], data):
        osc52(text[:_OSC52_MOST])
        return "copied to tmux"
    if not os.environ.get("SSH_CONNECTION"):
        for variable, command in _NATIVE:
            if (not variable or os.environ.get(variable)) and _run(command, data):
                return "copied"
    if len(text) <= _OSC52_MOST:
        osc52(text)
        return "sent to the terminal's clipboard"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.NamedTemporaryFile(prefix="copied-", suffix=".md", dir=folder, delete=False) as file:
        file.write(data)
    return f"too long for the terminal; written to {Path(file.name)}"


def _run(command: list[str], data: bytes) -> bool:
    if shutil.which(command[0]) is None:
        return False
    try:
        # the text goes in on stdin; the command is one of the constants above
        done = subprocess.run(command, input=data, check=False, timeout=2, capture_output=True)  # noqa: S603
    except (OSError, subprocess.SubprocessError):
        return False
    return done.returncode == 0
