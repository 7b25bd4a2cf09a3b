"""Hubs killed at the worst moments, told to end, without memory, blocked, with a wrong clock, cut off: F15 to F18, F24,
F25.
"""

import asyncio
import contextlib
import json
import secrets
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, Final

from chaos import machine
from chaos.fault import Fault, Hub, Run, Traffic
from chaos.faults.looking import (
    BACK_WITHIN_S,
    acks_go_on,
    counted,
    now,
    status_of,
    watching,
)
from chaos.faults.someone import someone
from realtime.redis.settings import RedisSettings

ROUNDS: Final = 1


@asynccontextmanager
async def killed_in_the_middle(run: Run) -> AsyncIterator[None]:
    """Killed with sends on their way to MongoDB; committed and not yet published; published and not yet acked."""
    hubs = run.cluster.hubs
    async with watching(run) as watch:
        for place in range(ROUNDS):
            hub = hubs[place % len(hubs)]
            hub.to_mongodb.set(Traffic.STALL, to_client=False)
            await asyncio.sleep(0.4)
            await _die(run, hub, "before its inserts arrive")
            hub.to_mongodb.set(Traffic.STALL, to_server=False)
            await asyncio.sleep(0.4)
            await _die(run, hub, "after its inserts, before it knows and publishes")
            hub.clients.set(Traffic.STALL, to_server=False)
            await asyncio.sleep(0.4)
            await _die(run, hub, "after publishing, before its acks arrive")
        yield
        repeated = [one for one in watch.sends("ok") if one.get("duplicate")]
        run.note("repeats answered with what was committed before", len(repeated))
        run.require("some sends were committed though nobody was told", len(repeated) > 0, f"{len(repeated)} repeats")


async def _die(run: Run, hub: Hub, when: str) -> None:
    await hub.kill()
    for link in (hub.to_mongodb, hub.to_redis, hub.clients):
        link.reset()
        link.set(Traffic.PASS)
    started = time.monotonic()
    await hub.start()
    run.note(f"{hub.name} killed {when}, back after", f"{time.monotonic() - started:.1f} s")
    await asyncio.sleep(1.0)


GRACE_S: Final = 8.0
"""`server.shutdown_timeout` of the cluster."""


@asynccontextmanager
async def told_to_end(run: Run) -> AsyncIterator[None]:
    """SIGTERM under load, one hub after the other, with clients that do not read."""
    async with watching(run) as watch, AsyncExitStack() as stack:
        for hub in run.cluster.hubs:
            for _ in range(5):
                await stack.enter_async_context(_stuck_reader(run, hub))
            since = now()
            started = time.monotonic()
            refused: list[float] = []
            looking = asyncio.create_task(_first_refusal(hub, refused, started))
            code = await hub.end()
            took_s = time.monotonic() - started
            looking.cancel()
            await asyncio.wait({looking})
            ended = now()
            run.note(f"{hub.name} ended after", f"{took_s:.1f} s, not ready after {refused[:1]} s")
            run.require(f"{hub.name} ends well", code == 0, f"exit code {code}")
            run.require(f"{hub.name} ends in time", took_s <= GRACE_S + 1.0, f"{took_s:.1f} s of {GRACE_S:g}")
            unknown = [one for one in watch.sends("info", since=since, until=ended, hub=hub.name) if _by_drain(one)]
            run.require(f"no send is left unanswered by {hub.name}", not unknown, f"{len(unknown)}: {unknown[:2]}")
            codes = [one.get("code", 0) for one in watch.closes(since=since, hub=hub.name)]
            run.require(f"clients of {hub.name} are told to come again", set(codes) <= {3001}, f"{sorted(set(codes))}")
            await hub.start()
            await asyncio.sleep(1.0)
        yield


def _by_drain(event: Mapping[str, Any]) -> bool:
    """An outcome that nobody knows, of a send that this hub had taken. (A request that was refused by a closed port or
    sent into the closing socket was never taken; the client repeats it.)"""
    return event.get("why") == "timeout"


async def _first_refusal(hub: Hub, found: list[float], started: float) -> None:
    while True:
        if (await hub.readiness())[0] != 200:
            found.append(round(time.monotonic() - started, 2))
            return
        await asyncio.sleep(0.05)


@asynccontextmanager
async def _stuck_reader(run: Run, hub: Hub) -> AsyncIterator[None]:
    from support.raw_client import raw_client, vanish

    cluster: Any = run.cluster
    token = cluster.token(f"stuck-{secrets.token_hex(3)}")
    raw = await raw_client(f"ws://127.0.0.1:{hub.port}/connection/websocket")
    try:
        await asyncio.get_running_loop().sock_sendall(raw, _frame({"id": 1, "connect": {"token": token}}))
        yield
    finally:
        vanish(raw)


def _frame(command: object) -> bytes:
    """A masked text frame of any size below 64 KiB (the mask is zero)."""
    data = json.dumps(command).encode()
    size = bytes([0x80 | len(data)]) if len(data) < 126 else b"\xfe" + len(data).to_bytes(2)
    return b"\x81" + size + bytes(4) + data


ADDRESS_SPACE: Final = 700 << 20


@asynccontextmanager
async def out_of_memory(run: Run) -> AsyncIterator[None]:
    """A hub that gets no more memory than it needs to start, under a flood of large sends; then it is as it was."""
    hub = run.cluster.hubs[0]
    server: Any = hub
    resident = server.resident_bytes()
    await hub.end()
    await hub.start(wrapped=("prlimit", f"--as={ADDRESS_SPACE}", "--"))
    limited = hub.running
    run.require("it starts with little memory", limited, f"{ADDRESS_SPACE >> 20} MiB of address space")
    most = 0
    with server.may_end():
        async with someone(run) as person:
            flood = [asyncio.create_task(_flood(person, hub)) for _ in range(8)]
            for _ in range(25):
                await asyncio.sleep(0.2)
                most = max(most, server.resident_bytes())
            for task in flood:
                task.cancel()
            await asyncio.gather(*flood, return_exceptions=True)
        run.note("resident before, at most", f"{resident >> 20} MiB, {most >> 20} MiB")
        run.note("with its memory used up", "it runs on" if hub.running else "it has ended")
        run.require("memory stays below the limit", most < ADDRESS_SPACE, f"{most >> 20} MiB")
        yield
        if hub.running:
            await hub.end()
    await hub.start()


async def _flood(person: Any, hub: Hub) -> None:
    """Large bodies, all at once, to a hub that can hold few of them."""
    conversation = ""
    with contextlib.suppress(LookupError):
        conversation = await person.group(hub)
    while True:
        custom = {"x": "y" * 30_000}
        await asyncio.gather(
            *(
                person.rpc(
                    hub,
                    "message.send",
                    conversation=conversation,
                    idempotency_key=secrets.token_hex(8),
                    text="flood",
                    custom=custom,
                )
                for _ in range(20)
            )
        )


BLOCKED_S: Final = 3.0


@asynccontextmanager
async def blocked(run: Run) -> AsyncIterator[None]:
    """The event loop stands still for three seconds, twice."""
    hub = run.cluster.hubs[0]
    async with watching(run) as watch:
        since = now()
        for _ in range(2):
            hub.freeze()
            await asyncio.sleep(BLOCKED_S)
            hub.thaw()
            await asyncio.sleep(2.0)
        yield
        closes = watch.closes(since=since, hub=hub.name)
        run.require("clients are not dropped for it", not closes, f"{[one['code'] for one in closes]}")
    late = {
        name: value for name, value in (await hub.metrics()).items() if name.startswith("hubbub_event_loop_lag_seconds")
    }
    slow = late.get('hubbub_event_loop_lag_seconds_bucket{le="+Inf"}', 0) - max(
        (value for name, value in late.items() if 'le="1' in name), default=0
    )
    run.require("the lag is measured", slow >= 1, f"{slow:.0f} times more than a second")


JUMPS: Final = ("+1h", "-1h", "+10y")


@asynccontextmanager
async def wrong_clock(run: Run) -> AsyncIterator[None]:
    """One hub's clock is an hour ahead, an hour behind, ten years ahead."""
    hub = run.cluster.hubs[0]
    library = str(machine.faketime())
    file = Path(f"/tmp/hubbub-chaos-time-{secrets.token_hex(4)}")
    file.write_text("+0s\n")
    environment = {
        "LD_PRELOAD": library,
        "FAKETIME_TIMESTAMP_FILE": str(file),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
        "PYTHONPATH": str(Path(__file__).parents[1] / "wrong_clock"),
    }
    try:
        await hub.end()
        await hub.start(environment=environment)
        async with watching(run) as watch, someone(run) as person:
            conversation = await person.group(run.cluster.hubs[-1])
            for jump in JUMPS:
                since = now()
                file.write_text(f"{jump}\n")
                # Tokens of the run are good for an hour: with its clock ahead they have expired for this hub.
                answer = await person.say(hub, conversation, f"at{jump}")
                other = await person.say(run.cluster.hubs[-1], conversation, f"other{jump}")
                run.note(f"a send at {jump}, on the other hub", f"{answer.status}, {other.status}")
                run.require(f"the other hub is not affected at {jump}", other.ok, f"{other.status} {other.body}")
                await asyncio.sleep(3.0)
                codes = [one.get("code", 0) for one in watch.closes(since=since, hub=hub.name)]
                expired = [code for code in codes if code != 3005]
                run.note(f"closed at {jump}", f"{len(codes)}: {sorted(set(codes))}")
                run.require(f"nobody is cut off for another reason than expiry at {jump}", not expired, f"{expired}")
                if jump.startswith("-"):
                    # A token of today is one of the future to it, which `token.clock_skew` bounds: refused, as decided.
                    run.require("an hour behind, nobody is logged out", not codes, f"{sorted(set(codes))}")
                    run.require("a token of the future is refused", answer.status == 401, f"{answer.status}")
            file.write_text("+0s\n")
            yield
            page = await person.page(run.cluster.hubs[-1], conversation)
            offsets = [item["offset"] for item in page.body["items"]]
            run.require("the order is that of the log", offsets == sorted(offsets), f"{offsets}")
    finally:
        file.unlink(missing_ok=True)
        await hub.end()
        await hub.start()


@asynccontextmanager
async def cut_off(run: Run) -> AsyncIterator[None]:
    """One hub cannot reach Redis, then MongoDB: each direction by itself, then both."""
    here, there = run.cluster.hubs[0], run.cluster.hubs[-1]
    ways: tuple[dict[str, bool], ...] = ({"to_server": False}, {"to_client": False}, {})
    async with watching(run) as watch:
        await asyncio.sleep(2.0)
        for way in ways:
            await _without_redis(run, watch, here, way)
        for way in ways:
            await _without_mongodb(run, watch, here, there, way)
        yield


def _named(way: Mapping[str, bool]) -> str:
    return {"to_server": "answers lost", "to_client": "requests lost"}[next(iter(way))] if way else "both directions"


async def _without_redis(run: Run, watch: Any, hub: Hub, way: dict[str, bool]) -> None:
    since, name = now(), _named(way)
    hub.to_redis.set(Traffic.STALL, **way)
    try:

        async def dead() -> bool:
            return await counted(hub, "hubbub_bus_alive") == 0

        # While it goes on hearing others, only its own heartbeat tells, which may be late for other reasons.
        within_s = 5.0 if way.get("to_client", True) else RedisSettings().heartbeat_overdue_s + 2.0
        await run.until(dead, within_s=within_s, told=f"{hub.name} knows that its bus is dead ({name})")
        await asyncio.sleep(1.5)
        acks_go_on(run, watch, since, f"by {hub.name} without Redis, {name}")
    finally:
        hub.to_redis.set(Traffic.PASS)

    async def alive() -> bool:
        return await counted(hub, "hubbub_bus_alive") == 1

    await run.until(alive, within_s=BACK_WITHIN_S, told=f"{hub.name} hears again ({name})")


async def _without_mongodb(run: Run, watch: Any, here: Hub, there: Hub, way: dict[str, bool]) -> None:
    name = _named(way)
    here.to_mongodb.set(Traffic.STALL, **way)
    since = now() + 300_000_000
    try:
        await run.until(
            lambda: status_of(here, 503), within_s=6, told=f"{here.name} without MongoDB is not ready ({name})"
        )
        await asyncio.sleep(1.5)
        acks = watch.sends("ok", since=since, hub=here.name)
        others = watch.sends("ok", since=since, hub=there.name)
        run.require(f"{here.name} acknowledges nothing without MongoDB, {name}", not acks, f"{len(acks)} acks")
        run.require(f"{there.name} goes on, {name}", len(others) > 0, f"{len(others)} acks")
    finally:
        here.to_mongodb.set(Traffic.PASS)
    await run.until(lambda: status_of(here, 200), within_s=BACK_WITHIN_S, told=f"{here.name} is ready again ({name})")


FAULTS: Final = (
    Fault("15", "hubs killed in the middle of sends", killed_in_the_middle, lasts_s=1.0),
    Fault("16", "hubs told to end under load", told_to_end, lasts_s=1.0),
    Fault(
        "17",
        "a hub without memory",
        out_of_memory,
        lasts_s=1.0,
        skipped=machine.no_memory_limit,
        # The last: it may end before it writes its log in lines.
        tracebacks=("MemoryError", "can't start new thread", "Traceback (most recent call last)"),
    ),
    Fault("18", "the event loop of a hub blocked", blocked, lasts_s=1.0),
    Fault("24", "the clock of a hub jumps", wrong_clock, lasts_s=1.0, skipped=machine.no_faketime),
    Fault("25", "a hub cut off from Redis, from MongoDB", cut_off, lasts_s=1.0),
)
