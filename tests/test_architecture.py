"""Who may import whom: the plan of the house, checked. Type-only and deferred imports count like all others."""

import ast
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import tui_chat

ROOT = Path(tui_chat.__file__).parent
PARTS = {
    "__main__": "cli", "commands": "cli", "doctor": "cli", "vocabularies": "tokens",
    "paths": "config", "api_keys": "config", "system_keyring": "config", "cache_files": "config",
    "provider_plans": "bootstrap", "model_lists": "bootstrap", "key_store": "bootstrap", "log_file": "bootstrap",
}  # fmt: skip
"""Rooms that take up more than one module of the package, by the name that the table knows."""
ALLOWED = {
    "cli": {"bootstrap", "core", "interchange", "ui", "web"},
    # interchange only to fill the exporter port
    "bootstrap": {"config", "catalog", "tokens", "providers", "store", "core", "interchange"},
    "web": {"core"},
    **{room: {"core"} for room in ("ui", "providers", "store", "interchange", "config", "catalog", "tokens")},
    **{room: set() for room in ("core", "__init__")},
}
HOMES = {
    "textual": ("ui", "web"),
    "textual_serve": ("web",),
    "markdown_it": ("ui",),
    "pygments": ("ui",),
    "httpx": ("providers.client", "providers.body"),
    "sqlite3": ("store",),
    "tiktoken": ("tokens", "vocabularies"),
    "regex": ("tokens", "vocabularies"),
    "platformdirs": ("paths",),
    "keyring": ("system_keyring",),
}
"""Foreign packages, and the only modules (and their children) that may know them."""


def name_of(path: Path) -> str:
    parts = path.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and len(parts) > 1 else parts)


MODULES = {name_of(path): path for path in sorted(ROOT.rglob("*.py"))}


def imported(name: str) -> Iterator[str]:
    """Yield every module that `name` imports anywhere in its text, by its full name."""
    for node in ast.walk(ast.parse(MODULES[name].read_text("utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{name} imports relatively"
            assert node.module is not None
            for alias in node.names:
                child = f"{node.module}.{alias.name}"
                yield child if child.removeprefix("tui_chat.") in MODULES else node.module


FOREIGN = {name: {i for i in imported(name) if i.split(".")[0] != "tui_chat"} for name in MODULES}
OURS = {name: {i.removeprefix("tui_chat.") for i in imported(name) if i.startswith("tui_chat.")} for name in MODULES}


def within(name: str, homes: tuple[str, ...]) -> bool:
    return any(name == home or name.startswith(f"{home}.") for home in homes)


def room_of(name: str) -> str:
    first = name.split(".", maxsplit=1)[0]
    return PARTS.get(first, first)


def edges() -> Iterator[tuple[str, str]]:
    yield from ((name, target) for name, targets in OURS.items() for target in sorted(targets))


def test_rooms_know_only_the_rooms_that_the_table_allows():
    wrong = []
    for name, target in edges():
        room, other = room_of(name), room_of(target)
        if other not in ALLOWED[room] | {room}:
            wrong.append(f"{name} → {target}")
    assert not wrong


def test_only_the_command_line_knows_the_app():
    assert [name for name, target in edges() if target == "ui.app" and room_of(name) != "cli"] == []
    assert {target for name, target in edges() if room_of(name) == "cli" and room_of(target) == "ui"} <= {"ui.app"}


def test_inside_the_screen_app_knows_screens_and_screens_know_widgets():
    lower = {"ui.widgets": ("ui.screens", "ui.app"), "ui.screens": ("ui.app",)}
    wrong = [(name, target) for name, target in edges() for floor, above in lower.items()
             if within(name, (floor,)) and within(target, above)]  # fmt: skip
    assert not wrong


def test_no_import_goes_in_a_circle():
    done: set[str] = set()

    def visit(name: str, trail: tuple[str, ...]) -> None:
        assert name not in trail, " → ".join((*trail[trail.index(name) :], name))
        if name not in done:
            for target in sorted(OURS.get(name, ())):
                visit(target, (*trail, name))
            done.add(name)

    for name in MODULES:
        visit(name, ())


def test_the_core_knows_nothing_but_the_standard_library():
    foreign = {i.split(".")[0] for name in MODULES if within(name, ("core",)) for i in FOREIGN[name]}
    assert foreign <= sys.stdlib_module_names
    assert not foreign & {"sqlite3", "socket", "ssl", "http", "urllib", "os", "pathlib", "subprocess"}


@pytest.mark.parametrize(("package", "homes"), HOMES.items())
def test_a_foreign_package_lives_in_one_place(package, homes):
    users = {name for name, names in FOREIGN.items() if package in {i.split(".")[0] for i in names}}
    assert {name for name in users if not within(name, homes)} == set()


def test_asking_from_a_script_does_not_load_the_screen():
    program = (
        "import runpy, sys\n"
        "sys.argv = ['tui-chat', 'ask', '--help']\n"
        "try:\n    runpy.run_module('tui_chat', run_name='__main__')\n"
        "except SystemExit as end:\n    assert not end.code, end.code\n"
        "assert 'tui_chat.cli' in sys.modules\n"
        "assert 'textual' not in sys.modules\n"
    )
    run = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False)
    assert run.returncode == 0, run.stderr
