"""The transcript in the running program: long histories, places that hold still, selection, code and links."""

import random
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing

import pytest
from textual.geometry import Offset
from textual.selection import Selection

from tests.loopback import Head, WaitFor, chat_chunk, chat_stream
from tests.store.made import HandClock, chat_named, finish, turn_in
from tests.ui.conftest import Driver, Program
from tui_chat.core.conversation import Turn
from tui_chat.core.errors import StorageError
from tui_chat.core.usage import Usage
from tui_chat.store.conversations import open_store
from tui_chat.ui.widgets.transcript.widget import Transcript

SSE = Head(200, {"Content-Type": "text/event-stream"})
ANSWER = (
    "Answer {n} begins.\n\n- an item with **marks**\n- another\n\n"
    "```python\ndef number_{n}():\n    return {n}\n```\n\n"
    "See [the page](https://example.org/{n}) about it, long enough to be wrapped at the width of a terminal.\n\n"
    "End of {n}."
)


def remember(
    program: Program,
    count: int,
    title: str = "a long story",
    answer: str = ANSWER,
    usage: Usage | None = Usage(1000, 100),  # noqa: B008  frozen
) -> None:
    """Put a conversation of so many turns into the history."""
    store = open_store(program.home / "chats.db", HandClock())
    chat, turns = chat_named(title), list[Turn]()
    for n in range(count):
        turn = turn_in(chat, f"Question {n}", continues=turns[-1].completions[0] if turns else None)
        finish(turn.completions[0], answer.format(n=n), usage=usage)
        turns.append(turn)
    store.import_trees([(chat, turns)])
    store.close()


async def open_first(driver: Driver) -> Transcript:
    await driver.press("ctrl+s", "enter")
    transcript = driver.screen.pane.transcript
    await driver.until(lambda: transcript.shown)
    return transcript


def in_view(driver: Driver) -> list[str]:
    """The rows of the transcript on the screen, without the edge of the sidebar and the scroll bar."""
    region = driver.screen.pane.transcript.region
    return [line[region.x : region.right - 1].rstrip() for line in driver.lines()[region.y : region.bottom]]


async def test_a_long_conversation_opens_at_its_end_and_older_turns_come_as_the_reader_goes_up(program):
    remember(program, 120)
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 119."))
        assert len(transcript.shown) < 60, "only the end was read"
        await driver.press("ctrl+t")
        for _ in range(400):
            await driver.press("pageup")
            if driver.shows("Question 0"):
                break
        assert driver.shows("Question 0")
        assert len(transcript.shown) == 120
        await driver.press("end")
        await driver.until(lambda: driver.shows("End of 119."))


async def test_what_the_reader_looks_at_holds_still_while_older_turns_come_in(program):
    remember(program, 80)
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 79."))
        await driver.press("ctrl+t")
        while transcript.shown[0].text.split()[1] != "0":
            before, known = in_view(driver), len(transcript.shown)
            transcript.scroll_relative(y=-7, animate=False)
            await driver.pilot.pause()
            now = in_view(driver)
            assert now[7:] == before[:-7], f"{known} turns were there, {len(transcript.shown)} are"


async def test_the_whole_history_is_sent_on_though_only_its_end_was_read(program):
    remember(program, 60)
    program.server.enqueue([SSE, chat_stream(["and on"])])
    async with program.running() as driver:
        transcript = await open_first(driver)
        assert len(transcript.shown) < 60
        await driver.ask("Go on")
        await driver.until(lambda: driver.idle and driver.shows("and on"))
        sent = program.server.requests[0].json["messages"]
        assert [m["content"] for m in sent if m["role"] == "user"] == [*(f"Question {n}" for n in range(60)), "Go on"]


async def test_the_estimate_counts_what_was_not_read_too(program):
    remember(program, 60, usage=None)
    async with program.running() as driver:
        await open_first(driver)
        pane = driver.screen.pane
        await driver.until(lambda: pane._accounts._tokens_in > 60 * 50)
        pane._services.counter.load()
        page_wise = pane._accounts.count(
            pane._accounts.sending(pane.session, "", pane._sessions.tips(pane.session))
        ).tokens
        pane._sessions.read_all(pane.session)
        assert (
            pane._accounts.count(pane._accounts.sending(pane.session, "", pane._sessions.tips(pane.session))).tokens
            == page_wise
        )


async def test_where_the_last_prompt_was_reported_the_estimate_goes_on_from_it(program):
    remember(program, 60)
    async with program.running() as driver:
        await open_first(driver)
        accounts = driver.screen.pane._accounts
        await driver.until(lambda: 1000 < accounts._tokens_in < 1200)


async def test_an_estimate_that_took_long_is_not_shown_in_another_conversation(program):
    remember(program, 60)
    async with program.running() as driver:
        transcript = await open_first(driver)
        pane, counting, go = driver.screen.pane, threading.Event(), threading.Event()
        real = pane._accounts.count

        def slow(sending):
            counting.set()
            go.wait(5)
            return real(sending)

        pane._accounts.count = slow
        pane._accounts._known = None
        pane.plan_estimate(0.0)
        await driver.until(counting.is_set)
        pane._accounts.count = real
        await driver.press("ctrl+n")
        await driver.until(lambda: not transcript.display and pane._accounts._tokens_in < 100)
        go.set()
        await driver.app.workers.wait_for_complete()
        assert pane._accounts._tokens_in < 100


@pytest.mark.parametrize("seed", range(4))
async def test_whatever_is_done_the_view_is_a_piece_of_the_whole(program, seed):
    """Scrolling, resizing, folding and jumping leave the rows in view consecutive rows of the conversation."""
    chance = random.Random(seed)
    remember(program, 30)
    async with program.running(size=(100, 30)) as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 29."))
        acts: list[Callable[[], object]] = [
            lambda: transcript.scroll_relative(y=chance.randint(-40, 40), animate=False),
            lambda: transcript.scroll_to(y=chance.randint(0, 400), animate=False),
            lambda: transcript.jump_to_code(chance.choice((-1, 1))),
            lambda: transcript.move_cursor(chance.choice((-1, 1))),
            transcript.follow,
        ]
        for _ in range(25):
            if chance.random() < 0.3:
                await driver.pilot.resize_terminal(chance.randint(30, 140), chance.randint(12, 45))
            else:
                chance.choice(acts)()
            await driver.pilot.pause()
            shown = [line.strip("▌ ") for line in in_view(driver)]
            assert "\n".join(shown).strip() in "\n".join(whole_text(transcript))


def whole_text(transcript: Transcript) -> list[str]:
    """All rows of the turns that are shown, drawn one by one."""
    look = transcript._current_look()
    assert look is not None
    rows: list[str] = []
    for view in transcript._flow.turns:
        view.ensure(look, 0, 10_000)
        found = [view.find(look, y) for y in range(view.height)]
        rows += [section.strip(at).text[: look.full_width - 1].strip("▌ ") for section, at in found]
    transcript._update()
    return rows


async def test_a_narrower_screen_keeps_the_place_of_the_reader(program):
    remember(program, 40)
    async with program.running(size=(120, 30)) as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 39."))
        transcript.scroll_relative(y=-150, animate=False)
        await driver.pilot.pause()
        top = next(line.strip("▌ ") for line in in_view(driver) if line.strip("▌ "))
        for width in (90, 61, 140, 120):
            await driver.pilot.resize_terminal(width, 30)
            await driver.pilot.pause()
        assert top in "\n".join(in_view(driver)[:6])


async def test_a_theme_recolours_what_is_drawn_and_what_still_arrives(program):
    gate = threading.Event()
    program.server.enqueue([SSE, chat_chunk("first **part**\n\n"), WaitFor(gate), chat_stream(["second part"])])
    async with program.running() as driver:
        await driver.ask("colours")
        await driver.until(lambda: driver.shows("first part"))
        driver.app.theme = "tui-chat-light"
        await driver.pilot.pause()
        gate.set()
        await driver.until(lambda: driver.idle and driver.shows("second part"))
        grounds = {
            segment.style.bgcolor.name
            for strip in driver.screen.pane.transcript._painted
            for segment in strip
            if segment.style is not None and segment.style.bgcolor is not None
        }
        assert grounds == {"#fbfaf7", "#f0eee8"}


async def test_a_selection_over_messages_copies_their_text_without_the_screen(program):
    remember(program, 2)
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 1."))
        rows = [transcript.render_line(y).text for y in range(transcript.size.height)]
        first = next(y for y, row in enumerate(rows) if "End of 0." in row)
        last = next(y for y, row in enumerate(rows) if "- an item" in row or ("• an item" in row and y > first))
        top = transcript.scroll_offset.y
        await driver.pilot.mouse_down(transcript, offset=(2, first))
        await driver.pilot.hover(transcript, offset=(30, last))
        await driver.pilot.mouse_up(transcript, offset=(30, last))
        chosen = driver.screen.selections[transcript]
        assert chosen.start is not None
        assert chosen.start.y == top + first
        words = driver.screen.get_selected_text()
        assert words is not None
        lines = [line for line in words.splitlines() if line.strip()]
        assert lines == ["End of 0.", "Question 1", "Answer 1 begins.", "• an item with marks"]


async def test_selected_rows_are_painted_so_and_come_back(program):
    remember(program, 1)
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 0."))
        plain = list(transcript._painted)
        driver.screen.selections = {transcript: Selection(Offset(2, 3), Offset(9, 6))}
        await driver.pilot.pause()
        assert [now == before for now, before in zip(transcript._painted, plain, strict=True)][2:8] == [
            True,
            False,
            False,
            False,
            False,
            True,
        ]
        await driver.press("escape")
        await driver.pilot.pause()
        assert transcript._painted == plain


async def test_one_can_go_from_code_to_code_and_copy_the_one_in_hand(program):
    remember(program, 30)
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 29."))
        await driver.press("ctrl+t")
        for n in (29, 28, 27, 26):
            await driver.press("left_curly_bracket")
            assert transcript.code_in_hand == f"def number_{n}():\n    return {n}\n"
            assert driver.shows(f"number_{n}")
        await driver.press("right_curly_bracket")
        assert transcript.code_in_hand == "def number_27():\n    return 27\n"
        await driver.until(lambda: driver.shows("Code block 1 of 1"))


async def test_a_link_shows_where_it_leads_before_anything_is_opened(program, monkeypatch):
    remember(program, 1, answer="[your bank](https://evil.example/x) and <https://other.example> and [no](file:///etc)")
    opened: list[str] = []
    async with program.running() as driver:
        monkeypatch.setenv("DISPLAY", ":0")
        driver.app.open_url = opened.append
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("your bank"))
        await driver.press("ctrl+t", "o")
        await driver.until(lambda: len(driver.app.screen_stack) > 1)
        assert driver.shows("https://evil.example/x")
        assert driver.shows("https://other.example")
        assert not opened
        box = driver.app.screen.query_one(".box").region
        assert box.x > 5, "it stands in the middle, over the chat"
        assert box.y > 5
        await driver.press("down", "enter")
        await driver.until(lambda: opened)
        assert opened == ["https://other.example"]
        row = next(y for y, line in enumerate(in_view(driver)) if "your bank" in line)
        await driver.pilot.click(transcript, offset=(4, row))
        await driver.until(lambda: len(driver.app.screen_stack) > 1)
        assert driver.shows("https://evil.example/x")
        await driver.press("escape")
        assert len(opened) == 1


async def test_the_thinking_unfolds_with_a_click_and_keeps_its_place(program):
    thinking = b'data: {"choices":[{"index":0,"delta":{"reasoning_content":"I think so"}}]}\n\n'
    program.server.enqueue([SSE, thinking, chat_stream(["the answer"])])
    async with program.running() as driver:
        await driver.ask("why")
        await driver.until(lambda: driver.idle and driver.shows("the answer"))
        assert not driver.shows("I think so")
        row = next(y for y, line in enumerate(in_view(driver)) if "thinking" in line)
        await driver.pilot.click(driver.screen.pane.transcript, offset=(5, row))
        await driver.until(lambda: driver.shows("I think so"))
        await driver.pilot.click(driver.screen.pane.transcript, offset=(5, row))
        await driver.until(lambda: not driver.shows("I think so"))


async def test_a_prompt_sent_while_reading_back_goes_to_the_end(program):
    remember(program, 10)
    program.server.enqueue([SSE, chat_stream(["at the end"])])
    async with program.running() as driver:
        transcript = await open_first(driver)
        transcript.scroll_relative(y=-100, animate=False)
        await driver.pilot.pause()
        await driver.ask("hi")
        await driver.until(lambda: driver.idle and driver.shows("at the end"))
        assert transcript.following


async def test_after_reading_back_in_one_conversation_another_opens_at_its_end(program):
    remember(program, 2, "short", answer="line\n\n" * 120)
    remember(program, 60, "long")
    async with program.running() as driver:
        transcript = await open_first(driver)
        for key in ("down", "up", "down"):
            transcript.scroll_to(y=0, animate=False)
            await driver.press("ctrl+s", key, "enter")
            await driver.until(lambda: transcript.following)
        assert not transcript.more_below


async def test_a_branch_from_an_early_prompt_survives_a_look_elsewhere(program):
    remember(program, 50)
    remember(program, 1, "other")
    program.server.enqueue([SSE, chat_stream(["the branch"])])
    async with program.running() as driver:
        await driver.press("ctrl+s", "down", "enter")
        await driver.until(lambda: driver.shows("End of 49."))
        transcript = driver.screen.pane.transcript
        while transcript.shown[0].text.split()[1] != "0":
            transcript.scroll_to(y=0, animate=False)
            await driver.pilot.pause()
        for _ in range(45):
            await driver.press("alt+up")
        await driver.press("ctrl+t", "e")
        await driver.until(lambda: driver.prompt == "Question 4")
        await driver.press("ctrl+s", "up", "enter")
        await driver.until(lambda: driver.shows("End of 0."))
        await driver.press("ctrl+s", "down", "enter")
        await driver.until(lambda: driver.prompt == "Question 4")
        await driver.press("enter")
        await driver.until(lambda: driver.idle and driver.shows("the branch"))
        assert [completion.text.split()[0] for completion in transcript.shown[-2:]] == ["Answer", "the"]


async def test_page_after_page_up_nothing_is_skipped_while_older_turns_come_in(program):
    remember(program, 80)
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 79."))
        await driver.press("ctrl+t")
        while transcript.scroll_y or transcript.shown[0].text.split()[1] != "0":
            before = [line for line in in_view(driver) if line]
            await driver.press("pageup")
            await driver.pilot.pause()
            assert set(before) & {line for line in in_view(driver) if line.strip("▌ ")}, "the pages do not overlap"


@pytest.mark.parametrize("pieces", [2, 20])
async def test_the_end_of_a_long_paragraph_does_not_move_who_reads_back_in_it(program, pieces):
    sentences = [f"Sentence {n} says something. " for n in range(400 * pieces)]
    gate = threading.Event()
    chunks = [chat_chunk("".join(sentences[at : at + 400])) for at in range(0, len(sentences), 400)]
    program.server.enqueue([SSE, *chunks, WaitFor(gate), chat_stream(["The end."])])
    async with program.running() as driver:
        await driver.ask("a long one")
        transcript = driver.screen.pane.transcript
        await driver.until(lambda: driver.shows(f"Sentence {len(sentences) - 1}"), timeout_s=30)
        transcript.scroll_relative(y=-42, animate=False)
        await driver.pilot.pause()
        before = in_view(driver)[:-2]
        gate.set()
        await driver.until(lambda: driver.idle, timeout_s=30)
        assert in_view(driver)[:-2] == before


async def test_a_selection_stays_on_its_words_when_heights_above_it_are_corrected(program):
    remember(program, 60, answer="# Head {n}\n\n" * 12 + "the words {n} to keep")
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("the words 59"))
        row = next(y for y, line in enumerate(in_view(driver)) if "the words 59" in line)
        await driver.pilot.mouse_down(transcript, offset=(2, row))
        await driver.pilot.hover(transcript, offset=(13, row))
        await driver.pilot.mouse_up(transcript, offset=(13, row))
        assert driver.screen.get_selected_text() == "the words 59"
        for _ in range(12):
            transcript.scroll_relative(y=-60, animate=False)
            await driver.pilot.pause()
        assert len(transcript.shown) > 20, "older turns came in"
        assert driver.screen.get_selected_text() == "the words 59"


async def test_selecting_everything_copies_every_row_of_what_was_never_drawn(program):
    remember(program, 18, answer="\n\n".join(f"# Head {{n}}-{at}" for at in range(30)))
    async with program.running() as driver:
        transcript = await open_first(driver)
        driver.screen.selections = {transcript: Selection(None, None)}
        words = driver.screen.get_selected_text()
        assert words is not None
        assert words.count("Head") == 18 * 30


async def test_older_turns_that_could_not_be_read_once_are_read_later(program):
    remember(program, 60)
    async with program.running() as driver:
        transcript = await open_first(driver)
        pane = driver.screen.pane
        real = pane._store.page

        def fails(*_args: object, **_options: object):
            raise StorageError("the disk is away")

        pane._store.page = fails
        transcript.scroll_to(y=0, animate=False)
        await driver.until(lambda: driver.shows("the disk is away"))
        pane._store.page = real
        await driver.until(lambda: not transcript._asked_earlier)
        transcript.scroll_to(y=1, animate=False)
        await driver.until(lambda: len(transcript.shown) > 20)


async def test_code_far_above_is_found_though_nothing_of_it_was_read(program):
    remember(program, 1, "code", answer="```python\nfar = 1\n```")
    store = open_store(program.home / "chats.db", HandClock())
    chat = store.conversations()[0]
    turns = store.path(chat.id)
    conversation = store.conversation(chat.id)
    assert conversation is not None
    store.delete_conversation(chat.id).result()
    for n in range(60):
        turn = turn_in(conversation, f"Question {n}", continues=turns[-1].completions[0])
        finish(turn.completions[0], "Only words.")
        turns.append(turn)
    store.import_trees([(conversation, turns)])
    store.close()
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.press("ctrl+t", "left_curly_bracket")
        await driver.until(lambda: driver.shows("far = 1"))
        assert transcript.code_in_hand == "far = 1\n"
        await driver.press("left_curly_bracket")
        await driver.until(lambda: driver.shows("No code above."))


async def test_what_is_half_typed_stays_when_another_branch_is_shown(program):
    for words in ("first", "second"):
        program.server.enqueue([SSE, chat_stream([words])])
    async with program.running() as driver:
        await driver.ask("question")
        await driver.until(lambda: driver.idle and driver.shows("first"))
        await driver.press("ctrl+t", "e")
        await driver.ask(" again")
        await driver.until(lambda: driver.idle and driver.shows("second"))
        await driver.type("half")
        await driver.press("ctrl+t", "left_square_bracket")
        await driver.until(lambda: driver.shows("first"))
        assert driver.prompt == "half"


async def test_without_colour_nothing_of_the_transcript_has_one_and_no_control_character_is_painted(
    program, monkeypatch
):
    monkeypatch.setenv("NO_COLOR", "1")
    remember(program, 1, answer="red \x1b[31m and \u202e and \x9b `code`\n\n```python\nx = '\x1b]0;t'\n```")
    async with program.running() as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("and"))
        segments = [segment for strip in transcript._painted for segment in strip]
        assert [segment.text for segment in segments if not segment.text.isprintable()] == []
        colours = {c.triplet for s in segments if s.style for c in (s.style.color, s.style.bgcolor) if c is not None}
        assert colours
        assert all(triplet is not None and triplet.red == triplet.green == triplet.blue for triplet in colours)


async def test_a_branch_sent_while_what_it_replaces_is_in_view_goes_to_the_end(program):
    remember(program, 12)
    program.server.enqueue([SSE, chat_stream(["the branch"])])
    async with program.running(size=(70, 34)) as driver:
        transcript = await open_first(driver)
        await driver.until(lambda: driver.shows("End of 11."))
        for _ in range(6):
            await driver.press("alt+up")
        await driver.press("ctrl+t", "e")
        for _ in range(12):
            transcript.scroll_relative(y=6, animate=False)
            await driver.pilot.pause()
        await driver.pilot.resize_terminal(200, 34)
        await driver.press("enter")
        await driver.until(lambda: driver.idle and driver.shows("the branch"))
        assert transcript.following


async def test_the_program_starts_and_answers_with_ascii_glyphs(program):
    program.server.enqueue([SSE, chat_stream(["- an item\n\n> a quote"])])
    async with program.running(more='[ui]\nglyphs = "ascii"\n') as driver:
        await driver.ask("hi")
        await driver.until(lambda: driver.idle and driver.shows("- an item"))
        assert all(line.isascii() for line in in_view(driver))


async def test_one_can_go_to_code_while_more_text_arrives(program):
    gate = threading.Event()
    blocks = "".join("Words.\n\n" * 30 + f"```python\nblock = {n}\n```\n\n" for n in range(3))
    chunks = [chat_chunk(blocks[at : at + 40]) for at in range(0, len(blocks), 40)]
    program.server.enqueue([SSE, *chunks, chat_chunk("Words.\n\n" * 60), WaitFor(gate), chat_stream(["End."])])
    async with program.running() as driver:
        await driver.ask("code")
        transcript = driver.screen.pane.transcript
        await driver.until(lambda: transcript.virtual_size.height > 290)
        await driver.press("ctrl+t", "left_curly_bracket")
        await driver.until(lambda: driver.shows("block = 2"))
        await driver.press("left_curly_bracket")
        await driver.until(lambda: driver.shows("block = 1"))
        gate.set()
        await driver.until(lambda: driver.idle)
        assert driver.shows("block = 1")


async def test_a_damaged_history_that_goes_in_a_circle_can_still_be_gone_on_from(program):
    remember(program, 50)
    with closing(sqlite3.connect(program.home / "chats.db")) as connection:
        newest = "SELECT c.id FROM completions c JOIN turns t ON t.id = c.turn_id ORDER BY t.n DESC LIMIT 1"
        last = connection.execute(newest).fetchone()
        connection.execute("UPDATE turns SET continues = ? WHERE continues IS NULL", last)
        connection.commit()
    program.server.enqueue([SSE, chat_stream(["and on"])])
    async with program.running() as driver:
        await open_first(driver)
        await driver.ask("Go on")
        await driver.until(lambda: driver.idle and driver.shows("and on"))
        prompts = [m["content"] for m in program.server.requests[0].json["messages"] if m["role"] == "user"]
        assert prompts == [*(f"Question {n}" for n in range(50)), "Go on"]
