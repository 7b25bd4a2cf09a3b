"""How many entries of the log one worker plans: the planner alone, in this process, on the deployment's MongoDB.

Entries are handed over as the follower does, a batch at a time, one for each conversation: direct conversations whose
members have no devices, the same with one device each, and a group where every member has one. The lane of these
devices is paused meanwhile: else the worker would send beside it. The baseline is what MongoDB takes at least: plain
inserts of as many rows as jobs, or one question for the devices of all members.
"""

import time
from argparse import Namespace
from collections.abc import Sequence
from typing import Any

from bench.push_scene import APP, Scene, now_ms
from chat.push.planner import Planner
from chat.push.ports import lane_name
from chat.push.sending import Lane, Provider
from chat.push.together import devices_together, traces_together
from chat.push.unreading import StoredGroups
from storage.model import Entry, EntryKind
from storage.model.push import Pause
from storage.mongo.mentions import everyone
from storage.mongo.schema import DEVICES
from storage.mongo.together import UsersTogether

BATCH = 1000
LANE = lane_name(Lane(Provider.WEBHOOK, APP))
PAUSE_MS = 600_000

Places = Sequence[tuple[str, str, int]]
"""User, conversation, newest offset."""


async def measure_planning(scene: Scene, places: Places, options: Namespace) -> dict[str, Any]:
    store = scene.store
    found: dict[str, Any] = {}
    await store.push_pauses.keep(Pause(LANE, "", now_ms() + PAUSE_MS, "measured"))
    async with (
        store.push_jobs as jobs,
        devices_together(store.devices) as devices,
        traces_together(store.push_traces) as traces,
        UsersTogether(store.notifying.of_users) as preferences,
    ):
        # As a worker has it.
        planner = Planner(jobs, traces, StoredGroups(store), store.members, devices, preferences, clock_ms=now_ms)
        found["direct, no devices"] = await direct(scene, planner, places, 0)
        await scene.devices("webhook", places, install="planned")
        found["direct, a device each"] = await direct(scene, planner, places, 1)
        await scene.store.devices.remove_all([user for user, _, _ in places])
        await scene.clear()
        found["group, a device each"] = await group(scene, planner, options.group)
    await scene.clear()
    await store.push_pauses.lift(LANE)
    return found


async def direct(scene: Scene, planner: Planner, places: Places, devices: int) -> dict[str, Any]:
    seconds, entries, used, turn = 0.0, 0, time.process_time(), 100
    while seconds < 3.0 and turn < 120:
        for start in range(0, len(places), BATCH):
            batch = [message(f"from-{user}", place, turn) for user, place, _ in places[start : start + BATCH]]
            begun = time.perf_counter()
            await planner.on_entries(batch)
            seconds += time.perf_counter() - begun
            entries += len(batch)
        turn += 1
    used = time.process_time() - used
    users = [user for user, _, _ in places][:BATCH]
    floor = await inserts(scene, len(users)) if devices else await asked(scene, users)
    return {
        "entries per s": entries / seconds,
        "jobs per s": devices * entries / seconds,
        "CPU (us an entry)": used / entries * 1e6,
        "batch": min(BATCH, len(places)),
        "floor per s": floor,
    }


async def group(scene: Scene, planner: Planner, size: int) -> dict[str, Any]:
    names = [f"member{number:05d}" for number in range(size)]
    made = await scene.api("host", "conversation.create", kind="group", members=names[:999], idempotency_key="bench")
    conversation = made["conversation"]["id"]
    for start in range(999, size, 1000):
        await scene.api(
            "host", "conversation.add_members", conversation=conversation, members=names[start : start + 1000]
        )
    await scene.devices("webhook", [(name, conversation, 0) for name in names], install="planned")
    seconds, used = [], time.process_time()
    for turn in (100, 101, 102):
        begun = time.perf_counter()
        # Everyone is mentioned: else only those who asked for everything are told in such a group.
        await planner.on_entries([message("host", conversation, turn, meant=[everyone(conversation)])])
        seconds.append(time.perf_counter() - begun)
    used = time.process_time() - used
    jobs = await scene.store.push_jobs.count(LANE, due_before=now_ms() + 60_000)
    return {
        "members": size,
        "jobs": jobs,
        "seconds a message": sorted(seconds)[1],
        "jobs per s": size / sorted(seconds)[1],
        "CPU (us a job)": used / len(seconds) / size * 1e6,
        "floor per s": await inserts(scene, min(size, 1000)),
    }


async def inserts(scene: Scene, count: int) -> float:
    """Rows per second of plain inserts, one command for all."""
    rows = [{"device": "d" * 26, "conversation": "c" * 26, "due": 1, "upto": 1} for _ in range(count)]
    begun = time.perf_counter()
    await scene.db["bench_rows"].insert_many(rows, ordered=False)
    return count / (time.perf_counter() - begun)


async def asked(scene: Scene, users: Sequence[str]) -> float:
    """Users per second, with one question for all."""
    begun = time.perf_counter()
    await scene.db[DEVICES].find({"user": {"$in": list(users)}, "state": "active"}).to_list(None)
    return len(users) / (time.perf_counter() - begun)


def message(by: str, conversation: str, offset: int, *, meant: Sequence[str] = ()) -> Entry:
    body: dict[str, Any] = {"text": "Are you there?", **({"meant": list(meant)} if meant else {})}
    return Entry(conversation, offset, offset, EntryKind.MESSAGE_CREATED, by, now_ms(), None, body)


def report_planning(found: dict[str, Any]) -> None:
    print("\nplanning, the planner alone")
    for name, one in found.items():
        shown = "   ".join(
            f"{what} {value:.3g}" if isinstance(value, float) else f"{what} {value}" for what, value in one.items()
        )
        print(f"{name:>24}: {shown}")
