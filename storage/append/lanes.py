"""What the outcome of a command on the log means.

The rules that keep a conversation's log without holes, in one order and without duplicates, whatever other processes
and lost commands do:

1. A place is asked for only right after a position that is known to be committed on a majority, or after the entry
   before it in the same ordered command. So no entry is visible before the one below it, and nothing leaves a hole.
2. A place is taken once: it is the primary key. Who loses it examines what is there and asks for a later one.
3. An identity is there once: a unique index. Who repeats one is answered with the original.
4. From any other outcome nothing is concluded: the log is read, and what is not found is asked for again. If the lost
   command arrives after all, it finds its place or its identity taken, or it becomes the entry that the repeat finds.
5. The order of the queue is kept: what has to be asked for again goes back in front.
"""

from collections.abc import Mapping, Sequence

from storage.append.lane import READS_BEFORE_RETRY, Lane, Stage
from storage.append.schedule import LaneSettings, Schedule
from storage.append.tails import Tails
from storage.append.turns import Turns
from storage.append.unanswered import Unanswered
from storage.append.work import (
    CatchUp,
    Found,
    Insert,
    InsertOutcome,
    Lookup,
    Observer,
    Pending,
    ReadHeads,
    Run,
    Transact,
    Work,
)
from storage.errors import StorageError, Unavailable
from storage.model import Appended, Entry, Position


class Lanes:
    """The queues of all conversations. Every method returns at once; `now` is a monotonic clock in seconds.

    Ask `next_work` until it gives None, do the work concurrently, and hand each outcome to the method named after it. A
    conversation has at most one piece of work under way, lookups aside.
    """

    def __init__(self, observer: Observer, settings: LaneSettings | None = None, *, own: str = "") -> None:
        """`own` is the name by which other processes hear of this one."""
        settings = settings or LaneSettings()
        self._observer = observer
        self._tails = Tails(settings.tails)
        self._lanes: dict[str, Lane] = {}
        self._unanswered = Unanswered(settings.queued, settings.queued_bytes)
        self.turns = Turns(own)
        self._schedule = Schedule(settings, self._unanswered, self.turns, self._retire)

    @property
    def queued(self) -> int:
        """Appends that are not answered yet."""
        return len(self._unanswered)

    def tail(self, conversation: str) -> Position | None:
        """How far the log is known to be committed."""
        lane = self._lanes.get(conversation)
        return lane.tail if lane is not None and lane.tail is not None else self._tails.get(conversation)

    def learn(self, conversation: str, position: Position) -> None:
        """Take it from elsewhere that the log is committed up to `position`."""
        self._tails.advance(conversation, position)
        lane = self._lanes.get(conversation)
        if lane is not None:
            lane.advance(position)
            self._schedule.warm(lane)

    def heard(self, conversation: str, offset: int, by: str, now: float) -> bool:
        """The process `by` says that it has committed a message at the offset. Whether there may be work now.

        What it says is taken for the tail only if it follows what is known: no entry of another kind was missed then.
        """
        known = self.tail(conversation)
        if known is None or offset <= known.offset:
            return False
        self.turns.heard(conversation, by, now)
        if offset == known.offset + 1:
            self.learn(conversation, Position(offset, known.n + 1))
        lane = self._lanes.get(conversation)
        return lane is not None and self._schedule.heard(lane)

    def age(self, now: float) -> None:
        """Forget what was learned too long ago to be acted on. To be called before `add`."""
        self._tails.age(now)

    def add(self, item: Pending) -> None:
        """Queue an entry whose deadline is not before those of earlier ones.

        One of the same identity that is queued already is joined: this one gets that one's outcome, as a duplicate.
        Raises Overloaded.
        """
        if not self._unanswered.add(item):
            return
        conversation = item.new.conversation
        lane = self._lanes.get(conversation)
        if lane is None:
            lane = self._lanes[conversation] = Lane(conversation, self._tails.get(conversation))
        lane.waiting.append(item)
        if lane.stage is Stage.IDLE:
            self._schedule.place(lane)

    def next_work(self, now: float) -> Work | None:
        """The next piece of work that may start now, or None. Checks are asked and refusals answered on the way."""
        return self._schedule.next_work(now)

    def due_at(self) -> float | None:
        """When `next_work` or `expire` has something to do even if no outcome comes before."""
        oldest = self._unanswered.oldest
        resumes_at = self._schedule.resumes_at
        if oldest is None or resumes_at is None:
            return resumes_at if oldest is None else oldest.deadline
        return min(resumes_at, oldest.deadline)

    # Outcomes

    def inserted(self, work: Insert, outcomes: Sequence[InsertOutcome]) -> None:
        """What became of each document of the command, in the order of its runs' entries."""
        self._schedule.ended(work)
        start = 0
        for run in work.runs:
            end = start + len(run.items)
            self._settle(run, outcomes[start:end])
            start = end

    def transacted(self, work: Transact, outcome: Entry | InsertOutcome | Exception | None) -> None:
        """The transaction committed this entry (whose body it may have narrowed), or it changed nothing (None), or it
        failed with an error that a repeat would not mend, or it did not get its place.
        """
        self._schedule.ended(work)
        run = work.run
        match outcome:
            case Entry():
                committed = Run(run.conversation, run.base, run.items, (outcome,))
                self._settle(committed, (InsertOutcome.INSERTED,))
            case InsertOutcome():
                self._settle(run, (outcome,))
            case _:
                self._unanswered.answer(work.item, outcome)
                self._schedule.place(self._lanes[run.conversation])

    def heads_read(self, work: ReadHeads, heads: Mapping[str, Position]) -> None:
        """A committed position of each conversation that was asked about."""
        self._schedule.ended(work)
        for conversation in work.conversations:
            lane, head = self._lanes[conversation], heads[conversation]
            lane.advance(head)
            if head.offset:
                self._observer.skipped(conversation, head.offset)
            self._schedule.place(lane)

    def caught_up(self, work: CatchUp, found: Sequence[Found], *, complete: bool, now: float) -> None:
        """What is committed after the offset, ascending; `complete`: there was no more."""
        self._schedule.ended(work)
        lane = self._lanes[work.conversation]
        self._examine(lane, found)
        if found:
            lane.advance(found[-1].entry.position)
            lane.pauses = 0
        if not complete:
            self._schedule.read_on(lane, found[-1].entry.offset, lost_race=lane.lost_race)
        elif lane.tail is not None and lane.tail.offset > work.after:
            self._schedule.place(lane)
        else:
            # The entry in the way is not on a majority yet, or it was rolled back; or the lost command did not arrive.
            lane.lost_race = lane.lost_race and lane.pauses < READS_BEFORE_RETRY
            self._schedule.pause(lane, now)

    def looked_up(self, work: Lookup, found: Found | None, now: float) -> None:
        """The entry that has the identity. None: it is not on a majority yet."""
        self._schedule.ended(work)
        if work.item.settled:
            return
        if found is None:
            self._schedule.look_up_again(work.item, now)
        else:
            self._answer_found(work.item, found.entry)

    def read_failed(self, work: ReadHeads | CatchUp | Lookup, now: float) -> None:
        """Nothing could be read. It is asked for again after a pause."""
        self._schedule.ended(work)
        match work:
            case Lookup(item):
                self._schedule.look_up_again(item, now)
            case CatchUp(conversation):
                lane = self._lanes[conversation]
                lane.lost_race = True  # whatever the reason to read was, it stays
                self._schedule.pause(lane, now)
            case ReadHeads(conversations):
                for conversation in conversations:
                    self._schedule.pause(self._lanes[conversation], now)

    def expire(self, now: float) -> None:
        """Give up what is past its deadline, and what the same sender queued after it in that conversation.

        Commands under way go on; what they commit is still told to the observer.
        """
        while (oldest := self._unanswered.oldest) is not None and oldest.deadline <= now:
            error = Unavailable("MongoDB did not confirm the message in time")
            self._unanswered.answer(oldest, error)
            lane = self._lanes.get(oldest.new.conversation)
            if lane is not None:
                for item in [item for item in lane.waiting if item.new.by == oldest.new.by]:
                    lane.waiting.remove(item)
                    self._unanswered.answer(item, error)

    def fail_queued(self, error: StorageError) -> None:
        """Answer everything that is in no command under way with the error."""
        for lane in self._lanes.values():
            for item in lane.waiting:
                self._unanswered.answer(item, error)
            lane.waiting.clear()
        for item in self._schedule.lookups():
            self._unanswered.answer(item, error)

    def _settle(self, run: Run, outcomes: Sequence[InsertOutcome]) -> None:
        lane = self._lanes[run.conversation]
        unknown = InsertOutcome.UNKNOWN in outcomes
        done = 0 if unknown else _committed_prefix(outcomes)
        reached = run.entries[done - 1].position if done else run.base
        lane.advance(reached)
        if done:
            lane.pauses = 0
            self._commit(run, done)
        rest = run.items[done:]
        if unknown:
            for item in rest:
                item.unknown = True
            lane.put_back(rest)
            self._schedule.read_on(lane, reached.offset, lost_race=False)
        elif rest and outcomes[done] is InsertOutcome.TAKEN:
            lane.put_back(rest)
            self._schedule.lost(lane, reached.offset)
        else:
            if rest:
                self._schedule.look_up(rest[0])
                lane.put_back(rest[1:])
            self._schedule.place(lane)

    def _commit(self, run: Run, done: int) -> None:
        """The first `done` entries of the run are committed."""
        committed = [Appended(entry, duplicate=False) for entry in run.entries[:done]]
        # Answered first: a waiter goes on in the next turn of the loop, when all of it was told; what telling brings
        # about there, writing to everybody else, then comes after the acknowledgement.
        for item, appended in zip(run.items, committed, strict=False):
            self._unanswered.answer(item, appended)
        self._observer.committed(committed)
        self.turns.committed(run.conversation)

    def _examine(self, lane: Lane, found: Sequence[Found]) -> None:
        """Tell of the entries that were read; those that the lane waits for are answered."""
        mine = {item.identity: item for item in lane.waiting}
        foreign: list[Entry] = []
        for one in found:
            item = mine.get(one.identity)
            if item is None or item.settled:
                foreign.append(one.entry)
                continue
            if foreign:
                self._observer.examined(lane.conversation, foreign)
                foreign = []
            lane.waiting.remove(item)
            if not self._answer_found(item, one.entry):
                foreign.append(one.entry)
        if foreign:
            self._observer.examined(lane.conversation, foreign)

    def _answer_found(self, item: Pending, entry: Entry) -> bool:
        """Answer with an entry of the log that has the item's identity. False: the caller is not permitted to know it.

        It is the item's own, and no duplicate, if an attempt was lost from sight and the entry was made when it was.
        """
        own = item.unknown and entry.at == item.new.at
        if not own and not self._unanswered.permitted(item):
            return False
        appended = Appended(entry, duplicate=not own)
        self._observer.committed((appended,))
        self._unanswered.answer(item, appended)
        return True

    def _retire(self, lane: Lane) -> None:
        del self._lanes[lane.conversation]
        if lane.tail is not None:
            self._tails.advance(lane.conversation, lane.tail)


def _committed_prefix(outcomes: Sequence[InsertOutcome]) -> int:
    for index, outcome in enumerate(outcomes):
        if outcome is not InsertOutcome.INSERTED:
            return index
    return len(outcomes)
