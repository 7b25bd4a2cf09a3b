"""What one device was shown of one conversation, against its log. Pure."""

from dataclasses import dataclass, field

from chaos.history import MESSAGE, Item, Page, Received, Subscribed, Unsubscribed
from chaos.verdict import Verdict


@dataclass(slots=True)
class View:
    """In order: what a device was told. `caught_up`: in the end it was connected and said to have everything."""

    device: str
    conv: str
    events: list[Received | Subscribed | Unsubscribed | Page] = field(default_factory=list)
    caught_up: bool = False


class _Screen:
    """A device's screen while its events are replayed."""

    def __init__(self, view: View, log: dict[int, Item], verdict: Verdict, *, roams: bool) -> None:
        self._view = view
        self._log = log
        self._verdict = verdict
        self._roams = roams
        self.at: int | None = None
        """The position; None while not subscribed."""
        self.highest: int | None = None
        self.shown: dict[int, Item] = {}
        self.places: dict[tuple[str, str], int] = {}
        self.gaps: list[tuple[int, int]] = []

    def subscribed(self, event: Subscribed) -> None:
        before = self.at if self.at is not None or self._roams else self.highest
        if before is None:
            self.at = event.offset
        elif event.recovered:
            # The rest is to come; a position that is ahead shows itself as a skip.
            self.at = before
        elif event.offset < before:
            self._broke("I3", "went back", f"from {before} to {event.offset}")
            self.at = event.offset
        else:
            if event.offset > before:
                self.gaps.append((before, event.offset))
                self._verdict.counts.gaps += 1
            self.at = event.offset
        self._reach(self.at)

    def received(self, event: Received) -> None:
        counts = self._verdict.counts
        counts.delivered += 1
        item = Item(event.offset, event.kind, event.sender, event.key)
        if self.at is not None and event.offset <= self.at:
            if event.offset in self.shown:
                counts.wire_duplicates += 1
                self._show(item)
                return
            self._broke("I3", "out of order", f"{event.offset} after {self.at}, {event.via}")
            counts.out_of_order += 1
        elif self.at is not None and event.offset > self.at + 1:
            self._broke("I3", "skip", f"{event.offset} after {self.at}, {event.via}")
            counts.out_of_order += 1
        self._show(item)
        self.at = max(event.offset, self.at or 0)
        self._reach(self.at)

    def paged(self, page: Page) -> None:
        self._verdict.counts.delivered += len(page.items)
        for item in page.items:
            self._show(item)

    def unsubscribed(self) -> None:
        self.at = None

    def finish(self) -> None:
        """What should be on the screen in the end, and is not."""
        if self._view.caught_up and self.at is not None and self._log and self.at < max(self._log):
            self.gaps.append((self.at, max(self._log)))
        for after, upto in self.gaps:
            for offset in range(after + 1, upto + 1):
                true = self._log.get(offset)
                if true is not None and true.kind == MESSAGE and offset not in self.shown:
                    self._broke("I1", "never shown", f"{true.key} at {offset}")
                    self._verdict.counts.lost += 1

    def _reach(self, offset: int) -> None:
        self.highest = max(offset, self.highest or 0)

    def _show(self, item: Item) -> None:
        self.shown[item.offset] = item
        if item.kind == MESSAGE and item.key:
            first = self.places.setdefault((item.sender, item.key), item.offset)
            if first != item.offset:
                self._broke("I2", "shown twice", f"{item.key} of {item.sender} at {first} and {item.offset}")
                self._verdict.counts.duplicated += 1
        true = self._log.get(item.offset)
        if true is None:
            self._broke("I4", "not in the log", f"{item.kind} {item.key} at {item.offset}")
            self._verdict.counts.ghosts += 1
        elif not same(item, true):
            detail = f"{item.offset} is {true.kind} {true.key}, shown as {item.kind} {item.key}"
            self._broke("I5", "disagree", detail)
            self._verdict.counts.disagreements += 1

    def _broke(self, invariant: str, what: str, detail: str) -> None:
        self._verdict.broke(invariant, what, f"{self._view.device}, {self._view.conv}: {detail}")


def same(one: Item, other: Item) -> bool:
    """Whether two tell of the same entry. The key of a deleted message is not told any more."""
    if one.kind != other.kind:
        return False
    if one.kind != MESSAGE:
        return True
    return one.sender == other.sender and (not one.key or not other.key or one.key == other.key)


def check_view(view: View, log: dict[int, Item], verdict: Verdict, *, roams: bool) -> None:
    """Replay what a device was told. `roams`: it may be out of the conversation for a while, and misses that."""
    if not log:
        return
    screen = _Screen(view, log, verdict, roams=roams)
    for event in view.events:
        match event:
            case Subscribed():
                screen.subscribed(event)
            case Received():
                screen.received(event)
            case Page():
                screen.paged(event)
            case Unsubscribed():
                screen.unsubscribed()
    screen.finish()
