"""Settings for all tests."""

from hypothesis import settings

settings.register_profile("tui-chat", deadline=None)  # shared machines are slow now and then
settings.load_profile("tui-chat")
