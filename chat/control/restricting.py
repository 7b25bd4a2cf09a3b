"""Blocks of users and revocations of tokens: decided once, in force on every process, remembered in MongoDB.

A process knows of a restriction in three ways. At a sign-in with a token that is new to it, the rows of the user and
the token are read. What is imposed while it runs it finds by asking for the changes since the last time: at once when
another process says that there is something, and every few seconds whoever says what. From that come the sessions that
have to end and the remembered tokens that have to be looked up again. So nothing here depends on Redis but the speed.

Lifting tells nobody: what was refused is never remembered.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Collection, Sequence
from contextlib import asynccontextmanager
from typing import Final, Protocol

import structlog

from chat.auth import KeysUnavailable, TokenRevoked, UserBlocked
from chat.usecases.failures import told
from realtime.backend import Credential
from storage.errors import StorageError
from storage.model import Restriction, RestrictionKind, restriction_key
from storage.mongo.restrictions import MAX_CHANGES
from storage.store import Store

log = structlog.get_logger(__name__)

BLOCKED: Final = RestrictionKind.BLOCKED
REVOKED: Final = RestrictionKind.REVOKED
INVALIDATED: Final = RestrictionKind.INVALIDATED


class Enforcer(Protocol):
    """Makes decisions felt. Implemented over the engine."""

    def enforce(self, restrictions: Sequence[Restriction]) -> None:
        """End what these forbid, in this process. Must not raise."""

    def tell(self) -> None:
        """Have the other processes ask what is new. Best effort."""


class Restricting:
    """Implements `chat.auth.verifier.Restrictions`.

    `changed` is called with the users and the names of tokens of what was imposed, before it is enforced.
    Bound on staleness: `interval_s` and the time of one query, while MongoDB answers; usually a few milliseconds.
    """

    def __init__(
        self,
        store: Store,
        enforcer: Enforcer,
        changed: Callable[[Collection[str], Collection[str]], None],
        *,
        clock: Callable[[], float],
        interval_s: float,
    ) -> None:
        """`clock` gives seconds since 1970 UTC."""
        self._rows = store.restrictions
        self._enforcer = enforcer
        self._changed = changed
        self._clock = clock
        self._interval_s = interval_s
        self._revision = 0
        self._news = asyncio.Event()
        self._reading = asyncio.Lock()
        self._failing = False
        self.changes = 0

    async def demand(self, user: str, credential: Credential, channel: str = "") -> None:
        """Raises UserBlocked, TokenRevoked; KeysUnavailable while MongoDB does not answer.

        `channel`: the token is one for a subscription.
        """
        keys = [restriction_key(REVOKED, name) for name in credential.names]
        if user:
            keys += [restriction_key(BLOCKED, user), restriction_key(INVALIDATED, user, channel)]
        try:
            found = await self._rows.of(*keys)
        except StorageError as error:
            raise KeysUnavailable("it cannot be looked up whether it was revoked") from error
        now = self._clock()
        for restriction in found:
            if not restriction.stands(now):
                continue
            match restriction.kind:
                case RestrictionKind.BLOCKED:
                    raise UserBlocked("the user is blocked")
                case RestrictionKind.REVOKED:
                    raise TokenRevoked("was revoked")
                case RestrictionKind.INVALIDATED:
                    if restriction.forbids(credential.issued_at):
                        raise TokenRevoked("iat: was issued before the user's tokens were invalidated")

    async def block(self, user: str, *, expires_at: int | None) -> None:
        """The user is out, everywhere, and stays out. Raises ClientError."""
        await self._impose(Restriction(BLOCKED, user, expires_at=expires_at))

    async def unblock(self, user: str) -> None:
        """The user may come again. Raises ClientError."""
        with told():
            lifted = await self._rows.lift(restriction_key(BLOCKED, user))
        if lifted:
            log.info("restriction_lifted", kind=BLOCKED.value, user=user)

    async def revoke(self, token: str, *, expires_at: int | None) -> None:
        """The token of this name (`jti`, or SHA-256 in hex) is good for nothing. Raises ClientError."""
        await self._impose(Restriction(REVOKED, token, expires_at=expires_at))

    async def invalidate(
        self, user: str, *, issued_before: int | None, channel: str = "", expires_at: int | None
    ) -> None:
        """The user's tokens that were issued before (None: now) are good for nothing. Raises ClientError."""
        before = int(self._clock()) if issued_before is None else issued_before
        await self._impose(Restriction(INVALIDATED, user, channel, before, expires_at))

    def hear(self) -> None:
        """Another process says that there is something new."""
        self._news.set()

    async def catch_up(self) -> None:
        """Enforce what was imposed since the last time. Raises StorageError."""
        async with self._reading:
            while True:
                changes = await self._rows.changes(self._revision)
                if changes:
                    self._enforce(changes)
                    self._revision = changes[-1].revision
                if len(changes) < MAX_CHANGES:
                    return

    async def start(self) -> None:
        """Begin here: what was imposed before is read at every sign-in. Raises StorageError."""
        self._revision = await self._rows.revision()

    async def run(self) -> None:
        """Catch up until cancelled."""
        while True:
            try:
                async with asyncio.timeout(self._interval_s):
                    await self._news.wait()
            except TimeoutError:
                pass
            self._news.clear()
            try:
                await self.catch_up()
                self._failing = False
            except StorageError as error:
                if not self._failing:
                    log.warning("restrictions_not_read", error=str(error), retry_s=self._interval_s)
                self._failing = True

    async def _impose(self, restriction: Restriction) -> None:
        with told():
            made = await self._rows.impose(restriction)
            self._enforcer.tell()
            user = {} if made.kind is REVOKED else {"user": made.subject}
            log.info("restriction_imposed", kind=made.kind.value, expires_at=made.expires_at, **user)
            # Whoever asked for it may rely on it here as soon as there is an answer.
            await self.catch_up()

    def _enforce(self, changes: Sequence[Restriction]) -> None:
        standing = [one for one in changes if one.stands(self._clock())]
        if not standing:
            return
        self.changes += 1
        users = {one.subject for one in standing if one.kind is not REVOKED}
        self._changed(users, {one.subject for one in standing if one.kind is REVOKED})
        self._enforcer.enforce(standing)


@asynccontextmanager
async def running(restricting: Restricting) -> AsyncIterator[None]:
    """While inside, keep up with what others decide. Raises StorageError at the start."""
    await restricting.start()
    task = asyncio.create_task(restricting.run(), name="restrictions")
    try:
        yield
    finally:
        task.cancel()
        await asyncio.wait({task})
