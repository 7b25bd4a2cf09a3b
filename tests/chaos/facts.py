"""A history, sorted by what it tells of. Pure."""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import TypeAlias

from chaos.history import (
    CaughtUp,
    Connection,
    Device,
    Event,
    Fault,
    Happened,
    Item,
    Member,
    Page,
    Received,
    Sample,
    Send,
    Stall,
    Subscribed,
    Unsubscribed,
    Waited,
    Whole,
)
from chaos.starving import Starving
from chaos.views import View

Key: TypeAlias = tuple[str, str, str]
"""Conversation, sender, key."""


@dataclass(slots=True)
class Attempts:
    """All that is known of one send."""

    key: Key
    floor: int = 0
    """The highest offset that was acknowledged to anybody before it was first asked for."""
    invokes: dict[tuple[str, int], Send] = field(default_factory=dict)
    outcomes: list[Send] = field(default_factory=list)

    @property
    def oks(self) -> list[Send]:
        return [one for one in self.outcomes if one.type == "ok"]

    @property
    def refused(self) -> bool:
        """A definite no: every attempt was refused. After an unknown one a refusal says nothing of that."""
        return len(self.outcomes) == len(self.invokes) and all(one.type == "fail" for one in self.outcomes)


@dataclass(slots=True)
class Facts:
    """A history, sorted."""

    devices: dict[str, Device] = field(default_factory=dict)
    sends: dict[Key, Attempts] = field(default_factory=dict)
    views: dict[tuple[str, str], View] = field(default_factory=dict)
    pages: list[Page] = field(default_factory=list)
    members: dict[tuple[str, str], list[Member]] = field(default_factory=lambda: defaultdict(list))
    truth: dict[str, dict[int, Item]] = field(default_factory=dict)
    told: list[Whole] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    happened: list[Happened] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    stalls: list[Stall] = field(default_factory=list)
    starving: Starving = field(default_factory=Starving)
    reconnects: int = 0

    def view(self, device: str, conv: str) -> View:
        found = self.views.get((device, conv))
        if found is None:
            found = self.views[device, conv] = View(device, conv)
        return found


def gather(events: Iterable[Event]) -> Facts:
    """Sort a history by what it tells of."""
    facts = Facts()
    acked: dict[str, int] = defaultdict(int)
    for event in events:
        match event:
            case Send():
                _gather_send(facts, event, acked)
            case Received() | Subscribed() | Unsubscribed():
                facts.view(event.device, event.conv).events.append(event)
            case Page():
                facts.pages.append(event)
                if event.fills:
                    facts.view(event.device, event.conv).events.append(event)
            case CaughtUp():
                facts.view(event.device, event.conv).caught_up = True
            case Device():
                facts.devices[event.device] = event
            case Member():
                facts.members[event.conv, event.user].append(event)
            case Whole(source="log"):
                facts.truth[event.conv] = {item.offset: item for item in event.items}
            case Whole():
                facts.told.append(event)
            case Connection():
                facts.reconnects += event.type == "close"
            case _:
                _gather_circumstance(facts, event)
    return facts


def _gather_circumstance(facts: Facts, event: Fault | Happened | Sample | Stall | Waited) -> None:
    match event:
        case Fault():
            facts.faults.append(event)
        case Happened():
            facts.happened.append(event)
        case Sample():
            facts.samples.append(event)
        case Stall():
            facts.stalls.append(event)
        case Waited():
            facts.starving.add(event)


def _gather_send(facts: Facts, event: Send, acked: dict[str, int]) -> None:
    key = (event.conv, event.user, event.key)
    attempts = facts.sends.get(key)
    if attempts is None:
        attempts = facts.sends[key] = Attempts(key, floor=acked[event.conv])
    if event.type == "invoke":
        attempts.invokes[event.device, event.attempt] = event
        return
    attempts.outcomes.append(event)
    if event.type == "ok":
        acked[event.conv] = max(acked[event.conv], event.offset)
