"""Whatever is the case: what is read never alerts, waiting ends, and conversations do not bear on each other."""

from dataclasses import dataclass, field, replace

from hypothesis import given
from hypothesis import strategies as st

from chat.push.policy import Decision, DeviceState, Facts, MessageClass, Send, Suppress, Wait, decide
from storage.model.notifying import Notify

times = st.integers(0, 100_000)
offsets = st.integers(0, 20)
devices = st.builds(
    DeviceState, st.booleans(), st.booleans(), st.booleans(), offsets, disconnected_at=st.none() | times
)
some_facts = st.builds(
    Facts,
    now=times,
    upto=st.integers(1, 20),
    at=times,
    member=st.booleans(),
    own=st.booleans(),
    blocked=st.booleans(),
    message_class=st.sampled_from(MessageClass),
    nothing_left=st.booleans(),
    mentioned=st.booleans(),
    urgent=st.booleans(),
    members_count=st.sampled_from([2, 200, 201, 100_000]),
    muted_until=st.none() | times,
    notify=st.none() | st.sampled_from(Notify),
    read=offsets,
    shown=offsets,
    quiet_until=st.none() | times,
    device=devices,
    others=st.lists(devices, max_size=3).map(tuple),
    rang_at=st.none() | times,
    device_rang=st.integers(0, 30),
    rang_since_quiet=st.booleans(),
)
# Half of what is drawn above is suppressed for some reason or other: these are not, but perhaps by being read.
loud_facts = some_facts.map(
    lambda facts: replace(
        facts,
        own=False,
        member=True,
        blocked=False,
        message_class=MessageClass.MESSAGE,
        nothing_left=False,
        muted_until=None,
        notify=Notify.ALL,
    )
)


@given(some_facts)
def test_no_read_message_ever_alerts(facts: Facts) -> None:
    assert isinstance(decide(replace(facts, read=facts.upto)), Suppress)


@given(loud_facts, loud_facts, st.integers(0, 20))
def test_later_facts_never_unsuppress_what_was_read(facts: Facts, later: Facts, more: int) -> None:
    read = replace(facts, read=facts.upto)
    assert isinstance(decide(read), Suppress)
    assert isinstance(decide(replace(later, upto=read.upto, at=read.at, read=read.read + more)), Suppress)


@given(some_facts)
def test_the_same_facts_have_the_same_answer(facts: Facts) -> None:
    assert decide(facts) == decide(replace(facts))


@given(some_facts)
def test_whoever_waits_does_so_for_a_time_to_come_and_once_at_most_for_each_reason(facts: Facts) -> None:
    reasons = []
    decision: Decision = decide(facts)
    while isinstance(decision, Wait):
        assert decision.until > facts.now
        assert decision.reason not in reasons
        reasons.append(decision.reason)
        facts = replace(facts, now=decision.until)
        decision = decide(facts)
    # Do-not-disturb, and one other.
    assert len(reasons) <= 2


@given(loud_facts)
def test_what_nothing_forbids_is_sent_at_last(facts: Facts) -> None:
    facts = replace(facts, read=0, device=replace(facts.device, foreground=False, viewing=False))
    assert isinstance(decide(replace(facts, now=1_000_000)), Send)


@given(some_facts, times)
def test_a_suppressed_message_is_suppressed_later_too(facts: Facts, passed: int) -> None:
    """As long as only time passes."""
    if isinstance(decide(facts), Suppress):
        assert decide(replace(facts, now=facts.now + passed)) == decide(facts)


@given(some_facts)
def test_a_mute_tells_of_nothing_sent_before_its_end_mentions_included(facts: Facts) -> None:
    muted = replace(facts, muted_until=facts.at + 1, mentioned=True)
    assert isinstance(decide(muted), Suppress)


@dataclass
class Phone:
    """A device as the dispatcher knows it: when it rang, for which conversation."""

    rang: list[tuple[int, str]] = field(default_factory=list)

    def hears(self, conversation: str, facts: Facts) -> Decision:
        mine = [at for at, where in self.rang if where == conversation]
        lately = [at for at, _ in self.rang if facts.now - at < 60_000]
        decision = decide(replace(facts, rang_at=max(mine, default=None), device_rang=len(lately)))
        if isinstance(decision, Send) and not decision.quiet:
            self.rang.append((facts.now, conversation))
        return decision


@given(st.lists(st.tuples(st.booleans(), times, st.booleans()), max_size=20))
def test_a_mute_never_delays_a_mention_in_another_conversation(messages: list[tuple[bool, int, bool]]) -> None:
    both, alone = Phone(), Phone()
    for offset, (in_muted, at, mentioned) in enumerate(sorted(messages, key=lambda one: one[1]), start=1):
        facts = Facts(now=at + 1_500, upto=offset, at=at, mentioned=mentioned, notify=Notify.MENTIONS)
        if in_muted:
            mute = replace(facts, muted_until=at + 1)
            assert isinstance(both.hears("muted", mute), Suppress)
        else:
            assert both.hears("other", facts) == alone.hears("other", facts)
