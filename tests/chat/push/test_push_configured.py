"""What the configuration says of push is what the parts go by, and its defaults are theirs."""

from dataclasses import replace

from chat.config.push import ApnsSection, FcmSection, LanesSection, PushSection, WebPushSection
from chat.push.breaker import BreakerSettings
from chat.push.configured import breakers_of, delivery_of, planning_of, policy_of
from chat.push.planner import PlannerSettings
from chat.push.policy import PolicySettings
from chat.push.settling import DeliverySettings
from chat.push.vendors import VendorSettings, vendors_of

USUAL = PushSection()


def test_without_a_word_of_the_operator_everything_is_as_the_parts_have_it() -> None:
    assert vendors_of(USUAL) == VendorSettings()
    assert breakers_of(USUAL) == BreakerSettings()
    assert delivery_of(USUAL) == DeliverySettings()
    assert policy_of(USUAL) == PolicySettings()
    assert planning_of(USUAL) == PlannerSettings()


def test_the_limits_of_vendors_are_the_operators() -> None:
    vendors = vendors_of(
        replace(
            USUAL,
            timeout=3.0,
            apns=ApnsSection(port=2197, connections=2, streams=50, max_payload=2048, mention_level="time-sensitive"),
            fcm=FcmSection(display="system", max_payload=3000, quota_pause=90.0),
            webpush=WebPushSection(max_payload=1000, max_ttl=3600.0, connections_per_host=5),
        )
    )
    connection = vendors.apns.connection
    assert (vendors.apns.port, connection.max_connections, connection.max_streams) == (2197, 2, 50)
    assert (vendors.apns.payload.max_bytes, vendors.apns.payload.mention_level) == (2048, "time-sensitive")
    assert (vendors.fcm.display, vendors.fcm.max_payload_bytes, vendors.fcm.quota_pause_s) == ("system", 3000, 90.0)
    web_push = vendors.webpush
    assert (web_push.shape.max_bytes, web_push.max_ttl_s, web_push.connections_per_host) == (1000, 3600, 5)
    patient = (connection, vendors.fcm, web_push, vendors.webhook)
    assert {(one.deadline_s, one.connect_s) for one in patient} == {(3.0, 3.0)}
    # Which is longer than any sender takes, and lets it say so.
    assert delivery_of(replace(USUAL, timeout=3.0)).deadline_s == 5.0


def test_when_a_lane_is_left_alone_is_the_operators() -> None:
    lanes = LanesSection(failures=2, longest_pause=60.0, gone=5, gone_percent=50)
    assert breakers_of(replace(USUAL, lanes=lanes)) == BreakerSettings(
        failures=2, longest_ms=60_000, gone=5, gone_share=0.5
    )
    assert delivery_of(replace(USUAL, attempts=2)).unexplained_attempts == 2
