"""A row for each answer of APNs, from the server's bytes to the verdict."""

from typing import Any

import pytest

from chat.push.apns import ApnsSettings
from chat.push.apns.verdicts import BY_STATUS, ROWS, Do, Said, row_of, verdict_of
from chat.push.lab.apns_faults import Answer
from chat.push.sending import (
    Accepted,
    AddressGone,
    CredentialsAtFault,
    Later,
    Rejected,
    TooLarge,
    Verdict,
)
from support.apns_lab import NOW_S, apns_lab, push_to

AT = int(NOW_S * 1000) - 5000

TABLE: list[tuple[int, str, Verdict]] = [
    (400, "BadDeviceToken", AddressGone("BadDeviceToken")),
    (400, "DeviceTokenNotForTopic", AddressGone("DeviceTokenNotForTopic")),
    (400, "TopicDisallowed", CredentialsAtFault("TopicDisallowed")),
    (400, "BadTopic", CredentialsAtFault("BadTopic")),
    (400, "MissingTopic", CredentialsAtFault("MissingTopic")),
    (400, "BadCollapseId", Rejected("BadCollapseId")),
    (400, "BadExpirationDate", Rejected("BadExpirationDate")),
    (400, "BadMessageId", Rejected("BadMessageId")),
    (400, "BadPriority", Rejected("BadPriority")),
    (400, "InvalidPushType", Rejected("InvalidPushType")),
    (400, "DuplicateHeaders", Rejected("DuplicateHeaders")),
    (400, "PayloadEmpty", Rejected("PayloadEmpty")),
    (400, "MissingDeviceToken", Rejected("MissingDeviceToken")),
    (404, "BadPath", Rejected("BadPath")),
    (405, "MethodNotAllowed", Rejected("MethodNotAllowed")),
    (400, "IdleTimeout", Later("IdleTimeout", "lane", 0.0)),
    (403, "ExpiredProviderToken", Later("ExpiredProviderToken", "lane")),
    (403, "InvalidProviderToken", CredentialsAtFault("InvalidProviderToken")),
    (403, "MissingProviderToken", CredentialsAtFault("MissingProviderToken")),
    (403, "BadCertificate", CredentialsAtFault("BadCertificate")),
    (403, "BadCertificateEnvironment", CredentialsAtFault("BadCertificateEnvironment")),
    (403, "Forbidden", CredentialsAtFault("Forbidden")),
    (403, "BadEnvironmentKeyIdInToken", CredentialsAtFault("BadEnvironmentKeyIdInToken")),
    (403, "UnrelatedKeyIdInToken", CredentialsAtFault("UnrelatedKeyIdInToken")),
    (410, "Unregistered", AddressGone("Unregistered", AT)),
    (410, "ExpiredToken", AddressGone("ExpiredToken", AT)),
    (413, "PayloadTooLarge", TooLarge("PayloadTooLarge")),
    (429, "TooManyRequests", Later("TooManyRequests", "device", 60.0)),
    (429, "TooManyProviderTokenUpdates", Later("TooManyProviderTokenUpdates", "lane", 60.0)),
    (500, "InternalServerError", Later("InternalServerError", "lane")),
    (503, "ServiceUnavailable", Later("ServiceUnavailable", "lane")),
    (503, "Shutdown", Later("Shutdown", "lane")),
]

WITHOUT_A_ROW: list[tuple[int, str, Verdict]] = [
    (403, "BadCertificateOfTomorrow", CredentialsAtFault("BadCertificateOfTomorrow")),
    (403, "SomethingKeyIdInToken", CredentialsAtFault("SomethingKeyIdInToken")),
    (400, "NeverHeardOf", Later("NeverHeardOf", "device")),
    (403, "NeverHeardOf", Later("NeverHeardOf", "device")),
    (410, "NeverHeardOf", Later("NeverHeardOf", "device")),
    (418, "Teapot", Later("Teapot", "device")),
    # No bare status condemns an address or a key.
    (400, "", Later("http_400", "device")),
    (403, "", Later("http_403", "device")),
    (404, "", Later("http_404", "device")),
    (410, "", Later("http_410", "device")),
    (429, "", Later("http_429", "device")),
    (413, "", TooLarge("http_413")),
    (500, "", Later("http_500", "lane")),
    (502, "", Later("http_502", "lane")),
    (503, "", Later("http_503", "lane")),
    (504, "", Later("http_504", "lane")),
    (200, "", Accepted()),
]


def _verdict(status: int, reason: str, **said: Any) -> Verdict:
    return verdict_of(Said(status, reason, **said), now_s=NOW_S, settings=ApnsSettings())


def test_every_row_is_in_the_table() -> None:
    assert {(status, reason) for status, reason, _ in TABLE} == set(ROWS)
    assert set(BY_STATUS) <= {status for status, reason, _ in WITHOUT_A_ROW if not reason}


@pytest.mark.parametrize(("status", "reason", "verdict"), [*TABLE, *WITHOUT_A_ROW])
def test_an_answer_comes_to_a_verdict(status: int, reason: str, verdict: Verdict) -> None:
    assert _verdict(status, reason, at=AT if status == 410 and reason != "" else None) == verdict


def test_what_the_server_asks_for_is_told() -> None:
    assert _verdict(503, "ServiceUnavailable", retry_after="17") == Later("ServiceUnavailable", "lane", 17.0)
    assert _verdict(429, "TooManyRequests", retry_after="5") == Later("TooManyRequests", "device", 5.0)
    updates = "TooManyProviderTokenUpdates"
    assert _verdict(429, updates, retry_after="900") == Later(updates, "lane", 900.0)


def test_which_answers_cost_the_connection() -> None:
    assert {reason for (_, reason), row in ROWS.items() if row.reconnect} == {
        "IdleTimeout",
        "ExpiredProviderToken",
        "TooManyProviderTokenUpdates",
        "Shutdown",
    }


def test_a_device_is_not_to_blame_for_a_topic_that_nobody_has() -> None:
    said = Said(400, "DeviceTokenNotForTopic")
    assert row_of(said).do is Do.SUSPECT
    verdict = verdict_of(said, now_s=NOW_S, settings=ApnsSettings(), proven=False)
    assert verdict == Later("DeviceTokenNotForTopic", "device", 60.0)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"<html>",
        b"[]",
        b'"x"',
        b"{",
        b'{"reason":7}',
        b'{"reason":null,"timestamp":"x"}',
        b"\xff\xfe",
        b"{}" * 5000,
    ],
)
async def test_a_body_that_is_no_answer_is_no_reason(body: bytes) -> None:
    async with apns_lab() as lab:
        lab.production.script(Answer(410, body=body))
        assert await lab.sender()(push_to(lab.device())) == Later("http_410", "device")


async def test_the_rows_come_over_the_wire_as_well() -> None:
    special = {"BadDeviceToken", "DeviceTokenNotForTopic", "ExpiredProviderToken"}
    async with apns_lab() as lab:
        send, token = lab.sender(), lab.device()
        for status, reason, verdict in TABLE:
            if reason in special:
                continue
            # A good one between them, so that no connection counts as one that came to nothing.
            assert isinstance(await send(push_to(token)), Accepted)
            lab.production.script(Answer(status, reason, AT if status == 410 else None, pieces=2))
            assert await send(push_to(token)) == verdict, reason
