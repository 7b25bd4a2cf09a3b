"""Whether it shows in the time of an answer that something is there: `python -m bench.timing`.

A stranger asks a hub, in turns, for conversations that others have and for ones that nobody has: each for the first
time, and again and again. Printed are the medians, their ratio, and beside it the ratio of the two halves of one kind,
which is what chance alone comes to on this machine.
"""

import argparse
import asyncio
import random
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import aiohttp

from bench.local import local_deployment

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"


async def main(rounds: int) -> None:
    chance = random.Random(7)
    with local_deployment() as (ready, _):
        async with aiohttp.ClientSession(ready["http"]) as session:
            owner, stranger = (bearer(ready["tokens"][user]) for user in ("alice", "bob"))
            foreign = [await create(session, owner) for _ in range(rounds)]
            missing = ["".join(chance.choices(ALPHABET, k=26)) for _ in range(rounds)]
            for name, path in (("conversation", ""), ("page", "/messages"), ("message", "/messages/2")):
                there = [f"/v1/conversations/{one}{path}" for one in foreign]
                nowhere = [f"/v1/conversations/{one}{path}" for one in missing]
                if not path:
                    told(f"{name}, first time", *await in_turns(session, stranger, there, nowhere))
                again = [there[0]] * rounds, [nowhere[0]] * rounds
                told(f"{name}, again", *await in_turns(session, stranger, *again))


def bearer(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


async def create(session: aiohttp.ClientSession, headers: dict[str, str]) -> str:
    async with session.post("/v1/conversations", json={"kind": "group"}, headers=headers) as response:
        made: dict[str, Any] = await response.json()
    return str(made["conversation"]["id"])


async def in_turns(
    session: aiohttp.ClientSession, headers: dict[str, str], one: Sequence[str], other: Sequence[str]
) -> tuple[list[float], list[float]]:
    """Times in µs of the answers to both kinds of paths."""
    times: tuple[list[float], list[float]] = ([], [])
    for pair in zip(one, other, strict=True):
        for kind, path in enumerate(pair):
            times[kind].append(await timed(session, path, headers))
    return times


async def timed(session: aiohttp.ClientSession, path: str, headers: dict[str, str]) -> float:
    begun = time.perf_counter()
    async with session.get(path, headers=headers) as response:
        await response.read()
    took = (time.perf_counter() - begun) * 1e6
    assert response.status == 404, (path, response.status)
    return took


def told(what: str, one: list[float], other: list[float]) -> None:
    halves = median(one[::2]) / median(one[1::2])
    ratio = median(one) / median(other)
    print(f"{what:32} {median(one):8.0f} µs {median(other):8.0f} µs   ratio {ratio:.3f}   by chance {halves:.3f}")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=400)
    asyncio.run(main(parser.parse_args().rounds))
