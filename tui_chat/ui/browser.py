"""Whether a link can be opened beside the terminal: a text browser would take the screen away from us."""

import os
import sys


def has_browser() -> bool:
    """Return True where a browser has a screen of its own."""
    if sys.platform in ("darwin", "win32"):
        return not os.environ.get("SSH_CONNECTION")
    return bool(os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY") or os.environ.get("WSL_DISTRO_NAME"))
