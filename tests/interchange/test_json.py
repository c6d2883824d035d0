"""Our JSON export and its way back."""

import json
import resource
import stat
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tui_chat.core.completion import Completion, Log
from tui_chat.core.conversation import Conversation, Turn
from tui_chat.core.errors import ChatError, ConfigurationError, StorageError
from tui_chat.core.message import BlobPart
from tui_chat.core.model import Model
from tui_chat.core.pricing import Cost
from tui_chat.core.usage import CountedUsage, Usage
from tui_chat.interchange.exporter import FileExporter, slug
from tui_chat.interchange.json_export import export_json
from tui_chat.interchange.json_import import import_json
from tui_chat.interchange.markdown_export import export_markdown
from tui_chat.interchange.private_file import write_over
from tui_chat.interchange.records import usd_record

AT = datetime(2026, 1, 31, 12, 0, 0, 250_000, tzinfo=UTC)


def answer(name: str, turn_id: str, text: str = "text", **more: Any) -> Completion:
    made = Completion(name, turn_id, Model("work", "vendor/a"), AT, text_log=Log(text), reasoning_log=Log("hm"), **more)
    made.final_usage = more.get("final_usage", CountedUsage(Usage(9, 12, 3), "partial", ("output_tokens",)))
    made.final_cost = more.get(
        "final_cost", Cost(Decimal("0.0000123"), "CNY", Decimal("0.0000017"), "estimated", "config")
    )
    made.finish_reason = more.get("finish_reason", "stop")
    made.ttft_s, made.total_s = 0.31, 2.04
    return made


def made_tree() -> tuple[Conversation, list[Turn]]:
    conversation = Conversation(
        "c1", "A title", AT, AT, system_prompt="Be brief.", tip_id="t3", model="work/vendor/a",
        params={"temperature": 0.2}, tags=("x",), pinned=True,
    )  # fmt: skip
    first = Turn("t1", "c1", "hello \ud83d", AT, attachments=(BlobPart("a.txt", "text/plain", b"\0\1"),), batch_id="b")
    first.completions = [
        answer("a1", "t1", discarded=True),
        answer("a2", "t1", finish_reason="error", error=ChatError("stream", "broke off"), resumes_id="a1"),
    ]
    first.chosen_id = "a2"
    other = Turn("t2", "c1", "branch", AT, continues="a1")
    tip = Turn("t3", "c1", "go on", AT, continues="a2")
    tip.completions = [answer("a3", "t3", "")]
    return conversation, [first, other, tip]


def test_what_was_put_away_and_what_is_blind_come_back_so():
    conversation, turns = made_tree()
    turns[0].completions[0].hidden, turns[2].blind = True, True
    ((_, back),) = import_json(export_json([(conversation, turns)]))
    assert [each.hidden for each in back[0].completions] == [True, False]
    assert [turn.blind for turn in back] == [False, False, True]


def test_markdown_has_the_answers_of_all_that_were_asked_together():
    conversation, (first, _, tip) = made_tree()
    mate = Turn("t4", "c1", "go on", AT, continues="a1", batch_id="b2")
    mate.completions = [answer("a4", "t4", "from the other column")]
    tip.mates = mate.mates = (tip, mate)
    assert "from the other column" in export_markdown([(conversation, [first, tip])])


def test_a_round_trip_gives_the_same_bytes():
    text = export_json([made_tree()])
    assert text.isascii()
    assert export_json(import_json(text)) == text


def test_the_shape_is_the_contracts():
    conversation = json.loads(export_json([made_tree()]))["conversations"][0]
    assert list(conversation) == [
        "id", "title", "created_at", "updated_at", "system_prompt", "tip_id", "model", "params", "tags", "pinned",
        "archived", "messages",
    ]  # fmt: skip
    messages = conversation["messages"]
    assert [(message["role"], message["id"], message["parent_id"]) for message in messages] == [
        ("user", "t1", None), ("assistant", "a1", "t1"), ("assistant", "a2", "t1"), ("user", "t2", "a1"),
        ("user", "t3", "a2"), ("assistant", "a3", "t3"),
    ]  # fmt: skip
    assert set(messages[0]) == {
        "id", "parent_id", "role", "content", "reasoning", "chosen", "resumes_id", "batch_id", "attachments", "model",
        "model_served", "params", "finish_reason", "usage", "cost_usd", "cost", "timings", "error", "created_at",
    }  # fmt: skip
    assert messages[2]["error"] == {"kind": "stream", "message": "broke off"}
    assert messages[1]["created_at"] == "2026-01-31T12:00:00.250000Z"


def test_readers_ignore_unknown_keys():
    exported = json.loads(export_json([made_tree()]))
    exported["conversations"][0]["messages"][0]["new"] = exported["newer"] = 1
    assert import_json(json.dumps(exported))[0][0].id == "c1"


def test_an_answer_that_was_still_running_comes_in_as_interrupted():
    exported = json.loads(export_json([made_tree()]))
    exported["conversations"][0]["messages"][1]["finish_reason"] = None
    assert import_json(json.dumps(exported))[0][1][0].completions[0].finish_reason == "interrupted"


@pytest.mark.parametrize(
    ("path", "value", "said"),
    [
        (["version"], 2, "export of version 2"),
        (["conversations"], None, "conversations must be a list"),
        (["conversations", 0, "id"], 3, "conversations[0].id must be text"),
        (["conversations", 0, "created_at"], "yesterday", "conversations[0].created_at must be a time"),
        (["conversations", 0, "tip_id"], "nobody", "tip_id must be the id of one of its prompts"),
        (["conversations", 0, "messages", 1, "role"], "bot", "messages[1].role must be user or assistant"),
        (["conversations", 0, "messages", 1, "parent_id"], "t9", "messages[1].parent_id must be the id of a prompt"),
        (["conversations", 0, "messages", 4, "parent_id"], "a3", "messages[4].parent_id must be the id of an answer"),
        (["conversations", 0, "messages", 1, "id"], "t1", "messages[1].id must be an id of its own"),
        (["conversations", 0, "messages", 1, "model"], "gpt", "messages[1].model must be provider/model"),
        (["conversations", 0, "messages", 1, "usage", "input_tokens"], -1, "usage.input_tokens must be a whole number"),
        (["conversations", 0, "messages", 1, "cost", "amount"], "x", "cost.amount must be an amount"),
        (["conversations", 0, "messages", 1, "finish_reason"], "bored", "finish_reason must be stop or"),
        (["conversations", 0, "messages", 0, "attachments", 0, "data"], "%", "attachments[0].data must be base64"),
        (["conversations", 0, "messages", 0], "x", "messages[0] is not an object"),
    ],
)
def test_what_is_wrong_is_named_by_its_place(path, value, said):
    exported = json.loads(export_json([made_tree()]))
    at: Any = exported
    for key in path[:-1]:
        at = at[key]
    at[path[-1]] = value
    with pytest.raises(ConfigurationError) as caught:
        import_json(json.dumps(exported))
    assert said in caught.value.message


@pytest.mark.parametrize("number", ["1e999", "-1e999", "Infinity", "NaN"])
def test_a_number_that_json_cannot_hold_is_refused(number):
    text = export_json([made_tree()])
    assert text.count('"temperature": 0.2') == 1
    with pytest.raises(ConfigurationError, match=f"the number {number}"):
        import_json(text.replace('"temperature": 0.2', f'"temperature": {number}'))


def test_a_cost_beyond_all_floats_is_unknown_in_usd():
    assert usd_record(Cost(Decimal("1e400"), "USD", Decimal("1e400"))) is None


_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=6,
)


@given(st.data())
def test_whatever_a_file_holds_it_is_an_import_or_an_error_of_ours(data):
    exported = json.loads(export_json([made_tree()]))
    at: Any = exported
    while True:
        key = data.draw(st.sampled_from(list(at) if isinstance(at, dict) else list(range(len(at)))))
        if not isinstance(at[key], dict | list) or not at[key] or data.draw(st.integers(0, 4)) == 0:
            break
        at = at[key]
    at[key] = data.draw(_JSON)
    with suppress(ConfigurationError):
        export_json(import_json(json.dumps(exported)))


def test_markdown_has_the_path_with_models_and_costs():
    conversation, (first, _, tip) = made_tree()
    text = export_markdown([(conversation, [first, tip])])
    assert text.startswith("# A title\n")
    assert "> Be brief." in text
    assert text.count("## work/vendor/a") == 3
    assert "*with a.txt (text/plain, 2 bytes)*" in text
    assert "~¥0.000012" in text
    assert "broke off" in text
    assert "not sent on" in text


# into a file, for the app


class OneConversation:
    """As much of a store as an exporter asks for."""

    def conversation(self, conversation_id):
        return made_tree()[0] if conversation_id == "c1" else None

    def path(self, conversation_id):
        return made_tree()[1][::2]

    tree = path


def test_a_file_of_the_app_is_new_every_time(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    exporter = FileExporter(OneConversation())  # type: ignore[arg-type]
    paths = [exporter.write("c1", "markdown"), exporter.write("c1", "markdown"), exporter.write("c1", "json")]
    assert paths == [str(tmp_path / name) for name in ("a-title.md", "a-title-2.md", "a-title.json")]
    assert (tmp_path / "a-title.md").read_text().startswith("# A title")
    with pytest.raises(ChatError, match="not in the history"):
        exporter.write("c9", "markdown")


@contextmanager
def room_for(size):
    """As on a full disk: no file can grow beyond `size`."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_a_full_disk_leaves_no_half_file(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with room_for(20), pytest.raises(StorageError, match="cannot be written"):
        FileExporter(OneConversation()).write("c1", "markdown")  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "old").write_text("stays")
    with room_for(20), pytest.raises(OSError, match="too large"):
        write_over(tmp_path / "old", "x" * 100)
    assert [(path.name, path.read_text()) for path in tmp_path.iterdir()] == [("old", "stays")]


def test_a_link_stays_a_link(tmp_path):
    (tmp_path / "folder").mkdir()
    for name in ("there", "dangling"):
        link, target = tmp_path / name, tmp_path / "folder" / name
        link.symlink_to(target)
        if name == "there":
            target.write_text("old")
        write_over(link, "new")
        assert link.is_symlink()
        assert not target.is_symlink()
        assert target.read_text() == "new"
        assert stat.S_IMODE(target.stat().st_mode) == 0o600
    (tmp_path / "circle").symlink_to("circle")
    with pytest.raises(OSError, match="symbolic links"):
        write_over(tmp_path / "circle", "new")
    assert (tmp_path / "circle").is_symlink()


@pytest.mark.parametrize(
    ("title", "name"),
    [
        ("../../etc/passwd", "etc-passwd"),
        ("Größe & Maß?", "gro-e-ma"),
        ("日本", "conversation"),
        ("-rf", "rf"),
        ("a" * 99, "a" * 50),
    ],
)
def test_a_title_becomes_a_plain_file_name(title, name):
    assert slug(title).startswith(name[:3])
    assert set(slug(title)) <= set("abcdefghijklmnopqrstuvwxyz0123456789-")
