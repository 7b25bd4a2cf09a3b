"""What one user may do, over all connections of theirs to this process and its REST, and what others told of it.

Decided here at once; `sharing` makes a user's buckets the same on all processes about once a second.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from chat.limits.headers import rate_limit_fields
from realtime.rates import Bucket, Rate

MAX_USERS: Final = 50_000
"""Users remembered; the one that was not heard of longest is forgotten first, and so has full buckets again."""

SMALL_SHARE: Final = 0.1
"""Of what is refilled in a second. Who took less is not told of: nearly everybody, and it is back in a tenth of one."""

Limit = Literal["user_commands", "user_sends"]
Counted = Callable[[Limit], None]


class Spender(Bucket):
    """One user's bucket, and how much was taken here since the other processes were told."""

    __slots__ = ("since", "spent", "user")

    def __init__(self, user: str) -> None:
        super().__init__()
        self.user = user
        self.spent = 0
        self.since = 0.0


@dataclass(frozen=True, slots=True)
class Spent:
    """What one user took: `count` tokens since `since`."""

    spender: Spender
    count: int
    since: float


class Tally:
    """The buckets of all users for one kind of thing. Bound: `most` users."""

    def __init__(self, name: str, rate: Rate, *, most: int) -> None:
        self.name = name
        self.rate = rate
        self._most = most
        self._spenders: OrderedDict[str, Spender] = OrderedDict()
        self._untold: list[Spender] = []

    def __len__(self) -> int:
        return len(self._spenders)

    def take(self, user: str, now: float) -> float:
        """Take a token: 0. Where there is none: in how many seconds there will be one."""
        spender = self.spender(user)
        wait_s = spender.take(self.rate, now)
        if not wait_s:
            if not spender.spent:
                spender.since = now
                self._untold.append(spender)
            spender.spent += 1
        return wait_s

    def spender(self, user: str) -> Spender:
        """The user's bucket, full where nothing is known."""
        spender = self._spenders.get(user)
        if spender is None:
            spender = self._spenders[user] = Spender(user)
            if len(self._spenders) > self._most:
                self._spenders.popitem(last=False)
        else:
            self._spenders.move_to_end(user)
        return spender

    def take_spent(self) -> list[Spent]:
        """Who took what since the last time, of those who took enough to be told of. Begins anew."""
        least = self.rate.per_s * SMALL_SHARE
        spent = [Spent(spender, spender.spent, spender.since) for spender in self._untold if spender.spent >= least]
        for spender in self._untold:
            spender.spent = 0
        self._untold = []
        return spent

    def learn(self, asked_at: float, levels: Iterable[tuple[Spender, float]]) -> None:
        """In how many seconds the buckets of these users will be full, all processes counted.

        Counted from when it was asked for, so that an exchange makes nobody wait longer who has spent nothing
        elsewhere. What was taken here since `take_spent` is not in it yet.
        """
        for spender, level_s in levels:
            spender.raise_to(level_s + spender.spent * self.rate.interval_s, asked_at)

    def forget_full(self, now: float) -> None:
        """From the longest quiet on; the first one who is still refilling, or whose spending is to be told, ends it."""
        while self._spenders:
            spender = next(iter(self._spenders.values()))
            if spender.full_at > now or spender.spent:
                return
            del self._spenders[spender.user]


class UserLimits:
    """Raises ClientError 111 for what is too much. A rate of None is no limit. `counted` hears what was refused."""

    def __init__(
        self,
        commands: Rate | None,
        sends: Rate | None,
        *,
        counted: Counted,
        monotonic: Callable[[], float],
        most: int = MAX_USERS,
    ) -> None:
        self.commands: Final = None if commands is None else Tally("commands", commands, most=most)
        self.sends: Final = None if sends is None else Tally("sends", sends, most=most)
        self.monotonic: Final = monotonic
        self._counted = counted

    @property
    def tallies(self) -> list[Tally]:
        return [tally for tally in (self.commands, self.sends) if tally is not None]

    def command(self, user: str) -> None:
        """Count anything that a user asks for. Raises ClientError."""
        if self.commands is not None and (wait_s := self.commands.take(user, self.monotonic())):
            self._counted("user_commands")
            raise self.commands.rate.refusal(wait_s)

    def send(self, user: str) -> None:
        """Count a message or publication; it is a command as well, which is counted apart. Raises ClientError."""
        if self.sends is not None and (wait_s := self.sends.take(user, self.monotonic())):
            self._counted("user_sends")
            raise self.sends.rate.refusal(wait_s)

    def fields(self, user: str, *, sends: bool) -> dict[str, str]:
        """The header fields that tell the user's limits, those of sending as well where it was about that."""
        tallies = self.tallies if sends else [tally for tally in self.tallies if tally is not self.sends]
        return rate_limit_fields([(one.name, one.rate, one.spender(user)) for one in tallies], self.monotonic())
