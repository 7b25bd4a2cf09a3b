"""What one user may do, over all connections of theirs to this process and its REST, and what others told of it.

Decided here at once; `sharing` makes a user's buckets the same on all processes about once a second.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterable
from typing import Final, Literal

from chat.limits.headers import rate_limit_fields
from realtime.rates import Bucket, Rate

MAX_USERS: Final = 50_000
"""Users remembered; the one that was not heard of longest is forgotten first, and so has full buckets again."""

Counted = Callable[[Literal["user_commands", "user_sends"]], None]


class Spender:
    """One user's buckets, and how much was taken here since the other processes were told."""

    __slots__ = ("commands", "commands_spent", "sends", "sends_spent", "since", "user")

    def __init__(self, user: str) -> None:
        self.user = user
        self.commands = Bucket()
        self.sends = Bucket()
        self.commands_spent = 0
        self.sends_spent = 0
        self.since = 0.0


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
        self.commands: Final = commands
        self.sends: Final = sends
        self._counted = counted
        self._monotonic = monotonic
        self._most = most
        self._spenders: OrderedDict[str, Spender] = OrderedDict()
        self._untold: list[Spender] = []

    def __len__(self) -> int:
        return len(self._spenders)

    def command(self, user: str) -> None:
        """Count anything that a user asks for. Raises ClientError."""
        rate = self.commands
        if rate is None:
            return
        spender, now = self.spender(user), self._monotonic()
        wait_s = spender.commands.take(rate, now)
        if wait_s:
            self._counted("user_commands")
            raise rate.refusal(wait_s)
        if not spender.commands_spent and not spender.sends_spent:
            self._spent_here(spender, now)
        spender.commands_spent += 1

    def send(self, user: str) -> None:
        """Count a message or publication; it is a command as well, which is counted apart. Raises ClientError."""
        rate = self.sends
        if rate is None:
            return
        spender, now = self.spender(user), self._monotonic()
        wait_s = spender.sends.take(rate, now)
        if wait_s:
            self._counted("user_sends")
            raise rate.refusal(wait_s)
        if not spender.commands_spent and not spender.sends_spent:
            self._spent_here(spender, now)
        spender.sends_spent += 1

    def spender(self, user: str) -> Spender:
        """The user's buckets, full where nothing is known."""
        spender = self._spenders.get(user)
        if spender is None:
            spender = self._spenders[user] = Spender(user)
            if len(self._spenders) > self._most:
                self._spenders.popitem(last=False)
        else:
            self._spenders.move_to_end(user)
        return spender

    def fields(self, user: str, *, sends: bool) -> dict[str, str]:
        """The header fields that tell the user's limits, those of sending as well where it was about that."""
        spender = self.spender(user)
        policies = [] if self.commands is None else [("commands", self.commands, spender.commands)]
        if sends and self.sends is not None:
            policies.append(("sends", self.sends, spender.sends))
        return rate_limit_fields(policies, self._monotonic())

    def take_spent(self) -> tuple[float, list[tuple[Spender, int, int, float]]]:
        """The time, and who took what since the last time: commands, sends, and how many seconds ago they began.

        Begins anew, and forgets users whose buckets are full.
        """
        now = self._monotonic()
        spent = [
            (spender, spender.commands_spent, spender.sends_spent, now - spender.since) for spender in self._untold
        ]
        self._untold = []
        for spender, *_ in spent:
            spender.commands_spent = spender.sends_spent = 0
        self._forget_full(now)
        return now, spent

    def learn(self, asked_at: float, levels: Iterable[tuple[Spender, float, float]]) -> None:
        """How full the buckets are of those who spent, all processes counted: seconds until commands, sends are full.

        Counted from when it was asked for, so that an exchange makes nobody wait longer who has spent nothing
        elsewhere. What was taken here since `take_spent` is not in it yet.
        """
        for spender, commands_s, sends_s in levels:
            if self.commands is not None:
                spender.commands.raise_to(commands_s + spender.commands_spent * self.commands.interval_s, asked_at)
            if self.sends is not None:
                spender.sends.raise_to(sends_s + spender.sends_spent * self.sends.interval_s, asked_at)

    def _spent_here(self, spender: Spender, now: float) -> None:
        """The first that it took since the others were told."""
        spender.since = now
        self._untold.append(spender)

    def _forget_full(self, now: float) -> None:
        """From the longest quiet on; the first one who is still refilling ends it."""
        while self._spenders:
            spender = next(iter(self._spenders.values()))
            if spender.commands.full_at > now or spender.sends.full_at > now:
                return
            del self._spenders[spender.user]
