"""The list of conversations: its lines without an app, then in one, over real histories."""

import asyncio
import random
import sqlite3
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, closing
from datetime import UTC, date, datetime, timedelta

import pytest
from textual.app import App
from textual.pilot import Pilot

from tests.loopback import Head, chat_stream
from tests.store.made import NOON, HandClock, chat_named, opened, said, turn_in
from tui_chat.core.conversation import Listing
from tui_chat.core.errors import StorageError
from tui_chat.core.ids import new_id
from tui_chat.ui.theme import ASCII, THEMES, UNICODE
from tui_chat.ui.widgets.conversation_list import ConversationList, Lines, Matches
from tui_chat.ui.widgets.sidebar import Sidebar

TODAY = date(2026, 3, 5)
MANY = 100_000
SSE = Head(200, {"Content-Type": "text/event-stream"})


def at(days_ago, pinned=False, title=""):
    """A row of the list, as the database gives it."""
    noon = datetime.combine(TODAY - timedelta(days=days_ago), datetime.min.time().replace(hour=12)).astimezone(UTC)
    return pinned, (new_id(), title or f"{days_ago} days ago", noon.isoformat(timespec="microseconds"))


def listing_of(*rows):
    return Listing([row for _, row in rows], sum(pinned for pinned, _ in rows))


def drawn(lines, listing):
    return [
        lines.heading_at(line) if (row := lines.row_at(line)) is None else listing[lines.place_of(row)].title
        for line in range(lines.count)
    ]


def test_groups_have_a_heading_and_a_blank_line_between():
    listing = listing_of(at(9, pinned=True), at(0), at(0), at(1), at(2), at(400))
    lines = Lines(listing, range(6), TODAY)
    assert drawn(lines, listing) == [
        *("pinned", "9 days ago", ""),
        *("today", "0 days ago", "0 days ago", ""),
        *("yesterday", "1 days ago", ""),
        *("earlier", "2 days ago", "400 days ago"),
    ]


def test_a_group_without_rows_has_no_heading():
    listing = listing_of(at(0), at(3))
    assert drawn(Lines(listing, [1], TODAY), listing) == ["earlier", "3 days ago"]
    assert drawn(Lines(listing, [0], TODAY), listing) == ["today", "0 days ago"]
    assert Lines(listing, [], TODAY).count == 0


def test_a_clock_that_is_ahead_is_today():
    listing = listing_of(at(-3), at(0))
    assert drawn(Lines(listing, range(2), TODAY), listing)[0] == "today"


def test_every_row_has_its_line_and_every_line_its_row():
    listing = listing_of(*(at(0, pinned=True) for _ in range(3)), *(at(n // 3) for n in range(20)))
    lines = Lines(listing, range(1, 23, 2), TODAY)
    for row in range(lines.rows):
        assert lines.row_at(lines.line_of(row)) == row
        assert lines.row_of(lines.place_of(row)) == row
    assert lines.row_of(0) is None
    assert lines.row_of(None) is None
    assert [lines.row_at(line) for line in (-1, 0, lines.count)] == [None, None, None]


def test_a_filter_finds_titles_that_hold_every_word_whatever_the_case():
    titles = ["Größe und Länge", "GRÖSSE", "a big dog", "dog, big", "two\nlines dog", ""]
    matches = Matches(listing_of(*(at(0, title=title or " ") for title in titles)))
    assert list(matches.of("dog big")) == [2, 3]
    assert list(matches.of("grösse")) == [0, 1]
    assert list(matches.of("LINES")) == [4]
    assert list(matches.of("nowhere")) == []
    assert list(matches.of("  ")) == list(range(6))


def test_a_filter_typed_letter_by_letter_finds_what_a_pasted_one_finds():
    rnd = random.Random(3)
    listing = listing_of(*(at(0, title="".join(rnd.choices("ab ß", k=6)) + ".") for _ in range(300)))
    typed = Matches(listing)
    words = ""
    for _ in range(200):
        words = words[:-1] if words and rnd.random() < 0.4 else words + rnd.choice("ab ßsA")
        assert list(typed.of(words)) == list(Matches(listing).of(words)), words


class SidebarApp(App[None]):
    def __init__(self, glyphs=UNICODE):
        super().__init__()
        self.marks: dict[str, str] = {}
        self.costs: list[str] = []
        self.posted: list[ConversationList.Chosen | ConversationList.Deleted] = []
        self.sidebar = Sidebar(glyphs, lambda name: self.marks.get(name, ""), self.cost)

    def cost(self, name):
        self.costs.append(name)
        return "$0.12"

    def compose(self):
        yield self.sidebar

    def on_mount(self):
        for theme in THEMES:
            self.register_theme(theme)
        self.theme = THEMES[0].name

    def on_conversation_list_chosen(self, event):
        self.posted.append(event)

    def on_conversation_list_deleted(self, event):
        self.posted.append(event)


class Driver:
    def __init__(self, app: SidebarApp, pilot: "Pilot[None]"):
        self.app, self.pilot = app, pilot
        self.list = app.sidebar.list

    async def press(self, *keys):
        await self.pilot.press(*keys)
        await self.pilot.pause()

    def lines(self):
        strips = self.app.screen._compositor.render_strips()
        return [
            strip.text[: self.list.scrollable_content_region.width].rstrip()
            for strip in strips[1 : 1 + self.list.size.height]
        ]

    def cursor(self):
        """The line that the accent bar is on."""
        found = [line for line in self.lines() if line.startswith("▌")]
        return found[0].strip("▌ ") if found else None

    def chosen(self):
        """The id that was chosen last."""
        posted = self.app.posted[-1]
        return posted.conversation_id if isinstance(posted, ConversationList.Chosen) else None

    async def follow(self, store, open_id=None):
        whole = self.app.sidebar.follow(store, open_id)
        await self.pilot.pause()
        return whole


@asynccontextmanager
async def sidebar(size=(60, 20), width=28, glyphs=UNICODE) -> AsyncIterator[Driver]:
    app = SidebarApp(glyphs)
    async with app.run_test(size=size) as pilot:
        app.sidebar.styles.width = width
        await pilot.pause()
        yield Driver(app, pilot)


@pytest.fixture
def store(tmp_path):
    history = opened(tmp_path / "chats.db")
    yield history
    assert history.close()


def put(store, *titles):
    """Store conversations; the last is the newest. All are of long ago."""
    chats = []
    for title in titles:
        chat = chat_named(title)
        store.start_turn(chat, turn_in(chat, "hi", ())).result()
        chats.append(chat)
    return chats


async def test_the_list_shows_what_is_there_and_follows(store):
    put(store, "first", "second")
    async with sidebar() as driver:
        assert await driver.follow(store)
        assert driver.lines()[:3] == ["   earlier", "   second", "   first"]
        put(store, "third")
        assert await driver.follow(store)
        assert driver.lines()[:4] == ["   earlier", "   third", "   second", "   first"]


async def test_cursor_and_filter_survive_what_is_new(store):
    chats = put(store, "apple one", "pear", "apple two", "apple three")
    async with sidebar() as driver:
        await driver.follow(store)
        driver.app.sidebar.filter.focus()
        await driver.press(*"apple", "down", "down")
        assert driver.cursor() == "apple two"
        put(store, "apple four", "plum")
        await driver.follow(store)
        assert driver.cursor() == "apple two"
        assert [line.strip(" ▌") for line in driver.lines() if line][1:] == [
            *("apple four", "apple three", "apple two", "apple one"),
        ]
        store.delete_conversation(chats[2].id).result()
        await driver.follow(store)
        assert driver.cursor() == "apple one", "what took its place"


async def test_up_down_page_home_and_end_move_over_headings(store):
    chats = put(store, *(f"chat {number}" for number in range(60)))
    chats[0].pinned = True
    store.save_conversation(chats[0])
    async with sidebar() as driver:
        await driver.follow(store)
        driver.list.focus()
        await driver.pilot.pause()
        assert driver.cursor() == "chat 0"
        await driver.press("down")
        assert driver.cursor() == "chat 59", "the first below the pinned"
        await driver.press("end")
        assert driver.cursor() == "chat 1"
        await driver.press("pageup")
        page = driver.list.size.height - 2
        assert driver.cursor() == f"chat {1 + page}"
        await driver.press("home", "up")
        assert driver.cursor() == "chat 0"
        assert driver.lines()[0] == "   pinned", "its heading is in view"
        await driver.press("pagedown")
        assert driver.cursor() == f"chat {60 - page}"


async def test_enter_a_click_and_delete_say_which_one(store):
    chats = put(store, "old", "new")
    async with sidebar() as driver:
        await driver.follow(store)
        driver.list.focus()
        await driver.press("down", "enter", "delete")
        chosen, deleted = driver.app.posted
        assert isinstance(chosen, ConversationList.Chosen)
        assert isinstance(deleted, ConversationList.Deleted)
        assert chosen.conversation_id == deleted.row.id == chats[0].id
        assert deleted.row.title == "old"
        await driver.pilot.click(driver.list, offset=(3, 0))
        assert len(driver.app.posted) == 2, "a heading is nothing to open"
        await driver.pilot.click(driver.list, offset=(3, 1))
        assert driver.chosen() == chats[1].id


async def test_the_focus_goes_to_the_open_one(store):
    chats = put(store, *(f"chat {number}" for number in range(50)))
    async with sidebar() as driver:
        await driver.follow(store, chats[48].id)
        driver.list.focus()
        await driver.pilot.pause()
        assert driver.cursor() == "chat 48"


async def test_marks_are_drawn_when_they_change(store):
    (chat,) = put(store, "mine")
    async with sidebar() as driver:
        await driver.follow(store)
        for mark, glyph in (("running", "●"), ("done", "✓"), ("failed", "✗"), ("", " ")):
            driver.app.marks[chat.id] = mark
            driver.list.redraw_marks()
            await driver.pilot.pause()
            assert driver.lines()[1] == f" {glyph} mine"


async def test_costs_are_asked_for_what_is_in_view_of_a_wide_list_only(store):
    put(store, *(f"chat {number}" for number in range(100)))
    async with sidebar(width=28) as driver:
        await driver.follow(store)
        assert driver.app.costs == []
    async with sidebar(width=40) as driver:
        await driver.follow(store)
        assert driver.lines()[1].endswith("$0.12")
        assert len(set(driver.app.costs)) <= 20
        asked = len(driver.app.costs)
        await driver.follow(store)
        assert len(driver.app.costs) > asked, "an answer may have ended"


async def test_another_theme_draws_every_line_again(store):
    put(store, "mine")
    async with sidebar() as driver:
        await driver.follow(store)

        def colours():
            return {str(segment.style.color) for segment in driver.list.render_line(1) if segment.style}

        dark = colours()
        driver.app.theme = THEMES[1].name
        await driver.pilot.pause()
        assert colours() != dark


async def test_foreign_text_in_a_title_is_text(store):
    put(store, "[red]no[/] \x1b[31m\nlines \ud83d")
    async with sidebar(width=50, glyphs=ASCII) as driver:
        await driver.follow(store)
        assert "[red]no[/]" in driver.lines()[1]
        assert "\x1b" not in driver.lines()[1]


async def test_an_empty_history_has_an_empty_list(store):
    async with sidebar() as driver:
        assert await driver.follow(store)
        driver.list.focus()
        await driver.press("down", "end", "enter", "delete", "pageup")
        assert driver.list.selected is None
        assert driver.app.posted == []
        assert driver.list.filter("word") == 0


async def test_a_long_history_is_there_at_once_in_part_and_soon_as_a_whole(many):
    async with sidebar() as driver:
        assert not await driver.follow(many)
        assert driver.lines()[1].strip() == f"chat {MANY - 1} pears"
        assert len(driver.list.listing) == 1000
        driver.app.sidebar.show(await asyncio.to_thread(many.conversations))
        assert len(driver.list.listing) == MANY
        assert await driver.follow(many)


async def test_a_whole_list_that_could_not_be_read_is_asked_for_again(many):
    async with sidebar() as driver:
        assert not await driver.follow(many)
        assert not await driver.follow(many)


@pytest.fixture(scope="module")
def many(tmp_path_factory):
    """A history of a hundred thousand conversations, every tenth about apples."""
    path = tmp_path_factory.mktemp("many") / "chats.db"
    opened(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.executemany(
            "INSERT INTO conversations (id, title, created_at, updated_at, recency) VALUES (?, ?, ?, ?, ?)",
            (
                (
                    f"id-{number}",
                    f"chat {number} {'Apples' if number % 10 == 0 else 'pears'}",
                    NOON.isoformat(timespec="microseconds"),
                    NOON.isoformat(timespec="microseconds"),
                    number,
                )
                for number in range(MANY)
            ),
        )
        connection.commit()
    history = opened(path, HandClock())
    yield history
    assert history.close()


async def test_a_hundred_thousand_conversations_are_shown_filtered_and_moved_through(many):
    async with sidebar() as driver:
        driver.app.sidebar.show(many.conversations())
        driver.list.focus()
        await driver.press("end")
        assert driver.cursor() == "chat 0 Apples"
        assert driver.list.virtual_size.height == MANY + 1
        await driver.press("home", "down")
        assert driver.cursor() == f"chat {MANY - 2} pears"
        await driver.press(*"apples", "space", "9", "0")
        assert driver.list.filter("apples 90") == sum("90" in str(number) for number in range(0, MANY, 10)), (
            "every word counts"
        )
        await driver.press("down", "end")
        assert driver.cursor() == "chat 90 Apples"
        await driver.press("enter")
        assert driver.chosen() == "id-90"
        driver.app.sidebar.clear_filter()
        await driver.pilot.pause()
        assert driver.list.virtual_size.height == MANY + 1


# in the whole program


async def test_what_another_program_wrote_is_listed_after_the_next_send(program):
    program.server.enqueue([SSE, chat_stream(["text"])])
    async with program.running() as driver:
        other = opened(driver.screen._store._path)
        said(other, chat_named("written elsewhere"), "hi")
        other.close()
        await driver.ask("a question")
        await driver.until(lambda: driver.idle and driver.shows("written elsewhere"))
        assert any("a question" in line[:28] for line in driver.lines())


async def test_a_history_too_long_to_wait_for_is_read_beside_the_screen(program):
    async with program.running() as driver:
        path = driver.screen._store._path
    with closing(opened(path)) as history:
        history.import_trees([(chat_named(f"chat {number}"), []) for number in range(1500)])
    async with program.running() as driver:
        conversations = driver.screen._sidebar.list
        await driver.until(lambda: len(conversations.listing) == 1500)
        with closing(opened(path)) as history:
            history.import_trees([(chat_named(f"more {number}"), []) for number in range(200)])
        await driver.press("ctrl+n")
        driver.screen._refresh()
        await driver.until(lambda: len(conversations.listing) == 1700)


async def test_a_list_that_cannot_be_read_says_why(program):
    async with program.running() as driver:
        path = driver.screen._store._path
    with closing(opened(path)) as history:
        history.import_trees([(chat_named(f"chat {number}"), []) for number in range(1500)])
    async with program.running() as driver:
        await driver.until(lambda: len(driver.screen._sidebar.list.listing) == 1500)
        driver.screen._sidebar.list.listing.version = -1
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE conversations RENAME TO gone")
            connection.commit()
        await driver.screen._read_list()
        await driver.until(lambda: driver.shows("refused"))
        with pytest.raises(StorageError):
            driver.screen._store.conversations()
        with closing(sqlite3.connect(path)) as connection:
            connection.execute("ALTER TABLE gone RENAME TO conversations")
            connection.commit()
