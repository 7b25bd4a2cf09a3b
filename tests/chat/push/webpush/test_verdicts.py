"""Every answer of a push service, and what it comes to."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chat.outgoing import Failed, Forbidden
from chat.push.sending import Accepted, AddressGone, CredentialsAtFault, Later, Rejected, TooLarge, Unknown, Verdict
from chat.push.webpush.verdicts import (
    BY_REASON,
    BY_STATUS,
    Asked,
    Do,
    Key,
    reason_of,
    row_of,
    verdict,
    verdict_of_failure,
)

NOW_S = 1_700_000_000.0  # Tue, 14 Nov 2023 22:13:20 GMT
APPLE, GOOGLE, MOZILLA, WINDOWS = (Asked(vendor, Key.SAME) for vendor in ("apple", "google", "mozilla", "microsoft"))
ANYBODY = Asked("", Key.SAME)
GOOGLE_MISMATCH = (
    b"the VAPID credentials in the authorization header do not correspond to the credentials used to create the "
    b"subscriptions.\n"
)


def apple(reason: str) -> bytes:
    return b'{"reason":"%s"}' % reason.encode()


def mozilla(status: int, errno: int) -> bytes:
    return b'{"code":%d,"errno":%d,"error":"x","message":"y","more_info":"z"}' % (status, errno)


ROWS = [
    pytest.param(201, b"", MOZILLA, Accepted(), id="201"),
    pytest.param(200, b'{"id":"x"}', ANYBODY, Accepted(), id="200-ntfy"),
    pytest.param(202, b"", ANYBODY, Accepted(), id="202"),
    pytest.param(204, b"", ANYBODY, Accepted(), id="204"),
    *(
        pytest.param(status, b"", GOOGLE, Rejected(str(status)), id=f"{status}-is-not-followed")
        for status in (300, 301, 302, 303, 304, 305, 307, 308)
    ),
    pytest.param(400, b"", GOOGLE, Rejected("400"), id="400"),
    *(
        pytest.param(400, mozilla(400, errno), MOZILLA, Rejected(f"400 errno_{errno}"), id=f"400-mozilla-{errno}")
        for errno in (110, 111, 112, 113, 114)
    ),
    pytest.param(400, apple("BadWebPushTopic"), APPLE, Rejected("400 BadWebPushTopic"), id="400-apple-topic"),
    pytest.param(400, apple("SomethingNew"), APPLE, Rejected("400 SomethingNew"), id="400-apple-unknown"),
    pytest.param(
        400, apple("VapidPkHashMismatch"), APPLE, AddressGone("400 VapidPkHashMismatch"), id="400-apple-another-key"
    ),
    pytest.param(
        403, apple("VapidPkHashMismatch"), APPLE, AddressGone("403 VapidPkHashMismatch"), id="403-apple-another-key"
    ),
    pytest.param(403, GOOGLE_MISMATCH, GOOGLE, AddressGone("403 KeyMismatch"), id="403-google-another-key"),
    pytest.param(
        400,
        b"<TITLE>UnauthorizedRegistration</TITLE>",
        GOOGLE,
        AddressGone("400 UnauthorizedRegistration"),
        id="400-google-another-key",
    ),
    pytest.param(403, apple("BadJwtToken"), APPLE, CredentialsAtFault("403 BadJwtToken"), id="403-apple-token"),
    pytest.param(
        403,
        apple("BadJwtToken"),
        Asked("apple", Key.NOT_SAID),
        CredentialsAtFault("403 BadJwtToken"),
        id="403-apple-token-key-not-said",
    ),
    pytest.param(
        403,
        apple("BadJwtToken"),
        Asked("apple", Key.DIFFERENT),
        AddressGone("403 BadJwtToken: made with another key"),
        id="403-apple-token-and-another-key",
    ),
    pytest.param(
        403, apple("BadAuthorizationHeader"), APPLE, Rejected("403 BadAuthorizationHeader"), id="403-apple-header"
    ),
    pytest.param(401, mozilla(401, 109), MOZILLA, CredentialsAtFault("401 errno_109"), id="401-mozilla"),
    pytest.param(
        401,
        mozilla(401, 109),
        Asked("mozilla", Key.DIFFERENT),
        AddressGone("401 errno_109: made with another key"),
        id="401-mozilla-another-key",
    ),
    pytest.param(403, b"invalid JWT provided\n", GOOGLE, CredentialsAtFault("403"), id="403-google-token"),
    pytest.param(401, b"", WINDOWS, CredentialsAtFault("401"), id="401-windows"),
    pytest.param(
        401,
        b"",
        Asked("microsoft", Key.DIFFERENT),
        AddressGone("401: made with another key"),
        id="401-windows-another-key",
    ),
    pytest.param(403, b"", ANYBODY, Later("403", "origin"), id="403-of-anybody-stops-nobody-else"),
    pytest.param(401, b"", ANYBODY, Later("401", "origin"), id="401-of-anybody-stops-nobody-else"),
    pytest.param(
        403, b"", Asked("", Key.DIFFERENT), AddressGone("403: made with another key"), id="403-of-anybody-another-key"
    ),
    pytest.param(404, mozilla(404, 102), MOZILLA, AddressGone("404 errno_102"), id="404-mozilla"),
    pytest.param(404, b"", GOOGLE, AddressGone("404"), id="404"),
    pytest.param(410, mozilla(410, 106), MOZILLA, AddressGone("410 errno_106"), id="410-mozilla"),
    pytest.param(410, apple("Unregistered"), APPLE, AddressGone("410 Unregistered"), id="410-apple"),
    pytest.param(405, b"", APPLE, Rejected("405"), id="405"),
    pytest.param(406, b"", WINDOWS, Later("406", "origin"), id="406-windows-throttles"),
    pytest.param(408, b"", GOOGLE, Later("408", "origin"), id="408"),
    pytest.param(411, b"", GOOGLE, Rejected("411"), id="411"),
    pytest.param(413, apple("PayloadTooLarge"), APPLE, TooLarge("413 PayloadTooLarge"), id="413-apple"),
    pytest.param(413, mozilla(413, 104), MOZILLA, TooLarge("413 errno_104"), id="413-mozilla"),
    pytest.param(413, b"<html>", ANYBODY, TooLarge("413"), id="413"),
    pytest.param(415, b"", GOOGLE, Rejected("415"), id="415"),
    pytest.param(
        429,
        apple("TooManyProviderTokenUpdates"),
        APPLE,
        Later("429 TooManyProviderTokenUpdates", "origin"),
        id="429-apple-tokens",
    ),
    *(
        pytest.param(status, b"<html>", GOOGLE, Later(str(status), "origin"), id=str(status))
        for status in (429, 500, 502, 503, 504)
    ),
    pytest.param(503, mozilla(503, 201), MOZILLA, Later("503 errno_201", "origin"), id="503-mozilla"),
    pytest.param(507, b'{"code":50701}', ANYBODY, Later("507", "device"), id="507-ntfy"),
    pytest.param(418, b"", GOOGLE, Later("418", "device"), id="unknown-status"),
    pytest.param(299, b"", GOOGLE, Later("299", "device"), id="unknown-success"),
]


@pytest.mark.parametrize(("status", "body", "asked", "expected"), ROWS)
def test_an_answer_comes_to_what_its_row_says(status: int, body: bytes, asked: Asked, expected: Verdict) -> None:
    assert verdict(status, body, {}, asked, now_s=NOW_S) == expected


def test_every_row_is_tested() -> None:
    tested = [(row.values[0], reason_of(row.values[1])) for row in ROWS]  # type: ignore[arg-type]
    assert {status for status, _ in tested} >= set(BY_STATUS)
    assert {reason for _, reason in tested} >= set(BY_REASON)


@pytest.mark.parametrize("status", [429, 503, 500, 406, 418, 507])
@pytest.mark.parametrize(
    ("asked_for", "after_s"),
    [("120", 120.0), ("Tue, 14 Nov 2023 22:14:20 GMT", 60.0), ("soon", None), ("99999999", 24 * 3600.0)],
)
def test_who_says_for_how_long_is_left_alone_for_so_long(status: int, asked_for: str, after_s: float | None) -> None:
    later = verdict(status, b"", {"Retry-After": asked_for}, MOZILLA, now_s=NOW_S)
    assert isinstance(later, Later)
    assert later.after_s == after_s


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        (b"", ""),
        (b"not found", ""),
        (b"[]", ""),
        (b"{", ""),
        (b'{"reason":7}', ""),
        (b'{"reason":"https://web.push.apple.com/secret"}', ""),
        (b'{"reason":"a b"}', ""),
        (b'{"reason":"' + b"x" * 65 + b'"}', ""),
        (b'{"errno":109}', "errno_109"),
        (b"\xff\xfe", ""),
        (GOOGLE_MISMATCH + b"x" * 100_000, "KeyMismatch"),
    ],
)
def test_a_reason_is_one_word_and_never_what_somebody_put_there(body: bytes, reason: str) -> None:
    assert reason_of(body) == reason


@pytest.mark.parametrize(
    ("headers", "name"),
    [
        ({}, ""),
        ({"apns-id": "9F9E6B1A-8A6C-4F0B-9E0E-000000000001"}, "9F9E6B1A-8A6C-4F0B-9E0E-000000000001"),
        ({"Location": "https://fcm.googleapis.com/0:1700000000%e609af1c"}, "0:1700000000%e609af1c"),
        ({"Location": "https://updates.push.services.mozilla.com/m/" + "g" * 300}, "g" * 40),
        ({"Location": "https://ntfy.example.com/a b"}, ""),
        ({"Location": "https://ntfy.example.com/"}, ""),
    ],
)
def test_what_was_taken_has_the_name_that_the_service_gives_it(headers: dict[str, str], name: str) -> None:
    assert verdict(201, b"", headers, GOOGLE, now_s=NOW_S) == Accepted(name)


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (Forbidden("the host has an address that is not public"), Rejected),
        (Failed("cannot be reached", sent=False), Later),
        (Failed("did not answer within 10 s"), Unknown),
        (ConnectionResetError(), Unknown),
    ],
)
def test_where_nobody_answered_the_address_is_not_to_blame(error: OSError, expected: type[Verdict]) -> None:
    assert isinstance(verdict_of_failure(error), expected)


def test_who_was_never_reached_is_an_origin_that_waits() -> None:
    assert verdict_of_failure(Failed("cannot be reached", sent=False)) == Later("cannot be reached", "origin")


@given(
    status=st.integers(100, 599),
    body=st.binary(max_size=60),
    vendor=st.sampled_from(["", "apple"]),
    key=st.sampled_from(list(Key)),
)
def test_only_what_is_in_the_table_condemns_an_address_or_the_credentials(
    status: int, body: bytes, vendor: str, key: Key
) -> None:
    came = verdict(status, body, {}, Asked(vendor, key), now_s=NOW_S)
    do = row_of(status, reason_of(body)).do
    if isinstance(came, AddressGone):
        assert do is Do.FORGET or (do is Do.DOUBT and key is Key.DIFFERENT)
    if isinstance(came, CredentialsAtFault):
        assert do is Do.DOUBT
        assert vendor
