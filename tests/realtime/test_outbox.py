"""The outbox: order, priorities and the bound."""

from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry

from realtime.outbox import Outbox, Priority
from realtime.stats import Stats

frames = st.lists(st.tuples(st.binary(min_size=1, max_size=20), st.sampled_from(Priority)), max_size=40)


def counted() -> Stats:
    return Stats(CollectorRegistry())


def test_control_goes_before_live_and_live_before_catch_up():
    outbox = Outbox(100, counted())
    for frame, priority in ((b"old", Priority.CATCH_UP), (b"live", Priority.LIVE), (b"ping", Priority.CONTROL)):
        assert outbox.put(frame, priority)
    assert list(outbox.take()) == [b"ping", b"live", b"old"]


def test_an_ephemeral_frame_does_not_overtake_what_it_is_about():
    outbox = Outbox(100, counted())
    outbox.put(b"message", Priority.LIVE)
    outbox.put(b"read", Priority.EPHEMERAL)
    outbox.put(b"next", Priority.LIVE)
    assert list(outbox.take()) == [b"message", b"read", b"next"]


def test_at_the_bound_ephemeral_frames_make_room_oldest_first():
    of_all = counted()
    outbox = Outbox(10, of_all)
    for number in range(5):
        outbox.put(b"%d." % number, Priority.EPHEMERAL)
    assert outbox.put(b"1234", Priority.LIVE)
    assert list(outbox.take()) == [b"2.", b"3.", b"4.", b"1234"]
    assert of_all.ephemeral_dropped == 2


def test_an_ephemeral_frame_that_does_not_fit_is_dropped_itself():
    outbox = Outbox(4, counted())
    outbox.put(b"live", Priority.LIVE)
    assert outbox.put(b"typing", Priority.EPHEMERAL)
    assert list(outbox.take()) == [b"live"]


def test_over_the_bound_nothing_is_queued_and_the_answer_is_no():
    outbox = Outbox(4, counted())
    assert outbox.put(b"1234", Priority.LIVE)
    assert not outbox.put(b"5", Priority.LIVE)
    assert list(outbox.take()) == [b"1234"]


def test_what_is_not_taken_stays():
    outbox = Outbox(100, counted())
    outbox.put(b"one", Priority.LIVE)
    outbox.put(b"two", Priority.LIVE)
    assert next(outbox.take()) == b"one"
    assert len(outbox) == 1
    assert outbox.size_bytes == 3
    assert list(outbox.take()) == [b"two"]


@given(frames, st.integers(1, 200))
def test_within_the_bound_and_in_order_whatever_is_put(given_frames, max_bytes):
    of_all = counted()
    outbox = Outbox(max_bytes, of_all)
    accepted: dict[Priority, list[bytes]] = {priority: [] for priority in Priority}
    for frame, priority in given_frames:
        if outbox.put(frame, priority):
            accepted[priority].append(frame)
        assert of_all.outbox_bytes == outbox.size_bytes <= max_bytes
    queued = outbox.size_bytes
    taken = list(outbox.take())
    assert sum(map(len, taken)) == queued
    assert outbox.size_bytes == len(outbox) == 0
    control = accepted[Priority.CONTROL]
    catch_up = accepted[Priority.CATCH_UP]
    assert taken[: len(control)] == control
    assert taken[len(taken) - len(catch_up) :] == catch_up
    rest = iter(taken[len(control) : len(taken) - len(catch_up)])
    assert all(frame in rest for frame in accepted[Priority.LIVE])


def test_what_is_thrown_away_is_not_counted_as_waiting():
    of_all = counted()
    first, second = Outbox(100, of_all), Outbox(100, of_all)
    first.put(b"one", Priority.LIVE)
    second.put(b"three", Priority.CATCH_UP)
    assert of_all.outbox_bytes == 8
    second.clear()
    assert of_all.outbox_bytes == 3
    assert len(second) == 0
