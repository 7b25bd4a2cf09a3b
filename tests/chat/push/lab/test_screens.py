"""One notification, three vendors, what three people see: real senders, real emulators, handsets."""

import secrets
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, replace
from typing import Any

import orjson
import pytest

from chat.push.apns import ApnsSettings, App, Place, open_apns, tls
from chat.push.fcm import FcmSettings, open_fcm, parse_service_account
from chat.push.lab.apns import HOST, ApnsEmulator, open_apns_emulator
from chat.push.lab.apns_rules import Registry
from chat.push.lab.content_keys import ContentKeys
from chat.push.lab.fcm import FcmLab
from chat.push.lab.handset import Handset, Handsets
from chat.push.lab.webpush import WebPushLab
from chat.push.sending import (
    Accepted,
    Address,
    AddressGone,
    Content,
    Kind,
    Notification,
    Provider,
    Push,
    Sender,
    WebKeys,
)
from chat.push.webpush.encryption import seal_for
from chat.push.webpush.origins import allowed_origins
from chat.push.webpush.sender import open_web_push
from chat.push.webpush.settings import WebPushSettings
from chat.push.webpush.vapid import generate, parse_vapid
from support.apns_lab import KEY_ID, TEAM, TOPIC, authority, key_of, pem_pair
from support.push_words import Clock, account_key, notification
from support.waiting import PATIENCE_S


@dataclass
class Pocket:
    """A handset, whose sender reaches it at `address`."""

    handset: Handset
    address: Address
    sender: Sender
    keys: ContentKeys

    async def gets(self, *notifications: Notification, lasts_s: float = 3600.0) -> None:
        for one in notifications:
            pushed = Push(self.address, one, self.handset._clock() + lasts_s)
            assert isinstance(await self.sender.send(pushed), Accepted)

    @property
    def seen(self) -> list[tuple[str, str]]:
        return [(banner.title, banner.body) for banner in self.handset.tray]


@dataclass
class Labs:
    apns: ApnsEmulator
    fcm: FcmLab
    webpush: WebPushLab
    clock: Clock

    @property
    def brought(self) -> bytes:
        """All that the vendors have read."""
        return b"".join(
            [
                *(one.payload for one in self.apns.arrived),
                *(orjson.dumps(one) for one in self.fcm.accepted),
            ]
        )


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def handsets() -> Handsets:
    return Handsets()


@pytest.fixture
async def stack() -> AsyncIterator[AsyncExitStack]:
    async with AsyncExitStack() as stack:
        yield stack


@pytest.fixture
async def labs(clock: Clock, handsets: Handsets, stack: AsyncExitStack) -> Labs:
    registry = Registry(clock)
    registry.add_key(TEAM, KEY_ID, pem_pair("")[1], topics=[TOPIC])
    return Labs(
        await stack.enter_async_context(open_apns_emulator(registry, authority=authority(), screen=handsets)),
        await stack.enter_async_context(FcmLab(clock=clock, monotonic=clock, screen=handsets, key=account_key())),
        await stack.enter_async_context(WebPushLab(clock=clock, screen=handsets)),
        clock,
    )


@pytest.fixture(params=["ios", "android", "chrome", "safari"])
async def pocket(request: Any, labs: Labs, handsets: Handsets, stack: AsyncExitStack) -> Pocket:
    made = {"ios": iphone, "android": android, "chrome": browser, "safari": browser}
    pocket = await made[request.param](labs, stack, request.param)
    handsets.add(pocket.handset)
    return pocket


async def iphone(labs: Labs, stack: AsyncExitStack, _: str) -> Pocket:
    keys, token = ContentKeys(), secrets.token_hex(32)
    labs.apns.registry.add_device(token, TOPIC, "production")
    place = Place(HOST, labs.apns.port, tls(authority().client()), "127.0.0.1")
    apns = await stack.enter_async_context(open_apns(ApnsSettings(), places={"production": place}, clock=labs.clock))
    handset = Handset("ios", token, clock=labs.clock, unseal=keys.unseal)
    address = Address("phone", Provider.APNS, "app", "token", token)
    return Pocket(handset, address, apns.sender(App(key_of(), TOPIC), "production"), keys)


async def android(labs: Labs, stack: AsyncExitStack, _: str) -> Pocket:
    keys, token = ContentKeys(), labs.fcm.register()
    account = parse_service_account(labs.fcm.service_account, plain_http=True)
    settings = FcmSettings(endpoint=labs.fcm.url, plain_http=True, deadline_s=PATIENCE_S)
    opened = open_fcm(account, clock=labs.clock, monotonic=labs.clock, settings=settings)
    handset = Handset("android", token, clock=labs.clock, unseal=keys.unseal)
    address = Address("phone", Provider.FCM, "app", "token", token)
    return Pocket(handset, address, await stack.enter_async_context(opened), keys)


async def browser(labs: Labs, stack: AsyncExitStack, name: Any) -> Pocket:
    keys, vapid = ContentKeys(), parse_vapid([generate(secrets.token_bytes)], "mailto:push@example.com")
    to = labs.webpush.subscribe(vapid.keys[0].public, "apple" if name == "safari" else "google", in_place=True)
    opened = open_web_push(
        vapid,
        clock=labs.clock,
        random=secrets.token_bytes,
        settings=WebPushSettings(origins=allowed_origins((), loopback=True), deadline_s=PATIENCE_S),
        resolver=labs.webpush.resolver,
        trust=labs.webpush.trust,
    )
    handset = Handset(
        "web",
        to.endpoint,
        clock=labs.clock,
        browser=name,
        unseal=keys.unseal,
        on_revoked=lambda _: labs.webpush.unsubscribe(to),
    )
    pinned = WebKeys(to.p256dh, to.auth)
    address = Address(
        "browser", Provider.WEBPUSH, "app", "subscription", to.endpoint, keys=pinned, vapid_key=to.vapid_key
    )
    return Pocket(handset, address, await stack.enter_async_context(opened), keys)


NEXT = notification(job_id="job-2", upto=8, body="Five it is.", badge=5)


async def test_one_banner_with_the_last_text_and_the_number(pocket: Pocket) -> None:
    await pocket.gets(notification(), NEXT)
    assert pocket.seen == [("Ada", "Five it is.")]
    assert (pocket.handset.badge, pocket.handset.rings) == (5, 2)


async def test_whoever_was_away_sees_the_last_and_hears_it(pocket: Pocket) -> None:
    pocket.handset.go_offline()
    await pocket.gets(notification(), NEXT, NEXT)
    assert pocket.seen == []
    pocket.handset.go_online()
    assert pocket.seen == [("Ada", "Five it is.")]
    assert pocket.handset.badge == 5
    assert pocket.handset.rings == (2 if pocket.handset.platform == "android" else 1)


async def test_a_second_attempt_is_not_heard(pocket: Pocket) -> None:
    await pocket.gets(notification(), notification(), notification())
    assert (pocket.seen, pocket.handset.rings) == ([("Ada", "Tea at five?")], 1)


async def test_what_was_read_elsewhere_goes_and_the_number_with_it(pocket: Pocket) -> None:
    clear = notification(kind=Kind.CLEAR, job_id="clear", title="", body="", badge=0)
    await pocket.gets(notification(), clear)
    if pocket.handset.platform == "web":
        # A browser is told nothing that cannot be seen.
        assert pocket.seen == [("Ada", "Tea at five?")]
        assert not pocket.handset.revoked
        return
    assert (pocket.seen, pocket.handset.badge, pocket.handset.rings) == ([], 0, 1)


async def test_what_came_too_late_is_not_shown(pocket: Pocket, clock: Clock) -> None:
    pocket.handset.go_offline()
    await pocket.gets(notification(), lasts_s=60)
    clock.pass_s(61)
    pocket.handset.go_online()
    assert pocket.seen == []


async def test_what_is_for_the_device_alone_no_vendor_can_read(pocket: Pocket, labs: Labs) -> None:
    told = {"title": "Ada", "body": "The treasure is under the oak.", "conversation": "secret-one", "upto": 7}
    keys = WebKeys(pocket.keys.p256dh, pocket.keys.auth)
    sealed = seal_for(keys, orjson.dumps(told), random=secrets.token_bytes)
    what = notification(
        title="New message", body="", content=Content.ENCRYPTED, sealed=sealed, conversation="secret-one"
    )
    await pocket.gets(what)
    assert pocket.seen == [("Ada", "The treasure is under the oak.")]
    assert b"treasure" not in labs.brought
    assert b"secret-one" not in labs.brought


async def test_what_is_sealed_for_another_device_is_not_opened(pocket: Pocket) -> None:
    other = ContentKeys()
    sealed = seal_for(WebKeys(other.p256dh, other.auth), b'{"title": "Ada"}', random=secrets.token_bytes)
    await pocket.gets(notification(title="New message", body="You have some", content=Content.ENCRYPTED, sealed=sealed))
    assert pocket.seen == [("New message", "You have some")]


async def test_a_browser_that_was_bothered_too_often_is_gone(labs: Labs, handsets: Handsets) -> None:
    async with AsyncExitStack() as stack:
        pocket = await browser(labs, stack, "safari")
        handsets.add(pocket.handset)
        for _ in range(3):
            handsets.show("webpush", pocket.address.value, {"ttl": "60"}, b"{}")
        assert pocket.handset.revoked
        verdict = await pocket.sender.send(Push(pocket.address, notification(), labs.clock() + 60))
        assert isinstance(verdict, AddressGone)


async def test_a_phone_that_changed_hands_shows_nothing_to_the_one_before(
    pocket: Pocket, handsets: Handsets, clock: Clock
) -> None:
    heir = handsets.add(Handset(pocket.handset.platform, pocket.address.value, clock=clock))
    await replace(pocket, handset=heir).gets(notification())
    assert (pocket.seen, len(heir.tray)) == ([], 1)
