"""Who sees why a device rang: its user, the application, and nobody else."""

from typing import Any

from storage.model.device import device_id
from storage.model.push import Step, Trace
from support.app import App
from support.talking import group
from support.wire_client import wire_client

FCM = {"provider": "fcm", "app": "org.example.app", "address": "dGhpcyBpcyBub3QgYSB0b2tlbg"}
JOB = "7f9d1c3e-52a4-5b0e-9a63-0f2f1d6f8a11"


async def call(app: App, user: str, method: str, /, **params: Any) -> tuple[int, Any]:
    async with app.rest(user) as rest, rest.post(f"/v1/rpc/{method}", json=params) as answer:
        return answer.status, await answer.json()


async def traced(app: App, conversation: str, *users: str) -> None:
    """A message that everybody was decided about, and an answer for the phone of each of these users."""
    now = 4_000_000_000_000
    everybody = Trace(now, Step.PLANNED, conversation, 1, 1, "suppress", "large_group")
    lane = "fcm|production|org.example.app"
    own = [
        Trace(
            now + n,
            Step.ANSWERED,
            conversation,
            1,
            1,
            "alert:accepted",
            "",
            user,
            device_id(user, "phone"),
            lane,
            job=JOB,
        )
        for n, user in enumerate(users, 1)
    ]
    await app.running.process.store.push_traces.write([everybody, *own])


async def steps(app: App, user: str, conversation: str, **more: Any) -> list[tuple[str, str]]:
    status, result = await call(app, user, "push.trace", conversation=conversation, offset=1, **more)
    assert status == 200, result
    return [(one["step"], one.get("device", "")) for one in result["steps"]]


async def test_users_see_their_own_devices_by_the_names_they_gave_them(app: App) -> None:
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
        await alice.rpc("device.register", device="phone", **FCM)
    await traced(app, conversation, "alice", "bob")
    assert await steps(app, "alice", conversation) == [("planned", ""), ("answered", "phone")]
    assert await steps(app, "alice", conversation, device="phone") == [("planned", ""), ("answered", "phone")]
    assert await steps(app, "alice", conversation, device="another") == [("planned", "")]
    # Bob's is not registered any more.
    assert await steps(app, "bob", conversation) == [("planned", ""), ("answered", device_id("bob", "phone"))]
    assert await steps(app, "mallory", conversation) == []


async def test_the_application_sees_everybody(app: App) -> None:
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
    await traced(app, conversation, "alice", "bob")
    async with app.api() as api:
        async with api.post("/api/push_trace", json={"conversation": conversation, "offset": 1}) as answer:
            found = (await answer.json())["result"]["steps"]
        assert [one["user"] for one in found] == ["", "alice", "bob"]
        async with api.post(
            "/api/push_trace", json={"conversation": conversation, "offset": 1, "user": "bob"}
        ) as answer:
            assert [one["user"] for one in (await answer.json())["result"]["steps"]] == ["", "bob"]
    assert "dGhpcy" not in str(found)


async def test_what_a_device_confirms_is_seen_by_its_user_and_by_nobody_else(app: App) -> None:
    async with wire_client(app.websocket) as alice:
        await alice.connect(app.token("alice"))
        conversation = await group(alice, "bob")
    await traced(app, conversation, "alice", "bob")
    for _ in range(2):
        assert (await call(app, "alice", "push.ack", device="phone", job=JOB))[0] == 200
    assert [step for step, _ in await steps(app, "alice", conversation)].count("confirmed") == 1
    assert "confirmed" not in [step for step, _ in await steps(app, "bob", conversation)]
    assert (await call(app, "alice", "push.ack", device="phone", job="x"))[0] == 400


async def test_a_test_is_a_job_of_the_device_that_was_asked_for(app: App) -> None:
    assert (await call(app, "carol", "push.test", device="phone"))[0] == 404
    await call(app, "carol", "device.register", device="phone", **FCM)
    assert (await call(app, "dave", "push.test", device="phone"))[0] == 404
    status, asked = await call(app, "carol", "push.test", device="phone")
    assert status == 200
    store = app.running.process.store
    job = await store.push_jobs.get(device_id("carol", "phone"), asked["conversation"])
    assert job is not None
    assert (job.lane, job.user, job.upto) == ("fcm|production|org.example.app", "carol", asked["offset"])
    device = await store.devices.get(device_id("carol", "phone"))
    assert device is not None
    await store.devices.tombstone(device, reason="UNREGISTERED", at=device.confirmed_at)
    assert (await call(app, "carol", "push.test", device="phone"))[0] == 409
