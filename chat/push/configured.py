"""The configuration of push, as the rules and the planner take it."""

from chat.config.push import PushSection
from chat.push.planner import PlannerSettings
from chat.push.policy import PolicySettings


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


def milliseconds(seconds: float) -> int:
    return round(seconds * 1000)
