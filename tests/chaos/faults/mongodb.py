"""MongoDB killed, frozen, stepping down, rolled back, not answering, full: F8 to F14."""

import asyncio
import itertools
import os
import shutil
import subprocess
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import ExitStack, asynccontextmanager, contextmanager, suppress
from pathlib import Path
from typing import Any, Final

from pymongo import AsyncMongoClient
from pymongo.errors import PyMongoError

from chaos import machine
from chaos.fault import Fault, Run, Topology, Traffic
from chaos.faults.looking import (
    BACK_WITHIN_S,
    STORE_UNKNOWN_S,
    Watch,
    now,
    percentile,
    status_of,
    watching,
)
from chaos.faults.someone import someone
from chaos.replica_set import Member, primary_of

GRACE_NS: Final = 300_000_000
"""An answer that was on its way when the server went is none that came without it."""
REPLICAS: Final = Topology(mongods=3)
ELECTION_S: Final = 15.0


@asynccontextmanager
async def killed(run: Run) -> AsyncIterator[None]:
    server = run.cluster.mongods[0]
    async with watching(run) as watch:
        await server.kill()
        since = now() + GRACE_NS
        try:
            await _require_refusals(run)
            yield
            _require_silence(run, watch, since)
        finally:
            await server.start()
        await _require_return(run, watch)


@asynccontextmanager
async def frozen(run: Run) -> AsyncIterator[None]:
    server = run.cluster.mongods[0]
    async with watching(run) as watch:
        server.freeze()
        since = now() + GRACE_NS
        try:
            await _require_refusals(run)
            yield
            _require_silence(run, watch, since)
            late = [event for event in watch.sends("info", since=since + 5 * 10**9) if event.get("code")]
            begun = {(one["device"], one["key"], one["attempt"]): one["t"] for one in watch.sends("invoke")}
            took = [(one["t"] - begun[key]) / 1e9 for one in late if (key := _key(one)) in begun]
            run.note("refused after", f"p50 {percentile(took, 0.5):.2f} s, p99 {percentile(took, 0.99):.2f} s")
        finally:
            server.thaw()
        await _require_return(run, watch)


def _key(event: Any) -> tuple[Any, ...]:
    return (event["device"], event["key"], event["attempt"])


async def _require_refusals(run: Run) -> None:
    """What somebody is told who asks without MongoDB."""
    async with someone(run) as person:
        for hub in run.cluster.hubs:
            started = time.monotonic()
            answer = await person.rpc(hub, "conversation.list")
            took_s = time.monotonic() - started
            told = f"{answer.status} after {took_s:.1f} s, Retry-After {answer.headers.get('Retry-After')}"
            run.require(f"{hub.name} refuses history for now", answer.status == 503, told)
            run.require(f"{hub.name} says when to come again", "Retry-After" in answer.headers, told)
            run.require(f"{hub.name} says so in time", took_s <= (STORE_UNKNOWN_S + 1.5) * run.patience(), told)
            unready = await run.until(lambda hub=hub: status_of(hub, 503), within_s=5, told=f"{hub.name} is not ready")
            run.note(f"{hub.name} not ready after", f"{took_s + unready:.1f} s")


def _require_silence(run: Run, watch: Watch, since: int) -> None:
    acks, refused = watch.sends("ok", since=since), watch.sends("info", since=since)
    run.require("nothing is acknowledged without MongoDB", not acks, f"{len(acks)} acks, {len(refused)} refused")
    closes = watch.closes(since=since)
    run.require("no connection is closed", not closes, f"{len(closes)} closed: {[one['code'] for one in closes][:5]}")


async def _require_return(run: Run, watch: Watch) -> None:
    since = now()
    for hub in run.cluster.hubs:
        took_s = await run.until(
            lambda hub=hub: any(watch.sends("ok", since=since, hub=hub.name)),
            within_s=BACK_WITHIN_S,
            told=f"{hub.name} acknowledges again",
        )
        run.note(f"{hub.name} acknowledges again after", f"{took_s:.1f} s")


@asynccontextmanager
async def primaries_change(run: Run) -> AsyncIterator[None]:
    """The primary steps down in good order; then the next one is killed."""
    cluster: Any = run.cluster
    async with watching(run) as watch:
        since = now()
        with suppress(PyMongoError):  # it closes the connection that asked
            await run.cluster.mongo({"replSetStepDown": 10, "force": True})
        await primary_of(cluster.mongods)
        await _require_return(run, watch)
        run.note("longest pause at the step-down", f"{_longest_pause_s(watch, since):.1f} s")
        since = now()
        async with run.cluster.primary() as primary:
            await primary.kill()
        yield
        await primary_of([member for member in cluster.mongods if member.running])
        await _require_return(run, watch)
        pause_s = _longest_pause_s(watch, since)
        run.require(
            "acks go on after an election", pause_s <= ELECTION_S * run.patience(), f"{pause_s:.1f} s without any"
        )
        await primary.start()


def _longest_pause_s(watch: Watch, since: int) -> float:
    times = [since, *(event["t"] for event in watch.sends("ok", since=since))]
    return max((later - earlier for earlier, later in itertools.pairwise(times)), default=0) / 1e9


@asynccontextmanager
async def minority(run: Run) -> AsyncIterator[None]:
    """The primary alone with one hub, the others with the other hub: what the first takes is rolled back."""
    cluster: Any = run.cluster
    members: list[Member] = list(cluster.mongods)
    old = await primary_of(members)
    here, there = run.cluster.hubs[0], run.cluster.hubs[1]
    ways_here: Any = here.to_mongodb
    ways_there: Any = there.to_mongodb
    async with watching(run) as watch:
        with ExitStack() as stack:
            stack.enter_context(old.isolated())
            for member, to_here, to_there in zip(members, ways_here.links, ways_there.links, strict=True):
                stack.enter_context(_stalled(to_there if member is old else to_here))
            since = now() + GRACE_NS
            new = await primary_of(members, besides=old)
            await run.until(
                lambda: any(watch.sends("ok", since=since, hub=there.name)),
                within_s=ELECTION_S,
                told="the hub with the majority acknowledges again",
            )
            run.note("new primary", f"{new.name} in place of {old.name}")
            yield
            acks = watch.sends("ok", since=since, hub=here.name)
            run.require("the hub with the minority acknowledges nothing", not acks, f"{len(acks)} acks")
            acked = {(one["conv"], one["key"]) for one in watch.sends("ok")}
            strange = [
                one
                for one in watch.received(since=since)
                if one.get("key") and (one["conv"], one["key"]) not in acked and _only_tried(watch, one, here.name)
            ]
            run.require("nothing of it is delivered", not strange, f"{len(strange)}: {strange[:2]}")
        await _require_return(run, watch)


def _only_tried(watch: Watch, received: Any, hub: str) -> bool:
    """Whether a message was tried on this hub and no other."""
    return {
        one["hub"] for one in watch.sends("invoke") if (one["conv"], one["key"]) == (received["conv"], received["key"])
    } == {hub}


@contextmanager
def _stalled(link: Any) -> Iterator[None]:
    link.set(Traffic.STALL)
    try:
        yield
    finally:
        link.set(Traffic.PASS)


@asynccontextmanager
async def replies_lost(run: Run) -> AsyncIterator[None]:
    """Applied, and nobody was told: by an error of MongoDB about its majority, and by cutting the wire."""
    replies = 12
    fail = {"configureFailPoint": "failCommand"}
    data = {
        "failCommands": ["insert"],
        "appName": "hubbub",
        "writeConcernError": {"code": 64, "errmsg": "too few members have confirmed it"},
    }
    async with watching(run) as watch:
        await run.cluster.mongo({**fail, "mode": {"times": replies}, "data": data})
        await asyncio.sleep(3.0)
        ended = await run.cluster.mongo({**fail, "mode": "off"})
        hit: Any = ended.get("count", 0)
        run.require("MongoDB withheld its word", int(hit) > 0, f"{hit} inserts")
        cuts = 0
        for _ in range(5):
            for hub in run.cluster.hubs:
                before = hub.to_mongodb.cuts
                hub.to_mongodb.cut_after(0, asked=b"\x02insert\x00")
                await run.until(lambda hub=hub, before=before: hub.to_mongodb.cuts > before, within_s=10, told="cut")
                cuts += 1
        run.require("replies were cut off", cuts > 0, f"{cuts} inserts")
        yield
        acks = len(watch.sends("ok"))
        duplicates = sum(bool(one.get("duplicate")) for one in watch.sends("ok"))
        run.note("acks, of them to a repeat", f"{acks}, {duplicates}")
    async with someone(run) as person:
        # The client's own repeat, on the other hub.
        first, second = run.cluster.hubs[0], run.cluster.hubs[-1]
        conversation = await person.group(first)
        first.to_mongodb.cut_after(0, asked=b"\x02insert\x00")
        one = await person.say(first, conversation, "key")
        two = await person.say(second, conversation, "key")
        run.note("the one whose reply was lost", f"{one.status}, its repeat {two.status}")
        run.require("a repeat is answered with the first", two.ok and two.body["message"]["offset"] == 2, f"{two.body}")
        again = await person.say(first, conversation, "key")
        run.require("and again", again.ok and again.body["message"]["id"] == two.body["message"]["id"], f"{again.body}")


DISK_BYTES: Final = 700 << 20
SPARE: Final = "spare"


@asynccontextmanager
async def disk_full(run: Run) -> AsyncIterator[None]:
    """MongoDB's data on a small disk, which something else fills. (It is put there first, and back afterwards.)"""
    server: Any = run.cluster.mongods[0]
    path = _data_path(server)
    with _small_disk(path) as (mount, unmount):
        await server.kill()
        await asyncio.to_thread(mount)
        await server.start()
        async with watching(run) as watch:
            await _require_return(run, watch)
            (path / SPARE).write_bytes(b"x")
            with server.may_end():
                _fill(path / SPARE)
                await _fill_database(server)
                since = now() + 10 * GRACE_NS
                run.note("mongod with a full disk", "runs on" if server.running else "has ended")
                await asyncio.sleep(1.0)
                yield
                for hub in run.cluster.hubs:
                    run.require(f"{hub.name} lives", hub.running, "runs" if hub.running else "ended")
                acks = watch.sends("ok", since=since)
                if not server.running:
                    run.require("nothing is acknowledged without MongoDB", not acks, f"{len(acks)} acks")
                (path / SPARE).unlink()
            if not server.running:
                await server.start()
            await _require_return(run, watch)
        await server.kill()
        await asyncio.to_thread(unmount)
        await server.start()


def _data_path(server: Any) -> Path:
    argv = list(server.command.argv)
    return Path(argv[argv.index("--dbpath") + 1])


@contextmanager
def _small_disk(path: Path) -> Iterator[tuple[Any, Any]]:
    """Functions that put what is at `path` on a disk of its own, and back. Back it is in any case."""
    aside = path.with_name(f"{path.name}-aside")
    mounted = False

    def mount() -> None:
        nonlocal mounted
        path.rename(aside)
        path.mkdir()
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(path)], check=True)
        mounted = True
        shutil.copytree(aside, path, dirs_exist_ok=True)

    def unmount() -> None:
        nonlocal mounted
        if not mounted:
            return
        shutil.rmtree(aside)
        shutil.copytree(path, aside)
        subprocess.run(["umount", "--lazy", str(path)], check=True)
        path.rmdir()
        aside.rename(path)
        mounted = False

    try:
        yield mount, unmount
    finally:
        unmount()


def _fill(path: Path) -> None:
    with path.open("ab") as file, suppress(OSError):
        while True:
            os.posix_fallocate(file.fileno(), file.tell(), 1 << 20)
            file.seek(0, os.SEEK_END)


async def _fill_database(server: Any) -> None:
    """Write until it is no longer possible: files that were there already have room in them."""
    url = f"mongodb://127.0.0.1:{server.port}/?directConnection=true"
    async with AsyncMongoClient[dict[str, Any]](url, timeoutMS=5000) as client:
        with suppress(PyMongoError):
            for _ in range(200):
                await client.filler.rows.insert_one({"x": os.urandom(4 << 20)})
    async with asyncio.timeout(20):
        while server.running and not await _is_stuck(server):
            await asyncio.sleep(0.2)


async def _is_stuck(server: Any) -> bool:
    url = f"mongodb://127.0.0.1:{server.port}/?directConnection=true"
    try:
        async with AsyncMongoClient[dict[str, Any]](url, timeoutMS=1000, journal=True) as client:
            await client.filler.rows.insert_one({"x": os.urandom(1 << 20)})
    except PyMongoError:
        return True
    return False


@asynccontextmanager
async def the_same_at_once(run: Run) -> AsyncIterator[None]:
    """Fifty identical sends at the same time, over all hubs."""
    async with someone(run) as person:
        conversation = await person.group(run.cluster.hubs[0])
        for number in range(3):
            sends = [
                person.say(run.cluster.hubs[place % len(run.cluster.hubs)], conversation, f"k{number}")
                for place in range(50)
            ]
            answers = await asyncio.gather(*sends)
            ids = {answer.body["message"]["id"] if answer.ok else f"{answer.status}" for answer in answers}
            first = [answer for answer in answers if answer.ok and not answer.body["duplicate"]]
            run.require(f"one message of fifty sends ({number + 1})", len(ids) == 1, f"{ids}")
            run.require(f"one of them is the first ({number + 1})", len(first) == 1, f"{len(first)} say so")
        yield
        page = await person.page(run.cluster.hubs[0], conversation)
        keys = [item["idempotency_key"] for item in page.body["items"]]
        run.require("each is stored once", keys == [f"k{number}" for number in range(3)], f"{keys}")


FAULTS: Final = (
    Fault("8", "mongod killed and started again", killed, lasts_s=5.0),
    Fault("9", "mongod frozen", frozen, lasts_s=10.0),
    Fault(
        "10",
        "the primary steps down, the next is killed",
        primaries_change,
        topology=REPLICAS,
        lasts_s=6.0,
        skipped=machine.no_replica_set,
    ),
    Fault(
        "11",
        "the primary alone with one hub",
        minority,
        topology=REPLICAS,
        lasts_s=6.0,
        heals_within_s=20.0,
        skipped=machine.no_replica_set,
    ),
    Fault("12", "applied, and the reply is lost", replies_lost, lasts_s=1.0),
    Fault("13", "disk of MongoDB full", disk_full, lasts_s=4.0, skipped=machine.no_small_disk),
    Fault("14", "the same send fifty times at once", the_same_at_once, lasts_s=1.0),
)
