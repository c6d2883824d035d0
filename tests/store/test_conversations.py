import sqlite3
import threading
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from decimal import Decimal

import pytest

from tests.store.made import MODEL, NOON, PRICE, answer, chat_named, finish, opened, said, stream, turn_in
from tui_chat.core.completion import Completion, State
from tui_chat.core.conversation import Conversation, Turn, on_path
from tui_chat.core.errors import ProviderError, StorageError
from tui_chat.core.events import BilledCost, FinishReason
from tui_chat.core.ids import new_id
from tui_chat.core.message import BlobPart, Message
from tui_chat.core.model import Model
from tui_chat.core.ports import Store
from tui_chat.core.pricing import Price, Tier, Window
from tui_chat.core.request import Request
from tui_chat.core.usage import Usage

WEIRD = "NUL \0 there, half a pair \ud83d, \udc80 the other, \x1b[31m, 漢字 🎉, \u2028 and\r\nlines"


def rows_of(path, query, *values):
    with closing(sqlite3.connect(path)) as connection:
        return connection.execute(query, values).fetchall()


def test_it_is_the_store_that_the_core_asks_for(store):
    port: Store = store
    assert not port.conversations()


def test_an_empty_history_answers_every_question(store):
    assert store.latest() is None
    assert store.conversation("x") is None
    assert store.conversation("") is None
    assert store.path("x") == []
    assert store.path("x", "y") == []
    assert store.tree("\ud800") == []
    assert store.newest_tip("x") == "x"
    assert store.draft(None) == ""
    assert store.prompts() == []
    assert store.last_model() is None
    assert store.every_conversation() == []


def test_a_conversation_comes_back_as_it_was(store, path):
    chat = Conversation(
        new_id(),
        f"title {WEIRD}",
        NOON,
        NOON + timedelta(microseconds=1),
        system_prompt=f"system {WEIRD}",
        model="work/vendor/a",
        params={"temperature": 0.2, "stop": ["a", WEIRD], "n": None},
        tags=("one", WEIRD),
        pinned=True,
        archived=True,
    )
    store.start_turn(chat, turn_in(chat, "hi", ()))
    store.close()
    again = opened(path)
    found = again.conversation(chat.id)
    again.close()
    assert found is not None
    names = ("id", "title", "created_at", "updated_at", "system_prompt", "tip_id", "model", "params", "tags")
    assert [getattr(found, name) for name in names] == [getattr(chat, name) for name in names]
    assert (found.pinned, found.archived, found.stored) == (True, True, True)
    assert found.created_at.tzinfo is not None


def test_a_turn_comes_back_with_its_files(store):
    chat = chat_named()
    turn = turn_in(chat, WEIRD, ())
    turn.attachments = (
        BlobPart("b.png", "image/png", bytes(range(256))),
        BlobPart("a.txt", "text/plain", b""),
        BlobPart(f"c{WEIRD}", "text/markdown", bytes(range(256))),
    )
    turn.batch_id, turn.chosen_id = new_id(), "nobody"
    store.start_turn(chat, turn)
    (found,) = store.path(chat.id)
    assert (found.id, found.conversation_id, found.prompt, found.created_at) == (turn.id, chat.id, WEIRD, NOON)
    assert found.attachments == turn.attachments
    assert (found.continues, found.batch_id, found.chosen_id) == (None, turn.batch_id, "nobody")
    assert found.siblings == (turn.id,)
    assert found.completions == []


def test_an_answer_comes_back_as_it_was(store, path):
    chat = chat_named()
    price = Price(
        Decimal("0.10"),
        Decimal(0),
        None,
        Decimal("1E-7"),
        tiers=(Tier(200_000, Decimal("0.2"), Decimal("0.30")), Tier(9, Decimal(0), Decimal(1), Decimal("0.5"))),
        windows=(Window(time(22, 0), time(2, 30), frozenset({0, 6}), Decimal("0.50")),),
        currency="CNY",
        usd_rate=None,
        source="config",
        as_of="2026-01",
    )
    turn = turn_in(chat, "hi", (Model("work", "vendor/a", "anthropic", price=price),))
    (completion,) = turn.completions
    completion.params = {"max_tokens": 5}
    completion.resumes_id = "an earlier one"
    store.start_turn(chat, turn)
    stream(completion, f"text {WEIRD}", f"thought {WEIRD}")
    completion.warnings += ["one", WEIRD]
    completion.attempts = 3
    completion.unreadable = 2
    finish(completion, " end", "error", Usage(12, 34, 5, None, 6), ProviderError("stream", f"broke off {WEIRD}"))
    store.save_completion(chat.id, completion)
    store.close()
    again = opened(path)
    (found,) = again.path(chat.id)[0].completions
    again.close()
    names = (
        "id turn_id created_at params resumes_id discarded warnings text reasoning finish_reason model_served "
        "request_id ttft_s total_s reasoning_s attempts unreadable running usage cost final_usage final_cost"
    )
    for name in names.split():
        assert getattr(found, name) == getattr(completion, name), name
    assert (found.model.provider, found.model.id, found.model.kind) == ("work", "vendor/a", "anthropic")
    assert found.model.price == price
    assert found.error is not None
    assert (found.error.kind, found.error.message) == ("stream", f"broke off {WEIRD}")


def test_text_is_text_for_other_tools(store, path):
    chat = chat_named()
    said(store, chat, "größer 漢字", "naïve")
    assert rows_of(path, "SELECT prompt, typeof(prompt) FROM turns") == [("größer 漢字", "text")]
    assert rows_of(path, "SELECT text FROM completions") == [("naïve",)]


@pytest.mark.parametrize("usage", [None, Usage(), Usage(1), Usage(1, 2, 3, 4, 5), Usage(0, 0, 0, 0, 0)])
@pytest.mark.parametrize("price", [None, PRICE, Price(Decimal(0), Decimal(0), source="config")])
def test_unknown_stays_unknown_and_zero_stays_zero(store, usage, price):
    chat = chat_named()
    turn = turn_in(chat, "hi", (replace(MODEL, price=price),))
    store.start_turn(chat, turn)
    finish(turn.completions[0], usage=usage)
    store.save_completion(chat.id, turn.completions[0])
    (found,) = store.path(chat.id)[0].completions
    assert found.usage == turn.completions[0].usage
    assert found.cost == turn.completions[0].cost
    assert found.state is turn.completions[0].state


def test_decimals_are_exact(store):
    chat = chat_named()
    amount = Decimal("0.1234567890123456789012345678901234567890E-9")
    for n in range(3):
        turn = turn_in(chat, str(n))
        store.start_turn(chat, turn)
        turn.completions[0].apply(BilledCost(amount), 0)
        finish(turn.completions[0])
        store.save_completion(chat.id, turn.completions[0])
    assert [turn.completions[0].cost.amount for turn in store.tree(chat.id)] == [amount] * 3
    assert store.spent_in(chat.id).usd == Decimal("0.3703703670370370367037037036703703703670E-9")


def test_numbers_that_no_database_can_hold_do_not_cost_the_text(store):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    store.start_turn(chat, turn)
    finish(turn.completions[0], "kept", usage=Usage(10**30, 5))
    store.save_completion(chat.id, turn.completions[0]).result()
    (found,) = store.path(chat.id)[0].completions
    assert found.text == "kept"
    assert found.usage.usage == Usage(None, 5)


def test_a_huge_text_comes_back(store):
    chat = chat_named()
    text = "0123456789abcdef\n" * 500_000
    said(store, chat, text, text)
    (turn,) = store.path(chat.id)
    assert turn.prompt == text
    assert turn.completions[0].text == text


def test_a_running_answer_grows_piece_by_piece(store, path):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    (completion,) = turn.completions
    store.start_turn(chat, turn)
    for text, reasoning in (("", "thi"), ("", "nk"), ("a \ud83d", ""), ("\ude00 b", ""), ("", "")):
        stream(completion, text, reasoning)
        store.save_partial(completion, text, reasoning)
    (found,) = store.path(chat.id)[0].completions
    assert (found.text, found.reasoning) == ("a \ud83d\ude00 b", "think")
    assert (found.running, found.finish_reason) == (False, None)
    assert found.usage.usage.output_tokens == completion.usage.usage.output_tokens
    assert found.request_id == "req-1"
    finish(completion, " end")
    store.save_completion(chat.id, completion)
    (found,) = store.path(chat.id)[0].completions
    assert found.text == "a \ud83d\ude00 b end"
    assert rows_of(path, "SELECT count(*) FROM deltas") == [(0,)]


def test_a_flush_writes_only_what_is_new(store, path):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    store.start_turn(chat, turn)
    for n in range(5):
        stream(turn.completions[0], "x" * 1000)
        store.save_partial(turn.completions[0], "x" * 1000, "")
        assert store.path(chat.id)[0].completions[0].text == "x" * 1000 * (n + 1)
    assert rows_of(path, "SELECT length(text) FROM deltas") == [(1000,)] * 5
    assert rows_of(path, "SELECT text FROM completions") == [("",)]


def test_what_was_sent_is_kept_with_the_answer(store, path):
    chat = chat_named()
    chat.system_prompt = "now"
    turn = turn_in(chat, "hi")
    turn.completions[0].request = Request(MODEL, (Message.of("system", "then"), Message.of("user", "hi")), {})
    store.start_turn(chat, turn).result()
    found = rows_of(path, "SELECT b.data FROM completions p JOIN blobs b ON b.sha256 = p.system_prompt")
    assert found == [(b"then",)]


def test_a_branch_is_a_sibling_and_the_path_goes_through_what_was_continued(store):
    chat = chat_named()
    first = said(store, chat, "one")
    again = answer(first.id)
    first.completions.append(again)
    store.start_completion(chat, again)
    finish(again, "Hello again.")
    store.save_completion(chat.id, again)
    left = said(store, chat, "left", continues=first.completions[0])
    right = said(store, chat, "right", continues=again)
    right_too = said(store, chat, "right, edited", continues=again)
    deeper = said(store, chat, "deeper", continues=right.completions[0])

    def prompts(tip_id):
        return [turn.prompt for turn in store.path(chat.id, tip_id)]

    assert prompts(left.id) == ["one", "left"]
    assert prompts(right_too.id) == ["one", "right, edited"]
    assert prompts(None) == prompts(deeper.id) == ["one", "right", "deeper"]
    assert [completion.text if completion else None for _, completion in on_path(store.path(chat.id))] == [
        "Hello again.",
        "Hello.",
        "Hello.",
    ]
    siblings = {turn.prompt: turn.siblings for turn in store.tree(chat.id)}
    assert siblings["left"] == (left.id,)
    assert siblings["right"] == siblings["right, edited"] == (right.id, right_too.id)
    assert [turn.prompt for turn in store.tree(chat.id)] == ["one", "left", "right", "right, edited", "deeper"]
    assert store.newest_tip(first.id) == deeper.id
    assert store.newest_tip(left.id) == left.id
    assert store.newest_tip(right_too.id) == right_too.id
    assert prompts("unknown") == []


def test_the_columns_of_a_compare_keep_their_order(store):
    chat = chat_named()
    turn = turn_in(chat, "hi", [Model("work", name) for name in "zebra"])
    store.start_turn(chat, turn)
    for completion in reversed(turn.completions):
        finish(completion, completion.model.id)
        store.save_completion(chat.id, completion)
    (found,) = store.path(chat.id)
    assert [completion.text for completion in found.completions] == list("zebra")
    assert store.last_model() == "work/z"


def test_running_again_becomes_the_chosen_answer(store):
    chat = chat_named()
    turn = said(store, chat, "hi")
    more = answer(turn.id, Model("work", "b"))
    store.start_completion(chat, more)
    (found,) = store.path(chat.id)
    assert found.chosen_id == more.id
    assert store.last_model() == "work/b"
    turn.chosen_id = turn.completions[0].id
    store.save_chosen(turn)
    more.discarded = True
    store.save_discarded(more)
    (found,) = store.path(chat.id)
    assert found.chosen_id == turn.completions[0].id
    assert [completion.discarded for completion in found.completions] == [False, True]


def test_order_does_not_follow_the_clock(store):
    old, new = chat_named("old", NOON), chat_named("new", NOON + timedelta(days=1))
    first = said(store, old, "first")
    said(store, new, "other")
    assert [row.title for row in store.conversations()] == ["new", "old"]
    old.updated_at = NOON - timedelta(days=400)  # the clock was set back
    second = turn_in(old, "second", continues=first.completions[0])
    second.created_at = NOON - timedelta(days=400)
    store.start_turn(old, second)
    assert [turn.prompt for turn in store.path(old.id)] == ["first", "second"]
    assert [row.title for row in store.conversations()] == ["old", "new"]
    assert store.prompts() == ["second", "other", "first"]
    latest = store.latest()
    assert latest is not None
    assert latest.id == old.id


def test_the_list_has_pinned_first_and_no_archived_ones(store):
    chats = [chat_named(title, NOON + timedelta(hours=n)) for n, title in enumerate("abcd")]
    for chat in chats:
        said(store, chat, chat.title)
    chats[1].pinned, chats[3].archived = True, True
    for chat in chats:
        store.save_conversation(chat)
    assert [row.title for row in store.conversations()] == ["b", "c", "a"]
    assert [row.title for row in store.conversations(2)] == ["b", "c"]
    latest = store.latest()
    assert latest is not None
    assert latest.title == "c"
    assert [chat.title for chat in store.every_conversation()] == ["a", "b", "c", "d"]


def test_a_new_name_does_not_move_a_chat_up_and_a_send_does_not_rename_it(store, path):
    one, two = chat_named("one"), chat_named("two")
    first = said(store, one, "hi")
    said(store, two, "hi")
    one.title = "uno"
    store.save_conversation(one).result()
    assert [row.title for row in store.conversations()] == ["two", "uno"]
    other = opened(path)
    stale = other.conversation(one.id)
    assert stale is not None
    stale.title = "what another instance still thinks"
    said(other, stale, "more", continues=first.completions[0])
    other.close()
    assert [row.title for row in store.conversations()] == ["uno", "two"]


def test_a_conversation_is_found_by_the_start_of_its_id(store):
    one, two = chat_named("one"), chat_named("two")
    one.id, two.id = "0198-aa%", "0198-ab_"
    said(store, one, "hi")
    said(store, two, "hi")

    def title(wanted):
        found = store.conversation(wanted)
        return found.title if found else None

    assert title("0198-aa%") == "one"
    assert title("0198-ab") == "two"
    assert title("0198-a") is None
    assert title("%") is None
    assert title("0198-a_") is None


def test_prompts_come_newest_first_without_repeats(store):
    chat = chat_named()
    for prompt in ("a", "b", "b", "a", " ", "c"):
        store.start_turn(chat, turn_in(chat, prompt, ()))
    assert store.prompts() == ["c", "a", "b", "a"]
    assert store.prompts(2) == ["c", "a"]


def test_drafts_are_kept_per_conversation(store, path):
    chat = chat_named()
    said(store, chat, "hi")
    for text in ("h", "he", f"hey {WEIRD}"):
        store.save_draft(chat.id, text)
    store.save_draft(None, "new one")
    store.close()
    again = opened(path)
    assert again.draft(chat.id) == f"hey {WEIRD}"
    assert again.draft(None) == "new one"
    again.save_draft(None, "")
    assert again.draft(None) == ""
    assert again.draft("unknown") == ""
    again.delete_conversation(chat.id)
    again.save_draft(chat.id, "comes too late")
    assert again.draft(chat.id) == ""
    again.close()


def test_drafts_keep_their_attachments(store, path):
    chat = chat_named()
    said(store, chat, "hi")
    files = (BlobPart("a.txt", "text/plain", b"shared"), BlobPart(WEIRD, "image/png", b"\0\xff"))
    store.save_draft(chat.id, "text", files)
    store.save_draft(None, "", files[:1])
    store.close()
    again = opened(path)
    assert again.draft_attachments(chat.id) == files
    assert (again.draft(None), again.draft_attachments(None)) == ("", files[:1])
    assert again.draft_attachments("unknown") == ()
    assert len(rows_of(path, "SELECT * FROM blobs")) == 2
    again.save_draft(chat.id, "longer text", files[1:])
    assert again.draft_attachments(chat.id) == files[1:]
    again.save_draft(None, "")
    assert again.draft_attachments(None) == ()
    assert rows_of(path, "SELECT data FROM blobs") == [(b"\0\xff",)]
    again.delete_conversation(chat.id)
    again.save_draft(chat.id, "comes too late", files)
    assert again.draft_attachments(chat.id) == ()
    assert rows_of(path, "SELECT * FROM blobs") == []
    again.close()


def test_an_attachment_goes_from_the_draft_into_the_turn(store, path):
    chat = chat_named()
    said(store, chat, "hi")
    part = BlobPart("a.txt", "text/plain", b"pasted")
    store.save_draft(chat.id, "see", (part,))
    turn = turn_in(chat, "see", ())
    turn.attachments = (part,)
    store.start_turn(chat, turn)
    store.save_draft(chat.id, "")
    assert store.draft_attachments(chat.id) == ()
    assert store.tree(chat.id)[1].attachments == (part,)
    assert rows_of(path, "SELECT count(*) FROM blobs") == [(1,)]


def test_many_drafts_that_wait_are_written_once(store, path):
    gate, going = threading.Event(), threading.Event()

    def hold(_):
        going.set()
        gate.wait(5)

    store._database.write(hold)
    going.wait(5)
    part = BlobPart("a", "text/plain", b"a")
    futures = [store.save_draft(None, str(n), (part,) * (n % 2)) for n in range(100)]
    store.start_turn(chat_named(), turn_in(chat_named(), "x", ()))  # fails: another chat's turn
    last = store.save_draft(None, "after the turn")
    gate.set()
    assert len(set(futures)) == 1
    assert last is not futures[0]
    assert store.draft(None) == "after the turn"


def test_deleting_a_chat_takes_its_text_and_leaves_its_charges(store, path):
    kept, gone = chat_named("kept"), chat_named("gone")
    for chat in (kept, gone):
        chat.system_prompt = "both have it"
        turn = said(store, chat, f"prompt of {chat.title}")
        files = (BlobPart("a", "text/plain", b"shared"), BlobPart("b", "text/plain", chat.title.encode()))
        more = turn_in(chat, "files", (), turn.completions[0])
        more.attachments = files
        store.start_turn(chat, more)
    before = store.spent_since(NOON)
    store.save_draft(gone.id, "draft")
    store.delete_conversation(gone.id)
    store.delete_conversation("unknown")
    assert [row.title for row in store.conversations()] == ["kept"]
    assert store.path(gone.id) == []
    assert store.spent_since(NOON) == before
    assert before.answers == 2
    assert store.spent_in(gone.id).answers == 1
    assert sorted(data for (data,) in rows_of(path, "SELECT data FROM blobs")) == [b"both have it", b"kept", b"shared"]
    assert rows_of(path, "SELECT * FROM drafts") == []
    assert store.tree(kept.id)[1].attachments[0].data == b"shared"


def test_an_answer_to_a_chat_deleted_meanwhile_leaves_only_its_charge(store, path):
    chat = chat_named()
    turn = turn_in(chat, "hi")
    (completion,) = turn.completions
    store.start_turn(chat, turn)
    stream(completion, "some")
    store.save_partial(completion, "some", "").result()
    store.delete_conversation(chat.id)
    store.save_partial(completion, "more", "").result()
    finish(completion)
    store.save_completion(chat.id, completion).result()
    assert rows_of(path, "SELECT * FROM completions") == []
    assert rows_of(path, "SELECT conversation_id, state FROM charges") == [(chat.id, "settled")]
    with pytest.raises(StorageError, match="deleted"):
        store.start_completion(chat, answer(turn.id)).result()


def test_a_tip_that_never_reached_the_disk_does_not_hide_the_chat(store):
    chat = chat_named()
    turn = said(store, chat, "hi")
    chat.tip_id = "lost"
    store.save_conversation(chat)
    assert [found.id for found in store.path(chat.id)] == [turn.id]


def test_state_of_what_came_back(store):
    chat = chat_named()
    turn = turn_in(chat, "hi", [MODEL] * 4)
    reasons: tuple[FinishReason, ...] = ("stop", "cancelled", "budget", "error")
    store.start_turn(chat, turn)
    for completion, reason in zip(turn.completions, reasons, strict=True):
        finish(completion, reason=reason)
        store.save_completion(chat.id, completion)
    states = [completion.state for completion in store.path(chat.id)[0].completions]
    assert states == [State.SETTLED, State.STOPPED, State.BUDGET, State.FAILED]


def _imported() -> tuple[Conversation, list[Turn]]:
    chat = Conversation(new_id(), "theirs", NOON, NOON, system_prompt="be brief", tags=("x",))
    first = Turn(new_id(), chat.id, "one", NOON, attachments=(BlobPart("a", "text/plain", b"abc"),))
    first.completions = [Completion(new_id(), first.id, MODEL, NOON, finish_reason="stop")]
    stream(first.completions[0], "their text")
    first.completions[0].end(1.0, "stop")
    second = Turn(new_id(), chat.id, "two", NOON, continues=first.completions[0].id)
    chat.tip_id = second.id
    return chat, [second, first]


def test_an_import_keeps_ids_and_happens_once(store):
    chat, turns = _imported()
    assert store.import_tree(chat, turns)
    assert not store.import_tree(chat, turns)
    assert [(turn.id, turn.prompt) for turn in store.path(chat.id)] == [(turns[1].id, "one"), (turns[0].id, "two")]
    (found,) = store.tree(chat.id)[0].completions
    assert (found.id, found.text, found.finish_reason) == (turns[1].completions[0].id, "their text", "stop")
    assert store.tree(chat.id)[0].attachments == turns[1].attachments
    assert store.spent_since(datetime(2000, 1, 1, tzinfo=UTC)).answers == 0, "the money was spent elsewhere"
    assert store.last_model() is None


def test_an_import_that_is_nonsense_adds_nothing(store):
    chat, turns = _imported()
    turns[1].continues = turns[1].completions[0].id
    with pytest.raises(StorageError, match="circle"):
        store.import_tree(chat, turns)
    chat, turns = _imported()
    turns[0].id = turns[1].id
    with pytest.raises(StorageError):
        store.import_tree(chat, turns)
    assert not store.conversations()
    assert store.import_tree(*_imported())


def test_an_import_is_all_or_nothing_and_says_what_stands_in_its_way(store):
    chat, turns = _imported()
    store.import_tree(chat, turns)
    other, fresh = _imported()
    for part in (turns, [Turn(new_id(), "x", "hi", NOON, completions=turns[1].completions)]):
        copy = replace(chat, id=new_id())
        with pytest.raises(StorageError, match=f"under the conversation {chat.id}, so nothing was imported"):
            store.import_trees([(other, fresh), (copy, part)])
    assert [row.id for row in store.conversations()] == [chat.id]
    assert not other.stored
    assert store.import_trees([(other, fresh), (chat, turns), (other, fresh)]) == 1
    assert other.stored


def test_reads_work_in_any_thread(store):
    chat = chat_named()
    said(store, chat, "hi")
    found = []
    threads = [threading.Thread(target=lambda: found.append(store.path(chat.id)[0].prompt)) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == ["hi"] * 8


def test_a_turn_of_a_chat_that_was_deleted_elsewhere_is_refused_and_leaves_no_loose_end(store):
    chat = chat_named("gone")
    first = turn_in(chat, "one")
    store.start_turn(chat, first).result(5)
    store.delete_conversation(chat.id).result(5)
    later = turn_in(chat, "two", continues=first.completions[0])
    with pytest.raises(StorageError, match="deleted meanwhile"):
        store.start_turn(chat, later).result(5)
    assert store.conversation(chat.id) is None
