"""The senders that there are: how each provider's is made of an app's keys."""

import secrets
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace

from aiohttp.abc import AbstractResolver

from chat.config.push import PushSection
from chat.push.apns.pool import Place
from chat.push.apns.sender import Apns, App, open_apns
from chat.push.apns.settings import ApnsSettings, ConnectionSettings, PayloadSettings
from chat.push.apns.tokens import Key
from chat.push.credentials import (
    ApnsCredentials,
    AppKey,
    FcmCredentials,
    WebhookCredentials,
    WebPushCredentials,
    webhook_of,
)
from chat.push.fcm.oauth import parse_service_account
from chat.push.fcm.sender import open_fcm
from chat.push.fcm.settings import FcmSettings
from chat.push.senders import Opener, Rotating
from chat.push.sending import Environment, Provider, Sender
from chat.push.webhook.sender import WebhookSettings, open_webhook
from chat.push.webpush.origins import allowed_origins
from chat.push.webpush.payload import Shape
from chat.push.webpush.sender import open_web_push
from chat.push.webpush.settings import WebPushSettings
from chat.push.webpush.vapid import MAX_KEYS, parse_vapid


@dataclass(frozen=True, slots=True)
class VendorSettings:
    """The limits of each. `apns_places`, `resolver`, `trust` and `loopback` lead to emulators, and are for nothing
    else.
    """

    apns: ApnsSettings = field(default_factory=ApnsSettings)
    fcm: FcmSettings = field(default_factory=FcmSettings)
    webpush: WebPushSettings = field(default_factory=WebPushSettings)
    webhook: WebhookSettings = field(default_factory=WebhookSettings)
    apns_places: Mapping[Environment, Place] | None = None
    resolver: AbstractResolver | None = None
    trust: ssl.SSLContext | None = None
    loopback: bool = False


def vendors_of(push: PushSection) -> VendorSettings:
    """As configured; what is no key of the configuration is as each vendor needs it."""
    deadline_s, connect_s = push.timeout, min(push.timeout, 5.0)
    apns, fcm, webpush = push.apns, push.fcm, push.webpush
    return VendorSettings(
        ApnsSettings(
            ConnectionSettings(
                deadline_s=deadline_s,
                connect_s=connect_s,
                max_streams=apns.streams,
                max_connections=apns.connections,
            ),
            payload=PayloadSettings(
                max_bytes=apns.max_payload,
                category=apns.category,
                sound=apns.sound,
                own_texts=apns.own_texts,
                direct_level=apns.direct_level,
                mention_level=apns.mention_level,
                group_level=apns.group_level,
            ),
            port=apns.port,
        ),
        FcmSettings(
            deadline_s=deadline_s,
            connect_s=connect_s,
            display="system" if fcm.display == "system" else "app",
            max_payload_bytes=fcm.max_payload,
            max_connections=fcm.connections,
            quota_pause_s=fcm.quota_pause,
        ),
        WebPushSettings(
            deadline_s=deadline_s,
            connect_s=connect_s,
            shape=Shape(max_bytes=webpush.max_payload),
            max_connections=webpush.connections,
            connections_per_host=webpush.connections_per_host,
            max_ttl_s=int(webpush.max_ttl),
        ),
        WebhookSettings(deadline_s=deadline_s, connect_s=connect_s),
    )


@asynccontextmanager
async def open_vendors(
    settings: VendorSettings | None = None,
    *,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
    random: Callable[[int], bytes] = secrets.token_bytes,
) -> AsyncIterator[Mapping[Provider, Opener]]:
    """How to open senders, until the block ends: those of APNs share their connections."""
    settings = settings or VendorSettings()

    @asynccontextmanager
    async def fcm(keys: tuple[AppKey, ...], environment: Environment) -> AsyncIterator[Sender]:
        del environment
        accounts = [
            parse_service_account(key.credentials.account, plain_http=settings.fcm.plain_http)
            for key in keys
            if isinstance(key.credentials, FcmCredentials)
        ]
        async with open_fcm(accounts[0], clock=clock, monotonic=monotonic, settings=settings.fcm) as newest:
            if len(accounts) == 1:
                yield newest
                return
            async with open_fcm(accounts[1], clock=clock, monotonic=monotonic, settings=settings.fcm) as older:
                yield Rotating((newest, older))

    @asynccontextmanager
    async def web_push(keys: tuple[AppKey, ...], environment: Environment) -> AsyncIterator[Sender]:
        del environment
        some = [key.credentials for key in keys if isinstance(key.credentials, WebPushCredentials)][:MAX_KEYS]
        vapid = parse_vapid([(one.private, one.public) for one in some], some[0].subject)
        extras = tuple(dict.fromkeys(origin for one in some for origin in one.origins))
        origins = allowed_origins(extras, loopback=settings.loopback)
        async with open_web_push(
            vapid,
            clock=clock,
            random=random,
            settings=replace(settings.webpush, origins=origins),
            resolver=settings.resolver,
            trust=settings.trust,
        ) as sender:
            yield sender

    @asynccontextmanager
    async def webhook(keys: tuple[AppKey, ...], environment: Environment) -> AsyncIterator[Sender]:
        del environment
        some = [key.credentials for key in keys if isinstance(key.credentials, WebhookCredentials)]
        inside = replace(settings.webhook, inside=some[0].inside)
        async with open_webhook(
            webhook_of(some), clock=clock, settings=inside, resolver=settings.resolver, trust=settings.trust
        ) as sender:
            yield sender

    async with open_apns(settings.apns, places=settings.apns_places, clock=clock, monotonic=monotonic) as apns:
        yield {Provider.APNS: _apns(apns), Provider.FCM: fcm, Provider.WEBPUSH: web_push, Provider.WEBHOOK: webhook}


def _apns(apns: Apns) -> Opener:
    @asynccontextmanager
    async def opened(keys: tuple[AppKey, ...], environment: Environment) -> AsyncIterator[Sender]:
        some = [key.credentials for key in keys if isinstance(key.credentials, ApnsCredentials)]
        senders = tuple(
            apns.sender(App(Key(one.team, one.key_id, one.private_key), one.topic), environment) for one in some
        )
        yield senders[0] if len(senders) == 1 else Rotating(senders)

    return opened
