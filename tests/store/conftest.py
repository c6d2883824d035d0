import pytest

from tests.store.made import HandClock, opened
from tui_chat.store import database


@pytest.fixture(autouse=True)
def _patient_reads(monkeypatch, request):
    """What a test reads back must not hang on the speed of the disk; those about the wait itself say so."""
    if "impatient" not in request.fixturenames:
        monkeypatch.setattr(database, "READ_WAIT_S", 5.0)


@pytest.fixture
def impatient():
    """The wait of a read as users have it."""


@pytest.fixture
def clock():
    return HandClock()


@pytest.fixture
def path(tmp_path):
    return tmp_path / "home" / "chats.db"


@pytest.fixture
def store(path, clock):
    history = opened(path, clock)
    yield history
    assert history.close()
