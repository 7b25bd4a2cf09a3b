"""The emulator of Firebase is as strict as Firebase, and what it takes is on the screen."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import aiohttp
import jwt
import orjson
import pytest

from chat.push.fcm import FcmSender, FcmSettings, open_fcm, parse_service_account
from chat.push.lab import fcm_answers as answers
from chat.push.lab.fcm import Fault, FcmLab
from chat.push.lab.handset import Handset, Handsets
from chat.push.sending import Accepted, Kind, Unknown
from support.push_words import Clock, account_key, address, notification, push
from support.waiting import eventually


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def handsets() -> Handsets:
    return Handsets()


@pytest.fixture
async def lab(clock: Clock, handsets: Handsets) -> AsyncIterator[FcmLab]:
    async with FcmLab(clock=clock, monotonic=clock, screen=handsets, key=account_key()) as lab:
        yield lab


class Raw:
    """Talks to the emulator without the sender."""

    def __init__(self, lab: FcmLab, session: aiohttp.ClientSession, clock: Clock) -> None:
        self._lab = lab
        self._session = session
        self._clock = clock
        self.token = ""
        self.to = lab.register()

    async def ask_token(self, *, grant: str = "urn:ietf:params:oauth:grant-type:jwt-bearer", **changed: Any) -> Any:
        account = orjson.loads(self._lab.service_account)
        now = int(self._clock())
        claims = {
            "iss": account["client_email"],
            "scope": "https://www.googleapis.com/auth/firebase.messaging",
            "aud": account["token_uri"],
            "iat": now,
            "exp": now + 3600,
            **changed,
        }
        assertion = jwt.encode(claims, account["private_key"], "RS256", headers={"kid": account["private_key_id"]})
        return await self.exchange(assertion, grant)

    async def exchange(self, assertion: str, grant: str = "urn:ietf:params:oauth:grant-type:jwt-bearer") -> Any:
        form = {"grant_type": grant, "assertion": assertion}
        async with self._session.post(f"{self._lab.url}/token", data=form) as response:
            return response.status, await response.json()

    async def send(self, request: Mapping[str, Any] | bytes, **headers: str) -> tuple[int, Any]:
        body = request if isinstance(request, bytes) else orjson.dumps(request)
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/json", **headers}
        url = f"{self._lab.url}/v1/projects/{self._lab.project}/messages:send"
        async with self._session.post(url, data=body, headers=headers) as response:
            return response.status, await response.json()

    async def refused(self, **message: Any) -> tuple[str, list[dict[str, Any]]]:
        """What is said of a message to an address that is fine."""
        status, said = await self.send({"message": {"token": self.to, **message}})
        assert (status, said["error"]["code"], said["error"]["status"]) == (400, 400, "INVALID_ARGUMENT")
        return said["error"]["message"], said["error"]["details"]


@pytest.fixture
async def raw(lab: FcmLab, clock: Clock) -> AsyncIterator[Raw]:
    async with aiohttp.ClientSession() as session:
        raw = Raw(lab, session, clock)
        status, given = await raw.ask_token()
        assert status == 200
        raw.token = given["access_token"]
        yield raw


async def test_a_good_assertion_is_given_a_token_for_an_hour(raw: Raw) -> None:
    status, given = await raw.ask_token()
    assert (status, given["expires_in"], given["token_type"]) == (200, 3599, "Bearer")


@pytest.mark.parametrize(
    ("changed", "error"),
    [
        ({"aud": "https://oauth2.googleapis.com/token"}, "invalid_grant"),
        ({"iss": "somebody@else.example"}, "invalid_grant"),
        ({"scope": "https://www.googleapis.com/auth/drive"}, "invalid_scope"),
        ({"exp": 1_800_003_601}, "invalid_grant"),
        ({"iat": 1_799_990_000, "exp": 1_799_993_600}, "invalid_grant"),
        ({"iat": 1_800_001_000, "exp": 1_800_004_600}, "invalid_grant"),
        ({"exp": "soon"}, "invalid_grant"),
        ({"grant": "password"}, "unsupported_grant_type"),
    ],
)
async def test_any_other_assertion_is_not(raw: Raw, changed: dict[str, Any], error: str) -> None:
    status, said = await raw.ask_token(**changed)
    assert (status, said["error"]) == (400, error)


@pytest.mark.parametrize("assertion", ["", "a.b", "a.b.c", "e30.e30.e30", "ä.ö.ü"])
async def test_what_is_no_assertion_is_refused(raw: Raw, assertion: str) -> None:
    assert await raw.exchange(assertion) == (
        400,
        {"error": "invalid_grant", "error_description": "Invalid JWT: Failed to parse."},
    )


async def test_an_assertion_without_a_signature_is_refused(raw: Raw) -> None:
    unsigned = jwt.encode({"iss": "x"}, "", algorithm="none")
    status, said = await raw.exchange(unsigned)
    assert (status, said["error"]) == (400, "invalid_grant")


async def test_access_ends_when_it_was_said_to(raw: Raw, clock: Clock) -> None:
    assert (await raw.send({"message": {"token": raw.to}}))[0] == 200
    clock.pass_s(3600)
    status, said = await raw.send({"message": {"token": raw.to}})
    assert (status, said["error"]["status"]) == (401, "UNAUTHENTICATED")


@pytest.mark.parametrize("authorization", ["", "Bearer", "Bearer x", "Basic x", "key=legacy"])
async def test_without_access_nothing_is_sent(raw: Raw, authorization: str) -> None:
    assert (await raw.send({"message": {"token": raw.to}}, Authorization=authorization))[0] == 401


@pytest.mark.parametrize(
    ("message", "field"),
    [
        ({"sound": "x"}, "message"),
        ({"android": {"prio": "HIGH"}}, "message.android"),
        ({"android": {"priority": "URGENT"}}, "message.android.priority"),
        ({"android": {"ttl": 60}}, "message.android.ttl"),
        ({"android": {"ttl": "60"}}, "message.android.ttl"),
        ({"android": {"ttl": "2419201s"}}, "message.android.ttl"),
        ({"android": {"notification": {"tag": 5}}}, "message.android.notification.tag"),
        ({"android": {"notification": {"notification_count": "5"}}}, "message.android.notification.notification_count"),
        ({"android": {"notification": {"body_loc_args": [5]}}}, "message.android.notification.body_loc_args[0]"),
        ({"android": {"notification": {"body_loc_args": "x"}}}, "message.android.notification.body_loc_args"),
        ({"data": {"badge": 12}}, "message.data[0].value"),
        ({"data": {"a": "b", "c": None}}, "message.data[1].value"),
        ({"data": ["a"]}, "message.data"),
        ({"data": {"from": "me"}}, "message.data"),
        ({"data": {"message_type": "x"}}, "message.data"),
        ({"data": {"gcm.x": "x"}}, "message.data"),
        ({"data": {"google.x": "x"}}, "message.data"),
        ({"notification": "hello"}, "message.notification"),
        ({"apns": {"payload": "x"}}, "message.apns.payload"),
        ({"fid": "x"}, "message"),
        ({"topic": "x"}, "message"),
    ],
)
async def test_a_field_that_is_wrong_is_named(raw: Raw, message: dict[str, Any], field: str) -> None:
    text, details = await raw.refused(**message)
    (detail,) = details
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert detail["fieldViolations"] == [{"field": field, "description": text}]


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b'"x"', b"{}", b'{"message": 5}', b'{"validate_only": "yes"}'])
async def test_what_is_no_request_is_refused(raw: Raw, body: bytes) -> None:
    status, said = await raw.send(body)
    assert (status, said["error"]["status"]) == (400, "INVALID_ARGUMENT")


async def test_nobody_to_send_to_and_too_much_to_send_leave_the_sender_guessing(raw: Raw) -> None:
    whose = "type.googleapis.com/google.firebase.fcm.v1.FcmError"
    _, details = await raw.refused(data={"x": "é" * 2048})
    assert details == [{"@type": whose, "errorCode": "INVALID_ARGUMENT"}]
    status, said = await raw.send({"message": {"data": {}}})
    assert (status, said["error"]["details"]) == (400, details)
    assert (await raw.send({"message": {"token": raw.to, "data": {"x": "é" * 2047 + "x"}}}))[0] == 200


async def test_what_is_only_validated_is_not_delivered(raw: Raw, lab: FcmLab, clock: Clock, handsets: Handsets) -> None:
    handset = handsets.add(Handset("android", raw.to, clock=clock))
    request = {"validate_only": True, "message": {"token": raw.to, "data": {"kind": "badge", "badge": "3"}}}
    status, said = await raw.send(request)
    assert (status, said["name"]) == (200, f"projects/{lab.project}/messages/fake_message_id")
    assert (handset.badge, len(lab.accepted)) == (0, 0)


@asynccontextmanager
async def sending(lab: FcmLab, clock: Clock, **settings: Any) -> AsyncIterator[FcmSender]:
    account = parse_service_account(lab.service_account, plain_http=True)
    chosen = FcmSettings(endpoint=lab.url, plain_http=True, **settings)
    async with open_fcm(account, clock=clock, monotonic=clock, settings=chosen) as sender:
        yield sender


async def test_an_answer_that_was_lost_and_a_second_attempt_ring_once(
    lab: FcmLab, clock: Clock, handsets: Handsets
) -> None:
    to = lab.register()
    handset = handsets.add(Handset("android", to, clock=clock))
    async with sending(lab, clock, deadline_s=0.3) as sender:
        what = push(address(to))
        assert isinstance(await sender.send(what), Accepted)
        later = push(address(to), notification(job_id="job-2", upto=8, body="Five it is.", badge=5))
        lab.fail(Fault(reset_after_bytes=5))
        assert isinstance(await sender.send(later), Unknown)
        lab.fail(Fault(hang=True, taken=True))
        assert isinstance(await sender.send(later), Unknown)
        lab.fail(Fault(answers.html))
        await sender.send(later)
        assert isinstance(await sender.send(later), Accepted)
    (banner,) = handset.tray
    assert (banner.title, banner.body, handset.badge, handset.rings) == ("Ada", "Five it is.", 5, 2)


async def test_what_was_read_elsewhere_while_it_was_away_is_not_shown(
    lab: FcmLab, clock: Clock, handsets: Handsets
) -> None:
    to = lab.register("fid")
    handset = handsets.add(Handset("android", to, clock=clock))
    handset.go_offline()
    here = address(to, kind="fid")
    async with sending(lab, clock) as sender:
        await sender.send(push(here))
        await sender.send(push(here, notification(kind=Kind.CLEAR, job_id="clear", title="", body="", badge=0)))
    handset.go_online()
    assert (handset.tray, handset.badge) == ((), 0)


async def test_an_emulator_that_begins_again_knows_who_was_there(clock: Clock) -> None:
    async with FcmLab(clock=clock, monotonic=clock, key=account_key()) as before:
        to, account = before.register(), before.service_account
        port = int(before.url.rpartition(":")[2])
    async with FcmLab(clock=clock, monotonic=clock, key=account_key(), port=port) as lab:
        assert lab.service_account == account
        lab.register(address=to)
        async with sending(lab, clock) as sender:
            assert isinstance(await sender.send(push(address(to))), Accepted)


async def test_an_emulator_ends_although_somebody_waits_for_its_answer(clock: Clock) -> None:
    async with FcmLab(clock=clock, monotonic=clock, key=account_key()) as lab, aiohttp.ClientSession() as session:
        lab.fail_token(Fault(hang=True))
        asking = asyncio.create_task(session.post(f"{lab.url}/token", data={}))
        await eventually(lambda: lab.counts.tokens == 1)
    with pytest.raises((aiohttp.ClientError, asyncio.CancelledError)):
        (await asking).raise_for_status()
