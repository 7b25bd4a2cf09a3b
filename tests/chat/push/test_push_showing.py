"""The admin page hears of a worker's lanes, of those in trouble first."""

from chat.metrics.snapshot import Identity, decode, encode, make
from chat.push.breaker import BreakerSettings
from chat.push.lanes import LaneRuntime
from chat.push.showing import shown
from support.pushing import START

WHO = Identity(process="w", node="n", slot="worker", role="worker", pid=1, version="1", started_at=START)


def lane(name: str) -> LaneRuntime:
    return LaneRuntime(name, 50, lambda: 0.5, BreakerSettings())


def test_what_a_worker_tells_of_its_lanes_arrives_as_it_was() -> None:
    good, bad = lane("apns|production|app"), lane("fcm|production|app")
    bad.breaker.refused(START, "UNAUTHENTICATED")
    bad.running = 2
    lanes = shown([good.status(START), bad.status(START)])
    snapshot = decode(encode(make((), WHO, at=START, lanes=lanes)))
    assert snapshot.lanes == lanes
    assert [(one.lane, one.state, one.running, one.reason) for one in lanes] == [
        ("fcm|production|app", "open", 2, "UNAUTHENTICATED"),
        ("apns|production|app", "closed", 0, ""),
    ]
    assert lanes[0].until == bad.breaker.opens_at(START)
