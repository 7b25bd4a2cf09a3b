"""Pushes through APNs: one attempt each, and what became of it.

Two things are done twice, each once. A device that is not known in one environment is asked for in the other one, and
`Accepted` says so. A provider token that has expired is replaced, if it is old enough, and the push sent on another
connection.
"""

import asyncio
import logging
import ssl
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass
from typing import Final

import structlog
from hpack import HeaderTuple, NeverIndexedHeaderTuple

from chat.push.apns.exchange import Reply, Unanswered, Unprocessed
from chat.push.apns.payload import Rendered, path_of, render
from chat.push.apns.pool import Place, Pool, PoolState
from chat.push.apns.settings import HOSTS, ApnsSettings
from chat.push.apns.tokens import Key, ProviderToken
from chat.push.apns.verdicts import Do, Said, read, row_of, verdict_of, without_reply
from chat.push.sending import (
    Accepted,
    AddressGone,
    CredentialsAtFault,
    Environment,
    Later,
    Push,
    Rejected,
    TooLarge,
    Unknown,
    Verdict,
)

logger = structlog.get_logger(__name__)

NO_DEVICE: Final = "0" * 64
"""A token that nobody has."""

_OTHER: Final[Mapping[Environment, Environment]] = {"production": "sandbox", "sandbox": "production"}
_INDEXED: Final = frozenset({"apns-push-type", "apns-priority", "apns-topic"})


@dataclass(frozen=True, slots=True)
class App:
    """Whose pushes: the key, and the bundle id that they go to."""

    key: Key
    topic: str


class Apns:
    """The connections and provider tokens of a process. Made by `open_apns`."""

    def __init__(
        self,
        settings: ApnsSettings,
        places: Mapping[Environment, Place],
        *,
        clock: Callable[[], float],
        monotonic: Callable[[], float],
    ) -> None:
        self.settings: Final = settings
        self._places: Final = places
        self.clock: Final = clock
        self.monotonic: Final = monotonic
        self._pools: Final[dict[tuple[Environment, str, str], Pool]] = {}
        self._tokens: Final[dict[Key, ProviderToken]] = {}

    def sender(self, app: App, environment: Environment = "production") -> "ApnsSender":
        """For one lane. Raises InvalidKey."""
        return ApnsSender(self, app, environment, self.token(app.key))

    def pool(self, environment: Environment, key: Key) -> Pool:
        """A connection carries the tokens of one team and one key."""
        name = environment, key.team, key.key_id
        if (pool := self._pools.get(name)) is None:
            pool = Pool(self._places[environment], self.settings.connection, monotonic=self.monotonic)
            self._pools[name] = pool
        return pool

    def token(self, key: Key) -> ProviderToken:
        """Raises InvalidKey."""
        if (token := self._tokens.get(key)) is None:
            token = ProviderToken(key, self.settings.token, clock=self.clock, monotonic=self.monotonic)
            self._tokens[key] = token
        return token

    @property
    def state(self) -> Mapping[tuple[Environment, str, str], PoolState]:
        """By environment, team and key id."""
        return {name: pool.state for name, pool in self._pools.items()}

    async def close(self) -> None:
        await asyncio.gather(*(pool.close() for pool in self._pools.values()))


@asynccontextmanager
async def open_apns(
    settings: ApnsSettings | None = None,
    *,
    places: Mapping[Environment, Place] | None = None,
    clock: Callable[[], float] = time.time,
    monotonic: Callable[[], float] = time.monotonic,
) -> AsyncIterator[Apns]:
    """Connections are made when something is sent; on exit what is on its way has `drain_s`. `places`: emulators."""
    settings = settings or ApnsSettings()
    # It would write every header block to the log of somebody who looks for something else.
    logging.getLogger("hpack").setLevel(logging.WARNING)
    apns = Apns(settings, places or vendor(settings), clock=clock, monotonic=monotonic)
    try:
        yield apns
    finally:
        await apns.close()


def vendor(settings: ApnsSettings) -> Mapping[Environment, Place]:
    """The vendor's own servers."""
    return {
        environment: Place(host, settings.port, tls(ssl.create_default_context()))
        for environment, host in HOSTS.items()
    }


def tls(context: ssl.SSLContext) -> ssl.SSLContext:
    """The same context, set to offer HTTP/2 and nothing else."""
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.set_alpn_protocols(["h2"])
    return context


class ApnsSender:
    """A `Sender`. Made by `Apns.sender`."""

    def __init__(self, apns: Apns, app: App, environment: Environment, token: ProviderToken) -> None:
        self._apns: Final = apns
        self._app: Final = app
        self._environment: Final = environment
        self._token: Final = token
        self._proven = False
        """Somebody was accepted under this topic."""
        self._suspected: Final[set[str]] = set()

    def __repr__(self) -> str:
        return f"ApnsSender({self._app.topic}, {self._environment})"

    async def send(self, push: Push) -> Verdict:
        """See `Sender`."""
        deadline = self._apns.monotonic() + self._apns.settings.connection.deadline_s
        rendered = render(push.notification, expires_at_s=push.expires_at_s, settings=self._apns.settings.payload)
        if isinstance(rendered, TooLarge):
            return rendered
        token = push.address.value
        verdict, do = await self._attempt(self._environment, token, rendered, deadline)
        match do:
            case Do.ACCEPT:
                self._proven = True
                self._suspected.clear()
                return verdict
            case Do.SUSPECT if not self._proven:
                return self._suspect(push.address.device, verdict)
            case Do.FLIP:
                return await self._flip(token, rendered, deadline)
            case _:
                return verdict

    async def check(self) -> Verdict:
        """See `Sender`: a good key is told that nobody has this token, a bad one that it is bad."""
        deadline = self._apns.monotonic() + self._apns.settings.connection.deadline_s
        rendered = Rendered((("apns-push-type", "alert"), ("apns-priority", "5")), b'{"aps":{}}')
        verdict, do = await self._attempt(self._environment, NO_DEVICE, rendered, deadline)
        match do:
            case Do.FLIP | Do.FORGET | Do.ACCEPT:
                return Accepted()
            case Do.SUSPECT:
                return CredentialsAtFault("DeviceTokenNotForTopic")
            case _:
                return verdict

    def _suspect(self, device: str, verdict: Verdict) -> Verdict:
        """As long as nobody was accepted: one device may be wrong, several say that the topic is."""
        self._suspected.add(device)
        if len(self._suspected) < self._apns.settings.doubtful_tokens:
            return verdict
        self._suspected.clear()
        return CredentialsAtFault("DeviceTokenNotForTopic")

    async def _flip(self, token: str, rendered: Rendered, deadline: float) -> Verdict:
        """No such device here. Only when both environments say so it is gone."""
        other = _OTHER[self._environment]
        verdict, _ = await self._attempt(other, token, rendered, deadline)
        match verdict:
            case Accepted(provider_id):
                logger.info("apns_environment_flipped", topic=self._app.topic, environment=other)
                return Accepted(provider_id, other)
            case AddressGone():
                return verdict
            case Later(_, _, after_s):
                pause_s = self._apns.settings.device_pause_s if after_s is None else after_s
                return Later("BadDeviceToken", "device", pause_s)
            case Unknown():
                return verdict
            case CredentialsAtFault():
                # The key is for one environment, so nobody can say whose token this is.
                return Rejected("BadDeviceToken")
            case TooLarge() | Rejected():
                return verdict

    async def _attempt(
        self, environment: Environment, token: str, rendered: Rendered, deadline: float
    ) -> tuple[Verdict, Do | None]:
        """A push in one environment; None when there was no answer."""
        bearer = self._token.current()
        answer = await self._request(environment, token, rendered, bearer, deadline)
        if _expired(answer) and (newer := self._token.after(bearer)) is not None:
            answer = await self._request(environment, token, rendered, newer, deadline)
        if not isinstance(answer, Said):
            return without_reply(answer), None
        do = row_of(answer).do
        verdict = verdict_of(answer, now_s=self._apns.clock(), settings=self._apns.settings, proven=self._proven)
        if do is Do.RENEW and isinstance(verdict, Later) and verdict.after_s is None:
            verdict = Later(verdict.reason, verdict.scope, self._token.renewable_in_s)
        return verdict, do

    async def _request(
        self, environment: Environment, token: str, rendered: Rendered, bearer: str, deadline: float
    ) -> Said | Unprocessed | Unanswered:
        pool = self._apns.pool(environment, self._app.key)
        headers = [
            HeaderTuple(b":method", b"POST"),
            HeaderTuple(b":scheme", b"https"),
            HeaderTuple(b":authority", pool.authority.encode()),
            # What is secret or differs each time stays out of the table of headers.
            NeverIndexedHeaderTuple(b":path", path_of(token).encode()),
            NeverIndexedHeaderTuple(b"authorization", b"bearer " + bearer.encode()),
            HeaderTuple(b"apns-topic", self._app.topic.encode()),
        ]
        for name, value in rendered.headers:
            kind = HeaderTuple if name in _INDEXED else NeverIndexedHeaderTuple
            headers.append(kind(name.encode(), value.encode()))
        outcome = await pool.request(headers, rendered.body, timeout_s=max(deadline - self._apns.monotonic(), 0.0))
        if not isinstance(outcome, Reply):
            return outcome
        said = read(outcome)
        if row_of(said).reconnect:
            outcome.connection.drain()
        return said


def _expired(answer: Said | Unprocessed | Unanswered) -> bool:
    return isinstance(answer, Said) and row_of(answer).do is Do.RENEW
