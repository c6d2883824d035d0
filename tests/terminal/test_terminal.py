"""The program as a person meets it: in a terminal, on a fresh home, without a key and without network."""

import os
import select
import signal
import threading

import pytest

from tests.loopback import Head, Stall, WaitFor, chat_chunk, chat_stream

pytestmark = pytest.mark.terminal

SSE = Head(200, {"Content-Type": "text/event-stream"})


def test_a_newcomer_starts_stops_adjusts_quits_and_finds_everything_again(terminal):
    terminal.start("-m", "demo/rambler")
    terminal.until("Ask anything")
    terminal.until("scripted")
    terminal.type("tell me")
    terminal.keys("Enter")
    terminal.until("● streaming")
    terminal.keys("Escape")
    terminal.until("■ stopped at")
    terminal.keys("e")
    terminal.until("editing: sends a branch")
    terminal.type(" more")
    terminal.keys("Enter")
    terminal.until(lambda screen: "branch 2/2" in screen and "● streaming" in screen)
    terminal.keys("C-c")
    terminal.until("■ stopped at")
    terminal.keys("C-t")
    terminal.type("half typed")
    terminal.until("half typed")
    terminal.keys("C-q")
    terminal.until("ended with 0")
    terminal.close()

    terminal.start("-c")
    terminal.until(lambda screen: all(words in screen for words in ("half typed", "tell me more", "■ stopped")))
    terminal.keys("C-t", "[")
    terminal.until("branch 1/2")


def test_the_first_token_shows_while_the_server_still_sends_and_ctrl_c_hangs_up_at_once(configured, server):
    gate = threading.Event()
    exchange = server.enqueue(SSE, chat_chunk("Early words"), WaitFor(gate), chat_stream(["late"]))
    configured.start()
    configured.until("Ask anything")
    configured.type("hello")
    configured.keys("Enter")
    configured.until("Early words")
    assert not exchange.finished.is_set()
    configured.keys("C-c")
    assert exchange.hung_up.wait(5)
    assert "Early words" in configured.until("■ stopped at 2 tok")


def test_esc_before_the_first_token_hangs_up(configured, server):
    exchange = server.enqueue(Stall())
    configured.start()
    configured.until("Ask anything")
    configured.type("hello")
    configured.keys("Enter")
    assert exchange.requested.wait(10)
    configured.until("waiting")
    configured.keys("Escape")
    assert exchange.hung_up.wait(5)
    configured.until("stopped before the first token")


def test_killed_midstream_it_keeps_the_prompt_and_the_text_and_marks_the_answer_interrupted(configured, server):
    gate = threading.Event()
    server.enqueue(SSE, chat_chunk("Kept whatever happens"), Stall())
    server.enqueue(SSE, WaitFor(gate))
    configured.start()
    configured.until("Ask anything")
    configured.type("precious prompt")
    configured.keys("Enter")
    configured.until("Kept whatever happens")
    configured.until(configured.on_disk("Kept whatever happens"), timeout_s=2)
    os.kill(configured.pid(), signal.SIGKILL)
    configured.until("ended with 137")
    configured.close()
    configured.start("-c")
    screen = configured.until("interrupted")
    assert "precious prompt" in screen
    assert "Kept whatever happens" in screen


def test_sigterm_saves_restores_the_terminal_and_ends(configured, server):
    exchange = server.enqueue(SSE, chat_chunk("A part"), Stall())
    configured.start()
    configured.until("Ask anything")
    configured.type("hello")
    configured.keys("Enter")
    configured.until("A part")
    os.kill(configured.pid(), signal.SIGTERM)
    assert exchange.hung_up.wait(5)
    configured.until("ended with 143", timeout_s=5)
    configured.close()
    configured.start("-c")
    assert "A part" in configured.until("■ stopped")


def test_keys_typed_at_the_very_start_are_not_lost(terminal):
    terminal.start()
    terminal.type("typed early")
    assert "typed early" in terminal.until(lambda screen: "typed early" in screen and "to send" in screen)


def test_an_answer_goes_on_while_the_prompt_is_in_the_editor(configured, server, tmp_path):
    pipe, script = tmp_path / "pipe", tmp_path / "editor"
    os.mkfifo(pipe)
    script.write_text(f'#!/bin/sh\necho EDITING\nread word < {pipe}\nprintf " and more" >> "$1"\n')
    script.chmod(0o700)
    gate = threading.Event()
    exchange = server.enqueue(SSE, chat_chunk("Begun"), WaitFor(gate), chat_stream([" and done"]))
    configured.start(VISUAL=str(script))
    configured.until("Ask anything")
    configured.type("hello")
    configured.keys("Enter")
    configured.until("Begun")
    configured.type("a prompt")
    configured.keys("C-g")
    configured.until("EDITING")
    gate.set()
    assert exchange.finished.wait(5)
    pipe.write_text("done\n")
    configured.until(lambda screen: all(w in screen for w in ("a prompt and more", "Begun and done", "/ filter")))


def test_bytes_that_are_no_text_and_pastes_that_break_out_do_no_harm(configured, server):
    server.enqueue(SSE, chat_stream(["an answer"]))
    configured.start()
    configured.until("Ask anything")
    configured.type("hello")
    configured.keys("Enter")
    configured.until("an answer")
    configured.paste(b"caf\xe9 \x1b[201~\x12\x12\x0c\rtail")
    configured.until("tail")
    assert len(server.requests) == 1
    assert "esc close" not in configured.screen()
    configured.type(" and more")
    configured.until("tail and more")


def test_when_its_terminal_is_closed_it_ends_and_leaves_nothing_running(configured, server):
    exchange = server.enqueue(SSE, chat_chunk("A part"), Stall())
    configured.start()
    configured.until("Ask anything")
    configured.type("hello")
    configured.keys("Enter")
    configured.until("A part")
    gone = select.poll()
    handle = os.pidfd_open(configured.pid())
    gone.register(handle, select.POLLIN)
    configured.close()
    assert exchange.hung_up.wait(5)
    assert gone.poll(5000), "still running"
    os.close(handle)
