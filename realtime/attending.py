"""A connection that is a device's: what its peer confirms is told to whoever keeps it (`Attendance` of the ports).

Connections of no device have no part in this but a reference to nothing.
"""

from collections.abc import Collection, Mapping
from typing import Final

from realtime.confirming import Confirming
from realtime.ports import Attendance, DeviceNews

FIRST_ASK_S: Final = 0.5
FIRST_ASK_SPREAD_S: Final = 1.0
"""From the connect to the first ping out of turn: those who come together are not asked together."""


class Attending:
    """Of one session, from its connect on."""

    __slots__ = ("_attendance", "_client", "_confirming", "_over", "_user", "device")

    def __init__(
        self, attendance: Attendance, user: str, device: str, client: str, *, now: float, random: float
    ) -> None:
        """`random`: from 0 up to 1. Tells at once that the device is connected."""
        self._attendance = attendance
        self._user = user
        self._client = client
        self._confirming = Confirming(ask_at=now + FIRST_ASK_S + random * FIRST_ASK_SPREAD_S)
        self._over = False
        self.device = device
        self._say(began=True)

    # See `Confirming` for what has no words here.

    @property
    def moved(self) -> Collection[str]:
        return self._confirming.moved

    def should_ask(self, now: float) -> bool:
        return self._confirming.should_ask(now)

    def written(self, channel: str, offset: int) -> bool:
        return self._confirming.written(channel, offset)

    def entered(self, channel: str) -> bool:
        """The session begins somewhere in this channel. True: its peer is to be asked about it."""
        if not self._attendance.follows(channel):
            return False
        self._confirming.entered(channel)
        return True

    def pinged(self, stands: Mapping[str, int] | None, now: float) -> None:
        self._confirming.pinged(stands, now)

    def ponged(self) -> None:
        """The peer is there; what is kept of the device is kept for longer."""
        self._confirming.ponged()
        self._say()

    def has(self, channel: str, offset: int) -> None:
        """The peer has the channel up to there, by its own word."""
        if self._attendance.follows(channel) and self._confirming.has(channel, offset):
            self._say()

    def ended(self, at: int) -> bool:
        """The connection is over since `at` (ms UTC). False: that was said before."""
        if self._over:
            return False
        self._over = True
        self._say(ended_at=at)
        return True

    def _say(self, *, began: bool = False, ended_at: int | None = None) -> None:
        confirmed = dict(self._confirming.confirmed)
        self._attendance.say(DeviceNews(self._user, self.device, self._client, began, ended_at, confirmed))
