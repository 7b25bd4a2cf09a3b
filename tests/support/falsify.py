"""An attempt to break the log's promises on a real MongoDB.

Several hubs append for clients that pipeline, lose patience and repeat elsewhere. Hubs die with their commands running
on, are slow by seconds between deciding on a place and asking for it, lose outcomes, and hear gossip late or never.
`Fault` breaks one rule of the design on purpose: the attempt has to succeed then.
"""

import asyncio
import random
import secrets
from collections.abc import Awaitable, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from enum import Enum

from prometheus_client import CollectorRegistry

from storage.append.work import Insert, InsertOutcome
from storage.errors import StorageError
from storage.model import Appended, Entry, EntryKind, NewEntry
from storage.mongo.appender import Appender
from storage.mongo.client import Database, Document, connect
from storage.mongo.health import Health
from storage.mongo.log import Log
from storage.mongo.migrate import migrate
from storage.mongo.schema import KEY_INDEX, MESSAGES
from storage.mongo.writer import Writer
from storage.stats import Stats
from support.appending import no_heads

HUBS = 3
CONVERSATIONS = 4
SENDERS = 8
BURST = 4
PATIENCE_S = 1.0
DEADLINE_S = 2.0
HUB_DIES_EVERY_S = 0.13


class Fault(Enum):
    """A rule of the design that is broken on purpose."""

    NO_KEY_INDEX = "no-key-index"
    UNORDERED_RUNS = "unordered-runs"
    GUESSED_OUTCOMES = "guessed-outcomes"


class Broken(AssertionError):
    """A promise of the log does not hold."""


@dataclass
class Report:
    """What was done to the log, and what it withstood."""

    acknowledged: int = 0
    duplicates: int = 0
    repeats: int = 0
    hubs_killed: int = 0
    outcomes_lost: int = 0
    stalls: int = 0
    gossip_lost: int = 0
    entries: int = 0


@dataclass
class _Mischief:
    """The dice of one run, and what they did."""

    random: random.Random
    faults: frozenset[Fault]
    report: Report
    zombies: set[asyncio.Task[list[InsertOutcome]]] = field(default_factory=set)


class _HostileWriter(Writer):
    """Sends inserts late, loses their outcomes, and once it is dead answers nothing; what was sent goes on."""

    def __init__(self, db: Database, mischief: _Mischief) -> None:
        super().__init__(db, no_heads)
        self._mischief = mischief
        self.dead = asyncio.Event()

    async def insert(self, work: Insert) -> list[InsertOutcome]:
        mischief, dice = self._mischief, self._mischief.random
        stall_s = 0.0
        if dice.random() < 0.05:
            mischief.report.stalls += 1
            stall_s = dice.uniform(0.1, 1.5)
        lost = dice.random() < 0.05
        command = asyncio.create_task(self._late(work, stall_s))
        mischief.zombies.add(command)
        command.add_done_callback(mischief.zombies.discard)
        dying = asyncio.create_task(self.dead.wait())
        await asyncio.wait({command, dying}, timeout=0.002 if lost else None, return_when=asyncio.FIRST_COMPLETED)
        dying.cancel()
        if self.dead.is_set():
            await asyncio.Event().wait()
        if lost or not command.done():
            mischief.report.outcomes_lost += 1
            guess = Fault.GUESSED_OUTCOMES in mischief.faults
            outcome = InsertOutcome.INSERTED if guess else InsertOutcome.UNKNOWN
            return [outcome] * sum(len(run.items) for run in work.runs)
        return command.result()

    async def _late(self, work: Insert, stall_s: float) -> list[InsertOutcome]:
        await asyncio.sleep(stall_s)
        if Fault.UNORDERED_RUNS in self._mischief.faults:
            work = Insert(work.runs, ordered=False)
        return await super().insert(work)


class _Hub:
    """One process, until it is killed."""

    def __init__(self, db: Database, mischief: _Mischief, gossip: "_Gossip") -> None:
        self._db = db
        self._mischief = mischief
        self._gossip = gossip
        self._stack = AsyncExitStack()
        self.writer = _HostileWriter(db, mischief)
        self.name = secrets.token_hex(4)

    async def start(self) -> None:
        health = await self._stack.enter_async_context(Health(self._db))
        self.appender = Appender(
            self.writer,
            health=health,
            stats=Stats(CollectorRegistry()),
            random=secrets.token_bytes,
            deadline_s=DEADLINE_S,
            process=self.name,
        )
        self.appender.on_committed = lambda run: self._gossip.tell(self, [one.entry for one in run])
        await self._stack.enter_async_context(self.appender)

    def kill(self) -> None:
        """It answers nothing any more. Its commands go on."""
        self.writer.dead.set()

    async def bury(self) -> None:
        """Clear away what is left of it, without the grace that a process gets that ends by itself."""
        leaving = asyncio.create_task(self._stack.aclose())
        await asyncio.sleep(0)
        leaving.cancel()
        await asyncio.gather(leaving, return_exceptions=True)


class _Gossip:
    """Tells the other hubs what was committed: late, one time in five not at all."""

    def __init__(self, mischief: _Mischief) -> None:
        self._mischief = mischief
        self.hubs: list[_Hub] = []

    def tell(self, sender: _Hub, entries: Sequence[Entry]) -> None:
        dice = self._mischief.random
        for hub in self.hubs:
            if hub is sender:
                continue
            if dice.random() < 0.2:
                self._mischief.report.gossip_lost += 1
                continue
            asyncio.get_running_loop().call_later(dice.uniform(0, 0.05), self._whisper, sender, hub, entries)

    def _whisper(self, sender: _Hub, hub: _Hub, entries: Sequence[Entry]) -> None:
        """As publications, which tell of messages only, or as somebody who knows the log tells."""
        if self._mischief.random.random() < 0.2:
            hub.appender.learn(entries[-1].conversation, entries[-1].offset, entries[-1].n)
            return
        for entry in entries:
            if entry.kind is EntryKind.MESSAGE_CREATED:
                hub.appender.heard(entry.conversation, entry.offset, sender.name)


@dataclass(eq=False)
class _Message:
    new: NewEntry
    acknowledged: list[Entry] = field(default_factory=list)


class Falsification:
    """One run against one database. `run` raises Broken when a promise does not hold."""

    def __init__(self, url: str, database: str, *, seed: int, seconds: float, faults: frozenset[Fault]) -> None:
        self._url = url
        self._database = database
        self._seconds = seconds
        self.report = Report()
        self._mischief = _Mischief(random.Random(seed), faults, self.report)
        self._gossip = _Gossip(self._mischief)
        self._messages: list[_Message] = []
        self._graves: list[Awaitable[None]] = []
        self._over = False

    async def run(self) -> Report:
        async with connect(self._url, self._database, app_name="falsify") as db:
            await migrate(db)
            if Fault.NO_KEY_INDEX in self._mischief.faults:
                await db[MESSAGES].drop_index(KEY_INDEX)
                await db[MESSAGES].create_index([("c", 1), ("u", 1), ("k", 1)], name=KEY_INDEX)
            for _ in range(HUBS):
                await self._new_hub(db)
            killer = asyncio.create_task(self._kill_hubs(db))
            senders = [asyncio.create_task(self._send(index)) for index in range(SENDERS)]
            try:
                await asyncio.sleep(self._seconds)
                self._over = True
                await killer
                await asyncio.gather(*senders)
                while self._mischief.zombies:
                    await asyncio.wait(set(self._mischief.zombies))
            finally:
                self._over = True
                for task in (killer, *senders):
                    task.cancel()
                await asyncio.gather(killer, *senders, return_exceptions=True)
                self._graves += [hub.bury() for hub in self._gossip.hubs]
                await asyncio.gather(*self._graves)
            await self._check(db)
        return self.report

    async def _new_hub(self, db: Database) -> None:
        hub = _Hub(db, self._mischief, self._gossip)
        await hub.start()
        self._gossip.hubs.append(hub)

    async def _kill_hubs(self, db: Database) -> None:
        while not self._over:
            await asyncio.sleep(HUB_DIES_EVERY_S * self._mischief.random.uniform(0.5, 1.5))
            victim = self._gossip.hubs.pop(self._mischief.random.randrange(HUBS))
            victim.kill()
            self._graves.append(victim.bury())
            self.report.hubs_killed += 1
            await self._new_hub(db)

    async def _send(self, index: int) -> None:
        """Send bursts on one connection; what was not acknowledged in time is sent again, in order, elsewhere."""
        dice, number = self._mischief.random, 0
        while not self._over:
            conversation = f"{dice.randrange(CONVERSATIONS)}" * 26
            burst: list[_Message] = []
            for _ in range(dice.randint(1, BURST)):
                kind = EntryKind.MESSAGE_CREATED if number % 4 else EntryKind.REACTION_CHANGED
                at = number
                new = NewEntry(conversation, kind, f"sender{index}", at, f"{index}-{number}", {})
                burst.append(_Message(new))
                number += 1
            self._messages += burst
            while pending := [message for message in burst if not message.acknowledged]:
                await self._try(pending)

    async def _try(self, messages: Sequence[_Message]) -> None:
        hub = self._mischief.random.choice(self._gossip.hubs)
        futures = []
        for message in messages:
            try:
                futures.append((message, hub.appender.append(message.new)))
            except StorageError:
                break
        if futures:
            await asyncio.wait({future for _, future in futures}, timeout=PATIENCE_S)
        else:
            await asyncio.sleep(0.01)
        for message, future in futures:
            if future.done() and not future.cancelled() and future.exception() is None:
                self._acknowledge(message, future.result())
            else:
                self.report.repeats += 1
                future.add_done_callback(lambda late: late.cancelled() or late.exception())

    def _acknowledge(self, message: _Message, appended: Appended) -> None:
        message.acknowledged.append(appended.entry)
        self.report.acknowledged += 1
        self.report.duplicates += appended.duplicate

    async def _check(self, db: Database) -> None:
        log: dict[str, list[Document]] = {}
        async for document in db[MESSAGES].find({}, sort=[("_id", 1)]):
            log.setdefault(document["c"], []).append(document)
        for conversation, documents in log.items():
            _check_places(conversation, documents)
        there = {document["_id"]: (document["u"], document["k"]) for many in log.values() for document in many}
        self.report.entries = len(there)
        for message in self._messages:
            for entry in message.acknowledged:
                key = f"{entry.conversation}:{entry.offset:011x}"
                if there.get(key) != (message.new.by, message.new.key):
                    raise Broken(f"{message.new.key} was acknowledged at {key}, where {there.get(key)} is")
        await self._check_reading(db, log)

    async def _check_reading(self, db: Database, log: dict[str, list[Document]]) -> None:
        """The log gives the same when it is read through its own door."""
        for conversation, documents in log.items():
            tail = await Log(db).tail(conversation)
            if tail.offset != len(documents):
                raise Broken(f"{conversation}: the tail is {tail}, there are {len(documents)} entries")


def _check_places(conversation: str, documents: Sequence[Document]) -> None:
    identities: dict[tuple[str, str], int] = {}
    latest: dict[str, int] = {}
    n = 0
    for expected, document in enumerate(documents, start=1):
        offset = int(document["_id"].rpartition(":")[2], 16)
        if offset != expected:
            raise Broken(f"{conversation}: a hole, {offset} instead of {expected}")
        n += "y" not in document
        if document["n"] != n:
            raise Broken(f"{conversation}: n is {document['n']} at {offset}, counted {n}")
        identity = (document["u"], document["k"])
        if identity in identities:
            raise Broken(f"{conversation}: {identity} is at {identities[identity]} and at {offset}")
        identities[identity] = offset
        number = int(document["k"].rpartition("-")[2])
        if latest.get(document["u"], -1) > number:
            raise Broken(f"{conversation}: messages of {document['u']} changed places at {offset}")
        latest[document["u"]] = number


async def falsify(url: str, *, seed: int, seconds: float, faults: frozenset[Fault] = frozenset()) -> Report:
    """Try for some seconds, in a database of its own that is dropped afterwards. Raises Broken."""
    name = f"falsify_{secrets.token_hex(6)}"
    try:
        return await Falsification(url, name, seed=seed, seconds=seconds, faults=faults).run()
    finally:
        async with connect(url, name) as db:
            await db.client.drop_database(name)
