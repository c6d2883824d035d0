"""Programs that are killed, and two of them at once."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.store.made import NOON, chat_named, opened, said, stream, turn_in
from tui_chat.core.errors import StorageError
from tui_chat.core.pricing import NOTHING

WRITER = """
import sys
from pathlib import Path
from tests.store.made import *
history = opened(Path(sys.argv[1]))
chat = chat_named("killed")
turn = turn_in(chat, "a prompt", [MODEL, MODEL])
history.start_turn(chat, turn).result()
running = turn.completions[0]
for n in range(50):
    stream(running, f"word{n} ", f"thought{n} ")
    history.save_partial(running, f"word{n} ", f"thought{n} ").result()
print(chat.id, flush=True)
for line in sys.stdin:
    word = line.strip()
    if word == "end":
        finish(running, "the end")
        history.save_completion(chat.id, running).result()
        print("ended", flush=True)
    elif word == "more":
        stream(running, "more")
        history.save_partial(running, "more", "").result()
        print("saved", flush=True)
"""
TEXT = "".join(f"word{n} " for n in range(50))


class Process:
    def __init__(self, program, path):
        self.popen = subprocess.Popen(
            [sys.executable, "-c", program, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self.popen.stdin
        assert self.popen.stdout
        self.stdin, self.stdout = self.popen.stdin, self.popen.stdout

    def line(self):
        return self.stdout.readline().strip()

    def say(self, word):
        self.stdin.write(f"{word}\n")
        self.stdin.flush()
        return self.line()

    def kill(self):
        self.popen.kill()  # SIGKILL
        self.popen.wait(10)


@contextmanager
def running(program, path) -> Iterator[Process]:
    process = Process(program, path)
    try:
        yield process
    finally:
        process.kill()
        process.stdin.close()
        process.stdout.close()


def test_a_killed_program_loses_neither_prompt_nor_text(path):
    with running(WRITER, path) as process:
        chat_id = process.line()
        process.kill()
        history = opened(path)
        (turn,) = history.path(chat_id)
        started, waiting = turn.completions
        assert turn.prompt == "a prompt"
        assert (started.text, started.finish_reason) == (TEXT, "interrupted")
        assert started.reasoning == TEXT.replace("word", "thought")
        assert started.usage.source == "partial"
        assert started.usage.estimated == ("input_tokens", "output_tokens")
        assert started.usage.usage.output_tokens == len(TEXT) + len(started.reasoning)
        assert started.cost.quality == "estimated"
        assert started.cost.amount
        assert (waiting.text, waiting.finish_reason, waiting.cost) == ("", "interrupted", NOTHING)
        spent = history.spent_since(NOON)
        assert (spent.usd, spent.answers, spent.estimated) == (started.cost.usd, 1, True)
        assert history._database.write(
            lambda c: c.execute("SELECT state, finish_reason FROM charges").fetchall()
        ).result() == [("settled", "interrupted")]
        assert [file.name for file in path.parent.glob("*.lock")] == [history._presence._path.name]
        assert history.close()


def test_what_another_instance_writes_is_not_repaired(path):
    with running(WRITER, path) as process:
        chat_id = process.line()
        history = opened(path)
        (turn,) = history.path(chat_id)
        assert turn.completions[0].text == TEXT
        assert [completion.finish_reason for completion in turn.completions] == [None, None]
        assert not any(completion.running for completion in turn.completions)
        assert process.say("more") == "saved"
        assert history.path(chat_id)[0].completions[0].text == TEXT + "more"
        assert process.say("end") == "ended"
        ended = history.path(chat_id)[0].completions[0]
        assert (ended.text, ended.finish_reason) == (TEXT + "morethe end", "stop")
        assert history.close()


def test_an_instance_that_dies_while_we_look_is_noticed(path):
    with running(WRITER, path) as process:
        chat_id = process.line()
        history = opened(path)
        assert history.tree(chat_id)[0].completions[0].finish_reason is None
        process.kill()
        completions = history.tree(chat_id)[0].completions
        assert [completion.finish_reason for completion in completions] == ["interrupted"] * 2
        assert completions[0].text == TEXT
        assert history.close()


def test_a_chat_that_another_instance_answers_in_is_not_deleted(path):
    with running(WRITER, path) as process:
        chat_id = process.line()
        history = opened(path)
        with pytest.raises(StorageError, match="another tui-chat is answering") as refused:
            history.delete_conversation(chat_id).result()
        assert "\n" not in refused.value.message
        assert history.trouble is None
        assert process.say("more") == "saved"
        assert history.path(chat_id)[0].completions[0].text == TEXT + "more"
        process.kill()
        history.delete_conversation(chat_id).result()
        assert not history.conversations()
        assert history.close()


def test_several_starts_after_a_crash_recover_once(path):
    with running(WRITER, path) as process:
        chat_id = process.line()
        process.kill()
    histories = [opened(path) for _ in range(3)]
    for history in histories:
        assert history.path(chat_id)[0].completions[0].text == TEXT
        assert history.spent_since(NOON).answers == 1
    for history in histories:
        history.close()


def test_an_answer_left_running_at_the_end_is_interrupted_next_time(path):
    history = opened(path)
    chat = chat_named()
    turn = turn_in(chat, "hi")
    history.start_turn(chat, turn)
    stream(turn.completions[0], "part")
    history.save_partial(turn.completions[0], "part", "")
    assert history.path(chat.id)[0].completions[0].finish_reason is None, "ours is not repaired either"
    history.close()
    again = opened(path)
    (found,) = again.path(chat.id)[0].completions
    assert (found.text, found.finish_reason) == ("part", "interrupted")
    again.close()


CROWD = """
import sys
from pathlib import Path
from tests.store.made import *
history = opened(Path(sys.argv[1]))
print("ready", flush=True)
sys.stdin.readline()
chat = chat_named("crowd")
last = None
for n in range(40):
    turn = turn_in(chat, f"prompt {n}", (MODEL,), last)
    history.start_turn(chat, turn)
    last = turn.completions[0]
    for _ in range(3):
        stream(last, "part ")
        history.save_partial(last, "part ", "")
    finish(last, "end")
    history.save_completion(chat.id, last)
print(history.close(), history.trouble, flush=True)
"""


def test_two_programs_that_write_at_once_lose_nothing(path):
    with running(CROWD, path) as one, running(CROWD, path) as two:
        history = opened(path)
        mine = chat_named("mine")
        assert (one.line(), two.line()) == ("ready", "ready")
        for process in (one, two):
            process.stdin.write("go\n")
            process.stdin.flush()
        last = None
        for n in range(20):
            last = said(history, mine, f"mine {n}", continues=last).completions[0]
        assert (one.line(), two.line()) == ("True None", "True None")
    for row in history.conversations():
        turns = history.path(row.id)
        mine_too = row.title == "mine"
        assert [turn.prompt for turn in turns] == (
            [f"mine {n}" for n in range(20)] if mine_too else [f"prompt {n}" for n in range(40)]
        )
        assert {turn.completions[0].text for turn in turns} == {"Hello." if mine_too else "part part part end"}
    assert len(history.conversations()) == 3
    assert history.spent_since(NOON).answers == 100
    assert history.close()


def test_a_lock_file_of_a_dead_program_is_cleaned_up(path):
    history = opened(path)
    said(history, chat_named(), "hi")
    history.close()
    path.with_name("chats.db-running-dead.lock").touch()
    again = opened(path)
    assert len(list(path.parent.glob("*.lock"))) == 1
    again.close()
    assert list(path.parent.iterdir()) == [path]


UNKEPT = """
import sys
from pathlib import Path
from tests.store.made import *
history = opened(Path(sys.argv[1]))
running = answer("no turn")
stream(running, "some")
history.save_charge(running).result()
print("charged", flush=True)
sys.stdin.readline()
"""


def test_the_charge_of_an_answer_that_is_not_kept_outlives_a_kill(path):
    with running(UNKEPT, path) as process:
        assert process.line() == "charged"
        process.kill()
        history = opened(path)
        assert history.spent_since(NOON).answers == 1
        assert history._database.write(
            lambda c: c.execute("SELECT state, finish_reason, output_tokens FROM charges").fetchall()
        ).result() == [("settled", "interrupted", 4)]
        assert history.close()
