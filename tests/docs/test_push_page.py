"""docs/push.md says of every reason and every outcome what it is, with the times that there are."""

from pathlib import Path

import pytest

from chat.docs.pages import load
from chat.push.policy import PolicySettings, Reason
from chat.push.sending import Content
from chat.push.settling import OUTCOMES, DeliverySettings

PAGE = (Path(__file__).parents[2] / "docs" / "push.md").read_text()
POLICY = PolicySettings()


def table(heading: str) -> dict[str, list[str]]:
    """The rows of the table below this line of headings, by their first cell."""
    rows = PAGE.split(heading, 1)[1].split("\n\n", 1)[0].splitlines()[2:]
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    return {row[0].strip("`"): row[1:] for row in cells}


DECISIONS = table("| reason | what comes of it | when |")


def test_every_reason_has_a_row_in_the_order_in_which_it_is_asked() -> None:
    assert list(DECISIONS) == [reason.value for reason in Reason]


@pytest.mark.parametrize(
    ("reason", "after_ms"),
    [
        (Reason.IN_VIEW, POLICY.ack_wait_ms),
        (Reason.FOREGROUND_ELSEWHERE, POLICY.cloud_delay_ms),
        (Reason.NOT_CONFIRMED, POLICY.ack_wait_ms),
        (Reason.IN_BACKGROUND, POLICY.cloud_delay_ms),
        (Reason.JUST_DISCONNECTED, POLICY.reconnect_wait_ms),
        (Reason.OFFLINE, POLICY.default_delay_ms),
    ],
)
def test_a_reason_to_wait_says_for_how_long(reason: Reason, after_ms: int) -> None:
    assert DECISIONS[reason.value][0] == f"waits {after_ms / 1000:g} s"


def test_the_numbers_of_the_policy_are_said() -> None:
    assert f"more than {POLICY.large_group} members" in DECISIONS[Reason.LARGE_GROUP.value][1]
    assert f"within {POLICY.quiet_gap_ms // 1000} s makes no sound" in PAGE
    assert f"beyond {POLICY.loud_per_minute} sounds a minute" in PAGE
    delivery = DeliverySettings()
    assert (delivery.attempts, delivery.unexplained_attempts, delivery.life_ms) == (5, 3, 4 * 3_600_000)


def test_every_outcome_and_every_content_mode_has_a_row() -> None:
    assert list(table("| outcome | what is done |")) == list(OUTCOMES.values())
    assert list(table("| `content` | title | body | beside it |")) == [content.value for content in Content]


def test_it_is_in_the_menu() -> None:
    assert "push" in [page.name for page in load()]
