"""The senders of a process, by lane: opened for every app there is, and anew when its keys have changed."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from typing import Final, Protocol

import structlog

from chat.push.apps import Apps
from chat.push.credentials import AppKey
from chat.push.sending import Accepted, CredentialsAtFault, Environment, Lane, Provider, Push, Sender, Verdict
from realtime.tasks import Tasks

log = structlog.get_logger(__name__)

RETIRE_S: Final = 15.0
"""How long a sender that was replaced may end what it is at: longer than any of their deadlines."""


class Opener(Protocol):
    """Opens the sender of one app and environment. Raises ValueError for keys that cannot be used."""

    def __call__(self, keys: tuple[AppKey, ...], environment: Environment) -> AbstractAsyncContextManager[Sender]: ...


class Rotating:
    """Sends by the newest key, and by the one before once the provider says that the newest is at fault: so a key that
    was added wrongly, or too early, stops nothing. Which one is at fault is remembered until keys change.
    """

    def __init__(self, senders: tuple[Sender, ...]) -> None:
        """The newest key's first; at least one."""
        self._senders = senders
        self._present = 0

    async def send(self, push: Push) -> Verdict:
        """See `Sender`. Twice at most, as there are two keys."""
        return await self._tried(lambda sender: sender.send(push))

    async def check(self) -> Verdict:
        """See `Sender`: whether any of the keys is good."""
        return await self._tried(lambda sender: sender.check())

    async def _tried(self, attempt: Callable[[Sender], Awaitable[Verdict]]) -> Verdict:
        verdict: Verdict = CredentialsAtFault("no key")
        for number in (self._present, *(other for other in range(len(self._senders)) if other != self._present)):
            verdict = await attempt(self._senders[number])
            if not isinstance(verdict, CredentialsAtFault):
                if isinstance(verdict, Accepted) and number != self._present:
                    log.warning("push_key_at_fault", used=number)
                    self._present = number
                return verdict
        return verdict


class LaneSenders:
    """What the dispatcher asks for senders. Made by `open_senders`."""

    def __init__(self, apps: Apps, openers: Mapping[Provider, Opener], tasks: Tasks, *, retire_s: float) -> None:
        self._apps = apps
        self._openers = openers
        self._tasks = tasks
        self._retire_s = retire_s
        self._living: dict[Lane, _Living] = {}

    def of(self, lane: Lane) -> Sender | None:
        """None: nobody has set this lane up."""
        living = self._living.get(lane)
        return None if living is None else living.sender

    @property
    def lanes(self) -> list[Lane]:
        return list(self._living)

    async def renew(self, changed: frozenset[tuple[Provider, str]]) -> None:
        """Open the senders of these apps by their present keys; those there were go on for a while with what they are
        at. A lane whose keys cannot be used has none.
        """
        for provider, app in sorted(changed):
            keys = self._apps.of(provider, app)
            for environment in _ENVIRONMENTS:
                lane = Lane(provider, app, environment)
                some = tuple(key for key in keys if environment in key.environments)
                before = self._living.pop(lane, None)
                if some and provider in self._openers:
                    await self._open(lane, some)
                if before is not None:
                    before.retire(self._retire_s)

    async def _open(self, lane: Lane, keys: tuple[AppKey, ...]) -> None:
        living = _Living()
        opener = self._openers[lane.provider](keys, lane.environment)
        self._tasks.spawn(living.run(opener), name=f"sender-{lane.provider}")
        try:
            await living.opened
        except ValueError as error:
            # Says what is wrong without any secret, as all of them do.
            log.warning("push_sender_not_opened", provider=lane.provider, app=lane.app, error=str(error))
            return
        self._living[lane] = living


_ENVIRONMENTS: Final[tuple[Environment, ...]] = ("production", "sandbox")


class _Living:
    """A sender in a task of its own, which opens and closes it."""

    def __init__(self) -> None:
        self.opened: asyncio.Future[Sender] = asyncio.get_running_loop().create_future()
        self._ending = asyncio.Event()
        self._linger_s = 0.0

    @property
    def sender(self) -> Sender:
        return self.opened.result()

    def retire(self, linger_s: float) -> None:
        self._linger_s = linger_s
        self._ending.set()

    async def run(self, opener: AbstractAsyncContextManager[Sender]) -> None:
        try:
            async with opener as sender:
                self.opened.set_result(sender)
                await self._ending.wait()
                await asyncio.sleep(self._linger_s)
        except ValueError as error:
            if self.opened.done():
                raise
            self.opened.set_exception(error)
        finally:
            self.opened.cancel()


@asynccontextmanager
async def open_senders(
    apps: Apps, openers: Mapping[Provider, Opener], *, retire_s: float = RETIRE_S
) -> AsyncIterator[LaneSenders]:
    """The senders of all apps, and of those that change, until the block ends."""
    async with Tasks() as tasks:
        senders = LaneSenders(apps, openers, tasks, retire_s=retire_s)
        await senders.renew(frozenset((key.provider, key.app) for key in apps.all()))
        apps.on_changed = senders.renew
        yield senders
