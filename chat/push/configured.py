"""The configuration of push, as the rules and the planner take it."""

from chat.config.push import PushSection
from chat.push.breaker import BreakerSettings
from chat.push.planner import PlannerSettings
from chat.push.policy import PolicySettings
from chat.push.sending import Content
from chat.push.settling import DeliverySettings


def policy_of(push: PushSection) -> PolicySettings:
    """The rules' times, as configured."""
    return PolicySettings(
        ack_wait_ms=milliseconds(push.confirm_wait),
        cloud_delay_ms=milliseconds(push.elsewhere_wait),
        default_delay_ms=milliseconds(push.delay),
        reconnect_wait_ms=milliseconds(push.confirm_wait),
        quiet_gap_ms=milliseconds(push.quiet_gap),
        loud_per_minute=push.loud_per_minute,
        large_group=push.large_group,
    )


def planning_of(push: PushSection) -> PlannerSettings:
    """For how long something is worth telling, as configured."""
    return PlannerSettings(life_ms=milliseconds(push.life))


def delivery_of(push: PushSection) -> DeliverySettings:
    """How often something is tried, for how long, and what it says, as configured."""
    usual = DeliverySettings()
    return DeliverySettings(
        attempts=push.attempts,
        unexplained_attempts=min(push.attempts, usual.unexplained_attempts),
        # Senders have an end of their own: this is for one that does not keep to it.
        deadline_s=push.timeout + 2.0,
        life_ms=milliseconds(push.life),
        content=Content(push.content),
    )


def breakers_of(push: PushSection) -> BreakerSettings:
    """When a lane is left alone, as configured."""
    lanes = push.lanes
    return BreakerSettings(
        failures=lanes.failures,
        longest_ms=milliseconds(lanes.longest_pause),
        gone=lanes.gone,
        gone_share=lanes.gone_percent / 100,
    )


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
