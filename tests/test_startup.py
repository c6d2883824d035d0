"""What the first paint costs is what it loads: the real program in a terminal, looked into as its screen leaves."""

import json
import os
import pty
import subprocess
import sys
from pathlib import Path

import pytest

LATER = {
    # the network
    "httpx", "httpcore", "h11", "anyio", "tui_chat.providers.client", "tui_chat.providers.openai_chat",
    "tui_chat.providers.framing", "tui_chat.providers.failures", "tui_chat.providers.wire", "tui_chat.providers.demo",
    # markdown
    "markdown_it", "mdit_py_plugins", "linkify_it", "pygments",
    # counting
    "tiktoken", "regex", "gzip",
    # what only some starts need, and what only some keys ask for
    "argparse", "tomllib", "tui_chat.commands.arguments", "tui_chat.config.file", "tui_chat.config.readers", "keyring",
    "tui_chat.interchange", "tui_chat.ui.screens.help", "tui_chat.ui.screens.model_picker",
    "tui_chat.ui.screens.link_box", "tui_chat.ui.screens.key_box", "tui_chat.ui.screens.params_box",
    "tui_chat.ui.editor", "tui_chat.ui.screens.usage", "tui_chat.ui.widgets.bars",
    "tui_chat.store.usage_report", "tui_chat.core.usage_report",
    "tui_chat.ui.screens.cost_box", "tui_chat.ui.screens.elsewhere_box", "tui_chat.core.breakdown",
    "tui_chat.core.elsewhere", "hashlib", "statistics", "tui_chat.core.fuzzy", "tui_chat.core.seam",
    "tui_chat.config.writing", "tui_chat.doctor",
    # what draws answers
    "tui_chat.ui.widgets.transcript", "tui_chat.ui.widgets.markdown_log",
}  # fmt: skip
"""Nothing of this may be loaded when the first screen is written, children included."""
LOOKER = """
import json, os, sys
from tui_chat.ui.terminal_driver import TerminalDriver

def write(self, data, write=TerminalDriver.write):
    write(self, data)
    if "sk anything" in data:  # the prompt; its first letter is under the cursor
        with open(sys.argv[1], "w") as file:
            json.dump([list(sys.modules), gc.isenabled()], file)
        os._exit(0)

import gc
TerminalDriver.write = write
from tui_chat.cli import main
main([])
"""


@pytest.fixture
def first_paint(tmp_path: Path) -> tuple[set[str], bool]:
    """The modules loaded at the first paint, and whether garbage is collected by then."""
    found = tmp_path / "found.json"
    outer, inner = pty.openpty()
    environ = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(Path(__file__).parents[1]),
        "HOME": str(tmp_path),
        "TUI_CHAT_HOME": str(tmp_path / "home"),
        "TERM": "xterm-256color",
        "COLUMNS": "120",
        "LINES": "40",
    }
    program = subprocess.Popen(
        [sys.executable, "-c", LOOKER, str(found)], stdin=inner, stdout=inner, stderr=inner, env=environ
    )
    os.close(inner)
    try:
        assert program.wait(30) == 0
    finally:
        program.kill()
        os.close(outer)
    modules, collects = json.loads(found.read_text())
    return set(modules), collects


def test_what_the_first_answer_needs_can_be_loaded_before_it():
    program = (
        "import sys\n"
        "from tui_chat.ui.widgets.transcript.warm import warm\n"
        "warm()\n"
        "wanted = {'tui_chat.ui.widgets.transcript.widget', 'markdown_it', 'pygments.lexers.python'}\n"
        "assert wanted <= set(sys.modules), wanted - set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", program], check=True, timeout=60)


def test_the_first_paint_loads_only_what_it_shows(first_paint):
    modules, collects = first_paint
    assert "tui_chat.ui.app" in modules
    early = {name for name in modules if any(name == late or name.startswith(f"{late}.") for late in LATER)}
    assert early == set()
    assert not collects, "garbage is looked for once the screen is there"
