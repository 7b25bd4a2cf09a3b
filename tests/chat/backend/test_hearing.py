"""What is believed of what comes over the bus about where logs end."""

import pytest
from msgspec import Raw

from chat.backend.hearing import Hearing
from realtime.ports import Delivery
from realtime.protocol.messages import Publication

MESSAGE = b'{"type":"message.created","message":{}}'
CHANNEL = "conv:" + "a" * 26


def told_of(delivery: Delivery) -> tuple[list[tuple[str, int, str]], list[Delivery]]:
    messages: list[tuple[str, int, str]] = []
    others: list[Delivery] = []
    hearing = Hearing("e", lambda *message: messages.append(message), others.append)
    hearing.heard(delivery)
    return messages, others


def test_a_message_of_a_log_tells_where_it_ends_and_who_wrote() -> None:
    delivery = Delivery(CHANNEL, "pub", Publication(Raw(MESSAGE), offset=7), "e", "hub2")
    assert told_of(delivery) == ([("a" * 26, 7, "hub2")], [])


@pytest.mark.parametrize(
    "delivery",
    [
        Delivery(CHANNEL, "pub", Publication(Raw(MESSAGE), offset=7), "another database", "hub2"),
        Delivery("news", "pub", Publication(Raw(MESSAGE), offset=7), "e", "hub2"),
        Delivery(CHANNEL, "pub", Publication(Raw(MESSAGE)), "", "hub2"),
    ],
    ids=["of another epoch", "of a plain channel", "without a place in the log"],
)
def test_what_only_looks_like_one_tells_nothing(delivery: Delivery) -> None:
    assert told_of(delivery) == ([], [])


def test_an_entry_that_may_change_who_may_write_is_not_taken_for_the_end() -> None:
    left = Delivery(CHANNEL, "pub", Publication(Raw(b'{"type":"member.left"}'), offset=7), "e", "hub2")
    assert told_of(left) == ([], [left])
