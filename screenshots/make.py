"""Draws the pictures of the README: drives the app itself with the built-in models and saves what it shows.

    python screenshots/make.py [NAME ...]

Writes SVG files, and PNG files beside them where Chromium is installed.
"""

import asyncio
import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path

FOLDER = Path(__file__).parent
FONT = "JetBrains Mono, DejaVu Sans Mono, monospace"

os.environ["COLORTERM"] = "truecolor"
os.environ.pop("TMUX", None)

from textual.pilot import Pilot  # noqa: E402  the environment above is read at import

from tui_chat.bootstrap import Ground  # noqa: E402
from tui_chat.ui.app import ChatApp  # noqa: E402

Script = Callable[["Pilot[None]", ChatApp], Awaitable[None]]


async def until(condition: Callable[[], bool], pilot: "Pilot[None]") -> None:
    for _ in range(2000):
        if condition():
            return
        await pilot.pause(0.01)
    raise TimeoutError


async def say(pilot: "Pilot[None]", words: str) -> None:
    for character in words:
        await pilot.press("space" if character == " " else character)
    await pilot.press("enter")


def written(app: ChatApp) -> int:
    """How many characters of an answer have arrived."""
    return sum(len(r.completion.text) for r in app.streams.all)


async def empty(pilot: "Pilot[None]", _app: ChatApp) -> None:
    """Nothing was ever asked."""
    await pilot.pause(0.3)


async def chat(pilot: "Pilot[None]", app: ChatApp) -> None:
    """An answer streams, an older one settled."""
    await say(pilot, "Explain SSE in two sentences")
    await until(lambda: not app.streams and bool(app.screen.query("Transcript")), pilot)
    await say(pilot, "What is this?")
    await until(lambda: written(app) > 900, pilot)


async def stopped(pilot: "Pilot[None]", app: ChatApp) -> None:
    """An answer was stopped with Esc."""
    await say(pilot, "What do the costs mean?")
    await until(lambda: written(app) > 400, pilot)
    await pilot.press("escape")
    await until(lambda: not app.streams, pilot)
    await pilot.pause(0.2)


async def compare(pilot: "Pilot[None]", app: ChatApp) -> None:
    """Three models answer one prompt; the first has ended."""
    catalog = app._services.catalog  # noqa: SLF001
    app.screen.pane.use_models([catalog.resolve(f"demo/{name}") for name in ("quick", "thinker", "rambler")])
    await say(pilot, "Explain SSE in two sentences")
    await until(lambda: len(app.streams.all) == 1 and written(app) > 700, pilot)


PICTURES: dict[str, tuple[Script, tuple[int, int], str, str]] = {
    f"{name}-{width}x{height}-{theme}": (script, (width, height), f"textual-{theme}", model)
    for name, script, model in (
        ("empty", empty, "quick"),
        ("chat", chat, "quick"),
        ("compare", compare, "quick"),
        ("stopped", stopped, "thinker"),
    )
    for width, height, theme in ((80, 24, "light"), (120, 40, "dark"), (120, 40, "light"), (200, 60, "dark"))
}


async def draw(name: str) -> str:
    """Return the SVG of one picture."""
    script, size, theme, model = PICTURES[name]
    with tempfile.TemporaryDirectory() as home:
        Path(home, "config.toml").write_text(  # noqa: ASYNC240  nothing else runs yet
            f'default_model = "demo/{model}"\n[ui]\ntheme = "{theme}"\n'
        )
        ground = Ground.lay({"TUI_CHAT_HOME": home, "TZ": "UTC"})
        store, providers = ground.open_store(), ground.providers()
        app = ChatApp(ground.services(store, providers))
        async with app.run_test(size=size) as pilot:
            await pilot.pause(0.8)  # the vocabulary loads when nobody types
            await script(pilot, app)
            svg = app.export_screenshot(title="tui-chat")
        store.close()
    svg = re.sub(r"@font-face\s*\{.*?\}", "", svg, flags=re.DOTALL)
    return re.sub(r"font-family: ?Fira Code,? ?monospace", f"font-family: {FONT}", svg).replace("Fira Code", FONT)


def to_png(svg: Path) -> None:
    browser = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
    if browser is None:
        return
    width, height = re.search(r'viewBox="0 0 ([\d.]+) ([\d.]+)"', svg.read_text()).groups()  # type: ignore[union-attr]
    options = ["--headless", "--no-sandbox", "--disable-gpu", "--hide-scrollbars", "--disable-background-networking"]
    subprocess.run(  # noqa: S603
        [
            browser,
            *options,
            f"--screenshot={svg.with_suffix('.png')}",
            f"--window-size={int(float(width))},{int(float(height))}",
            str(svg),
        ],
        check=True,
        capture_output=True,
        timeout=120,
    )


def main() -> None:
    for name in sys.argv[1:] or PICTURES:
        path = FOLDER / f"{name}.svg"
        path.write_text(asyncio.run(draw(name)))
        to_png(path)
        if path.with_suffix(".png").exists():
            path.unlink()
        print(name)  # noqa: T201


if __name__ == "__main__":
    main()
