"""Histories made by hand and at random, for the tests of the checker."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Any

from chaos.history import (
    MESSAGE,
    CaughtUp,
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
    Subscribed,
    Unsubscribed,
    Waited,
    Whole,
)

STEP_NS = 10_000_000


@dataclass
class Story:
    """Builds a history step by step, each a little later than the one before. One conversation, `c`, on hub `h1`."""

    events: list[Event] = field(default_factory=list)
    t: int = 0
    order: int = 0

    def _at(self) -> int:
        self.t += STEP_NS
        return self.t

    def wait(self, seconds: float) -> None:
        self.t += int(seconds * 1e9)

    def device(self, user: str, *, roams: bool = False, stranger: bool = False, at: int | None = 0) -> None:
        """A device of the user, of the same name, subscribed from an offset on."""
        self.events.append(Device(self._at(), user, user, roams, stranger))
        if at is not None:
            self.subscribed(user, at)

    def subscribed(self, device: str, offset: int, *, was_recovering: bool = False, recovered: bool = False) -> None:
        self.events.append(Subscribed(self._at(), device, "c", offset, was_recovering, recovered))

    def unsubscribed(self, device: str) -> None:
        self.events.append(Unsubscribed(self._at(), device, "c"))

    def invoke(self, user: str, key: str, *, attempt: int = 1) -> None:
        self.order += attempt == 1
        self.events.append(
            Send(self._at(), "invoke", user, user, "c", key, attempt, "h1", connection=f"s-{user}", order=self.order)
        )

    def answer(self, kind: Any, user: str, key: str, offset: int = 0, *, attempt: int = 1, **more: Any) -> None:
        order = next(
            (one.order for one in self.events if isinstance(one, Send) and (one.user, one.key) == (user, key)), 0
        )
        told = {"id": f"c.{offset}", "offset": offset, "sender": user} if kind == "ok" else {}
        fields = {"connection": f"s-{user}", "order": order, **told, **more}
        self.events.append(Send(self._at(), kind, user, user, "c", key, attempt, "h1", **fields))

    def send(self, user: str, key: str, offset: int) -> None:
        """Asked for and acknowledged."""
        self.invoke(user, key)
        self.answer("ok", user, key, offset)

    def told(self, device: str, offset: int, sender: str, key: str, *, kind: str = MESSAGE, via: str = "live") -> None:
        self.events.append(Received(self._at(), device, device, "h1", "c", offset, kind, sender, key, via))

    def page(self, user: str, items: Sequence[Item], *, fills: bool = False) -> None:
        asked = self._at()
        self.events.append(Page(self._at(), asked, user, user, "h1", "c", tuple(items), fills))

    def member(self, kind: Any, user: str, *, came: bool) -> None:
        self.events.append(Member(self._at(), kind, "c", user, came))

    def fault(self, kind: Any, *, within_s: float = 10.0) -> None:
        self.events.append(Fault(self._at(), kind, "F0", within_s=within_s if kind == "end" else 0.0))

    def happened(self, what: str, hub: str = "h1") -> None:
        self.events.append(Happened(self._at(), hub, what))

    def waited(self, name: str, waited_s: float) -> None:
        self.events.append(Waited(self._at(), name, waited_s))

    def sample(self, phase: str, descriptors: int, resident_bytes: int = 100 << 20) -> None:
        self.events.append(Sample(self._at(), "h1", phase, descriptors, resident_bytes))

    def end(self, items: Sequence[Item], *devices: str, source: str = "log", acked: int = 0) -> "Story":
        """What is in the log, and who was up to date in the end."""
        self.events.append(Whole(self._at(), "c", source, tuple(items), acked))
        self.events += [CaughtUp(self._at(), device, "c") for device in devices]
        return self


def joined(offset: int, *users: str) -> Item:
    return Item(offset, "member.joined", users[0], "", users)


def left(offset: int, user: str) -> Item:
    return Item(offset, "member.left", user, "", (user,))


def message(offset: int, sender: str, key: str) -> Item:
    return Item(offset, MESSAGE, sender, key)


def good() -> Story:
    """Two members, three messages, everything as it should be; the log is not told yet."""
    story = Story()
    story.device("ann", at=1)
    story.device("bob", at=1)
    for offset, (user, key) in enumerate((("ann", "k1"), ("bob", "k2"), ("ann", "k3")), start=2):
        story.send(user, key, offset)
        story.told("ann", offset, user, key)
        story.told("bob", offset, user, key)
    return story


LOG = (joined(1, "ann", "bob", "cid"), message(2, "ann", "k1"), message(3, "bob", "k2"), message(4, "ann", "k3"))


def random_story(random: Random) -> Story:
    """A correct execution: sends with lost answers and repeats, lost connections, resumes, gaps that are paged."""
    story = Story()
    log: list[Item] = [joined(1, "ann", "bob", "cid")]
    users = ("ann", "bob", "cid")
    at = dict.fromkeys(users, 1)
    for user in users:
        story.device(user, at=1)
    for number in range(random.randint(1, 25)):
        _one_send(story, random, log, random.choice(users), f"k{number}")
        for user in users:
            _some_news(story, random, log, at, user)
    for user in users:
        _all_news(story, log, at, user)
    story.page("ann", [item for item in log if item.kind == MESSAGE])
    story.end(log, *users)
    messages = [item for item in log if item.kind == MESSAGE]
    story.end(messages, source="rest by h1")
    return story


def _one_send(story: Story, random: Random, log: list[Item], user: str, key: str) -> None:
    story.invoke(user, key)
    match random.randrange(5):
        case 0:  # the answer is lost, the message is not
            log.append(message(len(log) + 1, user, key))
            story.answer("info", user, key, why="disconnected")
            if random.random() < 0.7:
                story.invoke(user, key, attempt=2)
                story.answer("ok", user, key, len(log), attempt=2, duplicate=True)
        case 1:  # both are lost
            story.answer("info", user, key, why="error")
        case 2:
            story.answer("fail", user, key, code=103)
        case _:
            log.append(message(len(log) + 1, user, key))
            story.answer("ok", user, key, len(log))


def _some_news(story: Story, random: Random, log: list[Item], at: dict[str, int], user: str) -> None:
    match random.randrange(6):
        case 0:
            return
        case 1:
            story.subscribed(user, at[user], was_recovering=True, recovered=True)
            if at[user] > 1 and random.random() < 0.5:  # what it has already comes once more
                item = log[at[user] - 1]
                story.told(user, item.offset, item.sender, item.key, kind=item.kind)
        case 2 if len(log) > at[user]:
            story.subscribed(user, len(log), was_recovering=True, recovered=False)
            story.page(user, [item for item in log[at[user] :] if item.kind == MESSAGE], fills=True)
            at[user] = len(log)
        case _:
            _all_news(story, log, at, user)


def _all_news(story: Story, log: list[Item], at: dict[str, int], user: str) -> None:
    for item in log[at[user] :]:
        story.told(user, item.offset, item.sender, item.key, kind=item.kind)
    at[user] = len(log)
