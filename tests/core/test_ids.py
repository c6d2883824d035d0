"""Identifiers sort in the order in which they were made, whatever the wall clock does."""

import time
import uuid

from tui_chat.core.ids import IdSource, new_id


def test_ids_are_uuids_of_version_seven_of_now():
    made = uuid.UUID(new_id())
    assert (made.version, made.variant) == (7, uuid.RFC_4122)
    assert abs((made.int >> 80) / 1000 - time.time()) < 60


def test_ids_only_grow_also_within_a_millisecond():
    source = IdSource()
    ids = [source.next() for _ in range(10_000)]
    assert ids == sorted(set(ids))


def test_ids_grow_when_the_clock_steps_back(monkeypatch):
    source = IdSource()
    before = source.next()
    monkeypatch.setattr(time, "time_ns", lambda: 1_000_000)
    assert source.next() > before
