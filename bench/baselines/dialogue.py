"""What every server of the fan-out benchmark says and hears, for those in Python; see send_loop.c."""

import asyncio
import resource
import sys
from collections.abc import Awaitable, Callable


async def ready(there: Callable[[], bool], *, listening: str = "") -> None:
    """Say that it listens (on which port, if that is not known), and when all receivers are there."""
    print(f"listening {listening}".strip(), flush=True)
    while not there():
        await asyncio.sleep(0.05)
    print("ready", flush=True)


async def answer(send_to_all: Callable[..., Awaitable[None]]) -> None:
    """For each line "MESSAGES PAUSE_MS" send so many, and tell the CPU microseconds: the process' own and the kernel's
    for it. What else is on the line is handed on.
    """
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        messages, pause_ms, *more = map(int, line.split())
        before = resource.getrusage(resource.RUSAGE_SELF)
        for _ in range(messages):
            await send_to_all(*more)
            await asyncio.sleep(pause_ms / 1000)
        after = resource.getrusage(resource.RUSAGE_SELF)
        used = (after.ru_utime - before.ru_utime, after.ru_stime - before.ru_stime)
        print(*(round(seconds * 1e6) for seconds in used), flush=True)
