"""The widget in a small application."""

from __future__ import annotations

import subprocess
import sys
from typing import ClassVar

from textual.app import App, ComposeResult
from textual.containers import VerticalScroll
from textual.geometry import Offset, Size
from textual.selection import SELECT_ALL, Selection

from tui_chat.ui.widgets.markdown_log.widget import MarkdownLog

LONG = "A paragraph that is a good deal longer than the forty cells of this screen, 日本語 included."


class LogApp(App[None]):
    CSS: ClassVar[str] = "MarkdownLog .markdown-log--code { background: #1e2128; }"

    def __init__(self, log: MarkdownLog) -> None:
        super().__init__()
        self.log_widget = log

    def compose(self) -> ComposeResult:
        with VerticalScroll():
            yield self.log_widget


def screen_text(log: MarkdownLog) -> list[str]:
    return [log.render_line(y).text.rstrip() for y in range(log.size.height)]


async def test_text_fed_before_mounting_is_laid_out_at_the_first_size() -> None:
    log = MarkdownLog(finished=False)
    log.feed("# Title\n\nSome ")
    log.feed("text")
    assert log.source == "# Title\n\nSome text"
    async with LogApp(log).run_test(size=(42, 20)):
        assert screen_text(log) == ["Title", "─────", "", "Some text▍"]


async def test_streaming_grows_the_widget_and_finalising_drops_the_mark() -> None:
    log = MarkdownLog(finished=False)
    async with LogApp(log).run_test(size=(42, 20)) as pilot:
        assert screen_text(log) == ["▍"]
        for word in ("Hello ", "**wor", "ld**\n", "\n- one\n", "- two"):
            log.feed(word)
            await pilot.pause()
        assert screen_text(log) == ["Hello world", "", "• one", "• two▍"]
        log.finalise()
        await pilot.pause()
        assert screen_text(log) == ["Hello world", "", "• one", "• two"]
        assert not log.running


async def test_a_streamed_text_ends_up_on_the_screen_as_one_given_whole() -> None:
    code = "".join(f'value_{n} = """text {n}"""  # note\n' for n in range(600))
    rows = "".join(f"| {n} | a cell of row {n} | {n}.5 |\n" for n in range(90))
    items = "".join(f"  - nested item {n} of a long list\n" for n in range(300))
    source = (
        f"Intro.\n\n```python\n{code}```\n\nBetween **x**.\n\n| n | a | b |\n|---|---|---|\n{rows}\n"
        f"- top\n{items}\n{LONG * 60}\n\nEnd."
    )
    streamed = MarkdownLog(finished=False)
    async with LogApp(streamed).run_test(size=(60, 20)) as pilot:
        for at in range(0, len(source), 611):
            streamed.feed(source[at : at + 611])
        streamed.finalise()
        await pilot.pause()
        whole = MarkdownLog(source)
        await pilot.app.screen.mount(whole)
        await pilot.pause()
        height = whole.get_content_height(Size(60, 20), Size(60, 20), streamed.content_size.width)
        assert streamed.size.height == height
        assert [streamed._rows.row(y) for y in range(height)] == [whole._rows.row(y) for y in range(height)]
        assert streamed.code_blocks == whole.code_blocks == [code]


async def test_a_layout_is_asked_for_only_when_the_number_of_rows_changed() -> None:
    log = MarkdownLog("one", finished=False)
    async with LogApp(log).run_test(size=(42, 20)) as pilot:
        await pilot.pause()
        before = log._layout_updates
        log.feed(" more")
        await pilot.pause()
        assert log._layout_updates == before
        log.feed("\n\nnext")
        await pilot.pause()
        assert log._layout_updates > before


async def test_copying_joins_rows_that_are_one_line_and_leaves_decoration_out() -> None:
    code = "```python\nif x:\n    print('a line of code that does not fit into forty cells at all')\n```"
    log = MarkdownLog(f"{LONG}\n\n> {LONG}\n\n1. {LONG}\n2. two\n\n{code}\n")
    async with LogApp(log).run_test(size=(42, 40)):
        copied = log.get_selection(SELECT_ALL)
        assert copied is not None
        body = code.partition("\n")[2].removesuffix("\n```")
        assert copied[0] == f"{LONG}\n\n{LONG}\n\n1. {LONG}\n2. two\n\n{body}"


async def test_a_selection_counts_characters_not_cells() -> None:
    log = MarkdownLog("日本語 text")
    async with LogApp(log).run_test(size=(42, 10)) as pilot:
        assert log.get_selection(Selection(Offset(1, 0), Offset(5, 0))) == ("本語 t", "\n")
        log.screen.selections = {log: Selection(Offset(1, 0), Offset(5, 0))}
        await pilot.pause()
        style = log.selection_style
        marked = "".join(s.text for s in log.render_line(0) if s.style and s.style.bgcolor == style.bgcolor)
        assert marked == "本語 t"


async def test_dragging_the_mouse_selects_what_it_passes() -> None:
    log = MarkdownLog(LONG)
    async with LogApp(log).run_test(size=(42, 10)) as pilot:
        await pilot.mouse_down(log, offset=(2, 0))
        await pilot.hover(log, offset=(11, 1))
        await pilot.mouse_up(log, offset=(11, 1))
        selected = log.screen.get_selected_text()
        assert selected is not None
        assert LONG.startswith("A " + selected[:30])
        assert "\n" not in selected


async def test_another_width_and_another_theme_lay_the_text_out_again() -> None:
    log = MarkdownLog(f"{LONG}\n\n```python\nif x: pass\n```")
    app = LogApp(log)
    async with app.run_test(size=(42, 20)) as pilot:
        narrow = len(screen_text(log))
        await pilot.resize_terminal(100, 20)
        await pilot.pause()
        assert len(screen_text(log)) < narrow
        before = {s.style for s in log.render_line(0)}
        app.theme = "textual-light"
        await pilot.pause()
        after = {s.style for s in log.render_line(0)}
        assert before.isdisjoint(after)


async def test_clearing_and_feeding_again_starts_from_nothing() -> None:
    log = MarkdownLog("# old\n\ntext")
    async with LogApp(log).run_test(size=(42, 10)) as pilot:
        log.clear()
        await pilot.pause()
        assert (log.source, log.size.height) == ("", 0)
        log.feed("new")
        log.finalise()
        await pilot.pause()
        assert screen_text(log) == ["new"]


async def test_a_finished_text_can_go_on() -> None:
    log = MarkdownLog("Stopped in the")
    async with LogApp(log).run_test(size=(42, 10)) as pilot:
        log.running = True
        log.feed(" middle")
        await pilot.pause()
        assert screen_text(log) == ["Stopped in the middle▍"]


async def test_markup_in_a_text_is_text() -> None:
    log = MarkdownLog("[@click=app.quit]x[/] [/nope] [red]y[/red]")
    async with LogApp(log).run_test(size=(60, 10)):
        assert screen_text(log) == ["[@click=app.quit]x[/] [/nope] [red]y[/red]"]
        assert not any(s.style and (s.style.link or "@click" in s.style.meta) for s in log.render_line(0))


async def test_glyphs_fall_back_to_ascii() -> None:
    log = MarkdownLog("- [x] done\n\n> q\n\n---", finished=False)
    log.glyphs = "ascii"
    async with LogApp(log).run_test(size=(20, 10)):
        assert all(line.isascii() for line in screen_text(log))


def test_importing_the_widget_imports_neither_parser_nor_lexers() -> None:
    code = (
        "import sys, tui_chat.ui.widgets.markdown_log.widget as w; w.MarkdownLog('x');"
        "print([m for m in ('markdown_it', 'pygments', 'mdit_py_plugins') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
