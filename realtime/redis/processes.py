"""Which processes live: each holds a lease on every server and renews it. Whose lease has ended is dead.

The lease holds what the others may know of a process. Judging is left to the server's clock: no process compares
times with another.
"""

import asyncio
from collections.abc import Callable, Iterable, Sequence
from typing import Final

import msgspec
import structlog
from msgspec import Raw, Struct

from realtime.ports import ProcessInfo
from realtime.redis.commands import Commands
from realtime.redis.keys import Keys
from realtime.redis.scripts import load_script
from realtime.redis.settings import RedisSettings

log = structlog.get_logger(__name__)

_RENEW: Final = load_script("lease_renew")
_KNOWN_FOR_S: Final = 1.0
"""How long it is taken for granted whether another process lives."""


class _Held(Struct, frozen=True):
    """What a lease holds, as JSON: people look at it with redis-cli."""

    node: str
    snapshot: Raw


class Lease:
    """The lease of this process on one server. `renew_until_cancelled` is its task."""

    def __init__(
        self, commands: Commands, *, keys: Keys, process: str, content: Callable[[], bytes], settings: RedisSettings
    ) -> None:
        self.commands = commands
        self._keys = keys
        self._process = process
        self._content = content
        self._settings = settings
        self._known: dict[str, tuple[float, bool]] = {}
        self.on_begin: Callable[[], None] = lambda: None
        """Called where there was no lease before: at the start, and after the server forgot it."""

    async def renew_until_cancelled(self) -> None:
        away = False
        while True:
            try:
                await self._renew()
                away = False
            except (ConnectionError, TimeoutError) as error:
                if not away:
                    log.warning("process_lease_not_renewed", error=str(error))
                away = True
            await asyncio.sleep(self._settings.lease_renewal_s * self._settings.random.uniform(0.8, 1.0))

    async def give_up(self) -> None:
        """End the lease now; whatever it stood for ends with it."""
        await self.commands.pipeline(
            [
                ("DEL", self._keys.process(self._process)),
                ("SREM", self._keys.processes, self._process),
            ]
        )

    async def living(self) -> dict[str, bytes]:
        """Process -> content of its lease. Forgets the dead on the way; who comes back names itself again."""
        listed: Iterable[bytes] = await self.commands.call("SMEMBERS", self._keys.processes)
        processes = sorted(each.decode() for each in listed)
        if not processes:
            return {}
        contents: list[bytes | None] = await self.commands.call("MGET", *map(self._keys.process, processes))
        living = {process: content for process, content in zip(processes, contents, strict=True) if content is not None}
        if dead := [process for process in processes if process not in living]:
            await self.commands.call("SREM", self._keys.processes, *dead)
        return living

    async def is_first(self) -> bool:
        """Whether no living process comes before this one by name: a leader for work that may be done twice."""
        listed: Iterable[bytes] = await self.commands.call("SMEMBERS", self._keys.processes)
        before = {name for each in listed if (name := each.decode()) < self._process}
        living = await self.living_of(before) if before else set()
        if dead := before - living:
            await self.commands.call("SREM", self._keys.processes, *dead)
        return not living

    async def living_of(self, processes: Iterable[str]) -> set[str]:
        """Those of these that live, as known for no longer than a second."""
        now = self._settings.monotonic()
        self._known = {each: known for each, known in self._known.items() if now - known[0] < _KNOWN_FOR_S}
        wanted = set(processes)
        if unknown := [process for process in wanted if process not in self._known]:
            answers = await self.commands.pipeline([("EXISTS", self._keys.process(each)) for each in unknown])
            for process, answer in zip(unknown, answers, strict=True):
                self._known[process] = (now, answer == 1)
        return {process for process in wanted if self._known.get(process, (now, False))[1]}

    async def holders(self) -> dict[str, int]:
        """Processes that have or had users -> ms of their last sign of life, by the server's clock."""
        found: Sequence[bytes] = await self.commands.call("ZRANGE", self._keys.holders, 0, -1, "WITHSCORES")
        return {name.decode(): int(float(at)) for name, at in zip(found[::2], found[1::2], strict=True)}

    async def buried(self, processes: Iterable[str]) -> None:
        """The users of these dead processes have been seen to."""
        await self.commands.call("ZREM", self._keys.holders, *processes)

    async def _renew(self) -> None:
        keys = (self._keys.process(self._process), self._keys.processes, self._keys.holders)
        ttl_ms = int(self._settings.lease_ttl_s * 1000)
        if await self.commands.run(_RENEW, keys, (self._process, self._content(), ttl_ms)):
            self.on_begin()


class RedisProcesses:
    """Implements the port `Processes`."""

    def __init__(
        self, servers: Sequence[Commands], *, keys: Keys, process: str, node: str, settings: RedisSettings
    ) -> None:
        self._node = node
        self._snapshot = b"{}"
        self.leases = [
            Lease(commands, keys=keys, process=process, content=self._content, settings=settings)
            for commands in servers
        ]

    async def living(self) -> list[ProcessInfo]:
        """Whoever has a lease on any server that answers. Raises ConnectionError, TimeoutError where none does."""
        answers = await asyncio.gather(*(lease.living() for lease in self.leases), return_exceptions=True)
        found: dict[str, bytes] = {}
        failures: list[BaseException] = []
        for answer in answers:
            if isinstance(answer, BaseException):
                failures.append(answer)
            else:
                found |= answer
        if len(failures) == len(answers):
            raise failures[0]
        return [info for process, content in sorted(found.items()) if (info := _read(process, content)) is not None]

    async def give_up(self) -> None:
        """End the leases of this process on all servers now. The deadline of a request bounds it."""
        await asyncio.gather(*(lease.give_up() for lease in self.leases), return_exceptions=True)

    def set_snapshot(self, snapshot: bytes) -> None:
        """Raises ValueError for what is not JSON."""
        msgspec.json.decode(snapshot)
        self._snapshot = snapshot

    def _content(self) -> bytes:
        return msgspec.json.encode(_Held(self._node, Raw(self._snapshot)))


def _read(process: str, content: bytes) -> ProcessInfo | None:
    try:
        held = msgspec.json.decode(content, type=_Held)
    except msgspec.DecodeError:
        log.warning("process_lease_unreadable", process=process)
        return None
    return ProcessInfo(process, held.node, bytes(held.snapshot))
