"""What the admin page shows of push, and lets an operator do, over a real store."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import Any

import pytest
from aiohttp import CookieJar, web
from aiohttp.test_utils import TestClient, TestServer
from structlog.testing import capture_logs

from chat.admin.links import mint
from chat.admin.live import Live, running
from chat.admin.pushes import Pushes
from chat.admin.routes import admin_routes
from chat.config.push import PushSection
from chat.metrics.snapshot import Lane
from chat.push.reviving import reviving_of
from chat.push.trials import Trials
from storage.model.device import Device
from storage.model.push import Doubt, Job, Step, Trace
from storage.store import Store, migrate_database, open_store
from support.admin_cluster import SECRET, admin, cluster, now_ms
from support.pushing import a_device

LANE = "apns|production|app"
CHANGES = ("replay", "discard", "test", "reset", "undo")
C = "c" * 26

Client = TestClient[web.Request, web.Application]
Lanes = dict[str, list[Lane]]


@pytest.fixture
async def store(mongodb_url: str, database_name: str) -> AsyncIterator[Store]:
    await migrate_database(mongodb_url, database_name)
    async with open_store(mongodb_url, database_name) as one:
        yield one


@pytest.fixture
def lanes() -> Lanes:
    return {}


@pytest.fixture
def told() -> list[str]:
    """Lanes that workers were told of."""
    return []


@pytest.fixture
async def client(store: Store, lanes: Lanes, told: list[str]) -> AsyncIterator[Client]:
    """A browser that is signed in."""
    async with visitor(store, lanes, told) as client:
        answer = await client.post("/admin/api/login", json={"token": mint(SECRET, now_ms())})
        client.session.headers["X-CSRF-Token"] = (await answer.json())["csrf_token"]
        yield client


@asynccontextmanager
async def visitor(store: Store, lanes: Mapping[str, Sequence[Lane]], told: list[str]) -> AsyncIterator[Client]:
    fake = cluster()
    live = Live(fake, lambda: fake.processes[0].snapshot, fake, clock=now_ms, monotonic=lambda: 0.0)
    trials = Trials(store.push_jobs, clock_ms=now_ms)
    pushes = Pushes(
        store,
        trials,
        reviving_of(PushSection(), store, clock_ms=now_ms),
        lambda: lanes,
        clock_ms=now_ms,
        tell_reset=told.append,
    )
    app = web.Application()
    app.add_routes(admin_routes(replace(admin(fake, live), pushes=pushes)))
    async with (
        running(live),
        TestClient(TestServer(app), cookie_jar=CookieJar(unsafe=True)) as client,
    ):
        yield client


async def answered(client: Client, path: str, **query: str) -> Any:
    answer = await client.get(f"/admin/api/push{path}", params=query)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def post(client: Client, path: str, **body: str | int) -> int:
    return (await client.post(f"/admin/api/push/{path}", json=body)).status


async def done(client: Client, path: str, **body: str | int) -> Any:
    answer = await client.post(f"/admin/api/push/{path}", json=body)
    assert answer.status == 200, await answer.text()
    return await answer.json()


async def put(store: Store, device: Device, *, due_at: int) -> Job:
    doubt = Doubt(device.id, device.user, C, LANE, 1, 2, due_at, ends_at=now_ms() + 3_600_000)
    await store.push_jobs.put([doubt], now=due_at)
    job = await store.push_jobs.get(device.id, C)
    assert job is not None
    return job


async def buried(store: Store, device: Device) -> None:
    await put(store, device, due_at=now_ms() - 1_000)
    (job,) = await store.push_jobs.claim(LANE, 1, now=now_ms(), lease_ms=1_000)
    await store.push_jobs.bury(job, "BadPayload", now=now_ms())


async def test_lanes_are_shown_with_their_oldest_job_and_what_workers_say(
    client: Client, store: Store, lanes: Lanes
) -> None:
    due_at = now_ms() - 90_000
    await put(store, a_device(), due_at=due_at)
    lanes["w1"] = [Lane(LANE, "open", 0, "InvalidProviderToken", now_ms() + 60_000)]
    lanes["w2"] = [Lane(LANE, "closed", 3), Lane("fcm|production|app", "closed", 0)]
    found = (await answered(client, ""))["lanes"]
    assert [one["lane"] for one in found] == [LANE, "fcm|production|app"]
    assert (found[0]["provider"], found[0]["due_at"], found[0]["due"]) == ("apns", due_at, 1)
    assert [(one["process"], one["state"], one["reason"]) for one in found[0]["workers"]] == [
        ("w1", "open", "InvalidProviderToken"),
        ("w2", "closed", ""),
    ]
    assert (found[1]["due_at"], found[1]["due"]) == (None, 0)


async def test_what_was_given_up_is_sent_again_or_discarded(client: Client, store: Store) -> None:
    phone, tablet = a_device(), a_device(install="tablet")
    await buried(store, phone)
    await buried(store, tablet)
    dead = {one["device"]: one for one in (await answered(client, ""))["dead"]}
    assert dead[phone.id]["reason"] == "BadPayload"
    assert await post(client, "replay", id=dead[phone.id]["id"]) == 200
    assert await post(client, "replay", id=dead[phone.id]["id"]) == 404
    assert await store.push_jobs.get(phone.id, C) is not None
    assert await post(client, "discard", id=dead[tablet.id]["id"]) == 200
    assert await post(client, "discard", id=dead[tablet.id]["id"]) == 404
    assert await store.push_jobs.get(tablet.id, C) is None
    assert (await answered(client, ""))["dead"] == []


async def test_a_test_is_sent_to_a_device_of_a_user_without_saying_where_it_is_reached(
    client: Client, store: Store
) -> None:
    device = (await store.devices.register(a_device())).device
    listed = (await answered(client, "/devices", user="ada"))["items"]
    assert [(one["id"], one["name"]) for one in listed] == [(device.id, "phone")]
    assert device.address not in str(listed)
    answer = await client.post("/admin/api/push/test", json={"device": device.id})
    asked = await answer.json()
    assert await store.push_jobs.get(device.id, asked["conversation"]) is not None
    assert await post(client, "test", device="nothing") == 404


async def test_a_message_is_traced_for_everybody_or_one(client: Client, store: Store) -> None:
    steps = [
        Trace(now_ms(), Step.DECIDED, C, 1, 2, "send", "offline", user, f"{user}-phone") for user in ("ada", "bob")
    ]
    await store.push_traces.write(steps)
    assert len((await answered(client, "/trace", conversation=C, offset="2"))["items"]) == 2
    (step,) = (await answered(client, "/trace", conversation=C, offset="2", user="bob"))["items"]
    assert (step["user"], step["step"], step["reason"]) == ("bob", "decided", "offline")
    for query in ({"conversation": "x", "offset": "1"}, {"conversation": C, "offset": "-1"}):
        assert (await client.get("/admin/api/push/trace", params=query)).status == 400


async def test_workers_are_told_to_use_a_lane_again_and_what_waited_for_it_is_due(
    client: Client, store: Store, told: list[str]
) -> None:
    phone = a_device()
    await put(store, phone, due_at=now_ms() + 600_000)
    with capture_logs() as logs:
        assert await done(client, "reset", lane=LANE) == {"jobs": 1}
    assert told == [LANE]
    job = await store.push_jobs.get(phone.id, C)
    assert job is not None
    assert job.due_at <= now_ms()
    (line,) = [one for one in logs if one["event"] == "admin_reset_push_lane"]
    assert (line["lane"], line["jobs"], len(line["session"])) == (LANE, 1, 8)


async def test_devices_that_a_provider_said_were_gone_are_there_again(client: Client, store: Store) -> None:
    now = now_ms()
    ended = {"before": now - 3_000_000, "since": now - 2_000_000, "just": now}
    for install, at in ended.items():
        device = (await store.devices.register(a_device(install=install, confirmed_at=now - 4_000_000))).device
        assert await store.devices.tombstone(device, reason="Unregistered", at=at)
    with capture_logs() as logs:
        assert await done(client, "undo", lane="apns|sandbox|app", since=0) == {"devices": 0}
        assert await done(client, "undo", lane=LANE, since=now - 2_000_000) == {"devices": 2}
    assert {one.install for one in await store.devices.of_user("ada")} == {"since", "just"}
    assert [one["devices"] for one in logs if one["event"] == "admin_undid_tombstones"] == [0, 2]


@pytest.mark.parametrize(
    "lane", ["", "app", "apns|production", "apns|staging|app", "carrier|production|app", "x" * 201]
)
async def test_what_is_no_lane_is_refused(client: Client, told: list[str], lane: str) -> None:
    assert await post(client, "reset", lane=lane) == 400
    assert await post(client, "undo", lane=lane, since=0) == 400
    assert told == []


async def test_a_time_that_is_none_is_refused(client: Client) -> None:
    for since in (-1, 2**60, "yesterday"):
        assert await post(client, "undo", lane=LANE, since=since) == 400


async def test_strangers_and_other_pages_get_nothing(client: Client, store: Store) -> None:
    async with visitor(store, {}, []) as stranger:
        for path in ("", "/devices?user=ada", f"/trace?conversation={C}&offset=1"):
            assert (await stranger.get(f"/admin/api/push{path}")).status == 401
        for path in CHANGES:
            assert await post(stranger, path, id="x") == 401
    del client.session.headers["X-CSRF-Token"]
    for path in CHANGES:
        assert await post(client, path, id="x") == 403
