"""Which users have a connection anywhere, as one server knows it.

Users are spread over many small hashes, which Redis keeps compact: user -> ids of the processes that hold a connection
of theirs. An id counts only while that process's lease lives, so nothing needs to be undone for a process that was
killed; what it leaves behind is swept when its lease has ended. A process tells of a user's first and last connection,
in batches, and of all its users again when the server has forgotten its lease, and every few minutes.

The server also decides what is news: who has come that was not there, and, when they have been without a connection for
a while, who has gone.
"""

import asyncio
from binascii import crc32
from collections import OrderedDict
from collections.abc import Callable, Mapping, Sequence
from typing import Final, NamedTuple

import structlog

from realtime.redis.commands import Argument
from realtime.redis.keys import Keys
from realtime.redis.processes import Lease
from realtime.redis.scripts import load_script
from realtime.redis.settings import RedisSettings

log = structlog.get_logger(__name__)

_WRITE: Final = load_script("users_write")
_SWEEP: Final = load_script("users_sweep")
_LEFT: Final = load_script("users_left")
_TOLD: Final = load_script("users_told")

_CAME: Final = "1"
_THERE: Final = "2"
_GONE: Final = "0"

_USERS_PER_CALL: Final = 64
"""Some two hundred microseconds of Redis' time."""
_USERS_PER_WRITE: Final = 2_048
_USERS_PER_READ: Final = 1_024
_BUCKETS_PER_SWEEP: Final = 64
_RETRY_S: Final = 0.5


class Left(NamedTuple):
    """A user who has no connection any more, and since when (ms UTC by the server's clock)."""

    user: str
    at: int


class OnlineUsers:
    """This process's users on one server, and questions about everybody's there. `write_until_cancelled`,
    `sweep_until_cancelled` and `bury_until_cancelled` are its tasks.

    `on_came` is called with users who were not online anywhere before this process told of them.
    """

    def __init__(self, lease: Lease, *, keys: Keys, process: str, settings: RedisSettings) -> None:
        """On the server of that lease: it is what stands for the users of a process."""
        self._commands = lease.commands
        self._keys = keys
        self._process = process
        self._lease = lease
        lease.on_begin = self.tell_all
        self._settings = settings
        self._here: set[str] = set()
        # Users whose state the server is still to be told; what it is, is decided when it is told. In order. True:
        # something has happened; False: the server is only reminded.
        self._waiting: OrderedDict[str, bool] = OrderedDict()
        self._stirred = asyncio.Event()
        self._next_bucket = 0
        self.on_came: Callable[[Sequence[str]], None] = lambda _users: None
        self.dropped = 0
        """Changes that the server was never told: too many waited."""

    def add(self, user: str) -> None:
        self._here.add(user)
        self._tell(user)

    def remove(self, user: str) -> None:
        self._here.discard(user)
        self._tell(user)

    def tell_all(self) -> None:
        """Tell the server of every user again."""
        for user in self._here:
            self._waiting.setdefault(user, False)
        self._stirred.set()

    async def online(self, users: Sequence[str]) -> set[str]:
        """Which of these have a connection on any living process."""
        online = self._here.intersection(users)
        elsewhere = [user for user in users if user not in online]
        for start in range(0, len(elsewhere), _USERS_PER_READ):
            chunk = elsewhere[start : start + _USERS_PER_READ]
            answers: list[bytes | None] = await self._commands.pipeline(
                [("HGET", self._bucket_of(user), user) for user in chunk]
            )
            holders = {
                user: answer.decode().split(",")
                for user, answer in zip(chunk, answers, strict=True)
                if answer is not None
            }
            # What the server says of this process is older than what the process knows itself.
            ids = {each for processes in holders.values() for each in processes if each != self._process}
            living = await self._lease.living_of(ids) if ids else set()
            online.update(user for user, processes in holders.items() if not living.isdisjoint(processes))
        return online

    async def write_until_cancelled(self) -> None:
        tell_all_at_s = self._settings.monotonic() + self._settings.users_assert_s
        while True:
            try:
                async with asyncio.timeout(max(0.0, tell_all_at_s - self._settings.monotonic())):
                    await self._stirred.wait()
            except TimeoutError:
                tell_all_at_s = self._settings.monotonic() + self._settings.users_assert_s
                self.tell_all()
            await asyncio.sleep(self._settings.users_flush_s)
            try:
                await self._write()
            except (ConnectionError, TimeoutError):
                await asyncio.sleep(_RETRY_S * self._settings.random.uniform(0.5, 1.0))

    async def sweep_until_cancelled(self) -> None:
        """Sweep a few buckets at a time, as long as this process is the first of the living by name."""
        while True:
            await asyncio.sleep(self._settings.sweep_interval_s * self._settings.random.uniform(0.8, 1.0))
            try:
                if await self._lease.is_first():
                    await self._sweep()
            except (ConnectionError, TimeoutError) as error:
                log.debug("users_sweep_put_off", error=str(error))

    async def bury_until_cancelled(self) -> None:
        """Look for processes that have died, as long as this process is the first of the living by name."""
        while True:
            await asyncio.sleep(self._settings.lease_renewal_s * self._settings.random.uniform(0.8, 1.0))
            try:
                if await self._lease.is_first():
                    await self._bury()
            except (ConnectionError, TimeoutError) as error:
                log.debug("dead_processes_put_off", error=str(error))

    async def left(self, limit: int) -> list[Left]:
        """Take up to `limit` users who have been without a connection for `offline_grace_s`, so that nobody else does
        for a while. `told` ends it. Raises ConnectionError, TimeoutError.
        """
        grace_ms, retry_ms = int(self._settings.offline_grace_s * 1000), int(self._settings.left_retry_s * 1000)
        found: Sequence[bytes] = await self._commands.run(
            _LEFT, (self._keys.leaving, self._keys.telling), (grace_ms, retry_ms, limit)
        )
        return [Left(user.decode(), int(float(at))) for user, at in zip(found[::2], found[1::2], strict=True)]

    async def told(self, users: Sequence[str]) -> None:
        """Others know that these have gone. Raises ConnectionError, TimeoutError."""
        await self._commands.run(_TOLD, (self._keys.leaving, self._keys.telling), tuple(users))

    def _tell(self, user: str) -> None:
        self._waiting[user] = True
        if len(self._waiting) > self._settings.users_max_waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._stirred.set()

    async def _write(self) -> None:
        """Tell the server of those that wait, some at a time. What fails goes on waiting."""
        while self._waiting:
            users = dict(self._waiting.popitem(last=False) for _ in range(min(len(self._waiting), _USERS_PER_WRITE)))
            names = list(users)
            calls = [names[i : i + _USERS_PER_CALL] for i in range(0, len(names), _USERS_PER_CALL)]
            try:
                came = await self._commands.run_all(_WRITE, [self._call(call, users) for call in calls])
            except BaseException:
                for user, happened in users.items():
                    self._waiting[user] = happened or self._waiting.get(user, False)
                raise
            if news := [user.decode() for call in came for user in call]:
                self._tell_came(news)
        self._stirred.clear()

    def _tell_came(self, users: Sequence[str]) -> None:
        try:
            self.on_came(users)
        except Exception:
            log.exception("presence_listener_failed", call="on_came")

    def _call(self, names: Sequence[str], users: Mapping[str, bool]) -> tuple[list[bytes], list[Argument]]:
        keys = self._keys
        arguments: list[Argument] = [keys.process_prefix, self._process, int(self._settings.young_server_s * 1000)]
        for user in names:
            arguments += ((_CAME if users[user] else _THERE) if user in self._here else _GONE, user)
        fixed = [keys.leaving, keys.telling, keys.holders, keys.online_since]
        return [*fixed, *(self._bucket_of(user) for user in names)], arguments

    async def _sweep(self) -> None:
        buckets = self._settings.users_buckets
        numbers = [(self._next_bucket + i) % buckets for i in range(min(self._settings.sweep_buckets, buckets))]
        self._next_bucket = (numbers[-1] + 1) % buckets
        await self._sweep_buckets(numbers, "")

    async def _bury(self) -> None:
        """See to the users of processes that have died. They have been gone since its last sign of life."""
        holders = await self._lease.holders()
        dead = holders.keys() - await self._lease.living_of(holders)
        if not dead:
            return
        left_at = str(max(holders[process] for process in dead))
        for start in range(0, self._settings.users_buckets, _BUCKETS_PER_SWEEP):
            end = min(start + _BUCKETS_PER_SWEEP, self._settings.users_buckets)
            await self._sweep_buckets(range(start, end), left_at)
        await self._lease.buried(dead)
        log.info("users_of_dead_processes_leave", processes=sorted(dead))

    async def _sweep_buckets(self, numbers: Sequence[int], left_at: str) -> None:
        keys = [(self._keys.leaving, self._keys.online(each)) for each in numbers]
        await self._commands.run_all(_SWEEP, [(pair, (self._keys.process_prefix, left_at)) for pair in keys])

    def _bucket_of(self, user: str) -> bytes:
        return self._keys.online(crc32(user.encode()) % self._settings.users_buckets)
