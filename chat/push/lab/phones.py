"""The demo phones: who has which, what a person does with one, and what has happened to it, for a page that shows all.

Nothing here is kept: phones are new with each start.
"""

import asyncio
import itertools
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Literal, TypeAlias

import msgspec

from chat.push.lab.handset import Banner, Handset, Handsets, Platform
from chat.push.lab.screen import Brought

REMEMBERED: Final = 30
"""So many happenings of a phone; older ones are forgotten."""

Happened: TypeAlias = Literal["rang", "shown", "replaced", "cleared", "badge", "nothing", "away", "switched"]
"""`rang`, `shown` (without a sound), `replaced` (a banner by another, without a sound) and `cleared` are about a
banner. `badge`: the number alone has changed. `nothing`: a push arrived, and nothing is to be seen of it. `away`: it
arrived at the vendor, the phone does not. `switched`: the person did something.
"""


class Switch(StrEnum):
    """What a person can do with a phone. All but `dismiss` can be undone."""

    OFFLINE = "offline"
    POCKET = "pocket"
    ENDED = "ended"
    DOZING = "dozing"
    DISMISS = "dismiss"


class NotOfThisPhone(ValueError):
    """The switch is none of this platform's."""


class SeenBanner(msgspec.Struct, frozen=True):
    """A notification on a screen. Times are ms UTC; `rang_at` is None when it never made a sound. `key` is one per
    banner and its replacements.
    """

    key: str
    title: str
    body: str
    conversation: str
    shown_at: int
    rang_at: int | None


class Happening(msgspec.Struct, frozen=True):
    """`number` counts up from 1 over all phones."""

    number: int
    at: int
    what: Happened
    text: str = ""


class SeenPhone(msgspec.Struct, frozen=True):
    """A phone as it is now. `switches`: those there are, and whether they are on. `waiting`: pushes at the vendor."""

    id: str
    name: str
    user: str
    platform: Platform
    badge: int
    rings: int
    switches: Mapping[str, bool]
    banners: tuple[SeenBanner, ...]
    log: tuple[Happening, ...]


class Seen(msgspec.Struct, frozen=True):
    """All phones. `version` is another one after whatever happens, and never that of an earlier start."""

    version: str
    phones: tuple[SeenPhone, ...]


@dataclass(frozen=True, slots=True)
class Phone:
    """A handset that belongs to a demo user."""

    id: str
    name: str
    user: str
    handset: Handset


class Phones:
    """Is the `Screen` of all emulators. Belongs to one event loop."""

    def __init__(self, *, clock: Callable[[], float]) -> None:
        self._clock: Final = clock
        self._handsets: Final = Handsets()
        self._phones: Final[dict[str, Phone]] = {}
        self._logs: Final[dict[str, deque[Happening]]] = {}
        self._numbers: Final = itertools.count(1)
        self._start: Final = secrets.token_hex(4)
        self._changes = 0
        self._changed = asyncio.Event()

    @property
    def all(self) -> tuple[Phone, ...]:
        return tuple(self._phones.values())

    def add(self, phone: Phone) -> None:
        self._handsets.add(phone.handset)
        self._phones[phone.id] = phone
        self._logs[phone.id] = deque(maxlen=REMEMBERED)
        self._touch()

    def show(self, brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        """See `Screen`."""
        phone = next((one for one in self._phones.values() if address in one.handset.addresses), None)
        if phone is None:
            return
        before = _Before.of(phone.handset)
        self._handsets.show(brought, address, headers, payload)
        self._compare(phone, before, arrived=True)
        self._touch()

    def switch(self, phone: str, switch: Switch) -> None:
        """Turn it, or do it. Raises KeyError for a phone that is not there, NotOfThisPhone."""
        one = self._phones[phone]
        if switch is not Switch.DISMISS and switch not in _switches(one.handset):
            raise NotOfThisPhone(f"there is no {switch} on {one.name}")
        before = _Before.of(one.handset)
        self._note(phone, "switched", _turn(one.handset, switch))
        self._compare(one, before, arrived=False)
        self._touch()

    def seen(self) -> Seen:
        return Seen(self._version, tuple(self._seen(phone) for phone in self._phones.values()))

    async def changed(self, version: str, *, within_s: float) -> Seen | None:
        """What there is once it differs from this version; None when nothing happens in that time."""
        try:
            async with asyncio.timeout(within_s):
                while self._version == version:
                    await self._changed.wait()
        except TimeoutError:
            return None
        return self.seen()

    @property
    def _version(self) -> str:
        return f"{self._start}.{self._changes}"

    def _touch(self) -> None:
        self._changes += 1
        # Whoever waits has the old one; the next to wait gets a new one.
        self._changed.set()
        self._changed = asyncio.Event()

    def _note(self, phone: str, what: Happened, text: str = "") -> None:
        self._logs[phone].append(Happening(next(self._numbers), _ms(self._clock()), what, text))

    def _compare(self, phone: Phone, before: "_Before", *, arrived: bool) -> None:
        handset = phone.handset
        tray, noted = handset.tray, 0
        replaced = {one.collapse for one in tray if one.collapse}
        for banner in before.tray:
            if banner not in tray and banner.collapse not in replaced:
                self._note(phone.id, "cleared", _line(banner))
                noted += 1
        for banner in tray:
            if banner in before.tray:
                continue
            old = any(banner.collapse and one.collapse == banner.collapse for one in before.tray)
            rang = handset.rings > before.rings and banner.rang_at_s == banner.shown_at_s
            self._note(phone.id, "rang" if rang else "replaced" if old else "shown", _line(banner))
            noted += 1
        if noted or not arrived:
            return
        if handset.badge != before.badge:
            self._note(phone.id, "badge", str(handset.badge))
        else:
            self._note(phone.id, "nothing" if handset.online and not handset.dozing else "away")

    def _seen(self, phone: Phone) -> SeenPhone:
        handset = phone.handset
        return SeenPhone(
            phone.id,
            phone.name,
            phone.user,
            handset.platform,
            handset.badge,
            handset.rings,
            {str(name): on for name, on in _switches(handset).items()},
            tuple(reversed([_seen(number, banner) for number, banner in enumerate(handset.tray)])),
            tuple(reversed(self._logs[phone.id])),
        )


@dataclass(frozen=True, slots=True)
class _Before:
    tray: tuple[Banner, ...]
    badge: int
    rings: int

    @classmethod
    def of(cls, handset: Handset) -> "_Before":
        return cls(handset.tray, handset.badge, handset.rings)


def _switches(handset: Handset) -> dict[Switch, bool]:
    """Those of its platform: a browser cannot be stopped by force and still be a browser, an iPhone does not doze."""
    switches = {Switch.OFFLINE: not handset.online, Switch.POCKET: not handset.foreground}
    if handset.platform != "web":
        switches[Switch.ENDED] = handset.ended
    if handset.platform == "android":
        switches[Switch.DOZING] = handset.dozing
    return switches


def _turn(handset: Handset, switch: Switch) -> str:
    """Do it; what was done, in words."""
    match switch:
        case Switch.OFFLINE if handset.online:
            handset.go_offline()
            return "is offline"
        case Switch.OFFLINE:
            handset.go_online()
            return "is online"
        case Switch.POCKET if handset.foreground:
            handset.leave_app()
            return "is in the pocket"
        case Switch.POCKET:
            handset.open_app()
            return "has the app in front"
        case Switch.ENDED if not handset.ended:
            handset.end_app()
            return "has force-quit the app"
        case Switch.ENDED:
            handset.open_app()
            handset.leave_app()
            return "has opened the app again"
        case Switch.DOZING if not handset.dozing:
            handset.doze()
            return "dozes"
        case Switch.DOZING:
            handset.wake()
            return "is awake"
        case _:
            handset.dismiss()
            return "was swept clean"


def _seen(number: int, banner: Banner) -> SeenBanner:
    """`number` tells those apart that replace nothing, and may come in the same moment."""
    return SeenBanner(
        banner.collapse or f"{number}:{banner.conversation}:{banner.shown_at_s}",
        banner.title,
        banner.body,
        banner.conversation,
        _ms(banner.shown_at_s),
        None if banner.rang_at_s is None else _ms(banner.rang_at_s),
    )


def _line(banner: Banner) -> str:
    return ": ".join(text for text in (banner.title, banner.body) if text)


def _ms(at_s: float) -> int:
    return int(at_s * 1000)
