"""A handset, as far as a person can see: what is on its screen, its number, how often it rang. Pure.

It does what the systems and the vendors' queues do to a push on its way, and what an app of ours does with it. Some of
that is nowhere promised, so the numbers are settings.

- While an iPhone is away, APNs keeps the latest push for an app and forgets those before. Firebase keeps a hundred, and
  drops all when there is one more; push services keep what has no topic, and the last of each topic.
- An iPhone draws an alert itself, after the app's extension had a chance to change it. It rings for a replacement as
  for a first one, so a repeated job is made silent by the extension. The app itself runs for a few pushes in an hour,
  and never when the person has ended it.
- On Android the app draws what has data alone; the system draws a `notification` while the app is not in front.
- A browser runs the service worker. Safari takes the subscription away when nothing is shown a few times; the others
  show a line of their own instead.
"""

from collections import deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, TypeAlias

import orjson

from chat.push.lab.arrivals import Arrival, Ours, read_arrival
from chat.push.lab.screen import Brought

Platform: TypeAlias = Literal["ios", "android", "web"]
Extension: TypeAlias = Literal["works", "hangs", "none"]
Unseal: TypeAlias = Callable[[bytes], bytes]

BACKGROUND_LINE: Final = "This site has been updated in the background."
_REMEMBERED: Final = 1000
_BROUGHT_BY: Final[Mapping[Platform, Brought]] = {"ios": "apns", "android": "fcm", "web": "webpush"}


@dataclass(frozen=True, slots=True)
class HandsetSettings:
    """`background_per_hour`: how often an iPhone runs an app for a push. `silent_pushes`: at the last of so many in a
    row Safari ends the subscription. `stored` and `stored_keys`: how many messages, and how many collapse keys,
    Firebase keeps for a device.
    """

    background_per_hour: int = 3
    silent_pushes: int = 3
    stored: int = 100
    stored_keys: int = 4


@dataclass(frozen=True, slots=True)
class Banner:
    """A notification that is on the screen. `rang_at_s`: when it last made a sound, None: it never did."""

    title: str
    body: str
    shown_at_s: float
    rang_at_s: float | None = None
    collapse: str = ""
    conversation: str = ""
    upto: int = 0
    group: str = ""


@dataclass(frozen=True, slots=True)
class _Waiting:
    arrival: Arrival
    ends_at_s: float


class Handset:
    """Is a `Screen` for its own addresses. Online, unlocked and with the app in the background at first.

    `extension`: whether the app on an iPhone has a notification service extension, and whether that comes to an end.
    `unseal` opens what is sealed for this device and gives JSON with `title` and `body`; raises ValueError.
    `on_revoked` is called once, with the address, when the browser has ended the subscription.
    """

    def __init__(
        self,
        platform: Platform,
        *addresses: str,
        clock: Callable[[], float],
        browser: Literal["safari", "chrome"] = "chrome",
        extension: Extension = "works",
        unseal: Unseal | None = None,
        on_revoked: Callable[[str], None] = lambda _: None,
        settings: HandsetSettings | None = None,
    ) -> None:
        self.platform: Final = platform
        self.addresses: Final = set(addresses)
        self.online = True
        self.foreground = False
        self.ended = False
        self.dozing = False
        self.extension: Extension = extension
        self.badge = 0
        self.rang_at_s: Final[list[float]] = []
        self.revoked = False
        self.lost = False
        """Firebase had too much to keep and dropped it: the app is told so, and has to ask."""
        self.wasted = 0
        """Urgent messages for which Android saw nothing appear; it takes urgency away from such an app."""
        self._browser: Final = browser
        self._clock: Final = clock
        self._unseal: Final = unseal
        self._on_revoked: Final = on_revoked
        self._settings: Final = settings or HandsetSettings()
        self._tray: list[Banner] = []
        self._waiting: list[_Waiting] = []
        self._dozed: list[Arrival] = []
        self._jobs: Final[deque[str]] = deque(maxlen=_REMEMBERED)
        self._read: Final[dict[str, int]] = {}
        self._woken_at_s: Final[deque[float]] = deque()
        self._silent = 0

    @property
    def tray(self) -> tuple[Banner, ...]:
        """What is on the screen, the oldest first."""
        return tuple(self._tray)

    @property
    def rings(self) -> int:
        """How often it made a sound."""
        return len(self.rang_at_s)

    def show(self, brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        """See `Screen`."""
        if address not in self.addresses or brought != _BROUGHT_BY[self.platform] or self.revoked:
            return
        arrival = read_arrival(brought, headers, payload, now_s=self._clock())
        if arrival is None:
            return
        if self.online:
            self._arrive(arrival)
        elif arrival.lasts_s > 0:
            self._keep(arrival)

    def go_offline(self) -> None:
        self.online = False

    def go_online(self) -> None:
        """What waited and is not too old arrives, in its order."""
        self.online = True
        waiting, self._waiting = self._waiting, []
        for one in waiting:
            if self._clock() < one.ends_at_s:
                self._arrive(one.arrival)

    def doze(self) -> None:
        """An Android that lies on the table: what is not urgent waits."""
        self.dozing = True

    def wake(self) -> None:
        self.dozing = False
        dozed, self._dozed = self._dozed, []
        for arrival in dozed:
            self._arrive(arrival)

    def open_app(self) -> None:
        """The person has the app in front."""
        self.foreground, self.ended = True, False

    def leave_app(self) -> None:
        self.foreground = False

    def end_app(self) -> None:
        """Swiped away on an iPhone, stopped by force on an Android: it runs for nothing until it is opened."""
        self.foreground, self.ended = False, True

    def read(self, conversation: str, upto: int, *, badge: int | None = None) -> None:
        """The person reads in the app. `badge`: the number that the app puts there then."""
        self._forget(conversation, upto)
        if badge is not None:
            self.badge = badge

    def dismiss(self) -> None:
        """The person takes away everything that is shown."""
        self._tray.clear()

    def _keep(self, arrival: Arrival) -> None:
        """In the vendor's queue."""
        if arrival.place:
            self._waiting = [one for one in self._waiting if one.arrival.place != arrival.place]
        self._waiting.append(_Waiting(arrival, self._clock() + arrival.lasts_s))
        if arrival.brought != "fcm":
            return
        keyed = [one for one in self._waiting if one.arrival.place]
        if len(keyed) > self._settings.stored_keys:
            self._waiting.remove(keyed[0])
        if len(self._waiting) > self._settings.stored:
            self._waiting, self.lost = [], True

    def _arrive(self, arrival: Arrival) -> None:
        match self.platform:
            case "ios":
                self._on_iphone(arrival)
            case "android":
                self._on_android(arrival)
            case "web":
                self._in_browser(arrival)

    def _on_iphone(self, arrival: Arrival) -> None:
        if arrival.badge is not None:
            self.badge = arrival.badge
        if arrival.alert:
            if self.foreground:
                self._remember(arrival.ours)
            elif arrival.mutable and self.extension == "works":
                self._draw(self._opened(arrival), sound=arrival.sound and self._remember(arrival.ours))
            else:
                self._draw(arrival, sound=arrival.sound)
        if arrival.wakes and self._runs_in_background():
            self._handle(arrival.ours)

    def _on_android(self, arrival: Arrival) -> None:
        if self.ended:
            return
        if self.dozing and not arrival.urgent:
            self._dozed.append(arrival)
            return
        if arrival.drawn and not self.foreground:
            if arrival.badge is not None:
                self.badge = arrival.badge
            self._draw(arrival, sound=arrival.sound)
            return
        before = self._tray.copy()
        self._in_app(arrival)
        if arrival.urgent and self._tray == before and not self.foreground:
            self.wasted += 1

    def _in_app(self, arrival: Arrival) -> None:
        """What our app for Android does, and what is in docs for those who write another one."""
        ours = arrival.ours
        first = self._remember(ours)
        if arrival.badge is not None:
            self.badge = arrival.badge
        if not arrival.alert:
            self._handle(ours)
            return
        opened = self._opened(arrival)
        if self.foreground or self._is_old(opened) or opened.ours.upto in range(1, self._read_upto(opened) + 1):
            return
        # One that it has had may say something else by now; if the person has taken it away, it stays away.
        if first or any(one.collapse == opened.collapse for one in self._tray):
            self._draw(opened, sound=opened.sound and first)

    def _in_browser(self, arrival: Arrival) -> None:
        first = self._remember(arrival.ours)
        if arrival.badge is not None:
            self.badge = arrival.badge
        if self._browser == "chrome" and self.foreground:
            # With the page in view the worker need not show anything.
            return
        if arrival.alert:
            self._silent = 0
            opened = self._opened(arrival)
            # Something has to be shown, so an old one is answered with what is there already, and no sound.
            if not self._is_old(opened):
                self._draw(opened, sound=opened.sound and first)
            return
        self._handle(arrival.ours)
        if self._browser == "chrome":
            self._draw(replace(arrival, title="", body=BACKGROUND_LINE, collapse="background"), sound=False)
            return
        self._silent += 1
        if self._silent >= self._settings.silent_pushes:
            self.revoked = True
            for address in self.addresses:
                self._on_revoked(address)

    def _draw(self, arrival: Arrival, *, sound: bool) -> None:
        """A banner, in place of the one with the same collapse id."""
        now_s, ours = self._clock(), arrival.ours
        before = next((one for one in self._tray if arrival.collapse and one.collapse == arrival.collapse), None)
        rang_at_s = now_s if sound else before.rang_at_s if before is not None else None
        if before is not None:
            self._tray.remove(before)
        self._tray.append(
            Banner(
                arrival.title,
                arrival.body,
                now_s,
                rang_at_s,
                arrival.collapse,
                ours.conversation,
                ours.upto,
                ours.group,
            )
        )
        if sound:
            self.rang_at_s.append(now_s)

    def _opened(self, arrival: Arrival) -> Arrival:
        """With the texts that were sealed, if this device can open them."""
        if arrival.ours.sealed is None or self._unseal is None:
            return arrival
        try:
            told: Any = orjson.loads(self._unseal(arrival.ours.sealed))
        except ValueError:
            return arrival
        if not isinstance(told, dict):
            return arrival
        ours = replace(arrival.ours, conversation=told.get("conversation", ""), upto=told.get("upto", 0))
        return replace(arrival, title=told.get("title", ""), body=told.get("body", ""), ours=ours)

    def _is_old(self, arrival: Arrival) -> bool:
        """Whether what is shown in its place tells of more."""
        return any(one.collapse == arrival.collapse and one.upto > arrival.ours.upto for one in self._tray)

    def _read_upto(self, arrival: Arrival) -> int:
        return self._read.get(arrival.ours.conversation, 0)

    def _remember(self, ours: Ours) -> bool:
        """Whether this job is new to the app."""
        if not ours.job_id:
            return True
        if ours.job_id in self._jobs:
            return False
        self._jobs.append(ours.job_id)
        return True

    def _handle(self, ours: Ours) -> None:
        """The app's own code, for what shows nothing."""
        if ours.kind == "clear":
            self._forget(ours.conversation, ours.upto)
            self._tray = [one for one in self._tray if one.collapse != ours.collapse_id or one.upto > ours.upto]

    def _forget(self, conversation: str, upto: int) -> None:
        """The conversation was read up to there."""
        self._read[conversation] = max(self._read.get(conversation, 0), upto)
        self._tray = [one for one in self._tray if one.conversation != conversation or one.upto > upto]

    def _runs_in_background(self) -> bool:
        if self.ended:
            return False
        if self.foreground:
            return True
        now_s = self._clock()
        while self._woken_at_s and self._woken_at_s[0] <= now_s - 3600:
            self._woken_at_s.popleft()
        if len(self._woken_at_s) >= self._settings.background_per_hour:
            return False
        self._woken_at_s.append(now_s)
        return True


class Handsets:
    """All of them: a `Screen` that hands on to whoever has the address."""

    def __init__(self) -> None:
        self._handsets: Final[dict[str, Handset]] = {}

    def add(self, handset: Handset) -> Handset:
        """From now on it gets what comes for its addresses, and who had them gets nothing."""
        for address in handset.addresses:
            self._handsets[address] = handset
        return handset

    def remove(self, handset: Handset) -> None:
        for address in [address for address, one in self._handsets.items() if one is handset]:
            del self._handsets[address]

    def show(self, brought: Brought, address: str, headers: Mapping[str, str], payload: bytes) -> None:
        """See `Screen`."""
        if (handset := self._handsets.get(address)) is not None:
            handset.show(brought, address, headers, payload)
