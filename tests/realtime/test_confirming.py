"""Which pong confirms what: whatever the order of writes, pings and pongs, never more than the peer had been given."""

from collections import deque

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from realtime.confirming import ASK_APART_S, MAX_ASKED, MAX_CONFIRMED, Confirming


def confirming() -> Confirming:
    return Confirming(ask_at=0.0)


def test_a_pong_confirms_what_was_written_before_its_ping_and_nothing_later() -> None:
    one = confirming()
    one.written("here", 1)
    one.pinged({"here": 1}, 0.0)
    one.written("here", 2)
    one.ponged()
    assert one.confirmed == {"here": 1}
    one.pinged({"here": 2}, 3.0)
    one.ponged()
    assert one.confirmed == {"here": 2}


def test_a_pong_that_nobody_asked_for_confirms_nothing_neither_now_nor_later() -> None:
    one = confirming()
    one.written("here", 1)
    one.ponged()
    one.pinged({"here": 1}, 0.0)
    assert one.confirmed == {}
    one.ponged()
    assert one.confirmed == {"here": 1}


def test_a_ping_that_overtakes_what_is_queued_confirms_nothing_and_keeps_the_question() -> None:
    one = confirming()
    one.written("here", 1)
    one.pinged(None, 0.0)
    one.ponged()
    assert one.confirmed == {}
    assert one.should_ask(ASK_APART_S)


def test_it_asks_when_something_was_written_but_not_twice_in_three_seconds_and_not_before_the_answer() -> None:
    one = confirming()
    assert not one.should_ask(0.0)
    one.written("here", 1)
    assert one.should_ask(0.0)
    one.pinged({"here": 1}, 0.0)
    assert not one.written("here", 1)  # that is being asked
    assert one.written("here", 2)
    assert not one.should_ask(ASK_APART_S)
    one.ponged()
    assert not one.should_ask(ASK_APART_S - 0.01)
    assert one.should_ask(ASK_APART_S)


def test_what_the_peer_has_said_itself_is_not_asked() -> None:
    one = confirming()
    assert one.has("here", 5)
    assert not one.has("here", 5)
    assert not one.written("here", 5)
    assert not one.should_ask(0.0)


def test_where_it_is_behind_or_out_it_does_not_go_on_asking() -> None:
    one = confirming()
    one.written("here", 1)
    one.pinged({}, 0.0)
    one.ponged()
    assert not one.should_ask(ASK_APART_S)


def test_of_too_many_channels_the_latest_count() -> None:
    one = confirming()
    for number in range(MAX_CONFIRMED + 1):
        one.written(f"c{number}", 1)
    assert list(one.moved) == [f"c{number}" for number in range(1, MAX_CONFIRMED + 1)]
    for number in range(MAX_CONFIRMED + 1):
        one.has(f"c{number}", 1)
    assert list(one.confirmed) == [f"c{number}" for number in range(1, MAX_CONFIRMED + 1)]
    one.has("c1", 2)
    one.has("new", 1)
    assert "c1" in one.confirmed
    assert "c2" not in one.confirmed


def test_of_too_many_channels_that_it_begins_in_the_first_count() -> None:
    one = confirming()
    for number in range(MAX_CONFIRMED + 1):
        one.entered(f"c{number}")
    assert list(one.moved) == [f"c{number}" for number in range(MAX_CONFIRMED)]


def test_a_peer_that_never_answers_makes_it_remember_only_so_much() -> None:
    one = confirming()
    for number in range(1, MAX_ASKED + 3):
        one.written("here", number)
        one.pinged({"here": number}, 0.0)
    for _ in range(MAX_ASKED):
        one.ponged()
    assert one.confirmed == {"here": MAX_ASKED}
    one.ponged()
    one.ponged()
    assert one.confirmed == {"here": MAX_ASKED}
    assert list(one.moved) == ["here"]


CHANNELS = st.sampled_from([f"c{number}" for number in range(4)])


class Wire(RuleBasedStateMachine):
    """A connection whose both directions keep their order, but where pings overtake what is queued at the server."""

    def __init__(self) -> None:
        super().__init__()
        self.one = confirming()
        self.now = 0.0
        self.heads: dict[str, int] = {}
        self.queued: deque[tuple[str, int]] = deque()
        self.down: deque[tuple[str, int] | None] = deque()  # None: a ping
        self.up = 0
        self.got: dict[str, int] = {}

    @rule(channel=CHANNELS, queued=st.booleans())
    def write(self, channel: str, queued: bool) -> None:
        offset = self.heads[channel] = self.heads.get(channel, 0) + 1
        (self.queued if queued or self.queued else self.down).append((channel, offset))
        self.one.written(channel, offset)

    @rule()
    def unqueue(self) -> None:
        self.down.extend(self.queued)
        self.queued.clear()

    @rule(after_s=st.floats(0, 5))
    def ping(self, after_s: float) -> None:
        self.now += after_s
        stands = None if self.queued else {name: self.heads[name] for name in self.one.moved}
        self.one.pinged(stands, self.now)
        self.down.append(None)

    @precondition(lambda self: self.down)
    @rule(answers=st.sampled_from([True, True, True, False]))
    def peer_reads(self, answers: bool) -> None:
        match self.down.popleft():
            case None:
                self.up += answers
            case channel, offset:
                self.got[channel] = offset

    @precondition(lambda self: self.up)
    @rule()
    def pong(self) -> None:
        self.up -= 1
        self.one.ponged()

    @invariant()
    def nothing_is_confirmed_that_the_peer_has_not_got(self) -> None:
        for channel, offset in self.one.confirmed.items():
            assert offset <= self.got.get(channel, 0)


TestWire = Wire.TestCase


@given(st.lists(st.one_of(CHANNELS, st.none()), max_size=60))
def test_a_peer_that_answers_everything_has_confirmed_everything_in_the_end(writes: list[str | None]) -> None:
    """None: a while later; whoever should be asked is."""
    one, heads, now = confirming(), dict[str, int](), 0.0
    for channel in [*writes, None]:
        if channel is not None:
            heads[channel] = heads.get(channel, 0) + 1
            one.written(channel, heads[channel])
            continue
        now += ASK_APART_S
        if one.should_ask(now):
            one.pinged({name: heads[name] for name in one.moved}, now)
            one.ponged()
    assert one.confirmed == heads
    assert not one.moved
