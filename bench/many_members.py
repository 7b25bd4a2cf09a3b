"""What a conversation of very many members costs beside one of ten, in the same run.

Starts a complete server (`hubbub dev`), makes a group of ten and one of so many, and does the same in both, in turns:
join, send, list a page of members, mark as read. Calls are made by the server API on behalf of members, so that every
call may be another member's and nothing has to be connected.
"""

import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from typing import Any, Final
from uuid import uuid4

import aiohttp

from bench.local import local_deployment
from bench.sender import cpu_s
from bench.suite import Figure, Run, Scenario, main
from chat.config import load

CHUNK: Final = 1000
FEW: Final = 10


class Api:
    """Methods on behalf of users."""

    def __init__(self, http: aiohttp.ClientSession) -> None:
        self._http = http

    async def __call__(self, user: str, method: str, **params: Any) -> Any:
        async with self._http.post("/api/rpc", json={"user": user, "method": method, "params": params}) as answer:
            body = await answer.json()
        if "error" in body:
            raise SystemExit(f"{method}: {body['error']}")
        return body["result"]["data"]


def member(number: int) -> str:
    return f"member{number:06}"


async def fill(api: Api, conversation: str, members: int, cpu_ms: Callable[[], float]) -> list[tuple[float, float]]:
    """Add members in chunks; how long each chunk took, and its CPU, in ms."""
    took_ms = []
    for start in range(1, members, CHUNK):
        names = [member(number) for number in range(start, min(start + CHUNK, members))]
        before, before_cpu_ms = time.perf_counter(), cpu_ms()
        await api(member(0), "conversation.add_members", conversation=conversation, members=names)
        took_ms.append(((time.perf_counter() - before) * 1000, cpu_ms() - before_cpu_ms))
        if len(took_ms) % 10 == 0:
            print(f"{start + len(names)} of {members} members", file=sys.stderr, flush=True)
    return took_ms


Call = Callable[[str, int], Awaitable[Any]]


def calls(api: Api) -> dict[str, Call]:
    """What is measured, given a conversation and how many members it has."""

    def anyone(members: int) -> str:
        return member(random.randrange(members))

    def send(user: str, conversation: str) -> Awaitable[Any]:
        return api(user, "message.send", conversation=conversation, idempotency_key=str(uuid4()), text="x" * 100)

    async def come(conversation: str, _: int) -> None:
        newcomer = f"newcomer{uuid4().hex}"
        await api(member(0), "conversation.add_members", conversation=conversation, members=[newcomer])

    async def mark(conversation: str, members: int) -> None:
        await api(anyone(members), "read.mark", conversation=conversation, offset=2**40)

    return {
        "join, one at a time": come,
        "send, always the same member": lambda conversation, _: send(member(0), conversation),
        "send, any member": lambda conversation, members: send(anyone(members), conversation),
        "conversation.members, 100 after any": lambda conversation, members: api(
            anyone(members), "conversation.members", conversation=conversation, after=anyone(members)
        ),
        "read.mark, any member": mark,
        "conversation.get, any member": lambda conversation, members: api(
            anyone(members), "conversation.get", conversation=conversation
        ),
    }


async def measure(run: Run) -> None:
    with local_deployment() as (ready, data):
        key = load(data / "config.toml", {}).config.api.key.reveal()
        timeout = aiohttp.ClientTimeout(total=60)
        async with aiohttp.ClientSession(ready["http"], headers={"X-API-Key": key}, timeout=timeout) as http:
            await measure_groups(run, Api(http), ready["pids"])


async def measure_groups(run: Run, api: Api, pids: dict[str, int]) -> None:
    groups: dict[int, str] = {}
    for members in (FEW, run.options.members):
        made = await api(member(0), "conversation.create", kind="group", idempotency_key=str(uuid4()))
        groups[members] = made["conversation"]["id"]

    def cpu_ms() -> float:
        return sum(cpu_s(pids[name]) for name in ("hub", "mongod")) * 1000

    await fill(api, groups[FEW], FEW, cpu_ms)
    run.notes["filling"] = growth(await fill(api, groups[run.options.members], run.options.members, cpu_ms))
    for _ in run.rounds():
        for name, call in calls(api).items():
            took: dict[int, list[float]] = {members: [] for members in groups}
            for _ in range(run.options.calls):
                for members, conversation in groups.items():
                    started = time.perf_counter()
                    await call(conversation, members)
                    took[members].append((time.perf_counter() - started) * 1000)
            run.add(f"{name}: ten members", statistics.median(took[FEW]))
            run.add(f"{name}: many", statistics.median(took[run.options.members]))


def growth(filled: list[tuple[float, float]]) -> str:
    """Whether the last of the calls that added members cost more than the first."""
    tenth = max(1, len(filled) // 10)
    said = []
    for what, of in zip(("took", "CPU of hub and mongod"), zip(*filled, strict=True), strict=True):
        first, last = statistics.fmean(of[:tenth]), statistics.fmean(of[-tenth:])
        said.append(f"{what} {first:.0f} ms a call in the first tenth, {last:.0f} in the last")
    return f"{CHUNK} members a call: {'; '.join(said)}"


NAMES: Final = (
    "join, one at a time",
    "send, always the same member",
    "send, any member",
    "conversation.members, 100 after any",
    "read.mark, any member",
    "conversation.get, any member",
)

SCENARIO = Scenario(
    name="many_members",
    title="A conversation of very many members",
    about="The same calls in a group of ten and in one of very many, in turns, until they are answered.",
    figures=[
        figure
        for name in NAMES
        for figure in (
            Figure(f"{name}: many", "ms", baseline=f"{name}: ten members"),
            Figure(f"{name}: ten members", "ms"),
        )
    ],
    measure=measure,
    full={"members": 100_000, "calls": 200},
    quick={"members": 5_000, "calls": 20},
)

if __name__ == "__main__":
    main(SCENARIO)
