"""Whether it shows in the time of an answer that something is there.

A stranger asks a hub, in turns, for conversations that others have and for ones that nobody has: each for the first
time, and again and again. Beside the ratio of both is that of the two halves of one kind, which is what chance alone
comes to on this machine.
"""

import random
import time
from collections.abc import Sequence
from statistics import median
from typing import Any, Final

import aiohttp

from bench.local import local_deployment
from bench.suite import Figure, Run, Scenario, main

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz234567"
KINDS: Final = (("conversation", ""), ("page", "/messages"), ("message", "/messages/2"))
ASKED: Final = ("conversation, first time", *(f"{name}, again" for name, _ in KINDS))


async def measure(run: Run) -> None:
    chance, count = random.Random(7), run.options.calls
    with local_deployment() as (ready, _):
        async with aiohttp.ClientSession(ready["http"]) as session:
            owner, stranger = (bearer(ready["tokens"][user]) for user in ("alice", "bob"))
            for _ in run.rounds():
                foreign = [await create(session, owner) for _ in range(count)]
                missing = ["".join(chance.choices(ALPHABET, k=26)) for _ in range(count)]
                for name, path in KINDS:
                    there = [f"/v1/conversations/{one}{path}" for one in foreign]
                    nowhere = [f"/v1/conversations/{one}{path}" for one in missing]
                    if not path:
                        tell(run, f"{name}, first time", *await in_turns(session, stranger, there, nowhere))
                    again = [there[0]] * count, [nowhere[0]] * count
                    tell(run, f"{name}, again", *await in_turns(session, stranger, *again))


def tell(run: Run, what: str, one: list[float], other: list[float]) -> None:
    run.add(f"{what}: another's", median(one))
    run.add(f"{what}: nobody's", median(other))
    run.add(f"{what}: by chance", median(one[::2]) / median(one[1::2]))


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


SCENARIO = Scenario(
    name="timing",
    title="Whether time tells that something is there",
    about="A stranger asks for what others have and for what nobody has, in turns. Both take the same time if "
    "the ratio is no further from 1 than that of the two halves of one kind.",
    figures=[
        *(
            figure
            for what in ASKED
            for figure in (
                Figure(f"{what}: another's", "µs", "", baseline=f"{what}: nobody's", chart="answers, µs"),
                Figure(f"{what}: nobody's", "µs", "", chart="answers, µs"),
            )
        ),
        *(Figure(f"{what}: by chance", "", "", chart="the halves of one kind") for what in ASKED),
    ],
    measure=measure,
    full={"calls": 400},
    quick={"calls": 60},
)

if __name__ == "__main__":
    main(SCENARIO)
