"""A browser gets what was sent to it, from services that are strict; and what becomes of it where they are not well."""

import asyncio
import dataclasses
import secrets
import socket
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager
from email.utils import formatdate
from typing import Any, get_args

import http_ece
import orjson
import pytest
from aiohttp.abc import AbstractResolver, ResolveResult

from chat.push.lab.handset import Handset
from chat.push.lab.webpush import HANG, RESET, Fault, Subscription, WebPushLab, busy, redirect
from chat.push.lab.webpush_rules import Profile, Wrong
from chat.push.sending import (
    Accepted,
    Address,
    AddressGone,
    CredentialsAtFault,
    Kind,
    Later,
    Notification,
    Provider,
    Push,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
    WebKeys,
)
from chat.push.webpush.encryption import new_private_key
from chat.push.webpush.origins import Origins, allowed_origins
from chat.push.webpush.sender import WebPushSender, open_web_push
from chat.push.webpush.settings import WebPushSettings
from chat.push.webpush.vapid import Vapid, VapidKey, generate, parse_vapid
from support.waiting import PATIENCE_S, eventually

PROFILES: tuple[Profile, ...] = get_args(Profile)
SUBJECT = "mailto:push@example.com"
NOW_S = 1_700_000_000.0
HELLO = Notification(
    kind=Kind.ALERT,
    job_id="3c7f",
    collapse_id="c" * 32,
    conversation="01h455vb4pex5vsknk084sn02q",
    upto=41,
    title="Ann",
    body="Lunch?",
    badge=4,
)


class Clock:
    def __init__(self) -> None:
        self.now_s = NOW_S

    def __call__(self) -> float:
        return self.now_s


class Glass:
    """Everything that was shown, by address."""

    def __init__(self) -> None:
        self.shown: list[tuple[str, dict[str, Any]]] = []

    def show(self, brought: str, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        assert brought == "webpush"
        self.shown.append((address, orjson.loads(payload)))

    def bodies(self) -> list[str]:
        return [message["notification"]["body"] for _, message in self.shown]


def opened_by_http_ece(body: bytes, private: Any, auth: bytes) -> bytes:
    opened = http_ece.decrypt(body, private_key=private, auth_secret=auth)
    assert isinstance(opened, bytes)
    return opened


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def glass() -> Glass:
    return Glass()


@pytest.fixture
async def lab(clock: Clock, glass: Glass) -> AsyncIterator[WebPushLab]:
    async with WebPushLab(clock=clock, screen=glass, decrypt=opened_by_http_ece) as lab:
        yield lab


@pytest.fixture
def vapid() -> Vapid:
    return parse_vapid([generate(secrets.token_bytes)], SUBJECT)


Opened = Callable[..., AbstractAsyncContextManager[WebPushSender]]


@pytest.fixture
def opened(lab: WebPushLab, clock: Clock, vapid: Vapid) -> Opened:
    """A sender that takes the emulator for all the services there are."""

    def opened(
        vapid: Vapid = vapid, resolver: AbstractResolver = lab.resolver, **settings: Any
    ) -> AbstractAsyncContextManager[WebPushSender]:
        origins = allowed_origins(("ntfy.example.com", lab.host), loopback=True)
        made = WebPushSettings(**{"origins": origins, "deadline_s": PATIENCE_S, **settings})
        return open_web_push(
            vapid, clock=clock, random=secrets.token_bytes, settings=made, resolver=resolver, trust=lab.trust
        )

    return opened


def a_push(to: Subscription, notification: Notification = HELLO, *, ttl_s: float = 3600, **address: Any) -> Push:
    keys = WebKeys(to.p256dh, to.auth)
    made = Address("d1", Provider.WEBPUSH, "web", "subscription", to.endpoint, keys=keys, vapid_key=to.vapid_key)
    return Push(dataclasses.replace(made, **address), notification, NOW_S + ttl_s)


def alone(vapid: Vapid) -> str:
    return vapid.keys[0].public


@pytest.mark.parametrize("profile", PROFILES)
async def test_every_strict_service_takes_it_and_the_browser_opens_it(
    opened: Opened, lab: WebPushLab, glass: Glass, vapid: Vapid, profile: Profile
) -> None:
    browser = lab.subscribe(alone(vapid), profile, in_place=True)
    async with opened() as sender:
        came = await sender.send(a_push(browser))
    assert not lab.refused
    assert isinstance(came, Accepted)
    assert len(came.provider_id) == 32
    (message,) = lab.accepted
    assert (message.request.ttl_s, message.request.topic, message.request.urgency) == (3600, "c" * 32, "high")
    ((address, shown),) = glass.shown
    assert address == browser.endpoint
    assert (shown["notification"]["title"], shown["notification"]["body"]) == ("Ann", "Lunch?")
    assert (shown["app_badge"], shown["hubbub"]["job_id"]) == (4, "3c7f")


async def test_a_service_of_this_machine_is_reached_by_its_own_name(
    lab: WebPushLab, opened: Opened, vapid: Vapid
) -> None:
    browser = lab.subscribe(alone(vapid), "apple")
    assert browser.endpoint.startswith(f"https://localhost:{lab.host.partition(':')[2]}/")
    async with opened() as sender:
        assert isinstance(await sender.send(a_push(browser)), Accepted)


async def test_the_emulator_opens_it_with_its_own_code_as_well(clock: Clock, vapid: Vapid) -> None:
    glass = Glass()
    async with WebPushLab(clock=clock, screen=glass) as lab:
        settings = WebPushSettings(origins=allowed_origins((lab.host,), loopback=True))
        async with open_web_push(
            vapid, clock=clock, random=secrets.token_bytes, settings=settings, trust=lab.trust
        ) as sender:
            assert isinstance(await sender.send(a_push(lab.subscribe(alone(vapid)))), Accepted)
    assert glass.bodies() == ["Lunch?"]


async def test_an_iphone_gets_the_longest_text_that_fits_in_4096_bytes(
    opened: Opened, lab: WebPushLab, vapid: Vapid, glass: Glass
) -> None:
    long = dataclasses.replace(HELLO, body="ä" * 10_000)
    browser = lab.subscribe(alone(vapid), "apple", in_place=True)
    shape = dataclasses.replace(WebPushSettings().shape, max_bytes=3993)
    async with opened(shape=shape) as sender:
        assert isinstance(await sender.send(a_push(browser, long)), Accepted)
    assert 4090 <= int(lab.accepted[0].headers["content-length"]) <= 4096
    assert glass.bodies()[0].endswith("ä…")


async def test_what_would_be_silent_is_not_sent(opened: Opened, lab: WebPushLab, vapid: Vapid) -> None:
    browser = lab.subscribe(alone(vapid))
    async with opened() as sender:
        for kind in (Kind.CLEAR, Kind.BADGE):
            assert await sender.send(a_push(browser, dataclasses.replace(HELLO, kind=kind))) == Accepted()
    assert lab.connections == 0


async def test_a_quiet_one_is_not_urgent(opened: Opened, lab: WebPushLab, vapid: Vapid) -> None:
    async with opened() as sender:
        push = a_push(lab.subscribe(alone(vapid)), dataclasses.replace(HELLO, kind=Kind.QUIET))
        assert isinstance(await sender.send(push), Accepted)
    assert lab.accepted[0].request.urgency == "normal"


@pytest.mark.parametrize(("ttl_s", "kept_s"), [(90.9, 90), (0.2, 0), (-5, 0), (1e9, 30 * 24 * 3600)])
async def test_it_is_kept_until_it_is_of_no_use(
    opened: Opened, lab: WebPushLab, vapid: Vapid, ttl_s: float, kept_s: int
) -> None:
    async with opened() as sender:
        assert isinstance(await sender.send(a_push(lab.subscribe(alone(vapid)), ttl_s=ttl_s)), Accepted)
    assert lab.accepted[0].request.ttl_s == kept_s


async def test_a_browser_that_was_away_shows_the_last_one_of_each_conversation_that_still_counts(
    opened: Opened, lab: WebPushLab, vapid: Vapid, clock: Clock
) -> None:
    browser = lab.subscribe(alone(vapid))
    screen = lab.screen = Handset("web", browser.endpoint, clock=clock)
    screen.go_offline()
    async with opened() as sender:
        for body, topic, ttl_s in [("one", "a", 600), ("two", "b", 60), ("three", "a", 600), ("four", "c", 0)]:
            notification = dataclasses.replace(HELLO, body=body, job_id=body, collapse_id=topic)
            assert isinstance(await sender.send(a_push(browser, notification, ttl_s=ttl_s)), Accepted)
    assert screen.tray == ()
    clock.now_s += 120
    screen.go_online()
    assert [banner.body for banner in screen.tray] == ["three"]


@pytest.mark.parametrize("lost", [HANG, RESET, Fault(503)], ids=["hangs", "breaks", "says-503"])
async def test_one_that_was_taken_without_a_word_and_sent_again_is_one_banner_that_rang_once(
    opened: Opened, lab: WebPushLab, vapid: Vapid, clock: Clock, lost: Fault
) -> None:
    browser = lab.subscribe(alone(vapid), in_place=True)
    screen = lab.screen = Handset("web", browser.endpoint, clock=clock)
    async with opened(deadline_s=0.5) as sender:
        lab.fail(dataclasses.replace(lost, taken=True))
        assert isinstance(await sender.send(a_push(browser)), Unknown | Later)
    async with opened() as sender:
        assert isinstance(await sender.send(a_push(browser)), Accepted)
    assert len(lab.accepted) == 2
    assert [(banner.title, banner.body) for banner in screen.tray] == [("Ann", "Lunch?")]
    assert (screen.badge, screen.rings) == (4, 1)


async def test_safari_keeps_the_subscription_of_who_sends_nothing_silent(
    opened: Opened, lab: WebPushLab, vapid: Vapid, clock: Clock
) -> None:
    browser = lab.subscribe(alone(vapid), "apple", in_place=True)
    screen = lab.screen = Handset("web", browser.endpoint, clock=clock, browser="safari")
    async with opened() as sender:
        for number, kind in enumerate([Kind.CLEAR, Kind.BADGE, Kind.QUIET, Kind.CLEAR, Kind.BADGE, Kind.ALERT] * 3):
            push = a_push(browser, dataclasses.replace(HELLO, kind=kind, job_id=str(number), upto=number))
            assert isinstance(await sender.send(push), Accepted)
    assert not screen.revoked
    assert len(screen.tray) == 1


async def test_an_emulator_that_begins_again_knows_who_had_subscribed(
    clock: Clock, vapid: Vapid, unused_tcp_port: int
) -> None:
    async with WebPushLab(clock=clock, port=unused_tcp_port) as lab:
        browsers = [lab.subscribe(alone(vapid), profile) for profile in PROFILES]
        saved = orjson.dumps([browser.saved() for browser in browsers])
    async with WebPushLab(clock=clock, port=unused_tcp_port) as lab:
        assert [lab.restore(one).to_json() for one in orjson.loads(saved)] == [one.to_json() for one in browsers]
        settings = WebPushSettings(origins=allowed_origins((lab.host,), loopback=True))
        async with open_web_push(
            vapid, clock=clock, random=secrets.token_bytes, settings=settings, trust=lab.trust
        ) as sender:
            for browser in browsers:
                assert isinstance(await sender.send(a_push(browser)), Accepted)


async def test_one_connection_and_one_token_serve_many(
    opened: Opened, lab: WebPushLab, vapid: Vapid, clock: Clock
) -> None:
    browsers = [lab.subscribe(alone(vapid), "mozilla", in_place=True) for _ in range(20)]
    async with opened() as sender:
        for browser in browsers:
            assert isinstance(await sender.send(a_push(browser)), Accepted)
        clock.now_s += 13 * 3600
        assert isinstance(await sender.send(a_push(browsers[0], ttl_s=14 * 3600)), Accepted)
    assert lab.connections == 1
    assert len({message.headers["authorization"] for message in lab.accepted}) == 2


async def test_a_subscription_goes_on_with_the_key_that_it_was_made_with(opened: Opened, lab: WebPushLab) -> None:
    vapid = parse_vapid([generate(secrets.token_bytes), generate(secrets.token_bytes)], SUBJECT)
    async with opened(vapid) as sender:
        for key in vapid.keys:
            for profile in PROFILES:
                browser = lab.subscribe(key.public, profile, in_place=True)
                assert isinstance(await sender.send(a_push(browser)), Accepted)
        browser = lab.subscribe(vapid.keys[1].public, "google", in_place=True)
        assert await sender.send(a_push(browser, vapid_key="")) == AddressGone("403 KeyMismatch")


@pytest.mark.parametrize(
    ("profile", "gone"),
    [
        ("apple", AddressGone("400 VapidPkHashMismatch")),
        ("mozilla", AddressGone("401 errno_109: made with another key")),
        ("google", AddressGone("403 KeyMismatch")),
    ],
)
async def test_a_subscription_that_was_made_with_a_key_that_we_have_no_more_is_gone(
    opened: Opened, lab: WebPushLab, profile: Profile, gone: Verdict
) -> None:
    browser = lab.subscribe(generate(secrets.token_bytes)[1], profile, in_place=True)
    async with opened() as sender:
        assert await sender.send(a_push(browser)) == gone


@pytest.mark.parametrize("profile", ["apple", "mozilla", "google"])
async def test_credentials_that_are_refused_are_at_fault_and_no_subscription(
    opened: Opened, lab: WebPushLab, vapid: Vapid, profile: Profile
) -> None:
    """The halves of the pair do not belong together, which nothing but the signature shows."""
    broken = Vapid((VapidKey(alone(vapid), new_private_key(secrets.token_bytes)),), SUBJECT)
    browser = lab.subscribe(alone(vapid), profile, in_place=True)
    async with opened(broken) as sender:
        assert isinstance(await sender.send(a_push(browser)), CredentialsAtFault)
        assert isinstance(await sender.check(), CredentialsAtFault)
    assert [wrong for wrong, _ in lab.refused] == [Wrong.TOKEN]


async def test_only_apple_minds_where_the_contact_is(opened: Opened, lab: WebPushLab, vapid: Vapid) -> None:
    nowhere = Vapid(vapid.keys, "mailto:push@localhost")
    came = {}
    async with opened(nowhere) as sender:
        for profile in PROFILES:
            came[profile] = await sender.send(a_push(lab.subscribe(alone(vapid), profile, in_place=True)))
    assert came.pop("apple") == CredentialsAtFault("403 BadJwtToken")
    assert all(isinstance(verdict, Accepted) for verdict in came.values())


async def test_a_token_that_was_refused_is_made_anew(
    opened: Opened, lab: WebPushLab, vapid: Vapid, clock: Clock
) -> None:
    """The clock was a week ahead when it was made."""
    browser = lab.subscribe(alone(vapid), "apple", in_place=True)
    sent = a_push(browser)
    clock.now_s += 7 * 24 * 3600
    async with opened() as sender:
        assert isinstance(await sender.send(sent), Accepted)
        clock.now_s += 11 * 3600
        lab.fail(Fault(403, body=b'{"reason":"BadJwtToken"}'))
        assert await sender.send(sent) == CredentialsAtFault("403 BadJwtToken")
        assert isinstance(await sender.send(sent), Accepted)
    first, last = (message.headers["authorization"] for message in lab.accepted)
    assert first != last


async def test_good_credentials_are_good(opened: Opened) -> None:
    async with opened() as sender:
        assert await sender.check() == Accepted()


@pytest.mark.parametrize("profile", PROFILES)
async def test_who_has_unsubscribed_is_gone_and_so_is_who_never_was(
    opened: Opened, lab: WebPushLab, vapid: Vapid, profile: Profile
) -> None:
    browser = lab.subscribe(alone(vapid), profile, in_place=True)
    async with opened() as sender:
        lab.unsubscribe(browser)
        assert isinstance(await sender.send(a_push(browser)), AddressGone)
        lab.forget(browser)
        assert isinstance(await sender.send(a_push(browser)), AddressGone)


@pytest.mark.parametrize(
    ("fault", "came"),
    [
        pytest.param(busy(429, "7"), Later("429", "origin", 7.0), id="429-seconds"),
        pytest.param(busy(429, formatdate(NOW_S + 90, usegmt=True)), Later("429", "origin", 90.0), id="429-date"),
        pytest.param(busy(429), Later("429", "origin"), id="429"),
        pytest.param(busy(503, "120"), Later("503", "origin", 120.0), id="503-as-mozilla-does"),
        pytest.param(Fault(502, body=b"<html>" * 1000), Later("502", "origin"), id="502-html"),
        pytest.param(Fault(413), TooLarge("413"), id="413"),
        pytest.param(Fault(404), AddressGone("404"), id="404"),
        pytest.param(Fault(410), AddressGone("410"), id="410"),
        pytest.param(redirect(), Rejected("307"), id="a-redirect-to-the-metadata-of-a-cloud"),
        pytest.param(Fault(201, body=b"x" * 100_000), Unknown("answered with more than 64 KiB"), id="too-much"),
        pytest.param(Fault(418), Later("418", "device"), id="nobody-knows"),
    ],
)
async def test_what_a_service_answers_is_understood_and_the_next_one_goes_through(
    opened: Opened, lab: WebPushLab, vapid: Vapid, fault: Fault, came: Verdict
) -> None:
    browser = lab.subscribe(alone(vapid), in_place=True)
    async with opened() as sender:
        lab.fail(fault)
        assert await sender.send(a_push(browser)) == came
        assert isinstance(await sender.send(a_push(browser)), Accepted)


async def test_who_never_answers_is_not_waited_for(opened: Opened, lab: WebPushLab, vapid: Vapid, glass: Glass) -> None:
    browser = lab.subscribe(alone(vapid), in_place=True)
    async with opened(deadline_s=0.3) as sender:
        lab.fail(HANG, dataclasses.replace(HANG, taken=True))
        for _ in range(2):
            assert await sender.send(a_push(browser)) == Unknown("did not answer within 0.3 s")
    assert len(glass.shown) == 1  # the second one was taken: unknown is unknown


async def test_a_connection_that_breaks_leaves_it_unknown(opened: Opened, lab: WebPushLab, vapid: Vapid) -> None:
    browser = lab.subscribe(alone(vapid), in_place=True)
    async with opened() as sender:
        lab.fail(RESET, dataclasses.replace(RESET, taken=True))
        for _ in range(2):
            assert isinstance(await sender.send(a_push(browser)), Unknown)
        assert isinstance(await sender.send(a_push(browser)), Accepted)
    assert len(lab.accepted) == 2


async def test_who_cannot_be_reached_has_certainly_not_got_it(
    clock: Clock, vapid: Vapid, lab: WebPushLab, unused_tcp_port: int
) -> None:
    browser = dataclasses.replace(lab.subscribe(alone(vapid)), endpoint=f"https://localhost:{unused_tcp_port}/x")
    origins = allowed_origins((f"localhost:{unused_tcp_port}",), loopback=True)
    async with open_web_push(
        vapid, clock=clock, random=secrets.token_bytes, settings=WebPushSettings(origins=origins)
    ) as sender:
        assert await sender.send(a_push(browser)) == Later("cannot be reached", "origin")


async def test_who_is_not_who_it_says_has_certainly_not_got_it(lab: WebPushLab, clock: Clock, vapid: Vapid) -> None:
    browser = lab.subscribe(alone(vapid), in_place=True)
    settings = WebPushSettings(origins=allowed_origins(loopback=True))
    async with open_web_push(
        vapid, clock=clock, random=secrets.token_bytes, settings=settings, resolver=lab.resolver
    ) as sender:  # without the emulator's authority
        assert await sender.send(a_push(browser)) == Later("cannot be reached", "origin")


async def test_a_service_that_hangs_keeps_no_other_one_waiting(opened: Opened, lab: WebPushLab, vapid: Vapid) -> None:
    stuck = lab.subscribe(alone(vapid), "mozilla", in_place=True)
    well = lab.subscribe(alone(vapid), "apple", in_place=True)
    async with opened(max_connections=6, connections_per_host=3) as sender:
        lab.fail(*[HANG] * 12, subscription=stuck)
        waiting = [asyncio.create_task(sender.send(a_push(stuck))) for _ in range(12)]
        await eventually(lambda: lab.connections == 3)
        for _ in range(5):
            assert isinstance(await sender.send(a_push(well)), Accepted)
        assert not any(task.done() for task in waiting)
        for task in waiting:
            task.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


class Names(AbstractResolver):
    """Every name has these addresses, at the emulator's port."""

    def __init__(self, port: int, *addresses: str) -> None:
        self.port = port
        self.addresses = addresses

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_INET
    ) -> list[ResolveResult]:
        return [
            ResolveResult(hostname=host, host=address, port=self.port, family=family, proto=0, flags=0)
            for address in self.addresses
        ]

    async def close(self) -> None:
        pass


USUAL = Origins()


@pytest.mark.parametrize(
    ("endpoint", "addresses", "origins"),
    [
        pytest.param("http://fcm.googleapis.com/x", ["127.0.0.1"], USUAL, id="1-plain-http"),
        pytest.param("https://127.0.0.1/x", ["127.0.0.1"], USUAL, id="2-an-address"),
        pytest.param("https://2130706433/x", ["127.0.0.1"], USUAL, id="2-an-address-as-a-number"),
        pytest.param("https://169.254.169.254/x.google.com/", ["127.0.0.1"], USUAL, id="3-a-name-in-the-path"),
        pytest.param("https://hub.internal/x", ["127.0.0.1"], USUAL, id="3-a-name-that-is-not-allowed"),
        pytest.param("https://evil.googleapis.com/x", ["127.0.0.1"], USUAL, id="5-a-name-of-this-machine"),
        pytest.param("https://evil.googleapis.com/x", ["::ffff:127.0.0.1"], USUAL, id="5-the-same-in-disguise"),
        pytest.param("https://evil.googleapis.com/x", ["8.8.8.8", "10.0.0.1"], USUAL, id="5-one-address-is-inside"),
        pytest.param(
            "https://evil.googleapis.com/x", ["169.254.169.254"], Origins(loopback=True), id="5-not-even-in-tests"
        ),
    ],
)
async def test_an_endpoint_that_leads_inside_is_not_connected_to(
    lab: WebPushLab, opened: Opened, vapid: Vapid, endpoint: str, addresses: list[str], origins: Origins
) -> None:
    browser = dataclasses.replace(lab.subscribe(alone(vapid)), endpoint=endpoint)
    names = Names(int(lab.host.partition(":")[2]), *addresses)
    async with opened(resolver=names, origins=origins) as sender:
        came = await sender.send(a_push(browser))
    assert isinstance(came, Rejected)
    assert came.reason.startswith("forbidden: ")
    assert endpoint not in came.reason
    assert lab.connections == 0


@pytest.mark.parametrize(
    ("address", "notification", "came"),
    [
        ({"keys": None}, HELLO, Rejected("the subscription has no keys")),
        ({"keys": WebKeys(b"\x04" * 65, bytes(16))}, HELLO, Rejected("p256dh must be a point on P-256")),
        ({}, dataclasses.replace(HELLO, collapse_id="c" * 33), Rejected("the collapse id is no topic")),
        ({}, dataclasses.replace(HELLO, collapse_id="a b"), Rejected("the collapse id is no topic")),
        (
            {},
            dataclasses.replace(HELLO, sealed=bytes(3000)),
            TooLarge("is more than 3993 bytes without its text"),
        ),
    ],
)
async def test_what_cannot_be_sent_is_told_without_trying(
    opened: Opened, lab: WebPushLab, vapid: Vapid, address: dict[str, Any], notification: Notification, came: Verdict
) -> None:
    async with opened() as sender:
        assert await sender.send(a_push(lab.subscribe(alone(vapid)), notification, **address)) == came
    assert lab.connections == 0


async def test_no_verdict_says_where_or_what(opened: Opened, lab: WebPushLab, vapid: Vapid) -> None:
    browser = lab.subscribe(alone(vapid), in_place=True)
    async with opened(deadline_s=0.3) as sender:
        lab.fail(Fault(403, body=browser.endpoint.encode()), Fault(400, body=b'{"reason":"Lunch?"}'), HANG, RESET)
        said = [repr(await sender.send(a_push(browser))) for _ in range(5)]
    secret = browser.endpoint.rpartition("/")[2]
    assert not any(secret in text or "Lunch" in text for text in said)
    assert secret not in repr(a_push(browser))
