"""Sends to browsers: one request for each push, to whichever service its subscription names."""

import re
import ssl
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Final

from aiohttp.abc import AbstractResolver

from chat.outgoing import Forbidden, Outgoing, open_outgoing
from chat.push.sending import (
    COLLAPSE_ID_LENGTH,
    Accepted,
    Address,
    CredentialsAtFault,
    Kind,
    Push,
    Rejected,
    TooLarge,
    Verdict,
)
from chat.push.webpush.encryption import BadKeys, TooLong, seal_for
from chat.push.webpush.origins import check_endpoint, vendor_of
from chat.push.webpush.payload import SHOWN, payload
from chat.push.webpush.settings import WebPushSettings
from chat.push.webpush.vapid import Authorizations, BadVapid, Vapid, VapidKey, check_pairs, plain
from chat.push.webpush.verdicts import Asked, Do, Key, reason_of, row_of, verdict, verdict_of_failure

_TOPIC: Final = re.compile(rf"[A-Za-z0-9_-]{{1,{COLLAPSE_ID_LENGTH}}}")
_URGENCY: Final = {Kind.ALERT: "high", Kind.QUIET: "normal"}
"""An iPhone gets what is not high when it likes."""


class WebPushSender:
    """Made by `open_web_push`."""

    def __init__(
        self,
        vapid: Vapid,
        outgoing: Outgoing,
        *,
        clock: Callable[[], float],
        random: Callable[[int], bytes],
        settings: WebPushSettings,
    ) -> None:
        self._vapid: Final = vapid
        self._outgoing: Final = outgoing
        self._clock: Final = clock
        self._random: Final = random
        self._settings: Final = settings
        self._authorizations: Final = Authorizations(vapid.subject, clock=clock, times=settings.times)

    async def send(self, push: Push) -> Verdict:
        """See `Sender`. What nobody would see (`clear`, `badge`) is not sent, and that is all there is to do about it:
        `Accepted`. A browser revokes the subscription of who sends silent ones.
        """
        if push.notification.kind not in SHOWN:
            return Accepted()
        address = push.address
        try:
            origin = check_endpoint(address.value, self._settings.origins)
            body = self._sealed(push)
        except Forbidden as error:
            return verdict_of_failure(error)
        except TooLong as error:
            return TooLarge(str(error))
        except BadKeys as error:
            return Rejected(str(error))
        if not _TOPIC.fullmatch(push.notification.collapse_id):
            return Rejected("the collapse id is no topic")
        key = self._vapid.key_for(address.vapid_key)
        try:
            answer = await self._outgoing.request(
                "POST", address.value, headers=self._headers(push, origin, key), body=body
            )
        except OSError as error:
            return verdict_of_failure(error)
        asked = Asked(vendor_of(origin), _relation(address, key))
        if row_of(answer.status, reason_of(answer.body)).do is Do.DOUBT and asked.key is not Key.DIFFERENT:
            # The clock may have been wrong when it was made.
            self._authorizations.forget(origin)
        return verdict(answer.status, answer.body, answer.headers, asked, now_s=self._clock())

    async def check(self) -> Verdict:
        """See `Sender`. No service can be asked without a subscription: what can be known is whether the keys are
        pairs.
        """
        try:
            check_pairs(self._vapid)
        except BadVapid as error:
            return CredentialsAtFault(str(error))
        return Accepted()

    def _sealed(self, push: Push) -> bytes:
        if push.address.keys is None:
            raise BadKeys("the subscription has no keys")
        return seal_for(push.address.keys, payload(push.notification, self._settings.shape), random=self._random)

    def _headers(self, push: Push, origin: str, key: VapidKey) -> dict[str, str]:
        ttl_s = min(max(int(push.expires_at_s - self._clock()), 0), self._settings.max_ttl_s)
        return {
            "Authorization": self._authorizations.header(origin, key),
            "Content-Encoding": "aes128gcm",
            "Content-Type": self._settings.content_type,
            "TTL": str(ttl_s),
            "Topic": push.notification.collapse_id,
            "Urgency": _URGENCY[push.notification.kind],
        }


@asynccontextmanager
async def open_web_push(
    vapid: Vapid,
    *,
    clock: Callable[[], float],
    random: Callable[[int], bytes],
    settings: WebPushSettings | None = None,
    resolver: AbstractResolver | None = None,
    trust: ssl.SSLContext | None = None,
) -> AsyncIterator[WebPushSender]:
    """A sender and its connections, closed on exit. `clock` is the wall clock in seconds; `random(k)` gives k
    unpredictable bytes. `resolver` and `trust` are for emulators.
    """
    settings = settings or WebPushSettings()
    async with open_outgoing(
        settings.origins.rules,
        timeout_s=settings.deadline_s,
        max_bytes=settings.max_answer_bytes,
        connect_s=settings.connect_s,
        connections=settings.max_connections,
        connections_per_host=settings.connections_per_host,
        keepalive_s=settings.keep_alive_s,
        resolver=resolver,
        trust=trust,
    ) as outgoing:
        yield WebPushSender(vapid, outgoing, clock=clock, random=random, settings=settings)


def _relation(address: Address, key: VapidKey) -> Key:
    if not address.vapid_key:
        return Key.NOT_SAID
    return Key.SAME if plain(address.vapid_key) == key.public else Key.DIFFERENT
