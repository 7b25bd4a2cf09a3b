"""Devices and what rings, as clients see it: over the socket, by REST, and for the application."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import aiohttp
import cent
import pytest
from structlog.testing import capture_logs

from support.app import API_KEY, App
from support.push_keys import kept_web_push
from support.talking import group
from support.wire_client import WireClient, wire_client

APNS = {"provider": "apns", "app": "org.example.app", "address": "ab" * 32}
POINT = "BCVxsr7N_eNgVRqvHtD0zTZsEc6-VV-JvLexhqUzORcxaOzi6-AYWXvTBHm4bjyPjs7Vd8pZGH6SRpkNtoIAiw4"
KEYS = {"p256dh": POINT, "auth": "c3Nzc3Nzc3Nzc3Nzc3Nzcw"}


@pytest.fixture
async def alice(app: App) -> AsyncIterator[WireClient]:
    async with wire_client(app.websocket) as client:
        await client.connect(app.token("alice"))
        yield client


@pytest.fixture
async def rest(app: App) -> AsyncIterator[aiohttp.ClientSession]:
    async with app.rest("alice") as session:
        yield session


async def devices_of(app: App, user: str) -> list[str]:
    return [one.install for one in await app.running.process.store.devices.of_user(user)]


async def test_a_device_registers_is_listed_and_is_gone_when_it_signs_out(alice: WireClient, app: App) -> None:
    made = await alice.rpc("device.register", device="phone", time_zone="Europe/Berlin", **APNS)
    again = await alice.rpc("device.register", device="phone", time_zone="Europe/Berlin", **APNS)
    assert made["device"]["created_at"] == again["device"]["created_at"]
    listed = await alice.rpc("device.list")
    assert listed["devices"] == [again["device"]]
    assert "ab" * 32 not in str(listed)
    assert await alice.rpc("device.unregister", device="phone") == {}
    assert await devices_of(app, "alice") == []
    assert await alice.rpc("device.unregister", device="phone") == {}


async def test_by_rest_it_is_the_same(rest: aiohttp.ClientSession, app: App) -> None:
    async with rest.put("/v1/devices/phone", json=APNS) as answer:
        assert (answer.status, (await answer.json())["device"]["id"]) == (200, "phone")
    async with rest.get("/v1/devices") as answer:
        assert [one["id"] for one in (await answer.json())["devices"]] == ["phone"]
    async with rest.delete("/v1/devices/phone") as answer:
        assert answer.status == 200
    assert await devices_of(app, "alice") == []


async def test_on_a_shared_phone_only_who_signed_in_last_is_rung(alice: WireClient, app: App) -> None:
    await alice.rpc("device.register", device="phone", **APNS)
    async with app.rest("bob") as bob, bob.put("/v1/devices/phone", json=APNS) as answer:
        assert answer.status == 200
    assert (await devices_of(app, "alice"), await devices_of(app, "bob")) == ([], ["phone"])


async def test_nobody_takes_a_device_away_by_its_name(alice: WireClient, app: App) -> None:
    await alice.rpc("device.register", device="phone", **APNS)
    async with app.rest("bob") as bob:
        await bob.delete("/v1/devices/phone")
        await bob.put("/v1/devices/phone", json={**APNS, "address": "cd" * 32})
    assert (await devices_of(app, "alice"), await devices_of(app, "bob")) == (["phone"], ["phone"])


@pytest.mark.parametrize(
    "endpoint",
    [
        "http://fcm.googleapis.com/x",
        "https://169.254.169.254/x.google.com/",
        "https://example.org/fcm.googleapis.com",
        "https://fcm.googleapis.com@127.0.0.1/x",
        "https://fcm.googleapis.com:8443/x",
        "https://localhost/x",
    ],
)
async def test_a_subscription_that_leads_elsewhere_is_refused(alice: WireClient, app: App, endpoint: str) -> None:
    answer = await alice.rpc("device.register", device="web", provider="webpush", address=endpoint, keys=KEYS)
    assert answer["error"]["message"].startswith("bad_request: $.address: ")
    assert endpoint not in answer["error"]["message"]
    assert await devices_of(app, "alice") == []


async def test_a_subscription_of_a_push_service_is_kept(alice: WireClient) -> None:
    endpoint = "https://fcm.googleapis.com/fcm/send/abc"
    made = await alice.rpc("device.register", device="web", provider="webpush", address=endpoint, keys=KEYS)
    assert made["device"]["address_kind"] == "subscription"


async def test_browsers_subscribe_with_the_newest_key_of_the_app(
    alice: WireClient, rest: aiohttp.ClientSession, app: App
) -> None:
    store = app.running.process.store
    await kept_web_push(store, at=1)
    newest = await kept_web_push(store, at=2)
    await kept_web_push(store, "another", at=3)
    assert await alice.rpc("push.vapid_key") == {"vapid_key": newest}
    async with rest.get("/v1/push/apps/default/vapid-key") as answer:
        assert (answer.status, await answer.json()) == (200, {"vapid_key": newest})
        etag = answer.headers["ETag"]
    async with rest.get("/v1/push/apps/default/vapid-key", headers={"If-None-Match": etag}) as answer:
        assert answer.status == 304


async def test_who_asks_for_a_key_that_there_is_not_is_told_what_the_operator_has_to_do(
    alice: WireClient, rest: aiohttp.ClientSession
) -> None:
    answer = await alice.rpc("push.vapid_key", app="web.app")
    assert answer["error"]["code"] == 108
    assert answer["error"]["message"].startswith("not_available: $.app: has no key for Web Push")
    assert "hubbub push app add webpush web.app " in answer["error"]["message"]
    async with rest.get("/v1/push/apps/web.app/vapid-key") as refused:
        assert (refused.status, (await refused.json())["code"]) == (404, "not_available")
    async with rest.get("/v1/push/apps/$(reboot)/vapid-key") as refused:
        assert refused.status == 400


async def test_what_rings_is_set_read_and_kept(alice: WireClient, rest: aiohttp.ClientSession) -> None:
    nothing = {"content": "default", "notify": "default", "quiet": [], "time_zone": "", "snoozed_until": 0}
    assert (await alice.rpc("push.preferences"))["preferences"] == nothing
    quiet = [{"start": 1320, "end": 420, "days": [0, 1, 2, 3, 4]}]
    await alice.rpc("push.preferences", content="sender_only", quiet=quiet, time_zone="Europe/Berlin")
    async with rest.put("/v1/push/preferences", json={"notify": "mentions", "snoozed_until": 4_000_000_000_000}) as put:
        assert put.status == 200
    async with rest.get("/v1/push/preferences") as answer:
        assert (await answer.json())["preferences"] == {
            "content": "sender_only",
            "notify": "mentions",
            "quiet": quiet,
            "time_zone": "Europe/Berlin",
            "snoozed_until": 4_000_000_000_000,
        }
    refused = await alice.rpc("push.preferences", snoozed_until=1)
    assert refused["error"]["message"] == "bad_request: $.snoozed_until: must be in the future"


async def test_a_conversation_has_a_level_of_its_own_on_all_devices(alice: WireClient) -> None:
    conversation = await group(alice)
    kept = await alice.rpc("conversation.set_preferences", conversation=conversation, notify="mentions", pinned=True)
    assert kept["preferences"]["notify"] == "mentions"
    shown = await alice.rpc("conversation.get", conversation=conversation)
    assert shown["conversation"]["preferences"] == kept["preferences"]
    kept = await alice.rpc("conversation.set_preferences", conversation=conversation, notify="default")
    assert "notify" not in kept["preferences"]
    assert kept["preferences"]["pinned_at"]


async def test_what_is_on_screen_is_known_to_every_process(alice: WireClient, app: App) -> None:
    conversation = await group(alice)
    said = await alice.rpc("client.state", device="phone", foreground=True, conversation=conversation)
    assert said == {"expires_in_ms": 60_000}
    async with app.rest("alice") as rest, rest.put("/v1/devices/web/state", json={"foreground": False}) as answer:
        assert answer.status == 200
    states = app.running.process.calls.service.client_states
    found = (await states.of_users(["alice", "bob"]))["alice"]
    assert {name: (one.foreground, one.conversation) for name, one in found.items()} == {
        "phone": (True, conversation),
        "web": (False, None),
    }
    refused = await alice.rpc("client.state", device="phone", foreground=False, conversation=conversation)
    assert refused["error"]["message"] == "bad_request: $.conversation: nothing is on screen in the background"


async def test_an_address_is_in_no_log_line_and_no_answer(app: App) -> None:
    token, other = "f00d" * 16, "beef" * 16
    answers = []
    with capture_logs() as logs:
        for user, address in (("alice", token), ("bob", token), ("bob", other), ("bob", "no hex")):
            async with app.rest(user) as rest:
                async with rest.put("/v1/devices/phone", json={**APNS, "address": address}) as answer:
                    answers.append(await answer.text())
                async with rest.get("/v1/devices") as answer:
                    answers.append(await answer.text())
        async with app.api() as api, api.post("/api/device_list", json={"include_meta": True}) as answer:
            answers.append(await answer.text())
    assert any(line["event"] == "device_taken_over" for line in logs)
    for text in (str(logs), *answers):
        for secret in (token, other, "no hex"):
            assert secret not in text


# --- for the application, with Centrifugo's own client ---


@pytest.fixture
async def api(app: App) -> AsyncIterator[cent.AsyncClient]:
    async with cent.AsyncClient(f"{app.http}/api", api_key=API_KEY) as client:
        yield client


async def test_the_application_registers_changes_lists_and_removes(api: cent.AsyncClient, app: App) -> None:
    first = await api.device_register(
        cent.DeviceRegisterRequest(provider="fcm", token="t1", platform="android", user="ada", meta={"a": "b"})
    )
    again = await api.device_register(
        cent.DeviceRegisterRequest(id=first.id, provider="fcm", token="t2", platform="android", user="ada")
    )
    other = await api.device_register(
        cent.DeviceRegisterRequest(provider="apns", token="ab" * 32, platform="ios", user="bob")
    )
    assert again.id == first.id
    await api.device_update(
        cent.DeviceUpdateRequest(
            users=["ada"],
            timezone_update={"timezone": "Asia/Tokyo"},
            locale_update={"locale": "ja"},
            meta_update={"meta": {"c": "d"}},
        )
    )
    everything = await api.device_list(cent.DeviceListRequest(include_total_count=True, include_meta=True, limit=1))
    assert (everything.total_count, len(everything.items)) == (2, 1)
    rest = await api.device_list(cent.DeviceListRequest(cursor=everything.next_cursor, include_meta=True))
    by_user = {one.user: one for one in (*everything.items, *rest.items)}
    assert {user: one.id for user, one in by_user.items()} == {"ada": first.id, "bob": other.id}
    assert (by_user["ada"].meta, by_user["ada"].platform, by_user["ada"].token) == ({"c": "d"}, "android", "")
    assert not rest.next_cursor
    await api.device_update(cent.DeviceUpdateRequest(ids=[first.id], user_update={"user": "carol"}))
    assert (len(await devices_of(app, "ada")), len(await devices_of(app, "carol"))) == (0, 1)
    await api.device_remove(cent.DeviceRemoveRequest(users=["bob", "carol"]))
    assert (await api.device_list(cent.DeviceListRequest())).items == []


@pytest.mark.parametrize(
    ("method", "params", "code"),
    [
        ("device_register", {"provider": "fcm", "token": "t", "platform": "android"}, 107),
        ("device_register", {"provider": "hms", "token": "t", "platform": "android", "user": "ada"}, 107),
        ("device_register", {"provider": "fcm", "token": "t", "user": "ada", "topics": ["x"]}, 108),
        ("device_update", {"locale_update": {"locale": "de"}}, 107),
        ("device_update", {"users": ["ada"], "topics_update": {"op": "add", "topics": ["x"]}}, 108),
        ("device_remove", {}, 107),
        ("device_remove", {"ids": [], "users": []}, 107),
        ("device_list", {"filter": {"topics": ["x"]}}, 108),
    ],
)
async def test_what_there_is_not_is_refused(app: App, method: str, params: dict[str, Any], code: int) -> None:
    async with app.api() as api, api.post(f"/api/{method}", json=params) as answer:
        assert (await answer.json())["error"]["code"] == code


async def test_another_install_of_the_same_user_at_the_same_time_takes_no_other_away(app: App) -> None:
    async def register(number: int) -> None:
        body = {**APNS, "address": f"{number:02}" * 32}
        async with app.rest("alice") as rest, rest.put(f"/v1/devices/d{number}", json=body) as answer:
            assert answer.status == 200

    await asyncio.gather(*(register(number) for number in range(5)))

    assert len(await devices_of(app, "alice")) == 5
