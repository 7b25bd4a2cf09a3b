"""Which users have a connection anywhere, as one server knows it.

Users are spread over many small hashes, which Redis keeps compact: user -> ids of the processes that hold a connection
of theirs. An id counts only while that process's lease lives, so nothing needs to be undone for a process that was
killed; what it leaves behind is swept later. A process tells of a user's first and last connection, in batches, and of
all its users again when the server has forgotten its lease, and every few minutes.
"""

import asyncio
from binascii import crc32
from collections import OrderedDict
from collections.abc import Sequence
from typing import Final

import structlog

from realtime.redis.keys import Keys
from realtime.redis.processes import Lease
from realtime.redis.scripts import load_script
from realtime.redis.settings import RedisSettings

log = structlog.get_logger(__name__)

_WRITE: Final = load_script("users_write")
_SWEEP: Final = load_script("users_sweep")

_USERS_PER_CALL: Final = 64
"""Some two hundred microseconds of Redis' time."""
_USERS_PER_WRITE: Final = 2_048
_USERS_PER_READ: Final = 1_024
_RETRY_S: Final = 0.5


class OnlineUsers:
    """This process's users on one server, and questions about everybody's there. `write_until_cancelled` and
    `sweep_until_cancelled` are its tasks."""

    def __init__(self, lease: Lease, *, keys: Keys, process: str, settings: RedisSettings) -> None:
        """On the server of that lease: it is what stands for the users of a process."""
        self._commands = lease.commands
        self._keys = keys
        self._process = process
        self._lease = lease
        lease.on_begin = self.tell_all
        self._settings = settings
        self._here: set[str] = set()
        # Users whose state the server is still to be told; what it is, is decided when it is told. In order.
        self._waiting: OrderedDict[str, None] = OrderedDict()
        self._stirred = asyncio.Event()
        self._next_bucket = 0
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
        self._waiting.update(dict.fromkeys(self._here))
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

    def _tell(self, user: str) -> None:
        self._waiting[user] = None
        if len(self._waiting) > self._settings.users_max_waiting:
            self._waiting.popitem(last=False)
            self.dropped += 1
        self._stirred.set()

    async def _write(self) -> None:
        """Tell the server of those that wait, some at a time. What fails goes on waiting."""
        while self._waiting:
            users = [self._waiting.popitem(last=False)[0] for _ in range(min(len(self._waiting), _USERS_PER_WRITE))]
            try:
                await self._commands.run_all(
                    _WRITE, [self._call(users[i : i + _USERS_PER_CALL]) for i in range(0, len(users), _USERS_PER_CALL)]
                )
            except BaseException:
                self._waiting.update(dict.fromkeys(users))
                raise
        self._stirred.clear()

    def _call(self, users: Sequence[str]) -> tuple[list[bytes], list[bytes | str]]:
        arguments: list[bytes | str] = [self._keys.process_prefix, self._process]
        for user in users:
            arguments += ("1" if user in self._here else "0", user)
        return [self._bucket_of(user) for user in users], arguments

    async def _sweep(self) -> None:
        buckets = self._settings.users_buckets
        numbers = [(self._next_bucket + i) % buckets for i in range(min(self._settings.sweep_buckets, buckets))]
        self._next_bucket = (numbers[-1] + 1) % buckets
        await self._commands.run_all(
            _SWEEP, [((self._keys.online(each),), (self._keys.process_prefix,)) for each in numbers]
        )

    def _bucket_of(self, user: str) -> bytes:
        return self._keys.online(crc32(user.encode()) % self._settings.users_buckets)
