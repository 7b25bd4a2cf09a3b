"""Somebody with phones of all kinds, who is told one thing after the other; and what the database has of push."""

import asyncio
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from chaos.fault import Hub, Run
from chaos.faults.someone import Answer, Someone, someone
from chaos.pocket import Carried, Heard, Pocket
from chaos.servers import ChildServer
from chat.push.lab.handset import Platform
from storage.model.device import device_id
from storage.model.push import DeadLetter
from storage.mongo.client import Database
from storage.mongo.push_jobs import PushJobs
from storage.mongo.schema import DEVICES, PUSH_JOBS, PUSH_TRACES

PLATFORMS: Final[tuple[Platform, ...]] = ("ios", "android", "web")
AGAIN: Final = 10
"""So often what a busy machine had no time for is asked for again."""
SAMPLE_S: Final = 0.5
OVERDUE_MS: Final = 3_000
"""A job that has been due for so long, and that nobody has taken, is one that the worker cannot keep up with."""
MOST_LETTERS: Final = 1000


@dataclass
class Said:
    """A message that has a conversation of its own; times are of `time.monotonic`.

    `reading`: somebody has tried to read it on another device, and has by `read_at`; None: nobody knows.
    """

    conversation: str
    offset: int
    at: float
    reading: bool = False
    read_at: float | None = None


@dataclass
class Ward:
    """`phones` are of one person, `well`, who is told in conversations of their own; `people`: others with phones.

    `resident`: the worker's memory before anything was wrong.
    """

    run: Run
    pocket: Pocket
    worker: ChildServer
    database: Database
    teller: Someone
    well: Someone
    phones: list[Carried] = field(default_factory=list)
    people: dict[str, list[Heard]] = field(default_factory=dict)
    said: list[Said] = field(default_factory=list)
    devices_of_the_well: list[str] = field(default_factory=list)
    resident: int = 0

    @property
    def hub(self) -> Hub:
        return self.run.cluster.hubs[0]

    @property
    def screens(self) -> list[Heard]:
        return [phone.screen for phone in self.phones if phone.screen is not None]

    async def carry(self, user: str, carried: Carried, stack: AsyncExitStack) -> str:
        """The user has it from now on; its id. Raises LookupError."""
        person = await stack.enter_async_context(someone(self.run, user))
        return await self.register(person, carried)

    async def register(self, person: Someone, carried: Carried) -> str:
        path = f"/v1/devices/{carried.install}"
        await _sure("device", lambda: person.ask(self.hub, "PUT", path, carried.registration))
        return device_id(person.name, carried.install)

    async def group(self, *others: str) -> str:
        """A new conversation. Raises LookupError."""
        for _ in range(AGAIN):
            try:
                return await self.teller.group(self.hub, *others)
            except LookupError:
                await asyncio.sleep(0.5)
        return await self.teller.group(self.hub, *others)

    async def say(self, conversation: str, text: str) -> int:
        """The offset. Raises LookupError."""
        key = secrets.token_hex(8)
        answer = await _sure("message", lambda: self.teller.say(self.hub, conversation, key, text))
        return int(answer.body["message"]["offset"])

    async def tell(self, conversation: str = "") -> Said:
        """Something to whoever is well, in a conversation that has nothing else in it."""
        conversation = conversation or await self.group(self.well.name)
        offset = await self.say(conversation, "are you there?")
        said = Said(conversation, offset, time.monotonic())
        self.said.append(said)
        return said

    async def read(self, said: Said) -> None:
        """On a device that nobody rings."""
        said.reading = True
        answer = await self.well.rpc(self.hub, "read.mark", conversation=said.conversation, offset=said.offset)
        if answer.ok:
            said.read_at = time.monotonic()

    def unrung(self, among: Sequence[Said] | None = None) -> list[tuple[Said, Heard]]:
        """What is not read and has not rung, and where."""
        some = [said for said in (self.said if among is None else among) if not said.reading]
        return [
            (said, screen)
            for screen in self.screens
            for rang in ({came.conversation for came in screen.came if came.rang},)
            for said in some
            if said.conversation not in rang
        ]

    def told(self, user: str, conversation: str) -> int:
        """Up to where the user's phones have been told of it; all of them."""
        return min(
            max((came.upto for came in screen.came if came.conversation == conversation), default=0)
            for screen in self.people[user]
        )

    # --- what is in the database ---

    async def tombstones(self) -> set[str]:
        return {row["_id"] async for row in self.database[DEVICES].find({"state": "tombstone"}, {"_id": 1})}

    async def letters(self) -> dict[str, list[DeadLetter]]:
        """By device."""
        found: dict[str, list[DeadLetter]] = {}
        for letter in await PushJobs(self.database).dead(limit=MOST_LETTERS):
            found.setdefault(letter.device, []).append(letter)
        return found

    async def is_pending(self, device: str) -> bool:
        return await self.database[PUSH_JOBS].count_documents({"device": device, "due": {"$gt": 0}}) > 0

    async def overdue(self) -> int:
        """Jobs that should have been done a while ago, and that nobody is at."""
        at = time.time_ns() // 1_000_000
        query: dict[str, Any] = {"due": {"$gt": 0, "$lte": at - OVERDUE_MS}, "lease": {"$not": {"$gt": at}}}
        return int(await self.database[PUSH_JOBS].count_documents(query))

    async def nothing_overdue(self) -> bool:
        return await self.overdue() == 0

    async def why(self) -> list[str]:
        """What became of the first that have not rung, as far as the worker has told."""
        found: list[str] = []
        for said, screen in self.unrung()[:3]:
            rows = self.database[PUSH_TRACES].find({"conversation": said.conversation})
            steps = [f"{row.get('step')} {row.get('outcome')} {row.get('reason', '')}" async for row in rows]
            found.append(f"{said.conversation} at {screen.platform}: {steps}")
        return found

    async def pending(self) -> str:
        at = time.time_ns() // 1_000_000
        jobs = self.database[PUSH_JOBS]
        due = await jobs.count_documents({"due": {"$gt": 0, "$lte": at}})
        waiting = await jobs.count_documents({"due": {"$gt": at}})
        return f"{due} due, {waiting} that wait, {await jobs.count_documents({})} that are done"


async def _sure(what: str, ask: Callable[[], Awaitable[Answer]]) -> Answer:
    """The answer, asked for again while nobody has time for it. Raises LookupError."""
    answer = await ask()
    for _ in range(AGAIN):
        if answer.status not in (0, 429, 503):
            break
        await asyncio.sleep(0.5)
        answer = await ask()
    if not answer.ok:
        raise LookupError(f"no {what}: {answer.status} {answer.body}")
    return answer


@asynccontextmanager
async def open_ward(run: Run, database: Database) -> AsyncIterator[Ward]:
    """With three phones, registered. Raises LookupError."""
    cluster: Any = run.cluster
    async with someone(run) as teller, someone(run) as well:
        ward = Ward(run, cluster.pocket, cluster.workers[0], database, teller, well)
        for platform in PLATFORMS:
            phone = ward.pocket.phone(platform)
            ward.devices_of_the_well.append(await ward.register(well, phone))
            ward.phones.append(phone)
        yield ward


@dataclass
class Counts:
    """The most that was seen: jobs overdue, and memory of the worker."""

    overdue: int = 0
    resident: int = 0


@asynccontextmanager
async def counting(ward: Ward) -> AsyncIterator[Counts]:
    """Look again and again while the block lasts."""
    counts = Counts()

    async def count_on() -> None:
        while True:
            counts.resident = max(counts.resident, ward.worker.resident_bytes())
            counts.overdue = max(counts.overdue, await ward.overdue())
            await asyncio.sleep(SAMPLE_S)

    task = asyncio.create_task(count_on(), name="counting")
    try:
        yield counts
    finally:
        task.cancel()
        await asyncio.wait({task})
    if not task.cancelled() and task.exception() is not None:
        raise RuntimeError("counting ended") from task.exception()
