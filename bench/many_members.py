"""What a conversation of very many members costs beside one of ten, in the same run.

Starts a complete server (`hubbub dev`), makes a group of ten and one of so many, and does the same in both, in turns:
join, send, list a page of members, mark as read. Calls are made by the server API on behalf of members, so that every
call may be another member's and nothing has to be connected.

    python -m bench.many_members [--members 100000] [--calls 200] [--json FILE]
"""

import argparse
import random
import statistics
import sys
import time
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any, Final
from uuid import uuid4

import aiohttp

from bench.local import run
from bench.sender import cpu_s
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


async def measure(ready: dict[str, Any], data: Path, options: argparse.Namespace) -> dict[str, Any]:
    key = load(data / "config.toml", {}).config.api.key.reveal()
    timeout = aiohttp.ClientTimeout(total=60)
    async with aiohttp.ClientSession(ready["http"], headers={"X-API-Key": key}, timeout=timeout) as http:
        api = Api(http)
        groups: dict[int, str] = {}
        for members in (FEW, options.members):
            made = await api(member(0), "conversation.create", kind="group", idempotency_key=str(uuid4()))
            groups[members] = made["conversation"]["id"]

        def cpu_ms() -> float:
            return sum(cpu_s(ready["pids"][name]) for name in ("hub", "mongod")) * 1000

        await fill(api, groups[FEW], FEW, cpu_ms)
        filled = await fill(api, groups[options.members], options.members, cpu_ms)
        took: dict[str, dict[int, list[float]]] = {}
        for name, call in calls(api).items():
            took[name] = {members: [] for members in groups}
            for _ in range(options.calls):
                for members, conversation in groups.items():
                    started = time.perf_counter()
                    await call(conversation, members)
                    took[name][members].append((time.perf_counter() - started) * 1000)
    return {
        "members": options.members,
        "chunks_ms": [took_ms for took_ms, _ in filled],
        "chunks_cpu_ms": [used_ms for _, used_ms in filled],
        "p50_ms": {
            name: {str(members): statistics.median(values) for members, values in of.items()}
            for name, of in took.items()
        },
    }


def report(result: dict[str, Any]) -> None:
    many = str(result["members"])
    print(f"{result['members']} members, {CHUNK} a call: mean of the first and the last tenth of the calls")
    for name, of in (("took", result["chunks_ms"]), ("CPU of hub and mongod", result["chunks_cpu_ms"])):
        tenth = max(1, len(of) // 10)
        first, last = statistics.fmean(of[:tenth]), statistics.fmean(of[-tenth:])
        print(f"{name:<38}{first:>7.0f} ms {last:>9.0f} ms   {last / first:.2f}")
    print(f"{'median of each':<38}{FEW:>10} {many:>12}   ratio")
    for name, of in result["p50_ms"].items():
        few, lots = of[str(FEW)], of[many]
        print(f"{name:<38}{few:>7.2f} ms {lots:>9.2f} ms   {lots / few:.2f}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--members", type=int, default=100_000)
    parser.add_argument("--calls", type=int, default=200)
    run(parser, measure, report)


if __name__ == "__main__":
    main()
