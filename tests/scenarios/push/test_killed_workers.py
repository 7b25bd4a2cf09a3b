"""Workers in processes of their own, which are killed while messages come: nothing is missing, nothing rings twice."""

import asyncio
import os
import random
import sys
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path

import pytest
import pytest_asyncio

from chat.push.lab import apns_faults as apns
from chat.push.lab import webpush
from chat.push.lab.fcm import Fault as FcmFault
from support import hasty_worker
from support.hub_process import HubProcess, hub_process
from support.ringing import PLATFORMS, Ringing
from support.talking import group, say
from support.waiting import PATIENCE_S, eventually

pytestmark = pytest.mark.asyncio(loop_scope="module")

ROOT = Path(hasty_worker.__file__).resolve().parents[2]
MESSAGES, KILLS = 9, 3


class Workers:
    """Processes by number; each is killed at the end if it was not before."""

    def __init__(self, files: HubProcess) -> None:
        self._files = files
        self.running: list[asyncio.subprocess.Process] = []

    async def start(self) -> None:
        paths = (str(ROOT), str(ROOT / "tests"))
        with self._files.log.open("ab") as log:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                hasty_worker.__file__,
                str(self._files.directory / "config.toml"),
                stdin=asyncio.subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                env={**os.environ, "PYTHONPATH": os.pathsep.join(paths)},
            )
        self.running.append(process)

    async def kill(self, number: int = 0) -> None:
        process = self.running.pop(number)
        process.kill()
        await process.wait()

    async def ready(self, count: int) -> None:
        """So many have begun by now."""
        await eventually(lambda: len(self._files.said("following")) >= count, within_s=3 * PATIENCE_S)


@asynccontextmanager
async def worker_processes(ring: Ringing) -> AsyncIterator[Workers]:
    """With the configuration of the hub, and at the emulators."""
    config = ring.config
    settings = {
        "secrets__keys": [key.reveal() for key in config.secrets.keys],
        "push__delay": "100ms",
        "push__quiet_gap": "0s",
        "push__loud_per_minute": 1000,
        "limits__presence_members": 0,
    }
    async with hub_process(config, migrated=False, **settings) as files, AsyncExitStack() as stack:
        workers = Workers(files)

        async def kill_all() -> None:
            while workers.running:
                await workers.kill()

        stack.push_async_callback(kill_all)
        yield workers


@pytest_asyncio.fixture(loop_scope="module")
async def workers(shared_ringing: Ringing) -> AsyncIterator[Workers]:
    await shared_ringing.stop_worker()
    async with worker_processes(shared_ringing) as some:
        yield some


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.slow)])
async def test_workers_that_are_killed_at_any_moment_lose_nothing_and_ring_once(
    shared_ringing: Ringing, workers: Workers, seed: int
) -> None:
    ring, dice = shared_ringing, random.Random(seed)
    alice = ring.somebody()
    await ring.everything(alice)
    await workers.start()
    await workers.start()
    async with ring.user(ring.somebody(), called="Dave") as dave:
        conversations = [await group(dave, alice, title=f"{number}") for number in range(MESSAGES)]
        await workers.ready(1)
        deaths = set(dice.sample(range(MESSAGES), KILLS))
        for number, conversation in enumerate(conversations):
            await say(dave, conversation, f"number {number}")
            # At any moment of what it does about this message: a moment is what it is about.
            await asyncio.sleep(dice.random() * 0.4)
            if number in deaths:
                await workers.kill(dice.randrange(len(workers.running)))
                await workers.start()
        texts = [f"Dave: number {number}" for number in range(MESSAGES)]
        await ring.sees(alice, *texts, badge=MESSAGES, rings=MESSAGES)


async def test_a_worker_that_is_killed_before_it_hears_that_a_push_was_taken_rings_once(
    shared_ringing: Ringing, workers: Workers
) -> None:
    ring, alice = shared_ringing, shared_ringing.somebody()
    phones = await ring.everything(alice)
    ring.lab.apns["production"].script(apns.Hold())
    ring.lab.fcm.fail(FcmFault(hang=True, taken=True))
    ring.lab.webpush.fail(webpush.Fault(hang=True, taken=True))
    await workers.start()
    async with ring.user(ring.somebody(), called="Dave") as dave:
        await say(dave, await group(dave, alice, title="Trip"), "Hello")
        await eventually(lambda: all(phone.tray for phone in phones.values()), within_s=3 * PATIENCE_S)
        await workers.kill()
        await workers.start()
        await ring.sees(alice, "Dave: Hello", badge=1)
        assert {platform: len(phones[platform].tray) for platform in PLATFORMS} == dict.fromkeys(PLATFORMS, 1)
