"""A lone Esc is told from the beginning of a key sequence by waiting; how long is settled before the screen loads."""

import os
import subprocess
import sys

import pytest

LOADED = """
import os
from tui_chat.commands.app import _loaded
_loaded()
from textual.constants import ESCAPE_DELAY
print(ESCAPE_DELAY, os.environ.get("ESCDELAY"), os.environ.get("TEXTUAL_FPS"))
"""


@pytest.mark.parametrize(("users", "known"), [(None, "0.025 None None"), ("300", "0.3 300 None")])
def test_esc_is_known_soon_unless_the_user_chose_a_delay(users: str | None, known: str) -> None:
    environment = {name: value for name, value in os.environ.items() if name != "ESCDELAY"}
    if users is not None:
        environment["ESCDELAY"] = users
    done = subprocess.run([sys.executable, "-c", LOADED], env=environment, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == known
