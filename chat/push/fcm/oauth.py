"""Access tokens of Google for a service account: one at a time, replaced before they end.

An assertion, signed with the account's key, is exchanged for a token that serves for an hour. Whoever needs one while
there is one never waits: a few minutes before it ends another one is fetched behind the scenes, and it serves on
meanwhile. However many need one, one request is under way.
"""

import asyncio
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType
from typing import Final, Protocol, Self, TypeAlias

import jwt
import msgspec
import orjson
import structlog
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.serialization import load_pem_private_key

from chat.push.fcm.settings import FcmSettings
from chat.push.fcm.verdicts import oauth_verdict
from chat.push.sending import CredentialsAtFault, Later

_log = structlog.get_logger(__name__)

_GRANT: Final = "urn:ietf:params:oauth:grant-type:jwt-bearer"
_LEAST_LIFETIME_S: Final = 1.0
_PROJECT: Final = re.compile(r"[A-Za-z0-9.:_-]{1,100}")


class BadServiceAccount(ValueError):
    """The text says what is wrong with it, without any of its contents."""


@dataclass(frozen=True, slots=True)
class ServiceAccount:
    """As Google gives it out, checked."""

    project: str
    email: str
    key_id: str
    key: RSAPrivateKey = field(repr=False)
    token_uri: str


class _File(msgspec.Struct):
    type: str
    project_id: str
    client_email: str
    private_key: str
    private_key_id: str = ""
    exchange: str = msgspec.field(name="token_uri", default="https://oauth2.googleapis.com/token")


def parse_service_account(text: bytes | str, *, plain_http: bool = False) -> ServiceAccount:
    """From the JSON file of the console. Raises BadServiceAccount. `plain_http`: its `token_uri` need not be https."""
    try:
        read = msgspec.json.decode(text, type=_File)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        # The message names the field, never a value.
        raise BadServiceAccount(f"not the JSON of a service account: {error}") from None
    if read.type != "service_account":
        raise BadServiceAccount("its `type` is not service_account")
    if not read.exchange.startswith(("https://", "http://") if plain_http else "https://"):
        raise BadServiceAccount("its `token_uri` does not begin with https://")
    if not _PROJECT.fullmatch(read.project_id):
        raise BadServiceAccount("its `project_id` is none")
    try:
        key = load_pem_private_key(read.private_key.encode(), None)
    except (ValueError, TypeError, UnsupportedAlgorithm):
        raise BadServiceAccount("its `private_key` cannot be read") from None
    if not isinstance(key, RSAPrivateKey):
        raise BadServiceAccount("its `private_key` is not one of RSA")
    return ServiceAccount(read.project_id, read.client_email, read.private_key_id, key, read.exchange)


@dataclass(frozen=True, slots=True)
class Reply:
    status: int
    body: bytes
    headers: Mapping[str, str]


class Post(Protocol):
    """One request, without redirects and with bounds. Raises OSError (TimeoutError included) without an answer."""

    async def __call__(self, url: str, *, headers: Mapping[str, str], body: bytes | Mapping[str, str]) -> Reply: ...


@dataclass(frozen=True, slots=True)
class Bearer:
    value: str = field(repr=False)
    renew_at_s: float
    ends_at_s: float


NoToken: TypeAlias = CredentialsAtFault | Later


class AccessTokens:
    """An async context manager that owns the one fetch under way; leaving it cancels that."""

    def __init__(
        self,
        account: ServiceAccount,
        post: Post,
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
        settings: FcmSettings,
    ) -> None:
        self._account: Final = account
        self._post: Final = post
        self._clock: Final = clock
        self._monotonic: Final = monotonic
        self._settings: Final = settings
        self._bearer: Bearer | None = None
        self._failed: NoToken | None = None
        self._tried_at_s: float | None = None
        self._fetching: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    async def get(self) -> Bearer | NoToken:
        """A token that serves now, at once if there is one; else why there is none.

        After a failure everybody gets the same answer for `retry_token_s`. Cancelling a caller cancels no fetch.
        """
        now_s = self._monotonic()
        if (bearer := self._serving(now_s)) is not None:
            if now_s >= bearer.renew_at_s:
                self._fetch(now_s)
            return bearer
        if (fetching := self._fetch(now_s)) is not None:
            await asyncio.shield(fetching)
        if (bearer := self._serving(self._monotonic())) is not None:
            return bearer
        return self._failed or Later("oauth: none yet", "lane", self._settings.retry_token_s)

    def drop(self, bearer: Bearer) -> None:
        """It was refused. One that has replaced it meanwhile stays."""
        if self._bearer is bearer:
            self._bearer = None

    def _serving(self, now_s: float) -> Bearer | None:
        bearer = self._bearer
        return bearer if bearer is not None and now_s < bearer.ends_at_s else None

    def _fetch(self, now_s: float) -> asyncio.Task[None] | None:
        """The fetch under way, or a new one unless the last has failed just now."""
        if self._fetching is None:
            recently = self._tried_at_s is not None and now_s - self._tried_at_s < self._settings.retry_token_s
            if self._failed is not None and recently:
                return None
            self._tried_at_s = now_s
            self._fetching = asyncio.create_task(self._exchange(now_s), name="fcm-oauth")
        return self._fetching

    async def _exchange(self, now_s: float) -> None:
        try:
            self._failed = None
            asked = {"grant_type": _GRANT, "assertion": self._assertion()}
            async with asyncio.timeout(self._settings.token_deadline_s):
                reply = await self._post(self._account.token_uri, headers={}, body=asked)
            self._bearer = self._read(reply, now_s)
        except OSError as error:
            self._failed = Later(f"oauth: {str(error) or 'no answer in time'}", "lane")
        except _Refused as error:
            self._failed = error.why
        finally:
            self._fetching = None
        if self._failed is not None:
            _log.warning("fcm_token_refused", project=self._account.project, reason=self._failed.reason)

    def _assertion(self) -> str:
        now = int(self._clock())
        claims = {
            "iss": self._account.email,
            "scope": self._settings.scope,
            "aud": self._account.token_uri,
            "iat": now,
            "exp": now + self._settings.assertion_s,
        }
        return jwt.encode(claims, self._account.key, algorithm="RS256", headers={"kid": self._account.key_id})

    def _read(self, reply: Reply, now_s: float) -> Bearer:
        try:
            parsed = orjson.loads(reply.body) if reply.status == 200 else None
        except orjson.JSONDecodeError:
            parsed = None
        said = parsed if isinstance(parsed, dict) else {}
        value, lifetime_s = said.get("access_token"), said.get("expires_in")
        if not isinstance(value, str) or not value or not value.isascii() or not value.isprintable():
            raise _Refused(oauth_verdict(reply.status, reply.body, reply.headers, now_s=self._clock()))
        # Counted from before the request, so it ends here no later than there.
        lasts_s = float(lifetime_s) if isinstance(lifetime_s, int | float) else self._settings.refresh_early_s * 2
        lasts_s = max(lasts_s, _LEAST_LIFETIME_S)
        early_s = min(self._settings.refresh_early_s, lasts_s / 2)
        return Bearer(value, renew_at_s=now_s + lasts_s - early_s, ends_at_s=now_s + lasts_s)


class _Refused(Exception):
    def __init__(self, why: NoToken) -> None:
        super().__init__(why.reason)
        self.why: Final = why
