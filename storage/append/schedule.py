"""Which conversation's turn it is: where each lane waits, and what the next command takes from the lanes."""

import heapq
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from itertools import count

from storage.append.lane import FIRST_PAUSE_S, Lane, Stage
from storage.append.turns import Turns
from storage.append.unanswered import Unanswered
from storage.append.work import CatchUp, Insert, Lookup, Pending, ReadHeads, Run, Transact, Work
from storage.model import Entry


@dataclass(frozen=True, slots=True)
class LaneSettings:
    """Bounds. A command takes at most `batch_entries` and `batch_bytes` (one entry always fits).

    `queued` and `queued_bytes` bound what is unanswered, `tails` the conversations whose tail is remembered. `inserts`,
    `transactions` and `reads` may be under way at the same time; a read finds the heads of up to `heads_per_read`.
    """

    queued: int = 4096
    queued_bytes: int = 16 * 1024 * 1024
    batch_entries: int = 256
    batch_bytes: int = 256 * 1024
    inserts: int = 2
    transactions: int = 4
    reads: int = 4
    heads_per_read: int = 1000
    tails: int = 50_000


class Schedule:
    """Places for lanes of which nothing is under way, and the choice of what starts next.

    `retire` is called with a lane that has nothing more to do.
    """

    def __init__(
        self, settings: LaneSettings, unanswered: Unanswered, turns: Turns, retire: Callable[[Lane], None]
    ) -> None:
        self._settings = settings
        self._turns = turns
        self._unanswered = unanswered
        self._retire = retire
        self._cold: dict[str, Lane] = {}
        self._behind: deque[Lane] = deque()
        self._ready: deque[Lane] = deque()
        self._ready_alone: deque[Lane] = deque()
        self._shared: deque[Lane] = deque()
        self._lookups: deque[Pending] = deque()
        self._paused: list[tuple[float, int, Lane | Pending]] = []
        self._tickets = count()
        self._inserts = 0
        self._transactions = 0
        self._reads = 0

    @property
    def resumes_at(self) -> float | None:
        """When the first of what is paused goes on."""
        return self._paused[0][0] if self._paused else None

    # Where lanes wait

    def place(self, lane: Lane) -> None:
        """Put the lane where it belongs by what is known of it."""
        if not lane.waiting:
            lane.stage = Stage.IDLE
            self._retire(lane)
        elif lane.tail is None:
            lane.stage = Stage.COLD
            self._cold[lane.conversation] = lane
        elif self._turns.shared(lane.conversation):
            self._await_turn(lane)
        else:
            self._ready_now(lane)

    def warm(self, lane: Lane) -> None:
        """The tail of a lane became known; if that is all it waited for, it is ready."""
        if self._cold.pop(lane.conversation, None) is not None:
            self.place(lane)

    def read_on(self, lane: Lane, after: int, *, lost_race: bool) -> None:
        """Read what is after the offset before anything else."""
        lane.stage = Stage.BEHIND
        lane.examined = after
        lane.lost_race = lost_race
        self._behind.append(lane)

    def lost(self, lane: Lane, after: int) -> None:
        """Another process has the place after the offset. What it wrote is heard or read before anything else."""
        lane.lost_race, lane.examined = True, after
        if self._turns.shared(lane.conversation):
            self._await_turn(lane)
        else:
            self.read_on(lane, after, lost_race=True)

    def heard(self, lane: Lane) -> bool:
        """Another process has written. Whether the lane may have something to do now."""
        if lane.stage is not Stage.TURN or lane.behind:
            return False
        if lane.ticket is not None:
            self._await_turn(lane)
        return True

    def pause(self, lane: Lane, now: float) -> None:
        """Let some time pass; then read on or go to its place, as `lane.lost_race` says."""
        self._wait(lane, Stage.PAUSED, now + lane.next_pause_s())

    def look_up(self, item: Pending) -> None:
        """Find the entry that has the item's identity."""
        self._lookups.append(item)

    def look_up_again(self, item: Pending, now: float) -> None:
        """As `look_up`, a little later."""
        heapq.heappush(self._paused, (now + 4 * FIRST_PAUSE_S, next(self._tickets), item))

    def lookups(self) -> list[Pending]:
        """Items whose entry is to be found, but not being looked for at this moment."""
        return [*self._lookups, *(paused for _, _, paused in self._paused if isinstance(paused, Pending))]

    # What is next

    def next_work(self, now: float) -> Work | None:
        """The next piece of work that may start now, or None. Its end is to be told to `ended`."""
        self._turns.settle(now)
        self._resume_paused(now)
        self._give_turns(now)
        settings = self._settings
        if self._reads < settings.reads and (work := self._next_read()) is not None:
            self._reads += 1
            return work
        if self._inserts < settings.inserts and (insert := self._next_insert()) is not None:
            self._inserts += 1
            return insert
        if self._transactions < settings.transactions and (transact := self._next_transact()) is not None:
            self._transactions += 1
            return transact
        return None

    def ended(self, work: Work) -> None:
        """A piece of work is done: another may take its slot."""
        match work:
            case Insert():
                self._inserts -= 1
            case Transact():
                self._transactions -= 1
            case ReadHeads() | CatchUp() | Lookup():
                self._reads -= 1

    def _ready_now(self, lane: Lane) -> None:
        lane.stage = Stage.READY
        (self._ready_alone if lane.waiting[0].alone else self._ready).append(lane)

    def _wait(self, lane: Lane, stage: Stage, until: float) -> None:
        lane.stage, lane.ticket = stage, next(self._tickets)
        heapq.heappush(self._paused, (until, lane.ticket, lane))

    def _await_turn(self, lane: Lane) -> None:
        lane.stage, lane.ticket = Stage.TURN, None
        self._shared.append(lane)

    def _resume_paused(self, now: float) -> None:
        while self._paused and self._paused[0][0] <= now:
            _, ticket, paused = heapq.heappop(self._paused)
            if isinstance(paused, Pending):
                self._lookups.append(paused)
            elif paused.ticket != ticket:
                continue
            elif paused.waiting and paused.behind:
                self.read_on(paused, paused.examined, lost_race=True)
            else:
                self.place(paused)

    def _give_turns(self, now: float) -> None:
        """Whose turn it is goes on; the others wait for it, or until they hear something."""
        while self._shared:
            lane = self._shared.popleft()
            if not lane.waiting:
                self.place(lane)
            elif lane.behind:
                self._wait(lane, Stage.TURN, now + self._turns.turn_s)
            elif (begins_at := self._turns.begins_at(lane.conversation, now)) > now:
                self._wait(lane, Stage.TURN, begins_at)
            else:
                self._ready_now(lane)

    def _next_read(self) -> Work | None:
        while self._lookups:
            item = self._lookups.popleft()
            if not item.settled:
                return Lookup(item)
        while self._behind:
            lane = self._behind.popleft()
            if lane.waiting:
                lane.stage = Stage.BUSY
                return CatchUp(lane.conversation, lane.examined)
            self.place(lane)
        cold: list[str] = []
        for conversation in list(self._cold)[: self._settings.heads_per_read]:
            lane = self._cold.pop(conversation)
            if lane.waiting:
                lane.stage = Stage.BUSY
                cold.append(conversation)
            else:
                self.place(lane)
        return ReadHeads(tuple(cold)) if cold else None

    def _next_insert(self) -> Insert | None:
        """The lane that waits longest decides: a run of its own, or one entry each of all lanes that are like it.

        Whichever is the larger command: a run, when a conversation has more to say than conversations are waiting.
        """
        while self._ready:
            if len(self._ready[0].waiting) > len(self._ready):
                lane = self._ready.popleft()
                run = self._take(lane, self._settings.batch_entries, self._settings.batch_bytes)
                if run is not None:
                    return Insert((run,), ordered=True)
            else:
                runs = self._take_one_each()
                if runs:
                    return Insert(tuple(runs), ordered=False)
        return None

    def _next_transact(self) -> Transact | None:
        while self._ready_alone:
            run = self._take(self._ready_alone.popleft(), 1, 0, alone=True)
            if run is not None:
                return Transact(run)
        return None

    def _take_one_each(self) -> list[Run]:
        runs: list[Run] = []
        kept: list[Lane] = []
        lanes = len(self._ready)
        room = self._settings.batch_bytes
        while self._ready and len(runs) < self._settings.batch_entries:
            lane = self._ready.popleft()
            if len(lane.waiting) > lanes:
                kept.append(lane)
                continue
            if runs and lane.waiting and lane.waiting[0].size_bytes > room:
                kept.append(lane)
                break
            run = self._take(lane, 1, room)
            if run is not None:
                runs.append(run)
                room -= run.items[0].size_bytes
        self._ready.extendleft(reversed(kept))
        return runs

    def _take(self, lane: Lane, limit: int, room: int, *, alone: bool = False) -> Run | None:
        """A run of permitted entries from the front of the lane. None: there is none, and the lane went elsewhere."""
        base = lane.tail
        if base is None:
            raise AssertionError("a lane without a tail is never ready")
        lane.stage = Stage.BUSY
        items: list[Pending] = []
        entries: list[Entry] = []
        offset, n = base.offset, base.n
        while lane.waiting and len(items) < limit:
            item = lane.waiting[0]
            if item.alone is not alone or (items and item.size_bytes > room):
                break
            lane.waiting.popleft()
            given_up = item.settled
            if self._unanswered.permitted(item):
                offset, n = offset + 1, n + item.new.kind.counts
                items.append(item)
                entries.append(_placed(item, offset, n))
                room -= item.size_bytes
            elif not given_up:
                self._refuse_after(lane, item)
        if not items:
            self.place(lane)
            return None
        return Run(lane.conversation, base, tuple(items), tuple(entries))

    def _refuse_after(self, lane: Lane, refused: Pending) -> None:
        """The sender's later messages share the fate of one whose check failed: they must not come to stand before it
        when it is asked for again.
        """
        if not refused.decided:
            return
        for item in [item for item in lane.waiting if item.decided and item.sender == refused.sender]:
            lane.waiting.remove(item)
            self._unanswered.refuse(item)


def _placed(item: Pending, offset: int, n: int) -> Entry:
    new = item.new
    return Entry(new.conversation, offset, n, new.kind, new.by, new.at, new.key, new.body)
