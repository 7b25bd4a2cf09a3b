"""Sends to Firebase: one request for each push, over connections that stay open."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

import aiohttp
import orjson

from chat.push.fcm.oauth import AccessTokens, Bearer, Post, Reply, ServiceAccount
from chat.push.fcm.payload import TooMuch, empty_message, message
from chat.push.fcm.settings import FcmSettings
from chat.push.fcm.verdicts import Doubtful, Outcome, Stale, outcome, settle
from chat.push.sending import (
    Accepted,
    Address,
    AddressGone,
    CredentialsAtFault,
    Later,
    Provider,
    Push,
    TooLarge,
    Unknown,
    Verdict,
)

_MAX_ANSWER_BYTES: Final = 64 * 1024
_NOBODY: Final = Address("", Provider.FCM, "", "token", "hubbub-asks-whether-it-may-send")


class NotSent(OSError):
    """There was no connection, so nothing has left. The text says why."""


class Lost(OSError):
    """There was one, and no answer came, or not all of it."""


class FcmSender:
    """Made by `open_fcm`."""

    def __init__(
        self,
        account: ServiceAccount,
        post: Post,
        tokens: AccessTokens,
        *,
        clock: Callable[[], float],
        settings: FcmSettings,
    ) -> None:
        self._url: Final = f"{settings.endpoint}/v1/projects/{account.project}/messages:send"
        self._post: Final = post
        self._tokens: Final = tokens
        self._clock: Final = clock
        self._settings: Final = settings

    async def send(self, push: Push) -> Verdict:
        """See `Sender`. At most four requests in one deadline: the push; one that is not delivered, if it cannot be
        told what is wrong with the first; and each once more if its access token was refused.
        """
        try:
            made = message(
                push.notification,
                push.address,
                now_s=self._clock(),
                expires_at_s=push.expires_at_s,
                settings=self._settings,
            )
        except TooMuch:
            return TooLarge("does not fit")
        return await self._in_time(self._send(made, push.address))

    async def check(self) -> Verdict:
        """See `Sender`. That a token is wrong which is none says that everything else is right."""
        came = await self._in_time(self._ask({"validate_only": True, "message": empty_message(_NOBODY)}))
        return Accepted() if isinstance(came, AddressGone) else came

    async def _send(self, made: Mapping[str, Any], address: Address) -> Outcome:
        came = await self._ask({"message": made})
        if not isinstance(came, Doubtful):
            return came
        try:
            return settle(came, await self._ask({"validate_only": True, "message": empty_message(address)}))
        except OSError:
            # Which of both is not known yet. That the push was refused is.
            return Later(came.reason, "device")

    async def _ask(self, request: Mapping[str, Any]) -> Outcome:
        """What comes of a request, and of a second one if its access token was refused. Raises OSError."""
        body = orjson.dumps(request)
        came: Outcome = Stale("not asked")
        for _ in range(2):
            bearer = await self._tokens.get()
            if not isinstance(bearer, Bearer):
                return bearer
            headers = {"Authorization": f"Bearer {bearer.value}", "Content-Type": "application/json"}
            reply = await self._post(self._url, headers=headers, body=body)
            came = outcome(reply.status, reply.body, reply.headers, now_s=self._clock(), settings=self._settings)
            if not isinstance(came, Stale):
                break
            self._tokens.drop(bearer)
        return came

    async def _in_time(self, asking: Awaitable[Outcome]) -> Verdict:
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                came = await asking
        except NotSent as error:
            return Later(str(error), "lane")
        except TimeoutError:
            return Unknown("no answer in time")
        except Lost as error:
            return Unknown(str(error))
        match came:
            case Stale(reason):
                return CredentialsAtFault(reason)
            case Doubtful():
                # Only `check` leaves it at that: the token was wrong, as it had to be.
                return Accepted()
            case verdict:
                return verdict


@asynccontextmanager
async def open_fcm(
    account: ServiceAccount,
    *,
    clock: Callable[[], float],
    monotonic: Callable[[], float],
    settings: FcmSettings | None = None,
) -> AsyncIterator[FcmSender]:
    """The sender of one service account; its connections and its access token end on exit.

    `clock`: wall clock in seconds. Raises ValueError for an endpoint without TLS, unless the settings allow it.
    """
    settings = settings or FcmSettings()
    if not settings.plain_http and not settings.endpoint.startswith("https://"):
        raise ValueError("the endpoint must begin with https://")
    async with (
        aiohttp.ClientSession(
            # One host sends, another one gives tokens: neither waits for a connection because of the other.
            connector=aiohttp.TCPConnector(
                limit=0, limit_per_host=settings.max_connections, keepalive_timeout=settings.keep_alive_s
            ),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=aiohttp.ClientTimeout(total=settings.deadline_s, connect=settings.connect_s),
            trust_env=False,
        ) as session,
        AccessTokens(account, _posting(session), clock=clock, monotonic=monotonic, settings=settings) as tokens,
    ):
        yield FcmSender(account, _posting(session), tokens, clock=clock, settings=settings)


def _posting(session: aiohttp.ClientSession) -> Post:
    async def post(url: str, *, headers: Mapping[str, str], body: bytes | Mapping[str, str]) -> Reply:
        try:
            async with session.post(url, headers=headers, data=body, allow_redirects=False) as response:
                return Reply(response.status, await _read(response.content), response.headers)
        except (aiohttp.ClientConnectorError, aiohttp.ConnectionTimeoutError):
            raise NotSent("cannot be reached") from None
        except aiohttp.ClientError as error:
            raise Lost(type(error).__name__) from None

    return post


async def _read(content: aiohttp.StreamReader) -> bytes:
    """As much as an answer of theirs may have; the rest is not looked at, and the connection closed."""
    body = bytearray()
    async for chunk in content.iter_chunked(_MAX_ANSWER_BYTES):
        body += chunk
        if len(body) > _MAX_ANSWER_BYTES:
            break
    return bytes(body)
