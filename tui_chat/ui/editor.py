"""The prompt in the user's own editor."""

import asyncio
import os
import shlex
import tempfile
from contextlib import suppress
from pathlib import Path

from tui_chat.core.errors import ChatError


async def edited(text: str, folder: Path) -> str:
    """Return `text` after the user's editor, by way of a file in `folder`. Raises ChatError when none starts.

    The loop goes on while the editor runs; when this is cancelled the editor is ended.
    """
    command = os.environ.get("VISUAL") or os.environ.get("EDITOR") or "vi"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)  # noqa: ASYNC240  a handful of small local calls
    with tempfile.TemporaryDirectory(prefix="prompt-", dir=folder) as private:
        path = Path(private) / "prompt.md"
        path.write_text(text, encoding="utf-8", errors="replace")
        try:
            # the editor is the user's own choice, split as a shell would and run without one
            editor = await asyncio.create_subprocess_exec(*shlex.split(command), str(path))
        except (OSError, ValueError) as failed:
            raise ChatError("configuration", f"cannot start {command!r}; set VISUAL or EDITOR") from failed
        try:
            code = await editor.wait()
        except asyncio.CancelledError:
            with suppress(ProcessLookupError):
                editor.terminate()
            raise
        return path.read_text(encoding="utf-8", errors="replace").rstrip("\n") if code == 0 else text
