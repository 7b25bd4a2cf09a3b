"""Every answer of Firebase that has a row, and some that have none."""

from collections.abc import Mapping
from typing import Any

import orjson
import pytest

from chat.push.fcm.settings import FcmSettings
from chat.push.fcm.verdicts import (
    BY_FCM_CODE,
    BY_NAME,
    BY_STATUS,
    OAUTH_AT_FAULT,
    Doubtful,
    Outcome,
    Stale,
    oauth_verdict,
    outcome,
    settle,
)
from chat.push.retry_after import MAX_S, retry_after_s
from chat.push.sending import Accepted, AddressGone, CredentialsAtFault, Later, Rejected, TooLarge, Unknown

NOW_S = 1_800_000_000.0
TYPES = "type.googleapis.com/"
HTML = b"<!DOCTYPE html><title>Error 502 (Server Error)!!1</title>"
TAKEN = b'{"name": "projects/p/messages/1"}'


def envelope(status: int, name: str, *, code: str = "", fields: tuple[str, ...] = (), quota: str = "") -> bytes:
    details: list[dict[str, Any]] = []
    if code:
        details.append({"@type": f"{TYPES}google.firebase.fcm.v1.FcmError", "errorCode": code})
    if fields:
        violations = [{"field": field, "description": "wrong"} for field in fields]
        details.append({"@type": f"{TYPES}google.rpc.BadRequest", "fieldViolations": violations})
    if quota:
        violations = [{"subject": quota, "description": ""}]
        details.append({"@type": f"{TYPES}google.rpc.QuotaFailure", "violations": violations})
    return orjson.dumps({"error": {"code": status, "message": "said", "status": name, "details": details}})


def judged(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> Outcome:
    return outcome(status, body, headers or {}, now_s=NOW_S, settings=FcmSettings())


ROWS = [
    pytest.param(200, TAKEN, Accepted("projects/p/messages/1"), id="taken"),
    pytest.param(
        400,
        envelope(400, "INVALID_ARGUMENT", fields=("message.token",)),
        AddressGone("INVALID_ARGUMENT"),
        id="the-field-of-the-token",
    ),
    pytest.param(
        400,
        envelope(400, "INVALID_ARGUMENT", code="INVALID_ARGUMENT", fields=("message.fid",)),
        AddressGone("INVALID_ARGUMENT"),
        id="the-field-of-the-installation",
    ),
    pytest.param(
        400,
        envelope(400, "INVALID_ARGUMENT", fields=("message.data[0].value",)),
        Rejected("INVALID_ARGUMENT: message.data[0].value"),
        id="another-field",
    ),
    pytest.param(
        400,
        envelope(400, "INVALID_ARGUMENT", fields=("message.token", "message.data")),
        Rejected("INVALID_ARGUMENT: message.token: message.data"),
        id="the-token-and-another-field",
    ),
    pytest.param(
        400,
        envelope(400, "INVALID_ARGUMENT", code="INVALID_ARGUMENT"),
        Doubtful("INVALID_ARGUMENT"),
        id="no-field-but-firebase-s-code",
    ),
    pytest.param(400, envelope(400, "INVALID_ARGUMENT"), Doubtful("INVALID_ARGUMENT"), id="not-a-word-on-what"),
    pytest.param(
        401,
        envelope(401, "UNAUTHENTICATED", code="THIRD_PARTY_AUTH_ERROR"),
        Later("THIRD_PARTY_AUTH_ERROR", "device", 600.0),
        id="the-keys-for-apns-are-bad-and-androids-not-concerned",
    ),
    pytest.param(401, envelope(401, "UNAUTHENTICATED"), Stale("UNAUTHENTICATED"), id="the-access-token"),
    pytest.param(401, HTML, Stale("http_401"), id="the-access-token-says-html"),
    pytest.param(
        403,
        envelope(403, "PERMISSION_DENIED", code="SENDER_ID_MISMATCH"),
        AddressGone("SENDER_ID_MISMATCH"),
        id="another-project-s-token",
    ),
    pytest.param(
        403, envelope(403, "PERMISSION_DENIED"), CredentialsAtFault("PERMISSION_DENIED"), id="api-or-role-missing"
    ),
    pytest.param(
        404, envelope(404, "NOT_FOUND", code="UNREGISTERED"), AddressGone("UNREGISTERED"), id="app-was-removed"
    ),
    pytest.param(404, envelope(404, "NOT_FOUND"), CredentialsAtFault("NOT_FOUND"), id="404-without-firebase-s-word"),
    pytest.param(404, HTML, CredentialsAtFault("http_404"), id="404-of-html"),
    pytest.param(413, HTML, TooLarge("http_413"), id="too-large"),
    pytest.param(
        429,
        envelope(429, "RESOURCE_EXHAUSTED", code="QUOTA_EXCEEDED"),
        Later("QUOTA_EXCEEDED", "lane", 60.0),
        id="the-project-s-quota",
    ),
    pytest.param(
        429,
        envelope(429, "RESOURCE_EXHAUSTED", code="QUOTA_EXCEEDED", quota="device:1"),
        Later("QUOTA_EXCEEDED", "device", 60.0),
        id="the-quota-of-one-device",
    ),
    pytest.param(
        429,
        envelope(429, "RESOURCE_EXHAUSTED"),
        Later("RESOURCE_EXHAUSTED", "lane", 60.0),
        id="a-quota-of-google-s",
    ),
    pytest.param(429, HTML, Later("http_429", "lane", 60.0), id="429-of-html"),
    pytest.param(500, envelope(500, "INTERNAL", code="INTERNAL"), Unknown("INTERNAL"), id="internal"),
    pytest.param(500, envelope(500, "INTERNAL"), Unknown("INTERNAL"), id="internal-of-google-s"),
    pytest.param(500, HTML, Unknown("http_500"), id="500-of-html"),
    pytest.param(502, HTML, Unknown("http_502"), id="502-of-html"),
    pytest.param(503, envelope(503, "UNAVAILABLE", code="UNAVAILABLE"), Unknown("UNAVAILABLE"), id="unavailable"),
    pytest.param(503, envelope(503, "UNAVAILABLE"), Unknown("UNAVAILABLE"), id="unavailable-of-google-s"),
    pytest.param(503, b"", Unknown("http_503"), id="503-of-nothing"),
    pytest.param(504, envelope(504, "DEADLINE_EXCEEDED"), Unknown("DEADLINE_EXCEEDED"), id="too-slow-inside"),
    pytest.param(504, HTML, Unknown("http_504"), id="504-of-html"),
    pytest.param(
        500,
        envelope(500, "UNKNOWN", code="UNSPECIFIED_ERROR"),
        Later("UNSPECIFIED_ERROR", "device"),
        id="unspecified",
    ),
]


@pytest.mark.parametrize(("status", "body", "expected"), ROWS)
def test_every_row(status: int, body: bytes, expected: Outcome) -> None:
    assert judged(status, body) == expected


def test_no_row_is_without_a_test() -> None:
    tried = [(row.values[0], orjson.loads(row.values[1]) if row.values[1][:1] == b"{" else {}) for row in ROWS]
    errors = [(status, body.get("error", {})) for status, body in tried]
    codes = {detail["errorCode"] for _, error in errors for detail in error.get("details", []) if "errorCode" in detail}
    assert codes == set(BY_FCM_CODE)
    named = {(status, error["status"]) for status, error in errors if error and not error["details"]}
    assert named == set(BY_NAME)
    assert {status for status, error in errors if not error} == set(BY_STATUS)


@pytest.mark.parametrize(
    ("status", "body"),
    [
        (400, HTML),
        (302, b""),
        (403, HTML),
        (418, b"null"),
        (404, envelope(404, "NOT_FOUND", code="SOMETHING_NEW")),
        (400, envelope(400, "FAILED_PRECONDITION")),
        (501, b'{"error": "a text"}'),
    ],
)
def test_an_unknown_answer_is_passing_and_of_this_device_alone(status: int, body: bytes) -> None:
    verdict = judged(status, body)
    assert isinstance(verdict, Later)
    assert verdict.scope == "device"


def test_a_success_without_a_name_is_none() -> None:
    assert isinstance(judged(200, b"<html>sign in to the network</html>"), Unknown)


@pytest.mark.parametrize("body", [b"", b"{", b"[]", b"null", b'{"error": 5}', b'{"error": {"details": 5}}', b"\xff"])
def test_no_body_breaks_the_reading(body: bytes) -> None:
    for status in (200, 400, 404, 500):
        assert not isinstance(judged(status, body), AddressGone)


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("17", 17.0),
        ("0", 0.0),
        ("Fri, 15 Jan 2027 08:01:30 GMT", 90.0),
        ("Fri, 15 Jan 2027 07:00:00 GMT", 0.0),
        ("99999999999999999999", MAX_S),
    ],
)
def test_what_is_asked_for_counts_whether_in_seconds_or_as_a_date(value: str, seconds: float) -> None:
    headers = {"Retry-After": value}
    assert judged(503, HTML, headers) == Later("http_503", "lane", seconds)
    assert judged(500, envelope(500, "INTERNAL"), headers) == Later("INTERNAL", "device", seconds)
    quota = envelope(429, "RESOURCE_EXHAUSTED", code="QUOTA_EXCEEDED")
    assert judged(429, quota, headers) == Later("QUOTA_EXCEEDED", "lane", seconds)


@pytest.mark.parametrize("value", ["soon", "-5", "", "1.5.2", "Fri, 99 Jan 2027"])
def test_what_cannot_be_read_asks_for_nothing(value: str) -> None:
    assert judged(503, HTML, {"Retry-After": value}) == Unknown("http_503")


def test_no_header_asks_for_nothing() -> None:
    assert retry_after_s(None, now_s=NOW_S) is None


@pytest.mark.parametrize(
    ("probe", "expected"),
    [
        (Accepted("fake"), Rejected("INVALID_ARGUMENT: not the address")),
        (Doubtful("INVALID_ARGUMENT"), AddressGone("INVALID_ARGUMENT")),
        (AddressGone("UNREGISTERED"), AddressGone("UNREGISTERED")),
        (Rejected("ours"), Rejected("ours")),
        (Later("UNAVAILABLE", "lane", 5.0), Later("UNAVAILABLE", "lane", 5.0)),
        (Stale("UNAUTHENTICATED"), Later("INVALID_ARGUMENT", "device")),
        (CredentialsAtFault("oauth: invalid_grant"), CredentialsAtFault("oauth: invalid_grant")),
    ],
)
def test_a_doubt_is_settled_by_an_empty_message(probe: Outcome, expected: Outcome) -> None:
    assert settle(Doubtful("INVALID_ARGUMENT"), probe) == expected


def oauth(status: int, body: bytes, headers: Mapping[str, str] | None = None) -> CredentialsAtFault | Later:
    return oauth_verdict(status, body, headers or {}, now_s=NOW_S)


@pytest.mark.parametrize("error", sorted(OAUTH_AT_FAULT))
def test_an_account_that_gets_no_token_is_at_fault(error: str) -> None:
    body = orjson.dumps({"error": error, "error_description": "said"})
    assert oauth(400, body) == CredentialsAtFault(f"oauth: {error}")


@pytest.mark.parametrize(
    ("status", "body"),
    [(500, b'{"error": "internal_failure"}'), (502, HTML), (429, b""), (400, HTML), (200, b"{}"), (503, b"[]")],
)
def test_any_other_answer_for_a_token_is_passing(status: int, body: bytes) -> None:
    assert oauth(status, body) == Later(f"oauth: http_{status}", "lane")
    assert oauth(status, body, {"Retry-After": "3"}) == Later(f"oauth: http_{status}", "lane", 3.0)
