"""Leaving out what a partial update does not show changes nothing of what it writes."""

import random

from textual._compositor import Compositor
from textual.geometry import Region

from tests.ui.test_transcript import open_first, remember
from tui_chat.ui.sparing_compositor import SparingCompositor


async def test_a_partial_update_writes_what_textual_would_write(program):
    chance = random.Random(1)
    remember(program, 6)
    async with program.running(size=(110, 32)) as driver:
        await open_first(driver)
        await driver.until(lambda: driver.shows("End of 5."))
        compositor, console = driver.screen._compositor, driver.app.console
        assert isinstance(compositor, SparingCompositor)
        for _ in range(60):
            dirty = {
                Region(chance.randint(0, 100), chance.randint(0, 31), chance.randint(1, 60), chance.randint(1, 5))
                for _ in range(chance.randint(1, 4))
            }
            shown = {region.intersection(driver.screen.size.region) for region in dirty}
            compositor._dirty_regions = set(shown)
            ours = compositor.render_partial_update()
            compositor._dirty_regions = set(shown)
            theirs = Compositor.render_partial_update(compositor)
            assert ours is not None
            assert theirs is not None
            assert ours.render_segments(console) == theirs.render_segments(console)
