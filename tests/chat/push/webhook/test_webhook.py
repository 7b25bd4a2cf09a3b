"""The webhook: what is posted, by whom it is signed, where it may lead, and what every answer comes to."""

import asyncio
import base64
import hashlib
import hmac
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from typing import Any

import orjson
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from chat.push.sending import (
    Accepted,
    AddressGone,
    Content,
    CredentialsAtFault,
    Kind,
    Later,
    Provider,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
)
from chat.push.webhook import (
    BadWebhook,
    WebhookCredentials,
    WebhookSender,
    WebhookSettings,
    new_secret,
    open_webhook,
    parse_webhook,
)
from chat.push.webhook.credentials import signature
from chat.push.webhook.verdicts import BY_STATUS, verdict
from support.push_words import Clock, address, notification, push

NOW_S = 1_800_000_000.0
KEYS = (b"k" * 32, b"o" * 32)
TO = address("whoever", Provider.WEBHOOK)
INSIDE = WebhookSettings(inside=True)


class Receiver:
    """Answers as it is told, and keeps what came."""

    def __init__(self) -> None:
        self.came: list[tuple[dict[str, str], bytes]] = []
        self.status = 200
        self.headers: dict[str, str] = {}
        self.body = b""
        self.hangs = False
        self.url = ""
        self._end = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.came.append(({name.lower(): value for name, value in request.headers.items()}, await request.read()))
        if self.hangs:
            await self._end.wait()
        return web.Response(status=self.status, headers=self.headers, body=self.body)

    def end(self) -> None:
        self._end.set()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    receiver = Receiver()
    app = web.Application()
    app.router.add_post("/hook", receiver.handle)
    async with TestServer(app) as server:
        receiver.url = str(server.make_url("/hook"))
        yield receiver
        receiver.end()


def opened(
    receiver: Receiver, settings: WebhookSettings = INSIDE, keys: tuple[bytes, ...] = KEYS
) -> AbstractAsyncContextManager[WebhookSender]:
    return open_webhook(WebhookCredentials(receiver.url, keys), clock=Clock(), settings=settings)


@pytest.fixture
async def sender(receiver: Receiver) -> AsyncIterator[WebhookSender]:
    async with opened(receiver) as sender:
        yield sender


async def test_a_notification_is_posted_whole(receiver: Receiver, sender: WebhookSender) -> None:
    assert await sender.send(push(TO)) == Accepted("job-1")
    ((headers, body),) = receiver.came
    assert headers["content-type"] == "application/json"
    assert orjson.loads(body) == {
        "type": "push.alert",
        "at": int(NOW_S * 1000),
        "data": {
            "app": "app",
            "device": "phone",
            "address": "whoever",
            "expires_at": 1_800_003_600_000,
            "kind": "alert",
            "job_id": "job-1",
            "collapse_id": "c" * 32,
            "content": "full",
            "group": "direct",
            "sound": True,
            "actions": False,
            "title": "Ada",
            "body": "Tea at five?",
            "badge": 4,
            "conversation": "01hzzzzzzzzzzzzzzzzzzzzzzz",
            "upto": 7,
        },
    }


async def test_whoever_knows_one_of_the_keys_can_tell_who_posted_it(receiver: Receiver, sender: WebhookSender) -> None:
    await sender.send(push(TO))
    ((headers, body),) = receiver.came
    assert headers["webhook-timestamp"] == str(int(NOW_S))
    signed = b".".join([headers["webhook-id"].encode(), headers["webhook-timestamp"].encode(), body])
    wanted = [base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode() for key in KEYS]
    assert headers["webhook-signature"].split(" ") == [f"v1,{one}" for one in wanted]


def test_the_signature_is_that_of_the_standard() -> None:
    credentials = parse_webhook(
        b'{"url": "https://example.com", "secrets": ["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"]}'
    )
    signed = signature(credentials.keys, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1614265330, b'{"test": 2432232314}')
    assert signed == "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="


async def test_every_attempt_has_the_same_id(receiver: Receiver, sender: WebhookSender) -> None:
    for attempt in (1, 2, 3):
        await sender.send(push(TO, attempt=attempt))
    assert {headers["webhook-id"] for headers, _ in receiver.came} == {"job-1"}


async def test_what_is_sealed_is_not_told_of(receiver: Receiver, sender: WebhookSender) -> None:
    what = notification(
        content=Content.ENCRYPTED, sealed=b"\xff\xfe", title="New message", body="", badge=None, kind=Kind.QUIET
    )
    await sender.send(push(TO, what))
    data = orjson.loads(receiver.came[0][1])["data"]
    assert data["sealed"] == "__4"
    assert not {"conversation", "upto", "link", "body", "badge"} & set(data)


async def test_half_a_pair_of_surrogates_does_not_break_it(sender: WebhookSender) -> None:
    assert await sender.send(push(TO, notification(body="a\ud800b"))) == Accepted("job-1")


ROWS: list[tuple[int, Verdict]] = [
    (200, Accepted("id")),
    (202, Accepted("id")),
    (204, Accepted("id")),
    (301, Rejected("http_301")),
    (400, Rejected("http_400")),
    (401, Rejected("http_401")),
    (404, Rejected("http_404")),
    (408, Later("http_408", "lane")),
    (410, AddressGone("http_410")),
    (413, TooLarge("http_413")),
    (425, Later("http_425", "lane")),
    (429, Later("http_429", "lane")),
    (500, Unknown("http_500")),
    (502, Unknown("http_502")),
    (503, Unknown("http_503")),
    (504, Unknown("http_504")),
    (599, Unknown("http_599")),
    (199, Later("http_199", "device")),
    (999, Later("http_999", "device")),
]


@pytest.mark.parametrize(("status", "expected"), ROWS)
def test_every_row(status: int, expected: Verdict) -> None:
    assert verdict(status, {}, message_id="id", now_s=NOW_S) == expected


def test_no_row_is_without_a_test() -> None:
    assert set(BY_STATUS) <= {status for status, _ in ROWS}


@pytest.mark.parametrize(("value", "after_s"), [("30", 30.0), ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0), ("soon", None)])
@pytest.mark.parametrize("status", [429, 503])
async def test_when_to_come_back_is_heard(
    receiver: Receiver, sender: WebhookSender, status: int, value: str, after_s: float | None
) -> None:
    receiver.status, receiver.headers = status, {"Retry-After": value}
    expected = Unknown("http_503") if status == 503 and after_s is None else Later(f"http_{status}", "lane", after_s)
    assert await sender.send(push(TO)) == expected


async def test_a_redirect_is_not_followed(receiver: Receiver, sender: WebhookSender) -> None:
    receiver.status, receiver.headers = 307, {"Location": receiver.url}
    assert await sender.send(push(TO)) == Rejected("http_307")
    assert len(receiver.came) == 1


async def test_no_answer_is_unknown_in_time(receiver: Receiver) -> None:
    async with opened(receiver, WebhookSettings(inside=True, deadline_s=0.3)) as sender:
        receiver.hangs = True
        assert isinstance(await sender.send(push(TO)), Unknown)
        receiver.hangs = False
        assert isinstance(await sender.send(push(TO)), Accepted)


async def test_nobody_there_is_later_since_nothing_was_sent(unused_tcp_port: int) -> None:
    nowhere = WebhookCredentials(f"http://127.0.0.1:{unused_tcp_port}/", KEYS)
    async with open_webhook(nowhere, clock=Clock(), settings=INSIDE) as sender:
        assert await sender.send(push(TO)) == Later("cannot be reached", "lane")


async def test_an_answer_without_end_is_not_read_to_its_end(receiver: Receiver, sender: WebhookSender) -> None:
    receiver.body = bytes(1_000_000)
    assert isinstance(await sender.send(push(TO)), Unknown)


@pytest.mark.parametrize(
    "url",
    [
        "http://93.184.216.34/hook",
        "https://127.0.0.1/hook",
        "https://169.254.169.254/latest",
        "https://[::1]/",
        "https://user:secret@example.com/",
        "ftp://example.com/",
        "nonsense",
    ],
)
async def test_it_leads_nowhere_inside(url: str) -> None:
    async with open_webhook(WebhookCredentials(url, KEYS), clock=Clock()) as sender:
        verdict = await sender.send(push(TO))
    assert isinstance(verdict, CredentialsAtFault)
    assert "secret" not in verdict.reason


async def test_a_device_names_no_url(receiver: Receiver, sender: WebhookSender) -> None:
    there = address("http://169.254.169.254/", Provider.WEBHOOK, kind="url")
    assert isinstance(await sender.send(push(there)), Rejected)
    assert not receiver.came


@pytest.mark.parametrize(
    ("status", "expected"),
    [
        (204, Accepted("check")),
        (401, CredentialsAtFault("http_401")),
        (404, CredentialsAtFault("http_404")),
        (503, Unknown("http_503")),
    ],
)
async def test_a_check_asks_for_nobody(
    receiver: Receiver, sender: WebhookSender, status: int, expected: Verdict
) -> None:
    receiver.status = status
    assert await sender.check() == expected
    body: dict[str, Any] = orjson.loads(receiver.came[0][1])
    assert (body["type"], body["data"]) == ("push.check", {})


def test_a_new_secret_is_one() -> None:
    secret = new_secret()
    (key,) = parse_webhook(orjson.dumps({"url": "https://example.com/", "secrets": [secret]})).keys
    assert len(key) == 32


@pytest.mark.parametrize(
    "file",
    [
        {},
        {"url": "https://example.com/"},
        {"url": "https://example.com/", "secrets": []},
        {"url": "https://example.com/", "secrets": ["hunter2"]},
        {"url": "https://example.com/", "secrets": ["whsec_hunter2"]},
        {"url": "https://example.com/", "secrets": ["whsec_aHVudGVyMg=="]},
        {"url": 5, "secrets": ["hunter2"]},
        {"url": "https://example.com/", "secrets": [new_secret()] * 3},
    ],
)
def test_what_is_no_webhook_is_told_without_its_secrets(file: dict[str, Any]) -> None:
    with pytest.raises(BadWebhook) as caught:
        parse_webhook(orjson.dumps(file))
    assert "hunter2" not in str(caught.value)


def test_nothing_secret_is_printed() -> None:
    assert repr(WebhookCredentials("https://example.com/secret", KEYS)) == "WebhookCredentials()"
