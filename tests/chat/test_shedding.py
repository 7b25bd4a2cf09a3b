"""Which calls are put off under overload: reading first, sending last."""

from chat.methods import METHODS
from chat.shedding import MAX_READS, PUT_OFF_S, READS, SENDS, Shedding


def late(shedding: Shedding, lag_s: float) -> None:
    for _ in range(100):
        shedding.lagged(lag_s)


def test_the_methods_named_are_methods():
    assert METHODS.keys() >= READS | SENDS


def test_reads_go_first_and_sends_last():
    shedding = Shedding(lambda: 0.0)
    allowed = {}
    for lag in (0.0, PUT_OFF_S["read"] + 0.1, PUT_OFF_S["act"] + 0.1, PUT_OFF_S["send"] + 0.1):
        late(shedding, lag)
        allowed[lag] = [name for name in ("history.page", "read.mark", "message.send") if shedding.begin(name) is None]
    assert list(allowed.values()) == [
        ["history.page", "read.mark", "message.send"],
        ["read.mark", "message.send"],
        ["message.send"],
        [],
    ]
    assert shedding.put_off == {"read": 3, "act": 2, "send": 1}


def test_one_stall_puts_nothing_off():
    shedding = Shedding(lambda: 0.0)
    shedding.lagged(3.0)
    assert shedding.begin("history.page") is None


def test_it_gets_over_it():
    shedding = Shedding(lambda: 0.0)
    late(shedding, 5.0)
    assert shedding.begin("message.send") is not None
    for _ in range(20):
        shedding.lagged(0.0)
    assert shedding.begin("history.page") is None


def test_reads_are_bounded_in_number_and_others_do_not_count():
    shedding = Shedding(lambda: 0.5)
    assert [shedding.begin("history.page") for _ in range(MAX_READS)] == [None] * MAX_READS
    wait_ms = shedding.begin("conversation.list")
    assert wait_ms is not None
    assert wait_ms >= 1000
    assert shedding.begin("message.send") is None
    shedding.end("message.send")
    assert shedding.begin("sync") is not None
    shedding.end("history.page")
    assert shedding.begin("sync") is None
