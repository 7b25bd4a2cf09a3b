"""The appends that are not answered yet: who waits, how much, and since when."""

from storage.append.work import Identity, Pending
from storage.errors import Overloaded, PreconditionFailed
from storage.model import Appended, AppendOutcome


class Unanswered:
    """Every pending entry from its arrival to its answer, at most `limit` waiters and `limit_bytes` of entries."""

    __slots__ = ("_bytes", "_identities", "_items", "_limit", "_limit_bytes", "_waiters")

    def __init__(self, limit: int, limit_bytes: int) -> None:
        self._limit = limit
        self._limit_bytes = limit_bytes
        self._items: dict[Pending, None] = {}
        self._identities: dict[Identity, Pending] = {}
        self._waiters = 0
        self._bytes = 0

    def __len__(self) -> int:
        return self._waiters

    @property
    def oldest(self) -> Pending | None:
        """The one that arrived first, which is the one whose deadline comes first."""
        return next(iter(self._items), None)

    def add(self, item: Pending) -> bool:
        """Take it in. False: an entry of this identity is on its way, and the waiters joined it. Raises Overloaded."""
        if self._waiters >= self._limit or self._bytes + item.size_bytes > self._limit_bytes:
            raise Overloaded("too many messages are waiting for MongoDB")
        self._waiters += len(item.waiters)
        twin = self._identities.get(item.identity)
        if twin is not None:
            twin.waiters.extend(item.waiters)
            return False
        self._bytes += item.size_bytes
        self._identities[item.identity] = item
        self._items[item] = None
        return True

    def answer(self, item: Pending, outcome: AppendOutcome) -> None:
        """Tell everybody who waits for it, once: the first asked for it, the others repeated it."""
        if item.settled:
            return
        item.settled = True
        del self._items[item]
        del self._identities[item.identity]
        self._waiters -= len(item.waiters)
        self._bytes -= item.size_bytes
        first, *others = item.waiters
        first(outcome)
        if others and isinstance(outcome, Appended):
            outcome = Appended(outcome.entry, duplicate=True)
        for waiter in others:
            waiter(outcome)

    def permitted(self, item: Pending) -> bool:
        """Whether it may still be appended, or answered with what is there. It is answered if not."""
        if item.settled:
            return False
        try:
            permitted = item.permitted()
        except Exception as error:  # noqa: BLE001 - the caller's own code failed: the caller gets it, nobody else
            self.answer(item, error)
            return False
        if not permitted:
            self.refuse(item)
        return permitted

    def refuse(self, item: Pending) -> None:
        """What was decided before it was queued is to be decided again."""
        self.answer(item, PreconditionFailed("the log moved on, and the caller's check no longer holds"))
