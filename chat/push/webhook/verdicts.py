"""What the answers of a webhook mean, as data. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Final, Literal

from chat.outgoing import Failed, Forbidden
from chat.push.retry_after import retry_after_s
from chat.push.sending import Accepted, AddressGone, CredentialsAtFault, Later, Rejected, TooLarge, Unknown, Verdict


class Do(StrEnum):
    """What comes of an answer."""

    ACCEPT = "accept"
    FORGET = "forget"
    REPORT = "report"
    SHRINK = "shrink"
    WAIT = "wait"
    FAIL = "fail"
    """It went wrong there. One such answer says little, a row of them that all is not well; it may have been taken."""


@dataclass(frozen=True, slots=True)
class Row:
    """`scope`: who waits, of `WAIT`, and of `FAIL` when the answer says for how long."""

    do: Do
    why: str
    scope: Literal["device", "lane"] = "lane"


BY_STATUS: Final[Mapping[int, Row]] = MappingProxyType(
    {
        408: Row(Do.WAIT, "it did not get all of the request in time"),
        410: Row(Do.FORGET, "it wants no more for this address"),
        413: Row(Do.SHRINK, "too large for it"),
        425: Row(Do.WAIT, "too early"),
        429: Row(Do.WAIT, "too much"),
    }
)
BY_HUNDREDS: Final[Mapping[int, Row]] = MappingProxyType(
    {
        2: Row(Do.ACCEPT, "taken"),
        3: Row(Do.REPORT, "somewhere else: the URL is to be the final one"),
        4: Row(Do.REPORT, "it does not want that"),
        5: Row(Do.FAIL, "it is not able to, now"),
    }
)
NO_ROW: Final = Row(Do.WAIT, "no row for it: passing, until it has come too often", "device")


def row_of(status: int) -> Row:
    """The row that applies."""
    return BY_STATUS.get(status) or BY_HUNDREDS.get(status // 100, NO_ROW)


def verdict(status: int, headers: Mapping[str, str], *, message_id: str, now_s: float) -> Verdict:
    """What an answer comes to. `now_s`: wall clock."""
    row, reason = row_of(status), f"http_{status}"
    asked_s = retry_after_s(headers.get("Retry-After"), now_s=now_s)
    match row.do:
        case Do.ACCEPT:
            return Accepted(message_id)
        case Do.FORGET:
            return AddressGone(reason)
        case Do.REPORT:
            return Rejected(reason)
        case Do.SHRINK:
            return TooLarge(reason)
        case Do.WAIT:
            return Later(reason, row.scope, asked_s)
        case Do.FAIL:
            return Unknown(reason) if asked_s is None else Later(reason, row.scope, asked_s)


def verdict_of_failure(error: OSError) -> Verdict:
    """What it comes to that there was no answer."""
    if isinstance(error, Forbidden):
        return CredentialsAtFault(str(error))
    if isinstance(error, Failed) and not error.sent:
        return Later(str(error), "lane")
    return Unknown(str(error) or type(error).__name__)
