"""How late the event loop is."""

import asyncio
import time

from chat.metrics.loop_lag import sampled_loop_lag


async def test_a_stall_is_observed_with_its_length() -> None:
    lags: list[float] = []
    async with sampled_loop_lag(lags.append, monotonic=time.monotonic, interval_s=0.01):
        while not lags:
            await asyncio.sleep(0)
        seen = len(lags)
        time.sleep(0.2)
        while len(lags) == seen:
            await asyncio.sleep(0)
    assert max(lags) >= 0.18
    assert min(lags) >= 0


async def test_it_ends_with_its_owner() -> None:
    async with sampled_loop_lag(lambda lag: None, monotonic=time.monotonic):
        pass
    assert not [task for task in asyncio.all_tasks() if task.get_name() == "loop-lag"]
