import pytest

from tests.store.made import HandClock, opened


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
