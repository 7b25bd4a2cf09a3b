"""What processes tell each other: which channels it is about, and that it arrives as it was said."""

import pytest

from realtime import control
from realtime.control import Envelope, Target, UnsubscribeSessions


@pytest.mark.parametrize(
    ("channel", "prefix", "about", "not_about"),
    [
        ("conv:a", False, ["conv:a"], ["conv:a~1", "conv:b", ""]),
        ("", False, ["conv:a", "news"], []),
        ("conv:a~", True, ["conv:a~1", "conv:a~22"], ["conv:a", "conv:ab~1", "news"]),
    ],
)
def test_an_unsubscribe_is_about_one_channel_all_or_those_with_a_prefix(channel, prefix, about, not_about):
    operation = UnsubscribeSessions(Target("alice"), channel, 2000, "bye", prefix)
    assert all(operation.is_about(name) for name in about)
    assert not any(operation.is_about(name) for name in not_about)
    envelope = Envelope("process", operation)
    assert control.decode(control.encode(envelope)) == envelope
