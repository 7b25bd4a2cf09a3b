"""What one user may do: decided here, shared with the other processes after the fact."""

import asyncio
import math
import random
from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.limits.sharing import MAX_DEBT_S, share, sharing
from chat.limits.users import SMALL_SHARE, UserLimits
from realtime.protocol.codes import ClientError
from realtime.rates import Rate
from support.waiting import eventually


class Clock:
    """Stands still until it is told."""

    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Buckets:
    """What Redis does, on the same clock. `away` makes it fail."""

    def __init__(self, clock: Clock) -> None:
        self.clock = clock
        self.full_at: dict[str, float] = {}
        self.calls = 0
        self.away = False

    async def spend(self, charges):
        self.calls += 1
        if self.away:
            raise TimeoutError("away")
        levels = []
        for name, taken_s, most_s, ago_s in charges:
            before = max(self.full_at.get(name, 0.0), self.clock.now - ago_s)
            self.full_at[name] = min(before + taken_s, max(before, self.clock.now + most_s))
            levels.append(max(0.0, self.full_at[name] - self.clock.now))
        return levels


def limits(clock: Clock, *, commands: Rate | None = None, sends: Rate | None = None, counts=None, **more) -> UserLimits:
    counts = Counter() if counts is None else counts
    return UserLimits(commands, sends, counted=lambda limit: counts.update([limit]), monotonic=clock, **more)


def passes(limits: UserLimits, user: str = "alice", *, send: bool = False) -> bool:
    try:
        (limits.send if send else limits.command)(user)
    except ClientError:
        return False
    return True


def test_users_and_kinds_are_counted_apart_and_refusals_by_limit():
    clock, counts = Clock(), Counter()
    users = limits(clock, commands=Rate(1, 3, "commands", "of one user"), sends=Rate(1, 2, "messages"), counts=counts)
    assert [passes(users) for _ in range(4)] == [True, True, True, False]
    assert [passes(users, send=True) for _ in range(3)] == [True, True, False]
    assert passes(users, "bob")
    assert counts == {"user_commands": 1, "user_sends": 1}
    with pytest.raises(ClientError, match=r"1 commands a second of one user, 3 at once; retry_after_ms=1000$"):
        users.command("alice")
    clock.now += 1
    assert passes(users)


def test_without_rates_nothing_is_counted_or_shared():
    users = limits(Clock())
    assert all(passes(users) and passes(users, send=True) for _ in range(10_000))
    assert (users.tallies, users.fields("alice", sends=True)) == ([], {})


def test_any_number_of_users_takes_bounded_memory():
    users = limits(Clock(), commands=Rate(1, 1), most=100)
    for number in range(1000):
        assert passes(users, f"u{number}")
    assert len(users.commands) == 100


async def test_who_has_been_quiet_until_full_is_forgotten():
    clock = Clock()
    users = limits(clock, commands=Rate(1, 5))
    for number in range(100):
        passes(users, f"u{number}")
    await share(users, Buckets(clock))
    assert len(users.commands) == 100
    clock.now += 2
    passes(users, "late")
    await share(users, Buckets(clock))
    assert len(users.commands) == 1


async def test_who_is_full_here_and_spends_elsewhere_is_not_forgotten():
    clock = Clock()
    shared = Buckets(clock)
    here, there = (limits(clock, commands=Rate(10, 20)) for _ in range(2))
    assert all(passes(there) for _ in range(20))
    await share(there, shared)
    assert passes(here)
    clock.now += 0.5
    await share(here, shared)
    assert sum(passes(here) for _ in range(20)) <= 5


async def test_who_takes_next_to_nothing_is_not_told_of():
    clock = Clock()
    shared = Buckets(clock)
    users = limits(clock, commands=Rate(100, 2000), sends=Rate(20, 100))
    for number in range(100):
        assert all(passes(users, f"u{number}") for _ in range(9))
        assert passes(users, f"u{number}", send=True)
    await share(users, shared)
    assert shared.calls == 0
    assert all(passes(users) for _ in range(10))
    await share(users, shared)
    assert set(shared.full_at) == {"commands:alice"}


async def test_many_users_are_told_of_in_several_calls():
    clock = Clock()
    shared = Buckets(clock)
    users = limits(clock, commands=Rate(1, 5))
    for number in range(2500):
        passes(users, f"u{number}")
    await share(users, shared)
    assert (shared.calls, len(shared.full_at)) == (3, 2500)


async def test_what_was_spent_elsewhere_is_known_after_one_exchange():
    clock = Clock()
    shared = Buckets(clock)
    one, two = (limits(clock, sends=Rate(1, 10)) for _ in range(2))
    assert all(passes(one, send=True) for _ in range(10))
    await share(one, shared)
    assert passes(two, send=True)  # not heard of it yet: nobody asks Redis before a message passes
    await share(two, shared)
    assert not passes(two, send=True)
    clock.now += 1
    assert not passes(two, send=True)
    clock.now += 1
    assert passes(two, send=True)


async def test_what_is_spent_while_the_exchange_is_under_way_counts_too():
    clock = Clock()
    shared = Buckets(clock)
    users = limits(clock, commands=Rate(1, 10))
    passes(users)
    (spent,) = users.commands.take_spent()
    assert (spent.count, spent.since) == (1, clock.now)
    assert all(passes(users) for _ in range(9))
    users.commands.learn(clock.now, [(spent.spender, 1.0)])
    assert not passes(users)
    await share(users, shared)
    assert shared.full_at["commands:alice"] == clock.now + 9


@given(st.builds(Rate, st.floats(0.5, 50), st.integers(1, 50)), st.lists(st.floats(0, 3), min_size=1, max_size=60))
def test_an_exchange_changes_nothing_for_who_spends_on_one_process_only(rate, gaps):
    async def run() -> None:
        clock = Clock()
        shared = Buckets(clock)
        exchanging, alone = limits(clock, sends=rate), limits(clock, sends=rate)
        for index, gap in enumerate(gaps):
            clock.now += gap
            assert passes(exchanging, send=True) == passes(alone, send=True)
            if index % 3 == 2:
                clock.now += gap / 2
                await share(exchanging, shared)

    asyncio.run(run())


async def test_a_round_of_nobody_asks_nobody():
    clock = Clock()
    shared = Buckets(clock)
    await share(limits(clock, commands=Rate(1, 1)), shared)
    assert shared.calls == 0


async def test_without_redis_each_process_counts_by_itself_and_goes_on_when_it_is_back():
    clock = Clock()
    shared = Buckets(clock)
    shared.away = True
    users = limits(clock, sends=Rate(1, 3))
    async with sharing(users, shared, random=random.random, interval_s=0.01):
        assert [passes(users, send=True) for _ in range(4)] == [True, True, True, False]
        await eventually(lambda: shared.calls > 0)
        assert not passes(users, send=True)
        shared.away = False
        clock.now += 1
        assert passes(users, send=True)
        await eventually(lambda: "sends:alice" in shared.full_at)


async def test_a_fault_of_the_exchange_is_no_end_of_it():
    clock = Clock()
    shared = Buckets(clock)
    users = limits(clock, commands=Rate(1, 100))

    class Faulty:
        calls = 0

        async def spend(self, charges):
            self.calls += 1
            if self.calls == 1:
                raise KeyError("a mistake of ours")
            return await shared.spend(charges)

    async with sharing(users, Faulty(), random=lambda: 0.5, interval_s=0.01):

        async def heard() -> bool:
            passes(users)
            return "commands:alice" in shared.full_at

        await eventually(heard)


async def test_nobody_waits_for_ever_for_what_many_processes_let_through():
    clock = Clock()
    shared = Buckets(clock)
    rate = Rate(10, 20)
    for users in [limits(clock, sends=rate) for _ in range(50)]:
        assert all(passes(users, send=True) for _ in range(20))
        await share(users, shared)
    with pytest.raises(ClientError) as refused:
        users.send("alice")
    assert 0 < refused.value.retry_after_ms <= (MAX_DEBT_S + rate.interval_s) * 1000 + 1


@given(
    processes=st.integers(1, 4),
    rate=st.builds(Rate, st.floats(0.5, 50), st.integers(1, 100)),
    asked_per_s=st.lists(st.integers(0, 120), min_size=1, max_size=12),
    seed=st.integers(),
)
def test_over_any_time_all_processes_together_let_through_what_one_would_and_a_second_of_each(
    processes, rate, asked_per_s, seed
):
    async def run() -> None:
        clock, chance = Clock(), random.Random(seed)
        shared = Buckets(clock)
        hubs = [limits(clock, sends=rate) for _ in range(processes)]
        passed = 0
        for asked in asked_per_s:
            for _ in range(asked):
                clock.now += 1 / max(1, asked)
                passed += passes(chance.choice(hubs), send=True)
            for hub in hubs:
                await share(hub, shared)
        took_s = len(asked_per_s)
        untold = SMALL_SHARE * rate.per_s * took_s
        assert passed <= processes * (rate.burst + math.ceil(rate.per_s) + untold) + rate.per_s * took_s + 1
        if processes == 1:
            assert passed <= rate.burst + rate.per_s * took_s + 1

    asyncio.run(run())


def test_the_header_fields_tell_what_may_be_asked_for_and_what_is_left():
    clock = Clock()
    users = limits(clock, commands=Rate(100, 2000), sends=Rate(20, 100))
    assert users.fields("alice", sends=False) == {
        "RateLimit-Policy": '"commands";q=2000;w=20',
        "RateLimit": '"commands";r=2000;t=0',
    }
    users.command("alice")
    for _ in range(90):
        users.send("alice")
    assert users.fields("alice", sends=True) == {
        "RateLimit-Policy": '"commands";q=2000;w=20, "sends";q=100;w=5',
        "RateLimit": '"commands";r=1999;t=1, "sends";r=10;t=5',
    }
