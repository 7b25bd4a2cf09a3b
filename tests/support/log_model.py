"""Several hub processes, one replica set and a hostile network, as a model that a seed drives.

The hubs are the product's `Lanes`. The server keeps one oplog; only what is below `majority` survives a failover. The
network loses answers, executes commands long after everybody gave them up (zombies), stops them half way, and a hub may
be killed at any moment. `Fault` breaks one rule of the design at a time, to show that the model would notice.
"""

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import count

from storage.append.lanes import Lanes
from storage.append.schedule import LaneSettings
from storage.append.work import (
    CatchUp,
    Found,
    Identity,
    Insert,
    InsertOutcome,
    Lookup,
    Pending,
    ReadHeads,
    Transact,
    Work,
)
from storage.errors import Overloaded, StorageError
from storage.model import ORIGIN, Appended, AppendOutcome, Entry, EntryKind, NewEntry, Position
from support.log_server import Broken, Fault, Server, Write


@dataclass(eq=False)
class Command:
    """A piece of work on its way: to the server, through it, and back."""

    work: Work
    executed: bool = False
    lost: bool = False
    result: object = None
    oplog_end: int = 0


@dataclass(eq=False)
class Message:
    """What a client wants sent, and what it was told."""

    conversation: str
    sender: str
    key: str
    number: int
    answers: list[AppendOutcome] = field(default_factory=list)
    asked: int = 0


class Hub:
    """One process: the product's machine, the commands that it has under way, and what its observer heard."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.name = name
        self.lanes = Lanes(self, LaneSettings(queued=50, batch_entries=8, tails=3), own=name)
        self.under_way: list[Command] = []
        self.told: list[Entry] = []

    def committed(self, run: Sequence[Appended]) -> None:
        self.told += [appended.entry for appended in run]
        self.world.gossip += [appended.entry for appended in run]
        self.world.publish(self, [appended.entry for appended in run])

    def examined(self, conversation: str, entries: Sequence[Entry]) -> None:
        if [entry.offset for entry in entries] != sorted({entry.offset for entry in entries}):
            raise Broken(f"{self.name} was told of {conversation} out of order")
        self.told += entries

    def skipped(self, conversation: str, upto: int) -> None:
        pass

    def send(self, message: Message) -> None:
        """A client asks for an append."""
        kind = EntryKind.MESSAGE_CREATED if message.number % 3 else EntryKind.REACTION_CHANGED
        at = next(self.world.clock)
        new = NewEntry(message.conversation, kind, message.sender, at, message.key, {})
        identity: Identity = (message.conversation, message.sender, message.key)
        alone = message.number % 7 == 0
        deadline = self.world.now + 4.0
        pending = Pending(new, identity, 100, deadline, None, [message.answers.append], alone=alone)
        try:
            self.lanes.add(pending)
        except Overloaded as error:
            message.answers.append(error)

    def start(self) -> bool:
        """Begin one more piece of work, if there is any."""
        work = self.lanes.next_work(self.world.now)
        if work is not None:
            self.under_way.append(Command(work))
            self.world.commands.append(self.under_way[-1])
        return work is not None

    def hear(self, command: Command, *, lost: bool) -> None:
        """The outcome of a command arrives, or it is known never to arrive."""
        self.under_way.remove(command)
        work, now = command.work, self.world.now
        guess = lost and Fault.GUESSED_OUTCOMES in self.world.server.faults
        match work:
            case Insert():
                documents = sum(len(run.items) for run in work.runs)
                unknown = [InsertOutcome.INSERTED if guess else InsertOutcome.UNKNOWN] * documents
                self.lanes.inserted(work, unknown if lost else _outcomes(command.result))
            case Transact():
                (outcome,) = [InsertOutcome.UNKNOWN] if lost else _outcomes(command.result)
                self.lanes.transacted(work, work.run.entries[0] if outcome is InsertOutcome.INSERTED else outcome)
            case _ if lost:
                self.lanes.read_failed(work, now)
            case ReadHeads():
                heads = command.result
                assert isinstance(heads, dict)
                self.lanes.heads_read(work, heads)
            case CatchUp():
                found = command.result
                assert isinstance(found, list)
                page = found[:3]
                self.lanes.caught_up(work, page, complete=len(page) == len(found), now=now)
            case Lookup():
                one = command.result
                assert one is None or isinstance(one, Found)
                self.lanes.looked_up(work, one, now)


def _outcomes(result: object) -> list[InsertOutcome]:
    assert isinstance(result, list)
    return result


class World:
    """Everything, driven by a seed."""

    def __init__(self, seed: int, *, faults: frozenset[Fault] = frozenset(), hubs: int = 3) -> None:
        self.random = random.Random(seed)
        self.now = 0.0
        self.clock = count(1)
        self.server = Server(faults)
        self.commands: list[Command] = []
        self.gossip: list[Entry] = []
        self.bus: list[tuple[Hub, str, Entry]] = []
        self.messages: list[Message] = []
        self.conversations = ["a", "b", "c", "d"][: self.random.randint(1, 4)]
        self.hubs = [Hub(self, f"hub{index}") for index in range(hubs)]
        self.home = {sender: self.random.randrange(hubs) for sender in ("ada", "bob", "cy")}
        self.hostility = self.random.choice((0.1, 0.5, 1.0))

    def run(self, steps: int) -> None:
        """Take random steps, then let everything come to rest, and look at the result."""
        moves = [
            *((self.send,) * 4, (self.start,) * 6, (self.execute,) * 6, (self.replicate,) * 5, (self.answer,) * 6),
            *((self.pass_time,), (self.whisper,), (self.deliver,) * 6),
        ]
        calm = [move for group in moves for move in group]
        hostile = [self.lose, self.lose, self.kill, self.fail_over, self.resend, self.resend, self.pass_long_time]
        for _ in range(steps):
            hostility = self.random.random() < 0.2 * self.hostility
            self.random.choice(hostile if hostility else calm)()
            self.check_prefixes()
        self.rest()
        self.check()

    # Moves

    def send(self) -> None:
        sender = self.random.choice(list(self.home))
        conversation = self.random.choice(self.conversations)
        message = Message(conversation, sender, f"{sender}-{len(self.messages)}", number=len(self.messages))
        self.messages.append(message)
        self._ask(self.hubs[self.home[sender]], message)

    def resend(self) -> None:
        """A client lost its connection or its patience and asks again, elsewhere as a rule."""
        if self.messages:
            self._ask(self.random.choice(self.hubs), self.random.choice(self.messages[-12:]))

    def _ask(self, hub: Hub, message: Message) -> None:
        message.asked += 1
        hub.send(message)

    def start(self) -> None:
        self.random.choice(self.hubs).start()

    def execute(self) -> None:
        """The server gets to a command, whether or not anybody still waits for it."""
        waiting = [command for command in self.commands if not command.executed]
        if waiting:
            command = self.random.choice(waiting)
            crash = self.random.random() < 0.1 * self.hostility
            self._execute(command, crash_after=self.random.randint(0, 3) if crash else None)

    def _execute(self, command: Command, *, crash_after: int | None = None) -> None:
        command.executed = True
        work, server = command.work, self.server
        match work:
            case Insert():
                command.result = server.insert(work.runs, ordered=work.ordered, crash_after=crash_after)
                command.lost = command.lost or crash_after is not None
                if Fault.EARLY_NEWS in server.faults:
                    self._tell_early(work, _outcomes(command.result))
            case Transact():
                command.result = server.insert((work.run,), ordered=True, crash_after=None)
            case ReadHeads():
                command.result = {one: self._some_position(one) for one in work.conversations}
            case CatchUp():
                command.result = server.after(work.conversation, work.after)
            case Lookup():
                command.result = next(
                    (Found(w.entry, w.identity[2]) for w in server.committed() if w.identity == work.item.identity),
                    None,
                )
        command.oplog_end = len(server.oplog)

    def _tell_early(self, work: Insert, outcomes: Sequence[InsertOutcome]) -> None:
        entries = [entry for run in work.runs for entry in run.entries]
        inserted = [entry for entry, one in zip(entries, outcomes, strict=True) if one is InsertOutcome.INSERTED]
        self.publish(self.hubs[0], inserted)

    def _some_position(self, conversation: str) -> Position:
        """Summaries trail the log, so any committed position may be read."""
        found = self.server.after(conversation, 0)
        return self.random.choice([one.entry.position for one in found] or [ORIGIN])

    def replicate(self) -> None:
        behind = len(self.server.oplog) - self.server.majority
        if behind:
            self.server.majority += self.random.randint(1, behind)

    def answer(self) -> None:
        """An acknowledged write is on a majority before its answer leaves; a refusal or a read may leave at once."""
        ready = [(hub, command) for hub in self.hubs for command in hub.under_way if self._answered(command)]
        if ready:
            hub, command = self.random.choice(ready)
            hub.hear(command, lost=command.lost)

    def _answered(self, command: Command) -> bool:
        writes = isinstance(command.work, Insert | Transact)
        return command.lost or (command.executed and (not writes or command.oplog_end <= self.server.majority))

    def lose(self) -> None:
        """A hub gives a command up. The command goes on: it may be executed later."""
        under_way = [(hub, command) for hub in self.hubs for command in hub.under_way]
        if under_way:
            hub, command = self.random.choice(under_way)
            hub.hear(command, lost=True)

    def kill(self) -> None:
        """A hub dies. What it had sent goes on; whoever waited there knows nothing."""
        index = self.random.randrange(len(self.hubs))
        self.hubs[index] = Hub(self, f"{self.hubs[index].name}'")

    def fail_over(self) -> None:
        """Another primary is elected. Commands that were executed and not confirmed have lost their answer."""
        for command in self.commands:
            if command.executed and command.oplog_end > self.server.majority:
                command.lost = True
        self.server.fail_over()

    def whisper(self) -> None:
        """Gossip of commits: late, repeated, in any order, or never."""
        if self.gossip:
            entry = self.random.choice(self.gossip)
            self.random.choice(self.hubs).lanes.learn(entry.conversation, entry.position)

    def publish(self, by: Hub, entries: Sequence[Entry]) -> None:
        """Messages that a hub has committed are on their way to the others."""
        messages = [entry for entry in entries if entry.kind is EntryKind.MESSAGE_CREATED]
        self.bus += [(hub, by.name, entry) for hub in self.hubs if hub is not by for entry in messages]

    def deliver(self) -> None:
        """What was published arrives: in order as a rule, sometimes not, or never."""
        if self.bus:
            late = self.random.random() < 0.1
            hub, by, entry = self.bus.pop(self.random.randrange(len(self.bus)) if late else 0)
            if self.random.random() < 0.9:
                hub.lanes.heard(entry.conversation, entry.offset, by, self.now)

    def pass_time(self) -> None:
        self._pass(0.01)

    def pass_long_time(self) -> None:
        self._pass(2.1)

    def _pass(self, seconds: float) -> None:
        self.now += seconds
        for hub in self.hubs:
            hub.lanes.expire(self.now)

    def rest(self) -> None:
        """No more hostility: all work is finished, and every client repeats what it was not told the outcome of."""
        for _ in range(3):
            for message in self.messages:
                if not any(isinstance(answer, Appended) for answer in message.answers):
                    self._ask(self.random.choice(self.hubs), message)
                    self._settle()

    def _settle(self) -> None:
        for _ in range(2000):
            for hub in self.hubs:
                while hub.start():
                    pass
            for command in self.commands:
                if not command.executed:
                    self._execute(command)
            self.server.majority = len(self.server.oplog)
            self.commands = [command for hub in self.hubs for command in hub.under_way]
            for hub in self.hubs:
                for command in list(hub.under_way):
                    hub.hear(command, lost=command.lost)
            if not any(hub.lanes.queued or hub.under_way for hub in self.hubs):
                return
            self.now += 0.01
        raise Broken("the hubs never come to rest")

    # Promises

    def check_prefixes(self) -> None:
        """At no time is an entry visible before the one below it, or twice."""
        seen: dict[str, int] = {}
        identities = set()
        for write in self.server.oplog[: self.server.majority]:
            conversation, offset = write.place
            if offset != seen.get(conversation, 0) + 1:
                raise Broken(f"{conversation}: {offset} follows {seen.get(conversation, 0)}: a hole")
            seen[conversation] = offset
            if write.identity in identities:
                raise Broken(f"{write.identity} is there twice")
            identities.add(write.identity)

    def check(self) -> None:
        """Every acknowledgement was true and still is; `n` counts; a sender's messages keep their order."""
        log = {write.place: write for write in self.server.oplog[: self.server.majority]}
        counts: dict[str, int] = {}
        for write in sorted(log.values(), key=lambda one: one.place):
            conversation = write.place[0]
            counts[conversation] = counts.get(conversation, 0) + write.entry.kind.counts
            if write.entry.n != counts[conversation]:
                raise Broken(f"{write.place}: n is {write.entry.n}, counted {counts[conversation]}")
        for hub in self.hubs:
            for entry in hub.told:
                if log[entry.conversation, entry.offset].entry != entry:
                    raise Broken(f"{hub.name} was told of an entry that is not there: {entry}")
        for message in self.messages:
            self._check_answers(message, log)
        for sender in self.home:
            for conversation in self.conversations:
                self._check_order(sender, conversation)

    def _check_answers(self, message: Message, log: dict[tuple[str, int], Write]) -> None:
        given = [answer for answer in message.answers if isinstance(answer, Appended)]
        if not given:
            raise Broken(f"{message.key} was never acknowledged: {message.answers}")
        if len({appended.entry.offset for appended in given}) != 1:
            raise Broken(f"{message.key} was acknowledged at several places")
        if len([appended for appended in given if not appended.duplicate]) > 1:
            raise Broken(f"{message.key} was new more than once")
        entry = given[0].entry
        there = log.get((entry.conversation, entry.offset))
        if there is None or there.identity != (message.conversation, message.sender, message.key):
            raise Broken(f"{message.key} was acknowledged at {entry.offset}, where {there} is")
        unexpected = [answer for answer in message.answers if not isinstance(answer, Appended | StorageError)]
        if unexpected:
            raise Broken(f"{message.key} was answered {unexpected}")

    def _check_order(self, sender: str, conversation: str) -> None:
        """Messages that were acknowledged at the first attempt stand in the order in which they were sent."""
        offsets = [
            answer.entry.offset
            for message in self.messages
            if (message.sender, message.conversation, message.asked) == (sender, conversation, 1)
            for answer in message.answers
            if isinstance(answer, Appended)
        ]
        if offsets != sorted(offsets):
            raise Broken(f"messages of {sender} in {conversation} changed places: {offsets}")


def falsify(seeds: Iterator[int], *, steps: int, faults: frozenset[Fault] = frozenset()) -> tuple[int, Broken] | None:
    """The first seed with which a promise breaks, and how; None if none does."""
    for seed in seeds:
        try:
            World(seed, faults=faults).run(steps)
        except Broken as broken:
            return seed, broken
    return None
